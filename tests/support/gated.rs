//! A server over a store that a test can hold, so that a call is in flight for as long as it likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis::administrator::Administrator;
use portcullis::app::Drained;
use portcullis::authorizer::Authorizer;
use portcullis::directory::{Directory, DirectoryConfig};
use portcullis::edge::{self, Limits, Router, Server, Services};
use portcullis::grpc::{AuthorizationApi, PolicyApi};
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use portcullis::store::Store as _;
use portcullis::store::memory::MemoryStore;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::gate::Gate;
use super::server::{Client, built_in_matrix};
use super::{demo, within};

pub struct GatedServer {
    pub gate: Arc<Gate>,
    pub grpc: SocketAddr,
    drain: CancellationToken,
    serving: JoinHandle<std::io::Result<Drained>>,
    loader: JoinHandle<()>,
}

impl GatedServer {
    /// One with the demo data, that has looked at its store.
    pub async fn start(request_timeout: Duration, grace: Duration) -> Self {
        let limits = Limits {
            request_timeout,
            ..Limits::default()
        };
        Self::with_limits(limits, grace).await
    }

    /// The same, with these bounds.
    pub async fn with_limits(limits: Limits, grace: Duration) -> Self {
        let store = MemoryStore::default();
        store.import(demo::import(), &|_| {}).await.unwrap();
        let gate = Gate::new(store);
        let matrix = Arc::new(built_in_matrix());
        let administrator = Administrator::new(gate.clone(), Arc::clone(&matrix));
        let (directory, loader) = Directory::new(gate.clone(), matrix, DirectoryConfig::default());
        let loader = tokio::spawn(loader);
        within("the first poll", gate.until(|asked| asked.polls > 0)).await;

        let drain = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = listener.local_addr().unwrap();
        let health = HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()));
        let api = AuthorizationApi::new(Authorizer::new(directory));
        let policy = PolicyApi::new(administrator);
        let services = Services::new(api, policy, health);
        let router = Router::new(services, edge::Gate::open(), &limits).unwrap();
        let server = Server::new(listener, router, limits, None);
        let serving = tokio::spawn(server.serve(drain.clone(), grace));
        Self {
            gate,
            grpc,
            drain,
            serving,
            loader,
        }
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.grpc))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub async fn client(&self) -> Client {
        AuthorizationServiceClient::new(self.channel().await)
    }

    pub fn begin_drain(&self) {
        self.drain.cancel();
    }

    pub async fn stop(self) -> Drained {
        self.drain.cancel();
        let drained = within("the drain", self.serving).await.unwrap().unwrap();
        self.loader.abort();
        drained
    }
}
