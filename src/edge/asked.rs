//! What a caller asks: the body of its request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::Status;

use super::admission::Admission;
use super::incoming::Incoming;
use crate::grpc::{Shape, check_items};

/// The flag and the length that come before a message.
pub(super) const PREFIX: usize = 5;

/// What was read of a request's body before it is asked for.
pub(super) type Begun = Result<Frame<Bytes>, h2::Error>;

/// The body of a request.
pub(super) enum Asked {
    /// As it arrives.
    Live(Live),
    /// One message, read before.
    Read(Option<Bytes>),
    /// As it arrives, until its answer is over.
    Stream {
        live: Live,
        over: Pin<Box<WaitForCancellationFutureOwned>>,
    },
}

/// A body as it arrives, whose message has to be let in if it is large.
pub(super) struct Live {
    /// What was read of it before.
    begun: Option<Begun>,
    inner: Incoming,
    /// What its service takes: more is refused, and needs no place.
    limit: usize,
    admission: Arc<Admission>,
    prefix: Prefix,
    /// Held as long as the message is read.
    place: Option<OwnedSemaphorePermit>,
    /// What becomes of it when nobody reads on.
    whole: Whole,
}

/// Whether a body has arrived whole, for who is no longer its reader.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole(Arc<AtomicBool>);

impl Whole {
    /// It has.
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The length that a message announces, as far as it has arrived.
#[derive(Debug, Default)]
struct Prefix {
    bytes: [u8; PREFIX],
    filled: usize,
}

impl Prefix {
    /// Takes what is still missing of it; the length once it is there, and only that time.
    fn take(&mut self, data: &[u8]) -> Option<usize> {
        if self.filled == PREFIX {
            return None;
        }
        for (place, byte) in self.bytes.iter_mut().skip(self.filled).zip(data) {
            *place = *byte;
            self.filled += 1;
        }
        self.length()
    }

    fn length(&self) -> Option<usize> {
        let [_flag, length @ ..] = self.bytes;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        (self.filled == PREFIX).then_some(length)
    }
}

impl Asked {
    /// As it arrives, for a service that takes messages of at most `limit` bytes; `begun` was read of
    /// it before.
    pub(super) fn live(
        begun: Option<Begun>,
        inner: Incoming,
        limit: usize,
        admission: Arc<Admission>,
    ) -> (Self, Whole) {
        let live = Live {
            begun,
            ..Live::new(inner, limit, admission)
        };
        let whole = live.whole.clone();
        (Self::Live(live), whole)
    }

    /// The same, with what ends it by being dropped.
    pub(super) fn stream(
        inner: Incoming,
        limit: usize,
        admission: Arc<Admission>,
    ) -> (Self, Whole, DropGuard) {
        let live = Live::new(inner, limit, admission);
        let (over, whole) = (CancellationToken::new(), live.whole.clone());
        let body = Self::Stream {
            live,
            over: Box::pin(over.clone().cancelled_owned()),
        };
        (body, whole, over.drop_guard())
    }

    /// Reads the first message, of at most `limit` bytes, waiting for its place where it is not
    /// small, and counts its items. What is too large is not read on, nor what follows the message: a
    /// unary call has one.
    ///
    /// # Errors
    /// OVERLOADED, INVALID_REQUEST, or the error of the connection.
    pub(super) async fn read(
        mut inner: Incoming,
        limit: usize,
        shapes: &'static [Shape],
        admission: &Admission,
        whole: &Whole,
    ) -> Result<(Self, Option<OwnedSemaphorePermit>), Status> {
        // In one piece: a frame of a few bytes would take a multiple of them by itself.
        let mut message = BytesMut::new();
        let (mut prefix, mut place) = (Prefix::default(), None);
        while let Some(frame) = inner.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else {
                continue;
            };
            message.extend_from_slice(&data);
            if let Some(length) = prefix.take(&data)
                && length <= limit
            {
                place = admission.message(length).await?;
            }
            let is_read = |length| length > limit || message.len() >= PREFIX + length;
            if prefix.length().is_some_and(is_read) {
                break;
            }
        }
        whole.set();
        check_items(message.get(PREFIX..).unwrap_or_default(), shapes)?;
        Ok((Self::Read(Some(message.freeze())), place))
    }
}

/// The next of what arrives, and whether it was the last.
fn arriving(
    begun: &mut Option<Begun>,
    inner: &mut Incoming,
    whole: &Whole,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
    let polled = match begun.take() {
        Some(frame) => Poll::Ready(Some(frame)),
        None => Pin::new(&mut *inner).poll_frame(cx),
    };
    let is_over = matches!(polled, Poll::Ready(None | Some(Err(_))));
    if is_over || (polled.is_ready() && inner.is_end_stream()) {
        whole.set();
    }
    polled
}

fn broken(error: h2::Error) -> Status {
    Status::from_error(error.into())
}

impl Live {
    fn new(inner: Incoming, limit: usize, admission: Arc<Admission>) -> Self {
        Self {
            begun: None,
            inner,
            limit,
            admission,
            prefix: Prefix::default(),
            place: None,
            whole: Whole::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.begun.is_none() && self.inner.is_end_stream()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match arriving(&mut self.begun, &mut self.inner, &self.whole, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(frame)) => frame.map_err(broken)?,
        };
        let announced = frame.data_ref().and_then(|data| self.prefix.take(data));
        if let Some(length) = announced
            && length <= self.limit
        {
            self.place = self.admission.message_now(length)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Live(live) => live.poll(cx),
            Self::Read(message) => Poll::Ready(message.take().map(|data| Ok(Frame::data(data)))),
            Self::Stream { live, over } => {
                if over.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(Status::cancelled("the answer is over"))));
                }
                live.poll(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Live(live) | Self::Stream { live, .. } => live.is_over(),
            Self::Read(message) => message.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // What was read before is in no hint any more.
            Self::Live(live) | Self::Stream { live, .. } if live.begun.is_some() => {
                SizeHint::default()
            }
            Self::Live(live) | Self::Stream { live, .. } => live.inner.size_hint(),
            Self::Read(message) => {
                let bytes = message.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_found_however_its_bytes_arrive() {
        let bytes = [0, 0, 4, 1, 7, 9, 9];
        for cut in 0..bytes.len() {
            let mut prefix = Prefix::default();
            let found: Vec<_> = [&bytes[..cut], &bytes[cut..]]
                .into_iter()
                .filter_map(|data| prefix.take(data))
                .collect();
            assert_eq!(found, [0x0004_0107], "{cut}");
        }
        assert_eq!(Prefix::default().take(&bytes[..4]), None);
    }
}
