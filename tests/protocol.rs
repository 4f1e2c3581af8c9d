#![cfg(test)]
//! The protocol by which a replica keeps its caches true, as a model that is explored in every
//! interleaving. It shares no code with the crate: it is about the rules, not about what was made of them.
//!
//! To learn the protocol read, in this order: [`promise`], what is promised of an answer; [`store`],
//! what the promise is about; [`replica`], how the caches are filled and emptied; [`check`], how a
//! call uses them; [`model`], what may happen when; and then the shortcuts below, each of which looks
//! harmless, with the way in which it breaks the promise.

#[path = "protocol/check.rs"]
mod check;
#[path = "protocol/model.rs"]
mod model;
#[path = "protocol/promise.rs"]
mod promise;
#[path = "protocol/replica.rs"]
mod replica;
#[path = "protocol/shortcuts.rs"]
mod shortcuts;
#[path = "protocol/store.rs"]
mod store;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use model::Protocol;
use promise::{
    COMPLETE, FRESH, HISTORY, JOINED_LATER, ONE_STATE, PROMISES, SECOND_HISTORY, TWO_CHANGES,
};
use replica::Brings;
use shortcuts::{Rules, Shortcut};
use store::Keys;

/// Explores all that can happen, and finds the promise kept wherever it gets to; and that it does get
/// to where it is hard to keep.
fn holds(protocol: Protocol, reaches: &[&'static str]) {
    let explored = protocol.checker().threads(2).spawn_bfs().join();
    println!("{} states", explored.unique_state_count());
    for promise in PROMISES {
        explored.assert_no_discovery(promise);
    }
    for example in reaches {
        explored.assert_any_discovery(example);
    }
}

/// Explores until `promise` is found broken.
fn breaks(shortcut: Shortcut, promise: &'static str) {
    let explored = Protocol {
        rules: Rules(Some(shortcut)),
        commits: 2,
        changes: &[Keys::BOTH],
        failover: matches!(shortcut, Shortcut::RevisionsWithoutIds | Shortcut::NoEpoch),
        loads: 1,
        brings: &[Brings::All],
    }
    .checker()
    .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([promise])))
    .spawn_bfs()
    .join();
    let states = explored.unique_state_count();
    let trace = explored
        .discovery(promise)
        .unwrap_or_else(|| panic!("{shortcut:?} breaks nothing in {states} states"));
    // Shown by `cargo test --test protocol -- --nocapture`.
    let steps = trace.into_actions();
    println!(
        "{shortcut:?}: {} steps, {states} states: {promise}\n  {steps:?}",
        steps.len()
    );
}

#[test]
fn the_promise_holds_in_every_interleaving() {
    let protocol = Protocol {
        rules: Rules(None),
        commits: 2,
        changes: &[Keys::BOTH],
        failover: true,
        loads: 2,
        brings: &[Brings::All, Brings::APage, Brings::TooMuch],
    };
    holds(protocol, &[TWO_CHANGES, SECOND_HISTORY]);
}

#[test]
fn the_promise_holds_whatever_a_change_names() {
    let protocol = Protocol {
        rules: Rules(None),
        commits: 2,
        changes: &[
            Keys::NONE,
            Keys::ACCOUNT,
            Keys::POLICY,
            Keys::BOTH,
            Keys::EVERYTHING,
        ],
        failover: false,
        loads: 1,
        brings: &[Brings::All],
    };
    holds(protocol, &[TWO_CHANGES, JOINED_LATER]);
}

/// A load reads the old state and is slow. The change empties the cache, finds nothing there to
/// empty, and is applied; then the load lands, and the old state is in the cache for good, and the answer
/// of whoever joined the load.
#[test]
fn a_bare_invalidate_breaks_the_promise() {
    breaks(Shortcut::BareInvalidate, COMPLETE);
}

/// A check takes the account as of revision 0. A change of both commits, and a load brings the policy
/// as of revision 1 before the feed has heard of it: newer than the feed, so it is taken too.
#[test]
fn an_entry_at_least_as_new_as_the_feed_breaks_the_promise() {
    breaks(Shortcut::AsNewAsTheFeed, ONE_STATE);
}

/// Nothing stale is ever taken so, but a check that has taken the account as of revision 0 goes on to
/// take the policy as of revision 1, for each by itself is as new as it has to be. That an entry must
/// not be newer than what the check began with is what closes this.
#[test]
fn an_entry_no_older_than_its_last_change_breaks_the_promise() {
    breaks(Shortcut::NotOlderThanItsChange, ONE_STATE);
}

/// The load sees a change that the feed has not applied, and so the policy in the cache is still the
/// one from before it.
#[test]
fn a_loaded_account_with_a_cached_policy_breaks_the_promise() {
    breaks(Shortcut::LoadedAccountCachedPolicy, ONE_STATE);
}

/// A check that comes in between finds the change applied and the old entries still there, and says
/// of them that they are of the new revision.
#[test]
fn publishing_before_invalidating_breaks_the_promise() {
    breaks(Shortcut::PublishThenInvalidate, COMPLETE);
}

/// The load may have read the store before the change that this replica has applied since, and that
/// its answers have been showing.
#[test]
fn joining_any_load_breaks_the_promise() {
    breaks(Shortcut::JoinAnyLoad, COMPLETE);
}

/// A load reads revision 1. A failover loses that change, and another becomes revision 1. The feed
/// sees a history that went on from 0 to 1, and vouches with it for the load of what was lost.
#[test]
fn revisions_without_ids_break_the_promise() {
    breaks(Shortcut::RevisionsWithoutIds, HISTORY);
}

/// A check begins at the revision 2 of the history that is lost. Before it looks at an entry the replica
/// has gone over to the new history, which has come as far as 1 there: not above 2, so it is taken.
#[test]
fn stamps_without_an_epoch_break_the_promise() {
    breaks(Shortcut::NoEpoch, COMPLETE);
}

/// The poll sees nothing new, and a change commits while its answer is on the way. What was confirmed
/// is that the cache was true when the poll read the store, not that it is when the answer is here.
/// A notification says even less: of the change that it is about, and nothing of what followed.
#[test]
fn fresh_as_of_the_polls_answer_breaks_the_promise() {
    breaks(Shortcut::FreshOnArrival, FRESH);
}
