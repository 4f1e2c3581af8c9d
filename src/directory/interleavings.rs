//! The ledger, the caches and what is published of both, as they are: under every order in which a
//! writer, loads, the feed, evictions, a failover and readers may come, as far as one can try. Only
//! the store is a model, and the atomics are those of `shuttle`, which says who goes on at each step.
//!
//! What is promised: every change up to and including the revision of an answer is in it; an account
//! and its policy are of one state; whatever was committed before `fresh_at` is in the answer.
//!
//! A check that finds nothing is worth as much as what it would find: each of these also runs with a
//! load that is kept without a look at the ledger, and has to find that wrong.

mod held;
mod store;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex as StdMutex};

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::AtomicU64 as ShuttleU64;
use shuttle::sync::{Arc as ShuttleArc, Mutex};
use shuttle::{Config, Runner, thread};

use crate::clock::Moment;
use crate::domain::{FeatureMatrix, Revision};
use crate::store::{ChangedKeys, Poll, ReadAt};

use super::ledger::{Seen, Verdict, Vouched};
use super::mirror::Mirror;
use super::request::{Loaded, Standing};
use super::resolve::accept;
use super::view::{View, Word};
use super::{DirectoryConfig, Entry, Shared};

use store::{ModelStore, Touches, account, partner, state_of};

impl Word for ShuttleU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::SeqCst)
    }

    fn store(&self, number: u64) {
        self.store(number, Ordering::SeqCst);
    }
}

static MATRIX: LazyLock<Arc<FeatureMatrix>> =
    LazyLock::new(|| Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()));

fn shared<W: Word>() -> Arc<Shared<W>> {
    let small = DirectoryConfig {
        max_cached_accounts: 16,
        max_cached_partners: 16,
        max_cached_unknown: 16,
        ..DirectoryConfig::default()
    };
    Arc::new(Shared::new(small, Arc::clone(&MATRIX)))
}

/// How a load gets into the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// As the ledger says.
    Ledger,
    /// Whatever has happened since: invalidation alone keeps the caches true.
    Unlooked,
}

impl Keeping {
    /// Keeps a load; how it stands with those who joined it, unless it has to wait for the feed.
    fn keep<W: Word>(
        self,
        mirror: &Mirror<W>,
        shared: &Shared<W>,
        read: &ReadAt,
        entry: &Entry,
    ) -> Option<Standing> {
        match self {
            Self::Ledger => match mirror.keep(&[(account(), entry.clone())], read) {
                Verdict::Keep(kept) if kept.whole == [true] => {
                    Some(Standing::JoinedKept(kept.stamp))
                }
                Verdict::Keep(_) | Verdict::Discard => Some(Standing::JoinedDiscarded),
                Verdict::Wait => None,
            },
            Self::Unlooked => {
                let applied = mirror.ledger.applied();
                let stamp = applied.with_revision(read.head.revision);
                shared
                    .caches
                    .keep(&account(), entry, &Vouched::unlooked(stamp));
                Some(Standing::JoinedKept(stamp))
            }
        }
    }
}

/// A replica, its store, and what was found wrong.
struct World {
    store: Mutex<ModelStore>,
    mirror: Mutex<Mirror<ShuttleU64>>,
    shared: Arc<Shared<ShuttleU64>>,
    /// Which history each epoch follows.
    epochs: StdMutex<BTreeMap<u64, usize>>,
    keeping: Keeping,
    wrong: Arc<Found>,
}

/// What was found in all runs of one check.
#[derive(Debug, Default)]
struct Found {
    runs: AtomicUsize,
    wrong: AtomicUsize,
    first: StdMutex<Option<String>>,
    cached: AtomicUsize,
    loaded: AtomicUsize,
    joined: AtomicUsize,
    resets: AtomicUsize,
}

impl Found {
    fn wrong(&self, what: String) {
        self.wrong.fetch_add(1, Ordering::SeqCst);
        self.first.lock().unwrap().get_or_insert(what);
    }
}

fn count(of: &AtomicUsize) {
    of.fetch_add(1, Ordering::SeqCst);
}

impl World {
    fn new(keeping: Keeping, wrong: &Arc<Found>) -> ShuttleArc<Self> {
        count(&wrong.runs);
        let shared = shared();
        let world = Self {
            store: Mutex::new(ModelStore::new()),
            mirror: Mutex::new(Mirror::new(Arc::clone(&shared))),
            shared,
            epochs: StdMutex::default(),
            keeping,
            wrong: Arc::clone(wrong),
        };
        // What comes before is no service yet.
        world.poll();
        ShuttleArc::new(world)
    }

