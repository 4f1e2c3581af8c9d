//! The loader's part that is about the stored catalogue: one whole value, loaded for all who wait.

use std::mem;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::{Catalog, Head};
use crate::store::{CatalogSnapshot, ReadAt, Store, StoreError};

use super::DirectoryError;
use super::cache::VersionedCatalog;
use super::ledger::Verdict;
use super::loader::{Ahead, Answer, Loader};

impl Loader {
    pub(super) fn want_catalog(
        &mut self,
        version: Option<Head>,
        reply: oneshot::Sender<Result<(), DirectoryError>>,
    ) {
        let view = self.shared.published.view();
        let cached = self
            .shared
            .caches
            .catalog()
            .filter(|kept| view.accepts(kept.loaded_at));
        if cached.is_some_and(|kept| version.is_none_or(|version| version == kept.value.version)) {
            let _ = reply.send(Ok(()));
            return;
        }
        self.catalog_waiters.push(reply);
        if !mem::replace(&mut self.catalog_loading, true) {
            let store = Arc::clone(&self.store);
            self.under_way
                .push(Box::pin(async move { Answer::Catalog(load(store).await) }));
        }
    }

    pub(super) fn land_catalog(&mut self, result: Result<(VersionedCatalog, ReadAt), StoreError>) {
        match result {
            Ok((catalog, read)) => self.keep_catalog(catalog, read),
            Err(error) => {
                tracing::warn!(%error, "cannot load the catalogue");
                self.answer_catalog(&Err(DirectoryError::from(&error)));
            }
        }
    }

    pub(super) fn keep_catalog(&mut self, catalog: VersionedCatalog, read: ReadAt) {
        match self.mirror.keep_catalog(&catalog, &read) {
            // Where it was not kept, who waits looks again, and asks again.
            Verdict::Keep(()) | Verdict::Discard => self.answer_catalog(&Ok(())),
            Verdict::Wait => self.wait_for_feed(Ahead::Catalog { catalog, read }),
        }
    }

    pub(super) fn answer_catalog(&mut self, answer: &Result<(), DirectoryError>) {
        self.catalog_loading = false;
        for reply in mem::take(&mut self.catalog_waiters) {
            let _ = reply.send(answer.clone());
        }
    }
}

/// Loads a catalogue and puts it in order: off the loader's task, which for a large one would stand
/// still meanwhile.
async fn load(store: Arc<dyn Store>) -> Result<(VersionedCatalog, ReadAt), StoreError> {
    let CatalogSnapshot {
        at,
        markets,
        locations,
    } = store.load_catalog().await?;
    let ordered = tokio::task::spawn_blocking(move || Catalog::new(markets, locations));
    let catalog = ordered.await.map_err(|error| StoreError::Broken {
        what: "the catalogue could not be put in order".to_owned(),
        source: Some(error.into()),
    })?;
    let catalog = VersionedCatalog {
        version: at.catalog,
        catalog: Arc::new(catalog),
    };
    Ok((catalog, at))
}
