//! What is answered: the body of a response, and what is held until it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::link::Call;

/// Above this it matters how long an answer stays in memory because its caller does not take it.
const SMALL: usize = 4 << 10;

/// The body of a response.
pub(super) struct Answer {
    inner: tonic::body::Body,
    held: Option<Held>,
}

/// What is given back when the answer is sent, or when its caller has left.
struct Held {
    /// The connection has this call as long as the answer is not sent.
    _call: Call,
    /// The place of an answer that takes much memory, alone or with others.
    _place: Option<OwnedSemaphorePermit>,
}

/// Bytes that hold something as long as they are in memory. A body is dropped when the last of it was
/// handed to the HTTP library, which keeps what the peer has no room for; the bytes themselves are
/// dropped when they were written.
struct Holding {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Holding {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answer {
    pub(super) fn new(
        inner: tonic::body::Body,
        call: Call,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let held = Held {
            _call: call,
            _place: place,
        };
        Self {
            inner,
            held: Some(held),
        }
    }

    fn hold(&mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= SMALL {
            return bytes;
        }
        match self.held.take() {
            Some(_held) => Bytes::from_owner(Holding { bytes, _held }),
            None => bytes,
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
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        polled.map_ok(|frame| frame.map_data(|bytes| self.hold(bytes)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