    /// One look of the feed at the store.
    fn poll(&self) {
        let sent = self.store.lock().unwrap().moment();
        let seen = self.mirror.lock().unwrap().ledger.head();
        let (poll, history) = {
            let mut store = self.store.lock().unwrap();
            (store.poll(seen), store.history())
        };
        let mut mirror = self.mirror.lock().unwrap();
        self.note(&mirror, &poll, history);
        if mirror.observe(&poll, sent) == Seen::Reset {
            count(&self.wrong.resets);
        }
    }

    /// Notes which history what is published next is of, before readers see it: that of the poll.
    /// Where the poll has the change that is applied, the two are one history up to there.
    fn note(&self, mirror: &Mirror<ShuttleU64>, poll: &Poll, history: usize) {
        let (applied, head) = (mirror.ledger.applied(), mirror.ledger.head());
        let is_followed = head.is_some_and(|head| poll.seen == Some(head.change));
        let epoch = applied.epoch() + u64::from(!is_followed);
        self.epochs.lock().unwrap().insert(epoch, history);
    }

    /// A load that somebody joins who has read what is applied meanwhile.
    fn load(&self) {
        let (read, entry) = self.store.lock().unwrap().load();
        let view = self.shared.published.view();
        for _ in 0..4 {
            let standing = {
                let mirror = self.mirror.lock().unwrap();
                self.keeping.keep(&mirror, &self.shared, &read, &entry)
            };
            if let Some(standing) = standing {
                return self.answer(&view, &loaded(read, entry, standing));
            }
            thread::yield_now();
        }
    }

    /// A call: from the caches, or from a load of its own.
    fn read(&self) {
        let view = self.shared.published.view();
        self.check_fresh(&view);
        if let Some(entry) = self.shared.caches.entry(&view, &account()) {
            count(&self.wrong.cached);
            return self.check_history(&view, view.applied.revision(), &entry, "cached");
        }
        let (read, entry) = self.store.lock().unwrap().load();
        let own = loaded(read, entry.clone(), Standing::Own);
        self.answer(&view, &own);
        let mirror = self.mirror.lock().unwrap();
        self.keeping.keep(&mirror, &self.shared, &read, &entry);
    }

    /// What a call makes of a load.
    fn answer(&self, view: &View, loaded: &Loaded) {
        let Some(revision) = accept(view, loaded) else {
            return;
        };
        if loaded.standing == Standing::Own {
            count(&self.wrong.loaded);
            // One snapshot, of the present whatever is applied.
            let store = self.store.lock().unwrap();
            let found = state_of(&loaded.entry, store.last_change());
            let mut histories = 0..=store.history();
            if !histories.any(|history| store.state(history, revision) == Some(found)) {
                self.wrong.wrong(format!("loaded {found:?} at {revision}"));
            }
        } else {
            count(&self.wrong.joined);
            self.check_history(view, revision, &loaded.entry, "joined");
        }
    }

    /// That an answer is what was true at its revision, in the history that the view is of.
    fn check_history(&self, view: &View, revision: Revision, entry: &Entry, how: &str) {
        let store = self.store.lock().unwrap();
        let history = self.epochs.lock().unwrap()[&view.applied.epoch()];
        let found = state_of(entry, store.last_change());
        let truth = store.state(history, revision);
        if truth != Some(found) {
            self.wrong.wrong(format!(
                "{how} {found:?} for {truth:?} at {revision}, {view:?}"
            ));
        }
    }

    /// That whatever was committed before `fresh_at` is applied.
    fn check_fresh(&self, view: &View) {
        let Some(fresh_at) = view.fresh_at else {
            return;
        };
        let history = self.epochs.lock().unwrap()[&view.applied.epoch()];
        let before = self
            .store
            .lock()
            .unwrap()
            .made_before(history, fresh_at.to_nanos());
        if before.is_none_or(|before| before > view.applied.revision()) {
            self.wrong
                .wrong(format!("{before:?} was made before {view:?}"));
        }
    }

    fn evict(&self, keys: &ChangedKeys) {
        self.shared.caches.forget(keys);
    }
}

fn loaded(read: ReadAt, entry: Entry, standing: Standing) -> Loaded {
    Loaded {
        entry,
        read,
        sent: Moment::from_nanos(1).unwrap(),
        standing,
    }
}

