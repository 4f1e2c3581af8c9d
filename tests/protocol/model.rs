//! The whole: the store, a replica, its loads, and a check, and every step that any of them may take
//! next.
//!
//! What may happen at any time is a step that can always be taken: a failover, an eviction, a load
//! or a poll that is lost, or slow. A notification does no more than cause a poll, and a poll may come
//! at any moment or never; so notifications that are lost, late or doubled are all in here.
//!
//! A statement reads the store at one moment between its sending and its landing. Its sender knows
//! no more than when it sent it, and counts the age of what it read from then: INVARIANT(sent-instant).
//! That is never after the moment of the reading, and the later it is, the more is promised. So here
//! a statement is sent at the moment when it reads, which is the hardest case, and lands at any time
//! after that.

use stateright::{Model, Property};

use super::check::Check;
use super::promise;
use super::replica::{Brings, Replica, Task};
use super::shortcuts::{Rules, Shortcut};
use super::store::{Key, Keys, Moment, Store};

/// A statement that reads account and policy, so of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Load {
    None,
    /// It has read the store, and not landed. The check may wait for it.
    UnderWay {
        sent: Moment,
        awaited: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) replica: Replica,
    /// In order, so that which is which makes no difference.
    pub(crate) loads: [Load; 2],
    pub(crate) check: Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A change of these keys is committed.
    Commit(Keys),
    /// A standby takes over that has the changes up to this one.
    FailOver(u8),
    /// A poll reads the store. One that was under way is lost.
    Poll,
    LandPoll(Brings),
    /// The replica's task does one thing that a reader can see.
    Work,
    /// A load that some call has sent reads the store.
    Load,
    /// The task looks whether what was loaded is still true.
    KeepLoad(usize),
    LoseLoad(usize),
    Evict(Key),
    /// The check reads what it has to read next.
    Read,
    /// A load that the check has sent itself does.
    LoadOwn,
    /// The check waits for a load that some other call has sent.
    Join(usize),
    /// The load that the check waits for answers it, before it is looked at whether to keep it.
    Answer(usize),
}

/// The rules, and how much happens: the bound of an exploration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) rules: Rules,
    /// The most commits, those that a failover loses included.
    pub(crate) commits: u8,
    /// What a commit may name.
    pub(crate) changes: &'static [Keys],
    pub(crate) failover: bool,
    /// How many loads may be under way: 1 or 2.
    pub(crate) loads: usize,
    /// How much of what a poll saw may land.
    pub(crate) brings: &'static [Brings],
}

impl Protocol {
    /// The state after a step, if the step can be taken.
    fn take(&self, before: &State, step: Step) -> Option<State> {
        let mut state = *before;
        let State {
            store,
            replica,
            loads,
            check,
        } = &mut state;
        match step {
            Step::Commit(keys) => {
                if store.commits() == self.commits {
                    return None;
                }
                store.commit(keys);
            }
            Step::FailOver(kept) => {
                if store.failed_over() || kept >= store.head().revision {
                    return None;
                }
                store.fail_over(kept);
            }
            Step::Poll => replica.poll = Some(store.now()),
            Step::LandPoll(brings) => replica.land(brings, store, self.rules)?,
            Step::Work => replica.work(store, self.rules)?,
            Step::Load => load(loads, store.now(), false)?,
            Step::KeepLoad(which) => {
                let Load::UnderWay { sent, .. } = loads[which] else {
                    return None;
                };
                if !replica.can_judge(store.head_at(sent), self.rules) {
                    return None;
                }
                keep(&mut state, which, self.rules)?;
            }
            Step::LoseLoad(which) => {
                if loads[which] == Load::None {
                    return None;
                }
                if loads[which].awaited() {
                    *check = Check::Begins;
                }
                loads[which] = Load::None;
            }
            Step::Evict(key) => {
                replica.cache[key as usize].take()?;
            }
            Step::Read => *check = check.read(replica, store, self.rules)?,
            Step::LoadOwn => {
                let Check::Missed { view } = *check else {
                    return None;
                };
                load(loads, store.now(), true)?;
                *check = Check::Waits { view, own: true };
            }
            Step::Join(which) => {
                let Check::Missed { view } = *check else {
                    return None;
                };
                *loads[which].awaited_mut()? = true;
                *check = Check::Waits { view, own: false };
            }
            Step::Answer(which) => answer(&mut state, which, self.rules)?,
        }
        state.loads.sort_unstable();
        Some(state)
    }
}

