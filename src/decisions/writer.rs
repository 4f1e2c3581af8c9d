//! The thread that writes the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Moment;

use super::TARGET;
use super::queue::{Next, Queue};

/// How often it is said at most that lines were dropped.
const EVERY: Duration = Duration::from_secs(10);
/// How long the end waits for what is not written yet.
const FINISH: Duration = Duration::from_secs(2);

/// Writes lines until it is dropped, beside everything else: who writes to standard error waits for
/// whoever reads it.
#[derive(Debug)]
pub struct Writer {
    queue: Arc<Queue>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    pub(super) fn start(queue: Arc<Queue>) -> std::io::Result<Self> {
        let (done, ended) = oneshot::channel();
        let lines = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("decisions".to_owned())
            .spawn(move || {
                write(&lines);
                // Nobody waits for it where the service has ended already.
                let _ = done.send(());
            })?;
        Ok(Self { queue, ended })
    }

    /// Writes what is left, within two seconds.
    pub async fn finish(mut self) {
        self.queue.close();
        let ended = tokio::time::timeout(FINISH, &mut self.ended).await;
        if !matches!(ended, Ok(Ok(()))) {
            let lines = self.queue.len();
            tracing::warn!(target: TARGET, lines, "the last lines were not written");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn write(queue: &Queue) {
    let mut losses = Losses::default();
    loop {
        match queue.next(EVERY) {
            Next::Line(line) => line.write(),
            Next::Nothing => {}
            Next::End => break,
        }
        if let Some(lines) = losses.due(queue.dropped(), Moment::now) {
            say(lines);
        }
    }
    let unsaid = queue.dropped() - losses.said;
    if unsaid > 0 {
        say(unsaid);
    }
}

fn say(lines: u64) {
    tracing::warn!(target: TARGET, lines, "lines were dropped: more came than are written");
}

/// What was said of dropped lines.
#[derive(Debug, Default)]
struct Losses {
    said: u64,
    at: Option<Moment>,
}

impl Losses {
    /// How many of all that were `dropped` are to be said now.
    fn due(&mut self, dropped: u64, now: impl FnOnce() -> Moment) -> Option<u64> {
        let unsaid = dropped - self.said;
        if unsaid == 0 {
            return None;
        }
        let now = now();
        let is_time = self.at.is_none_or(|at| now.since(at) >= EVERY);
        is_time.then(|| {
            (self.said, self.at) = (dropped, Some(now));
            unsaid
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_said_seldom_and_in_sum() {
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000).unwrap();
        let mut losses = Losses::default();
        let said = [(1, 0), (2, 3), (3, 5), (11, 5), (12, 9), (40, 9), (41, 10)]
            .map(|(seconds, dropped)| losses.due(dropped, || at(seconds)));
        let want = [None, Some(3), None, None, Some(6), None, Some(1)];
        assert_eq!(said, want);
    }
}
