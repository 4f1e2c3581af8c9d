//! The decision log: who was told what about whom, a line for each decision that was answered.
//!
//! A call notes what it decided and hands it over with its answer; a thread of its own writes the
//! lines. Between them is a queue with a bound: a log that nobody takes away holds up no call, and
//! what finds no room is counted. Decisions are counted too, whatever is logged.

mod counts;
mod line;
mod queue;
mod sample;
mod writer;

use std::sync::Arc;

use crate::callers::CallerId;
use crate::domain::{AccountId, CatalogAccess, Decision, NotificationKind, Revision};
use crate::traces::RequestId;

use counts::{Counted, Counts};
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
    counts: Arc<Counts>,
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
        Self {
            logged,
            queue: Arc::default(),
            counts: Arc::default(),
        }
    }

    /// How many decisions were answered, by effect and reason in the words of the log.
    pub fn decided(&self) -> impl Iterator<Item = ([&'static str; 2], u64)> {
        self.counts.decided()
    }

    /// How many answers may have been older than `stale_after`, and said so.
    #[must_use]
    pub fn stale(&self) -> u64 {
        self.counts.stale()
    }

    /// How many lines found no room, ever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// A call of `method` that begins, of a caller who has proved this, or nothing, and gave it this
    /// id, or none. `caller` is asked only where it matters.
    pub fn call(
        &self,
        method: &'static str,
        caller: impl FnOnce() -> (Option<CallerId>, Option<RequestId>),
    ) -> Call<'_> {
        let is_noted = match self.logged {
            Logged::Off => false,
            Logged::Denials | Logged::All => true,
            Logged::Sampled(share) => sample::hit(share),
        };
        let notes = || {
            let (caller, request_id) = caller();
            Box::new(Notes {
                method,
                caller,
                request_id,
                told: Vec::new(),
            })
        };
        Call {
            log: self,
            counted: Counted::default(),
            notes: is_noted.then(notes),
        }
    }
}

/// What is noted of one call. Where the call is not answered, nothing is logged and nothing counted.
#[derive(Debug)]
#[must_use]
pub struct Call<'l> {
    log: &'l DecisionLog,
    counted: Counted,
    /// None where it is not logged: then it is counted, and costs no more than that.
    notes: Option<Box<Notes>>,
}

#[derive(Debug)]
struct Notes {
    method: &'static str,
    caller: Option<CallerId>,
    request_id: Option<RequestId>,
    told: Vec<Told>,
}

impl Call<'_> {
    /// `value` once more, where it will be needed for what is noted.
    #[must_use]
    pub fn keep<T: Clone>(&self, value: &T) -> Option<T> {
        self.notes.is_some().then(|| value.clone())
    }

    /// Whether `account` may use `feature` was decided; of an account that was not
    /// [kept](Self::keep), that is counted.
    pub fn decided(&mut self, account: Option<&AccountId>, feature: &str, decision: Decision) {
        self.counted.add(decision);
        if let Some(account) = account {
            self.note(account, feature, decision, None);
        }
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
        self.counted.add(access.ordering);
        self.counted.add(access.pricing);
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
        let Some(notes) = &mut self.notes else {
            return;
        };
        if self.log.logged == Logged::Denials && decision.is_allowed() {
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
        let Some(notes) = &mut self.notes else {
            return;
        };
        if self.log.logged != Logged::Denials {
            notes.told.push(Told::Routed {
                kind,
                accounts,
                recipients,
                unresolved,
            });
        }
    }

    /// The call is answered, on this state: what was noted is counted and logged.
    pub fn answered(self, revision: Revision, stale: bool) {
        self.log.counts.take(&self.counted, stale);
        let Some(notes) = self.notes else {
            return;
        };
        let Notes {
            method,
            caller,
            request_id,
            told,
        } = *notes;
        let lines = told.into_iter().map(|told| Line {
            method,
            caller: caller.clone(),
            request_id: request_id.clone(),
            told,
            revision,
            stale,
        });
        self.log.queue.push(lines);
    }
}

#[cfg(test)]
mod tests;
