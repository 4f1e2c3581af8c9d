//! What a replica promises of every answer that does not say `stale`, and what shows that the model
//! gets to where the promise is hard to keep.
//!
//! Such an answer's age is at most `stale_after`; its age is the time since its `fresh_at`; so with
//! `fresh_at` as a moment in the store's life the bound needs no clock: the answer holds what was
//! committed before that moment.

use stateright::Property;

use super::check::{Answer, Check, From};
use super::model::{Protocol, State};
use super::store::{Change, Key, Store};

pub(crate) const COMPLETE: &str = "every change up to the answer's revision is in the answer";
pub(crate) const ONE_STATE: &str = "account and policy are of one state";
pub(crate) const HISTORY: &str = "the answer is of a history that the store had since `fresh_at`";
pub(crate) const FRESH: &str = "every change acknowledged before `fresh_at` is in the answer";

/// All of the promise.
pub(crate) const PROMISES: [&str; 4] = [COMPLETE, ONE_STATE, HISTORY, FRESH];

pub(crate) const TWO_CHANGES: &str = "an answer from the cache has two changes";
pub(crate) const SECOND_HISTORY: &str = "an answer from the cache is of the second history";
pub(crate) const JOINED_LATER: &str = "a load that was joined answers at a later revision";

pub(crate) fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always(COMPLETE, |_, state| holds(state, complete)),
        Property::always(ONE_STATE, |_, state| holds(state, of_one_state)),
        Property::always(HISTORY, |_, state| holds(state, of_a_known_history)),
        Property::always(FRESH, |_, state| holds(state, fresh)),
        Property::sometimes(TWO_CHANGES, |_, state| {
            answer(state).is_some_and(|answer| answer.from == From::Cache && answer.revision == 2)
        }),
        Property::sometimes(SECOND_HISTORY, |_, state| {
            answer(state).is_some_and(|answer| {
                answer.from == From::Cache && answer.account.id == 1 && answer.policy.id == 1
            })
        }),
        Property::sometimes(JOINED_LATER, |_, state| {
            answer(state).is_some_and(|answer| {
                answer.from == From::JoinedLoad
                    && state.store.head_at(answer.fresh_at).revision < answer.revision
            })
        }),
    ]
}

fn answer(state: &State) -> Option<&Answer> {
    if let Check::Answered(answer) = &state.check {
        Some(answer)
    } else {
        None
    }
}

fn holds(state: &State, promise: fn(&Answer, &Store) -> bool) -> bool {
    answer(state).is_none_or(|answer| promise(answer, &state.store))
}

/// The states that the store has been in since the beginning.
fn states(store: &Store) -> impl Iterator<Item = Change> {
    (0..=store.now()).map(|moment| store.head_at(moment))
}

impl Answer {
    fn values(&self) -> [(Key, Change); 2] {
        [(Key::Account, self.account), (Key::Policy, self.policy)]
    }

    /// Whether all that `state` includes is in the answer, which is of `history`.
    fn has_all_of(&self, state: Change, history: Change, store: &Store) -> bool {
        self.values().into_iter().all(|(key, value)| {
            store.includes(history, value) && store.value(state, key).revision <= value.revision
        })
    }
}

fn complete(answer: &Answer, store: &Store) -> bool {
    store.histories().into_iter().any(|history| {
        let state = store.change(usize::from(history.id), answer.revision);
        store.includes(history, state) && answer.has_all_of(state, history, store)
    })
}

fn of_one_state(answer: &Answer, store: &Store) -> bool {
    states(store).any(|state| {
        let values = answer.values();
        values
            .into_iter()
            .all(|(key, value)| store.value(state, key) == value)
    })
}

fn of_a_known_history(answer: &Answer, store: &Store) -> bool {
    (answer.fresh_at..=store.now()).any(|moment| {
        let head = store.head_at(moment);
        let values = answer.values();
        values
            .into_iter()
            .all(|(_, value)| store.includes(head, value))
    })
}

fn fresh(answer: &Answer, store: &Store) -> bool {
    let then = store.head_at(answer.fresh_at);
    store.histories().into_iter().any(|history| {
        // What a failover lost is in no later answer.
        let survived = (0..=then.revision)
            .map(|revision| store.change(usize::from(then.id), revision))
            .rfind(|&change| store.includes(history, change));
        survived.is_some_and(|survived| answer.has_all_of(survived, history, store))
    })
}
