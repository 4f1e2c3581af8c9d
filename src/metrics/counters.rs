//! Counters that many threads write and hardly anybody reads.
//!
//! Each thread has a share of its own, in cache lines that no other share is in: a count that cores
//! write in turns would cost more than all else that is done for a cached check.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So many shares there are: more than threads that count, a few for each core. Threads beyond that
/// share them, which costs time and no count.
static SHARES: LazyLock<usize> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (4 * cores).max(16)
});
/// Numbers in a line: 128 bytes, because processors fetch pairs of cache lines.
const IN_LINE: usize = 16;

/// A number of counters that only go up.
#[derive(Debug)]
pub struct Counters {
    shares: Box<[Box<[Line]>]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([AtomicU64; IN_LINE]);

impl Counters {
    /// So many, all at zero.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let lines = count.div_ceil(IN_LINE);
        let share = || (0..lines).map(|_| Line::default()).collect();
        Self {
            shares: (0..*SHARES).map(|_| share()).collect(),
        }
    }

    /// One more at `index`. Beyond the last counter nothing is counted.
    pub fn add_one(&self, index: usize) {
        self.add(index, 1);
    }

    /// So many more at `index`.
    pub fn add(&self, index: usize, count: u64) {
        let share = self.shares.get(own_share());
        if let Some(counter) = share.and_then(|share| counter(share, index)) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How many were counted at `index`.
    #[must_use]
    pub fn total(&self, index: usize) -> u64 {
        let counters = self.shares.iter().filter_map(|share| counter(share, index));
        counters.fold(0, |total, counter| {
            total.wrapping_add(counter.load(Ordering::Relaxed))
        })
    }
}

fn counter(share: &[Line], index: usize) -> Option<&AtomicU64> {
    let Line(numbers) = share.get(index / IN_LINE)?;
    numbers.get(index % IN_LINE)
}

/// The share of this thread: the next one, for a thread that counts for the first time.
fn own_share() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const NONE: usize = usize::MAX;
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(NONE) };
    }
    OWN.with(|own| {
        if own.get() == NONE {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % *SHARES);
        }
        own.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let counters = Counters::new(IN_LINE + 1);
        std::thread::scope(|scope| {
            let threads = 2 * *SHARES;
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counters.add_one(IN_LINE);
                    }
                    counters.add(0, 7);
                });
            }
        });
        assert_eq!(counters.total(IN_LINE), 2_000 * *SHARES as u64);
        assert_eq!(counters.total(0), 14 * *SHARES as u64);
        assert_eq!(counters.total(1), 0);
    }

    #[test]
    fn beyond_the_last_nothing_is_counted() {
        let counters = Counters::new(1);
        counters.add_one(IN_LINE);
        assert_eq!(counters.total(IN_LINE), 0);
    }
}
