//! What there is to know before callers can prove themselves: where keys and roles are found.

use std::path::PathBuf;

/// How callers prove who they are.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum AuthConfig {
    /// Not at all: whoever can connect is `anonymous`, and may do everything.
    Anyone,
    /// By a certificate, by a token, or by either; at least one of them is there.
    Proved {
        /// By a client certificate.
        mtls: Option<MtlsConfig>,
        /// By a bearer token.
        jwt: Option<JwtConfig>,
        /// The file that gives callers their roles.
        callers: PathBuf,
    },
}

/// What the server proves itself with.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Its certificate and those that lead from it to the authority, in PEM.
    pub cert: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// How client certificates are judged.
#[derive(Debug, Clone)]
pub struct MtlsConfig {
    /// The certificates of the authorities that sign clients', in PEM.
    pub client_ca: PathBuf,
    /// The one trust domain of SPIFFE ids that is accepted; any where it is absent.
    pub trust_domain: Option<String>,
}

/// How tokens are judged.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// The `iss` that a token has to have.
    pub issuer: String,
    /// The `aud` that a token has to have, alone or among others.
    pub audience: String,
    /// Where the keys are that sign tokens.
    pub jwks: JwksSource,
}

/// Where the keys are that sign tokens.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// A file, read again when it changes.
    File(PathBuf),
    /// An address, asked again from time to time and when a token names a key that is not known.
    Url {
        /// `https://…`, or `http://…` of loopback.
        url: http::Uri,
        /// The authorities of that server, in PEM; those of the system where it is absent.
        ca: Option<PathBuf>,
        /// A file with the bearer token to send along, read again each time.
        token_file: Option<PathBuf>,
    },
}
