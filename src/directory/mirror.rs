//! The store as this replica holds it: the ledger with the caches that it answers for, and what is
//! published of both.
//!
//! One task has it, or whoever holds a lock around it: between a look at the ledger and what follows
//! from it for the caches nothing else may happen to either. Readers need no lock: they read what is
//! published first, and then what is cached.

use std::sync::Arc;

use crate::clock::Moment;
use crate::domain::AccountId;
use crate::store::{Poll, ReadAt};

use super::cache::VersionedCatalog;
use super::ledger::{Ledger, Seen, Verdict};
use super::stamp::Stamp;
use super::view::Word;
use super::watch::Hub;
use super::{Entry, Shared};

pub(super) struct Mirror<W: Word> {
    pub(super) ledger: Ledger,
    pub(super) hub: Hub,
    shared: Arc<Shared<W>>,
}

/// What was kept of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) stamp: Stamp,
    /// For each entry, whether all of it is true at what is applied.
    pub(super) whole: Vec<bool>,
}

impl<W: Word> Mirror<W> {
    pub(super) fn new(shared: Arc<Shared<W>>) -> Self {
        Self {
            ledger: Ledger::default(),
            hub: Hub::default(),
            shared,
        }
    }

    /// Takes in what a poll saw that was sent at `sent`.
    pub(super) fn observe(&mut self, poll: &Poll, sent: Moment) -> Seen {
        let Shared {
            caches, published, ..
        } = &*self.shared;
        let is_other_matrix = self.ledger.is_other_matrix(poll);
        let seen = self.ledger.observe(poll);
        let (floor, applied) = (self.ledger.floor(), self.ledger.applied());
        match seen {
            Seen::Unchanged => {}
            // INVARIANT(gone-before-published): in this order, and watchers last: who asks because
            // of what it was told must not get an answer from before.
            Seen::Advanced => {
                poll.changes
                    .iter()
                    .for_each(|change| caches.forget(&change.keys));
                caches.settle_catalog(self.ledger.catalog(), floor);
                published.raise(floor, applied);
                for change in &poll.changes {
                    let at = applied.with_revision(change.head.revision);
                    self.hub.tell(at, change);
                }
            }
            Seen::Reset => {
                caches.clear();
                published.doubt();
                published.raise(floor, applied);
            }
        }
        if seen == Seen::Reset || is_other_matrix {
            self.hub.tell_everything(applied);
        }
        // A standby cannot tell what it has not received, and a poll that brings a part of the
        // changes alone says of none that came after the part.
        if poll.at.primary && self.ledger.head() == Some(poll.at.head) {
            published.confirm(sent);
        }
        seen
    }

    /// Fills the caches with what a load found, as far as it is true at what is applied.
    pub(super) fn keep(&self, entries: &[(AccountId, Entry)], read: &ReadAt) -> Verdict<Kept> {
        match self.ledger.judge(read) {
            Verdict::Keep(vouched) => {
                let caches = &self.shared.caches;
                let keep = |(id, entry): &(AccountId, Entry)| caches.keep(id, entry, &vouched);
                Verdict::Keep(Kept {
                    stamp: vouched.stamp,
                    whole: entries.iter().map(keep).collect(),
                })
            }
            Verdict::Wait => Verdict::Wait,
            Verdict::Discard => Verdict::Discard,
        }
    }

    /// The same for a catalogue.
    pub(super) fn keep_catalog(&self, catalog: &VersionedCatalog, read: &ReadAt) -> Verdict<()> {
        match self.ledger.judge_catalog(read) {
            Verdict::Keep(stamp) => {
                self.shared.caches.keep_catalog(catalog.clone(), stamp);
                Verdict::Keep(())
            }
            Verdict::Wait => Verdict::Wait,
            Verdict::Discard => Verdict::Discard,
        }
    }
}
