//! The servers that are measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis::administrator::Administrator;
use portcullis::app::{self, ServeConfig, StoreChoice};
use portcullis::callers::AuthConfig;
use portcullis::decisions::Logged;
use portcullis::directory::DirectoryConfig;
use portcullis::edge::{Gate, Limits, Router, Server, Services};
use portcullis::grpc::PolicyApi;
use portcullis::store::memory::MemoryStore;
use portcullis::store::postgres::{PostgresConfig, PostgresLimits};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::nothing::Nothing;
use crate::world::{self, Size};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Portcullis as `serve` starts it, over this data in memory.
///
/// # Errors
/// Where it cannot be started.
pub async fn memory(size: Size) -> anyhow::Result<()> {
    portcullis(StoreChoice::Memory(world::import(size))).await
}

/// The same over a database, with more patience for it: where Postgres, the client and other work
/// share the processors a load that waits for one is slow, and is to count as that.
///
/// # Errors
/// Where it cannot be started.
pub async fn postgres(url: &str) -> anyhow::Result<()> {
    let limits = PostgresLimits {
        store_timeout: Duration::from_secs(3),
        ..PostgresLimits::default()
    };
    let config = PostgresConfig::parse(url, None, limits)?;
    portcullis(StoreChoice::Postgres(config)).await
}

async fn portcullis(store: StoreChoice) -> anyhow::Result<()> {
    let bound = app::build(ServeConfig {
        listen: ANY_PORT,
        http_listen: ANY_PORT,
        store,
        matrix: Arc::unwrap_or_clone(world::matrix()),
        directory: DirectoryConfig::default(),
        limits: Limits::default(),
        tls: None,
        auth: AuthConfig::Anyone,
        shutdown_delay: Duration::ZERO,
        shutdown_grace: Duration::from_secs(5),
        reflection: true,
        decision_log: Logged::Off,
    })
    .await?;
    println!("{} {}", bound.grpc_addr()?, bound.http_addr()?);
    bound.serve(CancellationToken::new()).await?;
    Ok(())
}

/// Portcullis with a handler that does nothing in the place of its own.
///
/// # Errors
/// Where it cannot be started.
pub async fn empty() -> anyhow::Result<()> {
    let store = Arc::new(MemoryStore::default());
    let policy = PolicyApi::new(Administrator::new(store, world::matrix()));
    let health = HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()));
    let limits = Limits::default();
    let services = Services::new(Nothing, policy, health);
    let router = Router::new(services, Gate::open(), &limits)?;
    let listener = TcpListener::bind(ANY_PORT).await?;
    println!("{}", listener.local_addr()?);
    let server = Server::new(listener, router, limits, None);
    server
        .serve(CancellationToken::new(), Duration::ZERO)
        .await?;
    Ok(())
}
