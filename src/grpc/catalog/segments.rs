//! The stored catalogue as it is written to answers: each location once, with its prices and without.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use prost::Message;
use tonic::Status;

use crate::domain::{Catalog, Location, Page};
use crate::grpc::encode;
use crate::proto::v1;

use super::Prices;
use super::redacted::RedactedLocations;
use super::written::Written;

/// A catalogue that was written, for each that is still in use: the cached one, and while calls
/// end that began before a change the one before it.
#[derive(Debug, Default)]
pub(in crate::grpc) struct WrittenCatalogs(Mutex<Vec<Arc<WrittenCatalog>>>);

/// A catalogue, written when it is asked for the first time.
#[derive(Debug)]
struct WrittenCatalog {
    /// Which one. As long as this is here no other can be at the same address.
    of: Weak<Catalog>,
    full: OnceLock<Segments>,
    redacted: OnceLock<Segments>,
}

/// All locations, one after the other.
#[derive(Debug)]
struct Segments {
    bytes: Bytes,
    /// Where each of them begins, and where the last one ends.
    bounds: Vec<usize>,
}

impl WrittenCatalogs {
    /// What is visible on a page of `catalog`, written.
    ///
    /// # Errors
    /// INTERNAL where the page is not of this catalogue.
    pub(super) fn page(
        &self,
        catalog: &Arc<Catalog>,
        page: &Page<'_>,
        prices: Prices,
    ) -> Result<Written, Status> {
        let written = self.of(catalog);
        // Who comes while it is being written waits: it would have to do the same.
        let segments = match prices {
            Prices::Shown => written.full.get_or_init(|| Segments::full(catalog)),
            Prices::Redacted => written.redacted.get_or_init(|| Segments::redacted(catalog)),
        };
        segments.take(&page.visible)
    }

    /// What is written of this catalogue, and of no other.
    fn of(&self, catalog: &Arc<Catalog>) -> Arc<WrittenCatalog> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|written| written.of.strong_count() > 0);
        let is_it = |written: &&Arc<WrittenCatalog>| written.of.as_ptr() == Arc::as_ptr(catalog);
        if let Some(written) = all.iter().find(is_it) {
            return Arc::clone(written);
        }
        let written = Arc::new(WrittenCatalog {
            of: Arc::downgrade(catalog),
            full: OnceLock::new(),
            redacted: OnceLock::new(),
        });
        all.push(Arc::clone(&written));
        written
    }
}

#[cfg(test)]
impl WrittenCatalogs {
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Segments {
    fn full(catalog: &Catalog) -> Self {
        Self::write(catalog, |location| v1::FilterCatalogResponse {
            locations: vec![encode::location(location)],
            ..v1::FilterCatalogResponse::default()
        })
    }

    fn redacted(catalog: &Catalog) -> Self {
        Self::write(catalog, |location| {
            RedactedLocations::from(vec![encode::location(location)])
        })
    }

    fn write<M: Message>(catalog: &Catalog, answer: impl Fn(&Location) -> M) -> Self {
        let mut bytes = Vec::new();
        let mut bounds = vec![0];
        for location in catalog.locations() {
            bytes.extend(answer(location).encode_to_vec());
            bounds.push(bytes.len());
        }
        bytes.shrink_to_fit();
        let bytes = bytes.into();
        Self { bytes, bounds }
    }

    fn take(&self, places: &[Range<usize>]) -> Result<Written, Status> {
        let mut written = Written::from(self.bytes.clone());
        for range in places {
            let bounds = self.bounds.get(range.start).zip(self.bounds.get(range.end));
            let (start, end) = bounds.ok_or_else(|| Status::internal("a location was lost"))?;
            written.push(*start..*end);
        }
        Ok(written)
    }
}
