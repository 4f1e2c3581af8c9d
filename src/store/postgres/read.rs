//! Reading much: the catalogue, an export, and what an import is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::load::within;
use super::pool::Connections;
use super::{failure, migrate, row};
use crate::domain::{
    AccountId, AccountKind, FeatureKey, Invalid, LocationId, MarketCode, Markets, Setting,
    SettingMap,
};
use crate::store::{CatalogSnapshot, Import, ImportMode, ReadAt, State, StoreError, StoredPolicy};

/// What of a store is read. `None` stands for all.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// These accounts with their settings and policies, and their partners.
    accounts: Option<Vec<String>>,
    /// The managed accounts of these partners.
    managed_by: Vec<String>,
    /// These locations.
    locations: Option<Vec<String>>,
}

impl Scope {
    /// What [`crate::store::plan()`] has to know to plan `import`.
    pub(super) fn of(import: &Import) -> Self {
        match import.mode {
            ImportMode::Replace => return Self::default(),
            ImportMode::Merge => {}
        }
        let accounts = import.accounts.iter().map(|account| &account.value);
        let policies = import.policies.iter().map(|policy| &policy.value);
        let named: BTreeSet<&AccountId> = accounts
            .clone()
            .flat_map(|account| [Some(&account.id), account.partner()])
            .flatten()
            .chain(policies.clone().map(|policy| &policy.partner))
            .chain(policies.flat_map(|policy| policy.accounts.iter().map(|own| &own.value.account)))
            .collect();
        let other_kind = accounts.filter(|account| !matches!(account.kind, AccountKind::Partner));
        let locations = import.locations.iter();
        Self {
            accounts: Some(named.into_iter().map(AccountId::to_string).collect()),
            managed_by: other_kind.map(|account| account.id.to_string()).collect(),
            locations: Some(
                locations
                    .map(|location| location.value.id.to_string())
                    .collect(),
            ),
        }
    }
}

static HEAD: LazyLock<String> = LazyLock::new(|| {
    let (read_at, found, from) = (row::READ_AT, migrate::FOUND, row::READ_AT_FROM);
    format!("SELECT {read_at}, {found} FROM {from}")
});

const MARKETS: &str = "SELECT code, name, currency, ARRAY(
        SELECT alias FROM billing_market_alias WHERE market = code ORDER BY alias)
    FROM billing_market";

const LOCATIONS: &str = "SELECT id, name, metro, country, market, status FROM location
    WHERE $1::text[] IS NULL OR id = ANY($1)";

const OFFERS: &str = "SELECT location_id, product, priced, monthly_currency, monthly_units,
        monthly_nanos, setup_currency, setup_units, setup_nanos
    FROM offer WHERE $1::text[] IS NULL OR location_id = ANY($1)
    ORDER BY location_id, position";

static ALL_ACCOUNTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM account", row::ACCOUNT));

/// The accounts `$1`, those that the partners `$2` manage, and the partners of all of these.
static SOME_ACCOUNTS: LazyLock<String> = LazyLock::new(|| {
    let account = row::ACCOUNT;
    format!(
        "WITH named AS (
            SELECT {account} FROM account WHERE id = ANY($1)
            UNION SELECT {account} FROM account WHERE partner_id = ANY($2))
        SELECT {account} FROM named
        UNION SELECT {account} FROM account WHERE id IN (SELECT partner_id FROM named)"
    )
});

const ACCOUNT_SETTINGS: &str = "SELECT account_id, feature, setting FROM account_setting
    WHERE $1::text[] IS NULL OR account_id = ANY($1)";

const PARTNER_SETTINGS: &str = "SELECT partner_id, feature, setting FROM partner_setting
    WHERE $1::text[] IS NULL OR partner_id = ANY($1)";

const PARTNER_MARKETS: &str = "SELECT partner_id, market FROM partner_market
    WHERE $1::text[] IS NULL OR partner_id = ANY($1)";

