//! What watchers are told.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt as _};
use portcullis::directory::{Directory, WatchEvent};
use portcullis::domain::{Revision, Setting};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{ChangeSubject, PolicyStore as _, SettingChanges, Write, WriteRequest};

use super::support::gate::Gate;
use super::support::server::built_in_matrix;
use super::support::within;
use super::{ACCOUNTS, Replica, both, filled, id, import, polls_every, replica, settings};

type Watch = Pin<Box<dyn Stream<Item = WatchEvent> + Send>>;

async fn watch(directory: &Directory, after: Option<u64>) -> Watch {
    let watch = within("a watch", directory.watch(after.map(Revision))).await;
    Box::pin(watch.unwrap())
}

async fn next(watch: &mut Watch) -> WatchEvent {
    within("an event", watch.next()).await.unwrap()
}

fn event(revision: u64, changes: &[ChangeSubject]) -> WatchEvent {
    WatchEvent {
        revision: Revision(revision),
        changes: changes.to_vec(),
    }
}

const EVERYTHING: &[ChangeSubject] = &[ChangeSubject::Everything];

/// Sets what account `m` sets for prices.
async fn set(store: &MemoryStore, setting: Setting) {
    let write = Write::AccountSettings {
        account: id("m"),
        settings: SettingChanges::from([("pricing.view".to_owned(), Some(setting))]),
    };
    let request = WriteRequest {
        write,
        matrix: Arc::new(built_in_matrix()),
        actor: String::new(),
        caller: String::new(),
        comment: String::new(),
        expected: None,
        idempotency: None,
    };
    store.write(Arc::new(request)).await.unwrap();
}

impl Replica {
    async fn set(&self, setting: Setting) {
        set(&self.gate.inner(), setting).await;
    }

    /// Makes so many changes of account `m`.
    async fn set_often(&self, times: u32) {
        for number in 0..times {
            let setting = if number % 2 == 0 {
                Setting::Off
            } else {
                Setting::On
            };
            self.set(setting).await;
        }
    }
}

fn of_m() -> [ChangeSubject; 1] {
    [ChangeSubject::Account(id("m"))]
}

#[tokio::test]
async fn a_watch_from_now_on_begins_with_the_present() {
    let replica = replica(polls_every(10)).await;
    let mut watch = watch(&replica.directory, None).await;
    assert_eq!(next(&mut watch).await, event(2, &[]));
    replica.set(Setting::Off).await;
    assert_eq!(next(&mut watch).await, event(3, &of_m()));
    replica.change(&both("on")).await;
    assert_eq!(next(&mut watch).await, event(4, EVERYTHING));
}

#[tokio::test]
async fn who_asks_because_of_what_it_was_told_gets_an_answer_with_the_change_in_it() {
    let replica = replica(polls_every(10)).await;
    let mut watch = watch(&replica.directory, None).await;
    next(&mut watch).await;
    for setting in [Setting::Off, Setting::On, Setting::Off] {
        replica.resolve("m").await.unwrap();
        replica.set(setting).await;
        next(&mut watch).await;
        let (entry, ..) = replica.resolve("m").await.unwrap();
        assert_eq!(settings(&replica.directory, &entry).0, Some(setting));
    }
}

#[tokio::test]
async fn a_watch_goes_on_from_a_revision() {
    let replica = replica(polls_every(10)).await;
    replica.set_often(3).await;
    replica.at_least(5).await;
    // Replicas know the history from before they started, too.
    for (after, told) in [(0, 1..=5), (1, 2..=5), (4, 5..=5)] {
        let mut watch = watch(&replica.directory, Some(after)).await;
        for revision in told {
            assert_eq!(next(&mut watch).await.revision, Revision(revision));
        }
    }
    let mut watch = watch(&replica.directory, Some(5)).await;
    assert_eq!(next(&mut watch).await, event(5, &[]));
    replica.set(Setting::On).await;
    assert_eq!(next(&mut watch).await, event(6, &of_m()));
}

