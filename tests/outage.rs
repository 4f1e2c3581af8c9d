//! Postgres fails in every way that it has, under three replicas and a load, and they do what was
//! promised. Each test prints its figures: `make test ARGS="--test outage -- --nocapture"`.

#![cfg(test)]

#[path = "outage/churn.rs"]
mod churn;
#[path = "outage/clock.rs"]
mod clock;
#[path = "outage/cold.rs"]
mod cold;
#[path = "outage/history.rs"]
mod history;
#[path = "outage/listener.rs"]
mod listener;
#[path = "outage/lost.rs"]
mod lost;
#[path = "outage/migrators.rs"]
mod migrators;
#[path = "outage/oracle.rs"]
mod oracle;
#[path = "outage/read_only.rs"]
mod read_only;
#[path = "outage/revokes.rs"]
mod revokes;
#[path = "outage/start.rs"]
mod start;
mod support;
#[path = "outage/unknown.rs"]
mod unknown;

use std::sync::LazyLock;
use std::time::Duration;

use support::load::Samples;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held by each test for as long as it runs. Tokio's, because a test that fails does not poison it.
static FIGURES: LazyLock<RwLock<()>> = LazyLock::new(RwLock::default);

/// For a test that says how long calls take, which another would disturb.
async fn alone() -> RwLockWriteGuard<'static, ()> {
    FIGURES.write().await
}

/// For a test that waits for most of its time, and whose bounds are seconds.
async fn beside_others() -> RwLockReadGuard<'static, ()> {
    FIGURES.read().await
}

/// The time that calls take is what it was, or so short that nobody minds, or what it became on a
/// server beside it that has no Postgres to lose: then the machine is busy.
fn assert_undisturbed(before: &Samples, during: &Samples, control: &Samples) {
    let nobody_minds = Duration::from_millis(5);
    let [before, during, control] =
        [before, during, control].map(|samples| samples.times().percentile(99));
    let bound = nobody_minds.max(before * 2).max(control * 2);
    assert!(during <= bound, "p99 {during:?}, accepted {bound:?}");
}
