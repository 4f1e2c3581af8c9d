//! Connection strings, in libpq's two forms, as a list of parameters.
//!
//! tokio-postgres can read them too, and is not asked to: its errors quote what they could not
//! read, which in a string with a stray space is a piece of the password. Here nothing that was
//! read is ever part of a message; a message names known parameters and places only.

use std::borrow::Cow;

use super::config::PostgresConfigError;

/// A parameter by its known name, with its value.
pub(super) type Parameter = (&'static str, String);

/// What is understood.
const KNOWN: [&str; 21] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "sslmode",
    "sslrootcert",
    "sslnegotiation",
    "gssencmode",
];

/// What libpq knows and this program does not do. Refused by name: to ignore one (a client
/// certificate, say) would connect in another way than was asked for.
const UNSUPPORTED: [&str; 18] = [
    "client_encoding",
    "fallback_application_name",
    "gsslib",
    "krbsrvname",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslpassword",
];

fn malformed(message: impl Into<Cow<'static, str>>) -> PostgresConfigError {
    PostgresConfigError::Malformed(message.into())
}

/// The parameters of `text`, in order. A later one overrides an earlier one of the same name.
pub(super) fn parse(text: &str) -> Result<Vec<Parameter>, PostgresConfigError> {
    let text = text.trim();
    let url = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match url {
        Some(rest) => parse_url(rest),
        None if text.contains("://") => Err(malformed(
            "the scheme is not one of Postgres: `postgres://` and `postgresql://` are accepted",
        )),
        None => parse_pairs(text),
    }
}

fn known(name: &str, place: &str) -> Result<&'static str, PostgresConfigError> {
    if let Some(known) = KNOWN.iter().find(|known| **known == name) {
        return Ok(known);
    }
    if let Some(unsupported) = UNSUPPORTED.iter().find(|known| **known == name) {
        return Err(PostgresConfigError::Parameter {
            name: unsupported,
            message: "is not supported".into(),
        });
    }
    let nearest = KNOWN
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default();
    // The name is not repeated: it may be a piece of a password that was not quoted.
    Err(malformed(format!(
        "the parameter {place} is not known{nearest}"
    )))
}

/// `name=value name='va lue'`, with `\` before a quote or a backslash.
fn parse_pairs(text: &str) -> Result<Vec<Parameter>, PostgresConfigError> {
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let place = match parameters.last() {
            Some((last, _)) => format!("after `{last}`"),
            None => "at the beginning".to_owned(),
        };
        let Some((name, value)) = rest.split_once('=') else {
            return Err(malformed(format!(
                "what stands {place} is not `name=value`; a value with spaces needs quotes: `name='a b'`; \
                 a URL begins with `postgres://`"
            )));
        };
        let name = known(name.trim(), &place)?;
        let (value, after) = pair_value(value.trim_start(), name)?;
        parameters.push((name, value));
        rest = after.trim_start();
    }
    Ok(parameters)
}

/// The value at the beginning of `text`, and what follows it.
fn pair_value<'a>(
    text: &'a str,
    name: &'static str,
) -> Result<(String, &'a str), PostgresConfigError> {
    let wrong = |message: &'static str| PostgresConfigError::Parameter {
        name,
        message: message.into(),
    };
    let quoted = text.strip_prefix('\'');
    let mut chars = quoted.unwrap_or(text).chars();
    let mut value = String::new();
    loop {
        let before = chars.as_str();
        match chars.next() {
            Some('\\') => value.push(chars.next().ok_or_else(|| wrong("ends in a backslash"))?),
            Some('\'') if quoted.is_some() => {
                let after = chars.as_str();
                if after.starts_with(|next: char| !next.is_whitespace()) {
                    return Err(wrong(
                        "goes on after its closing quote; write a quote as `\\'`",
                    ));
                }
                return Ok((value, after));
            }
            Some(space) if quoted.is_none() && space.is_whitespace() => {
                return Ok((value, before));
            }
            Some(other) => value.push(other),
            None if quoted.is_some() => return Err(wrong("has no closing quote")),
            None => return Ok((value, "")),
        }
    }
}

/// `user:password@host:port,host:port/dbname?name=value&…`, after the scheme.
fn parse_url(text: &str) -> Result<Vec<Parameter>, PostgresConfigError> {
    let mut parameters = Vec::new();
    // As libpq: credentials end at the first `@` before any `/`, so that a `?` may be in them.
    let authority_end = text.find(['@', '/']);
    let (credentials, text) = match authority_end.and_then(|end| text.split_at_checked(end)) {
        Some((credentials, rest)) if rest.starts_with('@') => {
            (Some(credentials), rest.strip_prefix('@').unwrap_or(rest))
        }
        Some(_) | None => (None, text),
    };
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        push(&mut parameters, "user", user)?;
        if let Some(password) = password {
            push(&mut parameters, "password", password)?;
        }
    }
    let (text, query) = match text.split_once('?') {
        Some((text, query)) => (text, Some(query)),
        None => (text, None),
    };
    let (hosts, database) = match text.split_once('/') {
        Some((hosts, database)) => (hosts, Some(database)),
        None => (text, None),
    };
    if text.contains('@') {
        return Err(malformed(
            "an `@` stands where no `@` can; write `@` in a password as `%40`, and `/` as `%2F`",
        ));
    }
    push_hosts(&mut parameters, hosts)?;
    if let Some(database) = database.filter(|name| !name.is_empty()) {
        push(&mut parameters, "dbname", database)?;
    }
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let place = match parameters.last() {
            Some((last, _)) => format!("after `{last}`"),
            None => "after `?`".to_owned(),
        };
        let Some((name, value)) = pair.split_once('=') else {
            return Err(malformed(format!(
                "what stands {place} is not `name=value`"
            )));
        };
        let name = known(name, &place)?;
        push(&mut parameters, name, value)?;
    }
    Ok(parameters)
}

/// `host:port,[::1]:port`.
fn push_hosts(parameters: &mut Vec<Parameter>, text: &str) -> Result<(), PostgresConfigError> {
    if text.is_empty() {
        return Ok(());
    }
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(|| {
                    malformed("the host has `[` and no `]`; an IPv6 address stands in both")
                })?;
                match after.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if after.is_empty() => (host, ""),
                    None => return Err(malformed("the host goes on after `]`")),
                }
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        hosts.push(host);
        ports.push(port);
    }
    push(parameters, "host", &hosts.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        push(parameters, "port", &ports.join(","))?;
    }
    Ok(())
}

fn push(
    parameters: &mut Vec<Parameter>,
    name: &'static str,
    encoded: &str,
) -> Result<(), PostgresConfigError> {
    let value = percent_decoded(encoded).ok_or_else(|| PostgresConfigError::Parameter {
        name,
        message: "holds a `%` that is not followed by two hexadecimal digits, or bytes that are \
                  no UTF-8; write `%` itself as `%25`"
            .into(),
    })?;
    parameters.push((name, value));
    Ok(())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok()
}
