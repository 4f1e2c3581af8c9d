//! Requests, from the wire to the domain.

use tonic::Status;

use crate::directory::Consistency;
use crate::domain::{AccountId, NotificationKind, Revision};
use crate::proto::v1;
use crate::proto::v1::consistency::Requirement;

use super::status::Violations;

/// How fresh the answer must be. Zero and false ask for nothing.
pub(super) fn consistency(requirement: Option<&v1::Consistency>) -> Consistency {
    match requirement.and_then(|consistency| consistency.requirement.as_ref()) {
        None | Some(Requirement::AtLeastRevision(0) | Requirement::FullyConsistent(false)) => {
            Consistency::Fastest
        }
        Some(Requirement::AtLeastRevision(revision)) => Consistency::AtLeast(Revision(*revision)),
        Some(Requirement::FullyConsistent(true)) => Consistency::Full,
    }
}

/// The account of a request about one.
pub(super) fn account_id(account_id: String) -> Result<AccountId, Status> {
    let mut violations = Violations::default();
    let account = violations.take(|| "account_id".to_owned(), AccountId::try_from(account_id));
    complete(violations, account)
}

/// One pair of account and feature. A field that is wrong is named at its `path`.
pub(super) fn check(
    account_id: &str,
    feature: &str,
    path: impl Fn(&str) -> String,
) -> Result<AccountId, Status> {
    let mut violations = Violations::default();
    let account = violations.take(|| path("account_id"), AccountId::try_from(account_id));
    if feature.is_empty() {
        violations.add(
            path("feature"),
            "is empty; the key of a feature is accepted, as `pricing.view`",
        );
    }
    complete(violations, account)
}

/// The kind of a notification.
pub(super) fn notification_kind(kind: i32) -> Result<NotificationKind, &'static str> {
    match v1::NotificationKind::try_from(kind) {
        Ok(v1::NotificationKind::Maintenance) => Ok(NotificationKind::Maintenance),
        Ok(v1::NotificationKind::Security) => Ok(NotificationKind::Security),
        Ok(v1::NotificationKind::Unspecified) | Err(_) => Err(
            "is not a kind: NOTIFICATION_KIND_MAINTENANCE or NOTIFICATION_KIND_SECURITY is accepted",
        ),
    }
}

/// That a request names between one and `max` things.
pub(super) fn count(violations: &mut Violations, field: &str, count: usize, max: usize) {
    if count == 0 || count > max {
        violations.add(field, format!("has {count} items; 1 to {max} are accepted"));
    }
}

/// A parsed value, which is there unless a violation was noted.
pub(super) fn complete<T>(violations: Violations, value: Option<T>) -> Result<T, Status> {
    violations.none()?;
    value.ok_or_else(|| Status::internal("a value was lost"))
}
