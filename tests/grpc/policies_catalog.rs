//! Billing markets and locations: put, listed and deleted.

use portcullis::proto::google::r#type::Money;
use portcullis::proto::v1;
use tonic::Code;

use crate::support::policies::{
    Policies, delete_locations, delete_markets, expecting, keyed, market, markets, put_locations,
    put_markets,
};
use crate::support::raw;
use crate::support::refused::{Refused, because, invalid, refused};
use crate::support::requests::{at_least, catalog, location, offer};
use crate::support::server::Server;

async fn put_market(client: &mut Policies, market: v1::BillingMarket) -> Result<u64, Refused> {
    let answer = client.put_billing_markets(put_markets([market])).await;
    let revision = answer.map(|answer| answer.into_inner().revision);
    revision.map_err(|status| refused(&status))
}

async fn put(client: &mut Policies, locations: Vec<v1::Location>) -> Result<u64, Refused> {
    let answer = client.put_locations(put_locations(locations)).await;
    let revision = answer.map(|answer| answer.into_inner().revision);
    revision.map_err(|status| refused(&status))
}

async fn listed(client: &mut Policies) -> (Vec<v1::BillingMarket>, u64) {
    let request = v1::ListBillingMarketsRequest {};
    let answer = client.list_billing_markets(request).await.unwrap();
    let answer = answer.into_inner();
    (answer.markets, answer.revision)
}

/// The stored catalogue as `account` sees it at `revision`.
async fn visible(server: &Server, account: &str, revision: u64) -> Vec<v1::Location> {
    let mut request = catalog(account);
    request.consistency = at_least(revision);
    let answer = server.client().await.filter_catalog(request).await;
    answer.unwrap().into_inner().locations
}

fn ids(locations: &[v1::Location]) -> Vec<&str> {
    locations.iter().map(|one| one.id.as_str()).collect()
}

#[tokio::test]
async fn markets_are_listed_by_code_with_the_revision_of_the_catalogue() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let (found, revision) = listed(&mut client).await;
    assert_eq!(revision, 1);
    let codes: Vec<_> = found.iter().map(|market| market.code.as_str()).collect();
    assert_eq!(codes, ["AU", "NZ", "UK"]);
    let kingdom = v1::BillingMarket {
        code: "UK".to_owned(),
        name: "United Kingdom".to_owned(),
        currency: "GBP".to_owned(),
        aliases: vec!["GB".to_owned()],
    };
    assert_eq!(found[2], kingdom);
    // A change of a policy is none of the catalogue, and one of locations is.
    client
        .update_partner_policy(markets("q", &["AU"], &[]))
        .await
        .unwrap();
    assert_eq!(listed(&mut client).await.1, 1);
    assert_eq!(put(&mut client, vec![location("new", "")]).await, Ok(3));
    assert_eq!(listed(&mut client).await.1, 3);
}

#[tokio::test]
async fn markets_are_created_and_replaced_and_no_other_is_touched() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let before = listed(&mut client).await.0;
    let mut change = put_markets([market("UK", &["XI", "EN"]), market("IE", &[])]);
    change.context = expecting(1);
    let answer = client.put_billing_markets(change.clone()).await.unwrap();
    assert_eq!(answer.into_inner().revision, 2);
    let (after, revision) = listed(&mut client).await;
    assert_eq!(revision, 2);
    let want = [
        before[0].clone(),
        market("IE", &[]),
        before[1].clone(),
        market("UK", &["EN", "XI"]),
    ];
    assert_eq!(after, want);
    // The subject is the catalogue.
    let status = client
        .put_billing_markets(change.clone())
        .await
        .unwrap_err();
    assert_eq!(
        refused(&status),
        because(Code::Aborted, "REVISION_MISMATCH")
    );
    // The same again is no change.
    change.context = None;
    put(&mut client, vec![location("new", "")]).await.unwrap();
    let answer = client.put_billing_markets(change).await.unwrap();
    assert_eq!(answer.into_inner().revision, 3);
}

