//! A connection, as its calls see it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::gate::{Known, Peer};
use super::memory::Memory;
use super::seats::Seat;
use crate::clock::Moment;

/// Answers that are being sent are counted by the span of this length in which they began.
pub(super) const SPAN: Duration = Duration::from_secs(10);
/// How many spans are told apart: what began before all of them was not taken by its caller.
const SPANS: usize = 4;

/// So many calls may come without a proof, one after the other, before the connection is ended: each
/// costs a look at a signature, and whoever has the right token or certificate has it at once. In
/// between the calls of others who share a proxy's connection they are refused and no more: it would
/// be their streams that end.
const MAX_UNPROVED: u32 = 100;

/// So many calls may be over before they were asked whole.
const MAX_UNASKED: u32 = 32;
/// So many streams may be open on one connection: one peer must not have all that there are.
const MAX_STREAMS: u32 = 64;

/// What the calls of a connection share.
#[derive(Debug)]
pub(super) struct Link {
    /// Who is at the other end, as far as the handshake showed it.
    pub(super) peer: Peer,
    seat: Seat,
    all_calls: Arc<Calls>,
    /// Cancelled when the connection is to end: calls are finished, streams are not.
    leaving: CancellationToken,
    calls: AtomicU32,
    last_call: AtomicU64,
    unsent: [AtomicU32; SPANS],
    span: AtomicU32,
    memory: Mutex<Memory>,
    unproved: AtomicU32,
    unasked: AtomicU32,
    streams: AtomicU32,
}

impl Link {
    /// A connection with `peer`, whose calls are counted with `all_calls`.
    pub(super) fn new(
        peer: Peer,
        seat: Seat,
        all_calls: Arc<Calls>,
        leaving: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            peer,
            seat,
            all_calls,
            leaving,
            calls: AtomicU32::new(0),
            last_call: AtomicU64::new(Moment::now().to_nanos()),
            unsent: Default::default(),
            span: AtomicU32::new(0),
            memory: Mutex::default(),
            unproved: AtomicU32::new(0),
            unasked: AtomicU32::new(0),
            streams: AtomicU32::new(0),
        })
    }

    /// Where calls are counted, those of other connections too.
    pub(super) fn calls(&self) -> &Calls {
        &self.all_calls
    }

    /// Whom a token proved before, in this era.
    pub(super) fn remembered(&self, era: u64, token: &str, now: SystemTime) -> Option<Known> {
        self.memory().of_token(era, token, now).cloned()
    }

    pub(super) fn remember(&self, era: u64, token: &str, known: Known) {
        self.memory().remember(era, token, known);
    }

    /// Whom the certificate proved before, in this era.
    pub(super) fn certified(&self, era: u64) -> Option<Known> {
        self.memory().certified(era).cloned()
    }

    pub(super) fn certify(&self, era: u64, known: Known) {
        self.memory().certify(era, known);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call came whose caller is not known.
    pub(super) fn unproved(&self) {
        if self.unproved.fetch_add(1, Ordering::Relaxed) >= MAX_UNPROVED {
            self.leaving.cancel();
        }
    }

    /// A call came whose caller is known.
    pub(super) fn proved(&self) {
        // Written only where it was: most connections never carry another call.
        if self.unproved.load(Ordering::Relaxed) > 0 {
            self.unproved.store(0, Ordering::Relaxed);
        }
    }

    /// A call was over before it was asked whole. A peer that begins calls and does not go on has its
    /// connection ended: it would hold what it has begun for ever. At once where it had all the time
    /// that there is, `too_long`; after some of them where it gave them little time itself.
    pub(super) fn unasked(&self, too_long: bool) {
        if too_long || self.unasked.fetch_add(1, Ordering::Relaxed) >= MAX_UNASKED {
            self.leaving.cancel();
        }
    }

    /// The connection was of use: it does not give way to others any more.
    pub(super) fn keep(&self) {
        self.seat.keep();
    }

    /// Whether it was, so far.
    pub(super) fn is_kept(&self) -> bool {
        self.seat.is_kept()
    }

    /// Cancelled when the connection has to give way to another.
    pub(super) fn given_up(&self) -> &CancellationToken {
        self.seat.given_up()
    }

    /// Cancelled when the connection is to end.
    pub(super) fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// When the last call ended; none while there are some.
    pub(super) fn idle_since(&self) -> Option<Moment> {
        match self.calls.load(Ordering::Relaxed) {
            0 => Moment::from_nanos(self.last_call.load(Ordering::Relaxed)),
            _ => None,
        }
    }

    /// Begins another span; whether an answer is still being sent that began before all of them.
    pub(super) fn next_span(&self) -> bool {
        let next = self.span.load(Ordering::Relaxed).wrapping_add(1);
        self.span.store(next, Ordering::Relaxed);
        let reused = self.unsent.get(place(next));
        reused.is_some_and(|unsent| unsent.load(Ordering::Relaxed) > 0)
    }
}

fn place(span: u32) -> usize {
    usize::try_from(span).unwrap_or_default() % SPANS
}

/// One stream of a connection, until it is over.
#[derive(Debug)]
pub(super) struct Stream(Arc<Link>);

impl Stream {
    /// One more, where there may be.
    pub(super) fn begin(link: &Arc<Link>) -> Option<Self> {
        let before = link.streams.fetch_add(1, Ordering::Relaxed);
        let stream = Self(Arc::clone(link));
        (before < MAX_STREAMS).then_some(stream)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One call of a connection, until its answer is sent.
#[derive(Debug)]
pub(super) struct Call {
    link: Arc<Link>,
    /// In which span its answer began.
    sending: Option<usize>,
}

impl Call {
    pub(super) fn begin(link: Arc<Link>) -> Self {
        link.calls.fetch_add(1, Ordering::Relaxed);
        Self {
            link,
            sending: None,
        }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// From now on it waits for its caller to take the answer.
    pub(super) fn send(&mut self) {
        let place = place(self.link.span.load(Ordering::Relaxed));
        if let Some(unsent) = self.link.unsent.get(place) {
            unsent.fetch_add(1, Ordering::Relaxed);
            self.sending = Some(place);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(unsent) = self.sending.and_then(|place| self.link.unsent.get(place)) {
            unsent.fetch_sub(1, Ordering::Relaxed);
        }
        let now = Moment::now().to_nanos();
        self.link.last_call.store(now, Ordering::Relaxed);
        self.link.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::seats::Seats;

    fn link() -> Arc<Link> {
        let seat = Seats::new(1).take().unwrap();
        Link::new(
            Peer::Unknown,
            seat,
            Arc::new(Calls::new()),
            CancellationToken::new(),
        )
    }

    #[test]
    fn an_answer_that_is_not_taken_shows_after_all_spans() {
        let link = link();
        let mut old = Call::begin(Arc::clone(&link));
        old.send();
        let mut seen = 0;
        while !link.next_span() {
            // Others come and go.
            Call::begin(Arc::clone(&link)).send();
            seen += 1;
        }
        assert_eq!(seen, SPANS - 1);
        drop(old);
        for _ in 0..=SPANS {
            assert!(!link.next_span());
        }
    }

    #[test]
    fn a_link_is_idle_from_the_end_of_its_last_call() {
        let link = link();
        let born = link.idle_since().unwrap();
        let call = Call::begin(Arc::clone(&link));
        assert_eq!(link.idle_since(), None);
        drop(call);
        assert!(link.idle_since().unwrap() >= born);
    }
}
