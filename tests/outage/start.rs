//! The program starts before its Postgres does.

use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::Instant;

use super::beside_others;
use super::support::process::Process;
use super::support::replicas::{FEATURE, Setup, fill};
use super::support::requests::check;
use super::support::soak::lasting;
use super::support::{Cluster, probe};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_postgres_waits_idle_and_is_ready_when_it_comes() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let database = cluster.database("late");
    fill(&database, &Setup::default()).await;
    block_in_place(|| cluster.stop());
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::serve(&database, &[], &[], folder.path());
    let ready = async || probe::ask(process.http, "GET", "/readyz").await;
    assert_eq!(probe::ask(process.http, "GET", "/livez").await.0, 200);
    let (status, _, why) = ready().await;
    assert_eq!(status, 503, "{why}");

    // What starting took is over.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (computed, began) = (process.computed(), Instant::now());
    tokio::time::sleep(lasting(Duration::from_secs(3), Duration::from_secs(60))).await;
    let waited = began.elapsed();
    let computed = process.computed() - computed;
    let (status, _, why) = ready().await;
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("connection refused"), "{why}");

    block_in_place(|| cluster.start_again());
    let came = Instant::now();
    probe::until_ready(process.http).await;
    let ready_after = came.elapsed();
    let mut client = process.client().await;
    let answer = client.check_feature(check("managed-0-0", FEATURE)).await;
    assert!(!answer.unwrap().into_inner().stale);
    assert!(process.is_alive());
    let said = process.log().lines().count();
    println!(
        "started without Postgres\n  computed for {computed:?} of {waited:.1?}, said {said} lines\n  \
         ready {ready_after:.1?} after it came"
    );
    // A hundredth of a core, and what a debug build adds.
    assert!(computed <= waited / 20, "{computed:?} of {waited:?}");
    assert!(ready_after <= Duration::from_secs(5), "{ready_after:?}");
    // Not a line for each time that it tried.
    assert!(said < 10, "{}", process.log());
}
