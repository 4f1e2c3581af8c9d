//! What a service said when it did not answer, in one line.

use tonic::Status;
use tonic_types::StatusExt as _;

use super::words;

/// `NOT_FOUND (ACCOUNT_UNKNOWN): there is no account …`. Of a bad request, its fields.
pub(super) fn line(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .map_or_else(String::new, |info| format!(" ({})", info.reason));
    let violations: Vec<String> = details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations)
        .map(|violation| format!("`{}` {}", violation.field, violation.description))
        .collect();
    let what = if violations.is_empty() {
        status.message().to_owned()
    } else {
        violations.join("; ")
    };
    format!("{}{reason}: {what}", words::code(status.code()))
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn status_reason_and_fields_are_in_the_line() {
        let mut details = ErrorDetails::with_error_info("INVALID_REQUEST", "portcullis", []);
        details.add_bad_request_violation("account_id", "is empty");
        details.add_bad_request_violation("feature", "is empty");
        for (status, want) in [
            (
                Status::with_error_details(Code::InvalidArgument, "two things", details),
                "INVALID_ARGUMENT (INVALID_REQUEST): `account_id` is empty; `feature` is empty",
            ),
            (Status::unavailable("going away"), "UNAVAILABLE: going away"),
        ] {
            assert_eq!(line(&status), want);
        }
    }
}
