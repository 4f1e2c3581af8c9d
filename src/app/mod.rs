//! The wiring: from a configuration to a service that is bound, and from there to one that has
//! drained.
//!
//! [`build`] returns something whose addresses are known; [`Bound::serve`] is then awaited. Who
//! calls supplies the end, so that a test binds port 0 and stops it at will.

mod descriptors;
mod exposition;
mod readiness;
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::administrator::Administrator;
use crate::authorizer::Authorizer;
use crate::callers::{AuthConfig, TlsFiles};
use crate::decisions::{DecisionLog, Logged, Writer};
use crate::directory::{Directory, DirectoryConfig};
use crate::domain::FeatureMatrix;
use crate::edge::{Limits, Router, Server, Services};
use crate::grpc::{AuthorizationApi, MAX_OPEN_MESSAGE, PolicyApi, reflection};
use crate::http::{self, Readiness};
use crate::store::measured::{Measured, Queries};
use crate::store::memory::MemoryStore;
use crate::store::postgres::{PostgresConfig, PostgresStore};
use crate::store::{Import, PolicyStore, Store, matrix_digest};

use exposition::Exposition;
use trust::Trust;

pub use crate::edge::Drained;

/// Everything that `serve` needs to know.
#[derive(Debug)]
pub struct ServeConfig {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where probes are answered.
    pub http_listen: SocketAddr,
    /// Where policies are kept.
    pub store: StoreChoice,
    /// The matrix to decide by.
    pub matrix: FeatureMatrix,
    /// Bounds of the caches and of staleness.
    pub directory: DirectoryConfig,
    /// Bounds of connections and calls.
    pub limits: Limits,
    /// What the server proves itself with; without it, connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// How callers prove who they are.
    pub auth: AuthConfig,
    /// How long the service goes on as before when it is asked to end, not ready already.
    pub shutdown_delay: Duration,
    /// The hard end of a drain, from when connections are told to leave.
    pub shutdown_grace: Duration,
    /// Whether reflection is served.
    pub reflection: bool,
    /// Which decisions are logged.
    pub decision_log: Logged,
}

/// Where policies are kept.
#[derive(Debug)]
pub enum StoreChoice {
    /// In memory: this data.
    Memory(Import),
    /// In Postgres.
    Postgres(PostgresConfig),
}

/// The store, as each of those sees it who use it.
#[derive(Debug)]
struct Stored {
    store: Arc<dyn Store>,
    policies: Arc<dyn PolicyStore>,
    queries: Arc<Queries>,
}

impl Stored {
    fn new<S: Store + PolicyStore + 'static>(store: S) -> Self {
        let store = Arc::new(Measured::new(Arc::new(store)));
        Self {
            queries: store.queries(),
            policies: Arc::clone(&store) as _,
            store,
        }
    }
}

/// A service that has its ports, and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    stored: Stored,
    matrix: Arc<FeatureMatrix>,
    directory: DirectoryConfig,
    grpc: TcpListener,
    probes: TcpListener,
    limits: Limits,
    trust: Trust,
    shutdown_delay: Duration,
    shutdown_grace: Duration,
    reflection: bool,
    decisions: (DecisionLog, Option<Writer>),
}

/// Opens the store and binds the ports.
///
/// # Errors
/// Where a port is taken, data for memory is not consistent, or a file that certificates, keys or
/// roles are in is not as it should be. A Postgres that is down is none: the service waits for it,
/// not ready.
pub async fn build(config: ServeConfig) -> anyhow::Result<Bound> {
    let stored = match config.store {
        StoreChoice::Memory(import) => {
            let store = MemoryStore::default();
            store.import(&import, &|_| {}).await?;
            Stored::new(store)
        }
        StoreChoice::Postgres(postgres) => Stored::new(PostgresStore::new(postgres)?),
    };
    Ok(Bound {
        stored,
        matrix: Arc::new(config.matrix),
        directory: config.directory,
        grpc: bind(config.listen, "listen")?,
        probes: bind(config.http_listen, "http-listen")?,
        limits: Limits {
            max_connections: descriptors::connections(config.limits.max_connections),
            ..config.limits
        },
        trust: Trust::read(config.tls, &config.auth)?,
        shutdown_delay: config.shutdown_delay,
        shutdown_grace: config.shutdown_grace,
        reflection: config.reflection,
        decisions: DecisionLog::start(config.decision_log)?,
    })
}

