//! What can go wrong in a store, told apart by what its caller can do about it.

/// A store that could not answer, or would not.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is too slow, or has no place for another query. Trying again may help.
    #[error("the store is not available: {0}")]
    Unavailable(#[from] Unavailable),
    /// It takes no writes now: a standby, or a primary that was made read-only.
    #[error("the store is read-only")]
    ReadOnly(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// Its schema is not the one that this program reads. `portcullis migrate` may help.
    #[error("the schema does not fit: {0}")]
    Schema(String),
    /// It answered what cannot be: data that its constraints exclude, or a query that it refuses.
    #[error("{what}")]
    Broken {
        /// What was being done, and what came back.
        what: String,
        /// Why, where another error said so.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// Why a store is out of reach.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// All connections were in use for so long.
    #[error("no connection was free within {0:?}")]
    Busy(std::time::Duration),
    /// No connection, or one that was lost. The text holds no address and no secret.
    #[error("{0}")]
    Connection(String),
}
