//! The keys that sign tokens: a JWK Set (RFC 7517), of which only public keys of asymmetric
//! algorithms are kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::super::unproved::BadToken;

/// The most bytes of a set.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// The most keys of a set.
const MAX_KEYS: usize = 100;
/// The most keys that are tried for a token that names none.
const MAX_TRIED: usize = 4;
/// The bits of an RSA modulus: fewer are too weak, more take too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The keys by which tokens are judged: one at least.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: usize,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// Those that a token signed with it may name.
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// Why there are no keys in what should be a JWK Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is longer than any set that is read.
    #[error("more than {MAX_BYTES} bytes")]
    TooLong,
    /// It is no JSON object with a list of `keys`.
    #[error("no JWK Set: a JSON object with a list `keys` is accepted")]
    Malformed,
    /// There are more keys than a set may have.
    #[error("{0} keys; at most {MAX_KEYS} are accepted")]
    TooMany(usize),
    /// None of the keys can be used.
    #[error(
        "none of its {0} keys can be used: public ones that sign are accepted, of RSA with 2,048 \
         to 8,192 bits, P-256, P-384 or Ed25519"
    )]
    NoneUsable(usize),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key of a set. Members that are not here, private ones among them, are not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of kinds that are not known, too weak, symmetric or meant for something
    /// else are skipped.
    ///
    /// # Errors
    /// [`KeySetError`] where it is no set, too large, or has no key that can be used.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        if json.len() > MAX_BYTES {
            return Err(KeySetError::TooLong);
        }
        let set: Set =
            serde_json::from_slice(json).map_err(|_unreadable| KeySetError::Malformed)?;
        let count = set.keys.len();
        if count > MAX_KEYS {
            return Err(KeySetError::TooMany(count));
        }
        let read = |value| Key::read(serde_json::from_value(value).ok()?);
        let keys: Vec<Key> = set.keys.into_iter().filter_map(read).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable(count));
        }
        let skipped = count - keys.len();
        Ok(Self { keys, skipped })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key, which never is so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys of the set cannot be used.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The keys that may have signed a token which names `id` and `algorithm`.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&DecodingKey>, BadToken> {
        let of_id: Vec<&Key> = match id {
            Some(id) => {
                let is_it = |key: &&Key| key.id.as_deref() == Some(id);
                self.keys.iter().filter(is_it).collect()
            }
            None => self.keys.iter().collect(),
        };
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let fit: Vec<_> = of_id.iter().copied().filter(fits).collect();
        match (id, fit.len()) {
            (Some(_), _) if of_id.is_empty() => Err(BadToken::UnknownKey),
            (Some(_), 0) => Err(BadToken::OtherAlgorithm),
            (_, 1..=MAX_TRIED) => Ok(fit.into_iter().map(|key| &key.key).collect()),
            (_, _) => Err(BadToken::UnnamedKey),
        }
    }
}

impl Key {
    /// `None` where tokens cannot, or should not, be signed with it.
    fn read(jwk: Jwk) -> Option<Self> {
        let signs = jwk.r#use.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = |operations: &Vec<String>| operations.iter().any(|it| it == "verify");
        if !signs || !jwk.key_ops.as_ref().is_none_or(verifies) {
            return None;
        }
        let (algorithms, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (RSA, rsa(&bytes(jwk.n)?, &bytes(jwk.e)?)?),
            ("EC", Some("P-256")) => (ES256, point(&bytes(jwk.x)?, &bytes(jwk.y)?, 32)?),
            ("EC", Some("P-384")) => (ES384, point(&bytes(jwk.x)?, &bytes(jwk.y)?, 48)?),
            ("OKP", Some("Ed25519")) => {
                let x = bytes(jwk.x).filter(|x| x.len() == 32)?;
                (EDDSA, DecodingKey::from_ed_der(&x))
            }
            _ => return None,
        };
        let algorithms = match jwk.alg {
            None => algorithms,
            Some(name) => {
                let named: Algorithm = name.parse().ok()?;
                let at = algorithms.iter().position(|it| *it == named)?;
                algorithms.get(at..=at)?
            }
        };
        Some(Self {
            id: jwk.kid,
            algorithms,
            key,
        })
    }
}

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const ES256: &[Algorithm] = &[Algorithm::ES256];
const ES384: &[Algorithm] = &[Algorithm::ES384];
const EDDSA: &[Algorithm] = &[Algorithm::EdDSA];