#[tokio::test]
async fn a_code_or_an_alias_means_one_market() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for (wrong, fields) in [
        (vec![market("AT", &["GB"])], vec!["markets[0]"]),
        (
            vec![market("AT", &[]), market("GB", &[])],
            vec!["markets[1]"],
        ),
        (vec![market("AT", &["AU"])], vec!["markets[0]"]),
        (vec![market("AT", &["AT"])], vec!["markets[0].aliases"]),
        (
            vec![market("AT", &["OE", "OE"])],
            vec!["markets[0].aliases"],
        ),
        (
            vec![market("AT", &[]), market("AT", &[])],
            vec!["markets[1].code"],
        ),
        (
            vec![v1::BillingMarket {
                code: "at".to_owned(),
                name: "x".repeat(201),
                currency: "eur".to_owned(),
                aliases: vec!["OE".to_owned(), "x".to_owned()],
            }],
            vec![
                "markets[0].code",
                "markets[0].name",
                "markets[0].currency",
                "markets[0].aliases[1]",
            ],
        ),
    ] {
        let answer = client.put_billing_markets(put_markets(wrong.clone())).await;
        let found = refused(&answer.unwrap_err());
        assert_eq!(found.reason, "INVALID_REQUEST", "{wrong:?}");
        assert_eq!(found.fields, fields, "{wrong:?}");
    }
    // What trades places in one request stands together.
    let traded = put_markets([market("UK", &[]), market("GB", &[])]);
    assert!(client.put_billing_markets(traded).await.is_ok());
}

#[tokio::test]
async fn there_are_512_markets_at_most() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let many = |count: usize| (0..count).map(|index| market(&format!("M{index}"), &[]));
    let status = client.put_billing_markets(put_markets(many(513))).await;
    assert_eq!(refused(&status.unwrap_err()), invalid(["markets"]));
    let status = client.put_billing_markets(put_markets(many(510))).await;
    assert_eq!(refused(&status.unwrap_err()), invalid(["markets"]));
    client
        .put_billing_markets(put_markets(many(509)))
        .await
        .unwrap();
    assert_eq!(listed(&mut client).await.0.len(), 512);
    assert!(put_market(&mut client, market("M0", &["ZZ"])).await.is_ok());
    let full = put_market(&mut client, market("M600", &[])).await;
    assert_eq!(full, Err(invalid(["markets"])));
    let codes: Vec<_> = (0..513).map(|index| format!("M{index}")).collect();
    let codes: Vec<_> = codes.iter().map(String::as_str).collect();
    let status = client.delete_billing_markets(delete_markets(&codes)).await;
    assert_eq!(refused(&status.unwrap_err()), invalid(["codes"]));
    let answer = client
        .delete_billing_markets(delete_markets(&codes[..509]))
        .await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn a_market_that_is_enabled_is_not_deleted() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let in_use = because(Code::FailedPrecondition, "MARKET_IN_USE");
    let unknown = because(Code::NotFound, "MARKET_UNKNOWN");
    // An alias is no code here; and nothing is deleted where one is refused.
    for (codes, want) in [
        (&["NZ", "AU"][..], &in_use),
        (&["NZ", "XX"], &unknown),
        (&["NZ", "GB"], &unknown),
        (&["NZ", "nz"], &invalid(["codes[1]"])),
    ] {
        let status = client.delete_billing_markets(delete_markets(codes)).await;
        assert_eq!(refused(&status.unwrap_err()), *want, "{codes:?}");
    }
    assert_eq!(listed(&mut client).await.0.len(), 3);

    client
        .update_partner_policy(markets("p", &["UK"], &["AU"]))
        .await
        .unwrap();
    let twice = delete_markets(&["AU", "AU"]);
    let gone = client.delete_billing_markets(twice).await.unwrap();
    let revision = gone.into_inner().revision;
    assert_eq!(revision, 3);
    // Its locations stay, and are hidden from managed accounts.
    assert_eq!(ids(&visible(&server, "p-1", revision).await), ["lon"]);
    let all = visible(&server, "d", revision).await;
    assert_eq!(ids(&all), ["akl", "lon", "nowhere", "per", "syd"]);
    // And are back with it.
    put_market(&mut client, market("AU", &[])).await.unwrap();
    let enabled = client
        .update_partner_policy(markets("p", &["AU"], &[]))
        .await;
    let revision = enabled.unwrap().into_inner().revision;
    assert_eq!(
        ids(&visible(&server, "p-1", revision).await),
        ["lon", "per", "syd"]
    );
}

