//! What is answered: the body of a response, and what is held until it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::admission::{Admission, SMALL};
use super::calls::Tally;
use super::link::Call;
use super::stream;

/// The body of a response.
pub(super) struct Answer {
    inner: tonic::body::Body,
    held: Option<Held>,
    /// None where the request was none of gRPC.
    tally: Option<Tally>,
    admission: Arc<Admission>,
    /// There was no room for the message, and its caller was told so.
    is_refused: bool,
}

/// What is given back when the answer is sent, or when its caller has left.
struct Held {
    /// The connection has this call as long as the answer is not sent.
    _call: Call,
    /// The place of an answer that takes much memory, alone or with others.
    place: Option<OwnedSemaphorePermit>,
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
        (call, tally): (Call, Option<Tally>),
        place: Option<OwnedSemaphorePermit>,
        admission: Arc<Admission>,
    ) -> Self {
        let held = Held { _call: call, place };
        Self {
            inner,
            held: Some(held),
            tally,
            admission,
            is_refused: false,
        }
    }

    /// Makes bytes hold what is held for them; those of a call that has no place yet take one.
    ///
    /// # Errors
    /// OVERLOADED.
    fn hold(&mut self, bytes: Bytes) -> Result<Bytes, Status> {
        if bytes.len() <= SMALL {
            return Ok(bytes);
        }
        let Some(mut held) = self.held.take() else {
            return Ok(bytes);
        };
        if held.place.is_none() {
            held.place = Some(self.admission.answer_now(bytes.len())?);
        }
        Ok(Bytes::from_owner(Holding { bytes, _held: held }))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_refused {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let polled = polled
            .map_ok(|frame| match frame.into_data() {
                Ok(bytes) => match self.hold(bytes) {
                    Ok(bytes) => Ok(Frame::data(bytes)),
                    Err(status) => {
                        self.is_refused = true;
                        stream::last(&status)
                    }
                },
                Err(frame) => Ok(frame),
            })
            .map(|polled| polled.map(|frame| frame.and_then(|frame| frame)));
        if let (Poll::Ready(Some(Ok(frame))), Some(tally)) = (&polled, &mut self.tally) {
            tally.framed(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_refused || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
