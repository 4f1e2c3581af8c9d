//! Bodies that are no gRPC, and messages that are no protobuf: each has an answer, and the server
//! goes on.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use portcullis::app::Drained;
use portcullis::proto::v1::{self, NotificationKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::Message as _;
use tonic::Code;

use crate::support::http2::{Connection, flagged, frame, path, read};
use crate::support::refused::{because, refused};
use crate::support::requests::{batch, check, inline, list, location, offer, recipients, stored};
use crate::support::server::{Server, config};
use crate::support::{demo, policies, within};

const METHODS: [&str; 5] = [
    "CheckFeature",
    "BatchCheckFeatures",
    "ListFeatures",
    "FilterCatalog",
    "ResolveRecipients",
];

fn message() -> Vec<u8> {
    check("acme", "pricing.view").encode_to_vec()
}

/// The code of an answer, which has one.
async fn code(connection: &Connection, method: &str, body: Bytes) -> Code {
    let request = connection.request(&path(method));
    let answer = connection.send(request, body).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.grpc().unwrap().code()
}

#[tokio::test]
async fn a_broken_frame_keeps_grpcs_own_error() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    let whole = frame(&message());
    for method in METHODS {
        for (what, body, want) in [
            ("no message", Bytes::new(), Code::Internal),
            ("half a header", whole.slice(..3), Code::Internal),
            ("a header alone", whole.slice(..5), Code::Internal),
            (
                "half a message",
                whole.slice(..whole.len() - 1),
                Code::Internal,
            ),
            (
                "a compressed message",
                flagged(1, &message()),
                Code::Internal,
            ),
            (
                "a flag that is none",
                flagged(7, &message()),
                Code::Internal,
            ),
        ] {
            assert_eq!(
                code(&connection, method, body).await,
                want,
                "{method} {what}"
            );
        }
    }
    assert_eq!(code(&connection, "CheckFeature", whole).await, Code::Ok);
}

#[tokio::test]
async fn compression_is_not_offered() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for encoding in ["gzip", "deflate", "zstd", "nonsense"] {
        for flag in [0, 1] {
            let mut request = connection.request(&path("CheckFeature"));
            let headers = request.headers_mut();
            headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
            let body = flagged(flag, &message());
            let answer = connection.send(request, body).await.unwrap();
            let status = answer.grpc().unwrap();
            assert_eq!(status.code(), Code::Unimplemented, "{encoding}");
        }
    }
    // Offered for the answer, it is not taken up.
    let mut request = connection.request(&path("CheckFeature"));
    let headers = request.headers_mut();
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
    let answer = connection.send(request, frame(&message())).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    assert_eq!(
        (answer.body[0], answer.headers.get("grpc-encoding")),
        (0, None)
    );
}

#[tokio::test]
async fn a_second_message_changes_nothing() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    let second = frame(&check("northwind-retail", "pricing.view").encode_to_vec());
    let mut body = BytesMut::from(&frame(&message())[..]);
    body.extend_from_slice(&second);
    let request = connection.request(&path("CheckFeature"));
    let answer = connection.send(request, body.freeze()).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    // One answer, to the first.
    let length = u32::from_be_bytes(answer.body[1..5].try_into().unwrap());
    assert_eq!(answer.body.len(), 5 + length as usize);
    let answer = v1::CheckFeatureResponse::decode(&answer.body[5..]).unwrap();
    assert_eq!(answer.effect(), v1::Effect::Allow);
}

#[tokio::test]
async fn a_request_that_never_ends_has_a_deadline() {
    let mut config = config(demo::store());
    config.limits.request_timeout = Duration::from_millis(200);
    let server = Server::start(config).await;
    let methods = METHODS.into_iter().chain(["WatchChanges"]).map(path);
    for path in methods.chain(["Check", "Watch"].map(|one| format!("/grpc.health.v1.Health/{one}")))
    {
        let connection = Connection::open(server.grpc).await;
        let mut requests = connection.requests.clone().ready().await.unwrap();
        let request = connection.request(&path);
        let (answer, mut sending) = requests.send_request(request, false).unwrap();
        let half = frame(&message()).slice(..9);
        sending.send_data(half, false).unwrap();
        let answer = within("the deadline", read(answer)).await.unwrap();
        let want = because(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert_eq!(refused(&answer.grpc().unwrap()), want, "{path}");
        // Whoever does not go on is told to leave, though it still has more to say.
        let told = within(&format!("the end of {path}"), connection.closed)
            .await
            .unwrap();
        assert!(told.is_ok(), "{path}: {told:?}");
        drop(sending);
    }
    assert_eq!(server.stop().await, Drained::Clean);
}

/// Valid requests, to be damaged.
fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let mut place = location("syd", "AU");
    place.name = "Sydney 1".to_owned();
    place.offers = vec![
        offer("PORT_10G", "AUD", 1_200, 5),
        offer("MCR", "AUD", 0, 0),
    ];
    let page = v1::StoredCatalog {
        markets: vec!["AU".to_owned(), "GB".to_owned()],
        metros: vec!["Sydney".to_owned()],
        page_size: 3,
        page_token: String::new(),
    };
    let maintenance = NotificationKind::Maintenance;
    vec![
        ("CheckFeature", message()),
        (
            "BatchCheckFeatures",
            batch([
                ("acme", "pricing.view"),
                ("northwind-retail", "pricing.view"),
            ])
            .encode_to_vec(),
        ),
        ("ListFeatures", list("northwind-retail").encode_to_vec()),
        (
            "FilterCatalog",
            inline("northwind-games", vec![place]).encode_to_vec(),
        ),
        ("FilterCatalog", stored("acme", page).encode_to_vec()),
        (
            "ResolveRecipients",
            recipients(maintenance, ["acme", "northwind-retail"]).encode_to_vec(),
        ),
    ]
}

