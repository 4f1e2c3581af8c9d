//! The one home of [`Status`]: what went wrong, as gRPC says it (the error table of the README).
//!
//! Every error of ours carries an ErrorInfo with a reason that programs can tell apart. A refusal
//! is a bad request, an unknown thing, broken data or an outage; a denial is none of these, but an
//! answer.

use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::administrator;
use crate::authorizer::Refusal;
use crate::callers::{CallerId, Role};
use crate::directory::DirectoryError;
use crate::store::{StoreError, WriteError, WriteRefusal};

const DOMAIN: &str = "portcullis";

/// When to try again: by then a poll has been made, and a store that restarts may be back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The most violations that one error names.
const MAX_VIOLATIONS: usize = 20;

/// The most bytes of violations after the first: an error travels in headers, where they grow by a
/// third, and clients accept 8 KiB of headers before they take the connection for broken.
const MAX_VIOLATION_BYTES: usize = 3 << 10;

/// The most characters of a caller's id that an error repeats.
const MAX_NAMED: usize = 256;

/// What is wrong with a request, field by field.
#[derive(Debug, Default)]
pub(super) struct Violations {
    found: Vec<(String, String)>,
    bytes: usize,
    more: usize,
}

impl Violations {
    /// Notes that `field`, a path as in the proto, is wrong.
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let (field, message) = (field.into(), message.into());
        let bytes = self.bytes + field.len() + message.len();
        let fits = self.found.len() < MAX_VIOLATIONS && bytes <= MAX_VIOLATION_BYTES;
        if self.found.is_empty() || (self.more == 0 && fits) {
            self.bytes = bytes;
            self.found.push((field, message));
        } else {
            self.more += 1;
        }
    }

    /// The value of a field that was parsed; a violation where it could not be.
    pub(super) fn take<T, E: ToString>(
        &mut self,
        field: impl FnOnce() -> String,
        parsed: Result<T, E>,
    ) -> Option<T> {
        parsed
            .map_err(|error| self.add(field(), error.to_string()))
            .ok()
    }

    /// # Errors
    /// INVALID_REQUEST, where anything was noted.
    pub(super) fn none(self) -> Result<(), Status> {
        let Some((field, message)) = self.found.first() else {
            return Ok(());
        };
        let more = match self.found.len() - 1 + self.more {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let summary = format!("{field} {message}{more}");
        Err(invalid(summary, self.found))
    }
}

/// INVALID_REQUEST, with what is wrong field by field.
fn invalid(summary: String, violations: impl IntoIterator<Item = (String, String)>) -> Status {
    let mut details = info("INVALID_REQUEST");
    for (field, message) in violations {
        details.add_bad_request_violation(field, message);
    }
    Status::with_error_details(Code::InvalidArgument, summary, details)
}

/// INVALID_REQUEST for one thing that is wrong.
fn invalid_field(field: &str, message: String) -> Status {
    invalid(format!("{field} {message}"), [(field.to_owned(), message)])
}

fn info(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, [])
}

fn status(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, info(reason))
}

fn unavailable(reason: &str, message: impl Into<String>) -> Status {
    retry(Code::Unavailable, reason, message)
}

/// What may well be otherwise soon.
fn retry(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(code, message, details)
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::FeatureUnknown { .. } => {
                status(Code::InvalidArgument, "FEATURE_UNKNOWN", message)
            }
            Refusal::AccountUnknown(_) => status(Code::NotFound, "ACCOUNT_UNKNOWN", message),
            Refusal::MarketUnknown(_) => status(Code::NotFound, "MARKET_UNKNOWN", message),
            Refusal::AccountInconsistent(_) => {
                status(Code::FailedPrecondition, "ACCOUNT_INCONSISTENT", message)
            }
            Refusal::NoRecipient(_) => status(Code::FailedPrecondition, "NO_RECIPIENT", message),
            Refusal::Directory(error) => error.into(),
        }
    }
}

