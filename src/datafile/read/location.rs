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

#[cfg(test)]
mod tests {
    use super::super::tests::{matrix, refused};
    use crate::datafile::parse;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn locations_that_are_refused() {
        let offers = |count: usize| -> String {
            let offers: String = (0..count).map(|i| format!("  - product: P{i}\n")).collect();
            format!("locations:\n- id: a\n  offers:\n{offers}")
        };
        assert!(parse(&offers(256), &matrix()).is_ok());
        let long = |key: &str, length: usize| {
            format!("locations:\n- id: a\n  {key}: \"{}\"", "é".repeat(length))
        };
        refused(&[
            (
                "locations: [{ name: x }]",
                1,
                "locations[0].id",
                "is missing",
            ),
            (
                "locations:\n- id: a b",
                2,
                "locations[0].id",
                "`a b` is not an id",
            ),
            (
                "locations:\n- id: 007",
                2,
                "locations[0].id",
                "put it in quotes",
            ),
            (
                "locations:\n- id: a\n- id: a",
                3,
                "locations[1].id",
                "`a` is there twice, first on line 2",
            ),
            (
                "locations:\n- id: a\n  market: au",
                3,
                "locations[0].market",
                "`au` is not a market code",
            ),
            (
                "locations:\n- id: a\n  status: open",
                3,
                "locations[0].status",
                "one of active, deployment",
            ),
            (
                "locations:\n- id: a\n  offers: { product: P }",
                3,
                "locations[0].offers",
                "a list is accepted",
            ),
            (
                "locations:\n- id: a\n  offers:\n  - monthly: 1 AUD",
                4,
                "locations[0].offers[0].product",
                "is missing",
            ),
            (
                "locations:\n- id: a\n  offers:\n  - product: P\n    monthly: 1200",
                5,
                "locations[0].offers[0].monthly",
                "put it in quotes",
            ),
            (
                "locations:\n- id: a\n  offers:\n  - product: P\n    setup: 1200 aud",
                5,
                "locations[0].offers[0].setup",
                "`aud` is not a currency",
            ),
            (
                "locations:\n- id: a\n  offers:\n  - product: P\n  - product: P",
                5,
                "locations[0].offers[1].product",
                "there twice, first on line 4",
            ),
            (
                "locations:\n- id: a\n  offers:\n  - product: P\n    price: 1 AUD",
                5,
                "locations[0].offers[0].price",
                "product, monthly, setup are accepted",
            ),
            (
                &offers(257),
                260,
                "locations[0].offers",
                "257 offers; at most 256",
            ),
            (
                &long("name", 201),
                3,
                "locations[0].name",
                "201 characters long; at most 200",
            ),
            (&long("metro", 101), 3, "locations[0].metro", "at most 100"),
            (
                &long("country", 101),
                3,
                "locations[0].country",
                "at most 100",
            ),
            (
                "locations:\n- id: a\n  name: \"x\\0\"",
                3,
                "locations[0].name",
                "NUL",
            ),
        ]);
    }
}
