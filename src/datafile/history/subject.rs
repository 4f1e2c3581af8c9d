//! What a change of one subject was: its own fields, not a map of things by id.

use serde_json::Value;

use crate::domain::AccountId;
use crate::store::{ChangeSubject, Delta};

use super::sides::{Sides, differing};
use super::{Policy, fields, history, settings, shape, shorter};

/// What `delta`, a change of `subject`, changes, before and after.
///
/// A partner's policy is `settings` with the features that differ, and `billing_markets` whole
/// where it differs. An account is the fields that differ, `settings` with those of its own that
/// do, and `policy` where it stopped being a partner; null where it is created or deleted. The
/// catalogue and imports are told as by [`history`], and so is what is too long.
#[must_use]
pub fn history_of(delta: &Delta, subject: &ChangeSubject) -> (Value, Value) {
    let sides = match subject {
        ChangeSubject::Partner(partner) => partners(delta, partner),
        ChangeSubject::Account(account) => accounts(delta, account),
        ChangeSubject::Catalog | ChangeSubject::Everything => return history(delta),
    };
    if !sides.fit() {
        return shorter(delta).into();
    }
    let (was, is) = presence(delta, subject);
    let (before, after) = sides.into();
    let told = |side: Value, there: bool| if there { side } else { Value::Null };
    (told(before, was), told(after, is))
}

/// Whether the subject is there before and after. A partner has a policy for as long as it exists.
fn presence(delta: &Delta, subject: &ChangeSubject) -> (bool, bool) {
    let edit = match subject {
        ChangeSubject::Account(account) => delta.accounts.get(account),
        ChangeSubject::Partner(_) | ChangeSubject::Catalog | ChangeSubject::Everything => None,
    };
    edit.map_or((true, true), |edit| {
        (edit.before.is_some(), edit.after.is_some())
    })
}

fn partners(delta: &Delta, partner: &AccountId) -> Sides {
    delta
        .policies
        .get(partner)
        .map(|edit| Policy::of(edit).into())
        .unwrap_or_default()
}

fn accounts(delta: &Delta, account: &AccountId) -> Sides {
    let mut sides = match delta.accounts.get(account) {
        None => Sides::default(),
        Some(edit) => {
            let [before, after] = [&edit.before, &edit.after].map(|side| {
                let fields = side
                    .as_ref()
                    .map(|account| fields(&shape::account(account)));
                fields.unwrap_or_default()
            });
            differing(before, after)
        }
    };
    if let Some(edit) = delta.account_settings.get(account) {
        let own = settings(edit.before.as_ref(), edit.after.as_ref());
        sides.put_sides("settings", own);
    }
    sides.put_sides("policy", partners(delta, account));
    sides
}
