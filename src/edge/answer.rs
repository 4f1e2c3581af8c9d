//! What is answered: the body of a response, and what is held until it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::link::Call;

/// The body of a response. It is dropped when the last of it was handed to the connection, or when
/// its caller has left.
pub(super) struct Answer {
    inner: tonic::body::Body,
    /// The connection has this call as long as the answer is not sent.
    _call: Call,
    /// The place of a large answer: it takes memory as long as it is not sent.
    _large: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn new(
        inner: tonic::body::Body,
        call: Call,
        large: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            inner,
            _call: call,
            _large: large,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
