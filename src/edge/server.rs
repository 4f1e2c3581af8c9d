//! The accept loop, and how it ends.
//!
//! A drain: no connection is accepted any more; every connection gets a GOAWAY, finishes the calls
//! that it has and closes. What is not done within the grace is cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connection::{Cut, Service};
use super::figures::Connections;
use super::seats::Seats;
use super::tls::Identity;
use super::workers::Workers;
use super::{Figures, Limits, Router, Seldom};
use crate::proto::v1::authorization_service_server::AuthorizationService;
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
pub struct Server<A> {
    listener: TcpListener,
    router: Router<A>,
    limits: Limits,
    tls: Option<Arc<Reloaded<Identity>>>,
    figures: Figures,
}

impl<A: AuthorizationService> Server<A> {
    /// A server on `listener`, over TLS where there is something to encrypt with.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        router: Router<A>,
        limits: Limits,
        tls: Option<Arc<Reloaded<Identity>>>,
    ) -> Self {
        let figures = Figures {
            calls: Arc::clone(&router.calls),
            admission: Arc::clone(&router.admission),
            seats: Seats::new(limits.max_connections),
            connections: Arc::new(Connections::new()),
        };
        Self {
            listener,
            router,
            limits,
            tls,
            figures,
        }
    }

    /// What is counted here, from now on.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.figures.clone()
    }

    /// Serves until `drain`, then at most `grace` longer.
    ///
    /// # Errors
    /// Where the threads that serve cannot be started.
    pub async fn serve(self, drain: CancellationToken, grace: Duration) -> io::Result<Drained> {
        let Figures {
            seats, connections, ..
        } = self.figures.clone();
        let mut workers = Workers::start(&Arc::new(Service {
            router: self.router,
            limits: self.limits,
            tls: self.tls,
            drain: drain.clone(),
            figures: self.figures,
        }))?;
        let mut door = Door {
            seats: Arc::clone(&seats),
            connections,
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
    connections: Arc<Connections>,
    full: Seldom,
    stuck: Seldom,
}

impl Door {
    fn let_in(&mut self, stream: TcpStream, workers: &Workers) {
        self.connections.accepted();
        match (self.seats.take(), stream.into_std()) {
            (Some(seat), Ok(stream)) => workers.deal(stream, seat),
            (None, _) => {
                self.connections.cut(Cut::TurnedAway);
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
