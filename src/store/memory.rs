//! A store in memory: complete, and gone with the process. It serves the embedded default, a data
//! file given with `--data`, and tests.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::{AccountId, AccountKind, ChangeId, Head, Markets, Revision};

use super::{
    AccountRecord, CatalogSnapshot, Import, ImportError, ImportOutcome, ImportProgress, Poll,
    ReadAt, Snapshot, State, Store, StoreError, plan,
};

/// Policies in memory.
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

/// Says how much there is, not all of it.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("MemoryStore")
            .field("revision", &inner.head().revision)
            .field("accounts", &inner.state.accounts.len())
            .finish_non_exhaustive()
    }
}

struct Inner {
    state: State,
    /// The ids of all changes: that of revision n at place n.
    changes: Vec<ChangeId>,
    catalog: Head,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let genesis = Head {
            revision: Revision(0),
            change: new_change(),
        };
        let inner = Inner {
            state: State::default(),
            changes: vec![genesis.change],
            catalog: genesis,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }
}

fn new_change() -> ChangeId {
    ChangeId(Uuid::new_v4().as_u128())
}

impl MemoryStore {
    /// No step under the lock leaves the state half changed, so a panic elsewhere poisons nothing.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn head(&self) -> Head {
        // The genesis change is always there.
        let last = self.changes.last().copied().unwrap_or(self.catalog.change);
        Head {
            revision: Revision(self.changes.len().saturating_sub(1) as u64),
            change: last,
        }
    }

    fn read_at(&self) -> ReadAt {
        ReadAt {
            head: self.head(),
            catalog: self.catalog,
            primary: true,
        }
    }

    fn record(&self, id: &AccountId) -> Option<(AccountId, AccountRecord)> {
        let account = self.state.accounts.get(id)?.clone();
        let settings = self
            .state
            .account_settings
            .get(id)
            .cloned()
            .unwrap_or_default();
        Some((id.clone(), AccountRecord::Sound { account, settings }))
    }

    fn is_partner(&self, id: &AccountId) -> bool {
        self.state
            .accounts
            .get(id)
            .is_some_and(|account| matches!(account.kind, AccountKind::Partner))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError> {
        let inner = self.lock();
        let partners = accounts
            .iter()
            .filter_map(|id| inner.state.accounts.get(id)?.partner());
        let policies = partners
            .filter(|id| inner.is_partner(id))
            .map(|id| {
                (
                    id.clone(),
                    inner.state.policies.get(id).cloned().unwrap_or_default(),
                )
            })
            .collect();
        let accounts = accounts.iter().filter_map(|id| inner.record(id)).collect();
        Ok(Snapshot {
            at: inner.read_at(),
            accounts,
            policies,
        })
    }

    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError> {
        let inner = self.lock();
        let markets =
            Markets::new(inner.state.markets.clone()).map_err(|conflict| StoreError::Broken {
                what: "billing markets that cannot stand together".to_owned(),
                source: Some(conflict.into()),
            })?;
        let locations = inner.state.locations.values().cloned().collect();
        Ok(CatalogSnapshot {
            at: inner.read_at(),
            markets,
            locations,
        })
    }

    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError> {
        let inner = self.lock();
        let place = seen.and_then(|seen| usize::try_from(seen.revision.0).ok());
        let seen = place.and_then(|place| inner.changes.get(place).copied());
        Ok(Poll {
            at: inner.read_at(),
            seen,
        })
    }

    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError> {
        progress(ImportProgress::Planning);
        let mut inner = self.lock();
        let delta = plan(&inner.state, import)?;
        let changed = delta.counts();
        if !delta.is_empty() {
            let touches_catalog = delta.touches_catalog();
            inner.state.apply(delta);
            inner.changes.push(new_change());
            if touches_catalog {
                inner.catalog = inner.head();
            }
        }
        Ok(ImportOutcome {
            revision: inner.head().revision,
            changed,
        })
    }

    async fn export(&self) -> Result<State, StoreError> {
        Ok(self.lock().state.clone())
    }
}
