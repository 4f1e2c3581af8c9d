//! The entry of a change in the history, as both stores make it, before it has a revision.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::datafile;
use crate::domain::{Account, AccountId};

use super::{ChangeSubject, ChangedKeys, Delta, State};

/// Who makes a change, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct By {
    /// Who wants it.
    pub actor: String,
    /// Who called; empty for an import.
    pub caller: String,
    /// Why; may be empty.
    pub comment: String,
}

/// What the history and the feed will say of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeDraft {
    /// Who makes it, and why.
    pub by: By,
    /// What it is a change of.
    pub subject: ChangeSubject,
    /// What caches have to forget.
    pub keys: ChangedKeys,
    /// The partners in whose history it is, imports aside: whose policy it changes, and who managed
    /// the account before or after.
    pub partners: BTreeSet<AccountId>,
    /// What differs, as it was; null where nothing was.
    pub before: Value,
    /// What differs, as it will be; null where nothing will be.
    pub after: Value,
}

impl ChangeDraft {
    /// The entry for `delta`, a change of `subject` that is made to `state`.
    #[must_use]
    pub fn new(state: &State, delta: &Delta, subject: ChangeSubject, by: By) -> Self {
        let (before, after) = datafile::history_of(delta, &subject);
        Self {
            by,
            keys: delta.changed_keys(),
            partners: partners(state, delta, &subject),
            subject,
            before,
            after,
        }
    }
}

fn partners(state: &State, delta: &Delta, subject: &ChangeSubject) -> BTreeSet<AccountId> {
    let account = match subject {
        ChangeSubject::Partner(partner) => return [partner.clone()].into(),
        ChangeSubject::Account(account) => account,
        ChangeSubject::Catalog | ChangeSubject::Everything => return BTreeSet::new(),
    };
    let before = state.accounts.get(account);
    let after = delta
        .accounts
        .get(account)
        .and_then(|edit| edit.after.as_ref());
    let managing = before.into_iter().chain(after).filter_map(Account::partner);
    managing.chain(delta.policies.keys()).cloned().collect()
}
