//! Postgres answers and takes no writes.

use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::Instant;
use tonic::Code;

use super::beside_others;
use super::support::load::Outcome;
use super::support::refused::{because, refused};
use super::support::replicas::{Fleet, Setup};
use super::support::{Cluster, within};

/// That changes are refused, with a reason that tells this from an outage.
async fn assert_refused(fleet: &Fleet) {
    for partner in 0..5 {
        let status = fleet.change(partner, false).await.unwrap_err();
        let want = because(Code::Unavailable, "STORE_READ_ONLY");
        assert_eq!(refused(&status), want, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_postgres_refuses_changes_and_checks_go_on() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let fleet = Fleet::start(&cluster.database("read_only"), Setup::default()).await;
    fleet.settle().await;
    let load = fleet.load();
    let set = |value: &str| {
        let database = &fleet.database;
        database.sql(&format!(
            "ALTER SYSTEM SET default_transaction_read_only = {value}"
        ));
        database.sql("SELECT pg_reload_conf()");
    };
    load.take();
    block_in_place(|| {
        set("on");
        // It is told by a signal, which takes a moment to arrive.
        while fleet.database.sql("SHOW default_transaction_read_only") != "on" {}
    });
    assert_refused(&fleet).await;
    for replica in &fleet.replicas {
        assert!(!replica.check(&fleet.cold()).await.unwrap().stale);
    }
    let during = load.measure(fleet.setup.bounds.stale_after * 2).await;
    println!("read-only\n  {during}");
    assert!(
        during.outcomes().into_keys().eq(["Fresh".to_owned()]),
        "{during}"
    );

    let off = "-c default_transaction_read_only=off";
    let mut psql = fleet.database.psql();
    psql.env("PGOPTIONS", off).args([
        "--command=ALTER SYSTEM RESET default_transaction_read_only",
        "--command=SELECT pg_reload_conf()",
    ]);
    assert!(block_in_place(|| psql.output()).unwrap().status.success());
    within("a change", async {
        while fleet.change(0, false).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    fleet.enforced(0, false, Instant::now()).await;
    load.stop().await;
}

/// A standby cannot know what it has not received: nothing that it says makes an answer fresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_alone_is_an_outage_with_reads() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let fleet = Fleet::start(&cluster.database("standby"), Setup::default()).await;
    fleet.settle().await;
    let load = fleet.load();
    load.take();
    block_in_place(|| {
        cluster.stop();
        cluster.demote();
        cluster.start_again();
    });
    let demoted = Instant::now();
    assert_refused(&fleet).await;
    let stale_after = fleet.setup.bounds.stale_after;
    tokio::time::sleep_until(demoted + stale_after * 2).await;
    let during = load.take();
    let late = during.between(demoted + stale_after, Instant::now());
    block_in_place(|| fleet.database.sql("SELECT pg_promote()"));
    let promoted = Instant::now();
    for replica in &fleet.replicas {
        within("fresh", async {
            while replica.check(&fleet.accounts()[0].1).await.unwrap().stale {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let fresh_after = promoted.elapsed();
    println!("a standby alone\n  {during}\n  fresh {fresh_after:.1?} after it was promoted");
    assert_eq!(during.failed(), 0, "{during}");
    assert!(late.last(Outcome::Stale).is_some(), "{late}");
    assert_eq!(late.last(Outcome::Fresh), None, "{late}");
    assert!(fresh_after <= Duration::from_secs(5), "{fresh_after:?}");
    fleet.change(0, false).await.unwrap();
    fleet.enforced(0, false, Instant::now()).await;
    load.stop().await;
}