fn bytes(text: Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<DecodingKey> {
    let (modulus, exponent) = (no_zeros(modulus), no_zeros(exponent));
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    // Odd, not 1, and no longer than ring takes.
    let sound = exponent.last()? % 2 == 1 && exponent != [1] && exponent.len() <= 4;
    let sound = sound && modulus.last()? % 2 == 1 && RSA_BITS.contains(&bits);
    sound.then(|| DecodingKey::from_rsa_raw_components(modulus, exponent))
}

/// A number without the zeros that some write before it and that ring refuses.
fn no_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A point in the form that ring takes: uncompressed.
fn point(x: &[u8], y: &[u8], length: usize) -> Option<DecodingKey> {
    let sound = x.len() == length && y.len() == length;
    sound.then(|| DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(length: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xff; length])
    }

    fn ec(kid: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": text(32), "y": text(32)})
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn keys_that_cannot_be_used_are_skipped() {
        let rsa = |bytes| json!({"kty": "RSA", "n": text(bytes), "e": "AQAB"});
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": text(32)});
        for (jwk, algorithms) in [
            (rsa(256), 6),
            (rsa(1024), 6),
            (with(rsa(256), "alg", json!("PS256")), 1),
            (with(rsa(256), "n", json!(format!("AAAA{}", text(256)))), 6),
            (with(rsa(256), "n", json!(format!("AAAA{}", text(255)))), 0),
            (with(rsa(256), "e", json!("Aw")), 6),
            (with(rsa(256), "e", json!("AQ")), 0),
            (with(rsa(256), "e", json!("BA")), 0),
            (with(rsa(256), "e", json!("")), 0),
            (rsa(255), 0),
            (rsa(128), 0),
            (rsa(0), 0),
            (rsa(1025), 0),
            (ec("a"), 1),
            (with(ec("a"), "use", json!("sig")), 1),
            (with(ec("a"), "use", json!("enc")), 0),
            (with(ec("a"), "key_ops", json!(["verify"])), 1),
            (with(ec("a"), "key_ops", json!(["sign"])), 0),
            (with(ec("a"), "alg", json!("ES256")), 1),
            (with(ec("a"), "alg", json!("ES384")), 0),
            (with(ec("a"), "alg", json!("HS256")), 0),
            (with(ec("a"), "alg", json!("none")), 0),
            (with(ec("a"), "crv", json!("P-384")), 0),
            (with(ec("a"), "crv", json!("P-521")), 0),
            (with(ec("a"), "x", json!("*")), 0),
            (with(ec("a"), "x", json!(7)), 0),
            (with(ec("a"), "kid", json!(7)), 0),
            (
                json!({"kty": "EC", "crv": "P-384", "x": text(48), "y": text(48)}),
                1,
            ),
            (with(ed.clone(), "alg", json!("EdDSA")), 1),
            (with(ed.clone(), "crv", json!("X25519")), 0),
            (with(ed, "x", json!(text(33))), 0),
            (json!({"kty": "oct", "k": text(32), "alg": "HS256"}), 0),
            (
                json!({"kty": "AKP", "pub": text(32), "alg": "ML-DSA-44"}),
                0,
            ),
            (json!({"kty": 7}), 0),
            (json!("a key"), 0),
        ] {
            let set = parse(&[jwk.clone(), ec("sound")]).unwrap();
            let found = set.keys.first().filter(|_| set.len() == 2);
            let found = found.map_or(0, |key| key.algorithms.len());
            assert_eq!(found, algorithms, "{jwk}");
            assert_eq!(set.skipped(), usize::from(algorithms == 0), "{jwk}");
            let alone = parse(&[jwk]).map(|set| set.len());
            let none = Err(KeySetError::NoneUsable(1));
            assert_eq!(alone, if algorithms == 0 { none } else { Ok(1) });
        }
    }

    #[test]
    fn a_set_is_one_and_bounded() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "{\"keys\": {}}",
            "{\"keys\": [] ",
            "keys: []",
        ] {
            let error = KeySet::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error, KeySetError::Malformed, "{text}");
        }
        assert_eq!(parse(&[]).unwrap_err(), KeySetError::NoneUsable(0));
        let many = vec![ec("a"); MAX_KEYS + 1];
        assert_eq!(parse(&many).unwrap_err(), KeySetError::TooMany(101));
        assert_eq!(parse(&many[1..]).unwrap().len(), MAX_KEYS);
        let long = vec![b' '; MAX_BYTES + 1];
        assert_eq!(KeySet::parse(&long).unwrap_err(), KeySetError::TooLong);
    }

    #[test]
    fn a_token_is_tried_with_the_key_that_it_names_or_with_a_few() {
        let set = |count: usize| {
            let keys: Vec<_> = (0..count).map(|i| ec(&i.to_string())).collect();
            parse(&keys).unwrap()
        };
        let tried = |count, id, algorithm| set(count).candidates(id, algorithm).map(|it| it.len());
        for (count, id, algorithm, want) in [
            (9, Some("3"), Algorithm::ES256, Ok(1)),
            (9, Some("9"), Algorithm::ES256, Err(BadToken::UnknownKey)),
            (9, Some(""), Algorithm::ES256, Err(BadToken::UnknownKey)),
            (
                9,
                Some("3"),
                Algorithm::RS256,
                Err(BadToken::OtherAlgorithm),
            ),
            (
                9,
                Some("3"),
                Algorithm::HS256,
                Err(BadToken::OtherAlgorithm),
            ),
            (1, None, Algorithm::ES256, Ok(1)),
            (4, None, Algorithm::ES256, Ok(4)),
            (5, None, Algorithm::ES256, Err(BadToken::UnnamedKey)),
            (1, None, Algorithm::EdDSA, Err(BadToken::UnnamedKey)),
        ] {
            assert_eq!(
                tried(count, id, algorithm),
                want,
                "{count} {id:?} {algorithm:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            json in proptest::collection::vec(any::<u8>(), 0..200),
            kty in "RSA|EC|OKP|oct",
            crv in "P-256|P-384|Ed25519",
            number in "[A-Za-z0-9_-]{0,90}",
        ) {
            let _ = KeySet::parse(&json);
            let key = json!({
                "kty": kty, "crv": crv, "n": number, "e": number, "x": number, "y": number,
            });
            let _ = parse(&[key]);
        }
    }
}
