//! Streams that end when the service drains.
//!
//! A health watch or an open reflection stream lasts as long as its caller likes. A drain must not
//! wait for it: such a stream is ended with UNAVAILABLE, which tells a caller to go elsewhere. Its
//! other half, on which the caller may have more to ask, ends with it: as long as anyone reads from
//! that, the connection stays open.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::Status;

/// What a caller asks on a stream, until its answer is over.
pub(super) struct AskBody {
    inner: Incoming,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AskBody {
    /// With it comes what ends it by being dropped.
    pub(super) fn new(inner: Incoming) -> (Self, DropGuard) {
        let over = CancellationToken::new();
        let body = Self {
            inner,
            over: Box::pin(over.clone().cancelled_owned()),
        };
        (body, over.drop_guard())
    }
}

impl Body for AskBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Status::cancelled("the answer is over"))));
        }
        Pin::new(&mut self.inner)
            .poll_frame(cx)
            .map_err(|error| Status::from_error(error.into()))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that ends when the drain begins, if it has not ended by itself.
pub(super) struct DrainBody {
    inner: tonic::body::Body,
    /// Gone once it has fired.
    drain: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ended: bool,
    _asking: DropGuard,
}

impl DrainBody {
    /// A body that takes `asking`, the other half of its stream, with it.
    pub(super) fn new(
        inner: tonic::body::Body,
        drain: WaitForCancellationFutureOwned,
        asking: DropGuard,
    ) -> Self {
        Self {
            inner,
            drain: Some(Box::pin(drain)),
            ended: false,
            _asking: asking,
        }
    }
}

impl Body for DrainBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let drained = self
            .drain
            .as_mut()
            .is_some_and(|drain| drain.as_mut().poll(cx).is_ready());
        if !drained {
            return Poll::Pending;
        }
        self.ended = true;
        self.drain = None;
        let mut trailers = http::HeaderMap::new();
        let status = Status::unavailable("the service is stopping");
        Poll::Ready(Some(match status.add_header(&mut trailers) {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(error) => Err(error),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
