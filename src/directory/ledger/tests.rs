use super::*;
use crate::domain::ChangeId;

fn head(revision: u64, change: u128) -> Head {
    Head {
        revision: Revision(revision),
        change: ChangeId(change),
    }
}

/// Revision n of the history that the tests follow.
fn ours(revision: u64) -> Head {
    head(revision, u128::from(revision) * 10)
}

fn at(head: Head) -> ReadAt {
    ReadAt {
        head,
        catalog: self::head(0, 0),
        primary: true,
    }
}

fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

fn keys(accounts: &[&str], partners: &[&str]) -> ChangedKeys {
    ChangedKeys::Named {
        accounts: accounts.iter().map(|name| id(name)).collect(),
        partners: partners.iter().map(|name| id(name)).collect(),
        catalog: false,
    }
}

fn change(head: Head, keys: ChangedKeys) -> ChangeEntry {
    ChangeEntry {
        head,
        subject: ChangeSubject::Everything,
        keys,
    }
}

/// A poll that asked about `seen` and got `changes` that name nothing.
fn poll(present: Head, seen: Option<Head>, changes: impl IntoIterator<Item = Head>) -> Poll {
    Poll {
        at: at(present),
        seen: seen.map(|seen| seen.change),
        changes: changes
            .into_iter()
            .map(|head| change(head, keys(&[], &[])))
            .collect(),
        matrix_changes: 0,
        matrix_changed_at: None,
    }
}

fn stamp(epoch: u16, revision: u64) -> Stamp {
    Stamp::new(epoch, Revision(revision))
}

/// One that has applied revision 5, with the changes 3 to 5.
fn at_five() -> Ledger {
    let mut ledger = Ledger::default();
    let first = poll(ours(5), None, (3..=5).map(ours));
    assert_eq!(ledger.observe(&first), Seen::Reset);
    ledger
}

fn followed(ledger: &mut Ledger, next: ChangedKeys) {
    let before = ledger.head().unwrap();
    let head = ours(before.revision.0 + 1);
    let mut poll = poll(head, Some(before), []);
    poll.changes.push(change(head, next));
    assert_eq!(ledger.observe(&poll), Seen::Advanced);
}

/// The stamp under which a load is kept, and which of the accounts and policies `x` and `y`.
fn kept(ledger: &Ledger, head: Head) -> Verdict<(Stamp, [bool; 4], bool)> {
    let (x, y) = (id("x"), id("y"));
    match ledger.judge(&at(head)) {
        Verdict::Keep(vouched) => {
            let of = [
                vouched.account(&x),
                vouched.account(&y),
                vouched.policy(&x),
                vouched.policy(&y),
            ];
            Verdict::Keep((vouched.stamp, of, vouched.all()))
        }
        Verdict::Wait => Verdict::Wait,
        Verdict::Discard => Verdict::Discard,
    }
}

const ALL: ([bool; 4], bool) = ([true; 4], true);

#[test]
fn progress_is_followed() {
    let mut ledger = at_five();
    assert_eq!(
        (ledger.applied(), ledger.floor()),
        (stamp(1, 5), stamp(1, 5))
    );
    assert_eq!(
        ledger.observe(&poll(ours(5), Some(ours(5)), [])),
        Seen::Unchanged
    );
    let two_more = poll(ours(7), Some(ours(5)), [ours(6), ours(7)]);
    assert_eq!(ledger.observe(&two_more), Seen::Advanced);
    assert_eq!(
        (ledger.applied(), ledger.floor()),
        (stamp(1, 7), stamp(1, 5))
    );
}

#[test]
fn another_history_is_a_reset() {
    let other = |revision: u64| head(revision, u128::from(revision) * 10 + 1);
    for (what, poll) in [
        ("went back", poll(other(4), None, [])),
        (
            "the same number of another change",
            poll(other(5), Some(other(5)), []),
        ),
        (
            "went on past what it lost",
            poll(other(7), Some(other(5)), [other(6), other(7)]),
        ),
        ("has no such change", poll(ours(9), None, [])),
    ] {
        let mut ledger = at_five();
        assert_eq!(ledger.observe(&poll), Seen::Reset, "{what}");
        let present = poll.at.head;
        let reached = stamp(2, present.revision.0);
        assert_eq!(
            (ledger.applied(), ledger.floor()),
            (reached, reached),
            "{what}"
        );
        assert_eq!(ledger.head(), Some(present), "{what}");
        // Nothing but the present is known of it.
        assert_eq!(
            kept(&ledger, present),
            Verdict::Keep((reached, ALL.0, ALL.1)),
            "{what}"
        );
        for earlier in [ours(4), other(4)]
            .into_iter()
            .filter(|earlier| *earlier != present)
        {
            let after = present.revision < earlier.revision;
            assert!(
                !after && kept(&ledger, earlier) == Verdict::Discard,
                "{what}"
            );
        }
    }
}

#[test]
fn a_gap_in_the_changes_is_a_reset() {
    for (what, changes) in [
        ("at the beginning", vec![ours(7), ours(8)]),
        ("in the middle", vec![ours(6), ours(8)]),
        ("at the end", vec![ours(6), ours(7)]),
        ("all", vec![]),
        ("out of order", vec![ours(7), ours(6), ours(8)]),
        ("another present", vec![ours(6), ours(7), head(8, 81)]),
    ] {
        let mut ledger = at_five();
        let poll = poll(ours(8), Some(ours(5)), changes);
        assert_eq!(ledger.observe(&poll), Seen::Reset, "{what}");
        assert_eq!(ledger.applied(), stamp(2, 8), "{what}");
    }
}

