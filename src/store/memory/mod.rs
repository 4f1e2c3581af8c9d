//! A store in memory: complete, and gone with the process. It serves the embedded default, a data
//! file given with `--data`, and tests.

mod answers;
mod book;
mod policies;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;

use crate::domain::{AccountId, Head, Markets};

use super::{
    By, CatalogSnapshot, ChangeDraft, ChangeSubject, Import, ImportError, ImportOutcome,
    ImportProgress, Poll, Signal, Snapshot, State, Store, StoreError, plan,
};
use book::Book;

/// Policies in memory.
pub struct MemoryStore {
    book: Mutex<Book>,
    /// Raised with every change.
    changed: watch::Sender<()>,
}

/// Says how much there is, not all of it.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let book = self.lock();
        f.debug_struct("MemoryStore")
            .field("revision", &book.head().revision)
            .field("accounts", &book.state.accounts.len())
            .finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            book: Mutex::new(Book::new()),
            changed: watch::Sender::new(()),
        }
    }
}

impl MemoryStore {
    /// No step under the lock leaves the state half changed, so a panic elsewhere poisons nothing.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError> {
        Ok(self.lock().snapshot(accounts))
    }

    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError> {
        let book = self.lock();
        let markets =
            Markets::new(book.state.markets.clone()).map_err(|conflict| StoreError::Broken {
                what: "billing markets that cannot stand together".to_owned(),
                source: Some(conflict.into()),
            })?;
        let locations = book.state.locations.values().cloned().collect();
        Ok(CatalogSnapshot {
            at: book.read_at(),
            markets,
            locations,
        })
    }

    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError> {
        Ok(self.lock().poll(seen))
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        let changed = self.changed.subscribe();
        let changes = stream::unfold(changed, |mut changed| async move {
            // Without the store there is nothing to wait for.
            changed.changed().await.ok()?;
            Some((Signal::Changed, changed))
        });
        stream::once(async { Signal::Listening })
            .chain(changes)
            .boxed()
    }

    /// A store in memory ends with the one replica that it has, so that there is no replica before.
    async fn announce_matrix(&self, _digest: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError> {
        progress(ImportProgress::Planning);
        let mut book = self.lock();
        let delta = plan(&book.state, import)?;
        let changed = delta.counts();
        if !delta.is_empty() {
            let by = By {
                actor: import.actor.clone(),
                caller: String::new(),
                comment: import.comment.clone(),
            };
            let draft = ChangeDraft::new(&book.state, &delta, ChangeSubject::Everything, by);
            book.commit(delta, draft);
            self.changed.send_replace(());
        }
        Ok(ImportOutcome {
            revision: book.head().revision,
            changed,
        })
    }

    async fn export(&self) -> Result<State, StoreError> {
        Ok(self.lock().state.clone())
    }
}
