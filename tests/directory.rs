//! The promises of the directory, over a store that can be held, swapped and taken down.

#![cfg(test)]

#[path = "directory/keys.rs"]
mod keys;
#[path = "directory/overload.rs"]
mod overload;
mod support;
#[path = "directory/watch.rs"]
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis::datafile;
use portcullis::directory::{Consistency, Directory, DirectoryConfig, DirectoryError, Entry};
use portcullis::domain::{AccountId, Revision, Setting};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{Import, Store};
use support::gate::{Asked, Gate};
use support::server::built_in_matrix;

const ACCOUNTS: &str = "
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
locations:
  - { id: syd, name: Sydney, metro: Sydney, country: AU, market: AU }
accounts:
  - { id: p, kind: partner }
  - { id: m, kind: managed, partner: p, support: partner }
  - { id: n, kind: managed, partner: p, support: partner }
";

fn import(data: &str) -> Import {
    datafile::parse(data, &built_in_matrix()).unwrap().0
}

/// One change that says the same thing twice: of the account, and of its partner.
fn both(setting: &str) -> Import {
    import(&format!(
        "policies:\n  - partner: p\n    settings: {{ pricing.view: {setting} }}\n    accounts: {{ m: {{ pricing.view: {setting} }} }}\n"
    ))
}

async fn filled(imports: &[Import]) -> MemoryStore {
    let store = MemoryStore::default();
    for import in imports {
        store.import(import, &|_| {}).await.unwrap();
    }
    store
}

struct Replica {
    directory: Directory,
    gate: Arc<Gate>,
}

/// A replica that has seen the store, and polls only as often as told.
async fn replica(config: DirectoryConfig) -> Replica {
    let gate = Gate::new(filled(&[import(ACCOUNTS), both("on")]).await);
    replica_over(gate, config).await
}

async fn replica_over(gate: Arc<Gate>, config: DirectoryConfig) -> Replica {
    let store: Arc<dyn Store> = Arc::clone(&gate) as Arc<dyn Store>;
    let (directory, loader) = Directory::new(store, Arc::new(built_in_matrix()), config);
    tokio::spawn(loader);
    let replica = Replica { directory, gate };
    replica.at_least(2).await;
    replica
}

fn polls_every(milliseconds: u64) -> DirectoryConfig {
    DirectoryConfig {
        poll_interval: Duration::from_millis(milliseconds),
        ..DirectoryConfig::default()
    }
}

fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

/// What a managed account's own setting and its partner's are for prices.
fn settings(directory: &Directory, entry: &Entry) -> (Option<Setting>, Option<Setting>) {
    let pricing = directory.matrix().well_known().pricing;
    match entry {
        Entry::Known {
            profile,
            policy: Some(policy),
        } => (profile.settings.of(pricing), policy.settings.of(pricing)),
        other @ (Entry::Known { policy: None, .. } | Entry::Unknown | Entry::Inconsistent) => {
            panic!("not a managed account: {other:?}")
        }
    }
}

impl Replica {
    async fn at_least(&self, revision: u64) {
        let resolved = self
            .directory
            .resolve(&[], Consistency::AtLeast(Revision(revision)))
            .await
            .unwrap();
        assert!(resolved.revision >= Revision(revision));
    }

    /// Makes a change.
    async fn change(&self, change: &Import) {
        self.gate.inner().import(change, &|_| {}).await.unwrap();
    }

    async fn resolve(&self, account: &str) -> Result<(Entry, Revision, bool), DirectoryError> {
        let resolved = self
            .directory
            .resolve(&[id(account)], Consistency::Fastest)
            .await?;
        let [entry] = <[Entry; 1]>::try_from(resolved.value).unwrap();
        Ok((entry, resolved.revision, resolved.stale))
    }

    async fn pricing_of_m(&self) -> (Option<Setting>, Option<Setting>) {
        settings(&self.directory, &self.resolve("m").await.unwrap().0)
    }

    fn spawn_resolve(
        &self,
        account: &str,
    ) -> tokio::task::JoinHandle<Result<(Entry, Revision, bool), DirectoryError>> {
        let replica = Self {
            directory: self.directory.clone(),
            gate: Arc::clone(&self.gate),
        };
        let account = account.to_owned();
        tokio::spawn(async move { replica.resolve(&account).await })
    }
}

#[tokio::test]
async fn ten_thousand_concurrent_misses_of_one_account_are_one_load() {
    let replica = replica(polls_every(60_000)).await;
    let held = replica.gate.hold.write().await;
    let calls: Vec<_> = (0..10_000).map(|_| replica.spawn_resolve("m")).collect();
    replica.gate.until(|asked| asked.loads == 1).await;
    drop(held);
    for call in calls {
        assert!(matches!(
            call.await.unwrap().unwrap().0,
            Entry::Known { .. }
        ));
    }
    assert_eq!(
        (replica.gate.asked().loads, replica.gate.asked().accounts),
        (1, 1)
    );
}

