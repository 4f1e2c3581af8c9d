//! What is above a bound is shed or ended, and what is below it does not suffer.

use std::time::Duration;

use bytes::Bytes;
use portcullis::app::Drained;
use portcullis::edge::Limits;
use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use prost::Message as _;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::health::service;
use crate::support::gated::GatedServer;
use crate::support::http2::{Connection, frame, path, read};
use crate::support::requests::{check, inline, location};
use crate::support::server::{Server, config};
use crate::support::{demo, within};

/// A message above this takes one of the places for large ones.
const LARGE: usize = 256 << 10;

fn assert_overloaded(status: &Status) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    assert_eq!(
        (status.code(), reason),
        (Code::ResourceExhausted, Some("OVERLOADED"))
    );
    assert!(details.retry_info().is_some(), "when to try again");
}

async fn with_limits(change: impl FnOnce(&mut Limits)) -> Server {
    let mut config = config(demo::store());
    change(&mut config.limits);
    Server::start(config).await
}

#[tokio::test]
async fn a_call_above_the_bound_is_shed_at_once_and_health_still_answers() {
    let limits = Limits {
        max_in_flight: 2,
        request_timeout: Duration::from_secs(50),
        ..Limits::default()
    };
    let server = GatedServer::with_limits(limits, Duration::from_secs(50)).await;
    let client = server.client().await;
    let hold = server.gate.hold.write().await;
    let mut calls = Vec::new();
    for account in ["acme", "northwind"] {
        let mut calling = client.clone();
        calls.push(tokio::spawn(async move {
            calling.check_feature(check(account, "pricing.view")).await
        }));
    }
    within("both loads", server.gate.until(|asked| asked.accounts > 1)).await;

    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let sent = Instant::now();
        let shed = client
            .clone()
            .check_feature(check("acme", "pricing.view"))
            .await;
        slowest = slowest.max(sent.elapsed());
        assert_overloaded(&shed.unwrap_err());
    }
    println!("100 calls shed, the slowest after {slowest:.1?}");
    let mut policies = v1::policy_service_client::PolicyServiceClient::new(server.channel().await);
    let partner_id = "northwind".to_owned();
    let read = policies.get_partner_policy(v1::GetPartnerPolicyRequest { partner_id });
    assert_overloaded(&read.await.unwrap_err());
    let mut health = HealthClient::new(server.channel().await);
    health.check(service("")).await.unwrap();

    drop(hold);
    for call in calls {
        within("a call", call).await.unwrap().unwrap();
    }
    client
        .clone()
        .check_feature(check("acme", "pricing.view"))
        .await
        .unwrap();
    assert_eq!(server.stop().await, Drained::Clean);
}

