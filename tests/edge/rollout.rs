//! Replicas are restarted one after the other, and their callers do not notice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::store::Store as _;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Code;

use crate::support::http2::{Connection, frame, path};
use crate::support::load::Times;
use crate::support::probe::until_ready;
use crate::support::process::Process;
use crate::support::requests::check;
use crate::support::{self, demo, within};

/// How long calls may go on at a replica that is asked to end.
const GRACE: Duration = Duration::from_secs(5);
const REPLICAS: usize = 3;
const CALLERS: usize = 12;
/// Each caller asks once in this time.
const PACE: Duration = Duration::from_millis(4);
/// Peers of each replica that connect and say nothing.
const SILENT: usize = 100;

/// What callers have in common: where replicas are, and how calls went.
#[derive(Default)]
struct Shared {
    replicas: Mutex<Vec<SocketAddr>>,
    is_over: AtomicBool,
    connections: AtomicUsize,
    not_begun: AtomicUsize,
    failed: Mutex<Vec<String>>,
    times: Mutex<Vec<Duration>>,
}

impl Shared {
    /// A connection to any replica that takes one. A call has not begun before there is one.
    async fn connect(&self, caller: usize) -> Connection {
        let connecting = async {
            for turn in caller.. {
                let address = {
                    let replicas = self.replicas.lock().unwrap();
                    replicas[turn % replicas.len()]
                };
                // As gRPC clients do it: one that the server has not greeted takes no call.
                if let Ok(connection) = Connection::try_open(address).await
                    && connection.is_greeted().await
                {
                    self.connections.fetch_add(1, Ordering::Relaxed);
                    return connection;
                }
            }
            unreachable!("the turns do not end")
        };
        within("a replica", connecting).await
    }

    /// One call after the other, each once: what was sent and not answered has failed.
    async fn call(&self, caller: usize) {
        let message = frame(&check("northwind-retail", "pricing.view").encode_to_vec());
        let mut turn = tokio::time::interval(PACE);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = self.connect(caller).await;
        while !self.is_over.load(Ordering::Relaxed) {
            turn.tick().await;
            // A connection that was told to go takes no call: another one does.
            if !connection.takes_calls().await {
                connection = self.connect(caller).await;
            }
            let sent = Instant::now();
            let request = connection.request(&path("CheckFeature"));
            let answer = connection.send(request, message.clone()).await;
            if answer.as_ref().is_err_and(was_not_begun) {
                self.not_begun.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let failure = match answer {
                Ok(answer) => match answer.grpc() {
                    Some(status) if status.code() == Code::Ok => None,
                    other => Some(format!("{other:?}")),
                },
                Err(error) => Some(error.to_string()),
            };
            self.times.lock().unwrap().push(sent.elapsed());
            self.failed.lock().unwrap().extend(failure);
        }
    }
}

/// Whether a call came too late for its connection, which a GOAWAY has said: it was not begun, and
/// every gRPC client makes it again by itself.
fn was_not_begun(error: &h2::Error) -> bool {
    error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
}

fn replica(database: &support::Database, folder: &tempfile::TempDir) -> Process {
    let grace = format!("--shutdown-grace={}s", GRACE.as_secs());
    Process::serve(database, &[&grace], &[], folder.path())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_replaced_under_load_and_no_call_fails() {
    let database = support::database("rollout").await;
    let store = support::store(&database);
    store.import(demo::import(), &|_| {}).await.unwrap();
    let folders: Vec<_> = (0..REPLICAS)
        .map(|_| tempfile::tempdir().unwrap())
        .collect();
    let mut running: Vec<_> = folders
        .iter()
        .map(|folder| replica(&database, folder))
        .collect();
    let shared = Arc::new(Shared::default());
    for replica in &running {
        until_ready(replica.http).await;
        shared.replicas.lock().unwrap().push(replica.grpc);
    }
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let shared = Arc::clone(&shared);
        callers.spawn(async move { shared.call(caller).await });
    }

    let mut slowest_end = Duration::ZERO;
    for (place, folder) in folders.iter().enumerate() {
        let mut silent = Vec::new();
        for _ in 0..SILENT {
            silent.push(TcpStream::connect(running[place].grpc).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        let code = within("its end", running[place].end()).await;
        slowest_end = slowest_end.max(asked.elapsed());
        assert_eq!(code, Some(0), "calls were cut");
        let next = replica(&database, folder);
        until_ready(next.http).await;
        shared.replicas.lock().unwrap()[place] = next.grpc;
        running[place] = next;
        drop(silent);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    shared.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }

    let times = Times::new(std::mem::take(&mut *shared.times.lock().unwrap()));
    let failed = std::mem::take(&mut *shared.failed.lock().unwrap());
    println!(
        "three replicas restarted under load\n  {times}\n  {} failed, {} not begun, {} connections, a replica with {SILENT} \
         silent peers ended within {slowest_end:.1?}",
        failed.len(),
        shared.not_begun.load(Ordering::Relaxed),
        shared.connections.load(Ordering::Relaxed)
    );
    assert!(times.count() > 1_000);
    assert!(failed.len() * 10_000 <= times.count(), "{failed:?}");
    assert!(slowest_end < GRACE);
}