/// A location with everything that can be put.
fn whole() -> v1::Location {
    let mut free = offer("CROSS_CONNECT", "AUD", 0, 0);
    let price = free.price.as_mut().unwrap();
    price.setup = price.monthly.take();
    v1::Location {
        id: "mel".to_owned(),
        name: "é".repeat(200),
        metro: "é".repeat(100),
        country: "AU".to_owned(),
        // By its alias, as it was put.
        market: "GB".to_owned(),
        status: v1::LocationStatus::Deployment.into(),
        offers: vec![
            offer("PORT_10G", "AUD", -3, -250_000_000),
            free,
            v1::Offer {
                product: "PORT_1G".to_owned(),
                price: None,
            },
        ],
    }
}

#[tokio::test]
async fn a_location_comes_back_as_it_was_put() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    assert_eq!(put(&mut client, vec![whole()]).await, Ok(2));
    let found = visible(&server, "d", 2).await;
    let mel = found.iter().find(|one| one.id == "mel");
    assert_eq!(mel, Some(&whole()));
    assert_eq!(found.len(), 6);
    // Replaced whole: what is not sent is gone. A market need not exist.
    let bare = location("mel", "XX");
    assert_eq!(put(&mut client, vec![bare.clone()]).await, Ok(3));
    let found = visible(&server, "d", 3).await;
    assert_eq!(found.iter().find(|one| one.id == "mel"), Some(&bare));
    assert_eq!(put(&mut client, vec![bare]).await, Ok(3));
    // No location is no change.
    assert_eq!(put(&mut client, Vec::new()).await, Ok(3));
}

#[tokio::test]
async fn a_price_with_neither_part_is_no_price() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut sent = location("mel", "AU");
    sent.offers = vec![v1::Offer {
        product: "PORT_1G".to_owned(),
        price: Some(v1::Price::default()),
    }];
    put(&mut client, vec![sent.clone()]).await.unwrap();
    sent.offers[0].price = None;
    let found = visible(&server, "d", 2).await;
    assert_eq!(found.iter().find(|one| one.id == "mel"), Some(&sent));
    assert_eq!(put(&mut client, vec![sent]).await, Ok(2));
}

/// `whole` with something wrong.
fn spoilt(spoil: impl FnOnce(&mut v1::Location)) -> v1::Location {
    let mut location = whole();
    spoil(&mut location);
    location
}

fn money(location: &mut v1::Location) -> &mut Money {
    let price = location.offers[0].price.as_mut().unwrap();
    price.monthly.as_mut().unwrap()
}

#[tokio::test]
async fn each_field_of_a_location_is_checked_and_named() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let monthly = "locations[1].offers[0].price.monthly";
    for (wrong, field) in [
        (spoilt(|one| one.id.clear()), "locations[1].id"),
        (spoilt(|one| one.id = "first".to_owned()), "locations[1].id"),
        (spoilt(|one| one.name.push('x')), "locations[1].name"),
        (spoilt(|one| one.metro.push('x')), "locations[1].metro"),
        (
            spoilt(|one| one.metro = "\0".to_owned()),
            "locations[1].metro",
        ),
        (
            spoilt(|one| one.country = "x".repeat(101)),
            "locations[1].country",
        ),
        (
            spoilt(|one| one.market = "au".to_owned()),
            "locations[1].market",
        ),
        (spoilt(|one| one.status = 7), "locations[1].status"),
        (
            spoilt(|one| one.offers[2].product.clear()),
            "locations[1].offers[2].product",
        ),
        (
            spoilt(|one| one.offers[2].product = "PORT_10G".to_owned()),
            "locations[1].offers[2].product",
        ),
        (spoilt(|one| money(one).currency_code.clear()), monthly),
        (spoilt(|one| money(one).nanos = 1), monthly),
        (spoilt(|one| money(one).nanos = -1_000_000_000), monthly),
        (
            spoilt(|one| {
                let price = one.offers[1].price.as_mut().unwrap();
                price.setup.as_mut().unwrap().currency_code = "Dollar".to_owned();
            }),
            "locations[1].offers[1].price.setup",
        ),
        (
            spoilt(|one| {
                let offers = (0..257).map(|index| offer(&format!("P{index}"), "AUD", 1, 0));
                one.offers = offers.collect();
            }),
            "locations[1].offers",
        ),
    ] {
        let sent = vec![location("first", "AU"), wrong];
        assert_eq!(put(&mut client, sent).await, Err(invalid([field])));
    }
    // One that is wrong refuses all.
    assert_eq!(visible(&server, "d", 1).await.len(), 5);
    let full = spoilt(|one| {
        let offers = (0..256).map(|index| offer(&format!("P{index}"), "AUD", 1, 0));
        one.offers = offers.collect();
    });
    assert_eq!(put(&mut client, vec![full]).await, Ok(2));
}

