//! The accept loop, and how it ends.
//!
//! A drain: no connection is accepted any more; every connection gets a GOAWAY, finishes the calls
//! that it has and closes. What is not done within the grace is cut.

use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Router;

/// Bounds of one HTTP/2 connection. hyper leaves the two about streams and resets off unless they
/// are set.
const MAX_CONCURRENT_STREAMS: u32 = 256;
const MAX_LOCAL_ERROR_RESETS: usize = 512;
const MAX_PENDING_ACCEPT_RESETS: usize = 20;
const MAX_HEADER_LIST: u32 = 16 << 10;
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the loop rests when no connection can be accepted: descriptors ran out, most likely,
/// and asking again at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every call finished.
    Clean,
    /// So many connections were cut.
    Cut(usize),
}

/// A bound port, and what answers on it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
}

impl Server {
    /// A server on `listener`.
    #[must_use]
    pub fn new(listener: TcpListener, router: Router) -> Self {
        Self { listener, router }
    }

    /// Serves until `drain`, then at most `grace` longer.
    pub async fn serve(self, drain: CancellationToken, grace: Duration) -> Drained {
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = drain.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, self.router.clone(), drain.clone());
                    let cut = cut.clone();
                    connections.spawn(async move {
                        tokio::select! {
                            () = connection => {}
                            () = cut.cancelled() => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        match tokio::time::timeout(grace, connections.wait()).await {
            Ok(()) => Drained::Clean,
            Err(_elapsed) => {
                let left = connections.len();
                cut.cancel();
                connections.wait().await;
                Drained::Cut(left)
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, drain: CancellationToken) {
    // Answers are small and awaited: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    // A peer that has said nothing has no call to finish, and hyper would wait for its first word.
    let mut first = [0];
    tokio::select! {
        biased;
        _ = stream.peek(&mut first) => {}
        () = drain.cancelled() => return,
    }
    let service = service_fn(move |request| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.answer(request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESETS)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESETS)
        .max_header_list_size(MAX_HEADER_LIST)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A peer that went away, or that does not speak HTTP/2: its affair.
        tracing::debug!(%error, "a connection ended with an error");
    }
}
