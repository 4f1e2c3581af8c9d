//! Peers that connect and say nothing, or not enough.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, fs};

use futures_util::future::join_all;
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::authority::Authority;
use crate::support::frames::PREFACE;
use crate::support::requests::check;
use crate::support::soak::lasting;

use super::beside::Attacked;

/// How late the server may be, and this process in seeing it.
const TOLERANCE: Duration = Duration::from_millis(2_500);
/// How long an honest caller may take from its first packet to its answer.
const HONEST: Duration = Duration::from_secs(1);
/// How long it takes until all are there: the kernel turns clients away that come all at once.
const COME_WITHIN: Duration = Duration::from_secs(2);
/// What this process and the server need beside the peers, each.
const SPARE: usize = 700;

/// What a peer says before it falls silent.
const WORDS: [&[u8]; 4] = [b"", b"P", PREFACE.split_at(11).0, PREFACE];

/// The same where the server waits for a TLS handshake: nothing, and parts of a hello that announces
/// 512 bytes.
const TLS: [&[u8]; 3] = [
    b"",
    b"\x16",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

/// How many peers this process can be, of those that are wanted. It takes as many files as it may.
fn affordable(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let limit = limit
        .maximum
        .map_or(usize::MAX, |most| most.try_into().unwrap());
    if wanted.saturating_add(SPARE) <= limit {
        return wanted;
    }
    let fewer = limit.saturating_sub(SPARE);
    println!("{fewer} peers and not {wanted}: a process may open {limit} files here");
    fewer
}

/// Connects, says something, and waits for the end. Gives how long all of that took.
async fn silent(address: SocketAddr, words: &[u8]) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has had enough closes at once.
    let _ = stream.write_all(words).await;
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    began.elapsed()
}

/// The same again and again: whoever has to give way comes back.
async fn comes_back(address: SocketAddr, words: &[u8]) {
    loop {
        silent(address, words).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A call on a connection of its own, by a client that tries again as long as it has to.
async fn honest(address: SocketAddr) -> (usize, Duration) {
    let began = Instant::now();
    let mut tries = 1;
    while let Err(error) = call(address).await {
        println!("    {error}: it tries again after {:.1?}", began.elapsed());
        tries += 1;
    }
    (tries, began.elapsed())
}

async fn call(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut client = AuthorizationServiceClient::connect(format!("http://{address}")).await?;
    client.check_feature(check("acme", "pricing.view")).await?;
    Ok(())
}

/// How honest calls went.
struct Honest {
    calls: usize,
    tries: usize,
    slowest: Duration,
}

impl fmt::Display for Honest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, tries, slowest) = (self.calls, self.tries, self.slowest);
        write!(
            f,
            "{calls} honest calls meanwhile in {tries} tries, the slowest took {slowest:.1?}"
        )
    }
}

/// Honest calls one after the other until the peers are gone.
async fn meanwhile(address: SocketAddr, peers: impl Future<Output = ()>) -> Honest {
    let mut took = Vec::new();
    let calls = async {
        loop {
            took.push(honest(address).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = peers => {}
        () = calls => {}
    }
    Honest {
        calls: took.len(),
        tries: took.iter().map(|(tries, _)| tries).sum(),
        slowest: took.iter().map(|&(_, took)| took).max().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_peers_are_closed_and_keep_nobody_out() {
    let timeout = lasting(Duration::from_secs(2), Duration::from_secs(10));
    let flag = format!("--handshake-timeout={}s", timeout.as_secs());
    let mut attacked = Attacked::start(&[&flag, "--max-connections=15000"]).await;
    let beside = attacked.client().await;
    let address = attacked.server.grpc;
    let count = affordable(10_000);
    let waited = std::sync::Mutex::new(Vec::new());
    let peers = async {
        let peers = (0..count).map(|number| async move {
            tokio::time::sleep(COME_WITHIN.mul_f64(number as f64 / count as f64)).await;
            silent(address, WORDS[number % WORDS.len()]).await
        });
        *waited.lock().unwrap() = join_all(peers).await;
    };
    let honest = meanwhile(address, peers).await;
    let waited = waited.into_inner().unwrap();
    let (least, most) = (*waited.iter().min().unwrap(), *waited.iter().max().unwrap());
    println!(
        "{count} silent peers are closed after {least:.1?} to {most:.1?}; {honest}; {}; {}",
        beside.unharmed(),
        attacked.survived().await
    );
    assert!(least >= timeout, "{least:?} is too soon");
    assert!(most <= timeout + TOLERANCE, "{most:?} is too late");
    assert!(honest.slowest <= HONEST, "{honest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_silent_peers_than_connections_keep_nobody_out() {
    let count = affordable(2_000);
    let seats = format!("--max-connections={}", count / 4);
    let mut attacked = Attacked::start(&[&seats]).await;
    let beside = attacked.client().await;
    let address = attacked.server.grpc;
    let time = Duration::from_secs(3);
    let peers = async {
        let peers = (0..count).map(|number| comes_back(address, WORDS[number % 3]));
        let _ = tokio::time::timeout(time, join_all(peers)).await;
    };
    let honest = meanwhile(address, peers).await;
    println!(
        "{count} silent peers at a quarter as many connections: {honest}; {}; {}",
        beside.unharmed(),
        attacked.survived().await
    );
    assert!(honest.calls >= 10, "{honest}");
    assert!(honest.slowest <= HONEST, "{honest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_tls_handshake_is_closed() {
    let folder = TempDir::new().unwrap();
    let identity = Authority::new("authority").server(&["localhost"]);
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&cert, &identity.cert).unwrap();
    fs::write(&key, &identity.key).unwrap();
    let timeout = lasting(Duration::from_secs(2), Duration::from_secs(10));
    let flags = [
        format!("--tls-cert={}", cert.display()),
        format!("--tls-key={}", key.display()),
        format!("--handshake-timeout={}s", timeout.as_secs()),
    ];
    let mut attacked = Attacked::start_unasked(&flags.each_ref().map(String::as_str)).await;
    let peers = (0..200).map(|number| silent(attacked.server.grpc, TLS[number % TLS.len()]));
    let waited = join_all(peers).await;
    let (least, most) = (waited.iter().min().unwrap(), waited.iter().max().unwrap());
    println!("half of a TLS handshake is closed after {least:.1?} to {most:.1?}");
    assert!(attacked.server.is_alive(), "{}", attacked.server.log());
    assert!(*least >= timeout, "{least:?} is too soon");
    assert!(*most <= timeout + TOLERANCE, "{most:?} is too late");
}
