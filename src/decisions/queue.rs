//! Lines that wait to be written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::line::Line;

/// The most lines that wait.
pub(super) const MAX_WAITING: usize = 8_192;

/// Lines on their way from calls to the writer. Who brings some never waits for room.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Line>,
    is_closed: bool,
}

/// What there is to write.
#[derive(Debug)]
pub(super) enum Next {
    /// This.
    Line(Line),
    /// Nothing, for as long as was waited.
    Nothing,
    /// Nothing any more.
    End,
}

impl Queue {
    /// Adds these as far as there is room, and counts the others.
    pub(super) fn push(&self, lines: impl ExactSizeIterator<Item = Line>) {
        let count = lines.len();
        if count == 0 {
            return;
        }
        let mut waiting = self.waiting();
        let room = match waiting.is_closed {
            true => 0,
            false => MAX_WAITING.saturating_sub(waiting.lines.len()),
        };
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend(lines.take(room));
        drop(waiting);
        if was_empty {
            self.came.notify_one();
        }
        let dropped = u64::try_from(count.saturating_sub(room)).unwrap_or(u64::MAX);
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }

    /// The next line, for which it waits so long.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let nothing = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.is_closed;
        let waited = self
            .came
            .wait_timeout_while(self.waiting(), patience, nothing);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match waiting.lines.pop_front() {
            Some(line) => Next::Line(line),
            None if waiting.is_closed => Next::End,
            None => Next::Nothing,
        }
    }

    /// Takes no more; what waits can still be had.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.came.notify_one();
    }

    /// How many lines found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many lines wait.
    pub(super) fn len(&self) -> usize {
        self.waiting().lines.len()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
