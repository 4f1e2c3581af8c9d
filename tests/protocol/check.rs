//! A check: one call that wants an account and its partner's policy, of one state.
//!
//! It changes nothing that another call could see, except that it may send a load. So one is enough:
//! it begins at any moment, and what others do is that entries, loads and polls appear.

use super::replica::{Replica, Stamp};
use super::shortcuts::{Rules, Shortcut};
use super::store::{Change, Key, Moment, Store};

/// What a check looked at before any entry, and holds all entries against: INVARIANT(one-V).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    fresh_at: Moment,
    applied: Stamp,
    /// Read with `applied` or after it: never older, and a newer one refuses more.
    floor: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Answer {
    pub(crate) revision: u8,
    /// The answer's age is the time since then.
    pub(crate) fresh_at: Moment,
    pub(crate) account: Change,
    pub(crate) policy: Change,
    pub(crate) from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum From {
    Cache,
    OwnLoad,
    JoinedLoad,
}

/// How far the check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Check {
    Begins,
    ReadFreshAt { fresh_at: Moment },
    HasView { view: View },
    HasAccount { view: View, account: Change },
    Missed { view: View },
    Waits { view: View, own: bool },
    Answered(Answer),
}

impl Check {
    /// Rule 5: the next read, in the order that makes it safe.
    pub(crate) fn read(self, replica: &Replica, store: &Store, rules: Rules) -> Option<Self> {
        let accepted = |view: View, key| view.entry(key, replica, store, rules);
        Some(match self {
            Self::Begins => Self::ReadFreshAt {
                fresh_at: replica.fresh_at,
            },
            Self::ReadFreshAt { fresh_at } => Self::HasView {
                view: View {
                    fresh_at,
                    applied: replica.applied,
                    floor: replica.floor,
                },
            },
            Self::HasView { view } => match accepted(view, Key::Account) {
                Some(account) => Self::HasAccount { view, account },
                None => Self::missed(view, rules),
            },
            Self::HasAccount { view, account } => match accepted(view, Key::Policy) {
                Some(policy) => Self::Answered(Answer {
                    revision: view.applied.revision,
                    fresh_at: view.fresh_at,
                    account,
                    policy,
                    from: From::Cache,
                }),
                None => Self::missed(view, rules),
            },
            Self::Missed { .. } | Self::Waits { .. } | Self::Answered(_) => return None,
        })
    }

    /// A miss needs of the view what it has to be held against, and forgets the rest.
    fn missed(view: View, rules: Rules) -> Self {
        let view = if rules.take(Shortcut::LoadedAccountCachedPolicy) {
            view
        } else {
            View {
                fresh_at: 0,
                floor: Stamp::default(),
                ..view
            }
        };
        Self::Missed { view }
    }

    /// Rule 6, an own load: it was sent after `applied` was read, so that a state that is not behind
    /// that answers, whatever the feed knows of it. Otherwise the check begins again.
    pub(crate) fn own_load(
        view: View,
        sent: Moment,
        state: Change,
        store: &Store,
        rules: Rules,
    ) -> Self {
        if rules.take(Shortcut::LoadedAccountCachedPolicy) {
            let account = store.value(state, Key::Account);
            return Self::HasAccount { view, account };
        }
        if state.revision < view.applied.revision {
            return Self::Begins;
        }
        Self::Answered(Answer {
            from: From::OwnLoad,
            ..view.answer(sent, state, store)
        })
    }

    /// Rule 6, a load that the check joined: it may be older than `applied`, and answers only where
    /// all that it read was found unchanged since, in the epoch of `applied`.
    pub(crate) fn joined_load(
        view: View,
        sent: Moment,
        state: Change,
        vouched_in: Option<u8>,
        store: &Store,
    ) -> Self {
        if vouched_in != Some(view.applied.epoch) {
            return Self::Begins;
        }
        Self::Answered(view.answer(sent, state, store))
    }
}

impl View {
    pub(crate) fn epoch(self) -> u8 {
        self.applied.epoch
    }

    /// The key's value, where what is cached is true at this view.
    fn entry(self, key: Key, replica: &Replica, store: &Store, rules: Rules) -> Option<Change> {
        let entry = replica.cache[key as usize]?;
        let accepts = if rules.take(Shortcut::AsNewAsTheFeed) {
            self.applied <= entry.loaded_at
        } else if rules.take(Shortcut::NotOlderThanItsChange) {
            replica.last_change(key, store) <= Some(entry.loaded_at.revision)
        } else {
            entry.loaded_at <= self.applied
        };
        (self.floor <= entry.loaded_at && accepts).then_some(entry.value)
    }

    fn answer(self, sent: Moment, state: Change, store: &Store) -> Answer {
        Answer {
            revision: state.revision.max(self.applied.revision),
            fresh_at: sent,
            account: store.value(state, Key::Account),
            policy: store.value(state, Key::Policy),
            from: From::JoinedLoad,
        }
    }
}