#[tokio::test]
async fn misses_that_arrive_while_loads_are_under_way_travel_together() {
    let replica = replica(DirectoryConfig {
        max_loads: 1,
        ..polls_every(60_000)
    })
    .await;
    let held = replica.gate.hold.write().await;
    let first = replica.spawn_resolve("m");
    replica.gate.until(|asked| asked.loads == 1).await;
    let rest: Vec<_> = (0..500)
        .map(|i| replica.spawn_resolve(&format!("x{i}")))
        .collect();
    // Each sends its miss when it first runs: on this one thread, before the test goes on.
    tokio::task::yield_now().await;
    drop(held);
    assert!(first.await.unwrap().is_ok());
    for call in rest {
        assert!(matches!(call.await.unwrap().unwrap().0, Entry::Unknown));
    }
    assert_eq!(
        (replica.gate.asked().loads, replica.gate.asked().accounts),
        (2, 501)
    );
}

#[tokio::test]
async fn what_was_loaded_is_cached_and_so_is_that_an_account_is_unknown() {
    let replica = replica(polls_every(60_000)).await;
    for _ in 0..3 {
        assert!(matches!(
            replica.resolve("m").await.unwrap().0,
            Entry::Known { .. }
        ));
        assert!(matches!(
            replica.resolve("nobody").await.unwrap().0,
            Entry::Unknown
        ));
    }
    assert_eq!(replica.gate.asked().loads, 2);
}

#[tokio::test]
async fn errors_are_never_cached() {
    let replica = replica(polls_every(60_000)).await;
    replica.gate.down.store(true, Ordering::SeqCst);
    assert!(matches!(
        replica.resolve("m").await,
        Err(DirectoryError::Unavailable(_))
    ));
    replica.gate.down.store(false, Ordering::SeqCst);
    assert!(replica.resolve("m").await.is_ok());
}

#[tokio::test]
async fn a_load_that_a_change_overtook_is_not_kept_and_not_joined() {
    let replica = replica(polls_every(10)).await;
    let held = replica.gate.hold.write().await;
    let before = replica.spawn_resolve("m");
    replica.gate.until(|asked| asked.loads == 1).await;
    replica
        .gate
        .inner()
        .import(&both("off"), &|_| {})
        .await
        .unwrap();
    replica.gate.applied().await;
    let after = replica.spawn_resolve("m");
    tokio::task::yield_now().await;
    drop(held);

    // Who asked before the change may have the state before it, and says so.
    let (entry, revision, _) = before.await.unwrap().unwrap();
    assert_eq!(
        (settings(&replica.directory, &entry), revision),
        ((Some(Setting::On), Some(Setting::On)), Revision(2))
    );
    // Who asked after it was applied joined that load, and has to have begun again.
    let (entry, revision, _) = after.await.unwrap().unwrap();
    assert_eq!(
        (settings(&replica.directory, &entry), revision),
        ((Some(Setting::Off), Some(Setting::Off)), Revision(3))
    );
    // And nothing of the old state was kept.
    assert_eq!(
        replica.pricing_of_m().await,
        (Some(Setting::Off), Some(Setting::Off))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_and_its_policy_are_never_of_two_states() {
    // One entry of each kind, so that halves of the state are evicted all the time.
    let config = DirectoryConfig {
        max_cached_accounts: 1,
        max_cached_partners: 1,
        ..polls_every(1)
    };
    let replica = Arc::new(replica(config).await);
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let replica = Arc::clone(&replica);
            tokio::spawn(async move {
                let mut last = Revision(0);
                for round in 0..2_000 {
                    if (round + reader) % 3 == 0 {
                        let _ = replica.resolve("n").await;
                    }
                    let (entry, revision, _) = replica.resolve("m").await.unwrap();
                    let (own, partner) = settings(&replica.directory, &entry);
                    assert_eq!(own, partner, "at revision {revision}");
                    // Revision 2 says on, and each change says the other.
                    assert_eq!(
                        own == Some(Setting::On),
                        revision.0 % 2 == 0,
                        "at revision {revision}"
                    );
                    assert!(revision >= last, "went back from {last} to {revision}");
                    last = revision;
                }
            })
        })
        .collect();
    let mut changes = 0;
    while !readers.iter().all(tokio::task::JoinHandle::is_finished) {
        let setting = if changes % 2 == 0 { "off" } else { "on" };
        replica
            .gate
            .inner()
            .import(&both(setting), &|_| {})
            .await
            .unwrap();
        changes += 1;
        replica.gate.applied().await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(changes > 5, "only {changes} changes came in between");
}

#[tokio::test]
async fn a_caller_reads_its_own_writes() {
    let replica = replica(polls_every(60_000)).await;
    assert_eq!(replica.pricing_of_m().await.0, Some(Setting::On));
    let made = replica
        .gate
        .inner()
        .import(&both("off"), &|_| {})
        .await
        .unwrap()
        .revision;
    // No poll came since: the cache answers, within its bound.
    assert_eq!(replica.pricing_of_m().await.0, Some(Setting::On));

    let full = replica
        .directory
        .resolve(&[id("m")], Consistency::Full)
        .await
        .unwrap();
    assert_eq!(
        settings(&replica.directory, &full.value[0]).0,
        Some(Setting::Off)
    );
    assert_eq!(full.revision, made);

    let own = replica
        .directory
        .resolve(&[id("m")], Consistency::AtLeast(made))
        .await
        .unwrap();
    assert_eq!(
        settings(&replica.directory, &own.value[0]).0,
        Some(Setting::Off)
    );
    assert_eq!(replica.pricing_of_m().await.0, Some(Setting::Off));
}

#[tokio::test]
async fn a_revision_that_was_never_made_is_told_apart_from_an_outage() {
    let replica = replica(polls_every(60_000)).await;
    let future = Consistency::AtLeast(Revision(99));
    let error = replica
        .directory
        .resolve(&[id("m")], future)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        DirectoryError::RevisionUnknown(Revision(99))
    ));
    replica.gate.down.store(true, Ordering::SeqCst);
    let error = replica
        .directory
        .resolve(&[id("m")], future)
        .await
        .unwrap_err();
    assert!(matches!(error, DirectoryError::Unavailable(_)));
}

