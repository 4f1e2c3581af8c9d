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
/// The more special one first.
const CERTIFICATES: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
/// What the exporter would not heed.
const UNKNOWN: [&str; 6] = [
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
];

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
    /// Whether it is asked over TLS.
    pub has_tls: bool,
    /// PEM file with the authorities that its certificate is judged by, and the variable that names it;
    /// none: the system's.
    pub ca: Option<(&'static str, PathBuf)>,
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
        let is_disabled = value("OTEL_SDK_DISABLED")?;
        if is_disabled.is_some_and(|is| is.eq_ignore_ascii_case("true"))
            || value("OTEL_TRACES_EXPORTER")? == Some("none")
        {
            return Ok(None);
        }
        for (variable, accepted) in CHOICES {
            if let Some(value) = value(variable)?.filter(|value| !accepted.contains(value)) {
                return Err(refused(variable, value, &words(accepted)));
            }
        }
        for variable in UNKNOWN {
            if value(variable)?.is_some() {
                return Err(Refused::new(format!(
                    "`{variable}` is set, and traces cannot be sent in this way: leave it out"
                )));
            }
        }
        if let Some(share) = value("OTEL_TRACES_SAMPLER_ARG")? {
            let in_range = |share: &f64| (0.0..=1.0).contains(share);
            if share.parse().ok().filter(in_range).is_none() {
                let variable = "OTEL_TRACES_SAMPLER_ARG";
                return Err(refused(variable, share, "a number from 0 to 1"));
            }
        }
        let Some(has_tls) = is_tls(endpoint) else {
            let accepted = "`http://host:port` or `https://host:port`";
            return Err(refused(variable, endpoint, accepted));
        };
        let mut ca = None;
        for variable in CERTIFICATES {
            let file = value(variable)?.map(|file| (variable, PathBuf::from(file)));
            ca = ca.or(file);
        }
        let attributes = value("OTEL_RESOURCE_ATTRIBUTES")?.unwrap_or_default();
        let mut attributes = attributes.split(',').map(str::trim);
        Ok(Some(Self {
            endpoint: endpoint.to_owned(),
            has_tls,
            ca,
            is_named: value("OTEL_SERVICE_NAME")?.is_some()
                || attributes.any(|attribute| attribute.starts_with("service.name=")),
        }))
    }
}

/// Whether an address is one of TLS; none where it is no address.
fn is_tls(endpoint: &str) -> Option<bool> {
    let address: Uri = endpoint.parse().ok()?;
    // It is printed, so that it may hold no password.
    let has_user = address.authority()?.as_str().contains('@');
    let is_whole = !has_user && address.host().is_some_and(|host| !host.is_empty());
    match address.scheme_str()? {
        "http" => is_whole.then_some(false),
        "https" => is_whole.then_some(true),
        _ => None,
    }
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
        assert_eq!(
            (&*found.endpoint, found.has_tls),
            ("https://traces:4317", true)
        );
        let own = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "own.pem");
        let all = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "all.pem");
        let found = read(&[collector, all, own]).unwrap().unwrap();
        assert_eq!(found.ca, Some((own.0, PathBuf::from(own.1))));
        for (variable, value) in [
            ("OTEL_SERVICE_NAME", "checks"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a, service.name=checks"),
        ] {
            assert!(
                read(&[collector, (variable, value)])
                    .unwrap()
                    .unwrap()
                    .is_named
            );
        }
        for off in [
            vec![],
            vec![(ENDPOINT, "")],
            vec![collector, ("OTEL_SDK_DISABLED", "true")],
            vec![collector, ("OTEL_TRACES_EXPORTER", "none")],
            vec![
                collector,
                ("OTEL_SDK_DISABLED", "TRUE"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ],
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
                vec![collector, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
                "`OTEL_EXPORTER_OTLP_COMPRESSION` is set, and traces cannot be sent in this way: \
                 leave it out",
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
