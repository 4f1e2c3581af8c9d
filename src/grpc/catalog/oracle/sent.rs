//! Catalogues that are sent along: valid, and damaged in every way.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;

use super::damage::{Damage, bytes, tree};
use super::{ACCOUNTS, Came, agreed, api, ours};
use crate::grpc::AuthorizationApi;
use crate::grpc::catalog::CatalogRequest;
use crate::proto::google::r#type as google;
use crate::proto::v1;
use crate::proto::v1::filter_catalog_request::Catalog;

static API: LazyLock<AuthorizationApi> = LazyLock::new(|| api(Vec::new()));

fn texts(texts: &[&str]) -> impl Strategy<Value = String> + use<> {
    select(
        texts
            .iter()
            .map(|&text| text.to_owned())
            .collect::<Vec<_>>(),
    )
}

fn money() -> impl Strategy<Value = google::Money> {
    let amount = prop_oneof![
        8 => (0..3_000_i64, select(vec![0, 1, 500_000_000, 999_999_999])),
        2 => (-3_000..=0_i64, select(vec![0, -1, -999_999_999])),
        1 => select(vec![(i64::MIN, 0), (i64::MAX, 1)]),
    ];
    (texts(&["AUD", "", "no currency", "€"]), amount).prop_map(|(currency_code, amount)| {
        let (units, nanos) = amount;
        google::Money {
            currency_code,
            units,
            nanos,
        }
    })
}

fn offer() -> impl Strategy<Value = v1::Offer> {
    let price =
        (of(money()), of(money())).prop_map(|(monthly, setup)| v1::Price { monthly, setup });
    (texts(&["PORT_10G", "MCR:2500", "x"]), weighted(0.8, price))
        .prop_map(|(product, price)| v1::Offer { product, price })
}

/// Locations with nothing wrong.
fn location() -> impl Strategy<Value = v1::Location> {
    let id = texts(&[
        "a",
        "syd-sy1",
        "0123456789012345678901234567890123456789012345678901234567890123",
    ]);
    let long = "é".repeat(200);
    let name = texts(&["", "Équinix Ñ1", "plain", &long]);
    let market = texts(&[
        "",
        "AU",
        "AU",
        "GB",
        "UK",
        "NZ",
        "XX",
        "au",
        "no market at all",
    ]);
    let status = select(vec![0, 1, 6, 42, -1, i32::MAX, i32::MIN]);
    let country = texts(&["", "AU", "nowhere\0at all"]);
    (
        id,
        name,
        texts(&["", "Sydney"]),
        country,
        market,
        status,
        vec(offer(), 0..4),
    )
        .prop_map(
            |(id, name, metro, country, market, status, offers)| v1::Location {
                id,
                name,
                metro,
                country,
                market,
                status,
                offers,
            },
        )
}

fn request() -> impl Strategy<Value = v1::FilterCatalogRequest> {
    let account = texts(&ACCOUNTS[..6]);
    let view = select(vec![0, 1, 1, 2]);
    let consistency = select(vec![
        None,
        Some(v1::consistency::Requirement::AtLeastRevision(1)),
        Some(v1::consistency::Requirement::FullyConsistent(false)),
    ]);
    (account, view, consistency, vec(location(), 0..6)).prop_map(
        |(account_id, view, requirement, locations)| v1::FilterCatalogRequest {
            account_id,
            view,
            catalog: Some(Catalog::Inline(v1::InlineCatalog { locations })),
            consistency: requirement.map(|_| v1::Consistency { requirement }),
        },
    )
}

fn is_recognised(request: &[u8]) -> bool {
    let request = CatalogRequest::decode(request.to_vec().into());
    request.is_ok_and(|request| request.canonical.is_some())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_valid_is_copied_and_the_answer_is_the_same(request in request()) {
        let request = request.encode_to_vec();
        prop_assert!(is_recognised(&request));
        prop_assert!(matches!(agreed(&API, &request), Came::Answer(_)));
    }

    #[test]
    fn what_is_damaged_is_answered_or_refused_the_same(
        request in request(),
        account in select(ACCOUNTS.to_vec()),
        damage in vec((Damage::any(), any::<usize>(), any::<usize>()), 1..4),
    ) {
        let request = v1::FilterCatalogRequest { account_id: account.to_owned(), ..request };
        let mut tree = tree(&request);
        for (damage, message, at) in damage {
            damage.inflict(&mut tree, message, at);
        }
        agreed(&API, &bytes(&tree));
    }

    #[test]
    fn bytes_that_are_changed_or_cut_off_make_no_difference_of_meaning(
        request in request(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        cut in weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let mut request = request.encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(request.len());
            request[at] = byte;
        }
        if let Some(at) = cut {
            request.truncate(at.index(request.len()));
        }
        agreed(&API, &request);
    }
}

