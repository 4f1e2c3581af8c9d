//! Errors, with what they carry.

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What a program can tell of an error.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    pub reason: String,
    /// The paths of the fields that a BadRequest names.
    pub fields: Vec<String>,
}

/// The error of a call. Every one has an ErrorInfo of this service, and tells nothing of its inside.
pub fn refused(status: &Status) -> Refused {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "portcullis", "{status:?}");
    assert!(!status.message().is_empty(), "{status:?}");
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default();
    let texts = violations.iter().map(|violation| &violation.description);
    for text in texts.map(String::as_str).chain([status.message()]) {
        for inside in ["src/", ".rs", "SELECT", "postgres", "panicked", "Error {"] {
            assert!(!text.contains(inside), "`{text}` tells of `{inside}`");
        }
    }
    Refused {
        code: status.code(),
        reason: info.reason.clone(),
        fields: violations
            .iter()
            .map(|violation| violation.field.clone())
            .collect(),
    }
}

/// The error of one item of an answer.
pub fn refused_item(item: &tonic_types::Status) -> Refused {
    let code = Code::from_i32(item.code);
    let details = item.encode_to_vec();
    refused(&Status::with_details(code, &item.message, details.into()))
}

/// An error with a reason and no field.
pub fn because(code: Code, reason: &str) -> Refused {
    Refused {
        code,
        reason: reason.to_owned(),
        fields: Vec::new(),
    }
}

/// An INVALID_REQUEST that names these fields.
pub fn invalid<const N: usize>(fields: [&str; N]) -> Refused {
    Refused {
        fields: fields.map(str::to_owned).to_vec(),
        ..because(Code::InvalidArgument, "INVALID_REQUEST")
    }
}
