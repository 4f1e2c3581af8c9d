//! Streams that end when the service drains, or at their caller's deadline.
//!
//! A watch or an open reflection stream lasts as long as its caller likes. A drain must not wait for
//! it: such a stream is ended with UNAVAILABLE, which tells a caller to go elsewhere. Its other half, on which the caller may have more to ask, ends with it: as long as anyone reads from
//! that, the connection stays open.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::grpc::{deadline_exceeded, stopping};

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

/// What of an answer is still sent when it is to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// What there is, for that may be all of it.
    WhenIdle,
    /// Nothing: there may always be more, and the caller can go on from what it has.
    AtOnce,
}

/// A body that ends at its deadline or when the drain begins, if it has not ended by itself.
pub(super) struct DrainBody {
    inner: tonic::body::Body,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    ended: bool,
    _asking: DropGuard,
}

impl DrainBody {
    /// A body that takes `asking`, the other half of its stream, with it.
    pub(super) fn new(
        inner: tonic::body::Body,
        drain: WaitForCancellationFutureOwned,
        deadline: Option<Instant>,
        ending: Ending,
        asking: DropGuard,
    ) -> Self {
        Self {
            inner,
            drain: Box::pin(drain),
            deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
            ending,
            ended: false,
            _asking: asking,
        }
    }

    /// Why it ends now, if it does.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<Status> {
        if self.drain.as_mut().poll(cx).is_ready() {
            return Some(stopping());
        }
        let is_over = self.deadline.as_mut()?.as_mut().poll(cx).is_ready();
        is_over.then(deadline_exceeded)
    }

    fn end(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.ended = true;
        let mut trailers = http::HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
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
        if matches!(self.ending, Ending::AtOnce)
            && !self.inner.is_end_stream()
            && let Some(status) = self.poll_end(cx)
        {
            return Poll::Ready(Some(self.end(&status)));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        match self.poll_end(cx) {
            Some(status) => Poll::Ready(Some(self.end(&status))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
