//! Where traces go, by the variables that OpenTelemetry has for it.
//!
//! The exporter reads most of them by itself, and keeps silent of what it does not understand. Here
//! the ones are checked by which nothing, or something else, would be exported.

use std::path::PathBuf;

use http::Uri;

use super::complaint::Refused;
use super::environment::Environment;
use super::text::shown;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const NAME: &str = "OTEL_SERVICE_NAME";

/// Of each variable, the values that do.
const CHOICES: [(&str, &[&str]); 4] = [
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["grpc"]),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &["grpc"]),
    ("OTEL_TRACES_EXPORTER", &["otlp", "none"]),
    (
        "OTEL_TRACES_SAMPLER",
        &[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
    ),
];

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The collector, `http://` or `https://`.
    pub endpoint: String,
    /// PEM file with the authorities that its certificate is judged by; none: the system's.
    pub ca: Option<PathBuf>,
    /// Whether the variables name this service themselves.
    pub is_named: bool,
}

impl Traces {
    /// Where they go; none where no collector is named, or they are switched off.
    ///
    /// # Errors
    /// [`Refused`], which names the variable, its value and what is accepted.
    pub fn read(environment: &Environment) -> Result<Option<Self>, Refused> {
        let value = |variable: &str| {
            let not_text = |_| Refused::new(format!("`{variable}` is not text"));
            environment.telemetry(variable).map_err(not_text)
        };
        let (variable, endpoint) = match (value(TRACES_ENDPOINT)?, value(ENDPOINT)?) {
            (Some(endpoint), _) => (TRACES_ENDPOINT, endpoint),
            (None, Some(endpoint)) => (ENDPOINT, endpoint),
            (None, None) => return Ok(None),
        };
        let is_disabled =
            value("OTEL_SDK_DISABLED")?.is_some_and(|it| it.eq_ignore_ascii_case("true"));
        for (variable, accepted) in CHOICES {
            if let Some(value) = value(variable)?.filter(|value| !accepted.contains(value)) {
                return Err(refused(variable, value, &words(accepted)));
            }
        }
        if is_disabled || value("OTEL_TRACES_EXPORTER")? == Some("none") {
            return Ok(None);
        }
        if let Some(share) = value("OTEL_TRACES_SAMPLER_ARG")? {
            let in_range = |share: &f64| (0.0..=1.0).contains(share);
            if share.parse().ok().filter(in_range).is_none() {
                let variable = "OTEL_TRACES_SAMPLER_ARG";
                return Err(refused(variable, share, "a number from 0 to 1"));
            }
        }
        if !is_address(endpoint) {
            let accepted = "`http://host:port` or `https://host:port`";
            return Err(refused(variable, endpoint, accepted));
        }
        Ok(Some(Self {
            endpoint: endpoint.to_owned(),
            ca: value(CERTIFICATE)?.map(PathBuf::from),
            is_named: value(NAME)?.is_some(),
        }))
    }
}

fn is_address(endpoint: &str) -> bool {
    let Ok(address) = endpoint.parse::<Uri>() else {
        return false;
    };
    // It is printed, so that it may hold no password.
    let has_user = address
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    matches!(address.scheme_str(), Some("http" | "https"))
        && address.host().is_some_and(|host| !host.is_empty())
        && !has_user
}

fn refused(variable: &str, value: &str, accepted: &str) -> Refused {
    Refused::new(format!(
        "`{variable}` is {}: {accepted} is accepted",
        shown(value)
    ))
}

/// `a`, `b` or `c`.
fn words(accepted: &[&str]) -> String {
    let quoted: Vec<String> = accepted.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Traces>, String> {
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect();
        Traces::read(&environment).map_err(|refused| refused.to_string())
    }

    #[test]
    fn traces_go_where_a_collector_is_named() {
        let collector = (ENDPOINT, "http://collector:4317");
        let found = read(&[collector]).unwrap().unwrap();
        assert_eq!(found.endpoint, "http://collector:4317");
        let other = (TRACES_ENDPOINT, "https://traces:4317");
        let found = read(&[collector, other]).unwrap().unwrap();
        assert_eq!(found.endpoint, "https://traces:4317");
        for off in [
            vec![],
            vec![(ENDPOINT, "")],
            vec![collector, ("OTEL_SDK_DISABLED", "true")],
            vec![collector, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(&off), Ok(None));
        }
    }

    #[test]
    fn what_would_export_nothing_is_an_error() {
        let collector = (ENDPOINT, "http://collector:4317");
        for (variables, want) in [
            (
                vec![(ENDPOINT, "collector:4317")],
                "`OTEL_EXPORTER_OTLP_ENDPOINT` is `collector:4317`: `http://host:port` or \
                 `https://host:port` is accepted",
            ),
            (
                vec![(ENDPOINT, "http://me:secret@collector:4317")],
                "`OTEL_EXPORTER_OTLP_ENDPOINT` is a value that is not shown, for it may hold a \
                 password: `http://host:port` or `https://host:port` is accepted",
            ),
            (
                vec![collector, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
                "`OTEL_EXPORTER_OTLP_PROTOCOL` is `http/protobuf`: `grpc` is accepted",
            ),
            (
                vec![collector, ("OTEL_TRACES_EXPORTER", "zipkin")],
                "`OTEL_TRACES_EXPORTER` is `zipkin`: `otlp` or `none` is accepted",
            ),
            (
                vec![collector, ("OTEL_TRACES_SAMPLER_ARG", "10%")],
                "`OTEL_TRACES_SAMPLER_ARG` is `10%`: a number from 0 to 1 is accepted",
            ),
        ] {
            assert_eq!(read(&variables), Err(want.to_owned()));
        }
    }
}
