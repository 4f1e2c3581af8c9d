//! The caches: policies, accounts and the catalogue, never decisions. Every entry carries the
//! stamp of the snapshot that it was read from.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use moka::sync::Cache;

use crate::domain::{AccountId, AccountProfile, Catalog, Head, PartnerPolicy};
use crate::store::ChangedKeys;

use super::ledger::Vouched;
use super::profile::{CachedAccount, CachedUnknown, Profile};
use super::recent::Recent;
use super::shortcut::Shortcut;
use super::stamp::Stamp;
use super::view::View;
use super::{DirectoryConfig, Entry};

/// A value with the stamp of the snapshot that it was read from.
#[derive(Debug, Clone)]
pub(super) struct Kept<T> {
    pub(super) value: T,
    pub(super) loaded_at: Stamp,
}

/// A policy, and the way to it that the accounts of its partner have.
#[derive(Debug, Clone)]
struct CachedPolicy {
    policy: Arc<PartnerPolicy>,
    loaded_at: Stamp,
    shortcut: Arc<Shortcut>,
}

/// An account's policy is not cached, or not true at the view.
struct Missing;

/// The catalogue with the change that made it.
#[derive(Debug, Clone)]
pub(super) struct VersionedCatalog {
    pub(super) version: Head,
    pub(super) catalog: Arc<Catalog>,
}

/// Where an account was looked for, and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Among the accounts; it has no partner.
    Account,
    /// Among the accounts, and its partner's policy too.
    AccountAndPolicy,
    /// Among the accounts, but not the policy that it needs.
    AccountAlone,
    /// Among the ids of no account.
    Unknown,
    /// Nowhere.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Caches {
    /// Every call reads one, of up to a million. `benches/src/caches.rs` compares what there is: a
    /// read of moka, which writes down each, takes five times as long, and its entries two and a half
    /// times the memory; quick_cache takes one step more to an entry, half as long again, and 60
    /// bytes more for it, and divides the bound among its shards, so that it drops entries before it
    /// is full; papaya has no bound. Where not all fits, each finds about as much.
    accounts: Recent<Arc<CachedAccount>>,
    /// Ids of no account: in a bound of their own, so that a flood of them evicts no account.
    unknown: Recent<CachedUnknown>,
    /// Some thousands, each of many accounts: what is dropped is weighed against what is taken. A
    /// read, which costs more than all else that a check does, is saved by the shortcut as long as
    /// nothing changes.
    policies: Cache<AccountId, CachedPolicy>,
    /// One whole catalogue, swapped whole.
    catalog: ArcSwapOption<Kept<VersionedCatalog>>,
}

impl Caches {
    pub(super) fn new(config: &DirectoryConfig) -> Self {
        Self {
            accounts: Recent::new(bound(config.max_cached_accounts)),
            unknown: Recent::new(bound(config.max_cached_unknown)),
            policies: Cache::new(config.max_cached_partners),
            catalog: ArcSwapOption::empty(),
        }
    }

    /// What is known of `id` at `view`.
    pub(super) fn entry(&self, view: &View, id: &AccountId) -> Option<Entry> {
        self.look_up(view, id).0
    }

    /// The same, and in which caches it was found. `None` is a miss, also where only the policy is
    /// missing: an account that was loaded is never judged by a policy that was cached, nor the
    /// reverse.
    pub(super) fn look_up(&self, view: &View, id: &AccountId) -> (Option<Entry>, Lookup) {
        let accept = |account: &Arc<CachedAccount>| {
            let is_true = view.accepts(account.loaded_at);
            is_true.then(|| Arc::clone(account))
        };
        let Some(account) = self.accounts.read(id.as_str(), accept).flatten() else {
            let accept = |unknown: &CachedUnknown| view.accepts(unknown.loaded_at);
            return match self.unknown.read(id.as_str(), accept) {
                Some(true) => (Some(Entry::Unknown), Lookup::Unknown),
                Some(false) | None => (None, Lookup::Nothing),
            };
        };
        match self.policy(view, &account) {
            Ok(policy) => {
                let lookup = match policy {
                    Some(_) => Lookup::AccountAndPolicy,
                    None => Lookup::Account,
                };
                let entry = Entry::new(Profile::cached(account), policy);
                (Some(entry), lookup)
            }
            Err(Missing) => (None, Lookup::AccountAlone),
        }
    }

