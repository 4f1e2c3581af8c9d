//! What a change was, for whoever reads the history of changes: before and after, in the shapes
//! of the data file.

mod sides;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::{Account, AccountId, SettingMap};
use crate::store::{Delta, Edit, Edits, StoredPolicy};

use super::shape::{self, Shape};

use sides::{Sides, differing};

pub use subject::history_of;

/// The most bytes that before and after take together as JSON.
pub const MAX_HISTORY_BYTES: usize = 64 * 1024;

/// What `delta` changes, before and after. Both have the same keys.
///
/// `billing_markets`, `locations` and `accounts` are maps by id of the fields that differ; what
/// is created or removed is there whole, and null on the other side. `policies` is a map by
/// partner: in `settings` the features that differ, `billing_markets` whole where it differs,
/// and in `accounts` the own settings of the partner's accounts. Where the change does not say
/// who an account's partner is, its settings are in `account_settings`, by account. A feature
/// that is unset is null.
///
/// Above [`MAX_HISTORY_BYTES`], each kind is the list of the ids that were there before and are
/// there after. Where these are too many too, it is their number, and `truncated` is true.
#[must_use]
pub fn history(delta: &Delta) -> (Value, Value) {
    // The least that one edit takes: a large import need not be written out to be found too long.
    const LEAST_BYTES: usize = 14;
    let whole = may_fit(delta, LEAST_BYTES).then(|| differences(delta));
    let whole = whole.filter(Sides::fit);
    whole.unwrap_or_else(|| shorter(delta)).into()
}

/// The ids alone, or how many they are.
fn shorter(delta: &Delta) -> Sides {
    const LEAST_BYTES: usize = 3;
    let ids = may_fit(delta, LEAST_BYTES).then(|| ids(delta));
    ids.filter(Sides::fit).unwrap_or_else(|| numbers(delta))
}

/// Whether all edits may fit where each takes `least` bytes or more.
fn may_fit(delta: &Delta, least: usize) -> bool {
    delta.counts().total().saturating_mul(least) <= MAX_HISTORY_BYTES
}

fn differences(delta: &Delta) -> Sides {
    let mut sides = Sides::default();
    sides.put_sides("billing_markets", things(&delta.markets, shape::market));
    sides.put_sides("locations", things(&delta.locations, shape::location));
    sides.put_sides("accounts", things(&delta.accounts, shape::account));

    let mut policies: BTreeMap<&AccountId, Policy> = BTreeMap::new();
    for (partner, edit) in &delta.policies {
        policies.insert(partner, Policy::of(edit));
    }
    let mut without_partner = Sides::default();
    for (id, edit) in &delta.account_settings {
        for (partner, before, after) in homes(delta, id, edit) {
            let (before, after) = settings(before, after).into();
            match partner {
                Some(partner) => {
                    let policy = policies.entry(partner).or_default();
                    policy.accounts.put(id.as_str(), before, after);
                }
                None => without_partner.put(id.as_str(), before, after),
            }
        }
    }
    let mut by_partner = Sides::default();
    for (partner, policy) in policies {
        by_partner.put_sides(partner.as_str(), policy.into());
    }
    sides.put_sides("policies", by_partner);
    sides.put_sides("account_settings", without_partner);
    sides
}

/// Things with fields, by id.
fn things<'a, K: ToString + Ord, T>(
    edits: &'a Edits<K, T>,
    shape: impl Fn(&'a T) -> Shape<'a>,
) -> Sides {
    let mut sides = Sides::default();
    for (id, edit) in edits {
        let fields = |side: &'a Option<T>| side.as_ref().map(|thing| fields(&shape(thing)));
        match (fields(&edit.before), fields(&edit.after)) {
            (Some(before), Some(after)) => {
                sides.put_sides(id.to_string(), differing(before, after));
            }
            (before, after) => {
                let object = |side: Option<Map<_, _>>| side.map_or(Value::Null, Value::Object);
                sides.put(id.to_string(), object(before), object(after));
            }
        }
    }
    sides
}

/// The fields of a thing without its id, which it is found by.
fn fields(shape: &Shape<'_>) -> Map<String, Value> {
    let Shape::Map(entries) = shape else {
        return Map::new();
    };
    entries
        .iter()
        .filter(|(key, _)| !matches!(key.as_ref(), "id" | "code"))
        .map(|(key, value)| (key.to_string(), value.to_json()))
        .collect()
}

