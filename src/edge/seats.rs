//! How many connections there are, and which gives way to another.
//!
//! A peer that was never served costs a seat all the same: it may have said nothing yet, or may have
//! nothing to show. When all seats are taken the one of these that has sat the longest gives way, so
//! that however many of them there are, an honest client gets in. Who was served keeps its seat; if
//! all are, who comes is turned away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// All seats.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    taken: AtomicUsize,
    waiting: Mutex<Waiting>,
}

/// Who was not served yet, in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    peers: BTreeMap<u64, CancellationToken>,
}

/// One connection's seat, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    is_served: AtomicBool,
    given_up: CancellationToken,
}

impl Seats {
    /// So many.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: AtomicUsize::new(0),
            waiting: Mutex::default(),
        })
    }

    /// How many there are.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// One seat, if need be that of another who was not served; none where all were.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Seat> {
        if self.taken() >= self.most && !self.free_one() {
            return None;
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        let given_up = CancellationToken::new();
        let mut waiting = self.waiting();
        waiting.last += 1;
        let number = waiting.last;
        waiting.peers.insert(number, given_up.clone());
        Some(Seat {
            seats: Arc::clone(self),
            number,
            is_served: AtomicBool::new(false),
            given_up,
        })
    }

    /// Takes the seat of who sat longest without being served; whether there was one.
    pub(crate) fn free_one(&self) -> bool {
        let longest = self.waiting().peers.pop_first();
        longest.is_some_and(|(_, given_up)| {
            given_up.cancel();
            true
        })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// From now on it is kept.
    pub(crate) fn keep(&self) {
        if !self.is_served.swap(true, Ordering::Relaxed) {
            self.seats.waiting().peers.remove(&self.number);
        }
    }

    /// Whether it is.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_served.load(Ordering::Relaxed)
    }

    /// Cancelled when it has to be given up.
    pub(crate) fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.fetch_sub(1, Ordering::Relaxed);
        if !self.is_served.load(Ordering::Relaxed) {
            self.seats.waiting().peers.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_served_gives_way_in_the_order_of_coming() {
        let seats = Seats::new(3);
        let [first, second, third] = [(); 3].map(|()| seats.take().unwrap());
        first.keep();
        let fourth = seats.take().unwrap();
        assert!(second.given_up().is_cancelled());
        assert!(!first.given_up().is_cancelled());
        assert!(!third.given_up().is_cancelled());
        drop(second);
        third.keep();
        fourth.keep();
        assert_eq!(seats.taken(), 3);
        assert!(seats.take().is_none(), "all were served");
        drop(first);
        let fifth = seats.take().unwrap();
        drop(fifth);
        assert_eq!(seats.taken(), 2);
        assert!(!seats.free_one());
    }
}
