//! Peers that finish their handshake and then do not do their part: they answer no ping, their
//! bodies drip, they take no answers.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use prost::Message;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::support::frames::{
    CALL, END_STREAM, INITIAL_WINDOW_SIZE, LARGEST_WINDOW, PREFACE, call, data, headers, settings,
    settings_ack, window_update,
};
use crate::support::peer::{Manners, Peer};
use crate::support::requests::{catalog, list};
use crate::support::soak::lasting;
use crate::support::{http2, within};

use super::beside::Attacked;

/// The longest that such a peer may stay, with the defaults and without.
const STAYS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(3)];
/// How late this process may be in seeing it.
const TOLERANCE: Duration = Duration::from_secs(2);
/// How long an answer may wait for the peer before the server gives up, and until it looks again.
const UNSENT: Duration = Duration::from_secs(45);
const PEERS: usize = 200;

fn longest() -> Duration {
    let [by_default, short] = STAYS;
    lasting(short, by_default) + TOLERANCE
}

/// When the server closes each of the peers, which are opened at once.
async fn closed<F: Future<Output = Duration>>(
    flags: &'static [&'static str],
    what: &str,
    peer: impl Fn(SocketAddr) -> F,
) {
    let mut attacked = Attacked::start(lasting(flags, &[])).await;
    let beside = attacked.client().await;
    let peers = (0..PEERS).map(|_| peer(attacked.server.grpc));
    let stayed = within(what, join_all(peers)).await;
    let (least, most) = (stayed.iter().min().unwrap(), stayed.iter().max().unwrap());
    println!(
        "{PEERS} peers, {what}: closed after {least:.1?} to {most:.1?}; {}; {}",
        beside.unharmed(),
        attacked.survived().await
    );
    assert!(*most <= longest(), "{most:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_answer_no_ping_are_closed() {
    let flags = &["--keepalive=1s", "--keepalive-timeout=1s"];
    closed(flags, "deaf", async |address| {
        let peer = Peer::open(address, Manners::Deaf, &[]).await;
        let began = Instant::now();
        peer.until("an end", |heard| heard.ended).await;
        began.elapsed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_whose_bodies_drip_are_closed() {
    let drip = async |address| {
        let mut peer = Peer::open(address, Manners::Polite, &[]).await;
        let began = Instant::now();
        // A message of a thousand bytes, one after the other.
        let announced = [0, 0, 0, 3, 232];
        let mut flows = peer
            .insist(&[call(1), data(1, 0, &announced)].concat())
            .await
            .is_ok();
        while flows && !peer.heard().ended {
            flows = peer.insist(&data(1, 0, b"x")).await.is_ok();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    };
    closed(&["--request-timeout=1s"], "their bodies drip", drip).await;
}

/// A call with one message.
fn whole_call(stream: u32, path: &str, message: &impl Message) -> Vec<u8> {
    let mut headers_of_call = CALL;
    headers_of_call[2].1 = path;
    let body = http2::frame(&message.encode_to_vec());
    [
        headers(stream, &headers_of_call),
        data(stream, END_STREAM, &body),
    ]
    .concat()
}

/// Asks for as many answers as streams may be open, and allows the server to send none of them.
/// Gives how long the server put up with it.
async fn takes_nothing(address: SocketAddr) -> Duration {
    let closed = [(INITIAL_WINDOW_SIZE, 0)];
    let mut peer = Peer::open(address, Manners::Polite, &closed).await;
    let began = Instant::now();
    let (path, message) = (http2::path("ListFeatures"), list("acme"));
    let call = |number: u32| whole_call(number * 2 + 1, &path, &message);
    let mut calls = (0..250).map(call);
    let mut goes_on = true;
    while goes_on && !peer.heard().ended {
        // Little at a time: it is not the calls that are to be noticed.
        let some: Vec<_> = calls.by_ref().take(2).collect();
        goes_on = peer.insist(&some.concat()).await.is_ok();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// Asks for large answers and allows the server to send all of them, but never reads one. Gives how
/// long the server put up with it.
async fn never_reads(address: SocketAddr) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let began = Instant::now();
    let open = settings(&[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]);
    let wide_open = window_update(0, LARGEST_WINDOW - (64 << 10));
    let hello = [PREFACE, &open, &settings_ack(), &wide_open].concat();
    let mut goes_on = stream.write_all(&hello).await.is_ok();
    let (path, message) = (http2::path("FilterCatalog"), catalog("acme"));
    let mut streams = (1..).step_by(2);
    while goes_on {
        let call = whole_call(streams.next().unwrap(), &path, &message);
        goes_on = stream.write_all(&call).await.is_ok();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

/// That nobody notices anything of four such peers; and where somebody soaks, that the server ends
/// it.
async fn harmless<F: Future<Output = Duration>>(what: &str, peer: impl Fn(SocketAddr) -> F) {
    let mut attacked = Attacked::start(&[]).await;
    let beside = attacked.client().await;
    let address = attacked.server.grpc;
    let peers = || join_all((0..4).map(|_| peer(address)));
    let time = Duration::from_millis(1_500);
    let noticed = beside
        .notice(what, time, async || {
            peers().await;
            std::future::pending().await
        })
        .await;
    println!("{what}: {noticed}; {}", attacked.survived().await);
    if lasting(false, true) {
        let stayed = within(what, peers()).await;
        let most = stayed.iter().max().unwrap();
        println!("{what}: closed after {most:.1?}; {}", beside.unharmed());
        assert!(*most <= UNSENT + TOLERANCE, "{most:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_harm_nobody() {
    harmless("answers that nobody takes", takes_nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_never_read_harm_nobody() {
    harmless("peers that never read", never_reads).await;
}
