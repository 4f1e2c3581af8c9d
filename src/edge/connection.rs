//! One connection, from its first byte to its last.
//!
//! It is cut when its peer does not say what it has to in time: the handshake and a first frame, an
//! answer to a ping, room for an answer. It is told to leave (a GOAWAY that lets calls finish) when
//! the service drains, when it is old, when it was idle for long, and when its peer began a call and
//! did not go on. Who was told to leave and stays is cut.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::gate::Peer;
use super::guard::{self, Guard, Pulse};
use super::http2::{self, Http2};
use super::life::{Life, Step};
use super::link::Link;
use super::seats::Seat;
use super::tls::Identity;
use super::{Figures, Limits, Router};
use crate::proto::v1::authorization_service_server::AuthorizationService;
use crate::reload::Reloaded;

/// What all connections have in common.
#[derive(Debug)]
pub(super) struct Service<A> {
    pub(super) router: Router<A>,
    pub(super) limits: Limits,
    /// What connections are encrypted with; none where they are not.
    pub(super) tls: Option<Arc<Reloaded<Identity>>>,
    /// Cancelled when connections are to leave.
    pub(super) drain: CancellationToken,
    pub(super) figures: Figures,
}

/// Why the server ends a connection against the will of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// All seats were taken by peers that were served.
    TurnedAway,
    /// It was not served yet, and another came.
    GaveWay,
    /// It did not say in time what it had to before it is served.
    Handshake,
    /// TLS was not agreed on, or its certificate was not good.
    Tls,
    /// It does not speak HTTP/2, or not as it should.
    Protocol,
    /// It sent or provoked more frames than it may.
    Flood,
    /// It was silent, and did not answer a ping.
    Keepalive,
    /// It did not take its answers.
    Untaken,
    /// It was told to leave, and stayed.
    Lingered,
}

impl Cut {
    pub(super) const ALL: [Self; 9] = [
        Self::TurnedAway,
        Self::GaveWay,
        Self::Handshake,
        Self::Tls,
        Self::Protocol,
        Self::Flood,
        Self::Keepalive,
        Self::Untaken,
        Self::Lingered,
    ];

    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TurnedAway => "turned_away",
            Self::GaveWay => "gave_way",
            Self::Handshake => "handshake",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Flood => "flood",
            Self::Keepalive => "keepalive",
            Self::Untaken => "untaken",
            Self::Lingered => "lingered",
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// A peer that went away, or that does not speak as it should: its affair.
    #[error("{0}")]
    ByPeer(#[from] io::Error),
    /// The service had enough of it.
    #[error("{1}")]
    Cut(Cut, &'static str),
}

/// Serves one connection until it ends.
pub(super) async fn serve<A: AuthorizationService>(
    stream: TcpStream,
    seat: Seat,
    service: Arc<Service<A>>,
) {
    // Answers are small and awaited: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let figures = service.figures.clone();
    let ended = begin(stream, seat, service).await;
    if let Err(error) = ended {
        if let Ended::Cut(cut, _) = error {
            figures.connections.cut(cut);
        }
        tracing::debug!(%error, "a connection ended");
    }
}

/// The futures of what comes after the peer has begun are boxed: there may be thousands of peers that
/// never do.
async fn begin<A: AuthorizationService>(
    mut stream: TcpStream,
    seat: Seat,
    service: Arc<Service<A>>,
) -> Result<(), Ended> {
    let calls = Arc::clone(&service.figures.calls);
    let leaving = service.drain.child_token();
    let patience = Patience {
        until: Instant::now() + service.limits.handshake_timeout,
        leaving: leaving.clone(),
        given_up: seat.given_up().clone(),
    };
    let Some(tls) = &service.tls else {
        let begun = patience.with(first_frame(&mut stream)).await?;
        let (guarded, pulse) = Guard::new(stream, begun);
        let link = Link::new(Peer::Unknown, seat, calls, leaving);
        return Box::pin(speak(guarded, pulse, link, &patience, service)).await;
    };
    let spoken = patience.with(async { Ok(stream.peek(&mut [0]).await?) });
    spoken.await?;
    // Each handshake by the files of now.
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().config));
    let accepted = async { acceptor.accept(stream).await.map_err(no_tls) };
    let accepted = patience.with(accepted);
    let mut stream = Box::pin(accepted).await?;
    let begun = patience.with(first_frame(&mut stream)).await?;
    let (_, session) = stream.get_ref();
    let peer = service.router.gate().peer(session.peer_certificates());
    let link = Link::new(peer, seat, calls, leaving);
    let (guarded, pulse) = Guard::new(stream, begun);
    Box::pin(speak(guarded, pulse, link, &patience, service)).await
}

