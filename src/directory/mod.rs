//! Accounts, policies and the catalogue, from memory where that is true, from the store where it
//! is not.
//!
//! The promise that this module keeps: every change up to and including the revision of an answer
//! is in the answer; one account is decided on one state, its account, settings and partner's
//! policy never mixed from before and after one change; an answer without `stale` is at most
//! `stale_after` behind every commit that was acknowledged.
//!
//! How: one task, the `loader`, owns every load, insert and invalidation. It looks at the store's
//! changes when the store says that there are some (`signals`), and each `poll_interval` whatever it
//! says: this is the `feed`. What it knows of the history is its `ledger`, and what follows from that
//! for the caches is in `mirror`: a change drops what it names, and a load is kept as far as no
//! change since has named it. It publishes the revision that the caches are true at (`view`); every
//! entry carries the one that it was read at (`cache`), and a reader accepts only what is valid at
//! the revision that it read first. What is applied is told to those who `watch`.

mod cache;
mod catalog;
mod feed;
mod figures;
mod gathering;
#[cfg(test)]
mod interleavings;
mod landed;
mod ledger;
mod loader;
mod look;
mod mirror;
mod places;
mod profile;
mod recent;
mod request;
mod resolve;
mod shortcut;
mod signals;
mod stamp;
mod view;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use crate::clock::Moment;
use crate::domain::{FeatureMatrix, Inconsistent, PartnerPolicy, Revision, Subject};
use crate::store::{Store, StoreError};

use cache::Caches;
use figures::Counts;
use loader::Loader;
use places::Places;
use request::Request;
use view::{Published, Word};

pub use figures::{CacheFigures, Figures};
pub use look::NotAtOnce;
pub use profile::Profile;
pub use recent::{Keyed, Recent};
pub use watch::WatchEvent;

/// The most accounts that calls wait for at once, each call's counted: six calls of ResolveRecipients
/// at their limit that find nothing cached, or 65 full batches. 64 loads bring them, which a sound store does in
/// well under a second; what came after could only wait longer than its callers do.
pub const MAX_WAITING: usize = 64 << 10;

/// The most calls at once that have the store read for themselves alone: `fully_consistent`, and a
/// revision that this replica has not seen yet. They share no load, so that each is a query.
pub const MAX_FULLY_CONSISTENT: usize = 64;

/// Bounds of the caches, of staleness and of what waits for the store.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Up to this age an answer is fresh. Default 5 s.
    pub stale_after: Duration,
    /// Beyond this age a cached answer is none. Default 5 min.
    pub max_stale: Duration,
    /// How often the revision is looked at. Default 1 s.
    pub poll_interval: Duration,
    /// The most accounts that are cached. Default 1,000,000.
    pub max_cached_accounts: u64,
    /// The most partners' policies that are cached. Default 50,000.
    pub max_cached_partners: u64,
    /// The most ids that are remembered to be of no account. Default 100,000.
    pub max_cached_unknown: u64,
    /// The most loads of accounts that are under way at once; further misses gather and travel
    /// together. Default 4.
    pub max_loads: usize,
    /// The most accounts that calls wait for at once. Default [`MAX_WAITING`].
    pub max_waiting: usize,
    /// The most calls that read alone at once. Default [`MAX_FULLY_CONSISTENT`].
    pub max_alone: usize,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            stale_after: Duration::from_secs(5),
            max_stale: Duration::from_secs(300),
            poll_interval: Duration::from_secs(1),
            max_cached_accounts: 1_000_000,
            max_cached_partners: 50_000,
            max_cached_unknown: 100_000,
            max_loads: 4,
            max_waiting: MAX_WAITING,
            max_alone: MAX_FULLY_CONSISTENT,
        }
    }
}

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// The fastest answer within the bounds of staleness.
    Fastest,
    /// Every change up to and including this revision is in the answer.
    AtLeast(Revision),
    /// Read from the store for this call.
    Full,
}

