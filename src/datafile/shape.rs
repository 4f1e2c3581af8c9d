//! The shapes of the data file: each thing as a tree of text, with its keys in the file's order.
//!
//! An export and the history of changes are written from the same shapes, so neither knows a
//! field that the other does not. What is empty is left out.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, Location, MarketCode, Money, Offer, SettingMap,
};
use crate::store::{MarketSet, StoredPolicy};

/// A part of a data file. There are no numbers and no truth values in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order in which it is written.
    Map(Entries<'a>),
}

/// Keys with what stands behind them.
pub type Entries<'a> = Vec<(Cow<'a, str>, Shape<'a>)>;

impl Shape<'_> {
    /// The same as a JSON value.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.to_string()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_json()))
                .collect(),
        }
    }
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Shape<'a> {
    Shape::Text(text.into())
}

/// Adds a field; one without a text is left out.
fn put<'a>(entries: &mut Entries<'a>, key: &'static str, value: impl Into<Cow<'a, str>>) {
    let value = value.into();
    if !value.is_empty() {
        entries.push((key.into(), Shape::Text(value)));
    }
}

/// Adds a list; an empty one is left out.
fn put_list<'a>(
    entries: &mut Entries<'a>,
    key: &'static str,
    items: impl Iterator<Item = Shape<'a>>,
) {
    let items: Vec<_> = items.collect();
    if !items.is_empty() {
        entries.push((key.into(), Shape::List(items)));
    }
}

/// A billing market: `{ code: UK, name: United Kingdom, currency: GBP, aliases: [GB] }`.
#[must_use]
pub fn market(market: &BillingMarket) -> Shape<'_> {
    let mut entries = Vec::with_capacity(4);
    put(&mut entries, "code", market.code.as_str());
    put(&mut entries, "name", &market.name);
    put(&mut entries, "currency", market.currency.as_str());
    put_list(&mut entries, "aliases", market.aliases.iter().map(code));
    Shape::Map(entries)
}

fn code(code: &MarketCode) -> Shape<'_> {
    text(code.as_str())
}

/// A location with its offers.
#[must_use]
pub fn location(location: &Location) -> Shape<'_> {
    let market = location.market.as_ref().map(MarketCode::as_str);
    let status = location.status.map(|status| status.as_str());
    let mut entries = Vec::with_capacity(7);
    put(&mut entries, "id", location.id.as_str());
    put(&mut entries, "name", &location.name);
    put(&mut entries, "metro", &location.metro);
    put(&mut entries, "country", &location.country);
    put(&mut entries, "market", market.unwrap_or_default());
    put(&mut entries, "status", status.unwrap_or_default());
    put_list(&mut entries, "offers", location.offers.iter().map(offer));
    Shape::Map(entries)
}

fn offer(offer: &Offer) -> Shape<'_> {
    let amount = |money: Option<Money>| money.map(|money| money.to_string()).unwrap_or_default();
    let mut entries = Vec::with_capacity(3);
    put(&mut entries, "product", offer.product.as_str());
    if let Some(price) = &offer.price {
        put(&mut entries, "monthly", amount(price.monthly));
        put(&mut entries, "setup", amount(price.setup));
    }
    Shape::Map(entries)
}

/// An account: `{ id: acme, kind: direct }`.
#[must_use]
pub fn account(account: &Account) -> Shape<'_> {
    let mut entries = Vec::with_capacity(5);
    put(&mut entries, "id", account.id.as_str());
    match &account.kind {
        AccountKind::Direct => put(&mut entries, "kind", "direct"),
        AccountKind::Partner => put(&mut entries, "kind", "partner"),
        AccountKind::Managed { partner, support } => {
            put(&mut entries, "kind", "managed");
            put(&mut entries, "partner", partner.as_str());
            put(&mut entries, "support", support.as_str());
        }
    }
    put(&mut entries, "display_name", &account.display_name);
    Shape::Map(entries)
}

/// Settings by feature: `{ pricing.view: on }`.
#[must_use]
pub fn settings(settings: &SettingMap) -> Shape<'_> {
    Shape::Map(
        settings
            .iter()
            .map(|(feature, setting)| (feature.as_str().into(), text(setting.as_str())))
            .collect(),
    )
}

/// Market codes, by code.
#[must_use]
pub fn markets(markets: &MarketSet) -> Shape<'_> {
    Shape::List(markets.iter().map(code).collect())
}

/// A partner's policy, with the own settings of its accounts.
#[must_use]
pub fn policy<'a>(
    partner: &'a AccountId,
    policy: Option<&'a StoredPolicy>,
    accounts: &[(&'a AccountId, &'a SettingMap)],
) -> Shape<'a> {
    let mut entries = Vec::with_capacity(4);
    put(&mut entries, "partner", partner.as_str());
    if let Some(policy) = policy {
        put_list(
            &mut entries,
            "billing_markets",
            policy.markets.iter().map(code),
        );
        if !policy.settings.is_empty() {
            entries.push(("settings".into(), settings(&policy.settings)));
        }
    }
    if !accounts.is_empty() {
        let accounts = accounts.iter();
        let accounts = accounts.map(|(id, own)| (id.as_str().into(), settings(own)));
        entries.push(("accounts".into(), Shape::Map(accounts.collect())));
    }
    Shape::Map(entries)
}
