//! What a change makes a replica forget, what it leaves, and how it hears of it.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis::directory::{Consistency, Entry};
use portcullis::domain::{Revision, Setting};
use portcullis::store::Import;

use super::support::gate::Gate;
use super::support::within;
use super::{
    ACCOUNTS, Replica, both, filled, id, import, polls_every, replica, replica_over, settings,
};

/// What account `m` itself sets, its partner staying with "on".
fn of_m(setting: &str) -> Import {
    import(&format!(
        "policies:\n  - partner: p\n    settings: {{ pricing.view: on }}\n    accounts: {{ m: {{ pricing.view: {setting} }} }}\n"
    ))
}

/// What the partner sets, account `m` staying as it is.
fn of_partner(setting: &str) -> Import {
    import(&format!(
        "policies:\n  - partner: p\n    settings: {{ pricing.view: {setting} }}\n"
    ))
}

impl Replica {
    /// What the settings of an account and of its partner are, and whether the store was asked.
    async fn look(&self, account: &str) -> (Option<Setting>, Option<Setting>, bool) {
        let before = self.gate.asked().loads;
        let (own, partner) = settings(&self.directory, &self.resolve(account).await.unwrap().0);
        (own, partner, self.gate.asked().loads > before)
    }
}

const ON: Option<Setting> = Some(Setting::On);
const OFF: Option<Setting> = Some(Setting::Off);

#[tokio::test]
async fn a_change_of_one_account_leaves_the_others_cached() {
    let replica = replica(polls_every(10)).await;
    replica.resolve("m").await.unwrap();
    replica.resolve("n").await.unwrap();
    assert!(matches!(
        replica.resolve("x").await.unwrap().0,
        Entry::Unknown
    ));
    replica.change(&of_m("off")).await;
    replica.gate.applied().await;
    assert_eq!(replica.look("n").await, (None, ON, false));
    assert_eq!(replica.look("m").await, (OFF, ON, true));
    assert_eq!(replica.look("m").await, (OFF, ON, false));
    // Nor does it say anything of accounts that there are none of.
    let loads = replica.gate.asked().loads;
    let (entry, revision, _) = replica.resolve("x").await.unwrap();
    assert!(matches!(entry, Entry::Unknown));
    assert_eq!((revision, replica.gate.asked().loads), (Revision(3), loads));
}

#[tokio::test]
async fn a_change_of_a_policy_leaves_its_accounts_cached() {
    let replica = replica(polls_every(10)).await;
    replica.resolve("m").await.unwrap();
    replica.resolve("n").await.unwrap();
    replica.resolve("p").await.unwrap();
    replica.change(&of_partner("off")).await;
    replica.gate.applied().await;
    // One load brings the policy for all of them.
    assert_eq!(replica.look("m").await, (ON, OFF, true));
    assert_eq!(replica.look("n").await, (None, OFF, false));
    let loads = replica.gate.asked().loads;
    replica.resolve("p").await.unwrap();
    assert_eq!(replica.gate.asked().loads, loads);
}

#[tokio::test]
async fn an_account_that_comes_to_be_is_no_longer_unknown() {
    let replica = replica(polls_every(10)).await;
    assert!(matches!(
        replica.resolve("x").await.unwrap().0,
        Entry::Unknown
    ));
    replica
        .change(&import("accounts:\n  - { id: x, kind: direct }\n"))
        .await;
    replica.gate.applied().await;
    let (entry, ..) = replica.resolve("x").await.unwrap();
    assert!(matches!(entry, Entry::Known { .. }));
}

#[tokio::test]
async fn a_change_of_more_than_can_be_named_is_one_of_everything() {
    let replica = replica(polls_every(10)).await;
    let (m, fastest) = (id("m"), Consistency::Fastest);
    let with_catalog = || replica.directory.resolve_with_catalog(&m, fastest);
    with_catalog().await.unwrap();
    replica.resolve("n").await.unwrap();
    let mut many = "accounts:\n".to_owned();
    for i in 0..1_001 {
        writeln!(many, "  - {{ id: x{i}, kind: direct }}").unwrap();
    }
    replica.change(&import(&many)).await;
    replica.gate.applied().await;
    assert_eq!(replica.look("m").await, (ON, ON, true));
    assert_eq!(replica.look("n").await, (None, ON, true));
    // The catalogue is known by its own change.
    with_catalog().await.unwrap();
    assert_eq!(replica.gate.asked().catalogs, 1);
}

