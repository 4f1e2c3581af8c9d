//! The words of the API, as people read them.

use prost_types::Timestamp;
use tonic::Code;

use super::Verdict;
use crate::config::text::escaped;
use crate::domain::{self, CurrencyCode};
use crate::proto::google::r#type::Money;
use crate::proto::v1::{
    AccountKind, Effect, LocationStatus, Reason, Rule, Setting, SupportProvider,
};

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

/// `on`.
pub(super) fn setting(value: i32) -> String {
    let name = Setting::try_from(value).map(|setting| setting.as_str_name());
    name_or_number(name, "SETTING_", value).to_lowercase()
}

/// `partner decides, default off`.
pub(super) fn rule(value: i32) -> String {
    match Rule::try_from(value) {
        Ok(Rule::PartnerDecidesDefaultOn) => "partner decides, default on".to_owned(),
        Ok(Rule::PartnerDecidesDefaultOff) => "partner decides, default off".to_owned(),
        other @ (Ok(Rule::Unspecified | Rule::Allow | Rule::Deny) | Err(_)) => {
            let name = other.map(|rule| rule.as_str_name());
            name_or_number(name, "RULE_", value).to_lowercase()
        }
    }
}

/// `2026-03-01 09:30:00 UTC`; a dash where there is none.
pub(super) fn time(value: Option<&Timestamp>) -> String {
    // Written out by itself as RFC 3339, whatever the year.
    value.map_or_else(
        || "-".to_owned(),
        |time| {
            let seconds = Timestamp {
                seconds: time.seconds,
                nanos: 0,
            };
            let text = seconds.to_string();
            text.replace('T', " ").replace('Z', " UTC")
        },
    )
}

/// The revision of a last change.
pub(super) fn last_change(revision: u64) -> String {
    match revision {
        0 => "0 (never changed)".to_owned(),
        revision => revision.to_string(),
    }
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
