//! Floods that the HTTP library lets through.
//!
//! h2 bounds resets before a stream was accepted, CONTINUATION and empty DATA; PING, SETTINGS and
//! resets that a peer provokes cost it work without an end. Here they cost an allowance: each such
//! frame, sent or provoked, takes one from it; time and answers give back. When nothing is left the
//! connection is closed.
//!
//! Answers give back because honest clients ping with the data that they receive, to measure the
//! line, and cancel calls: what they spend stays in proportion to what they are answered. A flood is
//! answered nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::frames::{Frame, Frames, HEAD, PREFACE};
use crate::clock::Moment;

/// So many frames may come at once: a client that cancels all of its calls sends some hundreds.
const BURST: u32 = 500;
/// So often is read what a peer says that does not speak HTTP/2.
const MAX_UNREAD: usize = 64;
/// So many a second may come for ever.
const REFILL: u32 = 250;

/// What a connection may still spend.
#[derive(Debug)]
struct Allowance {
    left: u32,
    refilled: Moment,
}

impl Allowance {
    fn new(now: Moment) -> Self {
        Self {
            left: BURST,
            refilled: now,
        }
    }

    /// Takes one; whether it was there.
    fn spend(&mut self, now: impl FnOnce() -> Moment) -> bool {
        if self.left == 0 {
            let now = now();
            let earned = now.since(self.refilled).as_millis() * u128::from(REFILL) / 1_000;
            self.left = u32::try_from(earned).unwrap_or(BURST).min(BURST);
            if self.left > 0 {
                self.refilled = now;
            }
        }
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }

    fn give_back(&mut self) {
        self.left = BURST.min(self.left + 1);
    }
}

/// What is known of a connection from the bytes that passed.
#[derive(Debug)]
pub(super) struct Pulse {
    flooded: AtomicBool,
    /// When something was received last.
    heard: AtomicU64,
    /// Since when nothing could be written; 0 while something can.
    blocked: AtomicU64,
}

impl Pulse {
    fn new(now: Moment) -> Self {
        Self {
            flooded: AtomicBool::new(false),
            heard: AtomicU64::new(now.to_nanos()),
            blocked: AtomicU64::new(0),
        }
    }

    /// When something was received last.
    pub(super) fn heard(&self) -> Option<Moment> {
        Moment::from_nanos(self.heard.load(Ordering::Relaxed))
    }

    /// Whether the peer has sent or provoked more than it may.
    pub(super) fn flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// For how long the peer has not taken a byte of what waits for it. It may be talking all the
    /// while, so that pings, which go to the silent, do not find it out.
    pub(super) fn blocked_for(&self) -> Duration {
        let since = match self.blocked.load(Ordering::Relaxed) {
            0 => None,
            since => Moment::from_nanos(since),
        };
        since.map_or(Duration::ZERO, |since| Moment::now().since(since))
    }

    fn wrote<T>(&self, polled: &Poll<T>) {
        let is_blocked = self.blocked.load(Ordering::Relaxed) != 0;
        match polled.is_pending() {
            true if !is_blocked => {
                let now = Moment::now().to_nanos();
                self.blocked.store(now, Ordering::Relaxed);
            }
            false if is_blocked => self.blocked.store(0, Ordering::Relaxed),
            true | false => {}
        }
    }
}

/// Waits for the preface of HTTP/2 and the head of a first frame, and gives both. It costs next to
/// nothing: most of what is held for a connection is made when these have come. Who says something else is told that in HTTP/2, by which it can see what
/// is spoken here.
///
/// # Errors
/// Where something else comes, or nothing any more.
pub(super) async fn begin<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<Bytes> {
    let mut begun = [0; PREFACE.len() + HEAD];
    let mut filled = 0;
    while let Some(room) = begun.get_mut(filled..).filter(|room| !room.is_empty()) {
        let count = io.read(room).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if !begun
            .iter()
            .take(filled)
            .zip(PREFACE)
            .all(|(came, wanted)| came == wanted)
        {
            return Err(turn_away(io).await);
        }
    }
    Ok(Bytes::copy_from_slice(&begun))
}

/// Says goodbye, and takes what the peer still says: closed with that unread, the connection would be
/// reset, and the goodbye lost.
async fn turn_away<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Error {
    // Whether it hears that or not.
    let _ = say_goodbye(io).await;
    io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak HTTP/2")
}

