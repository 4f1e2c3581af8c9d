//! What the loader knows of the store's history: enough to tell which loads may be kept.
//!
//! Pure: the caller polls, and clears the caches as it is told. A history that was lost or
//! rewritten (a failover to a standby that lagged, a restored backup) is noticed by the random id
//! of each change, for its numbers may look like progress.

use crate::domain::{Head, Revision};
use crate::store::{Poll, ReadAt};

use super::stamp::Stamp;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    epoch: u16,
    /// The present, as the last poll saw it; none before the first.
    seen: Option<ReadAt>,
}

/// What a poll showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing new.
    Unchanged,
    /// The history went on: everything before it may be wrong.
    Advanced(Stamp),
    /// It is another history than before: nothing known is worth anything.
    Reset(Stamp),
}

/// What may be done with a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is true at what is applied, and may be cached under this stamp.
    Keep(Stamp),
    /// It is of a state that the feed has not reached: ask again after a poll.
    Wait,
    /// It is of a state that is past, or of another history.
    Discard,
}

impl Ledger {
    /// The present as this replica knows it, for the next poll to be compared with.
    pub(super) fn head(&self) -> Option<Head> {
        self.seen.map(|seen| seen.head)
    }

    /// What the last poll saw.
    pub(super) fn present(&self) -> Option<ReadAt> {
        self.seen
    }

    /// The catalogue's last change, as this replica knows it.
    pub(super) fn catalog(&self) -> Option<Head> {
        self.seen.map(|seen| seen.catalog)
    }

    /// Takes in what a poll saw.
    ///
    /// A standby that is behind says nothing new: what is applied goes on, and ages. Were it a
    /// reset, a change that was seen would be undone.
    pub(super) fn observe(&mut self, poll: &Poll) -> Seen {
        let is_behind = |seen: &ReadAt| poll.at.head.revision < seen.head.revision;
        if !poll.at.primary && self.seen.as_ref().is_some_and(is_behind) {
            return Seen::Unchanged;
        }
        let before = self.seen.replace(poll.at);
        let Some(before) = before.map(|at| at.head) else {
            return self.reset(poll.at.head.revision);
        };
        let head = poll.at.head;
        // A poll carries the id of the revision that was seen last: another one there, or none, or
        // a present below it, is another history.
        if head.revision < before.revision || poll.seen != Some(before.change) {
            return self.reset(head.revision);
        }
        if head.revision == before.revision {
            return Seen::Unchanged;
        }
        Seen::Advanced(Stamp::new(self.epoch, head.revision))
    }

    fn reset(&mut self, revision: Revision) -> Seen {
        // Epoch 0 is that of the stamp before anything was seen.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        Seen::Reset(Stamp::new(self.epoch, revision))
    }

    /// Whether accounts and policies read at `at` may be kept.
    ///
    /// INVARIANT(same-history): only a pair of revision and id that the feed has seen itself.
    pub(super) fn judge(&self, at: &ReadAt) -> Verdict {
        self.judge_by(at, |seen| seen.head == at.head)
    }

    /// Whether a catalogue read at `at` may be kept: no change since then touched it.
    pub(super) fn judge_catalog(&self, at: &ReadAt) -> Verdict {
        self.judge_by(at, |seen| seen.catalog == at.catalog)
    }

    fn judge_by(&self, at: &ReadAt, still_true: impl Fn(&ReadAt) -> bool) -> Verdict {
        match &self.seen {
            Some(seen) if still_true(seen) && at.head.revision <= seen.head.revision => {
                Verdict::Keep(Stamp::new(self.epoch, seen.head.revision))
            }
            Some(seen) if at.head.revision <= seen.head.revision => Verdict::Discard,
            Some(_) | None => Verdict::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ChangeId;

    fn head(revision: u64, change: u128) -> Head {
        Head {
            revision: Revision(revision),
            change: ChangeId(change),
        }
    }

    fn at(revision: u64, change: u128) -> ReadAt {
        ReadAt {
            head: head(revision, change),
            catalog: head(0, 0),
            primary: true,
        }
    }

    fn poll(revision: u64, change: u128, seen: Option<u128>) -> Poll {
        Poll {
            at: at(revision, change),
            seen: seen.map(ChangeId),
            changes: Vec::new(),
            matrix_changes: 0,
        }
    }

    fn stamp(epoch: u16, revision: u64) -> Stamp {
        Stamp::new(epoch, Revision(revision))
    }

    #[test]
    fn progress_is_told_from_another_history() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.observe(&poll(3, 30, None)), Seen::Reset(stamp(1, 3)));
        assert_eq!(ledger.observe(&poll(3, 30, Some(30))), Seen::Unchanged);
        assert_eq!(
            ledger.observe(&poll(5, 50, Some(30))),
            Seen::Advanced(stamp(1, 5))
        );
        // Went back.
        assert_eq!(ledger.observe(&poll(4, 41, None)), Seen::Reset(stamp(2, 4)));
        // The same number, made by another change.
        assert_eq!(
            ledger.observe(&poll(4, 42, Some(42))),
            Seen::Reset(stamp(3, 4))
        );
        // Lost its last change and went on past it.
        assert_eq!(
            ledger.observe(&poll(9, 90, Some(43))),
            Seen::Reset(stamp(4, 9))
        );
        // No longer has the change.
        assert_eq!(
            ledger.observe(&poll(12, 120, None)),
            Seen::Reset(stamp(5, 12))
        );
        // A standby that is behind is no other history.
        let mut behind = poll(11, 110, None);
        behind.at.primary = false;
        assert_eq!(ledger.observe(&behind), Seen::Unchanged);
        assert_eq!(ledger.observe(&poll(12, 120, Some(120))), Seen::Unchanged);
    }

    #[test]
    fn only_loads_of_the_state_that_is_applied_are_kept() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.judge(&at(5, 50)), Verdict::Wait);
        ledger.observe(&poll(5, 50, None));
        assert_eq!(ledger.judge(&at(5, 50)), Verdict::Keep(stamp(1, 5)));
        assert_eq!(ledger.judge(&at(4, 40)), Verdict::Discard);
        assert_eq!(ledger.judge(&at(5, 51)), Verdict::Discard);
        assert_eq!(ledger.judge(&at(6, 60)), Verdict::Wait);
    }

    #[test]
    fn a_catalogue_is_kept_until_a_change_touches_it() {
        let mut ledger = Ledger::default();
        ledger.observe(&poll(9, 90, None));
        assert_eq!(ledger.judge_catalog(&at(4, 40)), Verdict::Keep(stamp(1, 9)));
        assert_eq!(ledger.judge_catalog(&at(10, 100)), Verdict::Wait);
        let other = ReadAt {
            catalog: head(3, 33),
            ..at(4, 40)
        };
        assert_eq!(ledger.judge_catalog(&other), Verdict::Discard);
    }
}