/// How long a peer is waited for before it is served.
struct Patience {
    until: Instant,
    leaving: CancellationToken,
    given_up: CancellationToken,
}

impl Patience {
    /// What a peer has to do by then, or not at all. A drain does not wait for it.
    async fn with<T>(&self, done: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
        let late = |_elapsed| Ended::Cut(Cut::Handshake, "the peer did not begin in time");
        tokio::select! {
            done = timeout_at(self.until, done) => done.map_err(late)?,
            () = self.leaving.cancelled() => Err(io::Error::other("the service drains").into()),
            () = self.given_up.cancelled() => Err(gave_way()),
        }
    }
}

fn gave_way() -> Ended {
    Ended::Cut(Cut::GaveWay, "it gave way to another")
}

/// Waits for the first frame, and takes offence at what is none.
async fn first_frame<I: AsyncRead + AsyncWrite + Unpin>(stream: &mut I) -> Result<Bytes, Ended> {
    guard::begin(stream)
        .await
        .map_err(|error| match error.kind() == io::ErrorKind::InvalidData {
            true => Ended::Cut(Cut::Protocol, "the peer does not speak HTTP/2"),
            false => Ended::ByPeer(error),
        })
}

/// A peer that hangs up in the middle of a handshake has not failed it.
fn no_tls(error: io::Error) -> Ended {
    let is_failed = error
        .get_ref()
        .is_some_and(|error| error.is::<rustls::Error>());
    match is_failed {
        true => {
            tracing::debug!(%error, "a TLS handshake failed");
            Ended::Cut(Cut::Tls, "the TLS handshake failed")
        }
        false => Ended::ByPeer(error),
    }
}

async fn speak<I, A>(
    guarded: Guard<I>,
    pulse: Arc<Pulse>,
    link: Arc<Link>,
    patience: &Patience,
    service: Arc<Service<A>>,
) -> Result<(), Ended>
where
    I: AsyncRead + AsyncWrite + Unpin,
    A: AuthorizationService,
{
    let mut life = Life::new(&service.limits);
    let agreed = http2::agree(guarded, &service.limits);
    let agreed = patience.with(async { agreed.await.map_err(|error| broken(&error, &pulse)) });
    let mut http2 = Http2::new(agreed.await?, Arc::clone(&link), service);
    let mut timer = pin!(sleep_until(life.next_look()));
    let mut is_leaving = false;
    loop {
        let step = tokio::select! {
            ended = poll_fn(|cx| http2.poll(cx)) => {
                return ended.map_err(|error| broken(&error, &pulse));
            }
            () = link.leaving().cancelled(), if !is_leaving => Step::Leave,
            // Who was served gives way no more.
            () = link.given_up().cancelled(), if !link.is_kept() => return Err(gave_way()),
            () = timer.as_mut() => life.look(&link, &pulse),
        };
        match step {
            Step::Stay => {}
            Step::Ping => http2.ping(),
            Step::Leave => {
                is_leaving = true;
                life.leave();
                link.leaving().cancel();
                http2.leave();
            }
            // It has no call, and does not even answer: nothing is cut by this.
            Step::Close => return Ok(()),
            Step::Cut(cut, why) => return Err(Ended::Cut(cut, why)),
        }
        timer.as_mut().reset(life.next_look());
    }
}

/// Why the HTTP library ended a connection.
fn broken(error: &h2::Error, pulse: &Pulse) -> Ended {
    if pulse.flooded() {
        return Ended::Cut(Cut::Flood, "the peer sent more frames than it may");
    }
    match error.reason().filter(|_| error.is_library()) {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Ended::Cut(
            Cut::Flood,
            "the peer sent more frames than the library takes",
        ),
        Some(_) => Ended::Cut(Cut::Protocol, "the peer broke the rules of HTTP/2"),
        None => Ended::ByPeer(io::Error::other(error.to_string())),
    }
}
