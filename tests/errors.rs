//! The error table of the README, row by row, as far as a service over memory can meet it.

#![cfg(test)]

#[path = "errors/policies.rs"]
mod policies;
mod support;

use std::time::Duration;

use portcullis::app::{Drained, StoreChoice};
use portcullis::directory::{MAX_FULLY_CONSISTENT, MAX_WAITING};
use portcullis::domain::{Location, LocationId, MarketCode, Offer, Product};
use portcullis::proto::v1::{self, NotificationKind};
use portcullis::store::{Import, Line};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use support::gated::GatedServer;
use support::http2::{Connection, frame, path};
use support::refused::{Refused, because, invalid, refused};
use support::requests::{batch, catalog, check, ids, inline, list, location, recipients, stored};
use support::server::{Client, Server, config};
use support::{demo, methods, raw, within};

const MIB: usize = 1 << 20;

async fn check_refusal(client: &mut Client, account: &str, feature: &str) -> Refused {
    let answer = client.check_feature(check(account, feature)).await;
    refused(&answer.unwrap_err())
}

/// The errors of the three calls about one account.
async fn refusals_about(client: &mut Client, account: &str) -> [Status; 3] {
    [
        client
            .check_feature(check(account, "pricing.view"))
            .await
            .unwrap_err(),
        client.list_features(list(account)).await.unwrap_err(),
        client.filter_catalog(catalog(account)).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_malformed_account_id_is_an_invalid_request() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let long = "x".repeat(65);
    for account in ["", " ", "acme ", "a/b", "é", "a\0", "a\nb", &long] {
        for status in refusals_about(&mut client, account).await {
            assert_eq!(refused(&status), invalid(["account_id"]), "{account:?}");
            // What was sent is quoted, in one line and cut.
            assert!(!status.message().contains(['\n', '\0']), "{status:?}");
        }
    }
}

#[tokio::test]
async fn each_empty_field_is_named() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let both = invalid(["account_id", "feature"]);
    assert_eq!(check_refusal(&mut client, "", "").await, both);
    assert_eq!(
        check_refusal(&mut client, "acme", "").await,
        invalid(["feature"])
    );
}

#[tokio::test]
async fn an_unknown_feature_is_told_from_an_unknown_account() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let unknown = || because(Code::InvalidArgument, "FEATURE_UNKNOWN");
    let long = "x".repeat(100_000);
    // Well-formed or not.
    for feature in [
        "no.such_feature",
        "Pricing.View",
        "pricing",
        " ",
        "\0",
        &long,
    ] {
        let answer = client.check_feature(check("acme", feature)).await;
        let status = answer.unwrap_err();
        assert_eq!(refused(&status), unknown(), "{feature:?}");
        assert!(status.message().len() < 500, "{feature:?}");
    }
    for status in refusals_about(&mut client, "nobody").await {
        assert_eq!(refused(&status), because(Code::NotFound, "ACCOUNT_UNKNOWN"));
        assert!(status.message().contains("`nobody`"), "{status:?}");
    }
    // Ids are compared byte by byte.
    for status in refusals_about(&mut client, "Acme").await {
        assert_eq!(refused(&status), because(Code::NotFound, "ACCOUNT_UNKNOWN"));
    }
}

#[tokio::test]
async fn shape_then_feature_then_account() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for (account, feature, want) in [
        ("not an id", "no.such_feature", invalid(["account_id"])),
        ("nobody", "", invalid(["feature"])),
        (
            "nobody",
            "no.such_feature",
            because(Code::InvalidArgument, "FEATURE_UNKNOWN"),
        ),
        (
            "nobody",
            "pricing.view",
            because(Code::NotFound, "ACCOUNT_UNKNOWN"),
        ),
    ] {
        assert_eq!(check_refusal(&mut client, account, feature).await, want);
    }
    let filtered = |markets: &[&str]| {
        let markets = markets.iter().map(|&market| market.to_owned()).collect();
        v1::StoredCatalog {
            markets,
            ..v1::StoredCatalog::default()
        }
    };
    let malformed = stored("nobody", filtered(&["au"]));
    let status = client.filter_catalog(malformed).await.unwrap_err();
    assert_eq!(refused(&status), invalid(["stored.markets[0]"]));
    let unknown = stored("nobody", filtered(&["XX"]));
    let status = client.filter_catalog(unknown).await.unwrap_err();
    assert_eq!(refused(&status), because(Code::NotFound, "ACCOUNT_UNKNOWN"));
    let malformed = inline("nobody", vec![location("", "")]);
    let status = client.filter_catalog(malformed).await.unwrap_err();
    assert_eq!(refused(&status), invalid(["inline.locations[0].id"]));
}