impl From<DirectoryError> for Status {
    fn from(error: DirectoryError) -> Self {
        let message = error.to_string();
        match error {
            DirectoryError::RevisionUnknown(_) => {
                status(Code::FailedPrecondition, "REVISION_UNKNOWN", message)
            }
            // UNAVAILABLE and not a denial: a caller that is told "no" stops asking, one that is
            // told "not now" tries another replica.
            DirectoryError::Unavailable(_) => unavailable("STORE_UNAVAILABLE", message),
            DirectoryError::Overloaded(_) => retry(Code::ResourceExhausted, "OVERLOADED", message),
        }
    }
}

impl From<administrator::Refusal> for Status {
    fn from(refusal: administrator::Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            administrator::Refusal::AccountInconsistent(_) => {
                status(Code::FailedPrecondition, "ACCOUNT_INCONSISTENT", message)
            }
            administrator::Refusal::Write(WriteError::Refused(refusal)) => refusal.into(),
            administrator::Refusal::Write(WriteError::Store(error)) => error.into(),
            administrator::Refusal::Write(WriteError::OutcomeUnknown(_)) => {
                status(Code::Unknown, "OUTCOME_UNKNOWN", message)
            }
        }
    }
}

impl From<WriteRefusal> for Status {
    fn from(refusal: WriteRefusal) -> Self {
        let message = refusal.to_string();
        let (code, reason) = match refusal {
            WriteRefusal::Invalid { field, why } => return invalid_field(&field, why.to_string()),
            WriteRefusal::FeatureUnknown(_) => (Code::InvalidArgument, "FEATURE_UNKNOWN"),
            WriteRefusal::AccountUnknown(_) => (Code::NotFound, "ACCOUNT_UNKNOWN"),
            WriteRefusal::PartnerUnknown(_) => (Code::NotFound, "PARTNER_UNKNOWN"),
            WriteRefusal::LocationUnknown(_) => (Code::NotFound, "LOCATION_UNKNOWN"),
            WriteRefusal::MarketUnknown(_) => (Code::NotFound, "MARKET_UNKNOWN"),
            WriteRefusal::FeatureNotConfigurable(_) => {
                (Code::FailedPrecondition, "FEATURE_NOT_CONFIGURABLE")
            }
            WriteRefusal::AccountInUse { .. } => (Code::FailedPrecondition, "ACCOUNT_IN_USE"),
            WriteRefusal::MarketInUse { .. } => (Code::FailedPrecondition, "MARKET_IN_USE"),
            WriteRefusal::RevisionMismatch { .. } => (Code::Aborted, "REVISION_MISMATCH"),
            WriteRefusal::IdempotencyKeyReused(_) => {
                (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED")
            }
        };
        status(code, reason, message)
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::ReadOnly(_) => unavailable("STORE_READ_ONLY", message),
            // Whatever is wrong with it: another replica may reach it, this one may later.
            StoreError::Unavailable(_) | StoreError::Schema(_) | StoreError::Broken { .. } => {
                unavailable("STORE_UNAVAILABLE", message)
            }
        }
    }
}

/// An item of a long list that is malformed. Short, and without the value, which stands beside it in
/// the answer: ten thousand of these have to fit into one message.
pub(super) fn malformed_item(field: String, accepted: &str) -> Status {
    invalid(
        format!("{field} is malformed"),
        [(field, accepted.to_owned())],
    )
}

/// A message that does not decode.
pub(super) fn undecodable(error: &prost::DecodeError) -> Status {
    invalid_field("message", format!("does not decode: {error}"))
}

/// A list of a message that has more items than are accepted.
pub(super) fn too_many(field: &str, most: usize) -> Status {
    invalid_field(field, format!("has more than {most} items"))
}

/// An answer that is larger than a message may be.
pub(super) fn answer_too_large(bytes: usize, limit: usize) -> Status {
    let message = format!("the answer has {bytes} bytes; a message may have {limit}: ask for less");
    status(Code::ResourceExhausted, "ANSWER_TOO_LARGE", message)
}

/// A request that is larger than a message may be; `message` says by how much.
pub(crate) fn message_too_large(message: &str) -> Status {
    status(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message)
}

/// A caller that has not proved who it is.
pub(crate) fn caller_unknown(why: &str) -> Status {
    let message = format!("who calls is not known: {why}");
    status(Code::Unauthenticated, "CALLER_UNKNOWN", message)
}

