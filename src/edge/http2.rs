//! HTTP/2 with one peer: from the streams that it opens to the frames that answer them.
//!
//! On h2 itself, for an HTTP library in between makes each call a task, looks through its headers for
//! what HTTP/2 has not, and moves it some times. Here a call takes its first step where it was
//! accepted, after all that have arrived with it. The short ones are answered by then, and written
//! together at the connection's next turn. Whatever waits becomes a task.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::{Request, Response};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Limits;
use super::answer::Answer;
use super::connection::Service;
use super::incoming::Incoming;
use super::link::Link;
use super::methods::{Method, Work};
use crate::proto::v1::authorization_service_server::AuthorizationService;

/// How much a peer may send before it is read: of one call, and of all.
const WINDOW: u32 = 1 << 20;
/// How much of an answer is held that its peer has no room for.
const MAX_UNSENT: usize = 400 << 10;
/// Bounds of resets that the library counts by itself, once it is told to.
const MAX_LOCAL_ERROR_RESETS: usize = 512;
const MAX_PENDING_ACCEPT_RESETS: usize = 20;

type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// One connection that speaks HTTP/2.
pub(super) struct Http2<I, A> {
    connection: Connection<I, Bytes>,
    ping: Option<PingPong>,
    /// Calls that have arrived, and did not begin yet.
    accepted: Vec<Accepted>,
    link: Arc<Link>,
    service: Arc<Service<A>>,
}

/// Agrees with the peer on how to speak.
///
/// # Errors
/// Where it does not speak HTTP/2, or not any more.
pub(super) async fn agree<I>(io: I, limits: &Limits) -> Result<Connection<I, Bytes>, h2::Error>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(MAX_UNSENT)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_local_error_reset_streams(Some(MAX_LOCAL_ERROR_RESETS))
        .max_pending_accept_reset_streams(MAX_PENDING_ACCEPT_RESETS)
        .max_header_list_size(limits.max_header_list)
        .handshake(io)
        .await
}

impl<I, A> Http2<I, A>
where
    I: AsyncRead + AsyncWrite + Unpin,
    A: AuthorizationService,
{
    /// A connection whose calls are for `service`, and are those of `link`.
    pub(super) fn new(
        mut connection: Connection<I, Bytes>,
        link: Arc<Link>,
        service: Arc<Service<A>>,
    ) -> Self {
        Self {
            ping: connection.ping_pong(),
            connection,
            accepted: Vec::new(),
            link,
            service,
        }
    }

    /// Serves it until it ends.
    ///
    /// # Errors
    /// Where the peer breaks off, or the rules.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(accepted)) => self.accepted.push(accepted?),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    // An answer wakes this task, and is written when it is polled again: after the
                    // other connections that are ready, or a peer beside would be woken for each.
                    self.begin(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Lets calls finish, and no more begin.
    pub(super) fn leave(&mut self) {
        self.connection.graceful_shutdown();
    }

    /// Asks the peer for a sign of life, if it does not owe one yet.
    pub(super) fn ping(&mut self) {
        let Some(ping) = &mut self.ping else {
            return;
        };
        // The last answer has to be taken first. That it came shows in what was received.
        let _ = ping.poll_pong(&mut Context::from_waker(Waker::noop()));
        let _ = ping.send_ping(Ping::opaque());
    }

    fn begin(&mut self, cx: &mut Context<'_>) {
        for (request, respond) in self.accepted.drain(..) {
            let method = self.service.router.method(&request);
            let (link, service) = (Arc::clone(&self.link), Arc::clone(&self.service));
            let mut call = Box::pin(exchange(service, link, method, request, respond));
            let is_short = method.is_some_and(|method| matches!(method.work, Work::AtOnce));
            if !is_short || first_step(call.as_mut(), cx).is_pending() {
                // It is over when its answer is sent, or with the connection.
                drop(tokio::spawn(call));
            }
        }
    }
}

/// A call that panics ends alone, as it would in a task of its own.
fn first_step(call: Pin<&mut impl Future<Output = ()>>, cx: &mut Context<'_>) -> Poll<()> {
    let stepped = catch_unwind(AssertUnwindSafe(|| call.poll(cx)));
    stepped.unwrap_or(Poll::Ready(()))
}

/// One call, from its request to the last of its answer. It is given up as soon as its caller has
/// left.
async fn exchange<A: AuthorizationService>(
    service: Arc<Service<A>>,
    link: Arc<Link>,
    method: Option<Method>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let request = request.map(Incoming::new);
    let answered = {
        let mut answered = pin!(service.router.answer(link, method, request));
        poll_fn(|cx| match answered.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => respond.poll_reset(cx).map(|_left| None),
        })
        .await
    };
    if let Some(response) = answered
        && let Err(error) = send(response, &mut respond).await
    {
        tracing::trace!(%error, "an answer was not taken");
    }
}

async fn send(
    response: Response<Answer>,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut answer) = response.into_parts();
    let is_head_alone = answer.is_end_stream();
    let head = Response::from_parts(head, ());
    let mut stream = respond.send_response(head, is_head_alone)?;
    if is_head_alone {
        return Ok(());
    }
    loop {
        let polled = poll_fn(|cx| match Pin::new(&mut answer).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => left(&mut stream, cx).map(Err),
        });
        let frame = match polled.await? {
            Some(Ok(frame)) => frame,
            Some(Err(_status)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => return stream.send_data(Bytes::new(), true),
        };
        let trailers = match frame.into_data() {
            Ok(data) => {
                if !data.is_empty() {
                    room(&mut stream).await?;
                }
                let is_last = answer.is_end_stream();
                stream.send_data(data, is_last)?;
                if is_last {
                    return Ok(());
                }
                continue;
            }
            Err(frame) => frame.into_trailers(),
        };
        if let Ok(trailers) = trailers {
            return stream.send_trailers(trailers);
        }
    }
}

/// Waits until the peer has room for something. No more than that is asked for, or one peer's answers
/// would keep the connection's room from each other while they wait.
async fn room(stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    stream.reserve_capacity(1);
    while stream.capacity() == 0 {
        poll_fn(|cx| match stream.poll_capacity(cx) {
            Poll::Ready(Some(granted)) => Poll::Ready(granted.map(|_room| ())),
            Poll::Ready(None) => Poll::Ready(Err(Reason::CANCEL.into())),
            Poll::Pending => left(stream, cx).map(Err),
        })
        .await?;
    }
    Ok(())
}

/// Why the caller has left, once it has.
fn left(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<h2::Error> {
    let reset = stream.poll_reset(cx);
    reset.map(|reset| reset.map_or_else(|error| error, h2::Error::from))
}
