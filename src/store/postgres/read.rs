//! Reading much: the catalogue, an export, and what an import is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::load::within;
use super::pool::Connections;
use super::row::Parameter;
use super::{failure, migrate, row};
use crate::domain::{
    AccountId, FeatureKey, Invalid, LocationId, MarketCode, Markets, Revision, Setting, SettingMap,
};
use crate::store::{
    CatalogSnapshot, ReadAt, Reading, Scope, Selection, State, StoreError, StoredPolicy,
    SubjectRevisions,
};

static HEAD: LazyLock<String> = LazyLock::new(|| {
    let (read_at, found, from) = (row::READ_AT, migrate::FOUND, row::READ_AT_FROM);
    format!("SELECT {read_at}, {found} FROM {from}")
});

const MARKETS: &str = "SELECT code, name, currency, ARRAY(
        SELECT alias FROM billing_market_alias WHERE market = code ORDER BY alias)
    FROM billing_market WHERE $1";

const LOCATIONS: &str = "SELECT id, name, metro, country, market, status FROM location
    WHERE $1::text[] IS NULL OR id = ANY($1)";

const OFFERS: &str = "SELECT location_id, product, priced, monthly_currency, monthly_units,
        monthly_nanos, setup_currency, setup_units, setup_nanos
    FROM offer WHERE $1::text[] IS NULL OR location_id = ANY($1)
    ORDER BY location_id, position";

/// Accounts with the revision of their last change: all where `$1` is null, else the accounts `$1`,
/// those that the partners `$2` manage, one that each of the partners `$3` manages, and the partners
/// of all of these.
static ALL_ACCOUNTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {}, revision FROM account", row::ACCOUNT));

static SOME_ACCOUNTS: LazyLock<String> = LazyLock::new(|| {
    let account = format!("{}, revision", row::ACCOUNT);
    format!(
        "WITH named AS (
            SELECT {account} FROM account WHERE id = ANY($1)
            UNION SELECT {account} FROM account WHERE partner_id = ANY($2)
            UNION SELECT one.* FROM unnest($3::text[]) manager (manager_id) CROSS JOIN LATERAL (
                SELECT {account} FROM account WHERE partner_id = manager_id ORDER BY id LIMIT 1
            ) one)
        SELECT {account} FROM named
        UNION SELECT {account} FROM account WHERE id IN (SELECT partner_id FROM named)"
    )
});

/// Two conditions in one, with OR, would be answered by reading the whole table.
const ACCOUNT_SETTINGS: &str = "SELECT account_id, feature, setting FROM account_setting
        WHERE $1::text[] IS NULL OR account_id = ANY($1)
    UNION SELECT account_id, feature, setting FROM account_setting
        WHERE account_id IN (SELECT id FROM account WHERE partner_id = ANY($2))";

const POLICY_REVISIONS: &str = "SELECT partner_id, revision FROM partner_policy
    WHERE $1::text[] IS NULL OR partner_id = ANY($1)";

const PARTNER_SETTINGS: &str = "SELECT partner_id, feature, setting FROM partner_setting
    WHERE $1::text[] IS NULL OR partner_id = ANY($1)";

const PARTNER_MARKETS: &str = "SELECT partner_id, market FROM partner_market
    WHERE $1::text[] IS NULL OR partner_id = ANY($1)";

const ONE_ENABLING: &str = "SELECT DISTINCT ON (market) partner_id, market FROM partner_market
    WHERE market = ANY($1) ORDER BY market, partner_id";

/// Where the revision stands behind [`row::ACCOUNT`].
const REVISION_OF_ACCOUNT: usize = 5;

pub(super) async fn query(
    client: &Client,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, StoreError> {
    let rows = client.query_typed(sql, parameters).await;
    rows.map_err(|error| failure::statement("reading policies", error))
}

/// Reads the head. Fails where the schema does not fit.
pub(super) async fn head(client: &Client) -> Result<ReadAt, StoreError> {
    let rows = query(client, &HEAD, &[]).await?;
    let row = rows
        .first()
        .ok_or_else(|| row::broken("the revision", Invalid::new("has no row")))?;
    migrate::check(row, 5)?;
    row::read_at(row, 0)
}

/// Begins a transaction in which every statement reads one and the same snapshot.
pub(super) async fn begin_snapshot(client: &Client, limit: Duration) -> Result<(), StoreError> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}",
        limit.as_millis()
    );
    let begun = client.batch_execute(&sql).await;
    begun.map_err(|error| failure::statement("reading policies", error))
}

