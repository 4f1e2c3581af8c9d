//! Billing markets and locations to put, from the wire to the domain. Every field is checked.

use std::collections::BTreeSet;

use crate::domain::{
    BillingMarket, CurrencyCode, Invalid, Location, LocationId, LocationStatus, MAX_MARKETS,
    MAX_METRO, MAX_NAME, MAX_OFFERS, MarketCode, Money, Offer, Price, Product, Text,
};
use crate::grpc::status::Violations;
use crate::proto::google::r#type as google;
use crate::proto::v1;

use super::parse::{at_most, codes, twice};

/// The most locations that one call may put, and the most that it may delete.
pub(super) const MAX_LOCATIONS: usize = 10_000;

/// Billing markets, no code twice.
pub(super) fn markets(
    violations: &mut Violations,
    markets: Vec<v1::BillingMarket>,
) -> Option<Vec<BillingMarket>> {
    at_most(violations, "markets", markets.len(), MAX_MARKETS)?;
    let mut seen = BTreeSet::new();
    let parsed: Vec<_> = markets
        .into_iter()
        .enumerate()
        .map(|(index, market)| {
            let path = format!("markets[{index}]");
            let market = self::market(violations, &path, market)?;
            if !seen.insert(market.code) {
                let code = twice(market.code.as_str());
                violations.add(format!("{path}.code"), code.to_string());
            }
            Some(market)
        })
        .collect();
    parsed.into_iter().collect()
}

fn market(
    violations: &mut Violations,
    path: &str,
    market: v1::BillingMarket,
) -> Option<BillingMarket> {
    let v1::BillingMarket {
        code,
        name,
        currency,
        aliases,
    } = market;
    let at = |field: &str| format!("{path}.{field}");
    let code = violations.take(|| at("code"), MarketCode::try_from(code.as_str()));
    let named = violations.take(|| at("name"), Text::check(&name, MAX_NAME));
    let currency = CurrencyCode::try_from(currency.as_str());
    let currency = violations.take(|| at("currency"), currency);
    // As a list and not as a set: an alias that is there twice is an error.
    let is_each_a_code = codes(violations, &at("aliases"), &aliases).is_some();
    let aliases = aliases
        .iter()
        .filter_map(|alias| MarketCode::try_from(alias.as_str()).ok());
    let aliases = aliases.collect();
    named.filter(|()| is_each_a_code)?;
    violations.take(
        || at("aliases"),
        BillingMarket::new(code?, name, currency?, aliases),
    )
}

/// Locations, no id twice.
pub(super) fn locations(
    violations: &mut Violations,
    locations: Vec<v1::Location>,
) -> Option<Vec<Location>> {
    at_most(violations, "locations", locations.len(), MAX_LOCATIONS)?;
    let mut seen = BTreeSet::new();
    let parsed: Vec<_> = locations
        .into_iter()
        .enumerate()
        .map(|(index, sent)| {
            let path = format!("locations[{index}]");
            if !sent.id.is_empty() && !seen.insert(sent.id.clone()) {
                violations.add(format!("{path}.id"), twice(&sent.id).to_string());
            }
            location(violations, &path, sent)
        })
        .collect();
    parsed.into_iter().collect()
}

fn location(violations: &mut Violations, path: &str, sent: v1::Location) -> Option<Location> {
    let v1::Location {
        id,
        name,
        metro,
        country,
        market,
        status,
        offers,
    } = sent;
    let at = |field: &str| format!("{path}.{field}");
    let id = violations.take(|| at("id"), LocationId::try_from(id));
    let text = |text: String, max| Text::check(&text, max).map(|()| text);
    let name = violations.take(|| at("name"), text(name, MAX_NAME));
    let metro = violations.take(|| at("metro"), text(metro, MAX_METRO));
    let country = violations.take(|| at("country"), text(country, MAX_METRO));
    let market = violations.take(|| at("market"), parse_market(&market));
    let status = violations.take(|| at("status"), parse_status(status));
    let offers = self::offers(violations, &at("offers"), offers);
    Some(Location {
        id: id?,
        name: name?,
        metro: metro?,
        country: country?,
        market: market?,
        status: status?,
        offers: offers?,
    })
}

/// A market by code or alias, which need not exist; none where the text is empty.
fn parse_market(market: &str) -> Result<Option<MarketCode>, Invalid> {
    if market.is_empty() {
        return Ok(None);
    }
    MarketCode::try_from(market).map(Some)
}

fn parse_status(status: i32) -> Result<Option<LocationStatus>, &'static str> {
    match v1::LocationStatus::try_from(status) {
        Ok(v1::LocationStatus::Unspecified) => Ok(None),
        Ok(v1::LocationStatus::Active) => Ok(Some(LocationStatus::Active)),
        Ok(v1::LocationStatus::Deployment) => Ok(Some(LocationStatus::Deployment)),
        Ok(v1::LocationStatus::Restricted) => Ok(Some(LocationStatus::Restricted)),
        Ok(v1::LocationStatus::Extended) => Ok(Some(LocationStatus::Extended)),
        Ok(v1::LocationStatus::New) => Ok(Some(LocationStatus::New)),
        Ok(v1::LocationStatus::Expired) => Ok(Some(LocationStatus::Expired)),
        Err(_) => Err("is not a status; a value of LocationStatus is accepted"),
    }
}

fn offers(violations: &mut Violations, path: &str, offers: Vec<v1::Offer>) -> Option<Vec<Offer>> {
    at_most(violations, path, offers.len(), MAX_OFFERS)?;
    let mut seen = BTreeSet::new();
    let parsed: Vec<_> = offers
        .into_iter()
        .enumerate()
        .map(|(index, v1::Offer { product, price })| {
            let path = format!("{path}[{index}]");
            if !product.is_empty() && !seen.insert(product.clone()) {
                violations.add(format!("{path}.product"), twice(&product).to_string());
            }
            let product = violations.take(|| format!("{path}.product"), Product::try_from(product));
            let price = self::price(violations, &format!("{path}.price"), price);
            Some(Offer {
                product: product?,
                price: price?,
            })
        })
        .collect();
    parsed.into_iter().collect()
}

/// A price; none where it has neither part. Outer none: a part of it is malformed.
fn price(
    violations: &mut Violations,
    path: &str,
    price: Option<v1::Price>,
) -> Option<Option<Price>> {
    let v1::Price { monthly, setup } = price.unwrap_or_default();
    let mut part = |field: &str, sum: Option<google::Money>| {
        let sum = sum.map(|sum| money(&sum)).transpose();
        violations.take(|| format!("{path}.{field}"), sum)
    };
    let (monthly, setup) = (part("monthly", monthly), part("setup", setup));
    let (monthly, setup) = (monthly?, setup?);
    let is_stated = monthly.is_some() || setup.is_some();
    Some(is_stated.then_some(Price { monthly, setup }))
}

fn money(sum: &google::Money) -> Result<Money, Invalid> {
    let currency = CurrencyCode::try_from(sum.currency_code.as_str())?;
    Money::new(currency, sum.units, sum.nanos)
}

/// Ids of locations to delete; one that is there twice counts once.
pub(super) fn location_ids(
    violations: &mut Violations,
    ids: Vec<String>,
) -> Option<BTreeSet<LocationId>> {
    let distinct: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    at_most(violations, "location_ids", distinct.len(), MAX_LOCATIONS)?;
    let parsed: Vec<_> = ids
        .into_iter()
        .enumerate()
        .map(|(index, id)| {
            let id = LocationId::try_from(id);
            violations.take(|| format!("location_ids[{index}]"), id)
        })
        .collect();
    parsed.into_iter().collect()
}
