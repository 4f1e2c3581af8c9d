//! One call of a service, on the thread that serves or beside it, within its deadline.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::admission::{Admission, LARGE, Taken};
use super::asked::{Asked, Whole};
use super::deadline::TimeLeft;
use super::incoming::Incoming;
use super::link::Link;
use super::methods::Service as OfService;
use crate::clock::Moment;
use crate::grpc::{Shape, deadline_exceeded, message_too_large};

/// What became of a call.
#[derive(Debug)]
pub(super) enum Performed {
    /// It was answered, or refused.
    Answered(Response<Body>),
    /// What was left of its time was over first.
    Late(TimeLeft),
}

impl Performed {
    pub(super) fn into_response(self) -> Response<Body> {
        match self {
            Self::Answered(response) => response,
            Self::Late(_) => deadline_exceeded().into_http(),
        }
    }
}

/// Where a call was over before it was asked whole, its connection is told.
pub(super) fn leave_where_unasked(link: &Link, performed: &Performed, whole: &Whole) {
    if let Performed::Late(left) = performed
        && !whole.is()
    {
        link.unasked(matches!(left, TimeLeft::Servers(_)));
    }
}

/// Calls a service within what is `left` of its time. It is cut between two steps of its future:
/// what it waits for goes on for others, and only the waiting ends.
pub(super) async fn within_deadline<S, B>(
    service: S,
    request: Request<B>,
    left: Result<TimeLeft, Status>,
) -> Performed
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    let left = match left {
        Ok(left) => left,
        Err(status) => return Performed::Answered(status.into_http()),
    };
    let began = Moment::now();
    match tokio::time::timeout(left.time(), service.oneshot(request)).await {
        // An answer that was there at the first look may still be too late.
        Ok(Ok(_)) if Moment::now().since(began) >= left.time() => Performed::Late(left),
        Ok(Ok(response)) => Performed::Answered(with_our_status(response)),
        Ok(Err(never)) => match never {},
        Err(_elapsed) => Performed::Late(left),
    }
}

/// Calls a service like [`within_deadline`], with a place for it as soon as it waits: `place` is asked
/// each time that it does, and gives one where it needs another than it has.
pub(super) async fn admitted<S, B>(
    service: S,
    request: Request<B>,
    left: Result<TimeLeft, Status>,
    mut place: impl FnMut() -> Result<Option<Taken>, Status>,
) -> Performed
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    let mut call = pin!(within_deadline(service, request, left));
    let mut _held = None;
    poll_fn(|cx| {
        if let Poll::Ready(performed) = call.as_mut().poll(cx) {
            return Poll::Ready(performed);
        }
        match place() {
            Ok(Some(taken)) => _held = Some(taken),
            Ok(None) => {}
            Err(status) => return Poll::Ready(Performed::Answered(status.into_http())),
        }
        Poll::Pending
    })
    .await
}

/// What became of a call that was worked off beside the threads that serve.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) performed: Performed,
    /// Whether it was asked whole.
    pub(super) whole: Whole,
    /// The place of its answer.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// Calls a service from the first byte that is asked to the last that is answered, within what is
/// `left` of its time. Large messages wait for their places.
pub(super) async fn beside<S>(
    service: S,
    request: Request<Incoming>,
    left: TimeLeft,
    large: Largeness,
    admission: Arc<Admission>,
) -> Beside
where
    S: Service<Request<Asked>, Response = Response<Body>, Error = Infallible>,
{
    let whole = Whole::default();
    let call = exchange(service, request, large, &admission, &whole);
    let (performed, place) = match tokio::time::timeout(left.time(), call).await {
        Ok(Ok((response, place))) => (Performed::Answered(with_our_status(response)), place),
        Ok(Err(status)) => (Performed::Answered(status.into_http()), None),
        Err(_elapsed) => (Performed::Late(left), None),
    };
    Beside {
        performed,
        whole,
        place,
    }
}

/// What is known of the messages of a call before they are there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Largeness {
    /// The most bytes.
    pub(super) limit: usize,
    /// The lists whose items are counted.
    pub(super) shapes: &'static [Shape],
    /// Whose they are.
    pub(super) service: OfService,
}

type Exchanged = (Response<Body>, Option<OwnedSemaphorePermit>);

async fn exchange<S>(
    service: S,
    request: Request<Incoming>,
    large: Largeness,
    admission: &Admission,
    whole: &Whole,
) -> Result<Exchanged, Status>
where
    S: Service<Request<Asked>, Response = Response<Body>, Error = Infallible>,
{
    let (parts, body) = request.into_parts();
    let arriving = admission.arriving()?;
    let Largeness {
        limit,
        shapes,
        service: of,
    } = large;
    let (asked, large) = Asked::read(body, limit, shapes, admission, whole).await?;
    let _in_flight = admission.call()?;
    drop(arriving);
    let place = admission.aside(of).await?;
    let response = match service.oneshot(Request::from_parts(parts, asked)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, body) = response.into_parts();
    // An error is headers alone, and has to end with them: some clients take headers and an empty
    // end behind them for an answer that was cut off.
    if body.is_end_stream() {
        return Ok((Response::from_parts(parts, body), None));
    }
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    let answer = collected.to_bytes();
    if answer.len() <= LARGE {
        drop(place);
    }
    let place = admission.answer(answer.len(), large).await?;
    let answer =
        http_body_util::Full::new(answer).with_trailers(std::future::ready(trailers.map(Ok)));
    Ok((Response::from_parts(parts, Body::new(answer)), Some(place)))
}

/// tonic says OUT_OF_RANGE for a message that is larger than its service takes, and nothing else
/// here does: said as gRPC says it elsewhere, with a reason.
fn with_our_status(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange => {
            message_too_large(status.message()).into_http()
        }
        Some(_) | None => response,
    }
}
