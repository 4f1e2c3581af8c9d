//! How the values of flags are read. An error says what is accepted; who reports it adds the
//! flag or variable and the value.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::domain::Setting;

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const LARGEST: u64 = 1_000_000_000;

/// A time that is not zero.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    match humantime::parse_duration(value) {
        Ok(time) if (Duration::from_millis(1)..=LONGEST).contains(&time) => Ok(time),
        Ok(_) | Err(_) => Err(
            "a time with its unit is accepted, from `1ms` to `24h`: `5s`, `300ms`, `5m`".to_owned(),
        ),
    }
}

/// A time that may be zero.
pub(super) fn grace(value: &str) -> Result<Duration, String> {
    match humantime::parse_duration(value) {
        Ok(time) if time <= LONGEST => Ok(time),
        Ok(_) | Err(_) => Err(
            "a time with its unit is accepted, from `0s` to `24h`: `20s`, `300ms`, `5m`".to_owned(),
        ),
    }
}

/// How many of something.
pub(super) fn size(value: &str) -> Result<u64, String> {
    match value.parse() {
        Ok(size) if (1..=LARGEST).contains(&size) => Ok(size),
        Ok(_) | Err(_) => Err(format!(
            "a whole number from `1` to `{LARGEST}` is accepted"
        )),
    }
}

/// How many connections.
pub(super) fn pool_size(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(size) if (1..=1_000).contains(&size) => Ok(size),
        Ok(_) | Err(_) => Err("a whole number from `1` to `1000` is accepted".to_owned()),
    }
}

/// How many locations of one page.
pub(super) fn page_size(value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(size) if (1..=10_000).contains(&size) => Ok(size),
        Ok(_) | Err(_) => Err("a whole number from `1` to `10000` is accepted".to_owned()),
    }
}

/// A revision.
pub(super) fn revision(value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_not_a_number| "a revision is accepted, a whole number such as `42`".to_owned())
}

/// Where to listen.
pub(super) fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_not_an_address| {
        "an IP address with a port is accepted: `127.0.0.1:50051`, `0.0.0.0:50051`, `[::]:50051`"
            .to_owned()
    })
}

/// Text that is not empty and at most `max` characters long, without NUL.
fn text(value: &str, max: usize) -> Result<String, String> {
    if value.is_empty() || value.contains('\0') || value.chars().count() > max {
        return Err(format!("text of 1 to {max} characters is accepted"));
    }
    Ok(value.to_owned())
}

/// Who makes a change.
pub(super) fn actor(value: &str) -> Result<String, String> {
    text(value, 256)
}

/// Why a change is made.
pub(super) fn comment(value: &str) -> Result<String, String> {
    text(value, 1_000)
}

/// By what a repetition of a change is recognised.
pub(super) fn idempotency_key(value: &str) -> Result<String, String> {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if (1..=128).contains(&value.len()) && value.bytes().all(printable) {
        return Ok(value.to_owned());
    }
    Err("1 to 128 printable ASCII characters are accepted".to_owned())
}

/// A setting to make, or to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The feature, as it was written.
    pub feature: String,
    /// What it is set to; none where it is unset.
    pub setting: Option<Setting>,
}

impl Assignment {
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let (feature, setting) = value.rsplit_once('=').unwrap_or((value, ""));
        let setting = match setting {
            "on" => Some(Setting::On),
            "off" => Some(Setting::Off),
            "unset" => None,
            _ => return Err(Self::ACCEPTED.to_owned()),
        };
        match feature {
            "" => Err(Self::ACCEPTED.to_owned()),
            _ => Ok(Self {
                feature: feature.to_owned(),
                setting,
            }),
        }
    }

    const ACCEPTED: &str =
        "a feature with `=on`, `=off` or `=unset` is accepted: `pricing.view=on`";
}