/// A caller that may not call this: it lacks a role, any or the one that is needed.
pub(crate) fn role_missing(caller: &CallerId, needed: Option<Role>) -> Status {
    // An id may be long, and an error travels in headers.
    let caller: String = caller.as_str().chars().take(MAX_NAMED).collect();
    let message = match needed {
        Some(role) => format!(
            "`{caller}` may not call this: it takes the role `{}`",
            role.name()
        ),
        None => format!("`{caller}` may not call this: it has no role"),
    };
    status(Code::PermissionDenied, "ROLE_MISSING", message)
}

/// More is asked than can be worked on.
pub(crate) fn overloaded() -> Status {
    let message = "overloaded: more is asked than can be worked on at once";
    retry(Code::ResourceExhausted, "OVERLOADED", message)
}

/// A stream that ends because the service does.
pub(crate) fn stopping() -> Status {
    Status::unavailable("the service is stopping")
}

/// A call that took too long.
pub(crate) fn deadline_exceeded() -> Status {
    status(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline passed before there was an answer",
    )
}

/// A `grpc-timeout` header that is none.
pub(crate) fn malformed_timeout() -> Status {
    let message = "is malformed: one to eight digits and one of H M S m u n are accepted";
    invalid_field("grpc-timeout", message.to_owned())
}

