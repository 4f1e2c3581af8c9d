//! By which matrix replicas decide: noted so that one which decides by another is noticed.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::load::within;
use super::pool::Connections;
use super::{failure, row};
use crate::store::StoreError;

/// Whether `$1` is what was noted last. Read first, so that a replica that starts as the others did
/// writes nothing, and needs no right to.
const IS_NOTED: &str = "SELECT digest IS NOT DISTINCT FROM $1 FROM matrix_seen LIMIT 1";

/// Of replicas that start at once, one waits for the other's row and then finds its own digest there.
/// That the first one of all is noted is no change.
const NOTE: &str = "WITH noted AS (
        UPDATE matrix_seen SET digest = $1, changes = changes + (digest IS NOT NULL)::int,
            changed_at = CASE WHEN digest IS NOT NULL
                THEN (SELECT revision FROM policy_revision LIMIT 1) END
        WHERE digest IS DISTINCT FROM $1 RETURNING 1)
    SELECT pg_notify('portcullis_change', (SELECT revision FROM policy_revision LIMIT 1)::text)
    FROM noted";

/// Notes that a replica decides by the matrix with this digest.
pub(super) async fn announce(
    connections: &Connections,
    limit: Duration,
    digest: &str,
) -> Result<(), StoreError> {
    within(limit, async {
        let lease = connections.lease(limit).await?;
        let client = lease.client()?;
        let noted = async {
            let failed = |error| failure::statement("noting the matrix", error);
            let digest = (
                &digest as &(dyn tokio_postgres::types::ToSql + Sync),
                Type::TEXT,
            );
            let rows = client.query_typed(IS_NOTED, std::slice::from_ref(&digest));
            let rows = rows.await.map_err(failed)?;
            let is_noted = match rows.first() {
                Some(row) => row::column(row, 0)?,
                None => false,
            };
            if !is_noted {
                let noted = client.query_typed(NOTE, &[digest]).await;
                noted.map_err(failed)?;
            }
            Ok(())
        };
        let noted = noted.await;
        lease.end(noted)
    })
    .await
}
