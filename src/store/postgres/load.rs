//! What a decision needs, in one statement.
//!
//! INVARIANT(prefix-snapshot): a plain statement reads one snapshot, so the revision that it
//! returns is that of all else in it. Two statements, a function that queries, or a locking
//! clause could each read another one.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::pool::Connections;
use super::{failure, row};
use crate::domain::{AccountId, Invalid, MarketCode, SettingMap};
use crate::store::{AccountRecord, MarketSet, Snapshot, StoreError, StoredPolicy, Unavailable};

/// Three kinds of rows: the head, an account with its settings, a partner with its policy. A
/// policy comes once, however many of the accounts it is for.
static LOAD: LazyLock<String> = LazyLock::new(|| {
    let (read_at, read_at_from, account) = (row::READ_AT, row::READ_AT_FROM, row::ACCOUNT);
    format!(
        "WITH found AS MATERIALIZED (SELECT {account} FROM account WHERE id = ANY($1))
        SELECT 'head', {read_at},
            NULL::text, NULL::text, NULL::text, NULL::text, NULL::text,
            NULL::text[], NULL::text[], NULL::text[]
        FROM {read_at_from}
        UNION ALL
        SELECT 'account', NULL, NULL, NULL, NULL, NULL, {account}, features, settings, NULL
        FROM found CROSS JOIN LATERAL (
            SELECT array_agg(feature) AS features, array_agg(setting) AS settings
            FROM account_setting WHERE account_id = found.id) own
        UNION ALL
        SELECT 'policy', NULL, NULL, NULL, NULL, NULL, id, NULL, NULL, NULL, NULL,
            features, settings, markets
        FROM account CROSS JOIN LATERAL (
            SELECT array_agg(feature) AS features, array_agg(setting) AS settings
            FROM partner_setting WHERE partner_id = account.id) chosen
        CROSS JOIN LATERAL (
            SELECT array_agg(market) AS markets
            FROM partner_market WHERE partner_id = account.id) enabled
        WHERE kind = 'partner' AND id IN (SELECT partner_id FROM found)"
    )
});

/// Where [`LOAD`]'s columns begin.
mod at {
    pub(super) const HEAD: usize = 1;
    pub(super) const ACCOUNT: usize = HEAD + 5;
    pub(super) const FEATURES: usize = ACCOUNT + 5;
    pub(super) const SETTINGS: usize = FEATURES + 1;
    pub(super) const MARKETS: usize = SETTINGS + 1;
}

/// Ends `work` after `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Unavailable::Timeout(limit).into()),
    }
}

/// Reads accounts with all that they are judged by.
pub(super) async fn load(
    connections: &Connections,
    limit: Duration,
    accounts: &[AccountId],
) -> Result<Snapshot, StoreError> {
    let ids: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    let rows = within(limit, async {
        let lease = connections.lease(limit).await?;
        let rows = lease
            .client()?
            .query_typed(&LOAD, &[(&ids, Type::TEXT_ARRAY)])
            .await
            .map_err(|error| failure::statement("loading accounts", error));
        lease.end(rows)
    })
    .await?;
    snapshot(&rows)
}

fn snapshot(rows: &[Row]) -> Result<Snapshot, StoreError> {
    let mut read_at = None;
    let mut accounts = BTreeMap::new();
    let mut policies = BTreeMap::new();
    for row in rows {
        match row::column::<&str>(row, 0)? {
            "head" => read_at = Some(row::read_at(row, at::HEAD)?),
            "account" => {
                let id: &str = row::column(row, at::ACCOUNT)?;
                // Found by an id that is one.
                if let Ok(id) = AccountId::try_from(id) {
                    accounts.insert(id, record(row)?);
                }
            }
            _ => {
                let id: &str = row::column(row, at::ACCOUNT)?;
                // INVARIANT(fail-closed): a policy that cannot be read is left out, which makes
                // its accounts inconsistent. An empty one would be a decision.
                if let (Ok(id), Ok(policy)) = (AccountId::try_from(id), policy(row)?) {
                    policies.insert(id, policy);
                }
            }
        }
    }
    Ok(Snapshot {
        at: read_at.ok_or_else(no_head)?,
        accounts,
        policies,
    })
}

fn record(row: &Row) -> Result<AccountRecord, StoreError> {
    let account = row::account(row, at::ACCOUNT)?;
    let settings = settings(row)?;
    Ok(match (account, settings) {
        (Ok(account), Ok(settings)) => AccountRecord::Sound { account, settings },
        (Err(_), _) | (_, Err(_)) => AccountRecord::Broken,
    })
}

fn policy(row: &Row) -> Result<Result<StoredPolicy, Invalid>, StoreError> {
    let markets: Option<Vec<&str>> = row::column(row, at::MARKETS)?;
    let markets: Result<MarketSet, Invalid> = markets
        .unwrap_or_default()
        .into_iter()
        .map(MarketCode::try_from)
        .collect();
    let settings = settings(row)?;
    Ok(settings.and_then(|settings| {
        Ok(StoredPolicy {
            settings,
            markets: markets?,
        })
    }))
}

fn settings(row: &Row) -> Result<Result<SettingMap, Invalid>, StoreError> {
    let features: Option<Vec<&str>> = row::column(row, at::FEATURES)?;
    let settings: Option<Vec<&str>> = row::column(row, at::SETTINGS)?;
    let pairs = features
        .unwrap_or_default()
        .into_iter()
        .zip(settings.unwrap_or_default());
    Ok(pairs
        .map(|(feature, setting)| row::setting(feature, setting))
        .collect())
}

pub(super) fn no_head() -> StoreError {
    row::broken("the revision", Invalid::new("has no row"))
}
