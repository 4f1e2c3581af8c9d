//! What answers may say while policies change: no allow, and no denial, that no committed state
//! within its bound justifies.
//!
//! Whoever changes a policy says here when the change began and when its commit was acknowledged.
//! An answer is judged by that alone, and by what it promises itself: every change up to its
//! revision is in it; without `stale` it is at most `stale_after` behind what was acknowledged,
//! with it at most `max_stale`.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How far behind an answer may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub stale_after: Duration,
    pub max_stale: Duration,
}

/// The changes of one setting of each partner.
#[derive(Debug)]
pub struct Oracle {
    bounds: Bounds,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    /// By partner, oldest first.
    states: Vec<Vec<State>>,
    /// When which revision was acknowledged, oldest first.
    acknowledged: Vec<(Instant, u64)>,
}

/// The setting of a partner from a change on.
#[derive(Debug, Clone, Copy)]
struct State {
    on: bool,
    began: Instant,
    /// None while the change is under way, and for good where its outcome is not known.
    revision: Option<u64>,
}

/// A change that has begun and not ended.
#[derive(Debug)]
#[must_use]
pub struct Begun {
    partner: usize,
    place: usize,
}

/// What was asked and answered about an account of a partner.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub partner: usize,
    pub on: bool,
    pub revision: u64,
    pub stale: bool,
    pub sent: Instant,
    pub received: Instant,
}

impl Oracle {
    /// Of partners that have all of them the setting off or on, since `revision`.
    pub fn new(partners: usize, on: bool, revision: u64, bounds: Bounds, now: Instant) -> Self {
        let state = State {
            on,
            began: now,
            revision: Some(revision),
        };
        Self {
            bounds,
            told: Mutex::new(Told {
                states: vec![vec![state]; partners],
                acknowledged: vec![(now, revision)],
            }),
        }
    }

    /// A change is about to be asked for.
    pub fn begin(&self, partner: usize, on: bool, now: Instant) -> Begun {
        let states = &mut self.told.lock().unwrap().states[partner];
        states.push(State {
            on,
            began: now,
            revision: None,
        });
        Begun {
            partner,
            place: states.len() - 1,
        }
    }

    /// It was acknowledged.
    pub fn written(&self, begun: &Begun, revision: u64, now: Instant) {
        let mut told = self.told.lock().unwrap();
        told.states[begun.partner][begun.place].revision = Some(revision);
        // One that changed nothing answers with an older one.
        if revision > told.acknowledged.last().unwrap().1 {
            told.acknowledged.push((now, revision));
        }
    }

    /// It was refused. The last of its partner: nobody begins another meanwhile.
    pub fn not_written(&self, begun: &Begun) {
        let states = &mut self.told.lock().unwrap().states[begun.partner];
        assert_eq!(states.len(), begun.place + 1);
        states.pop();
    }

    /// The last revision that was acknowledged.
    pub fn revision(&self) -> u64 {
        let told = self.told.lock().unwrap();
        told.acknowledged.last().unwrap().1
    }

    /// # Errors
    /// What is wrong with the answer.
    pub fn judge(&self, answer: &Answer) -> Result<(), String> {
        let told = self.told.lock().unwrap();
        let bound = match answer.stale {
            false => self.bounds.stale_after,
            true => self.bounds.max_stale,
        };
        let needed = told
            .acknowledged
            .iter()
            .rev()
            .find(|(at, _)| *at + bound <= answer.sent);
        if let Some((at, needed)) = needed
            && answer.revision < *needed
        {
            let behind = answer.sent - *at;
            return Err(format!(
                "{answer:?} lacks revision {needed}, acknowledged {behind:?} before"
            ));
        }
        let began = |state: &&State| state.began <= answer.received;
        for state in told.states[answer.partner].iter().rev().filter(began) {
            if state.on == answer.on {
                return Ok(());
            }
            // What was before that state is not in any answer at its revision or later.
            if state
                .revision
                .is_some_and(|revision| revision <= answer.revision)
            {
                break;
            }
        }
        Err(format!("{answer:?} is of no state that there was"))
    }
}