/// Two changes and more, a failover, two loads, a feed whose polls come when they come, evictions of
/// one half, and two readers.
fn crowd(keeping: Keeping, found: &Arc<Found>) {
    let world = World::new(keeping, found);
    let spawn = |work: fn(&World)| {
        let world = ShuttleArc::clone(&world);
        thread::spawn(move || work(&world))
    };
    let threads = [
        spawn(|world| {
            for touches in [Touches::Both, Touches::Account] {
                world.store.lock().unwrap().change(touches);
            }
            world.store.lock().unwrap().fail_over(1);
            for touches in [Touches::Policy, Touches::Everything] {
                world.store.lock().unwrap().change(touches);
            }
        }),
        spawn(World::load),
        spawn(World::load),
        spawn(|world| (0..4).for_each(|_| world.poll())),
        spawn(|world| {
            for (accounts, partners) in [(Some(account()), None), (None, Some(partner()))] {
                world.evict(&ChangedKeys::Named {
                    accounts: accounts.into_iter().collect(),
                    partners: partners.into_iter().collect(),
                    catalog: false,
                });
                thread::yield_now();
            }
        }),
        spawn(|world| (0..4).for_each(|_| world.read())),
        spawn(|world| (0..4).for_each(|_| world.read())),
    ];
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// One change, a load, the feed and a reader: few enough to go through their orders one by one.
fn few(keeping: Keeping, found: &Arc<Found>) {
    let world = World::new(keeping, found);
    // Read before the change, and on its way.
    let (read, entry) = world.store.lock().unwrap().load();
    world.store.lock().unwrap().change(Touches::Both);
    let sent = world.store.lock().unwrap().moment();
    let seen = world.mirror.lock().unwrap().ledger.head();
    let poll = world.store.lock().unwrap().poll(seen);
    let feed = {
        let world = ShuttleArc::clone(&world);
        thread::spawn(move || {
            world.mirror.lock().unwrap().observe(&poll, sent);
        })
    };
    let load = {
        let world = ShuttleArc::clone(&world);
        thread::spawn(move || {
            let mirror = world.mirror.lock().unwrap();
            world.keeping.keep(&mirror, &world.shared, &read, &entry);
        })
    };
    let view = world.shared.published.view();
    // A step at which others may go on between the look at what is applied and that at the caches.
    thread::yield_now();
    world.check_fresh(&view);
    if let Some(entry) = world.shared.caches.entry(&view, &account()) {
        count(&world.wrong.cached);
        world.check_history(&view, view.applied.revision(), &entry, "cached");
    }
    feed.join().unwrap();
    load.join().unwrap();
}

/// How many orders of the few are gone through.
const ORDERS: usize = 1_000;

type Run = fn(Keeping, &Arc<Found>);

/// Runs under orders chosen at random, and under such as have few switches at the places that matter.
fn in_any_order(runs: usize, keeping: Keeping, run: Run) -> Arc<Found> {
    let found = Arc::new(Found::default());
    under(RandomScheduler::new(runs / 2), keeping, run, &found);
    under(PctScheduler::new(4, runs / 2), keeping, run, &found);
    found
}

/// Runs under one order after another, as far as `most` of them go.
fn in_order(most: usize, keeping: Keeping, run: Run) -> Arc<Found> {
    let found = Arc::new(Found::default());
    under(DfsScheduler::new(Some(most), false), keeping, run, &found);
    found
}

fn under(scheduler: impl Scheduler + 'static, keeping: Keeping, run: Run, found: &Arc<Found>) {
    let mut config = Config::new();
    // A cache needs more than a thread of the checker has by default.
    config.stack_size = 1 << 18;
    let found = Arc::clone(found);
    Runner::new(scheduler, config).run(move || run(keeping, &found));
}

#[test]
fn the_promise_holds_in_whatever_order_things_happen() {
    let found = in_any_order(1_000, Keeping::Ledger, crowd);
    println!("{found:?}");
    assert_eq!(found.wrong.load(Ordering::SeqCst), 0, "{found:?}");
    // And is not held by answering nothing. Each run begins with a reset; more come of failovers.
    for of in [&found.cached, &found.loaded, &found.joined] {
        assert!(of.load(Ordering::SeqCst) > 100, "{found:?}");
    }
    let resets = found.resets.load(Ordering::SeqCst);
    assert!(resets > found.runs.load(Ordering::SeqCst), "{found:?}");
}

#[test]
fn without_a_look_at_the_ledger_it_does_not_hold() {
    let found = in_any_order(400, Keeping::Unlooked, crowd);
    println!("{found:?}");
    assert!(found.wrong.load(Ordering::SeqCst) > 0, "{found:?}");
}

#[test]
fn the_promise_holds_in_the_orders_of_a_change_a_load_and_a_reader() {
    let found = in_order(ORDERS, Keeping::Ledger, few);
    println!("{found:?}");
    assert_eq!(found.wrong.load(Ordering::SeqCst), 0, "{found:?}");
    assert!(found.cached.load(Ordering::SeqCst) > 0, "{found:?}");

    // The first orders differ in their last steps alone.
    let found = in_any_order(ORDERS, Keeping::Ledger, few);
    assert_eq!(found.wrong.load(Ordering::SeqCst), 0, "{found:?}");
    let found = in_any_order(ORDERS, Keeping::Unlooked, few);
    assert!(found.wrong.load(Ordering::SeqCst) > 0, "{found:?}");
}
