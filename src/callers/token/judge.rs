//! Judging one token by the keys and the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::super::role::CallerId;
use super::super::unproved::BadToken;
use super::crypto;
use super::keys::KeySet;

/// The most bytes of a token: as much as fits into a header besides everything else.
pub const MAX_TOKEN: usize = 8 << 10;

/// How far the clocks of those who issue tokens and of those who judge them may be apart. Tokens
/// live for minutes at least, and machines keep their time to a second: this is ample.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// What a token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Whose it is: its `sub`.
    pub id: CallerId,
    /// The time of day from which it proves nothing: its `exp`, and [`LEEWAY`].
    pub until: SystemTime,
}

/// Judges tokens of one issuer for one audience.
#[derive(Debug)]
pub struct TokenVerifier {
    issuer: String,
    audience: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// The claims that count, as they stand: a claim of the wrong kind is told by its name.
#[derive(Deserialize)]
struct Claims {
    iss: Option<Value>,
    aud: Option<Value>,
    sub: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
}

impl TokenVerifier {
    /// Judges tokens that `issuer` issued, and for `audience`, alone or among others.
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Self {
        crypto::install();
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
        }
    }

    /// Judges `token` by the `keys` that there are, at the time of day `now`. The signature is
    /// verified before any claim is looked at.
    ///
    /// # Errors
    /// [`BadToken`]: why it proves nothing.
    pub fn verify(
        &self,
        token: &str,
        keys: Option<&KeySet>,
        now: SystemTime,
    ) -> Result<Proved, BadToken> {
        let header = header(token)?;
        if header.crit.is_some() {
            return Err(BadToken::Critical);
        }
        // `none` and whatever else is unknown does not parse.
        let algorithm: Algorithm = header.alg.parse().map_err(|_unknown| BadToken::Algorithm)?;
        if !crypto::is_accepted(algorithm) {
            return Err(BadToken::Algorithm);
        }
        let keys = keys.ok_or(BadToken::NoKeys)?;
        let mut refused = BadToken::Signature;
        for key in keys.candidates(header.kid.as_deref(), algorithm)? {
            match signed(token, key, algorithm) {
                Ok(claims) => return self.judge(&claims, now),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn judge(&self, claims: &Claims, now: SystemTime) -> Result<Proved, BadToken> {
        if present(claims.iss.as_ref(), "iss")?
            .as_str()
            .ok_or(BadToken::Claim("iss"))?
            != self.issuer
        {
            return Err(BadToken::Issuer);
        }
        let is_meant = |audience: &Value| audience.as_str() == Some(self.audience.as_str());
        let meant = match present(claims.aud.as_ref(), "aud")? {
            Value::String(audience) => *audience == self.audience,
            Value::Array(audiences) => audiences.iter().any(is_meant),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err(BadToken::Claim("aud"));
            }
        };
        if !meant {
            return Err(BadToken::Audience);
        }
        let exp = time(present(claims.exp.as_ref(), "exp")?).ok_or(BadToken::Claim("exp"))?;
        let until = exp.checked_add(LEEWAY).ok_or(BadToken::Claim("exp"))?;
        if until <= now {
            return Err(BadToken::Expired);
        }
        if let Some(nbf) = &claims.nbf {
            let nbf = time(nbf).ok_or(BadToken::Claim("nbf"))?;
            if now.checked_add(LEEWAY).is_some_and(|latest| latest < nbf) {
                return Err(BadToken::NotYet);
            }
        }
        let sub = present(claims.sub.as_ref(), "sub")?.as_str();
        let id = sub.and_then(|sub| CallerId::parse(sub).ok());
        let id = id.ok_or(BadToken::Claim("sub"))?;
        Ok(Proved { id, until })
    }
}

fn header(token: &str) -> Result<Header, BadToken> {
    if token.len() > MAX_TOKEN {
        return Err(BadToken::TooLong);
    }
    let parts = token.split_once('.');
    let (header, rest) = parts.ok_or(BadToken::Malformed)?;
    if rest.split('.').count() != 2 {
        return Err(BadToken::Malformed);
    }
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header = header.and_then(|json| serde_json::from_slice(&json).ok());
    header.ok_or(BadToken::Malformed)
}

/// The claims of a token that `key` has signed.
fn signed(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, BadToken> {
    let mut validation = Validation::new(algorithm);
    // The claims are judged here: the library takes the time of day from elsewhere, and does not
    // say which of several claims is missing.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    match jsonwebtoken::decode(token, key, &validation) {
        Ok(token) => Ok(token.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
            Err(BadToken::Signature)
        }
        Err(_unreadable) => Err(BadToken::Malformed),
    }
}

fn present<'c>(claim: Option<&'c Value>, name: &'static str) -> Result<&'c Value, BadToken> {
    claim.ok_or(BadToken::Missing(name))
}

/// Seconds since 1970, whole or not.
fn time(value: &Value) -> Option<SystemTime> {
    let since = match value.as_u64() {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::try_from_secs_f64(value.as_f64()?).ok()?,
    };
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn judged(name: &str, value: Value) -> Result<Proved, BadToken> {
        let mut claims = json!({
            "iss": "https://issuer.example",
            "aud": "portcullis",
            "sub": "system:serviceaccount:portal:web",
            "exp": NOW + 600,
        });
        claims[name] = value;
        let verifier = TokenVerifier::new("https://issuer.example", "portcullis");
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        verifier.judge(&serde_json::from_value(claims).unwrap(), now)
    }

    #[test]
    fn each_claim_is_needed_and_judged() {
        use BadToken as Bad;
        let huge = json!(u64::MAX);
        for (name, value, want) in [
            ("iss", json!(null), Some(Bad::Missing("iss"))),
            ("iss", json!("https://issuer.example/"), Some(Bad::Issuer)),
            (
                "iss",
                json!(["https://issuer.example"]),
                Some(Bad::Claim("iss")),
            ),
            ("aud", json!(null), Some(Bad::Missing("aud"))),
            ("aud", json!("portcullis"), None),
            ("aud", json!(["other", "portcullis"]), None),
            ("aud", json!("other"), Some(Bad::Audience)),
            ("aud", json!("portcullis2"), Some(Bad::Audience)),
            ("aud", json!(["other", 7]), Some(Bad::Audience)),
            ("aud", json!([]), Some(Bad::Audience)),
            ("aud", json!({"portcullis": true}), Some(Bad::Claim("aud"))),
            ("sub", json!(null), Some(Bad::Missing("sub"))),
            ("sub", json!(""), Some(Bad::Claim("sub"))),
            ("sub", json!("a b"), Some(Bad::Claim("sub"))),
            ("sub", json!("a\u{7f}"), Some(Bad::Claim("sub"))),
            ("sub", json!("a".repeat(2049)), Some(Bad::Claim("sub"))),
            ("sub", json!(7), Some(Bad::Claim("sub"))),
            ("exp", json!(null), Some(Bad::Missing("exp"))),
            ("exp", json!(NOW - 29), None),
            ("exp", json!(NOW as f64 - 29.5), None),
            ("exp", json!(NOW - 30), Some(Bad::Expired)),
            ("exp", json!(0), Some(Bad::Expired)),
            ("exp", json!(-1), Some(Bad::Claim("exp"))),
            ("exp", json!("1900000000"), Some(Bad::Claim("exp"))),
            ("exp", huge.clone(), Some(Bad::Claim("exp"))),
            ("exp", json!(1e300), Some(Bad::Claim("exp"))),
            ("nbf", json!(NOW), None),
            ("nbf", json!(NOW + 30), None),
            ("nbf", json!(NOW + 31), Some(Bad::NotYet)),
            ("nbf", json!("now"), Some(Bad::Claim("nbf"))),
            ("nbf", huge, Some(Bad::Claim("nbf"))),
            ("iat", json!(NOW + 999), None),
        ] {
            let proved = judged(name, value.clone());
            assert_eq!(proved.err(), want, "{name}: {value}");
        }
    }

    #[test]
    fn it_proves_its_subject_until_it_expires() {
        let proved = judged("exp", json!(NOW + 60)).unwrap();
        assert_eq!(proved.id.as_str(), "system:serviceaccount:portal:web");
        assert_eq!(proved.until, UNIX_EPOCH + Duration::from_secs(NOW + 90));
    }
}