/// A request with everything that one can have, and nothing wrong.
fn full() -> v1::FilterCatalogRequest {
    let money = |units| {
        Some(google::Money {
            currency_code: "AUD".to_owned(),
            units,
            nanos: 5,
        })
    };
    let price = v1::Price {
        monthly: money(1_200),
        setup: money(3),
    };
    let offer = |product: &str| v1::Offer {
        product: product.to_owned(),
        price: Some(price.clone()),
    };
    let location = |id: &str| v1::Location {
        id: id.to_owned(),
        name: "Name".to_owned(),
        metro: "Sydney".to_owned(),
        country: "AU".to_owned(),
        market: "AU".to_owned(),
        status: 2,
        offers: vec![offer("PORT_10G"), offer("MCR_2500")],
    };
    let locations = vec![location("a"), location("b")];
    v1::FilterCatalogRequest {
        account_id: "priced".to_owned(),
        catalog: Some(Catalog::Inline(v1::InlineCatalog { locations })),
        view: 1,
        consistency: Some(v1::Consistency {
            requirement: Some(v1::consistency::Requirement::AtLeastRevision(1)),
        }),
    }
}

/// Every damage to every field of every message, one at a time.
#[test]
fn whatever_is_done_to_one_field_the_answer_is_the_same() {
    let (mut copied, mut decoded, mut refused) = (0, 0, 0);
    for account in ["direct", "priced", "plain"] {
        let request = v1::FilterCatalogRequest {
            account_id: account.to_owned(),
            ..full()
        };
        let whole = tree(&request);
        assert!(is_recognised(&bytes(&whole)));
        for damage in Damage::ALL {
            for message in 0..17 {
                for at in 0..7 {
                    let mut tree = whole.clone();
                    damage.inflict(&mut tree, message, at);
                    let request = bytes(&tree);
                    match (agreed(&API, &request), is_recognised(&request)) {
                        (Came::Answer(_), true) => copied += 1,
                        (Came::Answer(_), false) => decoded += 1,
                        (Came::Refusal(..), _) => refused += 1,
                    }
                }
            }
        }
    }
    assert!(
        copied > 100 && decoded > 100 && refused > 100,
        "{copied} {decoded} {refused}"
    );
}

/// A secret in a field that nobody declared comes back in no answer.
#[test]
fn nothing_rides_along() {
    let is_in = |bytes: &[u8]| bytes.windows(6).any(|part| part == b"secret");
    for account in ["direct", "priced", "plain"] {
        let request = v1::FilterCatalogRequest {
            account_id: account.to_owned(),
            ..full()
        };
        for damage in [Damage::Unknown, Damage::UnknownGroup] {
            for message in 0..17 {
                let mut tree = tree(&request);
                damage.inflict(&mut tree, message, message);
                let request = bytes(&tree);
                assert!(is_in(&request));
                match ours(&API, &request) {
                    Came::Answer(answer) => assert!(!is_in(&answer), "{message}"),
                    Came::Refusal(..) => panic!("{damage:?} {message}"),
                }
            }
        }
    }
}

#[test]
fn bounds_are_those_of_the_decoder() {
    let with = |count: usize, offers: usize| {
        let mut request = full();
        let Some(Catalog::Inline(inline)) = &mut request.catalog else {
            unreachable!()
        };
        let mut location = inline.locations[0].clone();
        location.offers = vec![
            v1::Offer {
                product: "x".to_owned(),
                price: None
            };
            offers
        ];
        inline.locations = vec![location; count];
        request.encode_to_vec()
    };
    for (request, is_accepted) in [
        (with(0, 0), true),
        (with(20_000, 0), true),
        (with(20_001, 0), false),
        (with(1, 256), true),
        (with(1, 257), false),
    ] {
        assert_eq!(is_recognised(&request), is_accepted);
        assert_eq!(
            matches!(agreed(&API, &request), Came::Answer(_)),
            is_accepted
        );
    }
}

/// Numbers of more than 64 bits, whose lowest ones are those of an inline catalogue.
#[test]
fn a_tag_or_a_length_that_overflows_is_refused() {
    let account = [&[0x0a, 6][..], b"direct"].concat();
    let nothing = [&account[..], &[0x1a, 0]].concat();
    assert!(is_recognised(&nothing));
    let over = [&[0x80; 8][..], &[2]].concat();
    for catalog in [
        [&[0x1a, 0x80][..], &over].concat(),
        [&[0x9a][..], &over, &[0]].concat(),
    ] {
        let request = [&account[..], &catalog].concat();
        assert!(matches!(agreed(&API, &request), Came::Refusal(..)));
    }
}
