//! The decision log: who was told what about whom, a line for each decision that was answered.
//!
//! A call notes what it decided and hands it over with its answer; a thread of its own writes the
//! lines. Between them is a queue with a bound: a log that nobody takes away holds up no call, and
//! what finds no room is counted.

mod line;
mod queue;
mod sample;
mod writer;

use std::sync::Arc;

use crate::callers::CallerId;
use crate::domain::{AccountId, CatalogAccess, Decision, NotificationKind, Revision};

use line::{Line, Shown, Told};
use queue::Queue;

pub use writer::Writer;

/// What the lines are logged under.
pub const TARGET: &str = "portcullis::decision";

/// Which decisions are logged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Logged {
    /// None.
    Off,
    /// Denials.
    Denials,
    /// Those of a share of all calls, from 0 to 1. A call is logged whole or not at all.
    Sampled(f64),
    /// All.
    All,
}

/// Where calls leave what they decided. Clones are of one log.
#[derive(Debug, Clone)]
pub struct DecisionLog {
    logged: Logged,
    queue: Arc<Queue>,
}

impl DecisionLog {
    /// A log of nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::new(Logged::Off)
    }

    /// A log of this, and what writes it where anything is logged.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(logged: Logged) -> std::io::Result<(Self, Option<Writer>)> {
        let log = Self::new(logged);
        let writer = match logged {
            Logged::Off => None,
            Logged::Denials | Logged::Sampled(_) | Logged::All => {
                Some(Writer::start(Arc::clone(&log.queue))?)
            }
        };
        Ok((log, writer))
    }

    fn new(logged: Logged) -> Self {
        let queue = Arc::default();
        Self { logged, queue }
    }

    /// How many lines found no room, ever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// A call of `method` that begins, of a caller who has proved this, or nothing. `caller` is asked
    /// only where it matters.
    pub fn call(&self, method: &'static str, caller: impl FnOnce() -> Option<CallerId>) -> Call {
        let is_noted = match self.logged {
            Logged::Off => false,
            Logged::Denials | Logged::All => true,
            Logged::Sampled(share) => sample::hit(share),
        };
        Call(is_noted.then(|| {
            Box::new(Notes {
                log: self.clone(),
                method,
                caller: caller(),
                told: Vec::new(),
            })
        }))
    }
}

/// What is noted of one call. Where nothing is, that costs nothing; where the call is not answered,
/// nothing is logged.
#[derive(Debug)]
#[must_use]
pub struct Call(Option<Box<Notes>>);

#[derive(Debug)]
struct Notes {
    log: DecisionLog,
    method: &'static str,
    caller: Option<CallerId>,
    told: Vec<Told>,
}

impl Call {
    /// `value` once more, where it will be needed for what is noted.
    #[must_use]
    pub fn keep<T: Clone>(&self, value: &T) -> Option<T> {
        self.0.is_some().then(|| value.clone())
    }

    /// Whether `account` may use `feature` was decided.
    pub fn decided(&mut self, account: &AccountId, feature: &str, decision: Decision) {
        self.note(account, feature, decision, None);
    }

    /// A page of a catalogue was decided: whether `account` may order and see prices, and with that
    /// how many locations it is shown, and how many not.
    pub fn shown(
        &mut self,
        account: &AccountId,
        access: &CatalogAccess<'_>,
        visible: usize,
        hidden: usize,
    ) {
        let shown = Some(Shown { visible, hidden });
        self.note(account, "services.order", access.ordering, shown);
        self.note(account, "pricing.view", access.pricing, shown);
    }

    fn note(
        &mut self,
        account: &AccountId,
        feature: &str,
        decision: Decision,
        shown: Option<Shown>,
    ) {
        let Some(notes) = &mut self.0 else {
            return;
        };
        if notes.log.logged == Logged::Denials && decision.is_allowed() {
            return;
        }
        notes.told.push(Told::Decision {
            account: account.clone(),
            feature: feature.into(),
            decision,
            shown,
        });
    }

    /// Who is told of something was worked out for so many accounts. No denial.
    pub fn routed(
        &mut self,
        kind: NotificationKind,
        accounts: usize,
        recipients: usize,
        unresolved: usize,
    ) {
        let Some(notes) = &mut self.0 else {
            return;
        };
        if notes.log.logged != Logged::Denials {
            notes.told.push(Told::Routed {
                kind,
                accounts,
                recipients,
                unresolved,
            });
        }
    }

    /// The call is answered, on this state: what was noted is logged.
    pub fn answered(self, revision: Revision, stale: bool) {
        let Some(notes) = self.0 else {
            return;
        };
        let Notes {
            log,
            method,
            caller,
            told,
        } = *notes;
        let lines = told.into_iter().map(|told| Line {
            method,
            caller: caller.clone(),
            told,
            revision,
            stale,
        });
        log.queue.push(lines);
    }
}

#[cfg(test)]
mod tests;
