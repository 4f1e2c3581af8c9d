//! The look at the present revision and at the changes that led to it: one statement.
//!
//! INVARIANT(prefix-snapshot): a plain statement reads one snapshot, so the changes are those that
//! lead to the revision beside them, without a gap.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::watch;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::load::{no_head, within};
use super::pool::Connections;
use super::{failure, migrate, row};
use crate::domain::{AccountId, ChangeId, Head};
use crate::store::{
    ChangeEntry, ChangeSubject, ChangedKeys, MAX_POLLED, Poll, SchemaFigures, StoreError,
};

/// The head, the stored id of the change that made revision `$1`, the schema, how often the matrix
/// changed, and a change in each row: the first ones after `$1`, or the last ones of all. There is a
/// row without a change where there is none.
///
/// Revisions have no gap, so that these are the changes of one range of numbers: no more of a long
/// history is read, whatever the planner knows of the table.
static POLL: LazyLock<String> = LazyLock::new(|| {
    let (read_at, found, from) = (row::READ_AT, migrate::FOUND, row::READ_AT_FROM);
    format!(
        "SELECT {read_at}, (SELECT change_id FROM policy_change WHERE revision = $1), {found},
            (SELECT changes FROM matrix_seen LIMIT 1),
            (SELECT changed_at FROM matrix_seen LIMIT 1),
            change.revision, change.change_id, subject_kind, subject_id,
            changed_everything,
            CASE WHEN recalled THEN '{{}}' ELSE changed_accounts END,
            CASE WHEN recalled THEN '{{}}' ELSE changed_partners END,
            changed_catalog
        FROM {from}
        CROSS JOIN LATERAL (
            SELECT coalesce($1, greatest(head.revision - {MAX_POLLED}, 0)) AS after) since
        LEFT JOIN policy_change change
            ON change.revision > since.after AND change.revision <= since.after + {MAX_POLLED}
        CROSS JOIN LATERAL (SELECT $1 IS NULL AND subject_kind = 'everything' AS recalled) recall
        ORDER BY change.revision"
    )
});

/// The last revision that can be asked about.
const LAST_ASKED: u64 = (i64::MAX as u64) - (MAX_POLLED as u64);

/// Where [`POLL`]'s columns begin.
mod at {
    pub(super) const SEEN: usize = 5;
    pub(super) const FOUND: usize = SEEN + 1;
    pub(super) const MATRIX_CHANGES: usize = FOUND + 2;
    pub(super) const REVISION: usize = MATRIX_CHANGES + 2;
    pub(super) const CHANGE: usize = REVISION + 1;
    pub(super) const SUBJECT: usize = CHANGE + 1;
    pub(super) const KEYS: usize = SUBJECT + 2;
}

/// Looks at the present revision, notes the `schema` that is there, and says whether the schema is one that this program reads.
pub(super) async fn poll(
    connections: &Connections,
    limit: Duration,
    seen: Option<Head>,
    schema: &watch::Sender<Option<SchemaFigures>>,
) -> Result<Poll, StoreError> {
    // Of numbers beyond there is no change, and the sum in the statement would be none.
    let seen = seen.map(|seen| seen.revision.0.min(LAST_ASKED).cast_signed());
    let rows = within(limit, async {
        let lease = connections.lease(limit).await?;
        let rows = lease
            .client()?
            .query_typed(&POLL, &[(&seen, Type::INT8)])
            .await
            .map_err(|error| failure::statement("looking at the revision", error));
        lease.end(rows)
    })
    .await;
    // A table is missing, or a column: of a schema that there is none of, or that is too new.
    if let Err(StoreError::Schema(_)) = rows {
        schema.send_modify(|seen| match seen {
            Some(seen) => seen.fits = false,
            None => *seen = Some(migrate::MISSING),
        });
    }
    let rows = rows?;
    if let Some(first) = rows.first() {
        schema.send_replace(Some(migrate::figures(first, at::FOUND)?));
    }
    read(&rows)
}

fn read(rows: &[Row]) -> Result<Poll, StoreError> {
    let first = rows.first().ok_or_else(no_head)?;
    migrate::check(first, at::FOUND)?;
    let seen: Option<Uuid> = row::column(first, at::SEEN)?;
    // Only compared with what it was before, so that its sign does not matter.
    let matrix_changes: Option<i64> = row::column(first, at::MATRIX_CHANGES)?;
    let matrix_changed_at: Option<i64> = row::column(first, at::MATRIX_CHANGES + 1)?;
    let changes = rows.iter().map(change).filter_map(Result::transpose);
    Ok(Poll {
        at: row::read_at(first, 0)?,
        seen: seen.map(|id| ChangeId(id.as_u128())),
        changes: changes.collect::<Result<_, _>>()?,
        matrix_changes: matrix_changes.unwrap_or_default().unsigned_abs(),
        matrix_changed_at: matrix_changed_at.map(row::revision).transpose()?,
    })
}

/// The change in a row, if there is one.
fn change(row: &Row) -> Result<Option<ChangeEntry>, StoreError> {
    let Some(revision) = row::column(row, at::REVISION)? else {
        return Ok(None);
    };
    let change: Uuid = row::column(row, at::CHANGE)?;
    Ok(Some(ChangeEntry {
        head: Head {
            revision: row::revision(revision)?,
            change: ChangeId(change.as_u128()),
        },
        subject: subject(row)?,
        keys: keys(row)?,
    }))
}

/// INVARIANT(fail-closed): a subject that cannot be read is everything, and so are keys. A change
/// that was left out would leave what it made wrong in every cache.
fn subject(row: &Row) -> Result<ChangeSubject, StoreError> {
    let kind: &str = row::column(row, at::SUBJECT)?;
    let id: Option<&str> = row::column(row, at::SUBJECT + 1)?;
    Ok(row::subject(kind, id).unwrap_or(ChangeSubject::Everything))
}

fn keys(row: &Row) -> Result<ChangedKeys, StoreError> {
    let everything: Option<bool> = row::column(row, at::KEYS)?;
    let accounts = ids(row, at::KEYS + 1)?;
    let partners = ids(row, at::KEYS + 2)?;
    let catalog: Option<bool> = row::column(row, at::KEYS + 3)?;
    Ok(match (everything, accounts, partners, catalog) {
        (Some(false), Some(accounts), Some(partners), Some(catalog)) => ChangedKeys::Named {
            accounts,
            partners,
            catalog,
        },
        _ => ChangedKeys::Everything,
    })
}

fn ids(row: &Row, index: usize) -> Result<Option<BTreeSet<AccountId>>, StoreError> {
    let ids: Option<Vec<Option<&str>>> = row::column(row, index)?;
    let read = |id: Option<&str>| AccountId::try_from(id?).ok();
    Ok(ids.and_then(|ids| ids.into_iter().map(read).collect()))
}
