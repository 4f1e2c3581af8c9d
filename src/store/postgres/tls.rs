//! TLS to Postgres, with libpq's meanings of `sslmode`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::PostgresConfigError;

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl TlsMode {
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// How to try to connect, in order: the next one when the server refuses the one before.
    pub(super) fn attempts(self) -> &'static [SslMode] {
        match self {
            Self::Disable => &[SslMode::Disable],
            Self::Allow => &[SslMode::Disable, SslMode::Require],
            Self::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Self::Require | Self::VerifyCa | Self::VerifyFull => &[SslMode::Require],
        }
    }
}

/// Where the certificates are that a server's is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Roots<'a> {
    /// A PEM file.
    File(&'a Path),
    /// Those of the system, by default.
    System,
    /// Those of the system, because it was said: any host can get a certificate from one of
    /// them, so that less than `verify-full` would verify nothing.
    OnlySystem,
}

/// How much of a server's certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verified {
    Nothing,
    Chain,
    ChainAndName,
}

/// What makes TLS connections in `mode`.
pub(super) fn connector(
    mode: TlsMode,
    roots: Roots<'_>,
) -> Result<MakeRustlsConnect, PostgresConfigError> {
    if matches!(roots, Roots::OnlySystem) && mode != TlsMode::VerifyFull {
        return Err(PostgresConfigError::Parameter {
            name: "sslmode",
            message: "is too weak for `sslrootcert=system`; `verify-full` is accepted".into(),
        });
    }
    let verified = match (mode, roots) {
        (TlsMode::VerifyFull, _) => Verified::ChainAndName,
        // With a CA file `require` is `verify-ca`: libpq promises so for compatibility.
        (TlsMode::VerifyCa, _) | (TlsMode::Require, Roots::File(_)) => Verified::Chain,
        (TlsMode::Disable | TlsMode::Allow | TlsMode::Prefer | TlsMode::Require, _) => {
            Verified::Nothing
        }
    };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresConfigError::Roots(format!("cannot be used: {error}").into()))?;
    let config = match verified {
        Verified::ChainAndName => builder
            .with_root_certificates(read(roots)?)
            .with_no_client_auth(),
        Verified::Chain | Verified::Nothing => {
            let roots = match (verified, roots) {
                (Verified::Chain, roots) => Some(read(roots)?),
                // A file that was named and cannot be read is a mistake, though it is not used.
                (_, Roots::File(_)) => read(roots).map(|_| None)?,
                (_, Roots::System | Roots::OnlySystem) => None,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NoName { provider, roots }))
                .with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn read(roots: Roots<'_>) -> Result<RootCertStore, PostgresConfigError> {
    let fail = |message: String| PostgresConfigError::Roots(message.into());
    let certificates: Vec<CertificateDer<'static>> = match roots {
        Roots::File(file) => {
            let pem = std::fs::read(file)
                .map_err(|error| fail(format!("cannot be read: {}", error.kind())))?;
            CertificateDer::pem_slice_iter(&pem)
                .collect::<Result<_, _>>()
                .map_err(|_malformed| fail("are no PEM".to_owned()))?
        }
        Roots::System | Roots::OnlySystem => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    let (_, unusable) = store.add_parsable_certificates(certificates);
    match roots {
        // One certificate of a system's hundred and fifty may well be odd; one that was chosen
        // may not.
        Roots::File(_) if unusable > 0 => Err(fail(format!("hold {unusable} that are malformed"))),
        Roots::File(_) if store.is_empty() => Err(fail("hold none".to_owned())),
        Roots::System | Roots::OnlySystem if store.is_empty() => Err(fail(
            "of the system were not found; name a file that holds some".to_owned(),
        )),
        Roots::File(_) | Roots::System | Roots::OnlySystem => Ok(store),
    }
}

/// Takes a certificate for any name: of any issuer, or of `roots` where there are some. The
/// handshake is still verified, so that whoever answers has the certificate's key.
#[derive(Debug)]
struct NoName {
    provider: Arc<CryptoProvider>,
    roots: Option<RootCertStore>,
}

impl ServerCertVerifier for NoName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(certificate)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