/// What is known of one account.
#[derive(Debug, Clone)]
pub enum Entry {
    /// An account, with its partner's policy where it is managed.
    Known {
        /// The account and its own settings.
        profile: Profile,
        /// Its partner's policy.
        policy: Option<Arc<PartnerPolicy>>,
    },
    /// There is no such account.
    Unknown,
    /// There is, but it cannot be judged: its partner is missing or is no partner.
    Inconsistent,
}

impl Entry {
    /// An account with its partner's policy; inconsistent where it needs one and has none.
    fn new(profile: Profile, policy: Option<Arc<PartnerPolicy>>) -> Self {
        match Subject::new(&profile, policy.as_deref()) {
            Ok(_) => Self::Known { profile, policy },
            Err(Inconsistent) => Self::Inconsistent,
        }
    }
}

/// What was found, and how far it can be relied on.
#[derive(Debug, Clone)]
pub struct Resolved<T> {
    /// What was found.
    pub value: T,
    /// Every change up to and including this one is in it.
    pub revision: Revision,
    /// Whether it may be older than `stale_after`.
    pub stale: bool,
}

/// Why nothing was found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectoryError {
    /// Nothing fresh enough is cached, and the store could not be read.
    #[error("no fresh enough answer can be had: {0}")]
    Unavailable(String),
    /// A revision was asked for that was never made.
    #[error("revision {0} was never made")]
    RevisionUnknown(Revision),
    /// As much waits for the store as may.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
}

/// What operators and probes want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The time since the feed last confirmed that the caches are true; none before it first did.
    pub age: Option<Duration>,
    /// Whether answers from the caches are still given.
    pub within_max_stale: bool,
    /// What is wrong with the store now, if something is.
    pub trouble: Option<String>,
}

/// The way to everything that a decision needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// What the loader writes and every call reads.
#[derive(Debug)]
struct Shared<W: Word = AtomicU64> {
    config: DirectoryConfig,
    matrix: Arc<FeatureMatrix>,
    published: Published<W>,
    caches: Caches,
    trouble: ArcSwapOption<String>,
    /// Whether the store says by itself that something has changed.
    is_listening: Arc<AtomicBool>,
    began: Moment,
    counts: Counts,
    /// For accounts that calls wait for.
    waiting: Places,
    /// For calls that read alone.
    alone: Places,
}

impl<W: Word> Shared<W> {
    fn new(config: DirectoryConfig, matrix: Arc<FeatureMatrix>) -> Self {
        Self {
            caches: Caches::new(&config),
            waiting: Places::new(config.max_waiting),
            alone: Places::new(config.max_alone),
            config,
            matrix,
            published: Published::default(),
            trouble: ArcSwapOption::empty(),
            is_listening: Arc::default(),
            began: Moment::now(),
            counts: Counts::new(),
        }
    }
}

impl Directory {
    /// A directory over `store`, and the task that keeps it true: it has to be run, and ends when
    /// the last clone of the directory is gone.
    pub fn new(
        store: Arc<dyn Store>,
        matrix: Arc<FeatureMatrix>,
        config: DirectoryConfig,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, received) = mpsc::channel(1_024);
        let shared = Arc::new(Shared::new(config, matrix));
        let loader = Loader::new(store, Arc::clone(&shared), received);
        (Self { shared, requests }, loader.run())
    }

    /// The matrix that settings are read against.
    #[must_use]
    pub fn matrix(&self) -> &FeatureMatrix {
        &self.shared.matrix
    }

    /// The same, to be held on to.
    #[must_use]
    pub fn shared_matrix(&self) -> Arc<FeatureMatrix> {
        Arc::clone(&self.shared.matrix)
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let age = self.shared.published.view().age(Moment::now());
        Status {
            age,
            within_max_stale: age.is_some_and(|age| age <= self.shared.config.max_stale),
            trouble: self
                .shared
                .trouble
                .load_full()
                .map(|trouble| trouble.to_string()),
        }
    }
}

impl From<&StoreError> for DirectoryError {
    fn from(error: &StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
