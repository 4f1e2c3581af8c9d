//! A replica: its caches, and the one task that fills them and empties them.
//!
//! What the task does is cut into steps as a reader on another thread can tell them apart: one store
//! to memory each. Between them the task does nothing else, so that nothing that it owns (the ledger,
//! loads that landed, polls that landed) can change under it.

use super::shortcuts::{Rules, Shortcut};
use super::store::{Change, Key, Keys, MOST, Moment, Store};

/// A revision in the epoch in which this replica saw it. Ordered by epoch first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    pub(crate) epoch: u8,
    pub(crate) revision: u8,
}

/// A cached key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// The state that it was read from.
    pub(crate) loaded_at: Stamp,
    pub(crate) value: Change,
}

/// How much a poll that lands brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Brings {
    All,
    /// The first change only: a page was full.
    APage,
    /// Too much for the ring.
    TooMuch,
}

/// What the task does once `applied` is where the poll says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Goal {
    last: Change,
    /// When the poll was sent, where `last` is all that it saw.
    confirms: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    Idle,
    /// Rule 3. The change is in the ring; the keys that are `left` are not invalidated yet.
    Apply {
        change: Change,
        left: Keys,
        published: bool,
        goal: Goal,
    },
    /// Rule 4. The floor is raised; `applied` is not, or the caches have some `left`.
    Reset {
        left: Keys,
        published: bool,
        goal: Goal,
    },
    /// Rule 8.
    Confirm {
        sent: Moment,
    },
    /// Rule 2. The keys that are `left` are still to be put into the cache.
    Keep {
        state: Change,
        loaded_at: Stamp,
        left: Keys,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    pub(crate) applied: Stamp,
    pub(crate) floor: Stamp,
    pub(crate) fresh_at: Moment,
    pub(crate) cache: [Option<Entry>; 2],
    /// The one poll that is under way, once the store has worked it off.
    pub(crate) poll: Option<Moment>,
    pub(crate) task: Task,
    /// The ledger: the changes seen in this epoch, each at its revision.
    ring: [Option<Change>; MOST + 1],
}

impl Replica {
    /// One that has seen the store as it is at the beginning.
    pub(crate) fn new() -> Self {
        let mut ring = [None; MOST + 1];
        ring[0] = Some(Change::GENESIS);
        Self {
            applied: Stamp::default(),
            floor: Stamp::default(),
            fresh_at: 0,
            cache: [None; 2],
            poll: None,
            task: Task::Idle,
            ring,
        }
    }

    /// The floor is the first to be raised to a new epoch.
    fn stamp(&self, change: Change) -> Stamp {
        Stamp {
            epoch: self.floor.epoch,
            revision: change.revision,
        }
    }

    fn seen(&self, revision: u8) -> Option<Change> {
        self.ring[usize::from(revision)]
    }

    /// Rules 3 and 4: takes in what the poll read.
    pub(crate) fn land(&mut self, brings: Brings, store: &Store, rules: Rules) -> Option<()> {
        let sent = self.poll.take()?;
        let head = store.head_at(sent);
        let seen = self.seen(self.applied.revision)?;
        let gap = head.revision.saturating_sub(seen.revision);
        if brings != Brings::All && gap < 2 {
            return None;
        }
        let sent = if rules.take(Shortcut::FreshOnArrival) {
            store.now()
        } else {
            sent
        };
        let goal = Goal {
            last: head,
            confirms: Some(sent),
        };
        let same = if rules.take(Shortcut::RevisionsWithoutIds) {
            head.revision >= seen.revision
        } else {
            store.includes(head, seen)
        };
        self.task = if !same || brings == Brings::TooMuch {
            self.reset(goal, rules)
        } else if gap == 0 {
            Task::Confirm { sent }
        } else if brings == Brings::APage {
            let last = store.change(usize::from(head.id), seen.revision + 1);
            self.apply(
                last,
                Goal {
                    last,
                    confirms: None,
                },
                store,
            )
        } else {
            let next = store.change(usize::from(head.id), seen.revision + 1);
            self.apply(next, goal, store)
        };
        Some(())
    }

    fn apply(&mut self, change: Change, goal: Goal, store: &Store) -> Task {
        self.ring[usize::from(change.revision)] = Some(change);
        Task::Apply {
            change,
            left: store.named(change),
            published: false,
            goal,
        }
    }

    fn reset(&mut self, goal: Goal, rules: Rules) -> Task {
        self.ring = [None; MOST + 1];
        self.ring[usize::from(goal.last.revision)] = Some(goal.last);
        self.floor = Stamp {
            epoch: self.floor.epoch + u8::from(!rules.take(Shortcut::NoEpoch)),
            revision: goal.last.revision,
        };
        Task::Reset {
            left: Keys::BOTH,
            published: false,
            goal,
        }
    }

