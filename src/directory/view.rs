//! What the loader publishes: the revision that the caches are true at, and since when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Moment, SharedMoment};

use super::stamp::Stamp;

/// Written by the loader alone.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// What the feed has applied: the caches hold nothing that a change up to it made wrong.
    applied: AtomicU64,
    /// Entries loaded before it are no longer true.
    floor: AtomicU64,
    /// The instant before the last poll was sent whose revision is applied.
    fresh_at: SharedMoment,
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

impl Published {
    /// Reads in the order that makes the reading safe: `fresh_at` is never later than `applied`
    /// allows, and `floor` never older. That nothing is confirmed any more is seen with the reset
    /// that made it so: hence the second look.
    pub(super) fn view(&self) -> View {
        let fresh_at = self.fresh_at.load();
        let applied = Stamp(self.applied.load(Ordering::Acquire));
        let floor = Stamp(self.floor.load(Ordering::Acquire));
        let still = self.fresh_at.load();
        View {
            fresh_at: fresh_at.filter(|_| still.is_some()),
            applied,
            floor,
        }
    }

    /// INVARIANT(gone-before-published): what a change made wrong is below `floor` before `applied`
    /// says that the change was applied.
    pub(super) fn raise(&self, stamp: Stamp) {
        self.floor.store(stamp.0, Ordering::Release);
        self.applied.store(stamp.0, Ordering::Release);
    }

    /// Says that nothing is confirmed, before [`Published::raise`] says to what the history was
    /// reset: a confirmation of the history before is none of this one.
    pub(super) fn doubt(&self) {
        self.fresh_at.clear();
    }

    /// INVARIANT(sent-instant): `sent` is the instant before the poll was sent, not when its answer
    /// came: a commit in between would be missing.
    pub(super) fn confirm(&self, sent: Moment) {
        self.fresh_at.store(sent);
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
