//! How a command proves who runs it, and how the service proves itself to it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rustls::crypto::ring;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::config::load::plain;
use crate::config::text::shown;
use crate::config::{Endpoint, Scheme, ServiceArgs};
use crate::pem;

/// The most bytes of a token: more would not fit into the headers of a call.
const LONGEST_TOKEN: usize = 64 * 1024;

/// The token that goes along with each call, where there is one.
#[derive(Debug, Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Reads the file that `args` name.
    pub(super) fn read(args: &ServiceArgs) -> anyhow::Result<Self> {
        let Some(file) = &args.token_file else {
            return Ok(Self(None));
        };
        let text = read(file, "token-file")?;
        let accepted = || {
            anyhow!(
                "{} (--token-file) holds no token: one line of printable characters is accepted",
                shown(&file.to_string_lossy())
            )
        };
        Self::parse(&text).map(Some).map(Self).ok_or_else(accepted)
    }

    fn parse(text: &[u8]) -> Option<MetadataValue<Ascii>> {
        let token = std::str::from_utf8(text).ok()?;
        let token = token.strip_suffix('\n').unwrap_or(token);
        let token = token.strip_suffix('\r').unwrap_or(token);
        let prints = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !prints || !(1..=LONGEST_TOKEN).contains(&token.len()) {
            return None;
        }
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().ok()?;
        // So that it is in no table of headers, and in no `Debug`.
        value.set_sensitive(true);
        Some(value)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// What makes TLS of a connection, where `args` ask for it.
pub(super) fn tls(args: &ServiceArgs) -> anyhow::Result<Option<TlsConnector>> {
    if args.scheme() == Scheme::Http {
        return Ok(None);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(args.tls_ca.as_deref())?);
    let mut config = match args.tls_cert.as_ref().zip(args.tls_key.as_ref()) {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = of(cert, "tls-cert", pem::certificates)?;
            let key = of(key, "tls-key", pem::private_key)?;
            builder
                .with_client_auth_cert(chain, key)
                .context("the certificate of `--tls-cert` and the key of `--tls-key`")?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

fn roots(file: Option<&Path>) -> anyhow::Result<RootCertStore> {
    if let Some(file) = file {
        return of(file, "tls-ca", pem::roots);
    }
    let roots = pem::system_roots();
    if roots.is_empty() {
        return Err(anyhow!(
            "the system has no certificates to judge the service's by: `--tls-ca` names some"
        ));
    }
    Ok(roots)
}

/// What `parse` makes of the file that `--long` names.
fn of<T>(
    file: &Path,
    long: &str,
    parse: impl Fn(&[u8]) -> Result<T, pem::PemError>,
) -> anyhow::Result<T> {
    parse(&read(file, long)?)
        .map_err(|error| anyhow!("{} (--{long}) {error}", shown(&file.to_string_lossy())))
}

fn read(file: &Path, long: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        anyhow!(
            "cannot read {} (--{long}): {}",
            shown(&file.to_string_lossy()),
            plain(&error)
        )
    })
}

/// Makes TLS of a connection to `endpoint`.
pub(super) async fn handshake(
    tls: &TlsConnector,
    stream: TcpStream,
    endpoint: &Endpoint,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = endpoint.host().to_owned().try_into();
    let name = name.map_err(|invalid| io::Error::new(io::ErrorKind::InvalidInput, invalid))?;
    tls.connect(name, stream).await
}

/// Why there is no TLS with `endpoint`, where that is what `error` says.
pub(super) fn in_words(error: &rustls::Error, endpoint: &Endpoint) -> String {
    use CertificateError as Wrong;
    use rustls::Error;
    if matches!(error, Error::InvalidMessage(_)) {
        return "it does not speak TLS; `http://` asks without".to_owned();
    }
    if let Error::AlertReceived(alert) = error {
        return format!("it refused with the alert {alert:?}");
    }
    let Error::InvalidCertificate(wrong) = error else {
        return error.to_string();
    };
    if matches!(wrong, Wrong::UnknownIssuer) {
        "its certificate is of no authority that is trusted here; `--tls-ca` names another"
            .to_owned()
    } else if matches!(
        wrong,
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }
    ) {
        format!(
            "its certificate is for another name than `{}`",
            endpoint.host()
        )
    } else if matches!(wrong, Wrong::Expired | Wrong::ExpiredContext { .. }) {
        "its certificate has expired".to_owned()
    } else if matches!(wrong, Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) {
        "its certificate is not valid yet".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_that_prints() {
        for text in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            let value = Bearer::parse(text.as_bytes()).unwrap();
            assert_eq!(value.to_str().unwrap(), "Bearer hunter2", "{text:?}");
        }
        for text in ["", "\n", "a b", "a\nb\n", "a\n\n", "é", "a\0", " a"] {
            assert!(Bearer::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(Bearer::parse(&[b'a'; LONGEST_TOKEN + 1]).is_none());
        assert!(Bearer::parse(&[0xff]).is_none());
    }

    #[test]
    fn a_token_has_no_debug() {
        let bearer = Bearer(Bearer::parse(b"hunter2"));
        assert!(!format!("{bearer:?}").contains("hunter2"), "{bearer:?}");
    }
}
