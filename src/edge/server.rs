//! The accept loop, and how it ends.
//!
//! A drain: no connection is accepted any more; every connection gets a GOAWAY, finishes the calls
//! that it has and closes. What is not done within the grace is cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connection::Service;
use super::seats::Seats;
use super::workers::Workers;
use super::{Limits, Router, Seldom};
use crate::reload::Reloaded;

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
    limits: Limits,
    tls: Option<Arc<Reloaded<ServerConfig>>>,
}

impl Server {
    /// A server on `listener`, over TLS where there is something to encrypt with.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        router: Router,
        limits: Limits,
        tls: Option<Arc<Reloaded<ServerConfig>>>,
    ) -> Self {
        Self {
            listener,
            router,
            limits,
            tls,
        }
    }

    /// Serves until `drain`, then at most `grace` longer.
    ///
    /// # Errors
    /// Where the threads that serve cannot be started.
    pub async fn serve(self, drain: CancellationToken, grace: Duration) -> io::Result<Drained> {
        let seats = Seats::new(self.limits.max_connections);
        let mut workers = Workers::start(&Arc::new(Service {
            router: self.router,
            limits: self.limits,
            tls: self.tls,
            drain: drain.clone(),
        }))?;
        let mut door = Door {
            seats: Arc::clone(&seats),
            full: Seldom::default(),
            stuck: Seldom::default(),
        };
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = drain.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => door.let_in(stream, &workers),
                Err(error) => door.rest(&error).await,
            }
        }
        drop(self.listener);
        if tokio::time::timeout(grace, workers.finish()).await.is_ok() {
            return Ok(Drained::Clean);
        }
        let left = seats.taken();
        workers.cut();
        workers.finish().await;
        Ok(match left {
            0 => Drained::Clean,
            left => Drained::Cut(left),
        })
    }
}

/// Who lets connections in.
struct Door {
    seats: Arc<Seats>,
    full: Seldom,
    stuck: Seldom,
}

impl Door {
    fn let_in(&mut self, stream: TcpStream, workers: &Workers) {
        match (self.seats.take(), stream.into_std()) {
            (Some(seat), Ok(stream)) => workers.deal(stream, seat),
            (None, _) => {
                if let Some(times) = self.full.say() {
                    tracing::warn!(
                        times,
                        "a connection was turned away: there are as many as --max-connections allows"
                    );
                }
            }
            (Some(_), Err(error)) => tracing::debug!(%error, "a connection could not be served"),
        }
    }

    /// What helps where a connection cannot be accepted: one that ends, and some time.
    async fn rest(&mut self, error: &io::Error) {
        if let Some(times) = self.stuck.say() {
            tracing::warn!(%error, times, "cannot accept a connection");
        }
        self.seats.free_one();
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