/// A status as part of an answer, with the details that it has as the status of a call.
pub(super) fn item(status: &Status) -> tonic_types::Status {
    // Details are this message, encoded; a status without details is its code and message.
    match tonic_types::Status::decode(status.details()) {
        Ok(item) if !status.details().is_empty() => item,
        Ok(_) | Err(_) => tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, Invalid, LocationId, MarketCode, Revision};
    use crate::store::Unavailable;

    /// The rows of the error table that are refusals, one by one.
    #[test]
    fn every_refusal_has_its_row() {
        let id = || AccountId::try_from("acme").unwrap();
        let unavailable = || DirectoryError::Unavailable("why".to_owned());
        for (refusal, code, reason) in [
            (
                Refusal::FeatureUnknown {
                    feature: "`x`".to_owned(),
                },
                Code::InvalidArgument,
                "FEATURE_UNKNOWN",
            ),
            (
                Refusal::AccountUnknown(id()),
                Code::NotFound,
                "ACCOUNT_UNKNOWN",
            ),
            (
                Refusal::AccountInconsistent(id()),
                Code::FailedPrecondition,
                "ACCOUNT_INCONSISTENT",
            ),
            (
                Refusal::MarketUnknown(MarketCode::try_from("XX").unwrap()),
                Code::NotFound,
                "MARKET_UNKNOWN",
            ),
            (
                Refusal::NoRecipient(id()),
                Code::FailedPrecondition,
                "NO_RECIPIENT",
            ),
            (
                Refusal::Directory(DirectoryError::RevisionUnknown(Revision(7))),
                Code::FailedPrecondition,
                "REVISION_UNKNOWN",
            ),
            (
                Refusal::Directory(unavailable()),
                Code::Unavailable,
                "STORE_UNAVAILABLE",
            ),
            (
                Refusal::Directory(DirectoryError::Overloaded("why")),
                Code::ResourceExhausted,
                "OVERLOADED",
            ),
        ] {
            let status = Status::from(refusal);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!(
                (status.code(), info.reason.as_str(), info.domain.as_str()),
                (code, reason, DOMAIN)
            );
            let passes = matches!(code, Code::Unavailable | Code::ResourceExhausted);
            assert_eq!(details.retry_info().is_some(), passes);
            let item = item(&status);
            assert_eq!(
                (item.code, item.message.as_str()),
                (i32::from(code), status.message())
            );
        }
    }

    /// The same for what PolicyService refuses and what a store fails with.
    #[test]
    fn every_refusal_of_a_write_has_its_row() {
        let id = || AccountId::try_from("acme").unwrap();
        let market = || MarketCode::try_from("XX").unwrap();
        let location = || LocationId::try_from("xx").unwrap();
        let name = || "x".to_owned();
        let (missing, failed) = (Code::NotFound, Code::FailedPrecondition);
        for (refusal, code, reason) in [
            (
                WriteRefusal::FeatureUnknown(name()),
                Code::InvalidArgument,
                "FEATURE_UNKNOWN",
            ),
            (
                WriteRefusal::FeatureNotConfigurable(name()),
                failed,
                "FEATURE_NOT_CONFIGURABLE",
            ),
            (
                WriteRefusal::AccountUnknown(id()),
                missing,
                "ACCOUNT_UNKNOWN",
            ),
            (
                WriteRefusal::PartnerUnknown(id()),
                missing,
                "PARTNER_UNKNOWN",
            ),
            (
                WriteRefusal::MarketUnknown(market()),
                missing,
                "MARKET_UNKNOWN",
            ),
            (
                WriteRefusal::LocationUnknown(location()),
                missing,
                "LOCATION_UNKNOWN",
            ),
            (
                WriteRefusal::AccountInUse {
                    partner: id(),
                    account: id(),
                },
                failed,
                "ACCOUNT_IN_USE",
            ),
            (
                WriteRefusal::MarketInUse {
                    market: market(),
                    partner: id(),
                },
                failed,
                "MARKET_IN_USE",
            ),
            (
                WriteRefusal::RevisionMismatch {
                    expected: Revision(1),
                    actual: Revision(2),
                },
                Code::Aborted,
                "REVISION_MISMATCH",
            ),
            (
                WriteRefusal::IdempotencyKeyReused(name()),
                failed,
                "IDEMPOTENCY_KEY_REUSED",
            ),
            (
                WriteRefusal::Invalid {
                    field: name(),
                    why: Invalid::new("is wrong"),
                },
                Code::InvalidArgument,
                "INVALID_REQUEST",
            ),
        ] {
            assert_eq!(row(&refusal.into()), (code, reason.to_owned(), false));
        }
    }

    #[test]
    fn every_failure_of_a_store_has_its_row() {
        let failure = |error: StoreError| administrator::Refusal::Write(error.into());
        let broken = StoreError::Broken {
            what: "what".to_owned(),
            source: None,
        };
        let away = Unavailable::Connection("why".to_owned());
        for (refusal, code, reason) in [
            (failure(away.into()), Code::Unavailable, "STORE_UNAVAILABLE"),
            (
                failure(StoreError::Schema("it".to_owned())),
                Code::Unavailable,
                "STORE_UNAVAILABLE",
            ),
            (failure(broken), Code::Unavailable, "STORE_UNAVAILABLE"),
            (
                failure(StoreError::ReadOnly(None)),
                Code::Unavailable,
                "STORE_READ_ONLY",
            ),
            (
                administrator::Refusal::Write(WriteError::OutcomeUnknown("cut".into())),
                Code::Unknown,
                "OUTCOME_UNKNOWN",
            ),
            (
                administrator::Refusal::AccountInconsistent(AccountId::try_from("x").unwrap()),
                Code::FailedPrecondition,
                "ACCOUNT_INCONSISTENT",
            ),
        ] {
            let retry = code == Code::Unavailable;
            assert_eq!(row(&refusal.into()), (code, reason.to_owned(), retry));
        }
    }

    /// Code, reason, and whether it says when to try again.
    fn row(status: &Status) -> (Code, String, bool) {
        let details = status.get_error_details();
        let reason = details.error_info().unwrap().reason.clone();
        (status.code(), reason, details.retry_info().is_some())
    }

    #[test]
    fn violations_are_all_named_up_to_a_bound() {
        let mut violations = Violations::default();
        for i in 0..30 {
            violations.add(format!("checks[{i}].account_id"), "is empty");
        }
        let status = violations.none().unwrap_err();
        assert_eq!(
            status.message(),
            "checks[0].account_id is empty (and 29 more)"
        );
        let details = status.get_error_details();
        assert_eq!(
            details.bad_request().unwrap().field_violations.len(),
            MAX_VIOLATIONS
        );
        assert!(Violations::default().none().is_ok());
    }

    #[test]
    fn long_violations_are_fewer() {
        let mut violations = Violations::default();
        for i in 0..10 {
            violations.add(format!("locations[{i}].id"), "x".repeat(1_000));
        }
        let status = violations.none().unwrap_err();
        assert!(status.message().ends_with("x (and 9 more)"), "{status:?}");
        let named = status.get_error_details().bad_request().cloned();
        assert_eq!(named.unwrap().field_violations.len(), 3);
    }
}