/// How many connections may wait to be accepted, as far as the system allows. Beyond it a client's
/// first packet is dropped, and it tries again after a second: with the 128 that
/// `TcpListener::bind` asks for, a burst of peers keeps everybody waiting.
const BACKLOG: u32 = 4096;

fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("cannot listen on `{address}` (--{flag})"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// Where gRPC is served.
    ///
    /// # Errors
    /// Where the operating system cannot say.
    pub fn grpc_addr(&self) -> std::io::Result<SocketAddr> {
        self.grpc.local_addr()
    }

    /// Where probes are answered.
    ///
    /// # Errors
    /// Where the operating system cannot say.
    pub fn http_addr(&self) -> std::io::Result<SocketAddr> {
        self.probes.local_addr()
    }

    /// Serves until `shutdown`, drains, and says how that went. In this order: not ready; after the
    /// delay, in which whoever balances load can notice that, GOAWAY; calls finish; connections
    /// close; what is left after the grace is cut.
    ///
    /// # Errors
    /// Where the task that keeps the caches true has died: a service without it would go stale.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<Drained> {
        let Stored {
            store,
            policies,
            queries,
        } = self.stored;
        let administrator = Administrator::new(policies, Arc::clone(&self.matrix));
        let (directory, loader) = Directory::new(Arc::clone(&store), self.matrix, self.directory);
        let mut loader = tokio::spawn(loader);

        let reporter = HealthReporter::new();
        let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()))
            .max_decoding_message_size(MAX_OPEN_MESSAGE);
        let (ready, readiness) = watch::channel(Readiness::NotReady("starting".to_owned()));
        let keep_told = tokio::spawn(readiness::keep_told(
            directory.clone(),
            reporter,
            ready,
            shutdown.clone(),
        ));
        let drain = CancellationToken::new();
        let told = (shutdown, drain.clone());
        let delay = AbortOnDropHandle::new(tokio::spawn(async move {
            let (shutdown, drain) = told;
            shutdown.cancelled().await;
            tokio::time::sleep(self.shutdown_delay).await;
            drain.cancel();
        }));

        // The loader ends with the last directory, and may not do so before the service does.
        let (decisions, writer) = self.decisions;
        let api = AuthorizationApi::new(Authorizer::new(directory.clone()))
            .with_decision_log(decisions.clone());
        let policy = PolicyApi::new(administrator);
        let mut services = Services::new(api, policy, health);
        if self.reflection {
            let (v1, v1alpha) = reflection()?;
            services = services.with_reflection(v1, v1alpha);
        }
        let router = Router::new(services, self.trust.gate, &self.limits)?;
        let server = Server::new(self.grpc, router, self.limits, self.trust.tls.clone());
        let exposition = Exposition {
            store,
            queries,
            directory: directory.clone(),
            edge: server.figures(),
            decisions,
            trust: self.trust.figures,
            readiness: readiness.clone(),
            digest: matrix_digest(directory.matrix()),
        };
        let probes = tokio::spawn(http::serve(
            self.probes,
            readiness,
            Arc::new(move || exposition.page()),
        ));
        let mut background: JoinSet<()> = self.trust.tasks.into_iter().collect();
        let served = server.serve(drain, self.shutdown_grace);
        let drained = tokio::select! {
            drained = served => Ok(drained?),
            // Withdrawn roles and keys would be honoured for ever.
            Some(ended) = background.join_next() => {
                Err(anyhow::anyhow!("a task that reads files again has died: {ended:?}"))
            }
            ended = &mut loader => Err(anyhow::anyhow!("the loader has died: {ended:?}")),
        };
        drop((directory, delay));
        probes.abort();
        keep_told.abort();
        loader.abort();
        if let Some(writer) = writer {
            writer.finish().await;
        }
        drained
    }
}
