//! A real server on port 0, in this process, with a client.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::app::{self, Drained, ServeConfig, StoreChoice};
use portcullis::callers::AuthConfig;
use portcullis::datafile;
use portcullis::decisions::Logged;
use portcullis::directory::DirectoryConfig;
use portcullis::domain::FeatureMatrix;
use portcullis::edge::Limits;
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::{demo, within};

pub type Client = AuthorizationServiceClient<Channel>;

/// The configuration of a test: quick polls, else the defaults.
pub fn config(store: StoreChoice) -> ServeConfig {
    ServeConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        http_listen: "127.0.0.1:0".parse().unwrap(),
        store,
        matrix: built_in_matrix(),
        directory: DirectoryConfig {
            poll_interval: Duration::from_millis(200),
            ..DirectoryConfig::default()
        },
        limits: Limits {
            request_timeout: Duration::from_secs(20),
            ..Limits::default()
        },
        tls: None,
        auth: AuthConfig::Anyone,
        shutdown_delay: Duration::ZERO,
        shutdown_grace: Duration::from_secs(5),
        reflection: true,
        decision_log: Logged::Off,
    }
}

/// The same, with another pace of the poll.
pub fn with_poll(mut config: ServeConfig, poll_interval: Duration) -> ServeConfig {
    config.directory.poll_interval = poll_interval;
    config
}

pub fn built_in_matrix() -> FeatureMatrix {
    FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()
}

/// Data of a test, in memory.
pub fn memory(data: &str) -> StoreChoice {
    StoreChoice::Memory(datafile::parse(data, &built_in_matrix()).unwrap().0)
}

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<anyhow::Result<Drained>>,
}

impl Server {
    /// Starts it; it may not be ready yet.
    pub async fn start(config: ServeConfig) -> Self {
        let bound = app::build(config).await.unwrap();
        let (grpc, http) = (bound.grpc_addr().unwrap(), bound.http_addr().unwrap());
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(bound.serve(shutdown.clone()));
        Self {
            grpc,
            http,
            shutdown,
            serving,
        }
    }

    /// One over memory with the demo data.
    pub async fn demo() -> Self {
        Self::start(config(demo::store())).await
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.grpc))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub async fn client(&self) -> Client {
        let limit = 64 << 20;
        AuthorizationServiceClient::new(self.channel().await)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }

    /// Begins to drain.
    pub fn begin_drain(&self) {
        self.shutdown.cancel();
    }

    /// Drains, and says how that went.
    pub async fn stop(self) -> Drained {
        self.shutdown.cancel();
        within("the drain", self.serving).await.unwrap().unwrap()
    }
}