/// Which log lines are written, in the syntax of [`EnvFilter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter that it means.
    #[must_use]
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }

    pub(super) fn parse(value: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        // A word alone is a target to `EnvFilter`: a misspelt level would silence all else.
        let misspelt = |word: &str| {
            let word = word.trim().to_ascii_lowercase();
            !LEVELS.contains(&word.as_str())
                && LEVELS
                    .iter()
                    .any(|level| strsim::damerau_levenshtein(&word, level) <= 2)
        };
        let valid = !value.trim().is_empty()
            && !value.split(',').any(misspelt)
            && EnvFilter::builder().parse(value).is_ok();
        if valid {
            return Ok(Self(value.to_owned()));
        }
        Err(
            "a level (`off`, `error`, `warn`, `info`, `debug`, `trace`) is accepted, and levels by \
             target: `info,portcullis::directory=debug`"
                .to_owned(),
        )
    }
}

/// Where a server is: the host and port of an `http://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The one that is asked where none is given.
    pub const DEFAULT: &str = "127.0.0.1:50051";

    /// The URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0)
    }

    pub(super) fn parse(value: &str) -> Result<Self, String> {
        const ACCEPTED: &str =
            "`host:port` or `http://host:port` is accepted, such as `127.0.0.1:50051`";
        let lower = value.to_ascii_lowercase();
        if lower.starts_with("https://") {
            return Err(
                "TLS is not offered yet, it comes with the authentication of callers; \
                 `http://host:port` is accepted"
                    .to_owned(),
            );
        }
        let authority = if lower.starts_with("http://") {
            value.get("http://".len()..).unwrap_or_default()
        } else {
            value
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: http::uri::Authority = authority
            .parse()
            .map_err(|_malformed| ACCEPTED.to_owned())?;
        let port = parsed.port_u16().is_some_and(|port| port > 0);
        if !port || parsed.host().is_empty() || authority.contains('@') {
            return Err(ACCEPTED.to_owned());
        }
        Ok(Self(authority.to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let value = value.trim();
        if value.is_empty() {
            return Err("a value is needed".to_owned());
        }
        Ok(Self(value.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_are_not_zero() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(grace("0s"), Ok(Duration::ZERO));
        for value in ["", "5", "0s", "500us", "-1s", "25h", "5 parsecs"] {
            assert!(duration(value).unwrap_err().contains("`300ms`"), "{value}");
        }
    }

    #[test]
    fn endpoints_are_host_and_port() {
        for (value, want) in [
            ("localhost:50051", "localhost:50051"),
            ("http://[::1]:50051/", "[::1]:50051"),
            (
                "HTTP://portcullis.portal.svc:80",
                "portcullis.portal.svc:80",
            ),
        ] {
            assert_eq!(Endpoint::parse(value).unwrap().to_string(), want);
        }
        for value in [
            "",
            "localhost",
            ":50051",
            "localhost:0",
            "localhost:x",
            "http://a:1/path",
            "u:p@h:1",
            "grpc://h:1",
            "a b:1",
        ] {
            let message = Endpoint::parse(value).unwrap_err();
            assert!(message.contains("`host:port`"), "{value}: {message}");
        }
        assert!(Endpoint::parse("https://h:1").unwrap_err().contains("TLS"));
    }

    #[test]
    fn a_setting_is_assigned_to_a_feature() {
        for (value, setting) in [
            ("pricing.view=on", Some(Setting::On)),
            ("pricing.view=off", Some(Setting::Off)),
            ("pricing.view=unset", None),
        ] {
            let feature = "pricing.view".to_owned();
            assert_eq!(
                Assignment::parse(value),
                Ok(Assignment { feature, setting })
            );
        }
        for value in [
            "",
            "=on",
            "pricing.view",
            "pricing.view=",
            "pricing.view=true",
        ] {
            assert!(Assignment::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_misspelt_log_level_is_no_filter() {
        for value in ["info", "WARN", "warn,portcullis=debug", "hyper_util", "off"] {
            assert!(LogFilter::parse(value).is_ok(), "{value}");
        }
        for value in ["", "inof", "warn,debgu", "portcullis=loud"] {
            assert!(LogFilter::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_secret_has_no_debug() {
        let secret = Secret::parse(" postgres://u:hunter2@db/p\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.reveal(), "postgres://u:hunter2@db/p");
    }
}
