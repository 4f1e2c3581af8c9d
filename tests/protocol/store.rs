//! The store: a history of changes, that a failover may cut short.
//!
//! A *revision* counts changes, and is used again for another change when the one that had it was
//! lost; so a change is known by its revision and its random id together. Here the id is the history
//! in which the change was committed: 0 until the failover, 1 after it.

use std::fmt;

/// The most commits of one history.
pub(crate) const MOST: usize = 3;

/// Some of what is read for one decision: each an entry of its own in a replica's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Keys(pub(crate) u8);

impl Keys {
    /// Neither: what is named is of no interest here, like another account.
    pub(crate) const NONE: Self = Self(0);
    /// The account with its settings, by itself.
    pub(crate) const ACCOUNT: Self = Self(1);
    /// The policy of the account's partner.
    pub(crate) const POLICY: Self = Self(2);
    pub(crate) const BOTH: Self = Self(3);
    /// What a large import names: too many keys to list, so whatever is cached.
    pub(crate) const EVERYTHING: Self = Self(7);

    pub(crate) fn names(self, key: Key) -> bool {
        self.0 & (1 << key as u8) != 0
    }

    pub(crate) fn without(self, key: Key) -> Self {
        Self(self.0 & !(1 << key as u8))
    }

    pub(crate) fn first(self) -> Option<Key> {
        Key::ALL.into_iter().find(|&key| self.names(key))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Account,
    Policy,
}

impl Key {
    pub(crate) const ALL: [Self; 2] = [Self::Account, Self::Policy];
}

/// A change, known by its revision and its id. Also the state that it led to (it is a prefix of the
/// history, INVARIANT(prefix-snapshot)), and the value of a key that it was the last to name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Change {
    pub(crate) revision: u8,
    pub(crate) id: u8,
}

impl Change {
    pub(crate) const GENESIS: Self = Self { revision: 0, id: 0 };
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.revision,
            if self.id == 0 { "" } else { "'" }
        )
    }
}

/// A moment, as the number of commits and failovers before it. A commit is acknowledged at once:
/// that is when it has to be seen soonest.
pub(crate) type Moment = u8;

/// One history: the keys that its changes named, from revision 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct History {
    named: [Keys; MOST],
    length: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    histories: [History; 2],
    /// How much of the first history the second has, once there is a second.
    kept: Option<u8>,
}

impl Store {
    pub(crate) fn new() -> Self {
        let empty = History {
            named: [Keys::NONE; MOST],
            length: 0,
        };
        Self {
            histories: [empty; 2],
            kept: None,
        }
    }

    pub(crate) fn commit(&mut self, keys: Keys) {
        let history = &mut self.histories[self.present()];
        history.named[usize::from(history.length)] = keys;
        history.length += 1;
    }

    /// A standby takes over that had not yet got the changes after `kept`.
    pub(crate) fn fail_over(&mut self, kept: u8) {
        for revision in 0..usize::from(kept) {
            self.histories[1].named[revision] = self.histories[0].named[revision];
        }
        self.histories[1].length = kept;
        self.kept = Some(kept);
    }

    pub(crate) fn failed_over(&self) -> bool {
        self.kept.is_some()
    }

    /// How many changes were committed, those that were lost included.
    pub(crate) fn commits(&self) -> u8 {
        self.now() - u8::from(self.failed_over())
    }

    pub(crate) fn now(&self) -> Moment {
        let second = self
            .kept
            .map_or(0, |kept| 1 + self.histories[1].length - kept);
        self.histories[0].length + second
    }

    /// The history that the store has: 0 or 1.
    fn present(&self) -> usize {
        usize::from(self.failed_over())
    }

    /// The change that a history has at a revision.
    pub(crate) fn change(&self, history: usize, revision: u8) -> Change {
        let common = history == 0 || self.kept.is_some_and(|kept| revision <= kept);
        Change {
            revision,
            id: u8::from(!common),
        }
    }

    /// The last change: what a statement that runs now reads.
    pub(crate) fn head(&self) -> Change {
        self.change(self.present(), self.histories[self.present()].length)
    }

    /// The last change as it was at a moment.
    pub(crate) fn head_at(&self, moment: Moment) -> Change {
        match moment.checked_sub(self.histories[0].length + 1) {
            None => self.change(0, moment),
            Some(since) => self.change(1, self.kept.unwrap_or(0) + since),
        }
    }

    /// The last states of the history that was lost, and of the present one.
    pub(crate) fn histories(&self) -> [Change; 2] {
        [self.change(0, self.histories[0].length), self.head()]
    }

    /// Whether `state` has `change` in it.
    pub(crate) fn includes(&self, state: Change, change: Change) -> bool {
        change.revision <= state.revision
            && self.change(usize::from(state.id), change.revision) == change
    }

    /// What a change named.
    pub(crate) fn named(&self, change: Change) -> Keys {
        match change.revision.checked_sub(1) {
            None => Keys::NONE,
            Some(index) => self.histories[usize::from(change.id)].named[usize::from(index)],
        }
    }

    /// A key's value in a state: the last change that named it.
    pub(crate) fn value(&self, state: Change, key: Key) -> Change {
        (0..=state.revision)
            .rev()
            .map(|revision| self.change(usize::from(state.id), revision))
            .find(|&change| self.named(change).names(key))
            .unwrap_or(Change::GENESIS)
    }
}
