//! What happens often and is said seldom.

use std::time::Duration;

use crate::clock::Moment;

/// How often something is said at most.
const EVERY: Duration = Duration::from_secs(10);

/// Counts what happens, and says when it is time to speak of it. Who is attacked must not fill its
/// disk with it.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    said: Option<Moment>,
    times: u64,
}

impl Seldom {
    /// It happened; how often since it was last spoken of, where it is time to speak.
    pub(crate) fn say(&mut self) -> Option<u64> {
        self.say_at(Moment::now())
    }

    fn say_at(&mut self, now: Moment) -> Option<u64> {
        self.times += 1;
        let is_time = self.said.is_none_or(|said| now.since(said) >= EVERY);
        is_time.then(|| {
            self.said = Some(now);
            std::mem::take(&mut self.times)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_is_counted() {
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000).unwrap();
        let mut seldom = Seldom::default();
        let said = [1, 2, 3, 11, 12, 21].map(|seconds| seldom.say_at(at(seconds)));
        assert_eq!(said, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
