//! A store that is all there is to know of: one managed account, its partner's policy, every history
//! that there ever was, and a clock that goes on by one with each thing that happens.

use std::sync::Arc;

use crate::clock::Moment;
use crate::directory::{Entry, Profile};
use crate::domain::{
    Account, AccountId, AccountKind, AccountProfile, ChangeId, Head, MarketCode, PartnerPolicy,
    Revision, Settings, SupportProvider,
};
use crate::store::{ChangeEntry, ChangeSubject, ChangedKeys, Poll, ReadAt};

/// What a change touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touches {
    Account,
    Policy,
    Both,
    /// Both, and says that it was more than can be named.
    Everything,
}

impl Touches {
    fn keys(self) -> ChangedKeys {
        let id = |is_touched: bool, id: AccountId| is_touched.then_some(id).into_iter().collect();
        match self {
            Self::Everything => ChangedKeys::Everything,
            Self::Account | Self::Policy | Self::Both => ChangedKeys::Named {
                accounts: id(self != Self::Policy, account()),
                partners: id(self != Self::Account, partner()),
                catalog: false,
            },
        }
    }
}

/// A change as it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    head: Head,
    touches: Touches,
    pub(super) at: u64,
}

/// Which change made the account what it is, and which the policy.
pub(super) type State = (u128, u128);

/// Every history there was; the last is the present one.
#[derive(Debug)]
pub(super) struct ModelStore {
    now: u64,
    last_change: u128,
    histories: Vec<History>,
}

#[derive(Debug, Clone)]
struct History {
    /// From when on it was the present one.
    since: u64,
    /// Revision n at place n.
    changes: Vec<Made>,
}

pub(super) fn account() -> AccountId {
    id("m")
}

pub(super) fn partner() -> AccountId {
    id("p")
}

fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

impl ModelStore {
    pub(super) fn new() -> Self {
        let head = Head {
            revision: Revision(0),
            change: ChangeId(1),
        };
        let genesis = Made {
            head,
            touches: Touches::Everything,
            at: 1,
        };
        Self {
            now: 1,
            last_change: 1,
            histories: vec![History {
                since: 1,
                changes: vec![genesis],
            }],
        }
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, by: u64) -> u64 {
        self.now += by;
        self.now
    }

    pub(super) fn moment(&mut self) -> Moment {
        Moment::from_nanos(self.advance(1)).unwrap()
    }

    fn present(&self) -> &[Made] {
        &self.histories[self.history()].changes
    }

    /// The number of the present history.
    pub(super) fn history(&self) -> usize {
        self.histories.len() - 1
    }

    pub(super) fn change(&mut self, touches: Touches) {
        let (at, revision) = (self.advance(1), self.present().len() as u64);
        self.last_change += 1;
        let head = Head {
            revision: Revision(revision),
            change: ChangeId(self.last_change),
        };
        let present = self.histories.last_mut().unwrap();
        present.changes.push(Made { head, touches, at });
    }

    /// A standby becomes the primary that had not received the last `lost` changes.
    pub(super) fn fail_over(&mut self, lost: usize) {
        let mut changes = self.present().to_vec();
        changes.truncate((changes.len() - lost).max(1));
        let since = self.advance(1);
        self.histories.push(History { since, changes });
    }

    fn read_at(&self) -> ReadAt {
        ReadAt {
            head: self.present().last().unwrap().head,
            catalog: self.present()[0].head,
            primary: true,
        }
    }

    /// What a load reads: one snapshot.
    pub(super) fn load(&mut self) -> (ReadAt, Entry) {
        self.advance(1);
        let read = self.read_at();
        let state = self.state(self.history(), read.head.revision).unwrap();
        (read, entry(state))
    }

    pub(super) fn poll(&mut self, seen: Option<Head>) -> Poll {
        self.advance(1);
        let changes = self.present();
        let place = |revision: Revision| usize::try_from(revision.0).unwrap();
        let first = seen.map_or(1, |seen| place(seen.revision) + 1);
        let entry = |made: &Made| ChangeEntry {
            head: made.head,
            subject: ChangeSubject::Account(account()),
            keys: made.touches.keys(),
        };
        Poll {
            at: self.read_at(),
            seen: seen.and_then(|seen| Some(changes.get(place(seen.revision))?.head.change)),
            changes: changes.iter().skip(first).map(entry).collect(),
            matrix_changes: 0,
            matrix_changed_at: None,
        }
    }

    /// What was true at a revision of a history, if it has one.
    pub(super) fn state(&self, history: usize, revision: Revision) -> Option<State> {
        let changes = &self.histories[history].changes;
        let made = changes.get(..=usize::try_from(revision.0).unwrap())?;
        let last = |touched: fn(&&Made) -> bool| {
            let last = made.iter().rev().find(touched);
            last.map(|made| made.head.change.0)
        };
        Some((
            last(|made| made.touches != Touches::Policy)?,
            last(|made| made.touches != Touches::Account)?,
        ))
    }

    /// The last revision that was made in `history` before `instant`; none where another history had
    /// taken its place by then.
    pub(super) fn made_before(&self, history: usize, instant: u64) -> Option<Revision> {
        let replaced = self.histories.get(history + 1);
        if replaced.is_some_and(|next| next.since < instant) {
            return None;
        }
        let changes = &self.histories[history].changes;
        let before = changes.partition_point(|made| made.at < instant) as u64;
        Some(Revision(before.saturating_sub(1)))
    }
}

/// The account and the policy in a state, each saying which change made it.
fn entry((account_change, policy_change): State) -> Entry {
    let profile = AccountProfile {
        account: Account {
            id: account(),
            kind: AccountKind::Managed {
                partner: partner(),
                support: SupportProvider::Partner,
            },
            display_name: account_change.to_string(),
        },
        settings: Settings::NONE,
    };
    let code = MarketCode::try_from(format!("V{policy_change}").as_str()).unwrap();
    let policy = PartnerPolicy {
        settings: Settings::NONE,
        markets: [code].into_iter().collect(),
    };
    Entry::new(Profile::loaded(profile), Some(Arc::new(policy)))
}

/// The state that an entry is of; its halves may be of two.
pub(super) fn state_of(entry: &Entry, at_most: u128) -> State {
    let Entry::Known {
        profile,
        policy: Some(policy),
    } = entry
    else {
        panic!("not what is stored: {entry:?}");
    };
    let of_policy = |change: &u128| {
        let code = MarketCode::try_from(format!("V{change}").as_str()).unwrap();
        policy.markets.contains(code)
    };
    let account_change = profile.account.display_name.parse().unwrap();
    (account_change, (1..=at_most).rev().find(of_policy).unwrap())
}

impl ModelStore {
    pub(super) fn last_change(&self) -> u128 {
        self.last_change
    }
}
