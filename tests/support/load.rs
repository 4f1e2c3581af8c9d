//! A steady load of checks, and figures of how it was answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::proto::v1;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::oracle::{Answer, Oracle};
use super::requests::check;
use super::server::Client;

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub sent: Instant,
    pub took: Duration,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Fresh,
    Stale,
    Failed(Code),
}

/// Whom a client of a load asks, and about which accounts: each with the number of its partner.
#[derive(Debug, Clone)]
pub struct Target {
    pub client: Client,
    pub accounts: Arc<[(usize, String)]>,
    /// Who judges the answers.
    pub oracle: Option<Arc<Oracle>>,
}

/// Clients that ask one call after the other until this is dropped.
#[derive(Debug)]
pub struct Load {
    recorded: Arc<Recorded>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Recorded {
    samples: Mutex<Vec<Sample>>,
    wrong: Mutex<Vec<String>>,
    stop: CancellationToken,
}

impl Load {
    /// `each` clients of each target, each of which asks once in `pace` at most, and begins with
    /// other accounts.
    pub fn start(targets: &[Target], each: usize, pace: Duration) -> Self {
        let first = |target: &Target, number| target.accounts.len() / each * number;
        Self::begin(targets, each, pace, first)
    }

    /// The same, but all begin with the same account, and go on with the next.
    pub fn start_alike(targets: &[Target], each: usize, pace: Duration) -> Self {
        Self::begin(targets, each, pace, |_, _| 0)
    }

    fn begin(
        targets: &[Target],
        each: usize,
        pace: Duration,
        first: impl Fn(&Target, usize) -> usize,
    ) -> Self {
        let recorded = Arc::new(Recorded::default());
        let clients = targets
            .iter()
            .flat_map(|target| (0..each).map(move |number| (target.clone(), number)))
            .map(|(target, number)| {
                let first = first(&target, number);
                tokio::spawn(ask(target, first, pace, Arc::clone(&recorded)))
            })
            .collect();
        Self { recorded, clients }
    }

    /// The calls that were answered since the last time.
    ///
    /// # Panics
    /// Where an answer was wrong.
    pub fn take(&self) -> Samples {
        let wrong = self.recorded.wrong.lock().unwrap();
        assert!(
            wrong.is_empty(),
            "{} wrong answers: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)]
        );
        Samples::new(std::mem::take(&mut *self.recorded.samples.lock().unwrap()))
    }

    /// The calls of the next `time`.
    pub async fn measure(&self, time: Duration) -> Samples {
        self.take();
        tokio::time::sleep(time).await;
        self.take()
    }

    /// Waits for the calls that are under way, and gives those since the last time.
    pub async fn stop(mut self) -> Samples {
        self.recorded.stop.cancel();
        for client in self.clients.drain(..) {
            client.await.unwrap();
        }
        self.take()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.recorded.stop.cancel();
    }
}

async fn ask(target: Target, first: usize, pace: Duration, recorded: Arc<Recorded>) {
    let Target {
        mut client,
        accounts,
        oracle,
    } = target;
    let mut turn = tokio::time::interval(pace);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (partner, account) in accounts.iter().cycle().skip(first) {
        if recorded
            .stop
            .run_until_cancelled(turn.tick())
            .await
            .is_none()
        {
            return;
        }
        let sent = Instant::now();
        let answer = client.check_feature(check(account, "pricing.view")).await;
        let received = Instant::now();
        let outcome = match answer.map(tonic::Response::into_inner) {
            Ok(answer) => {
                let judged = oracle.as_ref().map_or(Ok(()), |oracle| {
                    oracle.judge(&Answer {
                        partner: *partner,
                        on: answer.effect() == v1::Effect::Allow,
                        revision: answer.revision,
                        stale: answer.stale,
                        sent,
                        received,
                    })
                });
                if let Err(wrong) = judged {
                    recorded.wrong.lock().unwrap().push(wrong);
                }
                match answer.stale {
                    false => Outcome::Fresh,
                    true => Outcome::Stale,
                }
            }
            Err(status) => Outcome::Failed(status.code()),
        };
        recorded.samples.lock().unwrap().push(Sample {
            sent,
            took: received - sent,
            outcome,
        });
    }
}

/// Calls of a part of a load.
#[derive(Debug)]
pub struct Samples {
    pub all: Vec<Sample>,
    times: Times,
}

impl Samples {
    fn new(all: Vec<Sample>) -> Self {
        let times = Times::new(all.iter().map(|sample| sample.took).collect());
        Self { all, times }
    }

    /// How long the calls took.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// How many calls had which outcome.
    pub fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for sample in &self.all {
            *counted.entry(format!("{:?}", sample.outcome)).or_default() += 1;
        }
        counted
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        let failed = |sample: &&Sample| matches!(sample.outcome, Outcome::Failed(_));
        self.all.iter().filter(failed).count()
    }

    /// The calls that were sent at `from` or later, and answered before `until`.
    pub fn between(&self, from: Instant, until: Instant) -> Self {
        let inside = |sample: &&Sample| sample.sent >= from && sample.sent + sample.took < until;
        Self::new(self.all.iter().filter(inside).copied().collect())
    }

    /// When the last call with this outcome was sent.
    pub fn last(&self, outcome: Outcome) -> Option<Instant> {
        let such = self.all.iter().filter(|sample| sample.outcome == outcome);
        such.map(|sample| sample.sent).max()
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.times, self.outcomes())
    }
}

/// Times, in order.
#[derive(Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that `percent` of them do not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        assert!(!self.0.is_empty(), "nothing was measured");
        let place = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[place - 1]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn max(&self) -> Duration {
        self.percentile(100)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no calls");
        }
        let (p50, p99) = (self.percentile(50), self.percentile(99));
        let (count, max) = (self.0.len(), self.max());
        write!(
            f,
            "{count} calls, p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}"
        )
    }
}
