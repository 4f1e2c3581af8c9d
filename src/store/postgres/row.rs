//! Rows as values of the domain. A row that is none is an error or a broken account, never a
//! default: the constraints exclude it, so something is wrong.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};
use uuid::Uuid;

use super::failure;
use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, ChangeId, CurrencyCode, FeatureKey, Head,
    Invalid, Location, LocationId, LocationStatus, MarketCode, Money, Offer, Price, Product,
    Revision, Setting, SupportProvider,
};
use crate::store::{ChangeSubject, ReadAt, StoreError};

/// A parameter of a statement, with its type: statements are sent without being prepared.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The columns that [`read_at`] reads, from tables `head` and `catalog`.
pub(super) const READ_AT: &str = "head.revision, head.change_id, catalog.revision, \
     catalog.change_id, pg_is_in_recovery()";

/// The tables of [`READ_AT`]. Each has one row, and LIMIT says so to the planner: of a table that was
/// never analysed it assumes a thousand, of two joined a million, and for so many it would compile
/// the query at each call, which takes longer than a load may.
pub(super) const READ_AT_FROM: &str = "(SELECT * FROM policy_revision LIMIT 1) head \
     CROSS JOIN (SELECT * FROM catalog_revision LIMIT 1) catalog";

/// Stored data that cannot be. `what` names it: `account `x``.
pub(super) fn broken(what: impl Into<String>, why: Invalid) -> StoreError {
    StoreError::Broken {
        what: format!("stored data is broken: {}", what.into()),
        source: Some(Box::new(why)),
    }
}

/// The value in a column.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, StoreError> {
    row.try_get(index).map_err(failure::column("reading a row"))
}

/// [`READ_AT`], from `first` on.
pub(super) fn read_at(row: &Row, first: usize) -> Result<ReadAt, StoreError> {
    let head = |revision: usize| -> Result<Head, StoreError> {
        let change: Uuid = column(row, revision + 1)?;
        Ok(Head {
            revision: self::revision(column(row, revision)?)?,
            change: ChangeId(change.as_u128()),
        })
    };
    Ok(ReadAt {
        head: head(first)?,
        catalog: head(first + 2)?,
        primary: !column::<bool>(row, first + 4)?,
    })
}

/// A revision as it is stored.
pub(super) fn stored_revision(revision: Revision) -> Result<i64, StoreError> {
    match i64::try_from(revision.0) {
        Ok(revision) => Ok(revision),
        Err(_) => Err(broken("the revision", Invalid::new("is used up"))),
    }
}

/// A stored revision.
pub(super) fn revision(stored: i64) -> Result<Revision, StoreError> {
    match u64::try_from(stored) {
        Ok(revision) => Ok(Revision(revision)),
        Err(_) => Err(broken("the revision", Invalid::new("is negative"))),
    }
}

/// The columns of `account` that [`account`] reads.
pub(super) const ACCOUNT: &str = "id, kind, partner_id, support, display_name";

/// [`ACCOUNT`], from `first` on: the account, or what is wrong with it.
pub(super) fn account(row: &Row, first: usize) -> Result<Result<Account, Invalid>, StoreError> {
    let id: &str = column(row, first)?;
    let kind: &str = column(row, first + 1)?;
    let partner: Option<&str> = column(row, first + 2)?;
    let support: Option<&str> = column(row, first + 3)?;
    let display_name: String = column(row, first + 4)?;
    Ok(account_kind(kind, partner, support).and_then(|kind| {
        Ok(Account {
            id: AccountId::try_from(id)?,
            kind,
            display_name,
        })
    }))
}

fn account_kind(
    kind: &str,
    partner: Option<&str>,
    support: Option<&str>,
) -> Result<AccountKind, Invalid> {
    match (kind, partner, support) {
        ("direct", None, None) => Ok(AccountKind::Direct),
        ("partner", None, None) => Ok(AccountKind::Partner),
        ("managed", Some(partner), Some(support)) => Ok(AccountKind::Managed {
            partner: AccountId::try_from(partner)?,
            support: SupportProvider::try_from(support)?,
        }),
        _ => Err(Invalid::new(
            "kind, partner and support provider do not go together",
        )),
    }
}

