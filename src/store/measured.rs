//! A store whose queries are timed, waiting for a connection included.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tracing::Instrument as _;

use crate::clock::Moment;
use crate::domain::{Account, AccountId, Head};
use crate::metrics::{Histogram, Histograms};
use crate::store::{
    AccountTrace, AccountsPage, CatalogSnapshot, ChangeRecord, ChangesPage, Condition, Import,
    ImportError, ImportOutcome, ImportProgress, PolicyStore, Poll, Reading, Scope, Signal,
    Snapshot, State, Store, StoreError, WriteError, WriteRequest, Written,
};
use crate::traces::step;

/// From a fifth of a millisecond, in which nothing far away answers, to the longest that a catalogue
/// may take.
const BOUNDS: [Duration; 16] = [
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// What is asked of a store.
#[derive(Debug, Clone, Copy)]
enum Query {
    Accounts,
    Catalog,
    Poll,
    AnnounceMatrix,
    Import,
    Export,
    Write,
    Read,
    ListAccounts,
    ListChanges,
    Trace,
}

const QUERIES: [Query; 11] = [
    Query::Accounts,
    Query::Catalog,
    Query::Poll,
    Query::AnnounceMatrix,
    Query::Import,
    Query::Export,
    Query::Write,
    Query::Read,
    Query::ListAccounts,
    Query::ListChanges,
    Query::Trace,
];

impl Query {
    /// Its name in metrics, and below `store` in traces.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Accounts => ("accounts", "store/accounts"),
            Self::Catalog => ("catalog", "store/catalog"),
            Self::Poll => ("poll", "store/poll"),
            Self::AnnounceMatrix => ("announce_matrix", "store/announce_matrix"),
            Self::Import => ("import", "store/import"),
            Self::Export => ("export", "store/export"),
            Self::Write => ("write", "store/write"),
            Self::Read => ("read", "store/read"),
            Self::ListAccounts => ("list_accounts", "store/list_accounts"),
            Self::ListChanges => ("list_changes", "store/list_changes"),
            Self::Trace => ("trace", "store/trace"),
        }
    }
}

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The store did what it was asked, or said why that cannot be.
    Ok,
    /// The store failed.
    Error,
}

const OUTCOMES: [Outcome; 2] = [Outcome::Ok, Outcome::Error];

impl Outcome {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// How long queries took.
#[derive(Debug)]
pub struct Queries(Histograms);

impl Queries {
    fn new() -> Self {
        Self(Histograms::new(QUERIES.len() * OUTCOMES.len(), &BOUNDS))
    }

    /// By what was asked and how it ended, for what was asked at all.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, Outcome, Histogram)> {
        QUERIES.into_iter().flat_map(|query| {
            let (name, _) = query.names();
            let both = OUTCOMES.map(|outcome| (name, outcome, self.0.read(place(query, outcome))));
            let is_asked = both.iter().any(|(_, _, histogram)| histogram.count > 0);
            both.into_iter().filter(move |_| is_asked)
        })
    }

    async fn time<T, E>(
        &self,
        query: Query,
        asked: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        let began = Moment::now();
        let (_, name) = query.names();
        let answered = asked.instrument(step(name)).await;
        let outcome = match answered.as_ref().is_err_and(is_failure) {
            true => Outcome::Error,
            false => Outcome::Ok,
        };
        self.0
            .observe(place(query, outcome), Moment::now().since(began));
        answered
    }
}

fn place(query: Query, outcome: Outcome) -> usize {
    query as usize * OUTCOMES.len() + outcome as usize
}

/// A store, and the times of its queries. One that nobody waits for to the end is not timed.
#[derive(Debug)]
pub struct Measured<S> {
    store: Arc<S>,
    queries: Arc<Queries>,
}

impl<S> Measured<S> {
    /// This store.
    pub fn new(store: Arc<S>) -> Self {
        Self {
            store,
            queries: Arc::new(Queries::new()),
        }
    }

    /// How long its queries took.
    pub fn queries(&self) -> Arc<Queries> {
        Arc::clone(&self.queries)
    }

    async fn store_time<T>(
        &self,
        query: Query,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.queries.time(query, asked, |_| true).await
    }
}

#[async_trait]
impl<S: Store> Store for Measured<S> {
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError> {
        self.store_time(Query::Accounts, self.store.load(accounts))
            .await
    }

    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError> {
        self.store_time(Query::Catalog, self.store.load_catalog())
            .await
    }

    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError> {
        self.store_time(Query::Poll, self.store.poll(seen)).await
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        self.store.signals()
    }

    async fn announce_matrix(&self, digest: &str) -> Result<(), StoreError> {
        self.store_time(Query::AnnounceMatrix, self.store.announce_matrix(digest))
            .await
    }

    fn suspect(&self) {
        self.store.suspect();
    }

    fn condition(&self) -> Condition {
        self.store.condition()
    }

    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError> {
        let asked = self.store.import(import, progress);
        let is_failure = |error: &ImportError| !matches!(error, ImportError::Invalid(_));
        self.queries.time(Query::Import, asked, is_failure).await
    }

    async fn export(&self) -> Result<State, StoreError> {
        self.store_time(Query::Export, self.store.export()).await
    }
}

#[async_trait]
impl<S: PolicyStore> PolicyStore for Measured<S> {
    async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError> {
        let asked = self.store.write(request);
        let is_failure = |error: &WriteError| !matches!(error, WriteError::Refused(_));
        self.queries.time(Query::Write, asked, is_failure).await
    }

    async fn read(&self, scope: &Scope) -> Result<Reading, StoreError> {
        self.store_time(Query::Read, self.store.read(scope)).await
    }

    async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        self.store_time(Query::ListAccounts, self.store.list_accounts(page))
            .await
    }

    async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        self.store_time(Query::ListChanges, self.store.list_changes(page))
            .await
    }

    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        self.store_time(Query::Trace, self.store.trace(account))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[test]
    fn queries_are_at_their_places() {
        for (place, query) in QUERIES.iter().enumerate() {
            assert_eq!(*query as usize, place);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_no_failure() {
        let store = Measured::new(Arc::new(MemoryStore::default()));
        store.poll(None).await.unwrap();
        let asked = async { Err::<(), _>(()) };
        let _ = store.queries.time(Query::Write, asked, |()| false).await;
        let asked = async { Err::<(), _>(()) };
        let _ = store.queries.time(Query::Write, asked, |()| true).await;
        let counts: Vec<_> = store
            .queries
            .read()
            .map(|(query, outcome, histogram)| (query, outcome.name(), histogram.count))
            .collect();
        let want = [
            ("poll", "ok", 1),
            ("poll", "error", 0),
            ("write", "ok", 1),
            ("write", "error", 1),
        ];
        assert_eq!(counts, want);
    }
}