#[tokio::test]
async fn ten_thousand_locations_are_put_and_deleted_and_one_more_is_not() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let many = |count: usize| -> Vec<_> {
        (0..count)
            .map(|index| location(&format!("l{index}"), "AU"))
            .collect()
    };
    assert_eq!(
        put(&mut client, many(10_001)).await,
        Err(invalid(["locations"]))
    );
    assert_eq!(put(&mut client, many(10_000)).await, Ok(2));
    let names: Vec<_> = (0..10_001).map(|index| format!("l{index}")).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    let status = client.delete_locations(delete_locations(&names)).await;
    assert_eq!(refused(&status.unwrap_err()), invalid(["location_ids"]));
    // Duplicates count once.
    names[10_000] = "l0";
    let gone = client.delete_locations(delete_locations(&names)).await;
    assert_eq!(gone.unwrap().into_inner().revision, 3);
    assert_eq!(visible(&server, "d", 3).await.len(), 5);
}

#[tokio::test]
async fn a_location_that_is_not_there_refuses_all() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let unknown = because(Code::NotFound, "LOCATION_UNKNOWN");
    for (names, want) in [
        (&["syd", "xyz"][..], unknown),
        (
            &["syd", "", "a b"],
            invalid(["location_ids[1]", "location_ids[2]"]),
        ),
    ] {
        let status = client.delete_locations(delete_locations(names)).await;
        assert_eq!(refused(&status.unwrap_err()), want);
    }
    let mut two = delete_locations(&["syd", "per"]);
    two.context = expecting(1);
    let gone = client.delete_locations(two).await.unwrap();
    assert_eq!(gone.into_inner().revision, 2);
    assert_eq!(
        ids(&visible(&server, "d", 2).await),
        ["akl", "lon", "nowhere"]
    );
    let none = client
        .delete_locations(delete_locations(&[]))
        .await
        .unwrap();
    assert_eq!(none.into_inner().revision, 2);
}

#[tokio::test]
async fn a_catalogue_of_many_mebibytes_is_put_once_for_each_key() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let place = |index: usize| v1::Location {
        name: "n".repeat(200),
        offers: (0..20)
            .map(|of| offer(&format!("{of:P>60}"), "AUD", 1, 0))
            .collect(),
        ..location(&format!("l{index}"), "AU")
    };
    let mut request = put_locations((0..4_000).map(place));
    request.context = keyed("k");
    assert!(prost::Message::encoded_len(&request) > 5 << 20);
    for _ in 0..2 {
        let answer = client.put_locations(request.clone()).await.unwrap();
        assert_eq!(answer.into_inner().revision, 2);
    }
    request.locations.truncate(3_999);
    let status = client.put_locations(request).await.unwrap_err();
    let reused = because(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(refused(&status), reused);
    let channel = server.channel().await;
    let path = "/portcullis.v1.PolicyService/PutLocations";
    let too_large = raw::call_at(channel, path, vec![0; (16 << 20) + 1].into()).await;
    let want = because(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(refused(&too_large.unwrap_err()), want);
}