/// A feature with what is set for it.
pub(super) fn setting(feature: &str, setting: &str) -> Result<(FeatureKey, Setting), Invalid> {
    let key = FeatureKey::try_from(feature)?;
    match setting {
        "on" => Ok((key, Setting::On)),
        "off" => Ok((key, Setting::Off)),
        _ => Err(Invalid::new("a setting is neither `on` nor `off`")),
    }
}

/// What a change was a change of.
pub(super) fn subject(kind: &str, id: Option<&str>) -> Result<ChangeSubject, Invalid> {
    match (kind, id) {
        ("account", Some(id)) => Ok(ChangeSubject::Account(AccountId::try_from(id)?)),
        ("partner", Some(id)) => Ok(ChangeSubject::Partner(AccountId::try_from(id)?)),
        ("catalog", None) => Ok(ChangeSubject::Catalog),
        ("everything", None) => Ok(ChangeSubject::Everything),
        _ => Err(Invalid::new("its subject is none")),
    }
}

/// A market: code, name, currency, aliases.
pub(super) fn market(row: &Row) -> Result<BillingMarket, StoreError> {
    let code: &str = column(row, 0)?;
    let name: String = column(row, 1)?;
    let currency: &str = column(row, 2)?;
    let aliases: Vec<&str> = column(row, 3)?;
    let market = || {
        let aliases = aliases.into_iter().map(MarketCode::try_from);
        BillingMarket::new(
            MarketCode::try_from(code)?,
            name,
            CurrencyCode::try_from(currency)?,
            aliases.collect::<Result<_, _>>()?,
        )
    };
    market().map_err(|why| broken(format!("billing market `{code}`"), why))
}

/// A location without its offers: id, name, metro, country, market, status.
pub(super) fn location(row: &Row) -> Result<Location, StoreError> {
    let id: &str = column(row, 0)?;
    let market: Option<&str> = column(row, 4)?;
    let status: Option<&str> = column(row, 5)?;
    let wrong = |why| broken(format!("location `{id}`"), why);
    Ok(Location {
        id: LocationId::try_from(id).map_err(wrong)?,
        name: column(row, 1)?,
        metro: column(row, 2)?,
        country: column(row, 3)?,
        market: market
            .map(MarketCode::try_from)
            .transpose()
            .map_err(wrong)?,
        status: status
            .map(LocationStatus::try_from)
            .transpose()
            .map_err(wrong)?,
        offers: Vec::new(),
    })
}

/// An offer with the id of its location: location, product, priced, and currency, units and nanos
/// of both parts of the price.
pub(super) fn offer(row: &Row) -> Result<(&str, Offer), StoreError> {
    let location: &str = column(row, 0)?;
    let wrong = |why| broken(format!("an offer of location `{location}`"), why);
    let money = |first: usize| -> Result<Option<Money>, StoreError> {
        let currency: Option<&str> = column(row, first)?;
        let units: Option<i64> = column(row, first + 1)?;
        let nanos: Option<i32> = column(row, first + 2)?;
        match (currency, units, nanos) {
            (None, None, None) => Ok(None),
            (Some(currency), Some(units), Some(nanos)) => CurrencyCode::try_from(currency)
                .and_then(|currency| Money::new(currency, units, nanos))
                .map(Some)
                .map_err(wrong),
            _ => Err(wrong(Invalid::new("a price is not whole"))),
        }
    };
    let product: &str = column(row, 1)?;
    let price = Price {
        monthly: money(3)?,
        setup: money(6)?,
    };
    let offer = Offer {
        product: Product::try_from(product).map_err(wrong)?,
        price: column::<bool>(row, 2)?.then_some(price),
    };
    Ok((location, offer))
}
