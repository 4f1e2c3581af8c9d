//! Nothing fails: how soon a change is on every replica.

use std::time::Duration;

use tokio::time::Instant;

use super::alone;
use super::support;
use super::support::load::Times;
use super::support::replicas::{Fleet, Setup};
use super::support::soak::lasting;

/// A thousand revokes where somebody soaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoke_is_on_every_replica_within_a_second() {
    let _alone = alone().await;
    let fleet = Fleet::start(&support::empty_database("revokes"), Setup::default()).await;
    fleet.settle().await;
    let load = fleet.load();
    let mut enforced = Vec::new();
    for _ in 0..lasting(1, 100) {
        for (partner, on) in (0..10).map(|partner| (partner, false)) {
            fleet.change(partner, on).await.unwrap();
            enforced.push(fleet.enforced(partner, on, Instant::now()).await);
            fleet.change(partner, !on).await.unwrap();
        }
    }
    let samples = load.stop().await;
    let enforced = Times::new(enforced);
    println!("revoke to enforced on every replica\n  {enforced}\n  cached, meanwhile {samples}");
    assert_eq!(samples.failed(), 0, "{samples}");
    assert!(enforced.max() <= Duration::from_secs(1), "{enforced}");
}
