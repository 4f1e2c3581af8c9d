//! TLS of the service: from what files hold to what a connection is accepted with.
//!
//! A client certificate is asked for and not demanded, so that health stays open; one that is shown
//! has to be of the authority and in its time, or the handshake fails.
//!
//! INVARIANT(no-resumption): every handshake judges the certificate that it is shown. A session that
//! is resumed would bring along a caller who was judged by an authority of before, or whose
//! certificate has expired since; connections last, so that there is little to save by it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use x509_parser::parse_x509_certificate;

use crate::pem::{self, PemError};

/// What is spoken over it.
const ALPN: &[u8] = b"h2";

/// Why there is no TLS by these files. Never holds a part of one. Each says in its own words what it
/// comes from, which is no source of it: it would be told twice.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("the certificate's file {0}")]
    Certificate(PemError),
    /// The key cannot be read.
    #[error("the key's file {0}")]
    Key(PemError),
    /// The certificates of the clients' authorities cannot be read.
    #[error("the client CA's file {0}")]
    ClientCa(PemError),
    /// They are not a pair.
    #[error("the key does not belong to the certificate, which is the first one in its file")]
    NotAPair,
    /// One of both is of a kind that is not known here.
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(rustls::Error),
    /// No verifier can be made of the authorities' certificates.
    #[error("the client CA cannot be used: {0}")]
    Verifier(rustls::server::VerifierBuilderError),
}

/// What the server proves itself with.
#[derive(Debug)]
pub struct Identity {
    /// What connections are accepted with.
    pub config: Arc<ServerConfig>,
    /// When the certificate expires.
    pub expires: SystemTime,
}

impl Identity {
    /// Of these files, as [`server_config`] takes them.
    ///
    /// # Errors
    /// [`TlsError`], which says which of the three cannot be used and why.
    pub fn new(
        cert_pem: &[u8],
        key_pem: &[u8],
        client_ca_pem: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            config: Arc::new(server_config(cert_pem, key_pem, client_ca_pem)?),
            expires: not_after(cert_pem)?,
        })
    }
}

/// What connections are accepted with: TLS 1.3 and 1.2, for HTTP/2.
///
/// All three are PEM. Where there is `client_ca_pem`, a client may show a certificate of one of those
/// authorities; without it, none is asked for.
///
/// # Errors
/// [`TlsError`], which says which of the three cannot be used and why.
pub fn server_config(
    cert_pem: &[u8],
    key_pem: &[u8],
    client_ca_pem: Option<&[u8]>,
) -> Result<ServerConfig, TlsError> {
    let chain = pem::certificates(cert_pem).map_err(TlsError::Certificate)?;
    let key = pem::private_key(key_pem).map_err(TlsError::Key)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Unusable)?;
    let builder = match client_ca_pem {
        Some(pem) => builder.with_client_cert_verifier(verifier(pem, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            TlsError::NotAPair
        } else {
            TlsError::Unusable(error)
        }
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn verifier(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let roots = pem::roots(pem).map_err(TlsError::ClientCa)?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(TlsError::Verifier)
}

/// When the server's certificate expires, the first one of its file.
///
/// # Errors
/// [`TlsError::Certificate`] where it cannot be read.
pub fn not_after(cert_pem: &[u8]) -> Result<SystemTime, TlsError> {
    let chain = pem::certificates(cert_pem).map_err(TlsError::Certificate)?;
    let malformed = || TlsError::Certificate(PemError::MalformedCertificate);
    let first = chain.first().ok_or_else(malformed)?;
    let (_, certificate) = parse_x509_certificate(first).map_err(|_malformed| malformed())?;
    let seconds = certificate.validity().not_after.timestamp();
    // Before 1970 is expired as well as then.
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
