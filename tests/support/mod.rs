//! What tests of several files need: a real Postgres and data to put into it, a real server, and a
//! store that can be watched. Each file uses its own part of it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    unused_imports,
    reason = "each test binary is a crate of its own and uses a part of this"
)]

pub mod authority;
pub mod cases;
mod cluster;
pub mod demo;
pub mod frames;
pub mod gate;
pub mod gated;
mod gated_policies;
pub mod http2;
pub mod jwks;
pub mod load;
pub mod methods;
pub mod oracle;
pub mod peer;
pub mod policies;
pub mod probe;
pub mod process;
pub mod promql;
pub mod proxy;
pub mod queries;
pub mod raw;
pub mod refused;
pub mod replicas;
pub mod requests;
pub mod secrets;
pub mod server;
pub mod soak;
pub mod tokens;

use std::sync::LazyLock;
use std::time::Duration;

use portcullis::store::postgres::{PostgresConfig, PostgresLimits, PostgresStore, migrate};

pub(crate) use cluster::{Authentication, Cluster, Database, Options};

/// The cluster that the tests of one binary share, each with a database of its own.
static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// The cluster that is shared: not to be stopped or frozen.
pub(crate) fn shared() -> &'static Cluster {
    &SHARED
}

/// An empty database in the shared cluster.
pub(crate) fn empty_database(name: &str) -> Database {
    SHARED.database(name)
}

/// A database with the schema in the shared cluster.
pub(crate) async fn database(name: &str) -> Database {
    let database = empty_database(name);
    migrate(&patient(&database)).await.unwrap();
    database
}

/// A store on `database` that waits much longer than a sound server on a busy machine takes.
pub(crate) fn store(database: &Database) -> PostgresStore {
    PostgresStore::new(patient(database)).unwrap()
}

/// How to reach `database`, for a test that is not about time.
pub(crate) fn patient(database: &Database) -> PostgresConfig {
    PostgresConfig::parse(database.url(), None, patience()).unwrap()
}

/// Limits for a test that is not about time.
pub(crate) fn patience() -> PostgresLimits {
    PostgresLimits {
        store_timeout: Duration::from_secs(30),
        catalog_timeout: Duration::from_secs(60),
        ..PostgresLimits::default()
    }
}

/// The answer, which has to come: what hangs is a failure and not a test that never ends.
pub async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => panic!("{what}: nothing after a minute"),
    }
}
