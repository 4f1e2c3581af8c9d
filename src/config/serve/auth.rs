//! Who may call `serve`, and how callers prove who they are.

use std::path::PathBuf;

use clap::Args;

use super::listen::ListenArgs;
use crate::callers::{AuthConfig, JwksSource, JwtConfig, MtlsConfig};
use crate::config::complaint::Refused;
use crate::config::layers::Origins;
use crate::config::proofs::{Jwks, Proofs};
use crate::config::value;

/// Who may call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Callers")]
pub struct AuthArgs {
    /// How callers prove who they are: `none`, `mtls`, `jwt` or `mtls,jwt`
    ///
    /// `mtls`: by a client certificate with one SPIFFE id, or else one DNS name. `jwt`: by a bearer
    /// token, such as Kubernetes gives to pods. `mtls,jwt`: by either. `none`: not at all, and
    /// whoever can connect may do everything.
    #[arg(long, value_name = "PROOFS", default_value = "none", value_parser = Proofs::parse)]
    pub auth: Proofs,

    /// YAML file that gives callers their roles; who is in no line of it may do nothing
    ///
    /// Read again when it changes.
    #[arg(long, value_name = "FILE")]
    pub callers: Option<PathBuf>,

    /// Answer whoever can connect, beyond loopback too
    ///
    /// With --auth none, --listen on another address than loopback is refused without this. Give it
    /// where something else decides who can connect, a network policy say.
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub allow_anonymous: bool,

    /// Take tokens without TLS, beyond loopback too
    ///
    /// Whoever reads a token on its way can use it. Give this where a mesh encrypts.
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub allow_plaintext: bool,

    /// PEM file with the certificates of the authorities that client certificates come from
    ///
    /// A client certificate is asked for and not demanded, so that health checks need none. The file
    /// is read again when it changes.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// The trust domain that client certificates have to be of, `portal.example` say; default: any
    ///
    /// A certificate without a SPIFFE id is of none. Subjects of tokens are not judged by it.
    #[arg(long, value_name = "DOMAIN", value_parser = value::trust_domain)]
    pub trust_domain: Option<String>,

    /// The issuer that tokens have to name, as they spell it
    #[arg(long, value_name = "ISSUER", value_parser = value::claim)]
    pub jwt_issuer: Option<String>,

    /// The audience that tokens have to be for
    #[arg(long, value_name = "AUDIENCE", value_parser = value::claim)]
    pub jwt_audience: Option<String>,

    /// Where the keys are that sign tokens: a file, or an https:// URL; JWKS
    ///
    /// A file is read again when it changes, a URL from time to time. http:// is accepted on
    /// loopback alone.
    #[arg(long, value_name = "FILE|URL", value_parser = Jwks::parse)]
    pub jwt_jwks: Option<Jwks>,

    /// PEM file with the CA certificates that the server of that URL is judged by; default: the
    /// system's
    #[arg(long, value_name = "FILE")]
    pub jwt_jwks_ca: Option<PathBuf>,

    /// File with the bearer token that the server of that URL is shown, as Kubernetes's own wants
    ///
    /// Read each time that it is needed.
    #[arg(long, value_name = "FILE")]
    pub jwt_jwks_token_file: Option<PathBuf>,
}

impl AuthArgs {
    /// How callers prove who they are.
    #[must_use]
    pub fn config(&self) -> AuthConfig {
        if self.auth == Proofs::NONE {
            return AuthConfig::Anyone;
        }
        // INVARIANT(fail-closed): `check` saw all that is needed; what is missing all the same is a
        // file without a name, which cannot be read.
        AuthConfig::Proved {
            mtls: self.auth.mtls.then(|| MtlsConfig {
                client_ca: self.tls_client_ca.clone().unwrap_or_default(),
                trust_domain: self.trust_domain.clone(),
            }),
            jwt: self.auth.jwt.then(|| JwtConfig {
                issuer: self.jwt_issuer.clone().unwrap_or_default(),
                audience: self.jwt_audience.clone().unwrap_or_default(),
                jwks: self.jwks(),
            }),
            callers: self.callers.clone().unwrap_or_default(),
        }
    }

    fn jwks(&self) -> JwksSource {
        match &self.jwt_jwks {
            Some(Jwks::Url(url)) => JwksSource::Url {
                url: url.clone(),
                ca: self.jwt_jwks_ca.clone(),
                token_file: self.jwt_jwks_token_file.clone(),
            },
            Some(Jwks::File(file)) => JwksSource::File(file.clone()),
            None => JwksSource::File(PathBuf::new()),
        }
    }

    pub(super) fn check(&self, listening: &ListenArgs, origins: &Origins) -> Result<(), Refused> {
        self.no_contradiction(listening, origins)?;
        self.nothing_without_use(origins)?;
        self.nothing_missing(listening, origins)?;
        self.jwks_flags(origins)?;
        self.exposure(listening, origins)
    }

    fn no_contradiction(&self, listening: &ListenArgs, origins: &Origins) -> Result<(), Refused> {
        if self.allow_anonymous && self.auth != Proofs::NONE {
            return Err(Refused::new(format!(
                "{} answers whoever can connect, and {} is `{}`, by which callers prove who they \
                 are: give one of them",
                origins.name("allow-anonymous"),
                origins.name("auth"),
                self.auth
            )));
        }
        if self.allow_plaintext && self.auth.jwt && listening.tls_cert.is_some() {
            return Err(Refused::new(format!(
                "{} is for a service without TLS, and {} gives it one: leave one of them out",
                origins.name("allow-plaintext"),
                origins.name("tls-cert")
            )));
        }
        Ok(())
    }

