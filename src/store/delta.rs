//! The difference between two states: what a write really changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, Location, LocationId, MarketCode, SettingMap,
};

use super::{Counts, State, StoredPolicy};

/// The most keys that a change names; a larger one touches "everything".
pub const MAX_CHANGED_KEYS: usize = 1_000;

/// One thing before and after; never equal, never both absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit<T> {
    /// What was there.
    pub before: Option<T>,
    /// What is there now.
    pub after: Option<T>,
}

/// Edits by key.
pub type Edits<K, T> = BTreeMap<K, Edit<T>>;

/// What a write changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Billing markets.
    pub markets: Edits<MarketCode, BillingMarket>,
    /// Locations.
    pub locations: Edits<LocationId, Location>,
    /// Accounts.
    pub accounts: Edits<AccountId, Account>,
    /// Partners' policies.
    pub policies: Edits<AccountId, StoredPolicy>,
    /// Accounts' own settings.
    pub account_settings: Edits<AccountId, SettingMap>,
}

/// The cached things that a change makes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedKeys {
    /// These alone.
    Named {
        /// Accounts: themselves or their own settings.
        accounts: BTreeSet<AccountId>,
        /// Partners, whose policy every managed account of theirs is judged by.
        partners: BTreeSet<AccountId>,
        /// Whether markets or locations changed.
        catalog: bool,
    },
    /// More than [`MAX_CHANGED_KEYS`].
    Everything,
}

impl Delta {
    /// What leads from `before` to `after`.
    #[must_use]
    pub fn between(before: &State, after: &State) -> Self {
        Self {
            markets: edits(&before.markets, &after.markets),
            locations: edits(&before.locations, &after.locations),
            accounts: edits(&before.accounts, &after.accounts),
            policies: edits(&before.policies, &after.policies),
            account_settings: edits(&before.account_settings, &after.account_settings),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts().total() == 0
    }

    /// How much changes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            markets: self.markets.len(),
            locations: self.locations.len(),
            accounts: self.accounts.len(),
            policies: self.policies.len(),
            account_settings: self.account_settings.len(),
        }
    }

    /// Whether markets or locations change.
    #[must_use]
    pub fn touches_catalog(&self) -> bool {
        !self.markets.is_empty() || !self.locations.is_empty()
    }

    /// What caches have to forget. An account that is or was a partner is named as both.
    #[must_use]
    pub fn changed_keys(&self) -> ChangedKeys {
        let is_partner = |account: &Account| matches!(account.kind, AccountKind::Partner);
        let partner_edits = self
            .accounts
            .iter()
            .filter(|(_, edit)| edit.before.iter().chain(&edit.after).any(is_partner));
        let partners: BTreeSet<_> = partner_edits
            .map(|(id, _)| id)
            .chain(self.policies.keys())
            .cloned()
            .collect();
        let accounts: BTreeSet<_> = self
            .accounts
            .keys()
            .chain(self.account_settings.keys())
            .cloned()
            .collect();
        if accounts.len() + partners.len() > MAX_CHANGED_KEYS {
            return ChangedKeys::Everything;
        }
        ChangedKeys::Named {
            accounts,
            partners,
            catalog: self.touches_catalog(),
        }
    }
}

fn edits<K: Ord + Clone, T: PartialEq + Clone>(
    before: &BTreeMap<K, T>,
    after: &BTreeMap<K, T>,
) -> Edits<K, T> {
    let gone = before.iter().filter(|(key, _)| !after.contains_key(key));
    let gone = gone.map(|(key, old)| {
        (
            key.clone(),
            Edit {
                before: Some(old.clone()),
                after: None,
            },
        )
    });
    let put = after.iter().filter_map(|(key, new)| {
        let old = before.get(key);
        (old != Some(new)).then(|| {
            (
                key.clone(),
                Edit {
                    before: old.cloned(),
                    after: Some(new.clone()),
                },
            )
        })
    });
    gone.chain(put).collect()
}
