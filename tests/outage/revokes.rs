//! Nothing fails: how soon a change is on every replica.

use std::time::Duration;

use tokio::time::Instant;

use super::alone;
use super::support;
use super::support::load::Times;
use super::support::oracle::Bounds;
use super::support::replicas::{Fleet, Setup};
use super::support::soak::lasting;

/// A thousand revokes. The poll alone would take half a second for most of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoke_is_on_every_replica_within_milliseconds() {
    let _alone = alone().await;
    let setup = Setup {
        bounds: Bounds {
            stale_after: Duration::from_secs(5),
            max_stale: Duration::from_secs(300),
        },
        poll_interval: Duration::from_secs(1),
        ..Setup::default()
    };
    let fleet = Fleet::start(&support::empty_database("revokes"), setup).await;
    for replica in &fleet.replicas {
        support::within("LISTEN", replica.proxy.until_listeners(1)).await;
    }
    fleet.settle().await;
    let load = fleet.load();
    let mut enforced = Vec::new();
    for _ in 0..100 {
        for partner in 0..10 {
            fleet.change(partner, false).await.unwrap();
            enforced.push(fleet.enforced(partner, false, Instant::now()).await);
            fleet.change(partner, true).await.unwrap();
        }
    }
    let samples = load.stop().await;
    let enforced = Times::new(enforced);
    println!("revoke to enforced on every replica\n  {enforced}\n  cached, meanwhile {samples}");
    assert_eq!(samples.failed(), 0, "{samples}");
    assert!(enforced.max() <= Duration::from_secs(1), "{enforced}");
    // Where somebody soaks, the machine has nothing else to do.
    let (percent, bound) = lasting((50, 250), (99, 50));
    let bound = Duration::from_millis(bound);
    assert!(
        enforced.percentile(percent) <= bound,
        "{enforced}, accepted {bound:?}"
    );
}
