//! Answers that were given under an idempotency key.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::domain::quote;
use crate::store::{Idempotency, WriteRefusal, WriteRequest, Written};

/// How long an answer is kept at least: a day, and time for a caller that counts from its own clock.
const KEPT_FOR: Duration = Duration::from_secs(25 * 3_600);

/// The first answer under each key.
#[derive(Default)]
pub(super) struct Answers {
    given: BTreeMap<Place, Given>,
}

/// A key in its scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    caller: String,
    method: &'static str,
    key: String,
}

struct Given {
    digest: [u8; 32],
    written: Written,
    at: SystemTime,
}

impl Place {
    fn of(request: &WriteRequest, idempotency: &Idempotency) -> Self {
        Self {
            caller: request.caller.clone(),
            method: idempotency.method,
            key: idempotency.key.clone(),
        }
    }
}

impl Answers {
    /// What was answered to `request` before, if it was made before.
    pub(super) fn find(&self, request: &WriteRequest) -> Result<Option<&Written>, WriteRefusal> {
        let Some(idempotency) = &request.idempotency else {
            return Ok(None);
        };
        match self.given.get(&Place::of(request, idempotency)) {
            Some(given) if given.digest == idempotency.digest => Ok(Some(&given.written)),
            Some(_) => Err(WriteRefusal::IdempotencyKeyReused(quote(&idempotency.key))),
            None => Ok(None),
        }
    }

    /// Keeps an answer, and drops those that are old.
    pub(super) fn keep(&mut self, request: &WriteRequest, written: &Written, now: SystemTime) {
        let Some(idempotency) = &request.idempotency else {
            return;
        };
        self.given
            .retain(|_, given| now.duration_since(given.at).is_ok_and(|age| age < KEPT_FOR));
        let given = Given {
            digest: idempotency.digest,
            written: written.clone(),
            at: now,
        };
        self.given.insert(Place::of(request, idempotency), given);
    }
}
