//! What Postgres's errors mean to a caller of the store.
//!
//! Texts are made here, from the SQLSTATE: those of the server may hold values, paths and names.

use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::{StoreError, Unavailable};

fn unavailable(what: impl Into<String>) -> StoreError {
    StoreError::Unavailable(Unavailable::Connection(what.into()))
}

/// A connection that could not be made.
pub(super) fn connecting(error: &Error) -> StoreError {
    if let Some(code) = error.code() {
        return unavailable(refusal(code));
    }
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    let tls = io
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, io) {
        (Some(tls), _) => unavailable(format!("the TLS handshake failed: {}", handshake(tls))),
        (None, Some(io)) => unavailable(format!("no connection: {}", io.kind())),
        // tokio-postgres's own words: no TLS on the server, no password given, and the like.
        (None, None) => match source {
            Some(source) => unavailable(format!("no connection: {source}")),
            None => unavailable(format!("no connection: {error}")),
        },
    }
}

/// What is wrong with a server's certificate, without the names in it.
fn handshake(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return "the server speaks no TLS that is accepted";
    };
    if matches!(
        certificate,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }
    ) {
        "the server's certificate is for another name"
    } else if matches!(
        certificate,
        Certificate::Expired | Certificate::ExpiredContext { .. }
    ) {
        "the server's certificate has expired"
    } else if matches!(certificate, Certificate::UnknownIssuer) {
        "the issuer of the server's certificate is not trusted"
    } else {
        "the server's certificate is not accepted"
    }
}

/// Why the server takes no connection.
fn refusal(code: &SqlState) -> String {
    let text = match code.code() {
        "28P01" | "28000" => "the server refused the user or the password",
        "3D000" => "the database does not exist",
        "53300" => "the server has no connection left",
        "57P03" => "the server is starting up or shutting down",
        other => return format!("the server refused the connection, SQLSTATE {other}"),
    };
    text.to_owned()
}

/// A statement that failed. `doing` says which, for a person: `loading accounts`.
pub(super) fn statement(doing: &str, error: Error) -> StoreError {
    let Some(code) = error.code().map(|code| code.code().to_owned()) else {
        return unavailable("the connection was lost");
    };
    match code.as_str() {
        "25006" => StoreError::ReadOnly(Some(Box::new(error))),
        "55P03" => unavailable("another writer holds the lock"),
        "57014" => unavailable("the server cancelled the statement"),
        "42P01" | "42703" | "42883" | "3F000" => StoreError::Schema(missing_schema()),
        "42501" => StoreError::Broken {
            what: format!("{doing}: the user lacks a privilege"),
            source: Some(Box::new(error)),
        },
        // A lost connection, a transaction that lost against another or against recovery, a
        // server short of something or going down: all may be otherwise the next time.
        other
            if ["08", "25P03", "40", "53", "57", "58"]
                .iter()
                .any(|class| other.starts_with(class)) =>
        {
            unavailable(format!("{doing}: the server answered SQLSTATE {other}"))
        }
        other => StoreError::Broken {
            what: format!("{doing}: the server answered SQLSTATE {other}"),
            source: Some(Box::new(error)),
        },
    }
}

/// The lock of the head, which is the first that a write asks for: a user who may not have it may not
/// write, and that is no fault of the store.
pub(super) fn locking(error: Error) -> StoreError {
    let lacks_privilege = error.code().is_some_and(|code| code.code() == "42501");
    if lacks_privilege {
        return StoreError::ReadOnly(Some(Box::new(error)));
    }
    statement("writing", error)
}

/// What to do about tables that are not there.
pub(super) fn missing_schema() -> String {
    format!(
        "version {} is needed and tables of it are missing; run `portcullis migrate`",
        super::migrate::VERSION
    )
}

/// Whether an error after COMMIT was sent leaves open what became of it.
pub(super) fn leaves_commit_open(error: &Error) -> bool {
    error.code().is_none_or(|code| {
        let code = code.code();
        code.starts_with("08") || ["57P01", "57P02", "40003"].contains(&code)
    })
}

/// A value in an answer that is not of the type that was asked for.
pub(super) fn column(what: &'static str) -> impl FnOnce(Error) -> StoreError {
    move |error| StoreError::Broken {
        what: format!("{what}: a column is not of the expected type"),
        source: Some(Box::new(error)),
    }
}
