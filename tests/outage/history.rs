//! Postgres comes back with the data of an hour ago, as after a failover to a standby that
//! lagged, or a backup that was restored.

use std::ops::Range;
use std::time::Duration;

use portcullis::proto::v1;
use portcullis::proto::v1::feature_check_result::Result as CheckResult;
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::beside_others;
use super::support::load::Load;
use super::support::oracle::Bounds;
use super::support::proxy::Network;
use super::support::replicas::{Fleet, Setup};
use super::support::{Cluster, within};

async fn fleet(cluster: &Cluster) -> Fleet {
    let setup = Setup {
        bounds: Bounds {
            stale_after: Duration::from_secs(5),
            max_stale: Duration::from_secs(300),
        },
        ..Setup::default()
    };
    let fleet = Fleet::start(&cluster.database("lost_writes"), setup).await;
    fleet.change(9, false).await.unwrap();
    fleet
}

/// Every replica sees these partners revoke, and Postgres is gone and remembers nothing of it.
async fn lose(fleet: &Fleet, cluster: &Cluster, partners: Range<usize>) {
    block_in_place(|| {
        cluster.stop();
        cluster.back_up();
        cluster.start_again();
    });
    for partner in partners {
        fleet.change(partner, false).await.unwrap();
        fleet.enforced(partner, false, Instant::now()).await;
    }
    fleet.settle().await;
    block_in_place(|| {
        cluster.kill();
        cluster.restore();
    });
}

/// Whether every managed account has the setting on, as each replica answers it.
async fn answered(fleet: &Fleet) -> Vec<Option<(Vec<bool>, u64)>> {
    let mut answered = Vec::new();
    for replica in &fleet.replicas {
        let answer = replica.check_all(fleet.accounts()).await;
        answered.push(answer.ok().map(|answer| {
            let allows = |result: &v1::FeatureCheckResult| match &result.result {
                Some(CheckResult::Decision(decision)) => decision.effect() == v1::Effect::Allow,
                other => panic!("{other:?}"),
            };
            (answer.results.iter().map(allows).collect(), answer.revision)
        }));
    }
    answered
}

/// The new state is all that any replica answers, at the latest `stale_after` after it could see
/// it.
async fn assert_seen(what: &str, fleet: &Fleet, revision: u64, off: &[usize], visible: Instant) {
    let on: Vec<bool> = fleet
        .accounts()
        .iter()
        .map(|(partner, _)| !off.contains(partner))
        .collect();
    let want = vec![Some((on, revision)); fleet.replicas.len()];
    within("the new state", async {
        while answered(fleet).await != want {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let after = visible.elapsed();
    println!("{what}: revision {revision} is answered by every replica after {after:.1?}");
    let bound = fleet.setup.bounds.stale_after;
    assert!(after <= bound, "{after:?}, accepted {bound:?}");
    // And it stays, for several polls.
    let watched = Instant::now();
    while watched.elapsed() < fleet.setup.poll_interval * 4 {
        assert_eq!(answered(fleet).await, want);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_went_back_is_followed_back() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let fleet = fleet(&cluster).await;
    let _load = Load::start(&fleet.targets(None), 1, Duration::from_millis(10));
    lose(&fleet, &cluster, 0..3).await;
    block_in_place(|| cluster.start_again());
    assert_seen("lost writes", &fleet, 2, &[9], Instant::now()).await;
}

/// By its number alone the revision is what it was, or has made progress, as if nothing had been
/// lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_went_on_past_what_it_lost_is_not_taken_for_progress() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let fleet = fleet(&cluster).await;
    let _load = Load::start(&fleet.targets(None), 1, Duration::from_millis(10));
    let network = |network| {
        for replica in &fleet.replicas {
            replica.proxy.set(network);
        }
    };
    let mut off = vec![9];
    for (lost, other, revision) in [(0..3, 3..6, 5), (0..2, 6..9, 8)] {
        lose(&fleet, &cluster, lost).await;
        network(Network::Refuses);
        block_in_place(|| cluster.start_again());
        for partner in other {
            fleet.change(partner, false).await.unwrap();
            off.push(partner);
        }
        network(Network::Passes);
        let now = Instant::now();
        assert_seen("lost writes, and went on", &fleet, revision, &off, now).await;
    }
}