fn under_way(state: &State) -> usize {
    state
        .loads
        .iter()
        .filter(|&&load| load != Load::None)
        .count()
}

fn load(loads: &mut [Load; 2], sent: Moment, awaited: bool) -> Option<()> {
    let free = loads.iter_mut().find(|load| **load == Load::None)?;
    *free = Load::UnderWay { sent, awaited };
    Some(())
}

/// Rule 2, and rule 6 for a check that joined.
fn keep(state: &mut State, which: usize, rules: Rules) -> Option<()> {
    let Load::UnderWay { sent, awaited } = state.loads[which] else {
        return None;
    };
    let read = state.store.head_at(sent);
    if awaited {
        let Check::Waits { view, own: false } = state.check else {
            return None;
        };
        let vouched = state.replica.keep(read, &state.store, rules);
        let epoch = (vouched == Keys::BOTH).then_some(state.replica.floor.epoch);
        state.check = Check::joined_load(view, sent, read, epoch, &state.store);
    } else {
        state.replica.keep(read, &state.store, rules);
    }
    state.loads[which] = Load::None;
    Some(())
}

/// Rule 6 for a check with a load of its own.
fn answer(state: &mut State, which: usize, rules: Rules) -> Option<()> {
    let Load::UnderWay {
        sent,
        awaited: true,
    } = state.loads[which]
    else {
        return None;
    };
    let read = state.store.head_at(sent);
    let Check::Waits { view, own } = state.check else {
        return None;
    };
    state.check = if own {
        Check::own_load(view, sent, read, &state.store, rules)
    } else if rules.take(Shortcut::JoinAnyLoad) {
        Check::joined_load(view, sent, read, Some(view.epoch()), &state.store)
    } else {
        return None;
    };
    state.loads[which] = Load::UnderWay {
        sent,
        awaited: false,
    };
    Some(())
}

impl Load {
    fn awaited(self) -> bool {
        match self {
            Self::None => false,
            Self::UnderWay { awaited, .. } => awaited,
        }
    }

    fn awaited_mut(&mut self) -> Option<&mut bool> {
        match self {
            Self::None => None,
            Self::UnderWay { awaited, .. } => Some(awaited),
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            store: Store::new(),
            replica: Replica::new(),
            loads: [Load::None; 2],
            check: Check::Begins,
        }]
    }

    /// Every step; those that cannot be taken lead nowhere. An answer is the end: the check is over,
    /// and what comes after it is what comes without it.
    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if matches!(state.check, Check::Answered(_)) {
            return;
        }
        if state.store.commits() < self.commits {
            steps.extend(self.changes.iter().map(|&keys| Step::Commit(keys)));
        }
        if self.failover && !state.store.failed_over() {
            steps.extend((0..state.store.head().revision).map(Step::FailOver));
        }
        steps.push(Step::Poll);
        steps.push(Step::Read);
        if state.replica.task == Task::Idle {
            steps.extend(self.brings.iter().map(|&brings| Step::LandPoll(brings)));
            steps.extend([Step::KeepLoad(0), Step::KeepLoad(1)]);
        } else {
            steps.push(Step::Work);
        }
        if under_way(state) < self.loads {
            steps.extend([Step::Load, Step::LoadOwn]);
        }
        steps.extend(Key::ALL.map(Step::Evict));
        for which in 0..state.loads.len() {
            steps.extend([
                Step::LoseLoad(which),
                Step::Join(which),
                Step::Answer(which),
            ]);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        self.take(before, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promise::properties()
    }
}
