//! Connections that are used again.
//!
//! INVARIANT(clean-connection): a connection goes back only after its last statement was answered
//! without an error. One whose caller gave up, or that failed, is closed instead, and the server
//! is asked to stop what it still does for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use tokio_postgres::Client;

use super::connect::{CONNECT_TIMEOUT, Connector, Session};
use crate::store::{PoolFigures, StoreError, Unavailable};

/// Connections to one database, at most so many.
pub(super) struct Connections {
    pool: Pool<Sessions>,
    /// Raised when those of before must not be used any more.
    generation: Arc<AtomicU64>,
}

/// What the pool makes.
struct Sessions {
    connector: Connector,
    generation: Arc<AtomicU64>,
}

/// A connection, and the generation that it is of: that in which it was begun.
struct Pooled {
    session: Session,
    generation: u64,
}

impl Manager for Sessions {
    type Type = Pooled;
    type Error = StoreError;

    async fn create(&self) -> Result<Pooled, StoreError> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut session = Box::pin(Session::open(&self.connector)).await?;
        session.end();
        Ok(Pooled {
            session,
            generation,
        })
    }

    /// Whether the connection is closed is known without asking the server.
    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<StoreError> {
        let is_old = pooled.generation != self.generation.load(Ordering::Acquire);
        if is_old || pooled.session.client().is_closed() {
            return Err(RecycleError::message(
                "the connection is closed or of before",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("status", &self.pool.status())
            .finish_non_exhaustive()
    }
}

impl Connections {
    pub(super) fn new(connector: Connector, most: usize) -> Result<Self, StoreError> {
        let generation = Arc::<AtomicU64>::default();
        let sessions = Sessions {
            connector,
            generation: Arc::clone(&generation),
        };
        let pool = Pool::builder(sessions)
            .max_size(most.max(1))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Broken {
                what: "the connection pool cannot be made".to_owned(),
                source: Some(Box::new(error)),
            })?;
        Ok(Self { pool, generation })
    }

    /// A connection, waited for at most `limit`.
    ///
    /// The wait goes on in a task of its own when the caller gives up: otherwise, where making a
    /// connection takes longer than a load may, every load would begin to connect and none would
    /// ever get there. The connection then lies in the pool for the next.
    pub(super) async fn lease(&self, limit: Duration) -> Result<Lease, StoreError> {
        let pool = self.pool.clone();
        // Less than the caller waits in all, so that it is told why.
        let wait = limit.mul_f32(0.9);
        let timeouts = Timeouts {
            wait: Some(wait),
            create: Some(CONNECT_TIMEOUT),
            recycle: None,
        };
        let got = tokio::spawn(async move { pool.timeout_get(&timeouts).await });
        let mut object = match got.await {
            Ok(Ok(object)) => object,
            Ok(Err(PoolError::Backend(error))) => return Err(error),
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => {
                return Err(Unavailable::Busy(wait).into());
            }
            Ok(Err(PoolError::Timeout(_))) => return Err(Unavailable::Timeout(limit).into()),
            Ok(Err(
                PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_),
            ))
            | Err(_) => return Err(closed()),
        };
        object.session.begin();
        Ok(Lease {
            object: Some(object),
            generation: Arc::clone(&self.generation),
        })
    }

    /// How many there are, and who waits.
    pub(super) fn figures(&self) -> PoolFigures {
        let status = self.pool.status();
        PoolFigures {
            idle: status.available,
            in_use: status.size.saturating_sub(status.available),
            most: status.max_size,
            waiting: status.waiting,
        }
    }

    /// Closes every connection: those at rest now, those in use when they come back. After a
    /// failover they may lead to the server that was the primary before.
    pub(super) fn replace_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.pool.retain(|_, _| false);
    }
}

fn closed() -> StoreError {
    Unavailable::Connection("the connection pool is closed".to_owned()).into()
}

/// A connection in use.
pub(super) struct Lease {
    /// There until the end.
    object: Option<Object<Sessions>>,
    generation: Arc<AtomicU64>,
}

impl Lease {
    /// The connection.
    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        // Taken out by `end` alone, which consumes the lease.
        let pooled = self.object.as_deref().ok_or_else(closed)?;
        Ok(&pooled.session)
    }

    /// The same, to send statements on.
    pub(super) fn client(&self) -> Result<&Client, StoreError> {
        self.session().map(Session::client)
    }

    /// Says that the last statement was answered. The connection goes back if that went well.
    pub(super) fn end<T, E>(mut self, result: Result<T, E>) -> Result<T, E> {
        if let Some(mut object) = self.object.take() {
            if result.is_ok() {
                object.session.end();
            }
            let is_old = object.generation != self.generation.load(Ordering::Acquire);
            if result.is_err() || is_old {
                drop(Object::take(object));
            }
        }
        result
    }
}

/// The caller gave up in the middle of a statement.
impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
