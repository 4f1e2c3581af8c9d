//! Where a service is that is asked.

use std::fmt;

use super::value::is_loopback;

/// Where a server is: `host:port`, and whether it is reached over TLS where that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Option<Scheme>,
    authority: http::uri::Authority,
    port: u16,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// It is not.
    Http,
    /// It is.
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Endpoint {
    /// The one that is asked where none is given.
    pub const DEFAULT: &str = "127.0.0.1:50051";

    /// The scheme that was written, if one was.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// The URL, by this scheme.
    #[must_use]
    pub fn url(&self, scheme: Scheme) -> String {
        format!("{}://{}", scheme.as_str(), self.authority)
    }

    /// The host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }

    pub(super) fn parse(value: &str) -> Result<Self, String> {
        const ACCEPTED: &str = "`host:port`, `http://host:port` or `https://host:port` is accepted, \
                                such as `127.0.0.1:50051`";
        let accepted = || ACCEPTED.to_owned();
        let (scheme, authority) = match value.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
                (Some(Scheme::Http), rest)
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
                (Some(Scheme::Https), rest)
            }
            Some(_) => return Err(accepted()),
            None => (None, value),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: http::uri::Authority = authority.parse().map_err(|_malformed| accepted())?;
        let port = parsed.port_u16().filter(|port| *port > 0);
        let port = port.ok_or_else(accepted)?;
        if parsed.host().is_empty() || authority.contains('@') {
            return Err(accepted());
        }
        Ok(Self {
            scheme,
            authority: parsed,
            port,
        })
    }
}

/// As it is given to `--endpoint`; `http://` goes without saying.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Some(Scheme::Https) => write!(f, "https://{}", self.authority),
            Some(Scheme::Http) | None => write!(f, "{}", self.authority),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for (value, want, scheme) in [
            ("localhost:50051", "localhost:50051", None),
            ("http://[::1]:50051/", "[::1]:50051", Some(Scheme::Http)),
            (
                "HTTP://portcullis.portal.svc:80",
                "portcullis.portal.svc:80",
                Some(Scheme::Http),
            ),
            (
                "https://portcullis:443/",
                "https://portcullis:443",
                Some(Scheme::Https),
            ),
        ] {
            let endpoint = Endpoint::parse(value).unwrap();
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.scheme()),
                (want, scheme)
            );
        }
        for value in [
            "",
            "localhost",
            ":50051",
            "localhost:0",
            "localhost:x",
            "http://a:1/path",
            "https://a",
            "https://u:p@h:1",
            "u:p@h:1",
            "grpc://h:1",
            "a b:1",
        ] {
            let message = Endpoint::parse(value).unwrap_err();
            assert!(message.contains("`host:port`"), "{value}: {message}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (value, want) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("LocalHost:1", true),
            ("127.example:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(
                Endpoint::parse(value).unwrap().is_loopback(),
                want,
                "{value}"
            );
        }
        assert_eq!(Endpoint::parse("[::1]:1").unwrap().host(), "::1");
    }
}
