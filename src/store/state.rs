//! The whole of what is kept, as values: what the memory store holds, and what an export reads.

use std::collections::BTreeMap;

use crate::domain::{
    Account, AccountId, BillingMarket, Location, LocationId, MarketCode, SettingMap,
};

use super::{Delta, Edits, MarketSet};

/// Everything that is kept, or a part of it that is closed under what it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Billing markets by code.
    pub markets: BTreeMap<MarketCode, BillingMarket>,
    /// Locations by id.
    pub locations: BTreeMap<LocationId, Location>,
    /// Accounts by id.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Partners' policies by partner. A partner without one has set nothing.
    pub policies: BTreeMap<AccountId, StoredPolicy>,
    /// Accounts' own settings by account; none is empty.
    pub account_settings: BTreeMap<AccountId, SettingMap>,
}

impl State {
    /// Drops what says nothing. A policy without a choice and no policy are the same thing, and so
    /// are settings without one: so that writing either over the other changes nothing, neither is
    /// kept.
    pub fn drop_empty(&mut self) {
        self.policies.retain(|_, policy| !policy.is_empty());
        self.account_settings
            .retain(|_, settings| !settings.is_empty());
    }

    /// Makes the edits of `delta`.
    pub fn apply(&mut self, delta: Delta) {
        apply(&mut self.markets, delta.markets);
        apply(&mut self.locations, delta.locations);
        apply(&mut self.accounts, delta.accounts);
        apply(&mut self.policies, delta.policies);
        apply(&mut self.account_settings, delta.account_settings);
    }
}

fn apply<K: Ord, T>(map: &mut BTreeMap<K, T>, edits: Edits<K, T>) {
    for (key, edit) in edits {
        match edit.after {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

/// A partner's policy as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Partner-wide settings.
    pub settings: SettingMap,
    /// Enabled markets, by code.
    pub markets: MarketSet,
}

impl StoredPolicy {
    /// Whether it says nothing, as the policy of a new partner.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.markets.is_empty()
    }
}
