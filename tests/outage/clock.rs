//! The wall clock is moved by somebody, while Postgres is there and while it is not.
//!
//! The program runs with a library before the C library that moves what it is told of the wall
//! clock (`moved_clock.c`), because the machine's own clock is everybody's. That it does move is
//! seen in the times of its log. What asks the kernel without the C library is not reached; that
//! the program reads no wall clock for an age in such a way either is what `clippy.toml` holds:
//! `SystemTime::now` is disallowed, and `src/clock.rs` is the one home of the other clocks.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use portcullis::proto::v1;
use tokio::task::block_in_place;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::beside_others;
use super::support::process::Process;
use super::support::replicas::{FEATURE, Setup, fill};
use super::support::requests::check;
use super::support::server::Client;
use super::support::{Cluster, probe};

const STALE_AFTER: Duration = Duration::from_secs(1);
const MAX_STALE: Duration = Duration::from_secs(3);

/// How much may lie between a poll that was answered and the next thing seen: a poll's interval,
/// and what a busy machine takes.
const SPARED: Duration = Duration::from_millis(500);

/// Compiles the library into `folder`.
fn compile(folder: &Path) -> String {
    let library = folder.join("moved_clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outage/moved_clock.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", source, "-o"]);
    let status = compiler.arg(&library).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "`cc`, which Rust needs for linking, did not compile {source}"
    );
    library.to_str().unwrap().to_owned()
}

/// By how many seconds the wall clock of the program is moved.
fn move_clock(file: &Path, seconds: i64) {
    std::fs::write(file, seconds.to_string()).unwrap();
}

async fn ask(client: &Client) -> Result<v1::CheckFeatureResponse, Status> {
    let mut client = client.clone();
    let answer = client.check_feature(check("managed-0-0", FEATURE)).await?;
    Ok(answer.into_inner())
}

/// Asks until `instant`, and wants every answer as `accepted` says.
async fn assert_until(
    instant: Instant,
    client: &Client,
    accepted: fn(&Result<v1::CheckFeatureResponse, Status>) -> bool,
) {
    while Instant::now() < instant {
        let answer = ask(client).await;
        assert!(accepted(&answer), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_fresh(answer: &Result<v1::CheckFeatureResponse, Status>) -> bool {
    answer.as_ref().is_ok_and(|answer| !answer.stale)
}

fn is_stale(answer: &Result<v1::CheckFeatureResponse, Status>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.stale)
}

fn is_none(answer: &Result<v1::CheckFeatureResponse, Status>) -> bool {
    answer
        .as_ref()
        .is_err_and(|status| status.code() == Code::Unavailable)
}

/// By how many minutes the time of the log's last line differs from the kernel's own for it, which
/// is that of the file.
fn moved_by(process: &Process) -> i64 {
    const DAY: i64 = 24 * 60;
    let log = process.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let (_, said) = line["timestamp"].as_str().unwrap().split_once('T').unwrap();
    let mut parts = said
        .split(':')
        .map(|part| part.parse::<i64>().unwrap_or_default());
    let said: i64 = parts.next().unwrap() * 60 + parts.next().unwrap();
    let real = process.logged_at().duration_since(UNIX_EPOCH).unwrap();
    let real = i64::try_from(real.as_secs()).unwrap() / 60 % DAY;
    (said - real + DAY + DAY / 2) % DAY - DAY / 2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_is_moved_changes_no_bound() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let database = cluster.database("clock");
    fill(&database, &Setup::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (library, moved) = (compile(folder.path()), folder.path().join("moved"));
    move_clock(&moved, 0);
    let flags = [
        "--stale-after=1s",
        "--max-stale=3s",
        "--poll-interval=200ms",
        "--log-format=json",
    ];
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("MOVED_CLOCK", moved.to_str().unwrap()),
    ];
    let process = Process::serve(&database, &flags, &variables, folder.path());
    let client = process.client().await;
    // Ready is more than one answer that was read from Postgres: the cache is known to be true.
    probe::until_ready(process.http).await;
    ask(&client).await.unwrap();

    // A wall clock would make all of it old, or of the future.
    let minutes = 10;
    for seconds in [60 * minutes, 0, -60 * minutes, 0] {
        move_clock(&moved, seconds);
        assert_until(Instant::now() + STALE_AFTER / 2, &client, is_fresh).await;
    }
    // A wall clock that goes back would make nothing old for ten minutes, one that goes forward
    // all of it at once.
    for seconds in [-60 * minutes, 60 * minutes] {
        let began = Instant::now();
        block_in_place(|| cluster.kill());
        let gone = Instant::now();
        move_clock(&moved, seconds);
        assert_until(began + STALE_AFTER - SPARED, &client, is_fresh).await;
        tokio::time::sleep_until(gone + STALE_AFTER).await;
        assert_until(began + MAX_STALE - SPARED, &client, is_stale).await;
        tokio::time::sleep_until(gone + MAX_STALE).await;
        assert_until(Instant::now() + STALE_AFTER / 2, &client, is_none).await;
        // The last line was logged in the outage: that nothing is answered any more.
        let moved_by = moved_by(&process);
        println!("moved by {moved_by} minutes: stale and unavailable when they are due");
        assert!((moved_by - seconds / 60).abs() <= 1, "{moved_by} minutes");
        move_clock(&moved, 0);
        block_in_place(|| cluster.start_again());
        probe::until_ready(process.http).await;
        ask(&client).await.unwrap();
    }
}
