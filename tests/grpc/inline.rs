//! FilterCatalog of a catalogue that is sent along.

use portcullis::proto::google::r#type::Money;
use portcullis::proto::v1;

use crate::support::refused::{Refused, invalid, refused};
use crate::support::requests::{ids, inline, location, offer};
use crate::support::server::{Client, Server};

async fn filter(
    client: &mut Client,
    account: &str,
    locations: Vec<v1::Location>,
) -> v1::FilterCatalogResponse {
    let answer = client.filter_catalog(inline(account, locations)).await;
    answer.unwrap().into_inner()
}

async fn refusal(client: &mut Client, locations: Vec<v1::Location>) -> Refused {
    let answer = client.filter_catalog(inline("acme", locations)).await;
    refused(&answer.unwrap_err())
}

/// A location with everything that one can have.
fn full(id: &str, market: &str) -> v1::Location {
    v1::Location {
        id: id.to_owned(),
        name: "Équinix Ñ1".to_owned(),
        metro: "Sydney".to_owned(),
        country: "nowhere at all".to_owned(),
        market: market.to_owned(),
        status: v1::LocationStatus::Restricted.into(),
        offers: vec![
            offer("PORT_10G", "AUD", 1_200, 500_000_000),
            // The same product again, a currency that is none, a refund, free of charge, no price.
            offer("PORT_10G", "not a currency", -3, -1),
            offer("MCR_2500", "AUD", 0, 0),
            v1::Offer {
                product: "CROSS_CONNECT".to_owned(),
                price: Some(v1::Price::default()),
            },
            v1::Offer {
                product: "MVE_MEDIUM".to_owned(),
                price: None,
            },
        ],
    }
}

#[tokio::test]
async fn what_is_kept_comes_back_as_it_was_sent_and_in_order() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let sent = vec![
        full("z", "AU"),
        full("a", "NZ"),
        full("m", "US"),
        full("z", "AU"),
        full("b", "AU"),
    ];
    let direct = filter(&mut client, "acme", sent.clone()).await;
    assert_eq!(direct.locations, sent);
    assert_eq!((direct.hidden_count, direct.prices_redacted), (0, false));

    let mut kept = sent.clone();
    kept.remove(2);
    let managed = filter(&mut client, "northwind-games", sent.clone()).await;
    assert_eq!(managed.locations, kept);
    assert_eq!((managed.hidden_count, managed.prices_redacted), (1, false));
    assert_eq!(managed.next_page_token, "");
    assert_eq!((managed.revision, managed.stale), (1, false));

    for offer in kept.iter_mut().flat_map(|location| &mut location.offers) {
        offer.price = None;
    }
    let denied = filter(&mut client, "northwind-retail", sent.clone()).await;
    assert_eq!(denied.locations, kept);
    assert_eq!((denied.hidden_count, denied.prices_redacted), (1, true));

    let by_id = client
        .filter_catalog(ids(inline("northwind-retail", sent)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(by_id.location_ids, ["z", "a", "z", "b"]);
    assert_eq!(by_id.locations, []);
    assert_eq!((by_id.hidden_count, by_id.prices_redacted), (1, true));
}

#[tokio::test]
async fn prices_are_redacted_even_where_there_is_none() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let answer = filter(&mut client, "northwind-retail", vec![location("a", "AU")]).await;
    assert!(answer.prices_redacted);
    let answer = filter(&mut client, "northwind-games", vec![location("a", "AU")]).await;
    assert!(!answer.prices_redacted);
}

#[tokio::test]
async fn a_status_that_is_not_known_stays() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for account in ["acme", "northwind-games", "northwind-retail"] {
        for status in [42, -1, i32::MAX] {
            let mut sent = location("a", "AU");
            sent.status = status;
            let answer = filter(&mut client, account, vec![sent.clone()]).await;
            assert_eq!(answer.locations, [sent], "{account} {status}");
        }
    }
}

#[tokio::test]
async fn markets_are_looked_up_as_the_sender_wrote_them() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let sent: Vec<_> = ["", "XX", "not a market", "gb", " GB", "GB", "UK", "AU"]
        .iter()
        .enumerate()
        .map(|(index, market)| location(&format!("l{index}"), market))
        .collect();
    for account in ["acme", "quillfeather"] {
        let answer = filter(&mut client, account, sent.clone()).await;
        assert_eq!(answer.locations, sent, "{account}");
    }
    // UK is enabled, and GB is another name of it; each comes back as it was sent.
    let answer = filter(&mut client, "quillfeather-press", sent.clone()).await;
    assert_eq!(answer.locations, sent[5..7]);
    assert_eq!(answer.hidden_count, 6);
    let answer = filter(&mut client, "saltmarsh-farms", sent).await;
    assert_eq!((answer.locations, answer.hidden_count), (vec![], 8));
}

