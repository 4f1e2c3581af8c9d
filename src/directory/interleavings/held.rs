//! A load that is held while a setting is revoked, ten thousand times, on a simulated clock.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::clock::Moment;
use crate::directory::Shared;
use crate::directory::mirror::Mirror;

use super::store::{ModelStore, Touches, account, state_of};
use super::{Keeping, shared};

const TIMES: u64 = 10_000;
const MILLISECOND: u64 = 1_000_000;
/// Milliseconds.
const POLL_INTERVAL: u64 = 1_000;
const STEP: u64 = 100;
const STEP_SIZE: usize = 100;

/// What the checks of all rounds came to.
#[derive(Debug, Default)]
struct Checks {
    /// Answers that a change was missing from which they were said to hold.
    stale: u64,
    answered: u64,
    /// Loads that came back after the revoke was applied.
    overtaken: u64,
}

/// A number that looks random, from one that does not.
fn scrambled(number: u64) -> u64 {
    let mut number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^= number >> 31;
    number = number.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 29)
}

/// A replica and its store, for all rounds.
struct Round {
    store: ModelStore,
    mirror: Mirror<AtomicU64>,
    shared: Arc<Shared<AtomicU64>>,
}

impl Round {
    fn poll(&mut self) {
        let sent = self.store.moment();
        let poll = self.store.poll(self.mirror.ledger.head());
        self.mirror.observe(&poll, sent);
    }

    /// A check from the cache, if there is something in it: what it says has to be what is true at
    /// its revision, and as new as its age says. Whether there was something in it.
    fn check(&mut self, checks: &mut Checks) -> bool {
        let view = self.shared.published.view();
        let Some(entry) = self.shared.caches.entry(&view, &account()) else {
            return false;
        };
        checks.answered += 1;
        let found = state_of(&entry, self.store.last_change());
        let truth = self.store.state(0, view.applied.revision());
        let now = Moment::from_nanos(self.store.advance(0)).unwrap();
        let stale_after = self.shared.config.stale_after;
        let is_fresh = view.age(now).is_some_and(|age| age <= stale_after);
        let since = self.store.advance(0).saturating_sub(nanos(stale_after));
        let is_behind = self.store.made_before(0, since) > Some(view.applied.revision());
        if truth != Some(found) || (is_fresh && is_behind) {
            checks.stale += 1;
        }
        true
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

/// One round: the load is held for 100 ms to 5 s, and in that time comes the revoke. Half of the
/// notifications are lost, so that the poll interval has to find it.
fn one(round: &mut Round, number: u64, keeping: Keeping, checks: &mut Checks) {
    let held = 100 + scrambled(number) % 4_900;
    let revoked = scrambled(number + TIMES) % held;
    let is_announced = scrambled(number + 2 * TIMES).is_multiple_of(2);
    let phase = scrambled(number + 3 * TIMES) % POLL_INTERVAL;
    let touches = [
        Touches::Account,
        Touches::Policy,
        Touches::Both,
        Touches::Everything,
    ];
    let touches = touches[usize::try_from(number % 4).unwrap()];

    // Nothing is cached at the beginning.
    round.shared.caches.clear();
    round.poll();
    let (read, entry) = round.store.load();
    let mut landed = false;
    // Step by step, until the poll after the load's end.
    let end = held + POLL_INTERVAL + 2 * STEP;
    for now in (0..end).step_by(STEP_SIZE) {
        round.store.advance(STEP * MILLISECOND);
        let passes = |instant: u64| (now..now + STEP).contains(&instant);
        if passes(revoked) {
            round.store.change(touches);
        }
        let is_time = (now + phase) % POLL_INTERVAL < STEP;
        if is_time || (is_announced && passes(revoked + STEP)) {
            round.poll();
        }
        if now >= held && !landed {
            checks.overtaken += u64::from(round.mirror.ledger.head() != Some(read.head));
            let kept = keeping.keep(&round.mirror, &round.shared, &read, &entry);
            // Ahead of the feed it cannot be: it was read before the revoke.
            landed = kept.is_some();
        }
        if !round.check(checks) && landed {
            // What a call does that finds nothing.
            let (read, entry) = round.store.load();
            let _ = keeping.keep(&round.mirror, &round.shared, &read, &entry);
        }
    }
    assert!(landed);
}

fn rounds(keeping: Keeping) -> Checks {
    let mut checks = Checks::default();
    let shared = shared();
    let mut round = Round {
        store: ModelStore::new(),
        mirror: Mirror::new(Arc::clone(&shared)),
        shared,
    };
    (0..TIMES).for_each(|number| one(&mut round, number, keeping, &mut checks));
    println!("{keeping:?}: {checks:?}");
    checks
}

#[test]
fn a_load_that_is_held_across_a_revoke_is_never_served_for_what_came_after_it() {
    let checks = rounds(Keeping::Ledger);
    assert_eq!(checks.stale, 0);
    assert!(
        checks.overtaken > TIMES / 2 && checks.answered > TIMES,
        "{checks:?}"
    );
}

#[test]
fn where_it_is_kept_without_a_look_at_the_ledger_it_is_served() {
    let checks = rounds(Keeping::Unlooked);
    assert!(checks.stale > TIMES, "{checks:?}");
}
