//! Asking an address for keys, once.
//!
//! The authorities and the bearer token are read each time: Kubernetes replaces both. Redirects are
//! not followed, for the keys decide who may call, and the address was chosen with care.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::keys::MAX_BYTES;
use crate::pem;

/// Where keys are asked for, and how. Displayed, it has no secret: neither the query nor whatever
/// stands before the host.
#[derive(Clone)]
pub(super) struct Place {
    url: Uri,
    ca: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

/// What an address answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// That nothing is new.
    Unchanged,
    /// What should be keys.
    Keys {
        body: Bytes,
        etag: Option<HeaderValue>,
    },
}

impl Place {
    /// # Errors
    /// Where the address is not `https://…`, nor `http://…` of loopback; where it has a password in
    /// it; where a file cannot be read.
    pub(super) fn new(
        url: &Uri,
        ca: Option<&Path>,
        token_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let place = Self {
            url: url.clone(),
            ca: ca.map(Path::to_owned),
            token_file: token_file.map(Path::to_owned),
        };
        let authority = url.authority().context("the JWKS address has no host")?;
        ensure!(
            !authority.as_str().contains('@'),
            "the JWKS address has a user or a password in it; a token in a file is accepted"
        );
        ensure!(
            place.is_https() || (url.scheme() == Some(&Scheme::HTTP) && is_loopback(url)),
            "the JWKS address `{place}` is neither `https://` nor `http://` of loopback"
        );
        place.connector()?;
        place.bearer()?;
        Ok(place)
    }

    fn is_https(&self) -> bool {
        self.url.scheme() == Some(&Scheme::HTTPS)
    }

    /// Asks for the keys, or whether there are others than those of `etag`.
    ///
    /// # Errors
    /// Where there is no answer, or another one than keys.
    pub(super) async fn ask(&self, etag: Option<&HeaderValue>) -> anyhow::Result<Answer> {
        let place = self.clone();
        // A hundred and fifty files, where the system's authorities are asked for.
        let prepared =
            tokio::task::spawn_blocking(move || anyhow::Ok((place.connector()?, place.bearer()?)));
        let (connector, bearer) = prepared.await??;
        let mut request = Request::get(self.url.clone())
            .header(ACCEPT, "application/jwk-set+json, application/json");
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        // One connection for one question: the next one is minutes away.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        let answer = client.request(request.body(Empty::<Bytes>::new())?).await?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(Answer::Unchanged);
        }
        if head.status != StatusCode::OK {
            bail!("the answer is {}; 200 is accepted", head.status.as_u16());
        }
        let body = Limited::new(body, MAX_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
        Ok(Answer::Keys {
            body: body.to_bytes(),
            etag: head
                .headers
                .get(ETAG)
                .filter(|etag| !etag.is_empty())
                .cloned(),
        })
    }

    fn connector(&self) -> anyhow::Result<HttpsConnector<HttpConnector>> {
        let roots = match &self.ca {
            Some(file) => read_roots(file)
                .with_context(|| format!("the JWKS authorities `{}`", file.display()))?,
            None if self.is_https() => system_roots()?,
            None => RootCertStore::empty(),
        };
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = if self.is_https() {
            builder.https_only()
        } else {
            builder.https_or_http()
        };
        Ok(builder.enable_http1().build())
    }

    /// The bearer token to send along.
    fn bearer(&self) -> anyhow::Result<Option<HeaderValue>> {
        let Some(file) = &self.token_file else {
            return Ok(None);
        };
        let name = || format!("the JWKS token `{}`", file.display());
        let token = std::fs::read_to_string(file).with_context(name)?;
        let token = token.trim();
        ensure!(!token.is_empty(), "{} is empty", name());
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_not_shown| anyhow::anyhow!("{} is no token", name()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.scheme_str().unwrap_or_default();
        let host = self.url.host().unwrap_or_default();
        write!(f, "{scheme}://{host}")?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().map(|address: IpAddr| address.is_loopback());
    address.unwrap_or(host.eq_ignore_ascii_case("localhost"))
}

fn read_roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let pem = std::fs::read(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    ensure!(!roots.is_empty(), "no certificate in PEM");
    Ok(roots)
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let roots = pem::system_roots();
    ensure!(
        !roots.is_empty(),
        "the system's authorities were not found; name a file that holds those of the JWKS address"
    );
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        let place = |url: &str| Place::new(&url.parse().unwrap(), None, None);
        for url in [
            "http://localhost/keys",
            "http://127.0.0.1:8080/keys",
            "http://127.8.8.8/keys",
            "http://[::1]:8080/keys",
        ] {
            assert_eq!(place(url).unwrap().to_string(), url);
        }
        for url in [
            "http://issuer.example/keys",
            "http://localhost.issuer.example/keys",
            "http://10.0.0.1/keys",
            "http://[::2]/keys",
            "ftp://localhost/keys",
        ] {
            let error = place(url).unwrap_err().to_string();
            assert!(error.contains("neither `https://` nor"), "{url}: {error}");
        }
        for url in ["/keys", "localhost"] {
            assert!(place(url).unwrap_err().to_string().contains("JWKS address"));
        }
    }

    #[test]
    fn no_secret_of_an_address_is_told() {
        let place = |url: &str| Place::new(&url.parse().unwrap(), None, None);
        for url in ["https://me:hush@issuer.example/", "http://hush@localhost/"] {
            let error = place(url).unwrap_err().to_string();
            assert!(error.contains("a user or a password"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        let shown = place("http://localhost:1/keys?secret=hush").unwrap();
        assert_eq!(shown.to_string(), "http://localhost:1/keys");
        assert_eq!(format!("{shown:?}"), "http://localhost:1/keys");
    }

    #[test]
    fn files_that_are_needed_have_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let url: Uri = "http://localhost/keys".parse().unwrap();
        let error = |ca, token| {
            let error = Place::new(&url, ca, token).unwrap_err();
            format!("{error:#}")
        };
        assert!(error(Some(&file), None).starts_with("the JWKS authorities `"));
        assert!(error(None, Some(&file)).starts_with("the JWKS token `"));
        std::fs::write(&file, "\n").unwrap();
        assert!(error(Some(&file), None).ends_with("no certificate in PEM"));
        assert!(error(None, Some(&file)).ends_with("is empty"));
        std::fs::write(&file, "hu\nsh").unwrap();
        let told = error(None, Some(&file));
        assert!(
            told.ends_with("is no token") && !told.contains("hu"),
            "{told}"
        );
    }
}
