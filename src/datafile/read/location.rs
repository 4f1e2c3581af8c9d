//! Locations and their offers in a data file.

use crate::domain::{
    Invalid, Location, LocationId, LocationStatus, MAX_METRO, MAX_NAME, MAX_OFFERS, MarketCode,
    Money, Node, Offer, Price, Product, Text,
};
use crate::store::Line;

use super::{Fields, Findings, Path, Seen, items};

const FIELDS: [&str; 7] = [
    "id", "name", "metro", "country", "market", "status", "offers",
];
const OFFER_FIELDS: [&str; 3] = ["product", "monthly", "setup"];

pub(super) fn read(nodes: &[Node], findings: &mut Findings) -> Vec<Line<Location>> {
    let path = Path::FILE.field("locations");
    let mut seen = Seen::default();
    items(nodes, &path, &FIELDS, findings, |fields, findings| {
        location(fields, &mut seen, findings)
    })
}

fn location<'d>(
    fields: &Fields<'d, '_>,
    seen: &mut Seen<'d>,
    findings: &mut Findings,
) -> Option<Location> {
    let id = fields.unique("id", seen, findings, LocationId::try_from);
    let name = fields.optional("name", findings, at_most(MAX_NAME));
    let metro = fields.optional("metro", findings, at_most(MAX_METRO));
    let country = fields.optional("country", findings, at_most(MAX_METRO));
    let market = fields.optional("market", findings, market);
    let status = fields.optional("status", findings, LocationStatus::try_from);
    let offers = offers(fields, findings);
    Some(Location {
        id: id?,
        name: name?.unwrap_or_default(),
        metro: metro?.unwrap_or_default(),
        country: country?.unwrap_or_default(),
        market: market?.flatten(),
        status: status?,
        offers: offers?,
    })
}

fn at_most(max: usize) -> impl FnOnce(&str) -> Result<String, Invalid> {
    move |text| Text::check(text, max).map(|()| text.to_owned())
}

/// The API has no other way than the empty text to say that a location lies in no market.
fn market(text: &str) -> Result<Option<MarketCode>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    MarketCode::try_from(text).map(Some)
}

fn offers(location: &Fields<'_, '_>, findings: &mut Findings) -> Option<Vec<Offer>> {
    let nodes = location.list("offers", findings)?;
    let path = location.path.field("offers");
    if let Some(first_too_many) = nodes.get(MAX_OFFERS) {
        let message = format!("{} offers; at most {MAX_OFFERS} are accepted", nodes.len());
        findings.problem(first_too_many.line, &path, message);
        return None;
    }
    let mut seen = Seen::default();
    let offers = items(nodes, &path, &OFFER_FIELDS, findings, |fields, findings| {
        offer(fields, &mut seen, findings)
    });
    Some(offers.into_iter().map(|offer| offer.value).collect())
}

fn offer<'d>(
    fields: &Fields<'d, '_>,
    seen: &mut Seen<'d>,
    findings: &mut Findings,
) -> Option<Offer> {
    let product = fields.unique("product", seen, findings, Product::try_from);
    let monthly = fields.optional("monthly", findings, Money::try_from);
    let setup = fields.optional("setup", findings, Money::try_from);
    let (monthly, setup) = (monthly?, setup?);
    let is_stated = monthly.is_some() || setup.is_some();
    Some(Offer {
        product: product?,
        price: is_stated.then_some(Price { monthly, setup }),
    })
}
