//! CheckFeature the short way, for it is called a hundred times as often as all else.
//!
//! It asks the same method of the same service as the generated code does, without what that has for
//! streams, compression and messages in pieces. It takes only what is plain: one small message that
//! arrived whole and decodes. Whatever is odd about a request goes the ordinary way, from its first
//! byte: so every error, limit and flag is the generated code's, and `tests/edge/at_once.rs` sends
//! thousands of requests both ways and compares.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use prost::Message;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::Router;
use super::admission::SMALL;
use super::answer::Sent;
use super::asked::{Begun, PREFIX};
use super::deadline::TimeLeft;
use super::incoming::Incoming;
use super::methods::Work;
use super::router::Passed;
use crate::clock::Moment;
use crate::grpc::deadline_exceeded;
use crate::proto::v1;
use crate::proto::v1::authorization_service_server::AuthorizationService;

/// How far a call came at its first step.
pub(super) enum AtOnce<'a> {
    /// To its end.
    Answered(Response<Sent>),
    /// To where it waits for something.
    Waits(BoxFuture<'a, Response<Sent>>),
    /// Nowhere: it goes the ordinary way, and this was read of it.
    Odd(Option<Begun>),
}

type Checked = Result<tonic::Response<v1::CheckFeatureResponse>, Status>;

impl<A: AuthorizationService> Router<A> {
    /// Takes the first step of a call that began then.
    pub(super) fn at_once(
        &self,
        cx: &mut Context<'_>,
        request: &mut Request<Incoming>,
        passed: &Passed,
        began: Moment,
    ) -> AtOnce<'_> {
        let (Work::AtOnce, Ok(left)) = (passed.method.work, &passed.left) else {
            return AtOnce::Odd(None);
        };
        let Poll::Ready(Some(begun)) = Pin::new(request.body_mut()).poll_frame(cx) else {
            // If it has ended it ends again.
            return AtOnce::Odd(None);
        };
        let message = match (&begun, request.body().is_end_stream()) {
            (Ok(frame), true) => plain(request.headers(), frame),
            (Ok(_) | Err(_), _) => None,
        };
        match message {
            Some(message) => self.check(cx, request, message, (began, *left)),
            None => AtOnce::Odd(Some(begun)),
        }
    }

    fn check(
        &self,
        cx: &mut Context<'_>,
        request: &mut Request<Incoming>,
        message: v1::CheckFeatureRequest,
        (began, left): (Moment, TimeLeft),
    ) -> AtOnce<'_> {
        let metadata = MetadataMap::from_headers(mem::take(request.headers_mut()));
        let extensions = mem::take(request.extensions_mut());
        let request = tonic::Request::from_parts(metadata, extensions, message);
        let mut call = self.services.api.check_feature(request);
        match call.as_mut().poll(cx) {
            Poll::Ready(checked) => AtOnce::Answered(answer(in_time(checked, began, left))),
            Poll::Pending => AtOnce::Waits(Box::pin(async move {
                let waited = self.waiting(call, left).await;
                answer(in_time(waited, began, left))
            })),
        }
    }

    /// Goes on with a call that waits, for which it takes a place.
    async fn waiting(&self, call: impl Future<Output = Checked>, left: TimeLeft) -> Checked {
        let _taken = self.admission.call()?;
        let answered = tokio::time::timeout(left.time(), call).await;
        answered.unwrap_or_else(|_elapsed| Err(deadline_exceeded()))
    }
}

/// An answer, unless it is there too late: one that came at a first look may be.
fn in_time(checked: Checked, began: Moment, left: TimeLeft) -> Checked {
    match Moment::now().since(began) >= left.time() {
        true => Err(deadline_exceeded()),
        false => checked,
    }
}

/// The message of a request about which nothing is odd.
fn plain(headers: &HeaderMap, frame: &Frame<Bytes>) -> Option<v1::CheckFeatureRequest> {
    if headers.contains_key(&ENCODING) {
        return None;
    }
    let (prefix, message) = frame.data_ref()?.split_at_checked(PREFIX)?;
    let [0, length @ ..] = prefix else {
        return None;
    };
    let announced = u32::from_be_bytes(length.try_into().ok()?);
    let is_whole = usize::try_from(announced) == Ok(message.len());
    if !is_whole || message.len() > SMALL {
        return None;
    }
    v1::CheckFeatureRequest::decode(message).ok()
}

static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
static GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

fn answer(checked: Checked) -> Response<Sent> {
    match checked {
        Ok(checked) => {
            let (metadata, message, _) = checked.into_parts();
            let mut response = Response::new(Sent::whole(&message));
            let headers = response.headers_mut();
            *headers = metadata.into_headers();
            headers.insert(CONTENT_TYPE, GRPC.clone());
            response
        }
        Err(status) => status.into_http().map(Sent::Streamed),
    }
}