    /// The task's next step.
    pub(crate) fn work(&mut self, store: &Store, rules: Rules) -> Option<()> {
        self.task = match self.task {
            Task::Idle => return None,
            Task::Apply {
                change,
                mut left,
                mut published,
                goal,
            } => {
                let publish_now = left == Keys::NONE || rules.take(Shortcut::PublishThenInvalidate);
                if !published && publish_now {
                    self.applied = self.stamp(change);
                    published = true;
                } else if left == Keys::EVERYTHING {
                    self.floor = self.stamp(change);
                    left = Keys::NONE;
                } else {
                    left = self.invalidate(left)?;
                }
                if !published || left != Keys::NONE {
                    Task::Apply {
                        change,
                        left,
                        published,
                        goal,
                    }
                } else if change == goal.last {
                    goal.then()
                } else {
                    let next = store.change(usize::from(goal.last.id), change.revision + 1);
                    self.apply(next, goal, store)
                }
            }
            Task::Reset {
                mut left,
                published,
                goal,
            } => {
                if published {
                    left = self.invalidate(left)?;
                } else {
                    self.applied = self.floor;
                }
                if left == Keys::NONE {
                    goal.then()
                } else {
                    Task::Reset {
                        left,
                        published: true,
                        goal,
                    }
                }
            }
            Task::Confirm { sent } => {
                self.fresh_at = sent;
                Task::Idle
            }
            Task::Keep {
                state,
                loaded_at,
                left,
            } => {
                let key = left.first()?;
                self.cache[key as usize] = Some(Entry {
                    loaded_at,
                    value: store.value(state, key),
                });
                keeping(state, loaded_at, left.without(key))
            }
        };
        Some(())
    }

    fn invalidate(&mut self, keys: Keys) -> Option<Keys> {
        let key = keys.first()?;
        self.cache[key as usize] = None;
        Some(keys.without(key))
    }

    /// Whether a load of `state` may be judged: not while the feed is behind it.
    pub(crate) fn can_judge(&self, state: Change, rules: Rules) -> bool {
        let waits =
            !rules.take(Shortcut::AsNewAsTheFeed) && !rules.take(Shortcut::NotOlderThanItsChange);
        self.task == Task::Idle && (!waits || state.revision <= self.applied.revision)
    }

    /// Rule 2: begins to keep what of `state` is still true, and says which keys these are.
    pub(crate) fn keep(&mut self, state: Change, store: &Store, rules: Rules) -> Keys {
        let loaded_at = self.stamp(state);
        let vouched = if self.vouches_for_all(state, rules) {
            Keys::BOTH
        } else {
            self.unchanged_since(state, loaded_at, store, rules)
        };
        self.task = keeping(state, loaded_at, vouched);
        vouched
    }

    fn vouches_for_all(&self, state: Change, rules: Rules) -> bool {
        let ahead = state.revision > self.applied.revision;
        rules.take(Shortcut::BareInvalidate)
            || rules.take(Shortcut::NotOlderThanItsChange)
            || rules.take(Shortcut::AsNewAsTheFeed) && ahead
    }

    /// INVARIANT(same-history), INVARIANT(kept-is-unchanged).
    fn unchanged_since(&self, state: Change, at: Stamp, store: &Store, rules: Rules) -> Keys {
        let in_ring = self
            .seen(state.revision)
            .is_some_and(|seen| seen == state || rules.take(Shortcut::RevisionsWithoutIds));
        if !in_ring || at < self.floor {
            return Keys::NONE;
        }
        (state.revision + 1..=self.applied.revision)
            .filter_map(|revision| self.seen(revision))
            .flat_map(|change| Key::ALL.map(|key| (key, store.named(change))))
            .filter(|(key, named)| named.names(*key))
            .fold(Keys::BOTH, |left, (key, _)| left.without(key))
    }

    /// The last change of this epoch that named a key, as far as it is applied.
    pub(crate) fn last_change(&self, key: Key, store: &Store) -> Option<u8> {
        let changes = (0..=self.applied.revision).filter_map(|revision| self.seen(revision));
        changes
            .filter(|&change| store.named(change).names(key))
            .map(|change| change.revision)
            .next_back()
    }
}

impl Goal {
    fn then(self) -> Task {
        self.confirms
            .map_or(Task::Idle, |sent| Task::Confirm { sent })
    }
}

fn keeping(state: Change, loaded_at: Stamp, left: Keys) -> Task {
    if left == Keys::NONE {
        Task::Idle
    } else {
        Task::Keep {
            state,
            loaded_at,
            left,
        }
    }
}