#[tokio::test]
async fn a_message_that_does_not_decode_is_an_invalid_request() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    let group = [0x0b_u8].repeat(100_000);
    for method in methods::unary() {
        let path = &method.path;
        for message in [
            // A length beyond the end, a text of no UTF-8, no wire type, no field number, an end
            // of a group that nothing began, a group in a group in a group.
            &b"\x0a\x7f"[..],
            b"\x0a\x02\xff\xfe",
            b"\x0f",
            b"\x00",
            b"\x0c",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            &group,
        ] {
            // A field that is not declared may hold whatever it likes.
            if !method.has_fields && message.starts_with(b"\x0a\x02") {
                continue;
            }
            let message = message.to_vec().into();
            match raw::call_at(channel.clone(), path, message).await {
                Err(status) => assert_eq!(refused(&status), invalid(["message"]), "{path}"),
                Ok(answer) => panic!("{path} answers {answer:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_message_over_four_mebibytes_is_too_large() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    // The length of a text takes four bytes, its tag one; `account_id` with its own takes six.
    let fits = "x".repeat(4 * MIB - 11);
    let request = check("acme", &fits);
    assert_eq!(request.encoded_len(), 4 * MIB);
    let status = client.check_feature(request).await.unwrap_err();
    let unknown = because(Code::InvalidArgument, "FEATURE_UNKNOWN");
    assert_eq!(refused(&status), unknown);

    let too_large = because(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let request = check("acme", &format!("{fits}x"));
    let status = client.check_feature(request).await.unwrap_err();
    assert_eq!(refused(&status), too_large);

    let channel = server.channel().await;
    for method in methods::unary() {
        let message = vec![0; 5 * MIB].into();
        let answer = raw::call_at(channel.clone(), &method.path, message).await;
        let want = match method.is_large {
            true => &invalid(["message"]),
            false => &too_large,
        };
        assert_eq!(refused(&answer.unwrap_err()), *want, "{method:?}");
    }
    // The connection is still good.
    let answer = client.check_feature(check("acme", "pricing.view")).await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn a_catalogue_may_have_sixteen_mebibytes() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let large: Vec<_> = (0..20_000)
        .map(|index| v1::Location {
            name: "n".repeat(200),
            metro: "m".repeat(64),
            ..location(&format!("l{index}"), "AU")
        })
        .collect();
    let request = inline("northwind-retail", large.clone());
    assert!(request.encoded_len() > 5 * MIB);
    let answer = client.filter_catalog(request).await.unwrap().into_inner();
    assert!(answer.locations == large, "not the same locations");

    let message = vec![0; 16 * MIB + 1].into();
    let answer = raw::call(server.channel().await, "FilterCatalog", message).await;
    let too_large = because(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(refused(&answer.unwrap_err()), too_large);
    let message = vec![0; 16 * MIB].into();
    let answer = raw::call(server.channel().await, "FilterCatalog", message).await;
    assert_eq!(refused(&answer.unwrap_err()), invalid(["message"]));
}

#[tokio::test]
async fn an_announced_length_is_not_waited_for() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for method in methods::unary() {
        // The largest length that a frame can announce, and nothing after it.
        let request = connection.request(&method.path);
        let announced = bytes::Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]);
        let answer = connection.send(request, announced).await.unwrap();
        let too_large = because(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        assert_eq!(refused(&answer.grpc().unwrap()), too_large, "{method:?}");
    }
}

#[tokio::test]
async fn an_error_ends_with_its_headers() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    // No wire type, whatever the message.
    let malformed = frame(b"\x0f");
    for method in methods::unary() {
        let request = connection.request(&method.path);
        let answer = connection.send(request, malformed.clone()).await.unwrap();
        assert_eq!(refused(&answer.grpc().unwrap()), invalid(["message"]));
        assert!(answer.headers_alone, "{method:?}");
    }
}

/// The demo data with 10,000 locations, each with 27 offers and the longest of names.
fn too_much() -> StoreChoice {
    let offers: Vec<_> = (0..27)
        .map(|index| Offer {
            product: Product::try_from(format!("{index:X>64}")).unwrap(),
            price: None,
        })
        .collect();
    let location = |index: usize| Line {
        line: 1,
        value: Location {
            id: LocationId::try_from(format!("l{index:05}")).unwrap(),
            name: "é".repeat(200),
            metro: "Sydney".to_owned(),
            country: "AU".to_owned(),
            market: MarketCode::try_from("AU").ok(),
            status: None,
            offers: offers.clone(),
        },
    };
    StoreChoice::Memory(Import {
        locations: (0..10_000).map(location).collect(),
        ..demo::import().clone()
    })
}

#[tokio::test]
async fn an_answer_is_never_cut_short() {
    let server = Server::start(config(too_much())).await;
    let mut client = server.client().await;
    for account in ["acme", "northwind-retail"] {
        let status = client.filter_catalog(catalog(account)).await.unwrap_err();
        let want = because(Code::ResourceExhausted, "ANSWER_TOO_LARGE");
        assert_eq!(refused(&status), want, "{account}");
        let by_id = client.filter_catalog(ids(catalog(account))).await.unwrap();
        assert_eq!(by_id.into_inner().location_ids.len(), 10_000);
    }
    // A page of it fits.
    let page = v1::StoredCatalog {
        page_size: 5_000,
        ..v1::StoredCatalog::default()
    };
    let answer = client.filter_catalog(stored("acme", page)).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.locations.len(), 5_000);
    assert!(answer.encoded_len() > 4 * MIB);
    assert_ne!(answer.next_page_token, "");
}

#[tokio::test]
async fn an_error_fits_into_the_headers_that_clients_accept() {
    // Errors travel in headers, and 8 KiB is what clients accept by default.
    const HEADERS: usize = 8 << 10;
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    let hard = "\u{e0001}".repeat(200);
    let locations = vec![location(&hard, "AU"); 100];
    let names = v1::StoredCatalog {
        markets: vec![hard.clone(); 100],
        metros: vec!["\0".repeat(100); 100],
        page_size: u32::MAX,
        page_token: hard.clone(),
    };
    for message in [
        inline(&hard, locations).encode_to_vec(),
        stored("acme", names).encode_to_vec(),
        stored(&hard, v1::StoredCatalog::default()).encode_to_vec(),
    ] {
        let answer = connection.call("FilterCatalog", &message).await;
        assert_eq!(answer.grpc().unwrap().code(), Code::InvalidArgument);
        let size: usize = answer
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum();
        assert!(size < HEADERS, "{size} bytes of headers");
        assert_eq!(refused(&answer.grpc().unwrap()).reason, "INVALID_REQUEST");
    }
    let answer = connection
        .call(
            "CheckFeature",
            &check("acme", &"\u{10ffff}".repeat(10_000)).encode_to_vec(),
        )
        .await;
    assert_eq!(refused(&answer.grpc().unwrap()).reason, "FEATURE_UNKNOWN");
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_exceeded() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    client
        .check_feature(check("acme", "pricing.view"))
        .await
        .unwrap();
    let connection = Connection::open(server.grpc).await;
    let message = frame(&check("acme", "pricing.view").encode_to_vec());
    // Cached or not, and whether it is told before or after: it was not in time.
    for _ in 0..50 {
        for timeout in ["0n", "1n", "0m", "0S"] {
            let mut request = connection.request(&path("CheckFeature"));
            let headers = request.headers_mut();
            headers.insert("grpc-timeout", timeout.parse().unwrap());
            let answer = connection.send(request, message.clone()).await.unwrap();
            let want = because(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
            assert_eq!(refused(&answer.grpc().unwrap()), want, "{timeout}");
        }
    }
    let mut request = connection.request(&path("CheckFeature"));
    request
        .headers_mut()
        .insert("grpc-timeout", "99999999H".parse().unwrap());
    let answer = connection.send(request, message).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_waited_for_until_the_deadline() {
    let limit = Duration::from_millis(200);
    let server = GatedServer::start(limit, Duration::from_secs(10)).await;
    let mut client = server.client().await;
    let hold = server.gate.hold.write().await;
    let exceeded = || because(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    // The server's own limit.
    for status in refusals_about(&mut client, "acme").await {
        assert_eq!(refused(&status), exceeded());
    }
    let answer = client
        .batch_check_features(batch([("acme", "pricing.view")]))
        .await;
    assert_eq!(refused(&answer.unwrap_err()), exceeded());
    let answer = client
        .resolve_recipients(recipients(NotificationKind::Security, ["acme"]))
        .await;
    assert_eq!(refused(&answer.unwrap_err()), exceeded());

    // The caller's, where that is shorter.
    let connection = Connection::open(server.grpc).await;
    let mut request = connection.request(&path("CheckFeature"));
    request
        .headers_mut()
        .insert("grpc-timeout", "5m".parse().unwrap());
    let message = frame(&check("acme", "pricing.view").encode_to_vec());
    let answer = connection.send(request, message).await.unwrap();
    assert_eq!(refused(&answer.grpc().unwrap()), exceeded());

    // The waiting ended, and the load goes on.
    drop(hold);
    let answer = client.check_feature(check("acme", "pricing.view")).await;
    assert_eq!(answer.unwrap().into_inner().effect(), v1::Effect::Allow);
    drop((client, connection));
    assert_eq!(server.stop().await, Drained::Clean);
}

#[tokio::test]
async fn more_than_may_wait_for_the_store_is_overload() {
    let server = GatedServer::start(Duration::from_secs(50), Duration::from_secs(10)).await;
    let mut client = server.client().await;
    let warm = check("northwind", "pricing.view");
    client.check_feature(warm.clone()).await.unwrap();
    let overloaded = |status: Status| {
        assert_eq!(
            refused(&status),
            because(Code::ResourceExhausted, "OVERLOADED")
        );
        let retry = status.get_error_details().retry_info().cloned().unwrap();
        assert!(retry.retry_delay.unwrap() > Duration::ZERO);
    };

    let hold = server.gate.hold.write().await;
    let full = |account: &str| v1::CheckFeatureRequest {
        consistency: Some(v1::Consistency {
            requirement: Some(v1::consistency::Requirement::FullyConsistent(true)),
        }),
        ..check(account, "pricing.view")
    };
    let loads = server.gate.asked().loads;
    let alone: Vec<_> = (0..MAX_FULLY_CONSISTENT)
        .map(|_| {
            let (mut client, request) = (client.clone(), full("acme"));
            tokio::spawn(async move { client.check_feature(request).await })
        })
        .collect();
    let all = loads + MAX_FULLY_CONSISTENT;
    within("the reads", server.gate.until(|asked| asked.loads == all)).await;
    overloaded(client.check_feature(full("acme")).await.unwrap_err());

    let waiting: Vec<_> = (0..MAX_WAITING / 10_000)
        .map(|call| {
            let mut client = client.clone();
            let ids: Vec<_> = (0..10_000).map(|id| format!("c{call}-{id}")).collect();
            let ids = ids.iter().map(String::as_str);
            let request = recipients(NotificationKind::Security, ids);
            tokio::spawn(async move {
                loop {
                    // Those that probe below may be before it, and then leave.
                    match client.resolve_recipients(request.clone()).await {
                        Err(status) if status.code() == Code::ResourceExhausted => {}
                        answer => break answer,
                    }
                }
            })
        })
        .collect();
    let ids: Vec<_> = (0..MAX_WAITING % 10_000 + 1)
        .map(|id| format!("z{id}"))
        .collect();
    let ids = || ids.iter().map(String::as_str);
    let too_many = loop {
        // Until those before it have come to wait, this one may wait itself: for no longer than this.
        let mut request = tonic::Request::new(recipients(NotificationKind::Security, ids()));
        request.set_timeout(Duration::from_millis(100));
        match client.resolve_recipients(request).await.unwrap_err() {
            status if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) => {}
            status => break status,
        }
    };
    overloaded(too_many);
    // What is cached asks for nothing.
    client.check_feature(warm).await.unwrap();

    drop(hold);
    for call in alone {
        within("a read", call).await.unwrap().unwrap();
    }
    for call in waiting {
        let answer = within("a load", call).await.unwrap().unwrap().into_inner();
        assert_eq!(answer.unresolved.len(), 10_000);
    }
    let answer = client.resolve_recipients(recipients(NotificationKind::Security, ids()));
    assert!(answer.await.is_ok());
    client.check_feature(full("acme")).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_down_is_unavailable_and_never_an_answer() {
    let server = GatedServer::start(Duration::from_secs(20), Duration::from_secs(10)).await;
    let mut client = server.client().await;
    server
        .gate
        .down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    for status in refusals_about(&mut client, "acme").await {
        let want = because(Code::Unavailable, "STORE_UNAVAILABLE");
        assert_eq!(refused(&status), want);
        let retry = status.get_error_details();
        let retry = retry.retry_info().unwrap().retry_delay.unwrap();
        assert!(retry > Duration::ZERO);
    }
}