/// What a framed message may be answered with, whatever is in it.
const SANE: [Code; 5] = [
    Code::Ok,
    // An expected revision came out of the damage.
    Code::Aborted,
    Code::InvalidArgument,
    Code::NotFound,
    Code::FailedPrecondition,
];

/// The same for PolicyService, by their paths.
fn valid_policies() -> Vec<(String, Vec<u8>)> {
    let update = v1::UpdatePartnerPolicyRequest {
        context: policies::keyed("once"),
        enable_markets: vec!["AU".to_owned()],
        ..policies::update("northwind", [("pricing.view", v1::Setting::On)])
    };
    let history = v1::ListPolicyChangesRequest {
        partner_id: "northwind".to_owned(),
        account_id: "acme".to_owned(),
        page_size: 3,
        ..Default::default()
    };
    let preview = v1::PreviewPartnerPolicyRequest {
        update: Some(update.clone()),
    };
    let explain = v1::ExplainFeatureRequest {
        account_id: "northwind-retail".to_owned(),
        feature: "pricing.view".to_owned(),
    };
    let accounts = v1::ListAccountsRequest {
        partner_id: "northwind".to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let own = policies::own("northwind-retail", [("dashboard.view", v1::Setting::Off)]);
    [
        ("UpdatePartnerPolicy", update.encode_to_vec()),
        ("PreviewPartnerPolicy", preview.encode_to_vec()),
        ("UpdateAccountSettings", own.encode_to_vec()),
        (
            "PutAccount",
            policies::put(policies::managed("new", "northwind")).encode_to_vec(),
        ),
        ("DeleteAccount", policies::delete("new").encode_to_vec()),
        (
            "PutBillingMarkets",
            policies::put_markets([policies::market("XX", &["YY"])]).encode_to_vec(),
        ),
        (
            "DeleteBillingMarkets",
            policies::delete_markets(&["XX"]).encode_to_vec(),
        ),
        (
            "PutLocations",
            policies::put_locations([location("syd", "AU")]).encode_to_vec(),
        ),
        (
            "DeleteLocations",
            policies::delete_locations(&["syd"]).encode_to_vec(),
        ),
        (
            "GetPartnerPolicy",
            policies::policy_of("northwind").encode_to_vec(),
        ),
        ("GetAccount", policies::account_of("acme").encode_to_vec()),
        ("ListAccounts", accounts.encode_to_vec()),
        ("ListPolicyChanges", history.encode_to_vec()),
        ("ExplainFeature", explain.encode_to_vec()),
    ]
    .map(|(method, bytes)| (format!("/portcullis.v1.PolicyService/{method}"), bytes))
    .into()
}

#[tokio::test]
async fn any_message_has_an_answer() {
    let valid = valid().into_iter();
    damaged(
        valid.map(|(method, bytes)| (path(method), bytes)).collect(),
        3_000,
    )
    .await;
}

#[tokio::test]
async fn any_message_of_policies_has_an_answer() {
    damaged(valid_policies(), 4_200).await;
}

/// Sends messages that are damaged a little, and some that are anything.
async fn damaged(valid: Vec<(String, Vec<u8>)>, rounds: usize) {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    let mut runner = TestRunner::deterministic();
    let random = proptest::collection::vec(any::<u8>(), 0..200);
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    for round in 0..rounds {
        let (method, mut bytes) = valid[round % valid.len()].clone();
        if round % 4 == 0 {
            bytes = random.new_tree(&mut runner).unwrap().current();
        } else {
            for (at, with) in damage.new_tree(&mut runner).unwrap().current() {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
        }
        let request = connection.request(&method);
        let answer = connection.send(request, frame(&bytes)).await.unwrap();
        let code = answer.grpc().unwrap().code();
        assert!(SANE.contains(&code), "{method} {bytes:?}: {code:?}");
    }
    assert_eq!(
        code(&connection, "CheckFeature", frame(&message())).await,
        Code::Ok
    );
    drop(connection);
    assert_eq!(server.stop().await, Drained::Clean);
}

#[tokio::test]
async fn any_body_has_an_answer() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    let mut runner = TestRunner::deterministic();
    let random = proptest::collection::vec(any::<u8>(), 1..200);
    for round in 0..1_000 {
        let body = random.new_tree(&mut runner).unwrap().current();
        let method = METHODS[round % METHODS.len()];
        let code = code(&connection, method, body.clone().into()).await;
        let broken = [
            Code::Internal,
            Code::ResourceExhausted,
            Code::InvalidArgument,
        ];
        assert!(broken.contains(&code), "{method} {body:?}: {code:?}");
    }
    assert_eq!(
        code(&connection, "CheckFeature", frame(&message())).await,
        Code::Ok
    );
}

#[tokio::test]
async fn deep_nesting_ends_nothing() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for method in METHODS {
        // A million groups, each in the one before, and then all of them ended.
        let mut bytes = vec![0x0b; 1_000_000];
        bytes.extend(vec![0x0c; 1_000_000]);
        let answer = code(&connection, method, frame(&bytes)).await;
        assert_eq!(answer, Code::InvalidArgument, "{method}");
        // A message in a message in a message, in a field that nobody declared.
        let mut bytes = Vec::new();
        for _ in 0..500 {
            let mut outer = Vec::new();
            crate::support::raw::push(&mut outer, 1, &bytes);
            bytes = outer;
        }
        let answer = code(&connection, method, frame(&bytes)).await;
        assert_ne!(answer, Code::Internal, "{method}");
    }
    assert_eq!(
        code(&connection, "CheckFeature", frame(&message())).await,
        Code::Ok
    );
}