#[tokio::test]
async fn streams_have_a_bound_of_their_own() {
    let server = with_limits(|limits| limits.max_in_flight = 2).await;
    let mut client = server.client().await;
    let watch = v1::WatchChangesRequest::default;
    let first = client.watch_changes(watch()).await.unwrap();
    let _second = client.watch_changes(watch()).await.unwrap();
    assert_overloaded(&client.watch_changes(watch()).await.unwrap_err());
    client
        .check_feature(check("acme", "pricing.view"))
        .await
        .unwrap();
    drop(first);
    within("a place", async {
        while client.watch_changes(watch()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A request of more than 256 KiB.
fn large() -> Vec<u8> {
    let places = (0..4_000).map(|number| {
        let mut place = location(&format!("place-{number}"), "AU");
        place.name = "x".repeat(100);
        place
    });
    let message = inline("acme", places.collect()).encode_to_vec();
    assert!(message.len() > LARGE);
    message
}

#[tokio::test]
async fn large_messages_wait_for_each_other_and_for_nobody_else() {
    let server = with_limits(|limits| limits.max_large_in_flight = 1).await;
    let slow = Connection::open(server.grpc).await;
    let message = frame(&large());
    let mut requests = slow.requests.clone().ready().await.unwrap();
    let (answer, mut sending) = requests
        .send_request(slow.request(&path("FilterCatalog")), false)
        .unwrap();
    sending.send_data(message.slice(..1_000), false).unwrap();

    // As soon as the first has the place, the second is shed.
    let other = Connection::open(server.grpc).await;
    within("a shed call", async {
        loop {
            let request = other.request(&path("FilterCatalog"));
            let answer = other.send(request, message.clone()).await.unwrap();
            let status = answer.grpc().unwrap();
            if status.code() != Code::Ok {
                assert_overloaded(&status);
                break;
            }
        }
    })
    .await;
    // Also on the way of a call that has small messages as a rule.
    let padded = Bytes::from(
        [
            &check("acme", "pricing.view").encode_to_vec()[..],
            &padding(),
        ]
        .concat(),
    );
    assert_overloaded(&other.call("CheckFeature", &padded).await.grpc().unwrap());
    let mut client = AuthorizationServiceClient::new(server.channel().await);
    client
        .check_feature(check("acme", "pricing.view"))
        .await
        .unwrap();
    let stored = v1::FilterCatalogRequest {
        account_id: "acme".to_owned(),
        ..Default::default()
    };
    client.filter_catalog(stored).await.unwrap();

    sending.send_data(message.slice(1_000..), true).unwrap();
    let answer = within("the first", read(answer)).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    assert_eq!(
        other
            .call("FilterCatalog", &large())
            .await
            .grpc()
            .unwrap()
            .code(),
        Code::Ok
    );
    assert_eq!(
        other
            .call("CheckFeature", &padded)
            .await
            .grpc()
            .unwrap()
            .code(),
        Code::Ok
    );
}

/// A field that no message has, of more than 256 KiB.
fn padding() -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::bytes::encode(999, &vec![0_u8; LARGE], &mut field);
    field
}

#[tokio::test]
async fn a_large_answer_that_is_not_taken_keeps_its_place() {
    let server = with_limits(|limits| limits.max_large_in_flight = 1).await;
    let narrow = Connection::with_window(server.grpc, 1_000).await;
    let mut requests = narrow.requests.clone().ready().await.unwrap();
    let (answer, mut sending) = requests
        .send_request(narrow.request(&path("FilterCatalog")), false)
        .unwrap();
    sending.send_data(frame(&large()), true).unwrap();
    let answer = within("its head", answer).await.unwrap();

    let other = Connection::open(server.grpc).await;
    assert_overloaded(&other.call("FilterCatalog", &large()).await.grpc().unwrap());
    drop((answer, sending));
    within("the place", async {
        while other
            .call("FilterCatalog", &large())
            .await
            .grpc()
            .unwrap()
            .code()
            != Code::Ok
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_told_to_leave_and_one_with_a_stream_is_not() {
    let idle = Duration::from_millis(300);
    let server = with_limits(|limits| limits.max_connection_idle = idle).await;
    let watching = server.client().await;
    let mut watch = watching
        .clone()
        .watch_changes(v1::WatchChangesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(watch.message().await.unwrap().is_some());

    let connection = Connection::open(server.grpc).await;
    let message = check("acme", "pricing.view").encode_to_vec();
    for _ in 0..4 {
        tokio::time::sleep(idle / 2).await;
        connection.call("CheckFeature", &message).await;
    }
    let last = Instant::now();
    within("a GOAWAY", connection.closed)
        .await
        .unwrap()
        .unwrap();
    assert!(last.elapsed() >= idle / 2, "{:?}", last.elapsed());
    let more = tokio::time::timeout(idle * 2, watch.message()).await;
    assert!(more.is_err(), "the watch goes on: {more:?}");
}

#[tokio::test]
async fn an_old_connection_is_told_to_leave_and_takes_its_streams_along() {
    let age = Duration::from_secs(1);
    let server = with_limits(|limits| limits.max_connection_age = age).await;
    let begun = Instant::now();
    let connection = Connection::open(server.grpc).await;
    let mut requests = connection.requests.clone().ready().await.unwrap();
    let (answer, mut sending) = requests
        .send_request(connection.request(&path("WatchChanges")), false)
        .unwrap();
    sending.send_data(frame(b""), true).unwrap();
    let answer = within("the end of the watch", read(answer)).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Unavailable);
    within("the end", connection.closed).await.unwrap().unwrap();
    let lasted = begun.elapsed();
    assert!(lasted >= age.mul_f64(0.9), "{lasted:?}");
}

#[tokio::test]
async fn who_was_never_served_gives_way_and_who_was_does_not() {
    let server = with_limits(|limits| limits.max_connections = 2).await;
    let message = check("acme", "pricing.view").encode_to_vec();
    let first = Connection::open(server.grpc).await;
    assert_eq!(first.call("CheckFeature", &message).await.status, 200);
    // Health is asked without a seat of one's own.
    let asking = Connection::open(server.grpc).await;
    let health = asking.request("/grpc.health.v1.Health/Check");
    assert_eq!(asking.send(health, frame(b"")).await.unwrap().status, 200);

    let third = Connection::open(server.grpc).await;
    assert_eq!(third.call("CheckFeature", &message).await.status, 200);
    let _gone = within("who gave way", asking.closed).await.unwrap();
    // Now both seats are of those who were served.
    let late = Connection::try_open(server.grpc).await;
    if let Ok(late) = late {
        let _turned_away = within("who came late", late.closed).await.unwrap();
    }
    assert_eq!(first.call("CheckFeature", &message).await.status, 200);
    assert_eq!(third.call("CheckFeature", &message).await.status, 200);
}

#[tokio::test]
async fn health_takes_no_place_of_large_messages() {
    let server = with_limits(|limits| limits.max_large_in_flight = 1).await;
    let asking = Connection::open(server.grpc).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut requests = asking.requests.clone().ready().await.unwrap();
        let request = asking.request("/grpc.health.v1.Health/Check");
        let (answer, mut sending) = requests.send_request(request, false).unwrap();
        // A message of 1 MiB, as far as its head says.
        sending
            .send_data(Bytes::from_static(&[0, 0, 16, 0, 0]), false)
            .unwrap();
        held.push((answer, sending));
    }
    let other = Connection::open(server.grpc).await;
    let answer = other.call("FilterCatalog", &large()).await;
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    for (answer, _sending) in held {
        let answer = within("health", read(answer)).await.unwrap();
        assert_eq!(answer.grpc().unwrap().code(), Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn who_begins_calls_and_does_not_go_on_is_told_to_leave_whatever_its_deadlines() {
    let server = with_limits(|_| {}).await;
    for (method, message) in [("CheckFeature", 9), ("FilterCatalog", 9)] {
        let connection = Connection::open(server.grpc).await;
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut requests = connection.requests.clone().ready().await.unwrap();
            let mut request = connection.request(&path(method));
            let soon = "50m".parse().unwrap();
            request.headers_mut().insert("grpc-timeout", soon);
            let (answer, mut sending) = requests.send_request(request, false).unwrap();
            let half = frame(&[0; 20]).slice(..message);
            sending.send_data(half, false).unwrap();
            held.push((answer, sending));
        }
        within(method, connection.closed).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn one_connection_has_so_many_streams_and_no_more() {
    let server = with_limits(|_| {}).await;
    let connection = Connection::open(server.grpc).await;
    let mut watching = Vec::new();
    for _ in 0..64 {
        let mut requests = connection.requests.clone().ready().await.unwrap();
        let request = connection.request(&path("WatchChanges"));
        let (answer, mut sending) = requests.send_request(request, false).unwrap();
        sending.send_data(frame(b""), true).unwrap();
        watching.push(within("a watch", answer).await.unwrap());
    }
    assert_overloaded(&connection.call("WatchChanges", b"").await.grpc().unwrap());
    let mut client = server.client().await;
    client
        .watch_changes(v1::WatchChangesRequest::default())
        .await
        .unwrap();
    drop(watching);
}

#[tokio::test]
async fn items_are_counted_before_a_message_is_decoded() {
    let server = with_limits(|_| {}).await;
    let connection = Connection::open(server.grpc).await;
    let mut nothings = Vec::new();
    prost::encoding::bytes::encode(3, &[0x0a, 0].repeat(4 << 20), &mut nothings);
    let status = connection
        .call("FilterCatalog", &nothings)
        .await
        .grpc()
        .unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("inline.locations"), "{status:?}");
    let status = connection
        .call("BatchCheckFeatures", &[0x0a, 0].repeat(1 << 20))
        .await;
    assert_eq!(status.grpc().unwrap().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_have_a_bound_in_all() {
    let server = with_limits(|_| {}).await;
    let narrow = Connection::with_window(server.grpc, 0).await;
    let wrong = [0x0a, 0].repeat(1_000);
    let mut answers = Vec::new();
    for _ in 0..200 {
        let mut requests = narrow.requests.clone().ready().await.unwrap();
        let request = narrow.request(&path("BatchCheckFeatures"));
        let (answer, mut sending) = requests.send_request(request, false).unwrap();
        sending.send_data(frame(&wrong), true).unwrap();
        answers.push(within("a head", answer).await.unwrap().into_body());
    }
    // The last ones are told that there is no room, and none of them anything else.
    let mut last = answers.pop().unwrap();
    assert!(within("no message", last.data()).await.is_none());
    let trailers = within("trailers", last.trailers()).await.unwrap().unwrap();
    assert_overloaded(&Status::from_header_map(&trailers).unwrap());
    let mut client = server.client().await;
    client
        .check_feature(check("acme", "pricing.view"))
        .await
        .unwrap();
    drop((answers, last, narrow));
}
