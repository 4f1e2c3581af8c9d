//! The port to where policies are kept: what a decision needs, what a write is, and how a change
//! is noticed.
//!
//! The adapters are [`memory`] and [`postgres`]; one contract suite runs over both
//! (`tests/store_contract.rs`). [`measured`] is around either. This module knows the domain and nothing else.

mod change;
mod condition;
mod delta;
mod draft;
mod error;
mod import;
mod matrix_digest;
pub mod measured;
pub mod memory;
mod plan;
mod plan_write;
mod policies;
pub mod postgres;
mod scope;
mod state;
mod write;

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::domain::{
    Account, AccountId, ChangeId, Head, Location, MarketCode, Markets, Revision, SettingMap,
};

pub use change::{ChangeEntry, ChangeSubject, MAX_POLLED};
pub use condition::{Condition, PoolFigures, SchemaFigures};
pub use delta::{ChangedKeys, Delta, Edit, Edits, MAX_CHANGED_KEYS};
pub use draft::{By, ChangeDraft};
pub use error::{StoreError, Unavailable};
pub use import::{
    AccountSettings, Counts, Import, ImportError, ImportMode, ImportOutcome, Line, PolicyImport,
    Problem,
};
pub use matrix_digest::matrix_digest;
pub use plan::plan;
pub use plan_write::{WritePlan, plan_write};
pub use policies::{
    AccountTrace, AccountsPage, ChangeRecord, ChangesPage, PolicyStore, SettingOrigin,
};
pub use scope::{Reading, Scope, Selection, SubjectRevisions};
pub use state::{State, StoredPolicy};
pub use write::{
    Idempotency, MAX_ACTOR, MAX_COMMENT, MAX_IDEMPOTENCY_KEY, Now, SettingChanges, Write,
    WriteError, WriteRefusal, WriteRequest, Written,
};

/// The most accounts that one [`Store::load`] is asked for.
pub const MAX_LOAD: usize = 1_000;

/// A place that keeps policies.
///
/// INVARIANT(prefix-snapshot): what one call returns was read from one state, that of the
/// revision returned with it: it holds every change up to that revision and none after.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Reads accounts with their settings and their partners' policies, from one snapshot. At
    /// most [`MAX_LOAD`] ids; an id that is not in the answer is of no account.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError>;

    /// Reads billing markets and locations, from one snapshot.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError>;

    /// Looks at the present revision, at the changes after `seen`, and at the id of the change that
    /// made `seen`: so a caller notices a history that was lost or rewritten.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read, also where the schema does not fit.
    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError>;

    /// Says when to poll, without an end. A signal may be lost: it only makes a poll come sooner.
    fn signals(&self) -> BoxStream<'static, Signal>;

    /// Notes by which matrix a replica decides, `digest` being that of
    /// [`matrix_digest`](matrix_digest()). Where the replica before had another one,
    /// [`Poll::matrix_changes`] goes up.
    ///
    /// # Errors
    /// [`StoreError`] where it could not be noted.
    async fn announce_matrix(&self, digest: &str) -> Result<(), StoreError>;

    /// Told when a read was of an older state than one that had been seen before it was sent, or
    /// came from a standby though a primary is there: what answered may be a server that is behind. A store that keeps connections makes new ones.
    fn suspect(&self) {}

    /// How it is now, for operators.
    fn condition(&self) -> Condition {
        Condition::default()
    }

    /// Puts what a data file says into the store, in one transaction and as one revision, or as
    /// none where nothing changes.
    ///
    /// # Errors
    /// [`ImportError::Invalid`] where the result would not be consistent: then nothing was
    /// written. [`ImportError::Store`] where the store failed.
    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError>;

    /// Reads everything, from one snapshot.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be read.
    async fn export(&self) -> Result<State, StoreError>;
}

/// How far an import is, for a person who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportProgress {
    /// Reads what is there.
    Reading,
    /// Compares it with what is wanted.
    Planning,
    /// Writes: so many rows of so many are done.
    Writing {
        /// Rows written.
        done: usize,
        /// Rows to write in all.
        of: usize,
    },
}

/// What a snapshot was read at, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    /// The present revision of the state that was read.
    pub head: Head,
    /// The change that last touched markets or locations. Equal ids mean equal catalogues.
    pub catalog: Head,
    /// Whether a primary answered. A standby may lag behind without knowing.
    pub primary: bool,
}

/// What [`Store::load`] read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The state that it was read from.
    pub at: ReadAt,
    /// The accounts that there are, of those asked for.
    pub accounts: BTreeMap<AccountId, AccountRecord>,
    /// The policy of each partner that one of `accounts` names and that is a partner. Where it
    /// has none yet, an empty one.
    pub policies: BTreeMap<AccountId, StoredPolicy>,
}

/// An account as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountRecord {
    /// An account with its own settings.
    Sound {
        /// The account.
        account: Account,
        /// Its own settings.
        settings: SettingMap,
    },
    /// A row that is no account: a managed one that names no partner, say. Constraints keep it
    /// from arising; where it does, the account is an error and never an allow.
    Broken,
}

/// What [`Store::load_catalog`] read.
#[derive(Debug, Clone)]
pub struct CatalogSnapshot {
    /// The state that it was read from.
    pub at: ReadAt,
    /// All billing markets.
    pub markets: Markets,
    /// All locations, by id.
    pub locations: Vec<Location>,
}

/// What [`Store::poll`] saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The present.
    pub at: ReadAt,
    /// The id of the change that made the revision asked about, if the store has it.
    pub seen: Option<ChangeId>,
    /// The changes after the revision asked about, in their order and without a gap: at most
    /// [`MAX_POLLED`], so that they may end before the present. Where none was asked about, the last
    /// that there are, of imports without the keys: nothing was loaded before them, and the keys of a
    /// thousand imports would take longer than a poll may.
    pub changes: Vec<ChangeEntry>,
    /// How often a replica was found to decide by another matrix than the one before it.
    pub matrix_changes: u64,
    /// The revision that was the present one when that happened last.
    pub matrix_changed_at: Option<Revision>,
}

/// What a store has to say by itself.
#[derive(Debug)]
pub enum Signal {
    /// It will say when something changes. What changed before was not announced.
    Listening,
    /// Something changed.
    Changed,
    /// It cannot say any more when something changes, and is trying again.
    Deaf(StoreError),
}

/// Market codes of a policy, for a reader that wants them in order.
pub type MarketSet = std::collections::BTreeSet<MarketCode>;
