//! The port of PolicyService: writes, and the reads that tell what is stored. They go to the store
//! itself, never to a cache.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::{Account, AccountId, FeatureKey, Revision, Setting};

use super::{ChangeSubject, Reading, Scope, StoreError, WriteError, WriteRequest, Written};

/// A store as those see it who look after what is in it.
#[async_trait]
pub trait PolicyStore: Send + Sync + std::fmt::Debug {
    /// Writes, in one transaction and as one revision, or as none where nothing changes. It runs to
    /// its end whether the caller waits for it or not.
    ///
    /// INVARIANT(written-whole): what is answered with [`Written`] is there and stays; anything else
    /// is there whole or not at all, and only [`WriteError::OutcomeUnknown`] leaves open which.
    ///
    /// # Errors
    /// [`WriteError`].
    async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError>;

    /// Reads what is in `scope`, from one snapshot.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn read(&self, scope: &Scope) -> Result<Reading, StoreError>;

    /// Reads accounts in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError>;

    /// Reads the history, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError>;

    /// Reads one account with the change behind each setting that concerns it, from one snapshot.
    /// None where there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError>;
}

/// A page of a listing of accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountsPage {
    /// The accounts that this partner manages; else all.
    pub partner: Option<AccountId>,
    /// Where to go on: after this id.
    pub after: Option<AccountId>,
    /// The most to read.
    pub limit: usize,
}

/// A page of the history. Of several conditions one is enough; without one, all changes are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangesPage {
    /// Changes of this partner's policy and of accounts that it managed before or after, and imports.
    pub partner: Option<AccountId>,
    /// Changes of this account or its settings, and imports that touched it or too much to name.
    pub account: Option<AccountId>,
    /// Changes after this revision.
    pub after: Revision,
    /// The most to read.
    pub limit: usize,
    /// The most bytes of before and after to read: at least one change is read, whatever its size.
    pub limit_bytes: usize,
}

/// One change, as the history tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRecord {
    /// Its revision.
    pub revision: Revision,
    /// When it was made, by the store's clock.
    pub committed_at: SystemTime,
    /// Who wanted it.
    pub actor: String,
    /// Who called; empty for an import.
    pub caller: String,
    /// Why; may be empty.
    pub comment: String,
    /// What it was a change of.
    pub subject: ChangeSubject,
    /// What differs, as it was before, in the shapes of the data file; null where nothing was.
    pub before: Value,
    /// What differs, as it is after; null where nothing is.
    pub after: Value,
}

/// One account, and where what is set for it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTrace {
    /// The state that was read.
    pub revision: Revision,
    /// The account.
    pub account: Account,
    /// Its own settings.
    pub own: BTreeMap<FeatureKey, SettingOrigin>,
    /// Its partner's; none where it has no partner, or one that is none.
    pub partner: Option<BTreeMap<FeatureKey, SettingOrigin>>,
}

/// A setting, and the change that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingOrigin {
    /// What is set.
    pub setting: Setting,
    /// The revision of the change.
    pub revision: Revision,
    /// When it was made, by the store's clock.
    pub committed_at: SystemTime,
    /// Who wanted it.
    pub actor: String,
    /// Why; may be empty.
    pub comment: String,
}
