//! INVARIANT(no-price-without-pricing-view), on the bytes of answers: what is not in them cannot
//! be found in them, whatever reads them.

use prost::Message as _;

use portcullis::proto::google::r#type::Money;
use portcullis::proto::v1;

use crate::support::demo;
use crate::support::raw::{self, contains, fields, named, push};
use crate::support::requests::{catalog, inline, location, offer};
use crate::support::server::Server;

/// Every field of every offer in an answer, by number.
fn offer_fields(answer: &[u8]) -> Vec<u32> {
    let mut numbers: Vec<_> = named(answer, 1)
        .flat_map(|location| named(location, 7))
        .flat_map(|offer| fields(offer).into_iter().map(|field| field.0))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

const PRODUCT: u32 = 1;
const PRICE: u32 = 2;

#[tokio::test]
async fn a_stored_price_that_may_not_be_seen_is_not_in_the_bytes() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    let currencies: Vec<_> = demo::import()
        .markets
        .iter()
        .map(|line| line.value.currency)
        .collect();
    for (account, allowed) in [
        ("northwind-retail", false),
        ("quillfeather-press", false),
        ("gooseberry-clinics", false),
        // The same three catalogues for accounts that do see prices: what is looked for is there.
        ("northwind-games", true),
        ("quillfeather-museum", true),
        ("gooseberry-radio", true),
    ] {
        let request = catalog(account).encode_to_vec().into();
        let answer = raw::call(channel.clone(), "FilterCatalog", request)
            .await
            .unwrap();
        assert!(named(&answer, 1).count() > 10, "{account}");
        let want = match allowed {
            true => vec![PRODUCT, PRICE],
            false => vec![PRODUCT],
        };
        assert_eq!(offer_fields(&answer), want, "{account}");
        let found = currencies
            .iter()
            .any(|currency| contains(&answer, currency.as_str()));
        assert_eq!(found, allowed, "{account}");
    }
}

#[tokio::test]
async fn an_inline_price_that_may_not_be_seen_is_not_in_the_bytes() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    let mut sent = location("syd", "AU");
    sent.offers = vec![offer("PORT_10G", "XTS", 987_654_321, 0)];
    for (account, allowed) in [("northwind-retail", false), ("northwind-games", true)] {
        let request = inline(account, vec![sent.clone()]).encode_to_vec().into();
        let answer = raw::call(channel.clone(), "FilterCatalog", request)
            .await
            .unwrap();
        assert_eq!(named(&answer, 1).count(), 1, "{account}");
        assert_eq!(offer_fields(&answer).contains(&PRICE), allowed, "{account}");
        assert_eq!(contains(&answer, "XTS"), allowed, "{account}");
        let mut units = Vec::new();
        prost::encoding::encode_varint(987_654_321, &mut units);
        let found = answer.windows(units.len()).any(|window| window == units);
        assert_eq!(found, allowed, "{account}");
    }
}

#[tokio::test]
async fn a_zero_price_is_a_price() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let answer = client.filter_catalog(catalog("acme")).await.unwrap();
    let answer = answer.into_inner();
    let toronto = answer.locations.iter().find(|one| one.id == "151fs");
    let free = v1::Price {
        monthly: Some(Money {
            currency_code: "CAD".to_owned(),
            units: 455,
            nanos: 0,
        }),
        setup: Some(Money {
            currency_code: "CAD".to_owned(),
            units: 0,
            nanos: 0,
        }),
    };
    assert_eq!(toronto.unwrap().offers[0].price, Some(free));

    // A price on request has none of its parts, and a part that is not known is absent.
    let washington = answer.locations.iter().find(|one| one.id == "eqdc2");
    let on_request = washington.unwrap().offers.iter();
    let on_request = on_request.clone().find(|one| one.product == "PORT_400G");
    assert_eq!(on_request.unwrap().price, None);
}

/// A location with fields that the API does not declare: in itself, in an offer, in its price and in
/// the money.
fn with_undeclared_fields() -> Vec<u8> {
    let mut money = Money {
        currency_code: "AUD".to_owned(),
        units: 7,
        nanos: 0,
    }
    .encode_to_vec();
    push(&mut money, 15, b"SMUGGLED-MONEY");
    let mut price = Vec::new();
    push(&mut price, 1, &money);
    push(&mut price, 15, b"SMUGGLED-PRICE");
    let mut offer = Vec::new();
    push(&mut offer, 1, b"PORT_10G");
    push(&mut offer, 2, &price);
    push(&mut offer, 15, b"SMUGGLED-OFFER");
    let mut location = location("syd", "AU").encode_to_vec();
    push(&mut location, 7, &offer);
    push(&mut location, 15, b"SMUGGLED-LOCATION");
    push(&mut location, 1_000, &price);
    location
}

#[tokio::test]
async fn nothing_rides_along_that_is_not_declared() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    for (account, allowed) in [("northwind-retail", false), ("northwind-games", true)] {
        let mut catalog = Vec::new();
        push(&mut catalog, 1, &with_undeclared_fields());
        push(&mut catalog, 15, b"SMUGGLED-CATALOG");
        let mut request = Vec::new();
        push(&mut request, 1, account.as_bytes());
        push(&mut request, 3, &catalog);
        push(&mut request, 15, b"SMUGGLED-REQUEST");
        let answer = raw::call(channel.clone(), "FilterCatalog", request.into())
            .await
            .unwrap();
        assert!(!contains(&answer, "SMUGGLED"), "{account}");
        let answer = v1::FilterCatalogResponse::decode(answer).unwrap();
        let mut want = location("syd", "AU");
        want.offers = vec![offer("PORT_10G", "AUD", 7, 0)];
        if !allowed {
            want.offers[0].price = None;
        }
        assert_eq!(answer.locations, [want], "{account}");
    }
}
