//! Certificates and private keys, as PEM files hold them. Errors never hold a part of a file.

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why something cannot be read from PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// It is no PEM, or one that was cut.
    #[error("is not valid PEM")]
    Malformed,
    /// There is none in it.
    #[error("holds no certificate")]
    NoCertificate,
    /// One of those in it is none.
    #[error("holds a certificate that cannot be read")]
    MalformedCertificate,
    /// There is none in it.
    #[error("holds no private key")]
    NoKey,
    /// There is one, and what it takes to read it is not asked for.
    #[error("holds an encrypted private key: one that is not encrypted is needed")]
    EncryptedKey,
    /// Which of them is meant is not known.
    #[error("holds several private keys: one is needed")]
    SeveralKeys,
}

/// The certificates, in their order; at least one.
///
/// # Errors
/// [`PemError`].
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|_malformed| PemError::Malformed)?;
    if all.is_empty() {
        return Err(PemError::NoCertificate);
    }
    Ok(all)
}

/// The private key, of which there is one.
///
/// # Errors
/// [`PemError`].
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let keys = PrivateKeyDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let mut keys = keys.map_err(|_malformed| PemError::Malformed)?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (Some(_), false) => Err(PemError::SeveralKeys),
        (None, _) if is_encrypted(text) => Err(PemError::EncryptedKey),
        (None, _) => Err(PemError::NoKey),
    }
}

/// Whether a section that is passed over is an encrypted key.
fn is_encrypted(text: &[u8]) -> bool {
    const LABEL: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    text.windows(LABEL.len()).any(|window| window == LABEL)
}

/// Certificates to judge others by; at least one, and each of them usable.
///
/// # Errors
/// [`PemError`].
pub fn roots(text: &[u8]) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text)? {
        // One that was chosen and cannot be used is a mistake, unlike one of a system's many.
        roots
            .add(certificate)
            .map_err(|_malformed| PemError::MalformedCertificate)?;
    }
    Ok(roots)
}

/// The authorities that the system trusts; none where they are not found. One of its hundred and fifty
/// may well be odd, and is left out.
#[must_use]
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued() -> (String, String) {
        let issued = rcgen::generate_simple_self_signed(["portcullis".to_owned()]).unwrap();
        (issued.cert.pem(), issued.signing_key.serialize_pem())
    }

    #[test]
    fn what_is_not_in_a_file_is_said() {
        let (cert, key) = issued();
        let encrypted = key.replace(" PRIVATE", " ENCRYPTED PRIVATE");
        let cut = |pem: &str| pem.split_at(pem.len() / 2).0.to_owned();
        let other = format!("{}\n", cert.replace("MI", "AA"));
        for (text, want) in [
            ("", PemError::NoCertificate),
            ("no PEM at all", PemError::NoCertificate),
            (&key, PemError::NoCertificate),
            (&cut(&cert), PemError::Malformed),
            (&other, PemError::MalformedCertificate),
        ] {
            assert_eq!(roots(text.as_bytes()).unwrap_err(), want, "{text}");
        }
        for (text, want) in [
            ("", PemError::NoKey),
            (&cert, PemError::NoKey),
            (&encrypted, PemError::EncryptedKey),
            (&format!("{key}{key}"), PemError::SeveralKeys),
            (&cut(&key), PemError::Malformed),
        ] {
            assert_eq!(private_key(text.as_bytes()).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn a_file_may_hold_both_and_several_certificates() {
        let (cert, key) = issued();
        let both = format!("a comment\n{cert}{key}{cert}");
        assert_eq!(certificates(both.as_bytes()).unwrap().len(), 2);
        assert_eq!(roots(both.as_bytes()).unwrap().len(), 2);
        assert!(private_key(both.as_bytes()).is_ok());
    }
}
