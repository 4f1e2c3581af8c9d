//! An import: read, plan, lock, write, commit.
//!
//! Reading and planning take most of the time, and are done on a snapshot before anything is
//! locked; then the head is locked, and if it is still the one that was planned on, what was
//! planned is right. That is as good as staging the rows in a temporary table first: other writers
//! wait only while the differences are written, which are at most the rows that would be staged.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::config::PostgresConfig;
use super::connect::Session;
use super::read::{self, StateRows};
use super::transaction::{self, NotCommitted, Patience};
use super::write::Writer;
use crate::domain::Revision;
use crate::store::{
    By, ChangeDraft, ChangeSubject, Delta, Import, ImportError, ImportOutcome, ImportProgress,
    Problem, Scope, State, StoreError, Unavailable, plan,
};

/// How long the server waits for the next statement of an import that holds the lock: it may have to
/// plan again in between, which for a million accounts takes seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the progress of an import is told.
pub(super) type Progress = UnboundedSender<ImportProgress>;

/// All that is to be committed, or nothing.
enum Prepared {
    Unchanged(Revision),
    Written(Box<Session>, ImportOutcome),
}

/// Runs an import to its end, whoever still waits for it: it must not be cut off in COMMIT.
pub(super) async fn run(
    config: PostgresConfig,
    import: Arc<Import>,
    progress: Progress,
) -> Result<ImportOutcome, ImportError> {
    let limit = config.limits.import_timeout;
    let prepared = tokio::time::timeout(limit, prepare(&config, import, &progress));
    match prepared.await {
        Ok(Ok(Prepared::Unchanged(revision))) => Ok(ImportOutcome {
            revision,
            changed: Delta::default().counts(),
        }),
        Ok(Ok(Prepared::Written(mut session, outcome))) => {
            transaction::commit(&session)
                .await
                .map_err(|why| match why {
                    NotCommitted::Failed(error) => ImportError::Store(error),
                    NotCommitted::Unknown(why) => ImportError::OutcomeUnknown(why),
                })?;
            session.end();
            Ok(outcome)
        }
        Ok(Err(error)) => Err(error),
        Err(_elapsed) => Err(StoreError::from(Unavailable::Timeout(limit)).into()),
    }
}

async fn prepare(
    config: &PostgresConfig,
    import: Arc<Import>,
    progress: &Progress,
) -> Result<Prepared, ImportError> {
    let mut session = Session::open(&config.connector).await?;
    let client = session.client();
    let limit = config.limits.import_timeout;

    tell(progress, ImportProgress::Reading);
    let scope = Scope::of_import(&import);
    read::begin_snapshot(client, limit).await?;
    let planned_on = read::head(client).await?.head;
    let rows = StateRows::read(client, &scope).await?;
    read::end_snapshot(client).await?;

    tell(progress, ImportProgress::Planning);
    let mut delta = compare(rows, &import).await?;
    if delta.is_empty() {
        session.end();
        return Ok(Prepared::Unchanged(planned_on.revision));
    }

    let patience = Patience {
        statement: limit,
        idle: IDLE_TIMEOUT,
    };
    let head = transaction::begin(client, patience).await?;
    if head != planned_on {
        // Others wrote in between. Nobody can now, so this plan is the last.
        let rows = StateRows::read(client, &scope).await?;
        delta = compare(rows, &import).await?;
        if delta.is_empty() {
            transaction::statement(client, "ROLLBACK").await?;
            session.end();
            return Ok(Prepared::Unchanged(head.revision));
        }
    }
    let delta = Arc::new(delta);
    let revision = head.revision.next();
    let draft = draft(&import, &delta).await?;
    transaction::record(client, &draft, revision, delta.touches_catalog()).await?;
    let mut writer = Writer::new(client, revision, Some(progress))?;
    Box::pin(writer.write(&delta)).await?;
    transaction::check_constraints(client).await?;
    let changed = delta.counts();
    Ok(Prepared::Written(
        Box::new(session),
        ImportOutcome { revision, changed },
    ))
}

fn tell(progress: &Progress, event: ImportProgress) {
    // Whoever waited may have gone.
    let _ = progress.send(event);
}

/// What `import` makes of the state in `rows`.
async fn compare(rows: StateRows, import: &Arc<Import>) -> Result<Delta, ImportError> {
    let import = Arc::clone(import);
    let delta = read::aside(move || {
        let current = rows.decode()?;
        Ok::<Result<Delta, Problem>, StoreError>(plan(&current.state, &import))
    });
    Ok(delta.await???)
}

/// The entry of the import in the history.
async fn draft(import: &Arc<Import>, delta: &Arc<Delta>) -> Result<ChangeDraft, StoreError> {
    let (import, delta) = (Arc::clone(import), Arc::clone(delta));
    read::aside(move || {
        let by = By {
            actor: import.actor.clone(),
            caller: String::new(),
            comment: import.comment.clone(),
        };
        ChangeDraft::new(&State::default(), &delta, ChangeSubject::Everything, by)
    })
    .await
}