    /// The policy of the account's partner at `view`; none where it has no partner.
    fn policy(
        &self,
        view: &View,
        account: &CachedAccount,
    ) -> Result<Option<Arc<PartnerPolicy>>, Missing> {
        let (Some(partner), Some(shortcut)) = (
            account.profile.account.partner(),
            account.shortcut.as_deref(),
        ) else {
            return Ok(None);
        };
        if let Some(policy) = shortcut.policy(view) {
            return Ok(Some(policy));
        }
        let cached = self.policies.get(partner);
        let cached = cached.filter(|cached| view.accepts(cached.loaded_at));
        let CachedPolicy { policy, .. } = cached.ok_or(Missing)?;
        shortcut.note(view, &policy);
        Ok(Some(policy))
    }

    /// How many accounts, policies and ids of no account there are, and whether a catalogue.
    pub(super) fn entries(&self) -> [u64; 4] {
        // What was inserted or dropped shows in a count of moka's once it was looked after.
        self.policies.run_pending_tasks();
        let count = |entries: usize| u64::try_from(entries).unwrap_or(u64::MAX);
        [
            count(self.accounts.len()),
            self.policies.entry_count(),
            count(self.unknown.len()),
            u64::from(self.catalog.load().is_some()),
        ]
    }

    pub(super) fn catalog(&self) -> Option<Arc<Kept<VersionedCatalog>>> {
        self.catalog.load_full()
    }

    /// Fills the caches with what a load found for `id`, as far as the ledger vouches for it: the
    /// account and the policy each by itself. Says whether it vouches for all of it. What is
    /// inconsistent is an error, and errors are never cached.
    pub(super) fn keep(&self, id: &AccountId, entry: &Entry, vouched: &Vouched<'_>) -> bool {
        let loaded_at = vouched.stamp;
        let is_account_true = vouched.account(id);
        match entry {
            Entry::Known { profile, policy } => {
                let mut is_policy_true = true;
                let mut shortcut = None;
                if let (Some(partner), Some(policy)) = (profile.account.partner(), policy) {
                    let way = self.shortcut(partner);
                    is_policy_true = vouched.policy(partner);
                    if is_policy_true {
                        let cached = CachedPolicy {
                            policy: Arc::clone(policy),
                            loaded_at,
                            shortcut: Arc::clone(&way),
                        };
                        self.policies.insert(partner.clone(), cached);
                    }
                    shortcut = Some(way);
                }
                if is_account_true {
                    let profile = AccountProfile::clone(profile);
                    let account = CachedAccount::new(profile, loaded_at, shortcut);
                    self.accounts.insert(Arc::new(account));
                }
                is_account_true && is_policy_true
            }
            Entry::Unknown => {
                if is_account_true {
                    self.unknown
                        .insert(CachedUnknown::new(id.clone(), loaded_at));
                }
                is_account_true
            }
            // What makes it so may be in an account that is not named here.
            Entry::Inconsistent => vouched.all(),
        }
    }

    /// The shortcut of a partner: that which the accounts that are cached have, if its policy is.
    fn shortcut(&self, partner: &AccountId) -> Arc<Shortcut> {
        let cached = self.policies.get(partner);
        cached.map_or_else(Arc::default, |cached| cached.shortcut)
    }

    pub(super) fn keep_catalog(&self, catalog: VersionedCatalog, loaded_at: Stamp) {
        self.catalog.store(Some(Arc::new(Kept {
            value: catalog,
            loaded_at,
        })));
    }

    /// Drops what a change made wrong. The catalogue is for [`Caches::settle_catalog`].
    pub(super) fn forget(&self, keys: &ChangedKeys) {
        match keys {
            ChangedKeys::Named {
                accounts, partners, ..
            } => {
                for id in accounts {
                    self.accounts.remove(id.as_str());
                    self.unknown.remove(id.as_str());
                }
                for partner in partners {
                    self.policies.invalidate(partner);
                }
            }
            ChangedKeys::Everything => {
                self.accounts.clear();
                self.unknown.clear();
                self.policies.invalidate_all();
            }
        }
    }

    /// Drops the catalogue unless it is the `current` one: then no change touched it, whatever was
    /// said of the change, and it is as good at `floor`.
    pub(super) fn settle_catalog(&self, current: Option<Head>, floor: Stamp) {
        match self.catalog.load_full() {
            Some(kept) if Some(kept.value.version) != current => self.catalog.store(None),
            Some(kept) if kept.loaded_at < floor => self.keep_catalog(kept.value.clone(), floor),
            Some(_) | None => {}
        }
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        self.forget(&ChangedKeys::Everything);
        self.catalog.store(None);
    }
}

/// As many entries as may be, on a machine that could not hold as many as that.
fn bound(entries: u64) -> usize {
    usize::try_from(entries).unwrap_or(usize::MAX)
}
