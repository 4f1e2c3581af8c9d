//! What the loader publishes: the revision that the caches are true at, and since when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

use super::stamp::Stamp;

/// A number that one task writes and all read. It stands here so that a checker of interleavings can
/// put its own in the place of the standard library's.
pub(super) trait Word: Default + Send + Sync {
    fn load(&self) -> u64;
    fn store(&self, number: u64);
}

impl Word for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn store(&self, number: u64) {
        self.store(number, Ordering::Release);
    }
}

/// Written by the loader alone.
#[derive(Debug, Default)]
pub(super) struct Published<W: Word = AtomicU64> {
    /// What the feed has applied: the caches hold nothing that a change up to it made wrong.
    applied: W,
    /// Entries loaded before it are no longer true.
    floor: W,
    /// The instant before the last poll was sent whose revision is applied; zero where there is none.
    fresh_at: W,
    /// The same for operators, who want to know it after a reset too.
    confirmed: AtomicU64,
}

/// What a call read before it looked at any entry.
///
/// INVARIANT(one-V): everything in one answer is valid at one `applied`.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) fresh_at: Option<Moment>,
    pub(super) applied: Stamp,
    pub(super) floor: Stamp,
}

impl<W: Word> Published<W> {
    /// Reads in the order that makes the reading safe: `fresh_at` is never later than `applied`
    /// allows, and `floor` never older. That nothing is confirmed any more is seen with the reset
    /// that made it so: hence the second look.
    pub(super) fn view(&self) -> View {
        let fresh_at = Moment::from_nanos(self.fresh_at.load());
        let applied = Stamp(self.applied.load());
        let floor = Stamp(self.floor.load());
        let still = Moment::from_nanos(self.fresh_at.load());
        View {
            fresh_at: fresh_at.filter(|_| still.is_some()),
            applied,
            floor,
        }
    }

    /// INVARIANT(gone-before-published): what a change made wrong is gone from the caches, or below
    /// `floor`, before `applied` says that the change was applied.
    pub(super) fn raise(&self, floor: Stamp, applied: Stamp) {
        self.floor.store(floor.0);
        self.applied.store(applied.0);
    }

    /// Says that nothing is confirmed, before [`Published::raise`] says to what the history was
    /// reset: a confirmation of the history before is none of this one.
    pub(super) fn doubt(&self) {
        self.fresh_at.store(0);
    }

    /// INVARIANT(sent-instant): `sent` is the instant before the poll was sent, not when its answer
    /// came: a commit in between would be missing.
    pub(super) fn confirm(&self, sent: Moment) {
        self.fresh_at.store(sent.to_nanos());
        self.confirmed.store(sent.to_nanos(), Ordering::Relaxed);
    }

    /// The instant before the last poll was sent that confirmed anything.
    pub(super) fn confirmed(&self) -> Option<Moment> {
        Moment::from_nanos(self.confirmed.load(Ordering::Relaxed))
    }
}

impl View {
    /// Whether an entry that was loaded at `loaded_at` is true at this view.
    ///
    /// INVARIANT(kept-is-unchanged): an entry is unchanged between its `loaded_at` and `applied`,
    /// or it is gone or below `floor`.
    pub(super) fn accepts(&self, loaded_at: Stamp) -> bool {
        self.floor <= loaded_at && loaded_at <= self.applied
    }

    pub(super) fn age(&self, now: Moment) -> Option<Duration> {
        self.fresh_at.map(|fresh_at| now.since(fresh_at))
    }
}
