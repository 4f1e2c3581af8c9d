//! What a replica knows of the store's history: enough to tell which loads may be kept, and what a
//! change makes wrong.
//!
//! Pure: the caller polls, and empties the caches as it is told. A history that was lost or
//! rewritten (a failover to a standby that lagged, a restored backup) is noticed by the random id
//! of each change, for its numbers may look like progress.

use std::collections::{HashSet, VecDeque};

use crate::domain::{AccountId, Head, Revision};
use crate::store::{ChangeEntry, ChangeSubject, ChangedKeys, MAX_POLLED, Poll, ReadAt};

use super::stamp::Stamp;

/// How many changes are remembered: a load that is older than all of them is not kept, and a watcher
/// that saw none of them is told that everything changed.
const RING: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    epoch: u16,
    /// The last changes, without a gap: the last of them is what is applied. Empty before the first
    /// poll alone.
    ring: VecDeque<ChangeEntry>,
    /// Loads before it are of a state that is past, whatever they are of.
    floor: Stamp,
    /// The catalogue's last change at what is applied, where that is known.
    catalog: Option<Head>,
    /// Whether a primary answered last.
    from_primary: bool,
    /// How often the matrix had changed when a primary last said so.
    matrix_changes: Option<u64>,
    /// The revision at which it did so last, as far as that is known.
    matrix_changed_at: Option<Revision>,
}

/// What a poll showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing new.
    Unchanged,
    /// The history went on by the changes of the poll.
    Advanced,
    /// It is another history than before, or more of it than can be followed: nothing known is worth
    /// anything.
    Reset,
}

/// What may be done with a load.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    /// It may be cached, as far and under what stamp this says.
    Keep(T),
    /// It is of a state that the feed has not reached: ask again after a poll.
    Wait,
    /// It is of a state that is past, or of another history.
    Discard,
}

/// What of a load is still true at what is applied.
///
/// INVARIANT(kept-is-unchanged): what this vouches for is named by no change after the load.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Vouched<'a> {
    /// The stamp of the snapshot that was read.
    pub(super) stamp: Stamp,
    accounts: HashSet<&'a AccountId>,
    partners: HashSet<&'a AccountId>,
    is_all: bool,
}

impl Vouched<'_> {
    /// As if nothing had changed, whatever has: what must not be done.
    #[cfg(test)]
    pub(super) fn unlooked(stamp: Stamp) -> Self {
        Self {
            stamp,
            accounts: HashSet::new(),
            partners: HashSet::new(),
            is_all: true,
        }
    }

    /// Whether an account, its settings, or that it is none are still as they were read.
    pub(super) fn account(&self, id: &AccountId) -> bool {
        !self.accounts.contains(id)
    }

    /// The same of a partner's policy.
    pub(super) fn policy(&self, partner: &AccountId) -> bool {
        !self.partners.contains(partner)
    }

    /// Whether nothing at all has changed.
    pub(super) fn all(&self) -> bool {
        self.is_all
    }
}

impl Ledger {
    /// What is applied, for the next poll to be compared with.
    pub(super) fn head(&self) -> Option<Head> {
        self.ring.back().map(|last| last.head)
    }

    /// The stamp of what is applied.
    pub(super) fn applied(&self) -> Stamp {
        let revision = self.head().map(|head| head.revision);
        Stamp::new(self.epoch, revision.unwrap_or_default())
    }

    pub(super) fn floor(&self) -> Stamp {
        self.floor
    }

    /// The catalogue's last change at what is applied. None before the first poll, and while the feed
    /// catches up with a change of it.
    pub(super) fn catalog(&self) -> Option<Head> {
        self.catalog
    }

    /// Whether a primary answered last.
    pub(super) fn primary(&self) -> bool {
        self.from_primary
    }

    /// Whether somebody who knows the changes up to `revision` may not know of a change of the matrix:
    /// the change is of no revision, so that one at this very revision may have been missed.
    pub(super) fn matrix_changed_since(&self, revision: Revision) -> bool {
        self.matrix_changed_at
            .is_some_and(|changed| revision <= changed)
    }

    /// Whether replicas decide by another matrix than at the poll before. To be asked once a poll,
    /// before [`Ledger::observe`].
    pub(super) fn is_other_matrix(&mut self, poll: &Poll) -> bool {
        if !poll.at.primary {
            return false;
        }
        self.matrix_changed_at = poll.matrix_changed_at;
        let before = self.matrix_changes.replace(poll.matrix_changes);
        before.is_some_and(|before| before != poll.matrix_changes)
    }

    /// Takes in what a poll saw.
    ///
    /// A standby that is behind says nothing new: what is applied goes on, and ages. Were it a
    /// reset, a change that was seen would be undone.
    pub(super) fn observe(&mut self, poll: &Poll) -> Seen {
        let present = poll.at.head;
        let before = self.head();
        let is_behind = before.is_some_and(|before| present.revision < before.revision);
        if !poll.at.primary && is_behind {
            return Seen::Unchanged;
        }
        self.from_primary = poll.at.primary;
        let seen = match before {
            None => {
                self.reset(present);
                self.recall(poll);
                Seen::Reset
            }
            Some(before) if !follows(poll, before) => {
                self.reset(present);
                Seen::Reset
            }
            Some(_) if poll.changes.is_empty() => Seen::Unchanged,
            Some(_) => {
                poll.changes.iter().for_each(|change| self.push(change));
                Seen::Advanced
            }
        };
        let reached = self.applied().revision();
        self.catalog = Some(poll.at.catalog).filter(|catalog| catalog.revision <= reached);
        seen
    }

