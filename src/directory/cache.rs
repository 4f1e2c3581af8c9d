//! The caches: policies, accounts and the catalogue, never decisions. Every entry carries the
//! stamp of the snapshot that it was read from.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use moka::sync::Cache;

use crate::domain::{AccountId, AccountProfile, Catalog, Head, PartnerPolicy};

use super::stamp::Stamp;
use super::view::View;
use super::{DirectoryConfig, Entry};

/// A value with the stamp of the snapshot that it was read from.
#[derive(Debug, Clone)]
pub(super) struct Kept<T> {
    pub(super) value: T,
    pub(super) loaded_at: Stamp,
}

/// The catalogue with the change that made it.
#[derive(Debug, Clone)]
pub(super) struct VersionedCatalog {
    pub(super) version: Head,
    pub(super) catalog: Arc<Catalog>,
}

#[derive(Debug)]
pub(super) struct Caches {
    accounts: Cache<AccountId, Kept<Arc<AccountProfile>>>,
    /// Ids of no account: in a bound of their own, so that a flood of them evicts no account.
    unknown: Cache<AccountId, Kept<()>>,
    policies: Cache<AccountId, Kept<Arc<PartnerPolicy>>>,
    /// One whole catalogue, swapped whole.
    catalog: ArcSwapOption<Kept<VersionedCatalog>>,
}

impl Caches {
    pub(super) fn new(config: &DirectoryConfig) -> Self {
        Self {
            accounts: Cache::new(config.max_cached_accounts),
            unknown: Cache::new(config.max_cached_unknown),
            policies: Cache::new(config.max_cached_partners),
            catalog: ArcSwapOption::empty(),
        }
    }

    /// What is known of `id` at `view`; `None` is a miss, also where only the policy is missing:
    /// an account that was loaded is never judged by a policy that was cached, nor the reverse.
    pub(super) fn entry(&self, view: &View, id: &AccountId) -> Option<Entry> {
        let Some(account) = self
            .accounts
            .get(id)
            .filter(|kept| view.accepts(kept.loaded_at))
        else {
            return self
                .unknown
                .get(id)
                .filter(|kept| view.accepts(kept.loaded_at))
                .map(|_| Entry::Unknown);
        };
        let policy = match account.value.account.partner() {
            Some(partner) => Some(
                self.policies
                    .get(partner)
                    .filter(|policy| view.accepts(policy.loaded_at))?
                    .value,
            ),
            None => None,
        };
        Some(Entry::new(account.value, policy))
    }

    pub(super) fn catalog(&self) -> Option<Arc<Kept<VersionedCatalog>>> {
        self.catalog.load_full()
    }

    /// Fills the caches with what a load found for `id`. What is inconsistent is an error, and
    /// errors are never cached.
    pub(super) fn keep(&self, id: &AccountId, entry: &Entry, loaded_at: Stamp) {
        match entry {
            Entry::Known { profile, policy } => {
                if let (Some(partner), Some(policy)) = (profile.account.partner(), policy) {
                    self.policies.insert(
                        partner.clone(),
                        Kept {
                            value: Arc::clone(policy),
                            loaded_at,
                        },
                    );
                }
                self.accounts.insert(
                    id.clone(),
                    Kept {
                        value: Arc::clone(profile),
                        loaded_at,
                    },
                );
            }
            Entry::Unknown => self.unknown.insert(
                id.clone(),
                Kept {
                    value: (),
                    loaded_at,
                },
            ),
            Entry::Inconsistent => {}
        }
    }

    pub(super) fn keep_catalog(&self, catalog: VersionedCatalog, loaded_at: Stamp) {
        self.catalog.store(Some(Arc::new(Kept {
            value: catalog,
            loaded_at,
        })));
    }

    /// Drops every account and policy, and the catalogue unless it is still `current`: then its
    /// stamp is raised instead, for the poll showed that no change up to `stamp` touched it.
    pub(super) fn forget(&self, current: Option<Head>, stamp: Stamp) {
        self.accounts.invalidate_all();
        self.unknown.invalidate_all();
        self.policies.invalidate_all();
        match self.catalog.load_full() {
            Some(kept) if Some(kept.value.version) == current => {
                self.keep_catalog(kept.value.clone(), stamp)
            }
            Some(_) => self.catalog.store(None),
            None => {}
        }
    }
}