#[tokio::test]
async fn an_empty_catalogue_is_an_empty_answer() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for account in ["acme", "northwind-retail"] {
        let answer = filter(&mut client, account, Vec::new()).await;
        assert_eq!(answer.locations, []);
        assert_eq!(answer.hidden_count, 0);
        assert_eq!(answer.ordering.unwrap().effect(), v1::Effect::Allow);
    }
}

#[tokio::test]
async fn each_malformed_thing_is_named() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let changed = |change: fn(&mut v1::Location)| {
        let mut location = full("a", "AU");
        change(&mut location);
        location
    };
    let price = |units, nanos| {
        Some(Money {
            currency_code: "AUD".to_owned(),
            units,
            nanos,
        })
    };
    let priced = |monthly, setup| v1::Location {
        offers: vec![
            offer("PORT_1G", "AUD", 1, 1),
            v1::Offer {
                product: "PORT_10G".to_owned(),
                price: Some(v1::Price { monthly, setup }),
            },
        ],
        ..location("a", "AU")
    };
    for (malformed, field) in [
        (changed(|one| one.id = String::new()), "id"),
        (changed(|one| one.id = "a b".to_owned()), "id"),
        (changed(|one| one.id = "x".repeat(65)), "id"),
        (changed(|one| one.name = "é".repeat(201)), "name"),
        (changed(|one| one.name = "a\0b".to_owned()), "name"),
        (changed(|one| one.metro = "é".repeat(101)), "metro"),
        (changed(|one| one.metro = "\0".to_owned()), "metro"),
        (
            changed(|one| one.offers = vec![offer("P", "AUD", 1, 0); 257]),
            "offers",
        ),
        (
            changed(|one| one.offers[3].product = String::new()),
            "offers[3].product",
        ),
        (
            changed(|one| one.offers[4].product = "PORT 10G".to_owned()),
            "offers[4].product",
        ),
        (
            changed(|one| one.offers[4].product = "x".repeat(65)),
            "offers[4].product",
        ),
        (priced(price(1, -1), None), "offers[1].price.monthly"),
        (priced(price(-1, 1), None), "offers[1].price.monthly"),
        (
            priced(price(0, 1_000_000_000), None),
            "offers[1].price.monthly",
        ),
        (
            priced(price(1, 0), price(i64::MIN, i32::MAX)),
            "offers[1].price.setup",
        ),
        (priced(None, price(0, i32::MIN)), "offers[1].price.setup"),
    ] {
        let sent = vec![location("first", "AU"), malformed, location("last", "AU")];
        let want = format!("inline.locations[1].{field}");
        assert_eq!(refusal(&mut client, sent).await, invalid([want.as_str()]));
    }
    // Two malformed locations are two violations; where both an account and a location are wrong,
    // both are named.
    let sent = vec![location("", ""), location("a", ""), location("b c", "")];
    let want = invalid(["inline.locations[0].id", "inline.locations[2].id"]);
    assert_eq!(refusal(&mut client, sent).await, want);
    let answer = client
        .filter_catalog(inline("", vec![location("", "")]))
        .await;
    let want = invalid(["account_id", "inline.locations[0].id"]);
    assert_eq!(refused(&answer.unwrap_err()), want);
}

#[tokio::test]
async fn what_is_as_long_as_it_may_be_is_accepted() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let longest = v1::Location {
        id: "x".repeat(64),
        name: "é".repeat(200),
        metro: "é".repeat(100),
        country: "c".repeat(10_000),
        market: "m".repeat(10_000),
        status: 0,
        offers: vec![offer(&"x".repeat(64), &"c".repeat(1_000), i64::MAX, 999_999_999); 256],
    };
    let answer = filter(&mut client, "acme", vec![longest.clone()]).await;
    assert_eq!(answer.locations, [longest]);
}

#[tokio::test]
async fn twenty_thousand_locations_work_and_one_more_does_not() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let mut sent: Vec<_> = (0..20_000)
        .map(|index| {
            let market = ["AU", "US"][index % 2];
            v1::Location {
                name: format!("Location number {index}"),
                metro: "Sydney".to_owned(),
                country: "AU".to_owned(),
                offers: vec![
                    offer("PORT_10G", "AUD", 1_200, 0),
                    offer("MCR_2500", "AUD", 900, 0),
                ],
                ..location(&format!("l{index}"), market)
            }
        })
        .collect();
    let answer = filter(&mut client, "northwind-games", sent.clone()).await;
    let want: Vec<_> = sent.iter().step_by(2).cloned().collect();
    assert!(answer.locations == want, "not the same locations");
    assert_eq!(answer.hidden_count, 10_000);

    sent.push(location("one-more", "AU"));
    let want = invalid(["inline.locations"]);
    assert_eq!(refusal(&mut client, sent).await, want);
}
