//! Postgres comes back with the data of an hour ago, as after a failover to a standby that
//! lagged, or a backup that was restored.

use std::time::Duration;

use portcullis::proto::v1;
use portcullis::proto::v1::feature_check_result::Result as CheckResult;
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::beside_others;
use super::support::load::Load;
use super::support::proxy::Network;
use super::support::replicas::{Fleet, Setup};
use super::support::{Cluster, within};

/// Replicas that have seen three partners revoke what a restored Postgres says they allow.
async fn after_a_loss(cluster: &Cluster) -> Fleet {
    let fleet = Fleet::start(&cluster.database("lost_writes"), Setup::default()).await;
    fleet.change(9, false).await.unwrap();
    block_in_place(|| {
        cluster.stop();
        cluster.back_up();
        cluster.start_again();
    });
    for partner in 0..3 {
        fleet.change(partner, false).await.unwrap();
        fleet.enforced(partner, false, Instant::now()).await;
    }
    fleet.settle().await;
    block_in_place(|| {
        cluster.kill();
        cluster.restore();
    });
    fleet
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
    // And it stays.
    let watched = Instant::now();
    while watched.elapsed() < bound {
        assert_eq!(answered(fleet).await, want);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_went_back_is_followed_back() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let fleet = after_a_loss(&cluster).await;
    let _load = Load::start(&fleet.targets(None), 1, Duration::from_millis(10));
    block_in_place(|| cluster.start_again());
    assert_seen("lost writes", &fleet, 2, &[9], Instant::now()).await;
}

/// By its number alone the revision has made progress, as if nothing had been lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_went_on_past_what_it_lost_is_not_taken_for_progress() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let fleet = after_a_loss(&cluster).await;
    let _load = Load::start(&fleet.targets(None), 1, Duration::from_millis(10));
    let network = |network| {
        for replica in &fleet.replicas {
            replica.proxy.set(network);
        }
    };
    network(Network::Refuses);
    block_in_place(|| cluster.start_again());
    for partner in 3..8 {
        fleet.change(partner, false).await.unwrap();
    }
    network(Network::Passes);
    let off = [3, 4, 5, 6, 7, 9];
    assert_seen("lost writes, and went on", &fleet, 7, &off, Instant::now()).await;
}
