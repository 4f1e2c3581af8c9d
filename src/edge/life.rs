//! How long a connection may last: until it is old, idle, silent, or does not take its answers.

use std::time::Duration;

use tokio::time::Instant;

use super::Limits;
use super::connection::Cut;
use super::guard::Pulse;
use super::link::{Link, SPAN};
use crate::clock::Moment;

/// How long a peer that was told to leave may take, beside the time of its calls.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);
/// How long a peer that was told to leave may stay without a call.
const LINGER: Duration = Duration::from_secs(2);
/// How long a peer may leave the connection so full that nothing more can be written.
const BLOCKED: Duration = Duration::from_secs(20);

/// What becomes of a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Stay,
    Leave,
    /// The peer is asked for a sign of life.
    Ping,
    Close,
    Cut(Cut, &'static str),
}

/// The instants at which a connection is looked at.
#[derive(Debug)]
pub(super) struct Life {
    /// When it is told to leave for its age; none once it was told to leave.
    old: Option<Instant>,
    /// When it is cut for not leaving.
    gone: Option<Instant>,
    idle: Instant,
    max_idle: Duration,
    span: Instant,
    /// When it has been silent for too long, or an answer to a ping is overdue.
    silent: Instant,
    /// When it was asked for a sign of life, as long as there is none.
    pinged: Option<Moment>,
    keepalive: Duration,
    keepalive_timeout: Duration,
    leave_within: Duration,
}

impl Life {
    pub(super) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            old: Some(now + jittered(limits.max_connection_age)),
            gone: None,
            idle: now + limits.max_connection_idle,
            max_idle: limits.max_connection_idle,
            span: now + SPAN,
            silent: now + limits.keepalive,
            pinged: None,
            keepalive: limits.keepalive,
            keepalive_timeout: limits.keepalive_timeout,
            leave_within: limits.request_timeout + LEAVE_WITHIN,
        }
    }

    pub(super) fn next_look(&self) -> Instant {
        let may_be = [self.old, self.gone];
        let soonest = self.idle.min(self.span).min(self.silent);
        may_be.into_iter().flatten().fold(soonest, Instant::min)
    }

    pub(super) fn leave(&mut self) {
        let now = Instant::now();
        self.old = None;
        self.gone = Some(now + self.leave_within);
        (self.idle, self.max_idle) = (now + LINGER, LINGER);
    }

    pub(super) fn look(&mut self, link: &Link, pulse: &Pulse) -> Step {
        let now = Instant::now();
        let is_over = |end: Option<Instant>| end.is_some_and(|end| end <= now);
        if is_over(self.gone) {
            return Step::Cut(Cut::Lingered, "the peer was told to leave and has not");
        }
        if self.span <= now {
            self.span = now + SPAN;
            if link.next_span() || pulse.blocked_for() >= BLOCKED {
                return Step::Cut(Cut::Untaken, "the peer does not take its answers");
            }
        }
        let mut leave = is_over(self.old);
        if self.idle <= now {
            let idle = link.idle_since().map(|since| Moment::now().since(since));
            let left = self.max_idle.saturating_sub(idle.unwrap_or_default());
            leave |= left.is_zero();
            self.idle = now + if left.is_zero() { self.max_idle } else { left };
        }
        match (leave, self.gone) {
            (true, None) => Step::Leave,
            (true, Some(_)) => Step::Close,
            (false, _) if self.silent <= now => self.listen(now, pulse),
            (false, _) => Step::Stay,
        }
    }

    /// Looks how long the peer has been silent. Whatever it says is a sign of life.
    fn listen(&mut self, now: Instant, pulse: &Pulse) -> Step {
        let heard = pulse.heard();
        if self
            .pinged
            .take()
            .is_some_and(|pinged| heard <= Some(pinged))
        {
            return Step::Cut(Cut::Keepalive, "the peer did not answer a ping");
        }
        let silent = heard.map_or(Duration::ZERO, |heard| Moment::now().since(heard));
        let left = self.keepalive.saturating_sub(silent);
        if left.is_zero() {
            self.pinged = Some(Moment::now());
            self.silent = now + self.keepalive_timeout;
            return Step::Ping;
        }
        self.silent = now + left;
        Step::Stay
    }
}

/// Give or take a tenth, so that connections that came together do not leave together.
fn jittered(age: Duration) -> Duration {
    let [random, ..] = uuid::Uuid::new_v4().into_bytes();
    age.mul_f64(0.9 + 0.2 * f64::from(random) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_either_way() {
        let age = Duration::from_secs(100);
        let (mut least, mut most) = (age, age);
        for _ in 0..1_000 {
            let jittered = jittered(age);
            (least, most) = (least.min(jittered), most.max(jittered));
        }
        assert!(least >= Duration::from_secs(90) && least < Duration::from_secs(92));
        assert!(most <= Duration::from_secs(110) && most > Duration::from_secs(108));
    }
}
