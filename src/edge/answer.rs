//! What is answered: the body of a response, and what is held until it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use prost::Message;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::admission::{Admission, SMALL};
use super::asked::PREFIX;
use super::calls::Tally;
use super::link::Call;
use super::stream;

/// The body of a response, before it is held on to what it holds.
pub(super) enum Sent {
    /// As its service makes it.
    Streamed(tonic::body::Body),
    /// One small message, and that all is well.
    Whole(Left),
}

/// What of an answer was not sent yet.
#[derive(Debug)]
pub(super) enum Left {
    Message(Bytes),
    Status,
    Nothing,
}

impl Sent {
    /// An answer with this message alone.
    pub(super) fn whole(message: &impl Message) -> Self {
        let length = message.encoded_len();
        let mut framed = Vec::with_capacity(PREFIX + length);
        framed.put_u8(0);
        framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        message.encode_raw(&mut framed);
        Self::Whole(Left::Message(framed.into()))
    }
}

impl Left {
    fn next(&mut self) -> Option<Frame<Bytes>> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Message(message) => {
                *self = Self::Status;
                Some(Frame::data(message))
            }
            Self::Status => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, WELL.clone());
                Some(Frame::trailers(trailers))
            }
            Self::Nothing => None,
        }
    }
}

static WELL: HeaderValue = HeaderValue::from_static("0");

/// The body of a response.
pub(super) struct Answer {
    inner: Sent,
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
        inner: Sent,
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
        let polled = match &mut self.inner {
            Sent::Streamed(body) => Pin::new(body).poll_frame(cx),
            Sent::Whole(left) => Poll::Ready(left.next().map(Ok)),
        };
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
        self.is_refused
            || match &self.inner {
                Sent::Streamed(body) => body.is_end_stream(),
                Sent::Whole(left) => matches!(left, Left::Nothing),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Sent::Streamed(body) => body.size_hint(),
            // As of a stream, so that both ways are told alike.
            Sent::Whole(_) => SizeHint::default(),
        }
    }
}
