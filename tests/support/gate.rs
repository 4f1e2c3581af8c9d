//! A store that a test can watch, hold, swap and take down. What it answers is a real store's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future;
use futures_util::stream::{BoxStream, StreamExt as _};
use portcullis::domain::{AccountId, Head, Revision};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{
    CatalogSnapshot, Import, ImportError, ImportOutcome, ImportProgress, Poll, Signal, Snapshot,
    State, Store, StoreError, Unavailable,
};
use tokio::sync::{RwLock, watch};

/// What was asked of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    pub loads: usize,
    pub accounts: usize,
    pub catalogs: usize,
    pub polls: usize,
}

#[derive(Debug)]
pub struct Gate {
    inner: Mutex<Arc<MemoryStore>>,
    asked: watch::Sender<Asked>,
    /// While a test holds it for writing, loads that have read wait with their answer.
    pub hold: RwLock<()>,
    /// How many milliseconds each load takes at least.
    pub slow: AtomicU64,
    /// What loads read instead while it is there: a server that is behind. Gone when the store is
    /// told to suspect it.
    behind: Mutex<Option<Arc<MemoryStore>>>,
    pub down: AtomicBool,
    pub standby: AtomicBool,
    /// Whether signals are passed on. At first all are lost, so that what is seen is seen by polling.
    pub signalling: Arc<AtomicBool>,
    /// What polls say of it.
    pub matrix_changes: AtomicU64,
    /// The same, 0 being never.
    pub matrix_changed_at: AtomicU64,
    /// Writes are refused.
    pub read_only: AtomicBool,
    /// The connection is lost while the next write is being committed.
    pub cut: AtomicBool,
}

impl Gate {
    pub fn new(inner: MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Arc::new(inner)),
            asked: watch::Sender::default(),
            hold: RwLock::default(),
            slow: AtomicU64::default(),
            behind: Mutex::default(),
            down: AtomicBool::default(),
            standby: AtomicBool::default(),
            signalling: Arc::default(),
            matrix_changes: AtomicU64::default(),
            matrix_changed_at: AtomicU64::default(),
            read_only: AtomicBool::default(),
            cut: AtomicBool::default(),
        })
    }

    pub fn inner(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.inner.lock().unwrap())
    }

    /// Another store answers from now on, as after a failover.
    pub fn swap(&self, inner: MemoryStore) {
        *self.inner.lock().unwrap() = Arc::new(inner);
    }

    /// Loads are answered by a server that is behind, until it is suspected.
    pub fn lag(&self, behind: MemoryStore) {
        *self.behind.lock().unwrap() = Some(Arc::new(behind));
    }

    pub fn asked(&self) -> Asked {
        *self.asked.borrow()
    }

    /// Waits until what was asked is as wanted.
    pub async fn until(&self, wanted: impl FnMut(&Asked) -> bool) {
        self.asked.subscribe().wait_for(wanted).await.unwrap();
    }

    /// Waits for a poll that is sent from now on, and for the one after it: the first is applied.
    pub async fn applied(&self) {
        let polls = self.asked().polls;
        self.until(|asked| asked.polls >= polls + 2).await;
    }

    pub(super) fn ask(&self, note: impl FnOnce(&mut Asked)) -> Result<(), StoreError> {
        self.asked.send_modify(note);
        match self.down.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable(Unavailable::Connection(
                "it is down".to_owned(),
            ))),
            false => Ok(()),
        }
    }

    fn primary(&self) -> bool {
        !self.standby.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Gate {
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError> {
        // Read first and hold then: what is held is old by the time that it is let go.
        let behind = self.behind.lock().unwrap().clone();
        let read = behind.unwrap_or_else(|| self.inner()).load(accounts).await;
        let asked = self.ask(|asked| {
            asked.loads += 1;
            asked.accounts += accounts.len();
        });
        let slow = Duration::from_millis(self.slow.load(Ordering::SeqCst));
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        let _held = self.hold.read().await;
        asked?;
        let mut snapshot = read?;
        snapshot.at.primary = self.primary();
        Ok(snapshot)
    }

    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError> {
        self.ask(|asked| asked.catalogs += 1)?;
        self.inner().load_catalog().await
    }

    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError> {
        self.ask(|asked| asked.polls += 1)?;
        let mut poll = self.inner().poll(seen).await?;
        poll.at.primary = self.primary();
        poll.matrix_changes = self.matrix_changes.load(Ordering::SeqCst);
        let changed_at = Some(self.matrix_changed_at.load(Ordering::SeqCst));
        poll.matrix_changed_at = changed_at.filter(|at| *at > 0).map(Revision);
        Ok(poll)
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        let signalling = Arc::clone(&self.signalling);
        let is_passed_on = move |_: &Signal| future::ready(signalling.load(Ordering::SeqCst));
        self.inner().signals().filter(is_passed_on).boxed()
    }

    async fn announce_matrix(&self, digest: &str) -> Result<(), StoreError> {
        self.inner().announce_matrix(digest).await
    }

    fn suspect(&self) {
        self.behind.lock().unwrap().take();
    }

    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError> {
        self.inner().import(import, progress).await
    }

    async fn export(&self) -> Result<State, StoreError> {
        self.inner().export().await
    }
}
