//! What may wait for the store is bounded, and nobody waits behind one who wants much.

use std::sync::Arc;

use portcullis::directory::{Consistency, DirectoryConfig, DirectoryError, Entry};
use portcullis::domain::{AccountId, Revision};
use tokio::task::JoinHandle;

use super::support::within;
use super::{Replica, id, polls_every, replica};

type Outcome = Result<Vec<Entry>, DirectoryError>;

impl Replica {
    fn spawn(&self, ids: Vec<AccountId>, consistency: Consistency) -> JoinHandle<Outcome> {
        let directory = self.directory.clone();
        tokio::spawn(async move {
            let resolved = directory.resolve(&ids, consistency).await?;
            Ok(resolved.value)
        })
    }

    /// Calls for accounts that nobody has asked for yet.
    fn spawn_misses(&self, call: &str, accounts: usize) -> JoinHandle<Outcome> {
        let ids = (0..accounts).map(|i| id(&format!("{call}-{i}"))).collect();
        self.spawn(ids, Consistency::Fastest)
    }
}

fn is_overloaded<T>(outcome: &Result<T, DirectoryError>) -> bool {
    matches!(outcome, Err(DirectoryError::Overloaded(_)))
}

async fn bounded(max_waiting: usize, max_alone: usize) -> Replica {
    replica(DirectoryConfig {
        max_loads: 1,
        max_waiting,
        max_alone,
        ..polls_every(60_000)
    })
    .await
}

#[tokio::test]
async fn a_single_miss_is_on_the_next_load_whatever_waits_before_it() {
    let replica = bounded(100_000, 64).await;
    let mut held = replica.gate.hold.write().await;
    let first = replica.spawn_misses("first", 1);
    replica.gate.until(|asked| asked.loads == 1).await;
    let flood: Vec<_> = (0..50)
        .map(|call| replica.spawn_misses(&format!("flood{call}"), 1_000))
        .collect();
    let legitimate = replica.spawn_resolve("m");
    tokio::task::yield_now().await;
    // One load after the other: whoever waits for the lock gets it in turn.
    for sent in [2, 3] {
        let release = async { drop(held) };
        (held, ()) = tokio::join!(replica.gate.hold.write(), release);
        replica.gate.until(|asked| asked.loads == sent).await;
    }
    let (entry, ..) = within("the second load", legitimate)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(entry, Entry::Known { .. }));
    assert!(flood.iter().all(|call| !call.is_finished()));
    drop(held);
    within("the first load", first).await.unwrap().unwrap();
    for call in flood {
        let entries = within("the flood", call).await.unwrap().unwrap();
        assert_eq!(entries.len(), 1_000);
    }
    assert_eq!(replica.gate.asked().accounts, 1 + 50_000 + 1);
}

#[tokio::test]
async fn more_than_may_wait_is_refused_at_once_and_cached_accounts_are_not() {
    let replica = bounded(1_000, 64).await;
    replica.resolve("m").await.unwrap();
    let held = replica.gate.hold.write().await;
    let loads = replica.gate.asked().loads;
    let waiting = replica.spawn_misses("waiting", 999);
    replica.gate.until(|asked| asked.loads == loads + 1).await;
    // Two calls for one account wait twice, and one that waits for what is under way waits too.
    let joined = replica.spawn(vec![id("waiting-0")], Consistency::Fastest);
    tokio::task::yield_now().await;
    let refused = within("a refusal", replica.resolve("n")).await;
    assert!(is_overloaded(&refused), "{refused:?}");
    assert!(replica.resolve("m").await.is_ok());

    // A caller that leaves is no longer waited for, but its load is under way still.
    joined.abort();
    waiting.abort();
    assert!(waiting.await.is_err());
    let refused = within("a refusal", replica.resolve("n")).await;
    assert!(is_overloaded(&refused), "{refused:?}");
    drop(held);
    let mut answered = replica.resolve("n").await;
    while is_overloaded(&answered) {
        tokio::task::yield_now().await;
        answered = replica.resolve("n").await;
    }
    assert!(answered.is_ok(), "{answered:?}");
    // All places are free again, and no call has more than there are.
    let all = replica.spawn_misses("all", 1_000);
    assert!(within("all of them", all).await.unwrap().is_ok());
    let more = replica.spawn_misses("more", 1_001);
    assert!(is_overloaded(&within("a refusal", more).await.unwrap()));
}

#[tokio::test]
async fn calls_that_read_alone_are_refused_beyond_a_bound() {
    let replica = Arc::new(bounded(1_000, 3).await);
    let held = replica.gate.hold.write().await;
    let loads = replica.gate.asked().loads;
    // A revision that this replica has not seen is read for alone as well.
    let kinds = [
        Consistency::Full,
        Consistency::Full,
        Consistency::AtLeast(Revision(99)),
    ];
    let alone = kinds.map(|consistency| replica.spawn(vec![id("m")], consistency));
    replica.gate.until(|asked| asked.loads == loads + 3).await;
    for consistency in kinds {
        let refused = replica.spawn(vec![id("m")], consistency);
        let refused = within("a refusal", refused).await.unwrap();
        assert!(is_overloaded(&refused), "{consistency:?}: {refused:?}");
    }
    assert_eq!(replica.gate.asked().loads, loads + 3);
    // Those that leave do not make room: their reads are under way still.
    for call in &alone {
        call.abort();
    }
    for call in alone {
        assert!(within("the call", call).await.is_err());
    }
    let refused = replica.spawn(vec![id("m")], Consistency::Full);
    assert!(is_overloaded(&refused.await.unwrap()));
    drop(held);
    let mut answered = replica.spawn(vec![id("m")], Consistency::Full).await;
    while answered.as_ref().is_ok_and(is_overloaded) {
        answered = replica.spawn(vec![id("m")], Consistency::Full).await;
    }
    assert!(answered.unwrap().is_ok());
}
