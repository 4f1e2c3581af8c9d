//! An issuer of tokens: its keys, its JWK Set, and tokens good and bad.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};

/// The `iss` of an [`Issuer`].
pub const ISSUER: &str = "https://issuer.example";
/// The `aud` of its tokens.
pub const AUDIENCE: &str = "portcullis";

/// Who issues tokens. The newest key signs; the older ones stay in the set.
pub struct Issuer {
    keys: Vec<(String, Key)>,
}

enum Key {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Issuer {
    /// One with a P-256 key.
    pub fn new() -> Self {
        Self::of("ES256")
    }

    /// One with a key for tokens of `algorithm`. The RSA key is the one of RFC 7515, since ring
    /// makes none; the others are new.
    pub fn of(algorithm: &str) -> Self {
        let keys = vec![("key-1".to_owned(), Key::of(algorithm))];
        Self { keys }
    }

    /// Signs with a new key from now on, of another `kid`.
    pub fn rotate(&mut self) {
        let kid = format!("key-{}", self.keys.len() + 1);
        self.keys.push((kid, Key::of("ES256")));
    }

    /// Its public keys, as a JWK Set.
    pub fn jwks(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|(kid, key)| key.jwk(kid)).collect();
        json!({ "keys": keys }).to_string()
    }

    /// The `kid` of the key that signs.
    pub fn kid(&self) -> &str {
        &self.keys.last().unwrap().0
    }

    /// The bytes of the public key that signs, as they are in a certificate.
    pub fn public_key(&self) -> Vec<u8> {
        self.keys.last().unwrap().1.public().to_vec()
    }

    /// Claims of a good token of `subject`, for ten minutes.
    pub fn claims(subject: &str) -> Value {
        let now = seconds_now();
        json!({
            "iss": ISSUER,
            "aud": [AUDIENCE, "https://kubernetes.default.svc"],
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        })
    }

    /// A good token of `subject`.
    pub fn token_of(&self, subject: &str) -> String {
        self.token(&Self::claims(subject))
    }

    /// A token of `claims`, signed.
    pub fn token(&self, claims: &Value) -> String {
        let (kid, key) = self.keys.last().unwrap();
        self.token_with(&json!({"alg": key.algorithm(), "kid": kid}), claims)
    }

    /// The signature of its newest key.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let key = &self.keys.last().unwrap().1;
        key.sign(key.algorithm(), message)
    }

    /// A token of `header` and `claims`, signed as `header` says where the key can, else as it is
    /// used to.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let key = &self.keys.last().unwrap().1;
        let signature = key.sign(header["alg"].as_str().unwrap_or(""), message.as_bytes());
        format!("{message}.{}", encode(&signature))
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

/// The seconds since 1970.
pub fn seconds_now() -> u64 {
    let since = portcullis::clock::time_of_day().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

/// What of a token is signed.
pub fn message(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| encode(part.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// Base64 as tokens have it.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Key {
    fn of(algorithm: &str) -> Self {
        let random = SystemRandom::new();
        let ecdsa = |how| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref(), &random).unwrap()
        };
        match algorithm {
            "ES256" => Self::P256(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
            "ES384" => Self::P384(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
            "EdDSA" => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
            _ => Self::Rsa(rsa()),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Ed25519(key) => key.public_key().as_ref(),
            Self::Rsa(key) => key.public_key().as_ref(),
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        let curve = |name: &str| {
            let (x, y) = self.public()[1..].split_at(self.public().len() / 2);
            json!({"kty": "EC", "crv": name, "kid": kid, "use": "sig", "x": encode(x), "y": encode(y)})
        };
        match self {
            Self::P256(_) => curve("P-256"),
            Self::P384(_) => curve("P-384"),
            Self::Ed25519(_) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(self.public())})
            }
            Self::Rsa(_) => json!({"kty": "RSA", "kid": kid, "n": RSA_N, "e": RSA_E}),
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(key) | Self::P384(key) => {
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn rsa() -> RsaKeyPair {
    let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
    let [d, p, q, dp, dq, qi] = RSA_PRIVATE.map(decode);
    RsaKeyPair::from_components(&KeyPairComponents {
        public_key: PublicKeyComponents {
            n: decode(RSA_N),
            e: decode(RSA_E),
        },
        d,
        p,
        q,
        dP: dp,
        dQ: dq,
        qInv: qi,
    })
    .unwrap()
}

/// The key of RFC 7515, appendix A.2, which everybody knows.
const RSA_N: &str = concat!(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt",
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX",
    "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5",
    "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
);
const RSA_E: &str = "AQAB";
/// d, p, q, dp, dq, qi.
const RSA_PRIVATE: [&str; 6] = [
    concat!(
        "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol",
        "2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn43",
        "9X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8",
        "bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    ),
    concat!(
        "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_",
        "Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    ),
    concat!(
        "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7Tje",
        "LQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    ),
    concat!(
        "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOK",
        "nu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    ),
    concat!(
        "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U",
        "0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    ),
    concat!(
        "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5",
        "cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
    ),
];
