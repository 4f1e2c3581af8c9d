//! How long tests of outages take: seconds, unless somebody soaks (`make soak`).

use std::sync::LazyLock;
use std::time::Duration;

/// How many hours the longest test goes on. Where it is set, outages last as long as they should.
const VARIABLE: &str = "PORTCULLIS_TEST_SOAK";

static HOURS: LazyLock<Option<f64>> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration that could be an argument"
    )]
    let set = std::env::var(VARIABLE).ok()?;
    let hours = set.parse().ok().filter(|hours: &f64| *hours > 0.0);
    Some(hours.unwrap_or_else(|| panic!("{VARIABLE}: `{set}` is no number of hours")))
});

/// `short`, or `long` where somebody soaks.
pub fn lasting<T>(short: T, long: T) -> T {
    if HOURS.is_some() { long } else { short }
}

/// `short`, or the hours that somebody soaks for.
pub fn lasting_hours(short: Duration) -> Duration {
    HOURS.map_or(short, |hours| Duration::from_secs_f64(hours * 3600.0))
}
