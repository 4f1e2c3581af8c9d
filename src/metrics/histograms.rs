//! How long things took, by buckets.

use std::time::Duration;

use super::Counters;

/// A number of histograms with the same bounds.
#[derive(Debug)]
pub struct Histograms {
    bounds: &'static [Duration],
    /// Of each histogram its buckets, what is above them all, and the sum in nanoseconds.
    counters: Counters,
}

/// One histogram, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// For each bound, how many were no longer than it.
    pub at_most: Vec<(Duration, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long all of them took together.
    pub sum: Duration,
}

impl Histograms {
    /// So many, with these bounds, each longer than the one before.
    #[must_use]
    pub fn new(count: usize, bounds: &'static [Duration]) -> Self {
        Self {
            bounds,
            counters: Counters::new(count * (bounds.len() + 2)),
        }
    }

    /// Something took so long.
    pub fn observe(&self, index: usize, took: Duration) {
        let first = index * self.width();
        let bucket = self.bounds.partition_point(|bound| *bound < took);
        self.counters.add_one(first + bucket);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counters.add(first + self.bounds.len() + 1, nanos);
    }

    /// The histogram at `index`.
    #[must_use]
    pub fn read(&self, index: usize) -> Histogram {
        let first = index * self.width();
        let mut count = 0;
        let mut up_to = |bucket| {
            count += self.counters.total(first + bucket);
            count
        };
        let bounds = self.bounds.iter().enumerate();
        let at_most = bounds
            .map(|(bucket, bound)| (*bound, up_to(bucket)))
            .collect();
        let count = up_to(self.bounds.len());
        let nanos = self.counters.total(first + self.bounds.len() + 1);
        Histogram {
            at_most,
            count,
            sum: Duration::from_nanos(nanos),
        }
    }

    fn width(&self) -> usize {
        self.bounds.len() + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[Duration] = &[Duration::from_millis(1), Duration::from_millis(10)];

    #[test]
    fn what_took_as_long_as_a_bound_is_within_it() {
        let histograms = Histograms::new(2, BOUNDS);
        for millis in [0, 1, 2, 10, 11] {
            histograms.observe(1, Duration::from_millis(millis));
        }
        let want = Histogram {
            at_most: BOUNDS.iter().copied().zip([2, 4]).collect(),
            count: 5,
            sum: Duration::from_millis(24),
        };
        assert_eq!(histograms.read(1), want);
        assert_eq!(histograms.read(0).count, 0);
    }
}
