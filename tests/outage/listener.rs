//! The connection that hears of changes hangs, or is lost again and again: what is not heard is
//! seen by the poll, and a change is on every replica within `stale_after` all the same.

use std::cell::Cell;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::Instant;

use super::support::load::Times;
use super::support::oracle::Bounds;
use super::support::proxy::Network;
use super::support::replicas::{Fleet, Setup};
use super::support::soak::lasting;
use super::support::{self, within};
use super::{alone, beside_others};

/// A poll that comes so seldom that a change which is seen sooner was heard of.
fn seldom() -> Setup {
    Setup {
        bounds: Bounds {
            stale_after: Duration::from_secs(5),
            max_stale: Duration::from_secs(300),
        },
        poll_interval: Duration::from_secs(4),
        ..Setup::default()
    }
}

/// Waits until each replica has listened so many times.
async fn listening(fleet: &Fleet, times: usize) {
    for replica in &fleet.replicas {
        within("LISTEN", replica.proxy.until_listeners(times)).await;
    }
}

/// Revokes and grants in turn for `time`: how long each took to be on every replica.
async fn changes(fleet: &Fleet, time: Duration) -> Times {
    let (began, mut enforced) = (Instant::now(), Vec::new());
    for number in 0.. {
        let (partner, on) = (number % 10, number / 10 % 2 == 1);
        fleet.change(partner, on).await.unwrap();
        enforced.push(fleet.enforced(partner, on, Instant::now()).await);
        if began.elapsed() >= time {
            break;
        }
    }
    Times::new(enforced)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_swallowed_is_noticed_and_replaced() {
    let _alone = alone().await;
    let fleet = Fleet::start(&support::empty_database("swallowed"), seldom()).await;
    listening(&fleet, 1).await;
    fleet.settle().await;
    let load = fleet.load();
    for replica in &fleet.replicas {
        replica.proxy.set(Network::SwallowsListeners);
    }
    let began = Instant::now();
    let noticed = async {
        listening(&fleet, 2).await;
        began.elapsed()
    };
    let (noticed_after, deaf) = tokio::join!(noticed, changes(&fleet, Duration::from_secs(3)));
    let heard = changes(&fleet, Duration::from_secs(1)).await;
    let samples = load.stop().await;
    println!(
        "listeners swallowed\n  all replaced after {noticed_after:.1?}\n  \
         enforced, meanwhile {deaf}\n  enforced, then      {heard}\n  cached {samples}"
    );
    assert!(noticed_after <= Duration::from_secs(3), "{noticed_after:?}");
    assert!(deaf.max() <= fleet.setup.bounds.stale_after, "{deaf}");
    assert!(heard.max() <= Duration::from_secs(1), "{heard}");
    assert_eq!(samples.failed(), 0, "{samples}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_terminated_again_and_again_loses_no_change() {
    let _beside = beside_others().await;
    let fleet = Fleet::start(&support::empty_database("terminated"), seldom()).await;
    listening(&fleet, 1).await;
    fleet.settle().await;
    let load = fleet.load();
    let terminated = Cell::new(0);
    let terminate = async {
        let mut turn = tokio::time::interval(Duration::from_millis(500));
        loop {
            turn.tick().await;
            let ports = fleet
                .replicas
                .iter()
                .flat_map(|replica| replica.proxy.listeners());
            let ports: Vec<_> = ports.map(|port| port.to_string()).collect();
            let sql = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND client_port IN ({})",
                ports.join(", ")
            );
            let count: usize = block_in_place(|| fleet.database.sql(&sql)).parse().unwrap();
            terminated.set(terminated.get() + count);
        }
    };
    let time = lasting(Duration::from_secs(5), Duration::from_secs(60));
    let enforced = tokio::select! {
        enforced = changes(&fleet, time) => enforced,
        never = terminate => never,
    };
    let samples = load.stop().await;
    let terminated = terminated.get();
    println!(
        "listeners terminated each half second, {terminated} in all\n  enforced {enforced}\n  cached {samples}"
    );
    assert!(terminated > fleet.replicas.len(), "{terminated}");
    assert!(
        enforced.max() <= fleet.setup.bounds.stale_after,
        "{enforced}"
    );
    assert_eq!(samples.failed(), 0, "{samples}");
}
