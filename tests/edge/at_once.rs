//! CheckFeature has a short way beside the generated code. What goes it is answered as the generated
//! code answers: thousands of requests are sent both ways, plain ones and odd ones.
//!
//! A message whose end is said in a frame of its own has not arrived whole at the first look, and so
//! goes the ordinary way.

use bytes::Bytes;
use portcullis::proto::v1;
use portcullis::proto::v1::consistency::Requirement;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use prost::Message as _;
use tokio::runtime::Runtime;

use crate::support::http2::{Answer, Connection, flagged, path, read};
use crate::support::server::Server;
use crate::support::within;

/// A request, as it is on the wire.
#[derive(Debug, Clone)]
struct Odd {
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let account = select(vec![
        "northwind-retail",
        "acme",
        "southwind",
        "nobody-knows-it",
        "",
        "not an id",
        "é",
    ]);
    let feature = select(vec![
        "pricing.view",
        "invoices.pay",
        "services.order",
        "dashboard.view",
        "no.feature",
        "",
        "Pricing.View",
        "pricing.view\0",
    ]);
    let consistency = select(vec![
        None,
        Some(None),
        Some(Some(Requirement::AtLeastRevision(0))),
        Some(Some(Requirement::AtLeastRevision(1))),
        Some(Some(Requirement::AtLeastRevision(9_999))),
        Some(Some(Requirement::FullyConsistent(false))),
        Some(Some(Requirement::FullyConsistent(true))),
    ]);
    (account, feature, consistency).prop_map(|(account, feature, consistency)| {
        v1::CheckFeatureRequest {
            account_id: account.to_owned(),
            feature: feature.to_owned(),
            consistency: consistency.map(|requirement| v1::Consistency { requirement }),
        }
        .encode_to_vec()
    })
}

/// What becomes of a message on its way.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let changed = (
        message(),
        vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    )
        .prop_map(|(mut message, changes)| {
            for (place, byte) in changes {
                if !message.is_empty() {
                    let place = place.index(message.len());
                    message[place] = byte;
                }
            }
            message
        });
    let cut = (message(), any::<prop::sample::Index>()).prop_map(|(mut message, at)| {
        message.truncate(at.index(message.len() + 1));
        message
    });
    let with_more =
        (message(), vec(any::<u8>(), 0..40)).prop_map(|(message, more)| [message, more].concat());
    let twice = (message(), message()).prop_map(|(one, other)| [one, other].concat());
    // An unknown field that makes it as long as is wanted.
    let long = (message(), select(vec![4_000_usize, 4_096, 4_200, 70_000])).prop_map(
        |(mut message, length)| {
            prost::encoding::bytes::encode(99, &vec![7_u8; length], &mut message);
            message
        },
    );
    prop_oneof![
        6 => message(),
        2 => changed,
        1 => cut,
        2 => with_more,
        1 => twice,
        1 => long,
        1 => vec(any::<u8>(), 0..60),
    ]
}

/// A message in its frame, which may not be as it should.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let framed = bytes().prop_map(|message| flagged(0, &message).to_vec());
    let with_flag = (any::<u8>(), bytes()).prop_map(|(flag, bytes)| flagged(flag, &bytes).to_vec());
    let of_another_length = (bytes(), any::<u32>()).prop_map(|(message, length)| {
        let mut framed = flagged(0, &message).to_vec();
        framed[1..5].copy_from_slice(&length.to_be_bytes());
        framed
    });
    let a_little_off = (bytes(), -3..4_i64).prop_map(|(message, off)| {
        let mut framed = flagged(0, &message).to_vec();
        let length = i64::try_from(message.len()).unwrap() + off;
        let length = u32::try_from(length.max(0)).unwrap();
        framed[1..5].copy_from_slice(&length.to_be_bytes());
        framed
    });
    let two =
        (bytes(), bytes()).prop_map(|(one, other)| [flagged(0, &one), flagged(0, &other)].concat());
    prop_oneof![
        8 => framed,
        1 => with_flag,
        1 => of_another_length,
        2 => a_little_off,
        1 => two,
        1 => vec(any::<u8>(), 1..12),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    vec(
        select(vec![
            ("grpc-encoding", "identity"),
            ("grpc-encoding", "gzip"),
            ("grpc-encoding", ""),
            ("grpc-accept-encoding", "gzip,identity"),
            ("grpc-timeout", "10S"),
            ("grpc-timeout", "99999999H"),
            ("grpc-timeout", "0n"),
            ("grpc-timeout", "soon"),
            ("grpc-timeout", "123456789S"),
            ("x-request-id", "a-caller-s-own-id"),
            ("x-request-id", "not one"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("authorization", "Bearer nobody-asks-for-it"),
            ("some-bin", "AAAA"),
            ("user-agent", "grpc-go/1.76"),
        ]),
        0..4,
    )
}

/// Sends a request, its end with its bytes or after them. On a connection of its own: one that begins
/// calls and is too late for them is told to leave.
async fn send(server: &Server, odd: &Odd, is_at_once: bool) -> Result<Answer, String> {
    let connection = Connection::open(server.grpc).await;
    let mut request = connection.request(&path("CheckFeature"));
    for (name, value) in &odd.headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let mut requests = connection.requests.clone().ready().await.unwrap();
    let (answer, mut sending) = requests.send_request(request, false).unwrap();
    let body = Bytes::from(odd.body.clone());
    // Refused where the answer was there first.
    let _ = sending.send_data(body, is_at_once);
    if !is_at_once {
        let _ = sending.send_data(Bytes::new(), true);
    }
    within("an answer", read(answer))
        .await
        .map_err(|error| error.to_string())
}

#[test]
fn the_short_way_answers_as_the_generated_code_does() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::demo());
    let odd = (headers(), body()).prop_map(|(headers, body)| Odd { headers, body });
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(3_000)
    });
    let outcome = runner.run(&odd, |odd| {
        let (short, ordinary) = runtime.block_on(async {
            tokio::join!(send(&server, &odd, true), send(&server, &odd, false))
        });
        let said = |answer: Result<Answer, String>| format!("{answer:?}");
        prop_assert_eq!(said(short), said(ordinary));
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(server.stop());
}