#[test]
fn a_standby_that_is_behind_says_nothing() {
    let mut ledger = at_five();
    let mut behind = poll(ours(4), None, []);
    behind.at.primary = false;
    assert_eq!(ledger.observe(&behind), Seen::Unchanged);
    assert!(ledger.primary());
    assert_eq!(
        ledger.observe(&poll(ours(5), Some(ours(5)), [])),
        Seen::Unchanged
    );
}

#[test]
fn as_many_changes_as_a_poll_brings_are_followed_one_poll_after_another() {
    let mut ledger = at_five();
    let most = MAX_POLLED as u64;
    let present = ours(5 + most + 3);
    let first = poll(present, Some(ours(5)), (6..=5 + most).map(ours));
    assert_eq!(ledger.observe(&first), Seen::Advanced);
    assert_eq!(ledger.head(), Some(ours(5 + most)));
    let rest = poll(present, ledger.head(), (6 + most..=8 + most).map(ours));
    assert_eq!(ledger.observe(&rest), Seen::Advanced);
    assert_eq!(ledger.head(), Some(present));
}

#[test]
fn a_load_is_kept_as_far_as_no_change_since_has_named_it() {
    let mut ledger = at_five();
    assert_eq!(kept(&Ledger::default(), ours(0)), Verdict::Wait);
    assert_eq!(
        kept(&ledger, ours(5)),
        Verdict::Keep((stamp(1, 5), ALL.0, ALL.1))
    );
    assert_eq!(kept(&ledger, ours(6)), Verdict::Wait);
    // The floor: nothing was cached before the first poll.
    assert_eq!(kept(&ledger, ours(4)), Verdict::Discard);

    followed(&mut ledger, keys(&["x"], &[]));
    followed(&mut ledger, keys(&["z"], &["y"]));
    for (read, of) in [
        (5, [false, true, true, false]),
        (6, [true, true, true, false]),
        (7, [true; 4]),
    ] {
        let wanted = (stamp(1, read), of, read == 7);
        assert_eq!(
            kept(&ledger, ours(read)),
            Verdict::Keep(wanted),
            "read at {read}"
        );
    }
    // The same number in another history.
    assert_eq!(kept(&ledger, head(6, 61)), Verdict::Discard);

    followed(&mut ledger, ChangedKeys::Everything);
    assert_eq!(ledger.floor(), stamp(1, 8));
    assert_eq!(kept(&ledger, ours(7)), Verdict::Discard);
    assert_eq!(
        kept(&ledger, ours(8)),
        Verdict::Keep((stamp(1, 8), ALL.0, ALL.1))
    );
}

#[test]
fn a_load_older_than_the_ring_is_not_kept() {
    let mut ledger = at_five();
    for _ in 0..RING - 1 {
        followed(&mut ledger, keys(&[], &[]));
    }
    assert!(matches!(kept(&ledger, ours(5)), Verdict::Keep(_)));
    followed(&mut ledger, keys(&[], &[]));
    assert_eq!(kept(&ledger, ours(5)), Verdict::Discard);
    assert!(matches!(kept(&ledger, ours(6)), Verdict::Keep(_)));
}

#[test]
fn what_came_since_is_told_as_long_as_all_of_it_is_known() {
    let since = |ledger: &Ledger, revision| {
        let changes = ledger.since(Revision(revision))?;
        Some(
            changes
                .map(|change| change.head.revision.0)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(since(&Ledger::default(), 0), None);
    let mut ledger = at_five();
    assert_eq!(since(&ledger, 1), None);
    assert_eq!(since(&ledger, 2), Some(vec![3, 4, 5]));
    assert_eq!(since(&ledger, 4), Some(vec![5]));
    assert_eq!(since(&ledger, 5), Some(vec![]));
    assert_eq!(since(&ledger, 6), None);
    ledger.observe(&poll(head(9, 91), None, []));
    assert_eq!(since(&ledger, 7), None);
    // Whatever it did.
    assert_eq!(since(&ledger, 8), Some(vec![9]));
}

#[test]
fn a_catalogue_is_kept_until_a_change_touches_it() {
    let mut ledger = Ledger::default();
    let with = |head, catalog| ReadAt {
        catalog,
        ..at(head)
    };
    assert_eq!(ledger.judge_catalog(&at(ours(0))), Verdict::Wait);
    let mut first = poll(ours(5), None, (3..=5).map(ours));
    first.at.catalog = ours(2);
    ledger.observe(&first);
    // Read before the floor, and true since.
    let kept = Verdict::Keep(stamp(1, 5));
    assert_eq!(ledger.judge_catalog(&with(ours(4), ours(2))), kept);
    assert_eq!(ledger.judge_catalog(&with(ours(6), ours(2))), Verdict::Wait);
    assert_eq!(
        ledger.judge_catalog(&with(ours(4), head(2, 21))),
        Verdict::Discard
    );

    let mut second = poll(ours(7), Some(ours(5)), [ours(6), ours(7)]);
    second.at.catalog = ours(6);
    ledger.observe(&second);
    assert_eq!(
        ledger.judge_catalog(&with(ours(5), ours(2))),
        Verdict::Discard
    );
    // True from the change on that made it.
    let kept = Verdict::Keep(stamp(1, 6));
    assert_eq!(ledger.judge_catalog(&with(ours(7), ours(6))), kept);
}

#[test]
fn while_the_feed_catches_up_with_a_change_of_the_catalogue_none_is_kept() {
    let mut ledger = at_five();
    let most = MAX_POLLED as u64;
    let mut part = poll(ours(5 + most + 3), Some(ours(5)), (6..=5 + most).map(ours));
    part.at.catalog = ours(5 + most + 1);
    ledger.observe(&part);
    assert_eq!(ledger.catalog(), None);
    assert_eq!(ledger.judge_catalog(&at(ours(5))), Verdict::Wait);
}