#[tokio::test]
async fn an_outage_costs_cached_accounts_nothing_until_max_stale() {
    let config = DirectoryConfig {
        stale_after: Duration::from_millis(200),
        max_stale: Duration::from_millis(800),
        ..polls_every(20)
    };
    let replica = replica(config).await;
    assert!(!replica.resolve("m").await.unwrap().2);
    replica.gate.down.store(true, Ordering::SeqCst);

    let mut stale = 0;
    let error = loop {
        match replica.resolve("m").await {
            Ok((_, _, true)) => stale += 1,
            Ok((_, _, false)) => assert_eq!(stale, 0, "fresh again in an outage"),
            Err(error) => break error,
        }
        // A poll fails each 20 ms: an event to wait for.
        let polls = replica.gate.asked().polls;
        replica.gate.until(|asked| asked.polls > polls).await;
    };
    assert!(matches!(error, DirectoryError::Unavailable(_)));
    assert!(stale > 0, "never said to be stale");
    assert!(!replica.directory.status().within_max_stale);

    replica.gate.down.store(false, Ordering::SeqCst);
    replica.gate.applied().await;
    let (_, _, stale) = replica.resolve("m").await.unwrap();
    assert!(!stale, "not fresh again by itself");
    assert!(replica.directory.status().trouble.is_none());
}

#[tokio::test]
async fn a_history_that_was_replaced_is_noticed_though_its_numbers_look_alike() {
    let replica = replica(polls_every(10)).await;
    assert_eq!(replica.pricing_of_m().await.0, Some(Setting::On));
    // The same revision number, another content: a standby that was promoted without the last write.
    replica
        .gate
        .swap(filled(&[import(ACCOUNTS), both("off")]).await);
    replica.gate.applied().await;
    assert_eq!(
        replica.pricing_of_m().await,
        (Some(Setting::Off), Some(Setting::Off))
    );
    // And one whose number is lower.
    replica.gate.swap(filled(&[import(ACCOUNTS)]).await);
    replica.gate.applied().await;
    let (entry, revision, _) = replica.resolve("m").await.unwrap();
    assert_eq!(
        (settings(&replica.directory, &entry), revision),
        ((None, None), Revision(1))
    );
}