async fn say_goodbye<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    /// With PROTOCOL_ERROR.
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    io.write_all(&SETTINGS).await?;
    io.write_all(&GOAWAY).await?;
    io.shutdown().await?;
    let mut unread = [0; 512];
    for _ in 0..MAX_UNREAD {
        if io.read(&mut unread).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A connection whose frames are counted.
#[derive(Debug)]
pub(super) struct Guard<I> {
    inner: I,
    /// What was read before, as far as it was not passed on yet.
    begun: Bytes,
    received: Frames,
    sent: Frames,
    allowance: Allowance,
    pulse: Arc<Pulse>,
}

impl<I> Guard<I> {
    /// `inner`, guarded, of which `begun` was read.
    pub(super) fn new(inner: I, begun: Bytes) -> (Self, Arc<Pulse>) {
        let now = Moment::now();
        let pulse = Arc::new(Pulse::new(now));
        let guard = Self {
            inner,
            begun,
            received: Frames::of_client(),
            sent: Frames::of_server(),
            allowance: Allowance::new(now),
            pulse: Arc::clone(&pulse),
        };
        (guard, pulse)
    }

    fn on_received(&mut self, bytes: &[u8]) {
        let Self {
            received,
            allowance,
            pulse,
            ..
        } = self;
        let now = Moment::now().to_nanos();
        pulse.heard.store(now, Ordering::Relaxed);
        received.pass(bytes, |frame| {
            let costs = match frame {
                Frame::Control | Frame::Reset { .. } => true,
                Frame::Data | Frame::End | Frame::Other => false,
            };
            if costs && !allowance.spend(Moment::now) {
                pulse.flooded.store(true, Ordering::Relaxed);
            }
        });
    }

    fn on_sent(&mut self, bytes: &[u8]) {
        let Self {
            sent,
            allowance,
            pulse,
            ..
        } = self;
        sent.pass(bytes, |frame| match frame {
            // Errors are headers alone.
            Frame::Data | Frame::End => allowance.give_back(),
            // Without an error a reset ends a call that was answered before it was asked whole.
            Frame::Reset { is_no_error: false } => {
                if !allowance.spend(Moment::now) {
                    pulse.flooded.store(true, Ordering::Relaxed);
                }
            }
            Frame::Reset { is_no_error: true } | Frame::Control | Frame::Other => {}
        });
    }

    fn verdict(&self) -> io::Result<()> {
        match self.pulse.flooded() {
            false => Ok(()),
            true => Err(io::Error::other(
                "too many resets, pings or settings for what was answered",
            )),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Guard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.verdict()?;
        let before = buffer.filled().len();
        let polled = match self.begun.is_empty() {
            true => Pin::new(&mut self.inner).poll_read(cx, buffer),
            false => {
                let fits = self.begun.len().min(buffer.remaining());
                buffer.put_slice(&self.begun.split_to(fits));
                Poll::Ready(Ok(()))
            }
        };
        if let Poll::Ready(Ok(())) = &polled {
            self.on_received(buffer.filled().get(before..).unwrap_or_default());
            self.verdict()?;
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guard<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.pulse.wrote(&polled);
        if let Poll::Ready(Ok(written)) = polled {
            self.on_sent(bytes.get(..written).unwrap_or_default());
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.pulse.wrote(&polled);
        if let Poll::Ready(Ok(mut written)) = polled {
            for slice in slices {
                let part = slice.get(..written.min(slice.len())).unwrap_or_default();
                self.on_sent(part);
                written -= part.len();
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// After `passed` since some moment.
    fn after(passed: Duration) -> Moment {
        let start = 1_000_000_000;
        let passed = u64::try_from(passed.as_nanos()).unwrap();
        Moment::from_nanos(start + passed).unwrap()
    }

    /// How many frames are let through that come at this rate.
    fn let_through(a_second: u32, most: u32) -> u32 {
        let mut allowance = Allowance::new(after(Duration::ZERO));
        (0..most)
            .find(|count| {
                let now = after(Duration::from_secs(1) * *count / a_second);
                !allowance.spend(|| now)
            })
            .unwrap_or(most)
    }

    #[test]
    fn a_flood_is_cut_and_a_trickle_is_not() {
        assert_eq!(let_through(100_000, 10_000), 501);
        assert!(let_through(1_000, 10_000) <= 670);
        assert!(let_through(500, 10_000) <= 1_000);
        assert_eq!(let_through(249, 10_000), 10_000);
    }

    #[test]
    fn answers_give_back_what_was_spent() {
        let mut allowance = Allowance::new(after(Duration::ZERO));
        for _ in 0..10_000 {
            assert!(allowance.spend(|| after(Duration::ZERO)));
            allowance.give_back();
        }
        assert_eq!(allowance.left, BURST);
    }
}
