//! More is asked than can be answered, and what can be answered still is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use portcullis::edge::Limits;
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::health_client::HealthClient;

use crate::health::service;
use crate::support::gated::GatedServer;
use crate::support::http2::{Connection, frame, path};
use crate::support::load::Times;
use crate::support::requests::check;

const CONNECTIONS: usize = 8;
/// How long each load of the store takes.
const SLOW: u64 = 50;
const ROUND: Duration = Duration::from_secs(1);
/// Who is shed comes again after this.
const BACK_OFF: Duration = Duration::from_millis(20);

/// How the calls of some time went.
#[derive(Debug, Default)]
struct Tally {
    hits: usize,
    /// How long these took.
    hit_times: Vec<Duration>,
    misses: usize,
    shed_hits: usize,
    shed: Vec<Duration>,
    other: Vec<String>,
}

impl Tally {
    fn good(&self) -> usize {
        self.hits + self.misses
    }

    fn add(&mut self, more: Self) {
        self.hits += more.hits;
        self.hit_times.extend(more.hit_times);
        self.misses += more.misses;
        self.shed_hits += more.shed_hits;
        self.shed.extend(more.shed);
        self.other.extend(more.other);
    }
}

/// Callers, each with one call after the other.
#[derive(Debug, Clone, Copy)]
struct Callers {
    /// About an account that is cached.
    hits: usize,
    /// What these wait between calls.
    pace: Duration,
    /// About accounts that have never been heard of.
    misses: usize,
}

impl Callers {
    fn half_and_half(all: usize) -> Self {
        Self {
            hits: all / 2,
            pace: Duration::ZERO,
            misses: all / 2,
        }
    }
}

async fn closed_loop(address: SocketAddr, callers: Callers, next: &Arc<AtomicU64>) -> Tally {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Arc::new(Connection::open(address).await));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for caller in 0..callers.hits + callers.misses {
        let connection = Arc::clone(&connections[caller % CONNECTIONS]);
        let (is_over, next) = (Arc::clone(&is_over), Arc::clone(next));
        tasks.spawn(async move {
            let mut tally = Tally::default();
            let is_miss = caller >= callers.hits;
            while !is_over.load(Ordering::Relaxed) {
                let account = match is_miss {
                    true => format!("nobody-{}", next.fetch_add(1, Ordering::Relaxed)),
                    false => "acme".to_owned(),
                };
                let message = check(&account, "pricing.view").encode_to_vec();
                let sent = Instant::now();
                let request = connection.request(&path("CheckFeature"));
                let answer = connection.send(request, frame(&message)).await.unwrap();
                match answer.grpc().map(|status| status.code()) {
                    Some(Code::Ok) => {
                        tally.hits += 1;
                        tally.hit_times.push(sent.elapsed());
                        if !callers.pace.is_zero() {
                            tokio::time::sleep(callers.pace).await;
                        }
                    }
                    Some(Code::NotFound) => tally.misses += 1,
                    Some(Code::ResourceExhausted) => {
                        tally.shed.push(sent.elapsed());
                        tally.shed_hits += usize::from(!is_miss);
                        tokio::time::sleep(BACK_OFF).await;
                    }
                    other => tally.other.push(format!("{other:?}")),
                }
            }
            tally
        });
    }
    tokio::time::sleep(ROUND).await;
    is_over.store(true, Ordering::Relaxed);
    let mut all = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        all.add(tally.unwrap());
    }
    all
}

async fn slow_server(limits: Limits) -> GatedServer {
    let server = GatedServer::with_limits(limits, Duration::from_secs(5)).await;
    let mut client = server.client().await;
    client
        .check_feature(check("acme", "pricing.view"))
        .await
        .unwrap();
    server.gate.slow.store(SLOW, Ordering::SeqCst);
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_times_as_many_callers_as_are_best_are_served_nearly_as_well() {
    let server = slow_server(Limits::default()).await;
    let next = Arc::new(AtomicU64::new(0));
    let (mut best, mut peak) = (0, 0);
    for callers in [64, 256, 1024] {
        let half = Callers::half_and_half(callers);
        let good = closed_loop(server.grpc, half, &next).await.good();
        if good > peak {
            (best, peak) = (callers, good);
        }
    }
    let (address, asking) = (server.grpc, Arc::clone(&next));
    let overload = tokio::spawn(async move {
        closed_loop(address, Callers::half_and_half(best * 4), &asking).await
    });
    let mut health = HealthClient::new(server.channel().await);
    let mut asked = Vec::new();
    while !overload.is_finished() {
        let sent = Instant::now();
        health.check(service("")).await.unwrap();
        asked.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let during = overload.await.unwrap();
    println!(
        "peak {peak} answers a second with {best} callers; {} with {}: {} cached, {} not, {} shed; health {}",
        during.good(),
        best * 4,
        during.hits,
        during.misses,
        during.shed.len(),
        Times::new(asked)
    );
    assert!(during.other.is_empty(), "{:?}", during.other);
    assert!(during.good() * 10 >= peak * 8, "goodput fell");
    assert!(during.hits > 0 && during.misses > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_are_shed_at_once_and_cached_checks_never() {
    let server = slow_server(Limits {
        max_in_flight: 16,
        ..Limits::default()
    })
    .await;
    let callers = Callers {
        hits: 8,
        pace: Duration::from_millis(10),
        misses: 48,
    };
    let during = closed_loop(server.grpc, callers, &Arc::new(AtomicU64::new(0))).await;
    let (shed, cached) = (Times::new(during.shed), Times::new(during.hit_times));
    println!(
        "16 calls in flight at most, 56 callers: cached {cached}; {} misses answered; shed {shed}",
        during.misses
    );
    assert!(during.other.is_empty(), "{:?}", during.other);
    assert_eq!(during.shed_hits, 0);
    assert!(during.hits > 0 && during.misses > 0);
    // On a busy machine all of them wait for a core.
    let bound = Duration::from_millis(5).max(cached.percentile(50) * 2);
    assert!(shed.percentile(50) <= bound, "{shed}, cached {cached}");
}