#[tokio::test]
async fn a_standby_confirms_nothing() {
    let config = DirectoryConfig {
        stale_after: Duration::from_millis(100),
        ..polls_every(10)
    };
    let replica = replica(config).await;
    assert!(!replica.resolve("m").await.unwrap().2);
    replica.gate.standby.store(true, Ordering::SeqCst);
    let full = replica
        .directory
        .resolve(&[id("m")], Consistency::Full)
        .await;
    assert!(matches!(full, Err(DirectoryError::Unavailable(_))));
    let stale = async {
        while !replica.resolve("m").await.unwrap().2 {
            replica.gate.applied().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stale)
        .await
        .expect("a standby kept the cache fresh");
    // A load from it is as old as the feed, too.
    assert!(replica.resolve("n").await.unwrap().2);
}

#[tokio::test]
async fn a_standby_that_is_behind_undoes_nothing() {
    let config = DirectoryConfig {
        stale_after: Duration::from_millis(200),
        max_stale: Duration::from_millis(800),
        ..polls_every(10)
    };
    let replica = replica(config).await;
    replica
        .gate
        .inner()
        .import(&both("off"), &|_| {})
        .await
        .unwrap();
    replica.at_least(3).await;
    assert_eq!(replica.pricing_of_m().await.0, Some(Setting::Off));

    // The primary goes, and a standby answers that has not received the last change.
    replica
        .gate
        .swap(filled(&[import(ACCOUNTS), both("on")]).await);
    replica.gate.standby.store(true, Ordering::SeqCst);
    let mut was_stale = false;
    let error = loop {
        match replica.resolve("m").await {
            Ok((entry, revision, stale)) => {
                let (own, partner) = settings(&replica.directory, &entry);
                assert_eq!((own, partner), (Some(Setting::Off), Some(Setting::Off)));
                assert_eq!(revision, Revision(3));
                was_stale |= stale;
            }
            Err(error) => break error,
        }
        // What only the standby could tell is not told.
        let other = replica.resolve("n").await;
        assert!(matches!(other, Err(DirectoryError::Unavailable(_))));
    };
    assert!(was_stale && matches!(error, DirectoryError::Unavailable(_)));
}

#[tokio::test]
async fn a_server_that_is_behind_is_refused_and_replaced() {
    for consistency in [Consistency::Fastest, Consistency::Full] {
        let replica = replica(polls_every(60_000)).await;
        replica
            .gate
            .inner()
            .import(&both("off"), &|_| {})
            .await
            .unwrap();
        replica.at_least(3).await;
        replica
            .gate
            .lag(filled(&[import(ACCOUNTS), both("on")]).await);
        let resolved = replica
            .directory
            .resolve(&[id("m")], consistency)
            .await
            .unwrap();
        let (own, _) = settings(&replica.directory, &resolved.value[0]);
        assert_eq!((own, resolved.revision), (Some(Setting::Off), Revision(3)));
    }
}

#[tokio::test]
async fn the_catalogue_is_loaded_once_until_it_changes() {
    let replica = replica(polls_every(10)).await;
    let catalog = |consistency| {
        let directory = replica.directory.clone();
        async move {
            let resolved = directory
                .resolve_with_catalog(&id("m"), consistency)
                .await
                .unwrap();
            (
                resolved.value.1.unwrap().markets().iter().count(),
                resolved.revision,
            )
        }
    };
    assert_eq!(catalog(Consistency::Fastest).await, (1, Revision(2)));
    replica
        .gate
        .inner()
        .import(&both("off"), &|_| {})
        .await
        .unwrap();
    replica.gate.applied().await;
    assert_eq!(catalog(Consistency::Fastest).await, (1, Revision(3)));
    assert_eq!(catalog(Consistency::Full).await, (1, Revision(3)));
    assert_eq!(
        replica.gate.asked().catalogs,
        1,
        "a change of policy loaded the catalogue again"
    );

    let markets = import("billing_markets:\n  - { code: NZ, name: New Zealand, currency: NZD }\n");
    replica
        .gate
        .inner()
        .import(&markets, &|_| {})
        .await
        .unwrap();
    assert_eq!(catalog(Consistency::Full).await, (2, Revision(4)));
    assert_eq!(catalog(Consistency::Fastest).await, (2, Revision(4)));
    assert_eq!(replica.gate.asked().catalogs, 2);
}

#[tokio::test]
async fn caches_are_bounded() {
    let config = DirectoryConfig {
        max_cached_unknown: 100,
        ..polls_every(60_000)
    };
    let replica = replica(config).await;
    replica.resolve("m").await.unwrap();
    let flood: Vec<_> = (0..5_000).map(|i| id(&format!("x{i}"))).collect();
    replica
        .directory
        .resolve(&flood, Consistency::Fastest)
        .await
        .unwrap();
    let Asked { loads, .. } = replica.gate.asked();
    replica.resolve("m").await.unwrap();
    assert_eq!(
        replica.gate.asked().loads,
        loads,
        "a flood of unknown accounts evicted a known one"
    );
    replica
        .directory
        .resolve(&flood, Consistency::Fastest)
        .await
        .unwrap();
    assert!(
        replica.gate.asked().accounts > 9_000,
        "more unknown accounts were remembered than the bound"
    );
}
