//! The deadline of a call: the caller's, or the server's where that comes first.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::grpc::{deadline_exceeded, malformed_timeout};

static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long a call may take, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeLeft {
    /// Its caller.
    Callers(Duration),
    /// This server: its caller gives it no less.
    Servers(Duration),
}

impl TimeLeft {
    pub(super) fn time(self) -> Duration {
        match self {
            Self::Callers(time) | Self::Servers(time) => time,
        }
    }
}

/// How long a call may take: what its `grpc-timeout` says, and at most `longest`.
pub(super) fn time_left(headers: &HeaderMap, longest: Duration) -> Result<TimeLeft, Status> {
    Ok(match wanted(headers)? {
        Some(wanted) if wanted < longest => TimeLeft::Callers(wanted),
        Some(_) | None => TimeLeft::Servers(longest),
    })
}

/// How long the caller gives a call, if it says so.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(&TIMEOUT) else {
        return Ok(None);
    };
    let wanted = value.to_str().ok().and_then(parse);
    wanted.map(Some).ok_or_else(malformed_timeout)
}

/// Comes when the deadline passes; never where there is none.
pub(super) async fn passes(deadline: Option<Instant>) -> Status {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
    deadline_exceeded()
}

/// One to eight digits and a unit, as gRPC over HTTP/2 has it.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (text, want) in [
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("7S", Some(Duration::from_secs(7))),
            ("250m", Some(Duration::from_millis(250))),
            ("0u", Some(Duration::ZERO)),
            ("5n", Some(Duration::from_nanos(5))),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("123456789S", None),
            ("5é", None),
        ] {
            assert_eq!(parse(text), want, "{text:?}");
        }
    }

    #[test]
    fn the_earlier_deadline_holds() {
        let longest = Duration::from_secs(5);
        let left = |value: &str| {
            let headers = [("grpc-timeout".parse().unwrap(), value.parse().unwrap())]
                .into_iter()
                .collect();
            time_left(&headers, longest)
        };
        let callers = TimeLeft::Callers(Duration::from_secs(1));
        let servers = TimeLeft::Servers(longest);
        assert_eq!(left("1S").unwrap(), callers);
        assert_eq!(left("1H").unwrap(), servers);
        assert_eq!(
            left("soon").unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
        assert_eq!(time_left(&HeaderMap::new(), longest).unwrap(), servers);
    }
}