    fn push(&mut self, change: &ChangeEntry) {
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(change.clone());
        match change.keys {
            ChangedKeys::Named { .. } => {}
            ChangedKeys::Everything => self.floor = self.applied(),
        }
    }

    /// Begins with the present. What made it may have changed anything.
    fn reset(&mut self, present: Head) {
        // Epoch 0 is that of the stamp before anything was seen.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        self.ring = VecDeque::from([ChangeEntry {
            head: present,
            subject: ChangeSubject::Everything,
            keys: ChangedKeys::Everything,
        }]);
        self.floor = self.applied();
    }

    /// Takes in the changes that led to the present, which the first poll brings.
    fn recall(&mut self, poll: &Poll) {
        let Some(first) = poll.changes.first() else {
            return;
        };
        if leads_to(&poll.changes, first.head.revision) == Some(poll.at.head) {
            self.ring = poll.changes.iter().cloned().collect();
        }
    }

    /// The changes after `revision`, in order; none where they are no longer all known, or where
    /// `revision` is not reached.
    pub(super) fn since(
        &self,
        revision: Revision,
    ) -> Option<impl Iterator<Item = &ChangeEntry> + use<'_>> {
        let first = self.ring.front()?.head.revision;
        let is_reached = revision <= self.applied().revision();
        (is_reached && first <= revision.next()).then(|| {
            let after = move |change: &&ChangeEntry| change.head.revision > revision;
            self.ring.iter().filter(after)
        })
    }

    /// What of the accounts and policies read at `at` may be kept.
    ///
    /// INVARIANT(same-history): only a pair of revision and id that the feed has seen itself.
    pub(super) fn judge(&self, at: &ReadAt) -> Verdict<Vouched<'_>> {
        let revision = at.head.revision;
        if self
            .head()
            .is_none_or(|applied| revision > applied.revision)
        {
            return Verdict::Wait;
        }
        let stamp = Stamp::new(self.epoch, revision);
        let first = self.ring.front().map(|first| first.head.revision.0);
        let place = first.and_then(|first| usize::try_from(revision.0.checked_sub(first)?).ok());
        let place = place.filter(|place| {
            let known = self.ring.get(*place).map(|change| change.head);
            known == Some(at.head) && stamp >= self.floor
        });
        let Some(place) = place else {
            return Verdict::Discard;
        };
        let mut vouched = Vouched {
            stamp,
            accounts: HashSet::new(),
            partners: HashSet::new(),
            is_all: true,
        };
        for change in self.ring.iter().skip(place + 1) {
            vouched.is_all = false;
            match &change.keys {
                ChangedKeys::Named {
                    accounts, partners, ..
                } => {
                    vouched.accounts.extend(accounts);
                    vouched.partners.extend(partners);
                }
                // It raised the floor, below which the stamp is.
                ChangedKeys::Everything => return Verdict::Discard,
            }
        }
        Verdict::Keep(vouched)
    }

    /// The stamp under which a catalogue read at `at` may be kept: no change since then touched it.
    /// It is true from the change on that made it.
    pub(super) fn judge_catalog(&self, at: &ReadAt) -> Verdict<Stamp> {
        match (self.head(), self.catalog) {
            (Some(applied), Some(catalog)) if at.head.revision <= applied.revision => {
                if at.catalog == catalog {
                    let made = Stamp::new(self.epoch, catalog.revision);
                    Verdict::Keep(made.max(self.floor))
                } else {
                    Verdict::Discard
                }
            }
            (None | Some(_), _) => Verdict::Wait,
        }
    }
}

/// Whether a poll is of the history of which `before` was seen, and brings all that came after it.
///
/// A poll carries the id of the revision that was seen last: another one there, or none, or a
/// present below it, is another history.
fn follows(poll: &Poll, before: Head) -> bool {
    let present = poll.at.head;
    if poll.seen != Some(before.change) || present.revision < before.revision {
        return false;
    }
    if poll.changes.is_empty() {
        return present == before;
    }
    let reached = leads_to(&poll.changes, before.revision.next());
    let is_more = poll.changes.len() >= MAX_POLLED;
    reached.is_some_and(|reached| {
        reached == present || (is_more && reached.revision < present.revision)
    })
}

/// The last of some changes, if they are one after another from revision `first` on.
fn leads_to(changes: &[ChangeEntry], first: Revision) -> Option<Head> {
    let numbers = changes.iter().zip(first.0..);
    let is_whole = numbers
        .into_iter()
        .all(|(change, number)| change.head.revision.0 == number);
    changes.last().map(|last| last.head).filter(|_| is_whole)
}

#[cfg(test)]
mod tests;
