//! An import: read, plan, lock, write, commit.
//!
//! Reading and planning take most of the time, and are done on a snapshot before anything is
//! locked; then the head is locked, and if it is still the one that was planned on, what was
//! planned is right. That is as good as staging the rows in a temporary table first: other writers
//! wait only while the differences are written, which are at most the rows that would be staged.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::config::PostgresConfig;
use super::connect::Session;
use super::read::{self, Scope, StateRows};
use super::write::Writer;
use super::{failure, row};
use crate::datafile;
use crate::domain::{ChangeId, Head, Invalid, Revision};
use crate::store::{
    ChangedKeys, Delta, Import, ImportError, ImportOutcome, ImportProgress, Problem, StoreError,
    Unavailable, plan,
};

/// How long a writer waits for the one before it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the server waits for the next statement of a writer that holds the lock. An import may
/// have to plan again in between, which for a million accounts takes seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the answer to COMMIT is waited for. It has a limit of its own: an import that runs out
/// of time before has written nothing, and after may have.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

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
        Ok(Ok(Prepared::Written(session, outcome))) => {
            commit(&session).await?;
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
    let session = Session::open(&config.connector).await?;
    let client = session.client();
    let limit = config.limits.import_timeout;

    tell(progress, ImportProgress::Reading);
    let scope = Scope::of(&import);
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

    begin(client, limit).await?;
    let head = lock_head(client).await?;
    if head != planned_on {
        // Others wrote in between. Nobody can now, so this plan is the last.
        let rows = StateRows::read(client, &scope).await?;
        delta = compare(rows, &import).await?;
        if delta.is_empty() {
            statement(client, "ROLLBACK").await?;
            session.end();
            return Ok(Prepared::Unchanged(head.revision));
        }
    }
    let delta = Arc::new(delta);
    let revision = head.revision.next();
    record(client, &import, &delta, revision).await?;
    let mut writer = Writer::new(client, revision, progress)?;
    Box::pin(writer.write(&delta)).await?;
    // Here rather than in COMMIT, whose errors are harder to tell apart.
    statement(client, "SET CONSTRAINTS ALL IMMEDIATE").await?;
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

async fn statement(client: &Client, sql: &str) -> Result<(), StoreError> {
    let done = client.batch_execute(sql).await;
    done.map_err(|error| failure::statement("importing", error))
}

/// What `import` makes of the state in `rows`.
async fn compare(rows: StateRows, import: &Arc<Import>) -> Result<Delta, ImportError> {
    let import = Arc::clone(import);
    let delta = read::aside(move || {
        let state = rows.decode()?;
        Ok::<Result<Delta, Problem>, StoreError>(plan(&state, &import))
    });
    Ok(delta.await???)
}

async fn begin(client: &Client, limit: Duration) -> Result<(), StoreError> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;
        SET LOCAL lock_timeout = {};
        SET LOCAL statement_timeout = {};
        SET LOCAL idle_in_transaction_session_timeout = {}",
        LOCK_TIMEOUT.as_millis(),
        limit.as_millis(),
        IDLE_TIMEOUT.as_millis()
    );
    statement(client, &sql).await
}

/// Locks the head, and so every other writer out. A statement of its own, and the first: what is
/// read by the statement that waits for a lock is the state before the wait.
async fn lock_head(client: &Client) -> Result<Head, StoreError> {
    let rows = client
        .query_typed(
            "SELECT revision, change_id FROM policy_revision FOR UPDATE",
            &[],
        )
        .await
        .map_err(|error| failure::statement("importing", error))?;
    let row = rows
        .first()
        .ok_or_else(|| row::broken("the revision", Invalid::new("has no row")))?;
    let change: Uuid = row::column(row, 1)?;
    Ok(Head {
        revision: row::revision(row::column(row, 0)?)?,
        change: ChangeId(change.as_u128()),
    })
}

/// The revision, its entry in the history, and the word of it, which goes out with COMMIT.
///
/// The transaction is marked with the id of its change, which is what the triggers of the tables
/// ask for.
const RECORD: &str = "WITH marked AS (
        SELECT set_config('portcullis.change', $2::text, true)),
    head AS (
        UPDATE policy_revision SET revision = $1, change_id = $2),
    entry AS (
        INSERT INTO policy_change (revision, change_id, actor, caller, comment, subject_kind,
            changed_everything, changed_accounts, changed_partners, changed_catalog, before, after)
        VALUES ($1, $2, $3, '', $4, 'everything', $5, $6, $7, $8, $9, $10))
    SELECT pg_notify('portcullis_change', $1::text) FROM marked";

async fn record(
    client: &Client,
    import: &Import,
    delta: &Arc<Delta>,
    revision: Revision,
) -> Result<(), StoreError> {
    let change = Uuid::new_v4();
    let number = row::stored_revision(revision)?;
    let (everything, accounts, partners, catalog) = match delta.changed_keys() {
        ChangedKeys::Everything => (true, Vec::new(), Vec::new(), delta.touches_catalog()),
        ChangedKeys::Named {
            accounts,
            partners,
            catalog,
        } => {
            let text = |ids: std::collections::BTreeSet<_>| {
                ids.into_iter().map(String::from).collect::<Vec<_>>()
            };
            (false, text(accounts), text(partners), catalog)
        }
    };
    let (before, after) = {
        let delta = Arc::clone(delta);
        read::aside(move || datafile::history(&delta)).await?
    };
    let (before, after) = (not_null(before), not_null(after));
    let parameters: [(&(dyn ToSql + Sync), Type); 10] = [
        (&number, Type::INT8),
        (&change, Type::UUID),
        (&import.actor, Type::TEXT),
        (&import.comment, Type::TEXT),
        (&everything, Type::BOOL),
        (&accounts, Type::TEXT_ARRAY),
        (&partners, Type::TEXT_ARRAY),
        (&catalog, Type::BOOL),
        (&before, Type::JSONB),
        (&after, Type::JSONB),
    ];
    let recorded = client.query_typed(RECORD, &parameters).await;
    recorded.map_err(|error| failure::statement("importing", error))?;
    if catalog {
        let parameters = parameters.get(..2).unwrap_or_default();
        let sql = "UPDATE catalog_revision SET revision = $1, change_id = $2";
        let moved = client.execute_typed(sql, parameters).await;
        moved.map_err(|error| failure::statement("importing", error))?;
    }
    Ok(())
}

fn not_null(value: serde_json::Value) -> Option<serde_json::Value> {
    (!value.is_null()).then_some(value)
}

async fn commit(session: &Session) -> Result<(), ImportError> {
    session.expect_no_warning();
    // Every statement before was answered without an error: COMMIT of a failed transaction
    // would be answered as if all were well.
    let committed = tokio::time::timeout(COMMIT_TIMEOUT, session.client().batch_execute("COMMIT"));
    match committed.await {
        // A wait for synchronous replication that was cut off: committed here, perhaps not there.
        Ok(Ok(())) if session.was_warned() => {
            let why = "the server warned that the change may not have been replicated";
            Err(ImportError::OutcomeUnknown(why.into()))
        }
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if failure::leaves_commit_open(&error) => {
            Err(ImportError::OutcomeUnknown(error.into()))
        }
        Ok(Err(error)) => Err(failure::statement("committing", error).into()),
        Err(elapsed) => Err(ImportError::OutcomeUnknown(elapsed.into())),
    }
}