#[tokio::test]
async fn nothing_is_missed_or_repeated_between_what_was_and_what_comes() {
    let replica = replica(polls_every(1)).await;
    let gate = Arc::clone(&replica.gate);
    let writer = tokio::spawn(async move {
        for number in 0..500 {
            let setting = if number % 2 == 0 {
                Setting::Off
            } else {
                Setting::On
            };
            set(&gate.inner(), setting).await;
            tokio::task::yield_now().await;
        }
    });
    let mut last = 2;
    while last < 502 {
        // Each from where the one before it ended, after a few events.
        let mut watch = watch(&replica.directory, Some(last)).await;
        for _ in 0..7 {
            let WatchEvent { revision, changes } = next(&mut watch).await;
            if !changes.is_empty() {
                assert_eq!((revision, changes), (Revision(last + 1), of_m().to_vec()));
                last += 1;
            }
            if last == 502 {
                break;
            }
        }
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn what_is_too_old_or_was_never_made_is_everything() {
    let replica = replica(polls_every(10)).await;
    let mut future = watch(&replica.directory, Some(99)).await;
    assert_eq!(next(&mut future).await, event(2, EVERYTHING));
    replica.set_often(4_096).await;
    replica.at_least(4_098).await;
    let mut old = watch(&replica.directory, Some(1)).await;
    assert_eq!(next(&mut old).await, event(4_098, EVERYTHING));
    let mut just = watch(&replica.directory, Some(2)).await;
    assert_eq!(next(&mut just).await, event(3, &of_m()));
    replica.set(Setting::Off).await;
    assert_eq!(next(&mut old).await, event(4_099, &of_m()));
}

#[tokio::test]
async fn a_revision_that_another_replica_has_seen_already_is_looked_for() {
    let replica = replica(polls_every(60_000)).await;
    replica.set(Setting::Off).await;
    replica.set(Setting::On).await;
    let mut watch = watch(&replica.directory, Some(3)).await;
    assert_eq!(next(&mut watch).await, event(4, &of_m()));
}

#[tokio::test]
async fn a_slow_watcher_is_told_that_everything_changed() {
    let replica = replica(polls_every(10)).await;
    let mut slow = watch(&replica.directory, None).await;
    let mut quick = watch(&replica.directory, None).await;
    assert_eq!(next(&mut slow).await, event(2, &[]));
    assert_eq!(next(&mut quick).await, event(2, &[]));
    for present in (102..=2_002).step_by(100) {
        replica.set_often(100).await;
        while next(&mut quick).await.revision < Revision(present) {}
    }
    assert_eq!(next(&mut slow).await, event(2_002, EVERYTHING));
    replica.set(Setting::Off).await;
    assert_eq!(next(&mut slow).await, event(2_003, &of_m()));
}

#[tokio::test]
async fn a_history_that_was_replaced_is_everything() {
    let replica = replica(polls_every(10)).await;
    let mut watch = watch(&replica.directory, None).await;
    next(&mut watch).await;
    replica.gate.swap(filled(&[import(ACCOUNTS)]).await);
    assert_eq!(next(&mut watch).await, event(1, EVERYTHING));
    replica.set(Setting::Off).await;
    assert_eq!(next(&mut watch).await, event(2, &of_m()));
}

#[tokio::test]
async fn another_matrix_is_everything_at_the_present_revision() {
    let replica = replica(polls_every(10)).await;
    let mut watch = watch(&replica.directory, None).await;
    assert_eq!(next(&mut watch).await, event(2, &[]));
    replica.gate.matrix_changes.store(1, Ordering::SeqCst);
    assert_eq!(next(&mut watch).await, event(2, EVERYTHING));
    replica.set(Setting::Off).await;
    assert_eq!(next(&mut watch).await, event(3, &of_m()));
}

/// Whoever was away while another matrix came: the change of it has no place among the revisions.
#[tokio::test]
async fn who_resumes_behind_another_matrix_is_told_everything() {
    let replica = replica(polls_every(10)).await;
    replica.gate.matrix_changed_at.store(2, Ordering::SeqCst);
    replica.set(Setting::Off).await;
    replica.at_least(3).await;
    for after in [1, 2] {
        let mut behind = watch(&replica.directory, Some(after)).await;
        assert_eq!(
            next(&mut behind).await,
            event(3, EVERYTHING),
            "after {after}"
        );
    }
    let mut knows = watch(&replica.directory, Some(3)).await;
    assert_eq!(next(&mut knows).await, event(3, &[]));
    let mut from_now_on = watch(&replica.directory, None).await;
    assert_eq!(next(&mut from_now_on).await, event(3, &[]));
}

#[tokio::test]
async fn where_nothing_changes_a_watcher_is_told_so_within_ten_seconds() {
    let replica = replica(polls_every(1_000)).await;
    let mut watch = watch(&replica.directory, None).await;
    next(&mut watch).await;
    // Whether the store is there or not.
    replica.gate.down.store(true, Ordering::SeqCst);
    let start = tokio::time::Instant::now();
    assert_eq!(next(&mut watch).await, event(2, &[]));
    // What a busy machine takes to wake up.
    let at_most = Duration::from_secs(10) + Duration::from_secs(2);
    assert!(start.elapsed() <= at_most, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_watch_waits_for_the_first_look_at_the_store() {
    let gate = Gate::new(filled(&[import(ACCOUNTS)]).await);
    gate.down.store(true, Ordering::SeqCst);
    let store = Arc::clone(&gate);
    let matrix = Arc::new(built_in_matrix());
    let (directory, loader) = Directory::new(store, matrix, polls_every(10));
    let loader = tokio::spawn(loader);
    let watching = {
        let directory = directory.clone();
        tokio::spawn(async move { watch(&directory, Some(0)).await })
    };
    gate.applied().await;
    assert!(!watching.is_finished());
    gate.down.store(false, Ordering::SeqCst);
    let mut watch = within("the watch", watching).await.unwrap();
    assert_eq!(next(&mut watch).await, event(1, EVERYTHING));
    // And ends with the service.
    loader.abort();
    assert_eq!(within("the end", watch.next()).await, None);
}
