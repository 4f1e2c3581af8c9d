//! How the values of flags are read. An error says what is accepted; who reports it adds the
//! flag or variable and the value.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::domain::Setting;

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const LARGEST: u64 = 1_000_000_000;

/// A time that is not zero.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    time(Duration::from_millis(1), LONGEST)(value)
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

/// A time from `least` to `most`.
pub(super) fn time(
    least: Duration,
    most: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |value| match humantime::parse_duration(value) {
        Ok(time) if (least..=most).contains(&time) => Ok(time),
        Ok(_) | Err(_) => Err(format!(
            "a time with its unit is accepted, from `{}` to `{}`: `5s`, `300ms`, `5m`",
            short(least),
            short(most)
        )),
    }
}

/// `24h`, where humantime says `1day`.
fn short(time: Duration) -> String {
    if time == LONGEST {
        "24h".to_owned()
    } else {
        humantime::format_duration(time).to_string()
    }
}

/// How many of something, in these bounds.
pub(super) fn count<T>(bounds: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Clone + fmt::Display,
{
    move |value| match value.parse() {
        Ok(count) if bounds.contains(&count) => Ok(count),
        Ok(_) | Err(_) => Err(format!(
            "a whole number from `{}` to `{}` is accepted",
            bounds.start(),
            bounds.end()
        )),
    }
}

/// How many threads.
pub(super) fn workers(value: &str) -> Result<NonZeroUsize, String> {
    count(1_usize..=1_024)(value).map(|count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))
}

/// How many of something.
pub(super) fn size(value: &str) -> Result<u64, String> {
    count(1..=LARGEST)(value)
}

/// How many connections.
pub(super) fn pool_size(value: &str) -> Result<usize, String> {
    count(1..=1_000)(value)
}

/// A share of a whole.
pub(super) fn share(value: &str) -> Result<f64, String> {
    match value.parse() {
        Ok(share) if (0.0001..=1.0).contains(&share) => Ok(share),
        Ok(_) | Err(_) => {
            Err("a share from `0.0001` to `1` is accepted: `0.01` is one of a hundred".to_owned())
        }
    }
}

/// How many locations of one page.
pub(super) fn page_size(value: &str) -> Result<u32, String> {
    count(1..=10_000)(value)
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

/// Whether a host of a URL is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().map_or_else(
        |_a_name| host.eq_ignore_ascii_case("localhost"),
        |address| address.to_canonical().is_loopback(),
    )
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

/// A claim of a token: an issuer, or an audience.
pub(super) fn claim(value: &str) -> Result<String, String> {
    let prints = |c: char| !c.is_whitespace() && !c.is_control();
    if (1..=2_048).contains(&value.len()) && value.chars().all(prints) {
        return Ok(value.to_owned());
    }
    Err("text of 1 to 2048 bytes without spaces is accepted, as it is in the tokens".to_owned())
}

/// A trust domain, in the characters that SPIFFE gives it.
pub(super) fn trust_domain(value: &str) -> Result<String, String> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if (1..=255).contains(&value.len()) && value.bytes().all(allowed) {
        return Ok(value.to_owned());
    }
    Err(
        "a trust domain has 1 to 255 lower-case letters, digits, dots, dashes and underscores: \
         `portal.example` is accepted"
            .to_owned(),
    )
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

/// What spans are recorded under: they are for traces, and no log has them.
const SPANS: &str = crate::traces::TARGET;

impl LogFilter {
    /// The filter that it means. The HTTP library's warnings are about peers and not about this
    /// program, one for each of the frames that a peer sends to no purpose: they are written where
    /// the filter names `h2`, and nowhere else, or anyone who can connect could fill a disk.
    #[must_use]
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(format!("h2=error,{},{SPANS}=off", self.0))
    }

    /// The same, and whatever it says, the lines of `target` at info.
    #[must_use]
    pub fn with(&self, target: &str) -> EnvFilter {
        EnvFilter::new(format!("h2=error,{},{SPANS}=off,{target}=info", self.0))
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
    fn bounds_are_accepted_and_what_is_beyond_them_is_not() {
        let tenth_to_hour = time(Duration::from_millis(100), Duration::from_secs(3600));
        for value in ["100ms", "1h"] {
            assert!(tenth_to_hour(value).is_ok(), "{value}");
        }
        for value in ["99ms", "61m", "1"] {
            let message = tenth_to_hour(value).unwrap_err();
            assert!(message.contains("from `100ms` to `1h`"), "{message}");
        }
        let count = count(1_u32..=256);
        assert_eq!((count("1"), count("256")), (Ok(1), Ok(256)));
        for value in ["0", "257", "-1", "1e2", "", "99999999999"] {
            let message = count(value).unwrap_err();
            assert_eq!(message, "a whole number from `1` to `256` is accepted");
        }
    }

    #[test]
    fn a_trust_domain_has_the_characters_of_spiffe() {
        for value in ["portal.example", "a", "prod_1-x"] {
            assert_eq!(trust_domain(value).as_deref(), Ok(value));
        }
        for value in ["", "Portal", "spiffe://portal", "a/b", "a b", "é"] {
            assert!(trust_domain(value).is_err(), "{value}");
        }
        assert!(trust_domain(&"a".repeat(256)).is_err());
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
    fn no_filter_silences_what_has_a_switch_of_its_own() {
        const TARGET: &str = "portcullis::decision";
        let is_heard = |filter: EnvFilter| {
            let lines = tracing_subscriber::fmt().with_env_filter(filter).finish();
            tracing::subscriber::with_default(lines, || {
                let at_info = tracing::enabled!(target: TARGET, tracing::Level::INFO);
                let besides = tracing::enabled!(target: "portcullis::edge", tracing::Level::INFO);
                (at_info, besides)
            })
        };
        for value in ["off", "warn", "portcullis=off", "portcullis::decision=off"] {
            let filter = LogFilter::parse(value).unwrap();
            assert_eq!(is_heard(filter.filter()), (false, false), "{value}");
            assert_eq!(is_heard(filter.with(TARGET)), (true, false), "{value}");
        }
    }

    #[test]
    fn no_log_has_spans() {
        for value in ["trace", "portcullis=trace", "info,portcullis::trace=info"] {
            let filter = LogFilter::parse(value).unwrap().filter();
            let lines = tracing_subscriber::fmt().with_env_filter(filter).finish();
            let is_heard = tracing::subscriber::with_default(
                lines,
                || tracing::enabled!(target: SPANS, tracing::Level::INFO),
            );
            assert!(!is_heard, "{value}");
        }
    }

    #[test]
    fn a_secret_has_no_debug() {
        let secret = Secret::parse(" postgres://u:hunter2@db/p\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.reveal(), "postgres://u:hunter2@db/p");
    }
}
