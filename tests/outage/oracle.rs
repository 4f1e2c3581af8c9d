//! What judges the answers of the other tests, judged itself.

use std::time::Duration;

use tokio::time::Instant;

use super::support::oracle::{Answer, Bounds, Oracle};

const STALE_AFTER: Duration = Duration::from_secs(5);
const MAX_STALE: Duration = Duration::from_secs(60);
const BLINK: Duration = Duration::from_millis(1);

/// Partners 0 and 1 have the setting on since revision 1 and this instant.
fn oracle() -> (Oracle, Instant) {
    let bounds = Bounds {
        stale_after: STALE_AFTER,
        max_stale: MAX_STALE,
    };
    let now = Instant::now();
    (Oracle::new(2, true, 1, bounds, now), now)
}

/// Whether an answer to a call about partner 0 at `now` is accepted.
fn accepts(oracle: &Oracle, on: bool, revision: u64, stale: bool, now: Instant) -> bool {
    let answer = Answer {
        partner: 0,
        on,
        revision,
        stale,
        sent: now,
        received: now,
    };
    oracle.judge(&answer).is_ok()
}

#[test]
fn an_answer_is_of_the_state_at_its_revision_or_of_a_later_one() {
    let (oracle, now) = oracle();
    let accepts = |on, revision| accepts(&oracle, on, revision, false, now);
    assert!(accepts(true, 1));
    assert!(!accepts(false, 1));
    let revoke = oracle.begin(0, false, now);
    // It may have been committed, or not.
    assert!(accepts(true, 1));
    assert!(accepts(false, 1));
    oracle.written(&revoke, 2, now);
    assert!(accepts(true, 1));
    assert!(accepts(false, 1));
    assert!(accepts(false, 2));
    assert!(!accepts(true, 2));
    assert!(!accepts(true, 3));
}

#[test]
fn an_answer_knows_no_change_that_had_not_begun() {
    let (oracle, now) = oracle();
    let revoke = oracle.begin(0, false, now + BLINK);
    oracle.written(&revoke, 2, now + BLINK);
    assert!(!accepts(&oracle, false, 1, false, now));
    assert!(accepts(&oracle, false, 1, false, now + BLINK));
}

#[test]
fn an_answer_is_behind_by_its_bound_at_most() {
    let (oracle, now) = oracle();
    // Of another partner: the revision counts all the same.
    let revoke = oracle.begin(1, false, now);
    oracle.written(&revoke, 2, now);
    let accepts = |revision, stale, now| accepts(&oracle, true, revision, stale, now);
    assert!(accepts(1, false, now + STALE_AFTER - BLINK));
    assert!(!accepts(1, false, now + STALE_AFTER));
    assert!(accepts(2, false, now + STALE_AFTER));
    assert!(accepts(1, true, now + MAX_STALE - BLINK));
    assert!(!accepts(1, true, now + MAX_STALE));
}

#[test]
fn what_was_refused_is_no_state_and_what_is_in_doubt_may_be_one() {
    let (oracle, now) = oracle();
    let accepts = |on, revision| accepts(&oracle, on, revision, false, now);
    let refused = oracle.begin(0, false, now);
    oracle.not_written(&refused);
    assert!(!accepts(false, 1));
    let _in_doubt = oracle.begin(0, false, now);
    assert!(accepts(false, 2));
    assert!(accepts(true, 2));
    // Until the next that is known to be written.
    let grant = oracle.begin(0, true, now);
    oracle.written(&grant, 3, now);
    assert!(!accepts(false, 3));
    assert!(accepts(true, 3));
}
