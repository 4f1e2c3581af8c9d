//! Streams that end before their caller wants them to.
//!
//! A watch or an open reflection stream lasts as long as its caller likes. It ends all the same with
//! the connection (a drain must not wait for it), at its caller's deadline, and when its caller may
//! no longer listen. Its other half, on which the caller may have more to ask, ends with it: as long
//! as anyone reads from that, the connection stays open.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::DropGuard;
use tonic::Status;

use super::admission::Taken;
use super::link::Stream;
use super::methods::Ending;

/// The body of an answer that ends when `end` comes, if it has not ended by itself.
pub(super) struct StreamBody {
    inner: tonic::body::Body,
    end: BoxFuture<'static, Status>,
    ending: Ending,
    ended: bool,
    _asking: DropGuard,
    _places: (Taken, Stream),
}

impl StreamBody {
    /// A body that takes `asking`, the other half of its stream, with it.
    pub(super) fn new(
        inner: tonic::body::Body,
        end: BoxFuture<'static, Status>,
        ending: Ending,
        asking: DropGuard,
        places: (Taken, Stream),
    ) -> Self {
        Self {
            inner,
            end,
            ending,
            ended: false,
            _asking: asking,
            _places: places,
        }
    }

    fn end(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.ended = true;
        last(status)
    }
}

/// The last frame of an answer that ends with this status.
pub(super) fn last(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

impl Body for StreamBody {
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
            && let Poll::Ready(status) = self.end.as_mut().poll(cx)
        {
            return Poll::Ready(Some(self.end(&status)));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        match self.end.as_mut().poll(cx) {
            Poll::Ready(status) => Poll::Ready(Some(self.end(&status))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