    /// A setting of a proof that is not asked for was meant to protect something.
    fn nothing_without_use(&self, origins: &Origins) -> Result<(), Refused> {
        const MTLS: (&str, &str) = ("client certificates", "mtls");
        const JWT: (&str, &str) = ("tokens", "jwt");
        let Proofs { mtls, jwt } = self.auth;
        for (long, given, is_used, (of, add)) in [
            ("tls-client-ca", self.tls_client_ca.is_some(), mtls, MTLS),
            ("trust-domain", self.trust_domain.is_some(), mtls, MTLS),
            ("jwt-issuer", self.jwt_issuer.is_some(), jwt, JWT),
            ("jwt-audience", self.jwt_audience.is_some(), jwt, JWT),
            ("jwt-jwks", self.jwt_jwks.is_some(), jwt, JWT),
            ("jwt-jwks-ca", self.jwt_jwks_ca.is_some(), jwt, JWT),
            (
                "jwt-jwks-token-file",
                self.jwt_jwks_token_file.is_some(),
                jwt,
                JWT,
            ),
            ("allow-plaintext", self.allow_plaintext, jwt, JWT),
            (
                "callers",
                self.callers.is_some(),
                mtls || jwt,
                ("callers that prove who they are", "mtls` or `jwt"),
            ),
        ] {
            if given && !is_used {
                return Err(Refused::new(format!(
                    "{} is for {of}, and {} is `{}`: give `{add}` there too, or leave it out",
                    origins.name(long),
                    origins.name("auth"),
                    self.auth
                )));
            }
        }
        Ok(())
    }

    fn nothing_missing(&self, listening: &ListenArgs, origins: &Origins) -> Result<(), Refused> {
        let Proofs { mtls, jwt } = self.auth;
        // One is never there without the other.
        let has_tls = listening.tls_cert.is_some();
        let missing: Vec<String> = [
            ("tls-cert", mtls && !has_tls),
            ("tls-key", mtls && !has_tls),
            ("tls-client-ca", mtls && self.tls_client_ca.is_none()),
            ("jwt-issuer", jwt && self.jwt_issuer.is_none()),
            ("jwt-audience", jwt && self.jwt_audience.is_none()),
            ("jwt-jwks", jwt && self.jwt_jwks.is_none()),
            ("callers", (mtls || jwt) && self.callers.is_none()),
        ]
        .into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(long, _)| format!("`--{long}`"))
        .collect();
        let (last, others) = match missing.split_last() {
            None => return Ok(()),
            Some((last, [])) => (format!("{last} is"), String::new()),
            Some((last, others)) => (format!("{last} are"), format!("{} and ", others.join(", "))),
        };
        Err(Refused::new(format!(
            "{} is `{}`: {others}{last} needed too",
            origins.name("auth"),
            self.auth
        )))
    }

    fn jwks_flags(&self, origins: &Origins) -> Result<(), Refused> {
        let (is_url, is_https) = match &self.jwt_jwks {
            Some(Jwks::Url(url)) => (true, url.scheme_str() == Some("https")),
            Some(Jwks::File(_)) | None => (false, false),
        };
        for (long, given, has_use, needs) in [
            (
                "jwt-jwks-ca",
                self.jwt_jwks_ca.is_some(),
                is_https,
                "an `https://` URL",
            ),
            (
                "jwt-jwks-token-file",
                self.jwt_jwks_token_file.is_some(),
                is_url,
                "a URL",
            ),
        ] {
            if given && !has_use {
                return Err(Refused::new(format!(
                    "{} is of use where {} is {needs}: give one there, or leave it out",
                    origins.name(long),
                    origins.name("jwt-jwks")
                )));
            }
        }
        Ok(())
    }

    /// What other machines may reach is protected, or it is said in so many words that it is not.
    fn exposure(&self, listening: &ListenArgs, origins: &Origins) -> Result<(), Refused> {
        if listening.is_loopback() {
            return Ok(());
        }
        let (address, port) = (listening.listen, listening.listen.port());
        let name = origins.name("listen");
        if self.auth == Proofs::NONE && !self.allow_anonymous {
            return Err(Refused::new(format!(
                "{name} is `{address}`, which other machines may reach, and callers do not prove who \
                 they are: give `--auth`, listen on loopback (`127.0.0.1:{port}`), or give \
                 `--allow-anonymous` (`PORTCULLIS_ALLOW_ANONYMOUS=true`) to answer whoever can connect"
            )));
        }
        if self.auth.jwt && listening.tls_cert.is_none() && !self.allow_plaintext {
            return Err(Refused::new(format!(
                "{name} is `{address}`, which other machines may reach, and tokens would come \
                 without TLS: give `--tls-cert` and `--tls-key`, listen on loopback \
                 (`127.0.0.1:{port}`), or give `--allow-plaintext` \
                 (`PORTCULLIS_ALLOW_PLAINTEXT=true`) where a mesh encrypts"
            )));
        }
        Ok(())
    }
}
