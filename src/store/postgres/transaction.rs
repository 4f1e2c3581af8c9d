//! The transaction of a change: lock, revision, entry in the history, commit.
//!
//! INVARIANT(lock-first): the head is locked by a statement of its own, before anything is read
//! that the change depends on: the statement that waits for a lock reads the state before the wait.
//!
//! INVARIANT(checked-commit): COMMIT is sent only after every statement was answered without an
//! error, for COMMIT of a failed transaction is answered as if all were well.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::connect::Session;
use super::row::Parameter;
use super::{failure, row};
use crate::domain::{AccountId, ChangeId, Head, Invalid, Revision};
use crate::store::{ChangeDraft, ChangeSubject, ChangedKeys, StoreError};

/// How long a writer waits for the one before it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the answer to COMMIT is waited for. It has a limit of its own: a change that runs out of
/// time before has written nothing, and after may have.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server lets a writer take who holds the lock: others wait for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For one statement.
    pub(super) statement: Duration,
    /// For the next statement to come.
    pub(super) idle: Duration,
}

/// Why nothing was committed, or perhaps.
pub(super) enum NotCommitted {
    /// Nothing was written.
    Failed(StoreError),
    /// It may have been committed.
    Unknown(Box<dyn std::error::Error + Send + Sync>),
}

/// A statement without parameters and without an answer.
pub(super) async fn statement(client: &Client, sql: &str) -> Result<(), StoreError> {
    let done = client.batch_execute(sql).await;
    done.map_err(|error| failure::statement("writing", error))
}

/// Begins a change and locks every other writer out.
pub(super) async fn begin(client: &Client, patience: Patience) -> Result<Head, StoreError> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;
        SET LOCAL lock_timeout = {};
        SET LOCAL statement_timeout = {};
        SET LOCAL idle_in_transaction_session_timeout = {}",
        LOCK_TIMEOUT.as_millis(),
        patience.statement.as_millis(),
        patience.idle.as_millis()
    );
    statement(client, &sql).await?;
    let rows = client
        .query_typed(
            "SELECT revision, change_id FROM policy_revision FOR UPDATE",
            &[],
        )
        .await
        .map_err(failure::locking)?;
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
            subject_id, partners, changed_everything, changed_accounts, changed_partners,
            changed_catalog, before, after)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14))
    SELECT pg_notify('portcullis_change', $1::text) FROM marked";

/// Records a change as `revision`. The rows that it changes come after this.
pub(super) async fn record(
    client: &Client,
    draft: &ChangeDraft,
    revision: Revision,
    touches_catalog: bool,
) -> Result<(), StoreError> {
    let change = Uuid::new_v4();
    let number = row::stored_revision(revision)?;
    let (kind, id) = match &draft.subject {
        ChangeSubject::Account(id) => ("account", Some(id.as_str())),
        ChangeSubject::Partner(id) => ("partner", Some(id.as_str())),
        ChangeSubject::Catalog => ("catalog", None),
        ChangeSubject::Everything => ("everything", None),
    };
    let (everything, accounts, partners) = match &draft.keys {
        ChangedKeys::Everything => (true, Vec::new(), Vec::new()),
        ChangedKeys::Named {
            accounts, partners, ..
        } => (false, texts(accounts), texts(partners)),
    };
    let history = texts(&draft.partners);
    let [before, after] =
        [&draft.before, &draft.after].map(|side| (!side.is_null()).then_some(side));
    let parameters: [Parameter<'_>; 14] = [
        (&number, Type::INT8),
        (&change, Type::UUID),
        (&draft.by.actor, Type::TEXT),
        (&draft.by.caller, Type::TEXT),
        (&draft.by.comment, Type::TEXT),
        (&kind, Type::TEXT),
        (&id, Type::TEXT),
        (&history, Type::TEXT_ARRAY),
        (&everything, Type::BOOL),
        (&accounts, Type::TEXT_ARRAY),
        (&partners, Type::TEXT_ARRAY),
        (&touches_catalog, Type::BOOL),
        (&before, Type::JSONB),
        (&after, Type::JSONB),
    ];
    let recorded = client.query_typed(RECORD, &parameters).await;
    recorded.map_err(|error| failure::statement("writing", error))?;
    if touches_catalog {
        let parameters = parameters.get(..2).unwrap_or_default();
        let sql = "UPDATE catalog_revision SET revision = $1, change_id = $2";
        let moved = client.execute_typed(sql, parameters).await;
        moved.map_err(|error| failure::statement("writing", error))?;
    }
    Ok(())
}

fn texts<'a>(ids: impl IntoIterator<Item = &'a AccountId>) -> Vec<&'a str> {
    ids.into_iter().map(AccountId::as_str).collect()
}

/// Has the server check now what it would check at COMMIT, whose errors are harder to tell apart.
pub(super) async fn check_constraints(client: &Client) -> Result<(), StoreError> {
    statement(client, "SET CONSTRAINTS ALL IMMEDIATE").await
}

/// Commits.
pub(super) async fn commit(session: &Session) -> Result<(), NotCommitted> {
    session.expect_no_warning();
    let committed = tokio::time::timeout(COMMIT_TIMEOUT, session.client().batch_execute("COMMIT"));
    match committed.await {
        // A wait for synchronous replication that was cut off: committed here, perhaps not there.
        Ok(Ok(())) if session.was_warned() => {
            let why = "the server warned that the change may not have been replicated";
            Err(NotCommitted::Unknown(why.into()))
        }
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if failure::leaves_commit_open(&error) => {
            Err(NotCommitted::Unknown(error.into()))
        }
        Ok(Err(error)) => Err(NotCommitted::Failed(failure::statement(
            "committing",
            error,
        ))),
        Err(elapsed) => Err(NotCommitted::Unknown(elapsed.into())),
    }
}
