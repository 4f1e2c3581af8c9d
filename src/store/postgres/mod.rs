//! A store in Postgres, version 14 or later.
//!
//! Reads go through a pool; those that decisions wait for are one statement each. Polls have a connection of their own, so
//! that they see an outage and its end however busy the pool is; so has LISTEN, and an import. No
//! prepared statements and, LISTEN apart, no session state, so that transaction poolers are fine.
//! Every call has a limit on its time, waiting and connecting included.

mod answers;
mod breaker;
mod change;
mod config;
mod connect;
mod dsn;
mod failure;
mod import;
mod listen;
mod load;
mod matrix;
mod migrate;
mod policies;
mod poll;
mod pool;
mod read;
mod row;
mod rows;
mod tls;
mod transaction;
mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{
    CatalogSnapshot, Condition, Import, ImportError, ImportOutcome, ImportProgress, Poll,
    SchemaFigures, Signal, Snapshot, State, Store, StoreError,
};
use crate::domain::{AccountId, Head};
use breaker::Breaker;
use policies::Desk;
use pool::Connections;

pub use config::{PostgresConfig, PostgresConfigError, PostgresLimits};
pub use migrate::{Migrated, migrate};

/// Policies in Postgres.
pub struct PostgresStore {
    config: PostgresConfig,
    connections: Arc<Connections>,
    breaker: Breaker,
    polls: Connections,
    desk: Desk,
    /// Whether the last poll was answered by a standby.
    from_standby: AtomicBool,
    /// The schema that the last poll saw.
    schema: watch::Sender<Option<SchemaFigures>>,
    /// Raised where another server may be the primary now.
    moved: watch::Sender<()>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("config", &self.config)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// A store that connects when it is first asked: Postgres may be down now. It lives on the runtime
    /// on which it is made.
    ///
    /// # Errors
    /// [`StoreError::Broken`] where the pools cannot be made, or there is no runtime.
    pub fn new(config: PostgresConfig) -> Result<Self, StoreError> {
        let pool = |size| Connections::new(config.connector.clone(), size);
        let home = Handle::try_current().map_err(|error| StoreError::Broken {
            what: "a store needs a runtime to live on".to_owned(),
            source: Some(error.into()),
        })?;
        let connections = Arc::new(pool(config.limits.pool_size)?);
        Ok(Self {
            desk: Desk::new(Arc::clone(&connections), &config.limits, home),
            connections,
            breaker: Breaker::new(),
            polls: pool(1)?,
            from_standby: AtomicBool::new(false),
            schema: watch::Sender::default(),
            moved: watch::Sender::new(()),
            config,
        })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError> {
        let limit = self.config.limits.store_timeout;
        let load = load::load(&self.connections, limit, accounts);
        self.breaker.pass(load).await
    }

    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError> {
        read::catalog(&self.connections, self.config.limits.catalog_timeout).await
    }

    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError> {
        let limit = self.config.limits.store_timeout;
        let poll = poll::poll(&self.polls, limit, seen, &self.schema).await?;
        self.breaker.try_again();
        if !poll.at.primary {
            // Where the URL names several hosts, the next poll may find the primary.
            self.polls.replace_all();
            self.from_standby.store(true, Ordering::Relaxed);
            return Ok(poll);
        }
        let is_other_history =
            |seen: Head| poll.seen != Some(seen.change) || poll.at.head.revision < seen.revision;
        let was_standby = self.from_standby.swap(false, Ordering::Relaxed);
        if was_standby || seen.is_some_and(is_other_history) {
            self.connections.replace_all();
            self.moved.send_replace(());
        }
        Ok(poll)
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        listen::signals(&self.config.connector, self.moved.subscribe())
    }

    async fn announce_matrix(&self, digest: &str) -> Result<(), StoreError> {
        matrix::announce(&self.connections, self.config.limits.store_timeout, digest).await
    }

    fn suspect(&self) {
        self.connections.replace_all();
    }

    fn condition(&self) -> Condition {
        Condition {
            is_refusing: self.breaker.is_open(),
            pool: Some(self.connections.figures()),
            schema: *self.schema.borrow(),
        }
    }

    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError> {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let run = import::run(self.config.clone(), Arc::new(import.clone()), sender);
        let task = tokio::spawn(run);
        while let Some(event) = events.recv().await {
            progress(event);
        }
        task.await.unwrap_or_else(|error| {
            // Only where the runtime ends: the task is not aborted, and does not panic.
            Err(ImportError::OutcomeUnknown(error.into()))
        })
    }

    async fn export(&self) -> Result<State, StoreError> {
        read::export(&self.connections, self.config.limits.catalog_timeout).await
    }
}