fn settings(before: Option<&SettingMap>, after: Option<&SettingMap>) -> Sides {
    let json = |side: Option<&SettingMap>| side.map(shape::settings).map(|shape| fields(&shape));
    differing(
        json(before).unwrap_or_default(),
        json(after).unwrap_or_default(),
    )
}

#[derive(Default)]
struct Policy {
    partner_wide: Sides,
    accounts: Sides,
}

impl Policy {
    /// A partner has a policy from the moment that it exists, so none is one that says nothing.
    fn of(edit: &Edit<StoredPolicy>) -> Self {
        let nothing = StoredPolicy::default();
        let before = edit.before.as_ref().unwrap_or(&nothing);
        let after = edit.after.as_ref().unwrap_or(&nothing);
        let mut partner_wide = Sides::default();
        partner_wide.put_sides(
            "settings",
            settings(Some(&before.settings), Some(&after.settings)),
        );
        if before.markets != after.markets {
            partner_wide.put(
                "billing_markets",
                shape::markets(&before.markets).to_json(),
                shape::markets(&after.markets).to_json(),
            );
        }
        Self {
            partner_wide,
            accounts: Sides::default(),
        }
    }
}

impl From<Policy> for Sides {
    fn from(policy: Policy) -> Self {
        let mut sides = policy.partner_wide;
        sides.put_sides("accounts", policy.accounts);
        sides
    }
}

type Home<'a> = (
    Option<&'a AccountId>,
    Option<&'a SettingMap>,
    Option<&'a SettingMap>,
);

/// Under which partner an account's settings were, and under which they are: one place, or two
/// where the account moved.
fn homes<'a>(
    delta: &'a Delta,
    id: &AccountId,
    edit: &'a Edit<SettingMap>,
) -> impl Iterator<Item = Home<'a>> {
    let account = delta.accounts.get(id);
    let partner = |side: fn(&Edit<Account>) -> Option<&Account>| {
        account.and_then(side).and_then(Account::partner)
    };
    let left = partner(|account| account.before.as_ref());
    let joined = partner(|account| account.after.as_ref());
    let (before, after) = (edit.before.as_ref(), edit.after.as_ref());
    let homes = if left == joined {
        [(left, before, after), (left, None, None)]
    } else {
        [(left, before, None), (joined, None, after)]
    };
    homes
        .into_iter()
        .filter(|(_, before, after)| before.is_some() || after.is_some())
}

/// The kinds that change, each with the ids that are there before and after.
fn ids(delta: &Delta) -> Sides {
    let mut sides = Sides::default();
    list(&mut sides, "billing_markets", &delta.markets);
    list(&mut sides, "locations", &delta.locations);
    list(&mut sides, "accounts", &delta.accounts);
    list(&mut sides, "policies", &delta.policies);
    list(&mut sides, "account_settings", &delta.account_settings);
    sides
}

fn list<K: ToString, T>(sides: &mut Sides, key: &str, edits: &Edits<K, T>) {
    if edits.is_empty() {
        return;
    }
    let with = |is_there: fn(&Edit<T>) -> bool| {
        let there = edits.iter().filter(|(_, edit)| is_there(edit));
        there.map(|(id, _)| Value::String(id.to_string())).collect()
    };
    sides.put(
        key,
        with(|edit| edit.before.is_some()),
        with(|edit| edit.after.is_some()),
    );
}

fn numbers(delta: &Delta) -> Sides {
    let mut sides = Sides::default();
    sides.put("truncated", true.into(), true.into());
    number(&mut sides, "billing_markets", &delta.markets);
    number(&mut sides, "locations", &delta.locations);
    number(&mut sides, "accounts", &delta.accounts);
    number(&mut sides, "policies", &delta.policies);
    number(&mut sides, "account_settings", &delta.account_settings);
    sides
}

fn number<K, T>(sides: &mut Sides, key: &str, edits: &Edits<K, T>) {
    if edits.is_empty() {
        return;
    }
    let before = edits.values().filter(|edit| edit.before.is_some()).count();
    let after = edits.values().filter(|edit| edit.after.is_some()).count();
    sides.put(key, before.into(), after.into());
}
