//! The one home of the clock.
//!
//! Bounds of staleness are measured by a clock that no one can set and that goes on while the
//! machine is suspended: `CLOCK_BOOTTIME` on Linux, where the standard library's `Instant` stops;
//! elsewhere the monotonic clock.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A point in time, good for differences within this process alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    nanos: u64,
}

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(CLOCK);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        Self {
            nanos: seconds.saturating_mul(1_000_000_000).saturating_add(nanos),
        }
    }

    /// It as a number, for an atomic; never zero, which the clock passed when the machine started.
    #[must_use]
    pub fn to_nanos(self) -> u64 {
        self.nanos
    }

    /// What [`Moment::to_nanos`] made a number of; none of zero.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Option<Self> {
        (nanos > 0).then_some(Self { nanos })
    }

    /// How long ago `earlier` was; zero where it was not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

/// The time of day, as the machine tells it: for people to read, and for what others date by it, as
/// tokens are; never for a bound of staleness.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "its one home")]
pub fn time_of_day() -> SystemTime {
    SystemTime::now()
}
