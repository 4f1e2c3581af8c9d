//! Which running service a command asks, and how it is reached.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::complaint::Refused;
use super::database::pair;
use super::endpoint::{Endpoint, Scheme};
use super::layers::Origins;
use super::value;

/// Whom to ask, and how to print.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Asking")]
pub struct ServiceArgs {
    /// The service to ask: `host:port`, `http://host:port` or `https://host:port`
    ///
    /// `host:port` is asked over TLS where one of --tls-ca and --tls-cert is given.
    #[arg(long, value_name = "ENDPOINT", default_value = Endpoint::DEFAULT, value_parser = Endpoint::parse)]
    pub endpoint: Endpoint,

    /// PEM file with the CA certificates that the service's certificate is judged by; default: the
    /// system's
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// PEM file with the certificate to prove oneself with, and those that lead from it to its
    /// authority
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the private key of that certificate
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// File with the bearer token to prove oneself with
    ///
    /// Beyond this machine it is sent over TLS alone.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// How long to wait for a connection, and for each answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::duration)]
    pub timeout: Duration,

    /// Print the answer as JSON, by the names of the API
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub json: bool,
}

impl ServiceArgs {
    /// Whether the connection is encrypted: as the endpoint says, or else where a certificate is
    /// given.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        let by_flags = if self.tls_ca.is_some() || self.tls_cert.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        };
        self.endpoint.scheme().unwrap_or(by_flags)
    }

    /// The flags that name the certificates and the token, with their files.
    pub fn proofs(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let files = [
            ("tls-ca", &self.tls_ca),
            ("tls-cert", &self.tls_cert),
            ("tls-key", &self.tls_key),
            ("token-file", &self.token_file),
        ];
        files
            .into_iter()
            .filter_map(|(long, file)| Some((long, file.as_ref()?)))
    }

    /// Whether there is something to prove oneself with.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.tls_cert.is_some() || self.token_file.is_some()
    }

    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        pair(
            origins,
            ("tls-cert", self.tls_cert.is_some()),
            ("tls-key", self.tls_key.is_some()),
        )?;
        if self.scheme() == Scheme::Https {
            return Ok(());
        }
        let endpoint = origins.name("endpoint");
        for (long, given) in [
            ("tls-ca", self.tls_ca.is_some()),
            ("tls-cert", self.tls_cert.is_some()),
        ] {
            if given {
                return Err(Refused::new(format!(
                    "{} is for TLS, and {endpoint} begins with `http://`: `https://` is accepted \
                     with it",
                    origins.name(long)
                )));
            }
        }
        if self.token_file.is_some() && !self.endpoint.is_loopback() {
            return Err(Refused::new(format!(
                "{} would be sent to `{}` without TLS, where others may read it: name the service \
                 with `https://`",
                origins.name("token-file"),
                self.endpoint
            )));
        }
        Ok(())
    }
}
