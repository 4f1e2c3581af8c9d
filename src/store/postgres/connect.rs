//! Making connections, and sessions of their own for what takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure;
use super::tls::TlsMode;
use crate::store::StoreError;

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// How long a connection may take until it can be used. Longer than a load may: a connection that
/// comes too late for the load that asked for it serves the next one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request to cancel may take to be delivered.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes connections to one database.
#[derive(Clone)]
pub(super) struct Connector {
    /// One for each attempt; they differ in `ssl_mode` alone.
    attempts: Arc<[Config]>,
    tls: MakeRustlsConnect,
}

impl Connector {
    pub(super) fn new(config: &Config, mode: TlsMode, tls: MakeRustlsConnect) -> Self {
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        // As libpq: a Unix socket has no TLS, whatever `sslmode` says.
        let modes = if config.get_hosts().iter().all(is_socket) {
            &[SslMode::Disable]
        } else {
            mode.attempts()
        };
        let attempts = modes
            .iter()
            .map(|mode| {
                let mut config = config.clone();
                config.ssl_mode(*mode);
                config
            })
            .collect();
        Self { attempts, tls }
    }

    /// The same, for connections on which something is always on the way: what is not acknowledged
    /// within `patience` ends them.
    pub(super) fn impatient(&self, patience: Duration) -> Self {
        let impatient = |config: &Config| {
            let mut config = config.clone();
            config.tcp_user_timeout(patience);
            config
        };
        Self {
            attempts: self.attempts.iter().map(impatient).collect(),
            tls: self.tls.clone(),
        }
    }

    /// Connects. As libpq, `prefer` falls back to plain text and `allow` to TLS where the server
    /// refuses the first or the handshake fails; unlike libpq, after all hosts were tried rather
    /// than host by host.
    pub(super) async fn open(&self) -> Result<(Client, Connection<Socket, TlsStream>), Error> {
        let mut attempts = self.attempts.iter();
        let first = attempts.next().cloned().unwrap_or_default();
        let mut outcome = first.connect(self.tls.clone()).await;
        for next in attempts {
            match &outcome {
                Err(refusal) if may_fall_back(refusal) => {
                    outcome = next.connect(self.tls.clone()).await;
                }
                Ok(_) | Err(_) => break,
            }
        }
        outcome
    }

    /// Asks the server to stop what it does for `token`, and does not wait for that.
    ///
    /// A server-side `statement_timeout` would need `options` at connect, which transaction
    /// poolers refuse, a `SET`, which through a pooler hits other clients, or a transaction, which
    /// costs each load two more round trips. A request to cancel costs nothing until it is needed.
    pub(super) fn cancel(&self, token: CancelToken) {
        let tls = self.tls.clone();
        // Without a runtime the process is ending, and so is the connection.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            // Nobody waits for the outcome: the connection itself is closed in any case.
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(tls)).await;
        });
    }
}

/// Whether the other kind of connection may do better: not where the server knows the user and
/// refuses the password, say.
fn may_fall_back(error: &Error) -> bool {
    error
        .code()
        .is_none_or(|code| *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// A connection, closed when it is dropped. What the server still does for it is cancelled then,
/// unless it was said to be at rest.
pub(super) struct Session {
    client: Client,
    connector: Connector,
    driver: JoinHandle<()>,
    warned: Arc<AtomicBool>,
    at_rest: bool,
}

impl Session {
    pub(super) async fn open(connector: &Connector) -> Result<Self, StoreError> {
        let (client, mut connection) = connector
            .open()
            .await
            .map_err(|error| failure::connecting(&error))?;
        let warned = Arc::new(AtomicBool::new(false));
        let warn = Arc::clone(&warned);
        // How it ends is seen by whoever waits for an answer on it.
        let driver = tokio::spawn(async move {
            let mut messages =
                futures_util::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = futures_util::StreamExt::next(&mut messages).await {
                if let AsyncMessage::Notice(notice) = message
                    && *notice.code() == SqlState::WARNING
                {
                    warn.store(true, Ordering::Release);
                }
            }
        });
        Ok(Self {
            client,
            connector: connector.clone(),
            driver,
            warned,
            at_rest: false,
        })
    }

    /// Says that statements are about to be sent.
    pub(super) fn begin(&mut self) {
        self.at_rest = false;
    }

    /// Says that the last statement was answered, and that no transaction is open.
    pub(super) fn end(&mut self) {
        self.at_rest = true;
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Forgets earlier warnings.
    pub(super) fn expect_no_warning(&self) {
        self.warned.store(false, Ordering::Release);
    }

    /// Whether the server has warned since. Notices are read before the answer that they precede,
    /// so this holds as soon as the answer is there.
    pub(super) fn was_warned(&self) -> bool {
        self.warned.load(Ordering::Acquire)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.at_rest && !self.client.is_closed() {
            self.connector.cancel(self.client.cancel_token());
        }
        self.driver.abort();
    }
}