#[tokio::test]
async fn a_load_that_a_change_of_another_account_overtook_is_kept_and_joined() {
    let replica = replica(polls_every(10)).await;
    let held = replica.gate.hold.write().await;
    let first = replica.spawn_resolve("n");
    replica.gate.until(|asked| asked.loads == 1).await;
    replica.change(&of_m("off")).await;
    replica.gate.applied().await;
    let joined = replica.spawn_resolve("n");
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(first.await.unwrap().unwrap().1, Revision(2));
    // It asked after the change was applied, and no change since the load touched what it found.
    assert_eq!(joined.await.unwrap().unwrap().1, Revision(3));
    assert_eq!(replica.look("n").await, (None, ON, false));
    assert_eq!(replica.gate.asked().loads, 1);
}

#[tokio::test]
async fn of_a_load_that_a_change_of_the_policy_overtook_the_account_is_kept() {
    let replica = replica(polls_every(10)).await;
    let held = replica.gate.hold.write().await;
    let first = replica.spawn_resolve("n");
    replica.gate.until(|asked| asked.loads == 1).await;
    replica.change(&of_partner("off")).await;
    replica.gate.applied().await;
    let joined = replica.spawn_resolve("n");
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(first.await.unwrap().unwrap().1, Revision(2));
    let (entry, revision, _) = joined.await.unwrap().unwrap();
    assert_eq!(
        (settings(&replica.directory, &entry).1, revision),
        (OFF, Revision(3))
    );
}

#[tokio::test]
async fn a_load_that_more_changes_overtook_than_are_remembered_is_not_kept() {
    let replica = replica(polls_every(10)).await;
    let held = replica.gate.hold.write().await;
    let first = replica.spawn_resolve("n");
    replica.gate.until(|asked| asked.loads == 1).await;
    for i in 0..4_100 {
        replica
            .change(&of_m(if i % 2 == 0 { "off" } else { "on" }))
            .await;
    }
    // More than one poll brings.
    replica.at_least(4_102).await;
    drop(held);
    assert_eq!(first.await.unwrap().unwrap().1, Revision(2));
    assert_eq!(replica.look("n").await, (None, ON, true));
    let (.., stale) = replica.resolve("n").await.unwrap();
    assert!(!stale);
}

#[tokio::test]
async fn a_replica_that_missed_many_changes_catches_up_without_waiting() {
    // The first poll is at once, and the next far away.
    let replica = replica(polls_every(60_000)).await;
    replica.resolve("m").await.unwrap();
    for i in 0..5_000 {
        replica
            .change(&of_m(if i % 2 == 0 { "off" } else { "on" }))
            .await;
    }
    let asked = replica.gate.asked();
    replica
        .directory
        .resolve(&[], Consistency::AtLeast(Revision(5_002)))
        .await
        .unwrap();
    replica.gate.until(|now| now.polls >= asked.polls + 5).await;
    let caught_up = async {
        while replica.look("m").await.2 {
            tokio::task::yield_now().await;
        }
        replica.resolve("m").await.unwrap().1
    };
    assert_eq!(within("the last change", caught_up).await, Revision(5_002));
}

#[tokio::test]
async fn a_signal_brings_a_change_long_before_the_next_poll() {
    let gate = Gate::new(filled(&[import(ACCOUNTS), both("on")]).await);
    gate.signalling.store(true, Ordering::SeqCst);
    let replica = replica_over(gate, polls_every(600_000)).await;
    for setting in ["off", "on", "off"] {
        let before = replica.look("m").await.0;
        replica.change(&both(setting)).await;
        let seen = async {
            while replica.look("m").await.0 == before {
                tokio::task::yield_now().await;
            }
        };
        within("the change", seen).await;
    }
    assert!(
        replica.gate.asked().polls <= 8,
        "{:?}",
        replica.gate.asked()
    );
}

#[tokio::test]
async fn signals_that_are_lost_cost_a_poll_interval() {
    let gate = Gate::new(filled(&[import(ACCOUNTS), both("on")]).await);
    gate.signalling.store(true, Ordering::SeqCst);
    let replica = replica_over(gate, polls_every(50)).await;
    replica.resolve("m").await.unwrap();
    replica.gate.signalling.store(false, Ordering::SeqCst);
    replica.change(&both("off")).await;
    let seen = async {
        while replica.look("m").await.0 == ON {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen)
        .await
        .unwrap();
}
