//! Time of a processor for what is done many times over in one thread.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How often a span is measured; its median counts.
const SPANS: usize = 21;
/// How long a span lasts about.
const SPAN: Duration = Duration::from_millis(20);

/// Nanoseconds that `work` takes, which is told how often it was done before. The median of some
/// spans, after one that only warms up: what else the machine does lengthens some of them.
pub fn nanoseconds<T>(mut work: impl FnMut(usize) -> T) -> f64 {
    let mut done = 0;
    let mut span = |times: usize| {
        let began = now();
        for _ in 0..times {
            black_box(work(done));
            done += 1;
        }
        now().saturating_sub(began)
    };
    let mut times = 1;
    while span(times) < SPAN {
        times *= 2;
    }
    let took = |_| span(times).as_secs_f64() * 1e9 / count(times);
    median((0..SPANS).map(took).collect())
}

/// The same of some pieces of work, a span of each in turn: what changes on the machine meanwhile
/// changes them all, and a ratio of two stays.
pub fn interleaved<const N: usize>(work: [&mut dyn FnMut(usize); N]) -> [f64; N] {
    let mut repeated = work.map(|work| {
        let mut done = 0;
        move |times: usize| {
            for _ in 0..times {
                work(done);
                done += 1;
            }
        }
    });
    let spans = repeated.each_mut().map(|work| work as &mut Span<'_>);
    let took = in_turns(&mut { spans });
    std::array::from_fn(|place| took[place])
}

/// Does something as many times over as it is told.
pub type Span<'a> = dyn FnMut(usize) + 'a;

/// The same of work that repeats itself: nanoseconds of one time, of each.
pub fn in_turns(work: &mut [&mut Span<'_>]) -> Vec<f64> {
    let span = |work: &mut Span<'_>, times: usize| {
        let began = now();
        work(times);
        now().saturating_sub(began)
    };
    let mut times = vec![1_usize; work.len()];
    for (work, times) in work.iter_mut().zip(&mut times) {
        while span(work, *times) < SPAN {
            *times *= 2;
        }
    }
    let mut took = vec![Vec::new(); work.len()];
    for _ in 0..SPANS {
        for ((work, times), took) in work.iter_mut().zip(&times).zip(&mut took) {
            let span = span(work, *times);
            took.push(span.as_secs_f64() * 1e9 / count(*times));
        }
    }
    took.into_iter().map(median).collect()
}

/// The middle one.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A number of pieces, to calculate with.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn count(pieces: usize) -> f64 {
    pieces as f64
}

/// How long this thread has had a processor: what else runs on the machine does not count.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}
