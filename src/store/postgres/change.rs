//! A write of PolicyService: lock, look, plan, write, commit.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

use super::answers;
use super::load::within;
use super::pool::{Connections, Lease};
use super::read::StateRows;
use super::transaction::{self, NotCommitted, Patience};
use super::write::Writer;
use crate::store::{
    By, ChangeDraft, Delta, Reading, StoreError, Unavailable, WriteError, WritePlan, WriteRequest,
    Written, plan_write,
};

/// How long the server lets a writer take who holds the lock, so that one that hangs does not stop
/// all others for long.
const PATIENCE: Patience = Patience {
    statement: Duration::from_secs(5),
    idle: Duration::from_secs(5),
};

/// How long a write may take before it is committed, waiting for a connection included.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be done with the transaction.
enum Prepared {
    /// To commit.
    Commit(Written),
    /// To roll back: nothing changes, or it was answered before.
    RollBack(Written),
}

/// Runs a write to its end, whoever still waits for it: it must not be cut off in COMMIT.
pub(super) async fn run(
    connections: &Connections,
    request: &Arc<WriteRequest>,
) -> Result<Written, WriteError> {
    let prepared = tokio::time::timeout(WRITE_TIMEOUT, async {
        let lease = connections.lease(WRITE_TIMEOUT).await?;
        let prepared = prepare(lease.client()?, request).await;
        Ok::<_, WriteError>((lease, prepared))
    });
    let (lease, prepared) = match prepared.await {
        Ok(prepared) => prepared?,
        Err(_elapsed) => return Err(StoreError::from(Unavailable::Timeout(WRITE_TIMEOUT)).into()),
    };
    match prepared {
        Ok(Prepared::Commit(written)) => {
            let committed = transaction::commit(lease.session()?).await;
            lease.end(committed).map_err(|why| match why {
                NotCommitted::Failed(error) => WriteError::Store(error),
                NotCommitted::Unknown(why) => WriteError::OutcomeUnknown(why),
            })?;
            Ok(written)
        }
        Ok(Prepared::RollBack(written)) => {
            roll_back(lease).await;
            Ok(written)
        }
        Err(WriteError::Refused(refusal)) => {
            roll_back(lease).await;
            Err(refusal.into())
        }
        // The connection goes with the lease, and the transaction with the connection.
        Err(error) => Err(error),
    }
}

/// Ends a transaction that has written nothing. A connection on which that fails is closed, which
/// ends it too.
async fn roll_back(lease: Lease) {
    let ended = match lease.client() {
        Ok(client) => {
            within(
                PATIENCE.statement,
                transaction::statement(client, "ROLLBACK"),
            )
            .await
        }
        Err(error) => Err(error),
    };
    let _ = lease.end(ended);
}

async fn prepare(client: &Client, request: &Arc<WriteRequest>) -> Result<Prepared, WriteError> {
    let head = transaction::begin(client, PATIENCE).await?;
    if let Some(written) = answers::find(client, request).await? {
        return Ok(Prepared::RollBack(written));
    }
    let current = StateRows::read(client, &request.write.scope()).await?;
    let planned = Arc::clone(request);
    let planned = super::read::aside(move || plan(&current, &planned)).await??;
    let Planned {
        delta,
        draft,
        mut written,
    } = planned;
    if delta.is_empty() {
        if request.idempotency.is_none() {
            return Ok(Prepared::RollBack(written));
        }
    } else {
        let revision = head.revision.next();
        written.revision = revision;
        transaction::record(client, &draft, revision, delta.touches_catalog()).await?;
        let mut writer = Writer::new(client, revision, None)?;
        Box::pin(writer.write(&delta)).await?;
        transaction::check_constraints(client).await?;
    }
    answers::keep(client, request, &written).await?;
    Ok(Prepared::Commit(written))
}

/// What a write comes to.
struct Planned {
    delta: Delta,
    draft: ChangeDraft,
    /// The answer where nothing changes: with the revision of the subject as it is.
    written: Written,
}

/// Plans: off the threads that serve, for ten thousand locations take their time.
fn plan(rows: &StateRows, request: &WriteRequest) -> Result<Planned, WriteError> {
    let current: Reading = rows.decode()?;
    let WritePlan { delta, now } = plan_write(&current, request)?;
    let subject = request.write.subject();
    let written = Written {
        revision: current.revision_of(&subject),
        now,
    };
    let by = By {
        actor: request.actor.clone(),
        caller: request.caller.clone(),
        comment: request.comment.clone(),
    };
    let draft = ChangeDraft::new(&current.state, &delta, subject, by);
    Ok(Planned {
        delta,
        draft,
        written,
    })
}