/// Ends the transaction of [`begin_snapshot`].
pub(super) async fn end_snapshot(client: &Client) -> Result<(), StoreError> {
    let ended = client.batch_execute("COMMIT").await;
    ended.map_err(|error| failure::statement("reading policies", error))
}

/// Rows, not looked at yet: making values of many takes long enough to be done elsewhere.
#[derive(Debug)]
pub(super) struct StateRows {
    at: ReadAt,
    markets: Vec<Row>,
    locations: Vec<Row>,
    offers: Vec<Row>,
    accounts: Vec<Row>,
    account_settings: Vec<Row>,
    policy_revisions: Vec<Row>,
    partner_settings: Vec<Row>,
    partner_markets: Vec<Row>,
    one_enabling: Vec<Row>,
}

/// Names as a parameter; none stands for all.
fn named<T: ToString>(selection: &Selection<T>) -> Option<Vec<String>> {
    match selection {
        Selection::Named(names) => Some(names.iter().map(T::to_string).collect()),
        Selection::All => None,
    }
}

impl StateRows {
    /// Reads what is in `scope`, by several statements, sent one behind the other without waiting:
    /// the caller sees to it that nothing changes in between, by one snapshot or by the lock.
    pub(super) async fn read(client: &Client, scope: &Scope) -> Result<Self, StoreError> {
        let texts = |ids: &BTreeSet<AccountId>| -> Vec<String> {
            ids.iter().map(AccountId::to_string).collect()
        };
        let (ids, locations) = (named(&scope.accounts), named(&scope.locations));
        let (managed_by, any_managed_by) = (texts(&scope.managed_by), texts(&scope.any_managed_by));
        let enabling: Vec<&str> = scope.any_enabling.iter().map(MarketCode::as_str).collect();
        let text = Type::TEXT_ARRAY;

        let of_ids: [Parameter<'_>; 1] = [(&ids, text.clone())];
        let of_managed: [Parameter<'_>; 2] = [(&ids, text.clone()), (&managed_by, text.clone())];
        let of_all: [Parameter<'_>; 3] = [
            (&ids, text.clone()),
            (&managed_by, text.clone()),
            (&any_managed_by, text.clone()),
        ];
        let of_locations: [Parameter<'_>; 1] = [(&locations, text.clone())];
        let of_markets: [Parameter<'_>; 1] = [(&scope.markets, Type::BOOL)];
        let of_enabling: [Parameter<'_>; 1] = [(&enabling, text)];
        let (accounts, parameters): (&str, &[Parameter<'_>]) = match ids {
            None => (&ALL_ACCOUNTS, &[]),
            Some(_) => (&SOME_ACCOUNTS, &of_all),
        };
        let (at, markets, locations, offers, accounts) = futures_util::try_join!(
            head(client),
            query(client, MARKETS, &of_markets),
            query(client, LOCATIONS, &of_locations),
            query(client, OFFERS, &of_locations),
            query(client, accounts, parameters),
        )?;
        let (own, revisions, wide, enabled, one_enabling) = futures_util::try_join!(
            query(client, ACCOUNT_SETTINGS, &of_managed),
            query(client, POLICY_REVISIONS, &of_ids),
            query(client, PARTNER_SETTINGS, &of_ids),
            query(client, PARTNER_MARKETS, &of_ids),
            query(client, ONE_ENABLING, &of_enabling),
        )?;
        Ok(Self {
            at,
            markets,
            locations,
            offers,
            accounts,
            account_settings: own,
            policy_revisions: revisions,
            partner_settings: wide,
            partner_markets: enabled,
            one_enabling,
        })
    }

    /// The rows as values. What is read whole is either whole or an error.
    pub(super) fn decode(&self) -> Result<Reading, StoreError> {
        let mut state = State::default();
        let mut revisions = SubjectRevisions::default();
        self.decode_catalog(&mut state)?;
        for row in &self.accounts {
            let account = row::account(row, 0)?.map_err(|why| {
                let id: &str = row.try_get(0).unwrap_or_default();
                row::broken(format!("account `{id}`"), why)
            })?;
            let id = account.id.clone();
            let revision = row::revision(row::column(row, REVISION_OF_ACCOUNT)?)?;
            revisions.accounts.insert(id.clone(), revision);
            state.accounts.insert(id, account);
        }
        for row in &self.account_settings {
            let (account, (key, setting)) = setting(row)?;
            let own: &mut SettingMap = state.account_settings.entry(account).or_default();
            own.insert(key, setting);
        }
        for row in &self.policy_revisions {
            let (partner, revision) = policy_revision(row)?;
            revisions.policies.insert(partner, revision);
        }
        for row in &self.partner_settings {
            let (partner, (key, setting)) = setting(row)?;
            let policy: &mut StoredPolicy = state.policies.entry(partner).or_default();
            policy.settings.insert(key, setting);
        }
        for row in self.partner_markets.iter().chain(&self.one_enabling) {
            let (partner, market) = market(row)?;
            let policy = state.policies.entry(partner).or_default();
            policy.markets.insert(market);
        }
        Ok(Reading {
            at: self.at,
            state,
            revisions,
        })
    }

    fn decode_catalog(&self, state: &mut State) -> Result<(), StoreError> {
        for row in &self.markets {
            let market = row::market(row)?;
            state.markets.insert(market.code, market);
        }
        let mut locations: BTreeMap<LocationId, _> = BTreeMap::new();
        for row in &self.locations {
            let location = row::location(row)?;
            locations.insert(location.id.clone(), location);
        }
        for row in &self.offers {
            let (id, offer) = row::offer(row)?;
            // The foreign key is gone, or so is a location that was there a statement ago.
            let location = locations.get_mut(id).ok_or_else(|| {
                row::broken(format!("location `{id}`"), Invalid::new("is missing"))
            })?;
            location.offers.push(offer);
        }
        state.locations = locations;
        Ok(())
    }
}

fn policy_revision(row: &Row) -> Result<(AccountId, Revision), StoreError> {
    let id: &str = row::column(row, 0)?;
    let revision = row::revision(row::column(row, 1)?)?;
    let id = AccountId::try_from(id)
        .map_err(|why| row::broken(format!("the policy of account `{id}`"), why))?;
    Ok((id, revision))
}

/// Whose setting it is, and what is set.
fn setting(row: &Row) -> Result<(AccountId, (FeatureKey, Setting)), StoreError> {
    let id: &str = row::column(row, 0)?;
    let read = || -> Result<_, Invalid> {
        let pair = (row.try_get(1).ok(), row.try_get(2).ok());
        let (Some(feature), Some(setting)) = pair else {
            return Err(Invalid::new("a setting is no text"));
        };
        Ok((AccountId::try_from(id)?, row::setting(feature, setting)?))
    };
    read().map_err(|why| row::broken(format!("settings of account `{id}`"), why))
}

/// Which partner enables it, and the market.
fn market(row: &Row) -> Result<(AccountId, MarketCode), StoreError> {
    let id: &str = row::column(row, 0)?;
    let market: &str = row::column(row, 1)?;
    let read = || Ok((AccountId::try_from(id)?, MarketCode::try_from(market)?));
    read().map_err(|why| row::broken(format!("markets of account `{id}`"), why))
}

/// Runs `work`, which computes for long, where it holds up nobody.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Broken {
            what: "a computation was cut off".to_owned(),
            source: Some(Box::new(error)),
        })
}

/// Reads what is in `scope`, from one snapshot.
pub(super) async fn reading(
    connections: &Connections,
    limit: Duration,
    scope: &Scope,
) -> Result<Reading, StoreError> {
    within(limit, async {
        let lease = connections.lease(limit).await?;
        let client = lease.client()?;
        let rows = async {
            begin_snapshot(client, limit).await?;
            let rows = StateRows::read(client, scope).await?;
            end_snapshot(client).await?;
            Ok(rows)
        };
        let rows: Result<StateRows, StoreError> = rows.await;
        let rows = lease.end(rows)?;
        aside(move || rows.decode()).await?
    })
    .await
}

/// Reads markets and locations.
pub(super) async fn catalog(
    connections: &Connections,
    limit: Duration,
) -> Result<CatalogSnapshot, StoreError> {
    let scope = Scope {
        markets: true,
        locations: Selection::All,
        ..Scope::default()
    };
    let Reading { at, state, .. } = reading(connections, limit, &scope).await?;
    let markets = Markets::new(state.markets).map_err(|conflict| StoreError::Broken {
        what: "stored data is broken: billing markets cannot stand together".to_owned(),
        source: Some(conflict.into()),
    })?;
    Ok(CatalogSnapshot {
        at,
        markets,
        locations: state.locations.into_values().collect(),
    })
}

/// Reads everything.
pub(super) async fn export(
    connections: &Connections,
    limit: Duration,
) -> Result<State, StoreError> {
    let reading = reading(connections, limit, &Scope::all()).await?;
    Ok(reading.state)
}
