//! How the settings are read that say how callers prove who they are.

use std::fmt;
use std::path::PathBuf;

use super::value::is_loopback;

/// The proofs that are accepted of callers; none of them: callers need none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proofs {
    /// A client certificate.
    pub mtls: bool,
    /// A bearer token.
    pub jwt: bool,
}

impl Proofs {
    /// Callers need no proof.
    pub const NONE: Self = Self {
        mtls: false,
        jwt: false,
    };

    pub(super) fn parse(value: &str) -> Result<Self, String> {
        match value {
            "none" => Ok(Self::NONE),
            "mtls" => Ok(Self {
                mtls: true,
                jwt: false,
            }),
            "jwt" => Ok(Self {
                mtls: false,
                jwt: true,
            }),
            "mtls,jwt" | "jwt,mtls" => Ok(Self {
                mtls: true,
                jwt: true,
            }),
            _ => Err("`none`, `mtls`, `jwt` or `mtls,jwt` is accepted".to_owned()),
        }
    }
}

impl fmt::Display for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.mtls, self.jwt) {
            (false, false) => "none",
            (true, false) => "mtls",
            (false, true) => "jwt",
            (true, true) => "mtls,jwt",
        })
    }
}

/// Where keys are that sign tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// In a file.
    File(PathBuf),
    /// At `https://…`, or at `http://…` of loopback.
    Url(http::Uri),
}

impl Jwks {
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        const ACCEPTED: &str = "a file or an `https://` URL is accepted, without a name or password \
                                in it; `http://` on loopback alone";
        let accepted = || ACCEPTED.to_owned();
        if value.is_empty() {
            return Err(accepted());
        }
        if !value.contains("://") {
            return Ok(Self::File(value.into()));
        }
        let url: http::Uri = value.parse().map_err(|_malformed| accepted())?;
        let is_safe = match url.scheme_str() {
            Some("https") => true,
            Some("http") => url.host().is_some_and(is_loopback),
            Some(_) | None => false,
        };
        let host = url.host().is_some_and(|host| !host.is_empty());
        let has_user = url.authority().is_some_and(|it| it.as_str().contains('@'));
        if is_safe && host && !has_user {
            Ok(Self::Url(url))
        } else {
            Err(accepted())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_read_as_they_are_written() {
        for value in ["none", "mtls", "jwt", "mtls,jwt"] {
            assert_eq!(Proofs::parse(value).unwrap().to_string(), value);
        }
        for value in ["", "MTLS", "mtls, jwt", "none,jwt", "mtls,mtls", "tls"] {
            assert!(Proofs::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn keys_come_from_a_file_or_over_https() {
        for value in ["jwks.json", "/var/run/keys", "./a:b"] {
            assert_eq!(Jwks::parse(value), Ok(Jwks::File(value.into())));
        }
        for value in [
            "https://kubernetes.default.svc/openid/v1/jwks",
            "HTTPS://issuer.example:8443/keys?x=1",
            "http://127.0.0.1:8001/openid/v1/jwks",
            "http://[::1]:80/",
            "http://localhost/keys",
        ] {
            assert!(matches!(Jwks::parse(value), Ok(Jwks::Url(_))), "{value}");
        }
        for value in [
            "",
            "http://issuer.example/keys",
            "http://127.0.0.1.issuer.example/keys",
            "https://user:hunter2@issuer.example/keys",
            "https://",
            "https:///keys",
            "ftp://127.0.0.1/keys",
            "file:///keys",
            "https://a b/",
        ] {
            assert!(Jwks::parse(value).is_err(), "{value}");
        }
    }
}
