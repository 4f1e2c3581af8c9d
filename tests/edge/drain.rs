//! How a drain ends: clean where every call finished, cut where one did not within the grace.

use std::time::Duration;

use futures_util::stream;
use portcullis::app::Drained;
use portcullis::proto::v1;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1 as reflection;

use crate::health::{service, serving};
use crate::support::gated::GatedServer;
use crate::support::http2::{Connection, frame, path, read};
use crate::support::probe::ask;
use crate::support::requests::check;
use crate::support::server::{Server, config};
use crate::support::{demo, within};

const LONG: Duration = Duration::from_secs(50);
const SHORT: Duration = Duration::from_millis(300);

async fn with_grace(grace: Duration) -> Server {
    let mut config = config(demo::store());
    config.shutdown_grace = grace;
    Server::start(config).await
}

#[tokio::test]
async fn a_call_in_flight_is_finished() {
    let server = GatedServer::start(LONG, LONG).await;
    let mut client = server.client().await;
    let hold = server.gate.hold.write().await;
    let mut calling = client.clone();
    let call =
        tokio::spawn(async move { calling.check_feature(check("acme", "pricing.view")).await });
    within("the load", server.gate.until(|asked| asked.loads > 0)).await;

    let idle = Connection::open(server.grpc).await;
    idle.call("CheckFeature", b"").await;
    server.begin_drain();
    // The connection without a call is told to go; the one with a call has it still.
    within("a GOAWAY", idle.closed).await.unwrap().unwrap();
    assert!(!call.is_finished());
    drop(hold);
    let answer = within("the call", call).await.unwrap().unwrap();
    assert_eq!(answer.into_inner().effect(), v1::Effect::Allow);
    // Nobody is accepted any more.
    let late = client.check_feature(check("acme", "pricing.view")).await;
    assert_eq!(late.unwrap_err().code(), Code::Unavailable);
    assert_eq!(server.stop().await, Drained::Clean);
}

#[tokio::test]
async fn an_idle_connection_gets_a_goaway() {
    let server = with_grace(LONG).await;
    let connection = Connection::open(server.grpc).await;
    let message = check("acme", "pricing.view").encode_to_vec();
    connection.call("CheckFeature", &message).await;
    let Connection {
        requests, closed, ..
    } = connection;
    let stopped = tokio::spawn(server.stop());
    // It ends without an error though its client holds on to it.
    within("a GOAWAY", closed).await.unwrap().unwrap();
    assert!(requests.ready().await.is_err());
    assert_eq!(within("the drain", stopped).await.unwrap(), Drained::Clean);
}

#[tokio::test]
async fn a_connection_that_never_spoke_holds_nothing_up() {
    let server = with_grace(LONG).await;
    let mut silent = TcpStream::connect(server.grpc).await.unwrap();
    // Accepted before the drain begins: connections are accepted in their order.
    let connection = Connection::open(server.grpc).await;
    connection.call("CheckFeature", b"").await;
    assert_eq!(server.stop().await, Drained::Clean);
    let _ = within("an end", silent.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn streams_without_end_are_ended() {
    let server = with_grace(LONG).await;
    serving(&server).await;
    let channel = server.channel().await;
    let mut health = HealthClient::new(channel.clone());
    let mut watched = health.watch(service("")).await.unwrap().into_inner();
    let first = within("a status", watched.message()).await.unwrap();
    assert_eq!(first.unwrap().status(), ServingStatus::Serving);
    let mut asking =
        reflection::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let questions = stream::pending::<reflection::ServerReflectionRequest>();
    let mut answers = asking
        .server_reflection_info(questions)
        .await
        .unwrap()
        .into_inner();

    let stopped = tokio::spawn(server.stop());
    let end = loop {
        match within("the end of the watch", watched.message()).await {
            // That it serves no more may be told before the end.
            Ok(Some(status)) => assert_eq!(status.status(), ServingStatus::NotServing),
            Ok(None) => panic!("an end without a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    let end = within("the end of reflection", answers.message()).await;
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    assert_eq!(within("the drain", stopped).await.unwrap(), Drained::Clean);
}

#[tokio::test]
async fn a_stuck_call_is_cut_after_the_grace() {
    let server = with_grace(SHORT).await;
    serving(&server).await;
    let connection = Connection::open(server.grpc).await;
    let mut requests = connection.requests.clone().ready().await.unwrap();
    let request = connection.request(&path("CheckFeature"));
    let (answer, mut sending) = requests.send_request(request, false).unwrap();
    sending
        .send_data(frame(b"never whole").slice(..7), false)
        .unwrap();
    let whole = check("acme", "invoices.pay").encode_to_vec();
    connection.call("CheckFeature", &whole).await;

    assert_eq!(server.stop().await, Drained::Cut(1));
    assert!(within("the end", read(answer)).await.is_err());
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_cut_after_the_grace() {
    let server = with_grace(SHORT).await;
    let mut peer = TcpStream::connect(server.grpc).await.unwrap();
    // The preface and empty settings; then the peer reads, and says nothing any more.
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    peer.write_all(&hello).await.unwrap();
    let settings = 4;
    while frame_type(&mut peer).await != Some(settings) {}

    server.begin_drain();
    let goaway = 7;
    while frame_type(&mut peer).await != Some(goaway) {}
    assert_eq!(server.stop().await, Drained::Cut(1));
}

/// The type of the next frame, or nothing at the end.
async fn frame_type(peer: &mut TcpStream) -> Option<u8> {
    let mut head = [0; 9];
    within("a frame", peer.read_exact(&mut head)).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut rest = vec![0; length as usize];
    peer.read_exact(&mut rest).await.ok()?;
    Some(head[3])
}

#[tokio::test]
async fn a_draining_server_is_not_ready_and_waits_for_what_is_half_sent() {
    let server = with_grace(LONG).await;
    serving(&server).await;
    let connection = Connection::open(server.grpc).await;
    let mut requests = connection.requests.clone().ready().await.unwrap();
    let request = connection.request(&path("CheckFeature"));
    let (answer, mut sending) = requests.send_request(request, false).unwrap();
    let whole = check("acme", "invoices.pay").encode_to_vec();
    connection.call("CheckFeature", &whole).await;
    assert_eq!(ask(server.http, "GET", "/readyz").await.0, 200);

    server.begin_drain();
    let told = async {
        loop {
            match ask(server.http, "GET", "/readyz").await {
                (200, ..) => tokio::task::yield_now().await,
                told => return told,
            }
        }
    };
    let (status, _, body) = within("not ready", told).await;
    assert_eq!((status, body.as_str()), (503, "not ready: draining\n"));
    assert_eq!(ask(server.http, "GET", "/livez").await.0, 200);
    sending.send_data(frame(&whole), true).unwrap();
    let answer = within("the answer", read(answer)).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    assert_eq!(server.stop().await, Drained::Clean);
}
