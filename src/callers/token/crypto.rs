//! The signatures of tokens, verified by ring: what the JWT library needs to know of cryptography.
//!
//! Of its own two providers one is a second cryptographic library beside ring, and the other has an
//! RSA with an open advisory.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::Verifier;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature as ring;

/// Verifies by asymmetric algorithms, and does nothing else.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(unsupported()),
    verifier_factory: |algorithm, key| match method(*algorithm) {
        Some(method) if key.family() == algorithm.family() => Ok(Box::new(Signature {
            algorithm: *algorithm,
            method,
            key: key.clone(),
        })),
        Some(_) | None => Err(unsupported()),
    },
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

/// Makes it the process's provider, which the library has one of.
pub(super) fn install() {
    // Nobody else installs one, so that where there is one it is this.
    let _installed_before = PROVIDER.install_default();
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

#[derive(Clone, Copy)]
enum Method {
    Rsa(&'static ring::RsaParameters),
    /// Of elliptic curves, Edwards's among them.
    Curve(&'static dyn ring::VerificationAlgorithm),
}

/// How to verify by `algorithm`; `None` where it is symmetric or not known.
fn method(algorithm: Algorithm) -> Option<Method> {
    Some(match algorithm {
        Algorithm::RS256 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Method::Curve(&ring::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Method::Curve(&ring::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Method::Curve(&ring::ED25519),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 | _ => return None,
    })
}

/// Whether tokens signed by `algorithm` can be verified at all.
pub(super) fn is_accepted(algorithm: Algorithm) -> bool {
    method(algorithm).is_some() && algorithm.family() != AlgorithmFamily::Hmac
}

struct Signature {
    algorithm: Algorithm,
    method: Method,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for Signature {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> Result<(), jsonwebtoken::signature::Error> {
        let verified = match (self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                ring::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Method::Curve(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                ring::UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            (Method::Rsa(_), DecodingKeyKind::SecretOrDer(_))
            | (Method::Curve(_), DecodingKeyKind::RsaModulusExponent { .. }) => {
                return Err(jsonwebtoken::signature::Error::new());
            }
        };
        verified.map_err(|_unspecified| jsonwebtoken::signature::Error::new())
    }
}

impl JwtVerifier for Signature {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
