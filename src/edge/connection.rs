//! One connection, from its first byte to its last.
//!
//! It is cut when its peer does not say what it has to in time: the handshake and a first frame, an
//! answer to a ping, room for an answer. It is told to leave (a GOAWAY that lets calls finish) when
//! the service drains, when it is old, when it was idle for long, and when its peer began a call and
//! did not go on. Who was told to leave and stays is cut.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::gate::Peer;
use super::guard::{self, Guard, Pulse};
use super::link::{Link, SPAN};
use super::seats::Seat;
use super::tls::Identity;
use super::{Figures, Limits, Router};
use crate::clock::Moment;
use crate::proto::v1::authorization_service_server::AuthorizationService;
use crate::reload::Reloaded;

/// Bounds of resets that the HTTP library counts by itself, once it is told to.
const MAX_LOCAL_ERROR_RESETS: usize = 512;
const MAX_PENDING_ACCEPT_RESETS: usize = 20;
/// How long a peer that was told to leave may take, beside the time of its calls.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);
/// How long a peer that was told to leave may stay without a call.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer may leave the connection so full that nothing more can be written.
const BLOCKED: Duration = Duration::from_secs(20);

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
        return Box::pin(speak(guarded, pulse, link, service)).await;
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
    Box::pin(speak(guarded, pulse, link, service)).await
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
    service: Arc<Service<A>>,
) -> Result<(), Ended>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: AuthorizationService,
{
    let limits = &service.limits;
    let answer = {
        let (link, service) = (Arc::clone(&link), Arc::clone(&service));
        service_fn(move |request| {
            let (link, service) = (Arc::clone(&link), Arc::clone(&service));
            // Moved five times on its way to where it is polled: boxed, it is small.
            Box::pin(async move { Ok::<_, Infallible>(service.router.answer(link, request).await) })
        })
    };
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // No client of gRPC looks at it.
        .auto_date_header(false)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_local_error_reset_streams(MAX_LOCAL_ERROR_RESETS)
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESETS)
        .max_header_list_size(limits.max_header_list)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive_timeout)
        .serve_connection(TokioIo::new(guarded), answer);
    let mut connection = pin!(connection);
    let mut life = Life::new(limits);
    let mut timer = pin!(sleep_until(life.next_look()));
    let mut is_leaving = false;
    loop {
        let step = tokio::select! {
            ended = connection.as_mut() => return ended.map_err(|error| broken(error, &pulse)),
            () = link.leaving().cancelled(), if !is_leaving => Step::Leave,
            // Who was served gives way no more.
            () = link.given_up().cancelled(), if !link.is_kept() => return Err(gave_way()),
            () = timer.as_mut() => life.look(&link, &pulse),
        };
        match step {
            Step::Stay => {}
            Step::Leave => {
                is_leaving = true;
                life.leave();
                link.leaving().cancel();
                connection.as_mut().graceful_shutdown();
            }
            // It has no call, and does not even answer: nothing is cut by this.
            Step::Close => return Ok(()),
            Step::Cut(cut, why) => return Err(Ended::Cut(cut, why)),
        }
        timer.as_mut().reset(life.next_look());
    }
}

/// What becomes of a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Stay,
    Leave,
    Close,
    Cut(Cut, &'static str),
}

/// Why the HTTP library ended a connection.
fn broken(error: hyper::Error, pulse: &Pulse) -> Ended {
    if pulse.flooded() {
        return Ended::Cut(Cut::Flood, "the peer sent more frames than it may");
    }
    if error.is_timeout() {
        return Ended::Cut(Cut::Keepalive, "the peer did not answer a ping");
    }
    let h2 =
        std::error::Error::source(&error).and_then(|source| source.downcast_ref::<h2::Error>());
    match h2.filter(|h2| h2.is_library()).and_then(h2::Error::reason) {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Ended::Cut(
            Cut::Flood,
            "the peer sent more frames than the library takes",
        ),
        Some(_) => Ended::Cut(Cut::Protocol, "the peer broke the rules of HTTP/2"),
        None => Ended::ByPeer(io::Error::other(error)),
    }
}

/// The instants at which a connection is looked at.
#[derive(Debug)]
struct Life {
    /// When it is told to leave for its age; none once it was told to leave.
    old: Option<Instant>,
    /// When it is cut for not leaving.
    gone: Option<Instant>,
    idle: Instant,
    max_idle: Duration,
    span: Instant,
    leave_within: Duration,
}

impl Life {
    fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            old: Some(now + jittered(limits.max_connection_age)),
            gone: None,
            idle: now + limits.max_connection_idle,
            max_idle: limits.max_connection_idle,
            span: now + SPAN,
            leave_within: limits.request_timeout + LEAVE_WITHIN,
        }
    }

    fn next_look(&self) -> Instant {
        let may_be = [self.old, self.gone];
        let soonest = self.idle.min(self.span);
        may_be.into_iter().flatten().fold(soonest, Instant::min)
    }

    fn leave(&mut self) {
        let now = Instant::now();
        self.old = None;
        self.gone = Some(now + self.leave_within);
        (self.idle, self.max_idle) = (now + LINGER, LINGER);
    }

    fn look(&mut self, link: &Link, pulse: &Pulse) -> Step {
        let now = Instant::now();
        let is_over = |end: Option<Instant>| end.is_some_and(|end| end <= now);
        if is_over(self.gone) {
            return Step::Cut(Cut::Lingered, "the peer was told to leave and has not");
        }
        if self.span <= now {
            self.span = now + SPAN;
            if link.next_span() || pulse.blocked_for() >= BLOCKED {
                return Step::Cut(Cut::Untaken, "the peer does not take its answers");
            }
        }
        let mut leave = is_over(self.old);
        if self.idle <= now {
            let idle = link.idle_since().map(|since| Moment::now().since(since));
            let left = self.max_idle.saturating_sub(idle.unwrap_or_default());
            leave |= left.is_zero();
            self.idle = now + if left.is_zero() { self.max_idle } else { left };
        }
        match (leave, self.gone) {
            (true, None) => Step::Leave,
            (true, Some(_)) => Step::Close,
            (false, _) => Step::Stay,
        }
    }
}

/// Give or take a tenth, so that connections that came together do not leave together.
fn jittered(age: Duration) -> Duration {
    let [random, ..] = uuid::Uuid::new_v4().into_bytes();
    age.mul_f64(0.9 + 0.2 * f64::from(random) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_either_way() {
        let age = Duration::from_secs(100);
        let (mut least, mut most) = (age, age);
        for _ in 0..1_000 {
            let jittered = jittered(age);
            (least, most) = (least.min(jittered), most.max(jittered));
        }
        assert!(least >= Duration::from_secs(90) && least < Duration::from_secs(92));
        assert!(most <= Duration::from_secs(110) && most > Duration::from_secs(108));
    }
}