async fn query(
    client: &Client,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
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
struct CatalogRows {
    markets: Vec<Row>,
    locations: Vec<Row>,
    offers: Vec<Row>,
}

impl CatalogRows {
    async fn read(client: &Client, locations: Option<&Vec<String>>) -> Result<Self, StoreError> {
        Ok(Self {
            markets: query(client, MARKETS, &[]).await?,
            locations: query(client, LOCATIONS, &[(&locations, Type::TEXT_ARRAY)]).await?,
            offers: query(client, OFFERS, &[(&locations, Type::TEXT_ARRAY)]).await?,
        })
    }

    fn decode(&self, state: &mut State) -> Result<(), StoreError> {
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

/// Rows of all tables.
#[derive(Debug)]
pub(super) struct StateRows {
    catalog: CatalogRows,
    accounts: Vec<Row>,
    account_settings: Vec<Row>,
    partner_settings: Vec<Row>,
    partner_markets: Vec<Row>,
}

impl StateRows {
    /// Reads what is in `scope`, by several statements: the caller sees to it that nothing
    /// changes in between, by one snapshot or by the lock.
    pub(super) async fn read(client: &Client, scope: &Scope) -> Result<Self, StoreError> {
        let named = scope.accounts.as_ref();
        let accounts = match named {
            None => query(client, &ALL_ACCOUNTS, &[]).await?,
            Some(named) => {
                let parameters: [(&(dyn ToSql + Sync), Type); 2] = [
                    (named, Type::TEXT_ARRAY),
                    (&scope.managed_by, Type::TEXT_ARRAY),
                ];
                query(client, &SOME_ACCOUNTS, &parameters).await?
            }
        };
        let of_named = [(&named as &(dyn ToSql + Sync), Type::TEXT_ARRAY)];
        Ok(Self {
            catalog: CatalogRows::read(client, scope.locations.as_ref()).await?,
            accounts,
            account_settings: query(client, ACCOUNT_SETTINGS, &of_named).await?,
            partner_settings: query(client, PARTNER_SETTINGS, &of_named).await?,
            partner_markets: query(client, PARTNER_MARKETS, &of_named).await?,
        })
    }

    /// The rows as values. What is read whole is either whole or an error.
    pub(super) fn decode(&self) -> Result<State, StoreError> {
        let mut state = State::default();
        self.catalog.decode(&mut state)?;
        for row in &self.accounts {
            let account = row::account(row, 0)?.map_err(|why| {
                let id: &str = row.try_get(0).unwrap_or_default();
                row::broken(format!("account `{id}`"), why)
            })?;
            state.accounts.insert(account.id.clone(), account);
        }
        for row in &self.account_settings {
            let (account, (key, setting)) = setting(row)?;
            let own: &mut SettingMap = state.account_settings.entry(account).or_default();
            own.insert(key, setting);
        }
        for row in &self.partner_settings {
            let (partner, (key, setting)) = setting(row)?;
            let policy: &mut StoredPolicy = state.policies.entry(partner).or_default();
            policy.settings.insert(key, setting);
        }
        for row in &self.partner_markets {
            let (partner, market) = market(row)?;
            let policy = state.policies.entry(partner).or_default();
            policy.markets.insert(market);
        }
        Ok(state)
    }
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

/// Reads markets and locations.
pub(super) async fn catalog(
    connections: &Connections,
    limit: Duration,
) -> Result<CatalogSnapshot, StoreError> {
    within(limit, async {
        let lease = connections.lease(limit).await?;
        let client = lease.client()?;
        let rows = async {
            begin_snapshot(client, limit).await?;
            let at = head(client).await?;
            let rows = CatalogRows::read(client, None).await?;
            end_snapshot(client).await?;
            Ok((at, rows))
        };
        let rows = rows.await;
        let (at, rows) = lease.end(rows)?;
        aside(move || {
            let mut state = State::default();
            rows.decode(&mut state)?;
            let markets = Markets::new(state.markets).map_err(|conflict| StoreError::Broken {
                what: "stored data is broken: billing markets cannot stand together".to_owned(),
                source: Some(conflict.into()),
            })?;
            Ok(CatalogSnapshot {
                at,
                markets,
                locations: state.locations.into_values().collect(),
            })
        })
        .await?
    })
    .await
}

/// Reads everything.
pub(super) async fn export(
    connections: &Connections,
    limit: Duration,
) -> Result<State, StoreError> {
    within(limit, async {
        let lease = connections.lease(limit).await?;
        let client = lease.client()?;
        let rows = async {
            begin_snapshot(client, limit).await?;
            head(client).await?;
            let rows = StateRows::read(client, &Scope::default()).await?;
            end_snapshot(client).await?;
            Ok(rows)
        };
        let rows = rows.await;
        let rows = lease.end(rows)?;
        aside(move || rows.decode()).await?
    })
    .await
}
