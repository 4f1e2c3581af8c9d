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
        // Somebody may have set the clock back: then it is not old.
        let is_old = |given: &Given| {
            now.duration_since(given.at)
                .is_ok_and(|age| age >= KEPT_FOR)
        };
        self.given.retain(|_, given| !is_old(given));
        let given = Given {
            digest: idempotency.digest,
            written: written.clone(),
            at: now,
        };
        self.given.insert(Place::of(request, idempotency), given);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{AccountId, FeatureMatrix, Revision};
    use crate::store::{Now, Write};

    fn request(key: &str) -> WriteRequest {
        WriteRequest {
            write: Write::DeleteAccount(AccountId::try_from("a").unwrap()),
            matrix: Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()),
            actor: String::new(),
            caller: String::new(),
            comment: String::new(),
            expected: None,
            idempotency: Some(Idempotency {
                method: "DeleteAccount",
                key: key.to_owned(),
                digest: [0; 32],
            }),
        }
    }

    #[test]
    fn an_answer_is_kept_for_a_day_whatever_becomes_of_the_clock() {
        let written = Written {
            revision: Revision(1),
            now: Now::Untold,
        };
        let hours = |hours: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3_600);
        let mut answers = Answers::default();
        answers.keep(&request("first"), &written, hours(100));
        answers.keep(&request("set back"), &written, hours(10));
        answers.keep(&request("a day later"), &written, hours(124));
        let is_kept = |key| answers.find(&request(key)).unwrap().is_some();
        assert!(is_kept("first") && !is_kept("set back"));
        answers.keep(&request("another"), &written, hours(126));
        assert!(answers.find(&request("first")).unwrap().is_none());
    }
}
