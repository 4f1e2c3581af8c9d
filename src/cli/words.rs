//! The words of the API, as people read them.

use tonic::Code;

use super::Verdict;
use crate::config::text::escaped;
use crate::domain::{self, CurrencyCode};
use crate::proto::google::r#type::Money;
use crate::proto::v1::{AccountKind, Effect, LocationStatus, Reason, SupportProvider};

/// `allow` or `deny`.
///
/// # Errors
/// Where a server answers neither. It must not be taken for an allow, and is no decision.
pub(super) fn effect(value: i32) -> anyhow::Result<(&'static str, Verdict)> {
    match Effect::try_from(value) {
        Ok(Effect::Allow) => Ok(("allow", Verdict::Yes)),
        Ok(Effect::Deny) => Ok(("deny", Verdict::No)),
        Ok(Effect::Unspecified) | Err(_) => {
            anyhow::bail!("the service answered without a decision; take it for a denial")
        }
    }
}

/// `PARTNER_SETTING`.
pub(super) fn reason(value: i32) -> String {
    let name = Reason::try_from(value).map(|reason| reason.as_str_name());
    name_or_number(name, "REASON_", value)
}

/// `managed`.
pub(super) fn kind(value: i32) -> String {
    let name = AccountKind::try_from(value).map(|kind| kind.as_str_name());
    name_or_number(name, "ACCOUNT_KIND_", value).to_lowercase()
}

/// `partner`; nothing where the question does not arise.
pub(super) fn support(value: i32) -> String {
    if value == i32::from(SupportProvider::Unspecified) {
        return String::new();
    }
    let name = SupportProvider::try_from(value).map(|support| support.as_str_name());
    name_or_number(name, "SUPPORT_PROVIDER_", value).to_lowercase()
}

/// `active`; nothing where it is not stated.
pub(super) fn status(value: i32) -> String {
    if value == i32::from(LocationStatus::Unspecified) {
        return String::new();
    }
    let name = LocationStatus::try_from(value).map(|status| status.as_str_name());
    name_or_number(name, "LOCATION_STATUS_", value).to_lowercase()
}

/// A newer service may have values that this program does not know.
fn name_or_number<E>(name: Result<&'static str, E>, prefix: &str, value: i32) -> String {
    name.map_or_else(
        |_| value.to_string(),
        |name| name.strip_prefix(prefix).unwrap_or(name).to_owned(),
    )
}

/// `1200 AUD`; a dash where nothing is known.
pub(super) fn money(value: Option<&Money>) -> String {
    let Some(money) = value else {
        return "-".to_owned();
    };
    let known = CurrencyCode::try_from(money.currency_code.as_str())
        .and_then(|currency| domain::Money::new(currency, money.units, money.nanos));
    known.map_or_else(
        |_| {
            let code = escaped(&money.currency_code);
            format!("{} units, {} nanos {code}", money.units, money.nanos)
        },
        |money| money.to_string(),
    )
}

/// `revision 3`, or `revision 3, stale`.
pub(super) fn revision(revision: u64, stale: bool) -> String {
    let stale = if stale { ", stale" } else { "" };
    format!("revision {revision}{stale}")
}

/// `1 location`, `2 locations`.
pub(super) fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// `NOT_FOUND`.
pub(super) fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
