//! Tokens good and bad, judged by the keys of their issuer.

use std::time::{Duration, UNIX_EPOCH};

use portcullis::callers::BadToken;
use portcullis::callers::token::{KeySet, LEEWAY, MAX_TOKEN, TokenVerifier};
use portcullis::clock::time_of_day;
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

use crate::support::tokens::{AUDIENCE, ISSUER, Issuer, encode, message, seconds_now};

const SUBJECT: &str = "system:serviceaccount:portal:web";

fn judge(token: &str, issuer: &Issuer) -> Result<String, BadToken> {
    let keys = KeySet::parse(issuer.jwks().as_bytes()).unwrap();
    let verifier = TokenVerifier::new(ISSUER, AUDIENCE);
    let proved = verifier.verify(token, Some(&keys), time_of_day())?;
    Ok(proved.id.as_str().to_owned())
}

#[test]
fn a_token_of_each_algorithm_proves_its_subject() {
    for algorithm in [
        "ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    ] {
        let issuer = Issuer::of(algorithm);
        let header = json!({"alg": algorithm, "kid": issuer.kid(), "typ": "JWT"});
        let token = issuer.token_with(&header, &Issuer::claims(SUBJECT));
        assert_eq!(
            judge(&token, &issuer).as_deref(),
            Ok(SUBJECT),
            "{algorithm}"
        );
        let other = Issuer::new();
        let header = json!({"alg": algorithm, "kid": other.kid()});
        let token = other.token_with(&header, &Issuer::claims(SUBJECT));
        assert!(judge(&token, &issuer).is_err(), "{algorithm}");
    }
}

#[test]
fn the_example_of_the_standard_has_a_good_signature() {
    // RFC 7515, appendix A.2: of one who says neither for whom nor about whom.
    let token = concat!(
        "eyJhbGciOiJSUzI1NiJ9",
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7",
        "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4",
        "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K",
        "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv",
        "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB",
        "p0igcN_IoypGlUPQGe77Rw",
    );
    let keys = KeySet::parse(Issuer::of("RS256").jwks().as_bytes()).unwrap();
    let then = UNIX_EPOCH + Duration::from_secs(1_300_000_000);
    let judge = |token: &str| TokenVerifier::new("joe", "any").verify(token, Some(&keys), then);
    assert_eq!(judge(token), Err(BadToken::Missing("aud")));
    let other = token.replace(".cC4hiUPoj9E", ".cC4hiUPoj9F");
    assert_eq!(judge(&other), Err(BadToken::Signature));
}

#[test]
fn a_claim_that_is_missing_or_wrong_is_named() {
    let issuer = Issuer::new();
    let now = seconds_now();
    for (name, value, want) in [
        ("iss", Value::Null, BadToken::Missing("iss")),
        ("aud", Value::Null, BadToken::Missing("aud")),
        ("exp", Value::Null, BadToken::Missing("exp")),
        ("sub", Value::Null, BadToken::Missing("sub")),
        ("iss", json!("https://other.example"), BadToken::Issuer),
        ("aud", json!("other"), BadToken::Audience),
        ("exp", json!(now - LEEWAY.as_secs() - 1), BadToken::Expired),
        ("nbf", json!(now + LEEWAY.as_secs() + 60), BadToken::NotYet),
        ("sub", json!(""), BadToken::Claim("sub")),
        ("sub", json!(" web"), BadToken::Claim("sub")),
    ] {
        let mut claims = Issuer::claims(SUBJECT);
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(judge(&issuer.token(&claims), &issuer), Err(want), "{name}");
    }
}

#[test]
fn a_header_that_asks_for_less_is_refused() {
    let issuer = Issuer::of("RS256");
    let claims = Issuer::claims(SUBJECT);
    let kid = issuer.kid();
    for (header, want) in [
        (json!({"alg": "none", "kid": kid}), BadToken::Algorithm),
        (json!({"alg": "None", "kid": kid}), BadToken::Algorithm),
        (json!({"alg": "", "kid": kid}), BadToken::Algorithm),
        (json!({"alg": "HS256", "kid": kid}), BadToken::Algorithm),
        (json!({"alg": "rs256", "kid": kid}), BadToken::Algorithm),
        (json!({"alg": "RS1", "kid": kid}), BadToken::Algorithm),
        (
            json!({"alg": "ES256", "kid": kid}),
            BadToken::OtherAlgorithm,
        ),
        (
            json!({"alg": "EdDSA", "kid": kid}),
            BadToken::OtherAlgorithm,
        ),
        (
            json!({"alg": "PS256", "kid": "key-9"}),
            BadToken::UnknownKey,
        ),
        (json!({"alg": "ES256"}), BadToken::UnnamedKey),
        (
            json!({"alg": "RS256", "kid": kid, "crit": ["exp"]}),
            BadToken::Critical,
        ),
        (
            json!({"alg": "RS256", "kid": kid, "crit": []}),
            BadToken::Critical,
        ),
        (json!({"alg": "RS256", "kid": 1}), BadToken::Malformed),
        (json!({"alg": ["RS256"], "kid": kid}), BadToken::Malformed),
        (json!({"kid": kid}), BadToken::Malformed),
        (json!("RS256"), BadToken::Malformed),
    ] {
        let token = issuer.token_with(&header, &claims);
        assert_eq!(judge(&token, &issuer), Err(want), "{header}");
        let unsigned = format!("{}.", message(&header, &claims));
        assert!(judge(&unsigned, &issuer).is_err(), "{header}");
    }
    let unnamed = issuer.token_with(&json!({"alg": "RS256"}), &claims);
    assert_eq!(judge(&unnamed, &issuer).as_deref(), Ok(SUBJECT));
    // With a key of its own, which has to be of no matter.
    let own: Value = serde_json::from_str(&Issuer::of("RS256").jwks()).unwrap();
    let mut forged = Issuer::new();
    forged.rotate();
    let header = json!({"alg": "RS256", "kid": kid, "jwk": own["keys"][0], "jku": "https://a"});
    assert!(judge(&forged.token_with(&header, &claims), &issuer).is_err());
}

#[test]
fn a_public_key_is_no_secret() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let issuer = Issuer::of(algorithm);
        let jwks: Value = serde_json::from_str(&issuer.jwks()).unwrap();
        let secrets = [
            issuer.public_key(),
            issuer.jwks().into_bytes(),
            jwks["keys"][0].to_string().into_bytes(),
        ];
        for secret in secrets {
            for kid in [json!(issuer.kid()), Value::Null] {
                let header = json!({"alg": "HS256", "kid": kid});
                let message = message(&header, &Issuer::claims(SUBJECT));
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                let tag = hmac::sign(&key, message.as_bytes());
                let token = format!("{message}.{}", encode(tag.as_ref()));
                assert_eq!(judge(&token, &issuer), Err(BadToken::Algorithm));
            }
        }
    }
}

#[test]
fn what_is_no_token_is_refused_and_not_repeated() {
    let issuer = Issuer::new();
    let token = issuer.token_of(SUBJECT);
    let parts: Vec<_> = token.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let other = issuer.token_of("system:serviceaccount:portal:admin");
    let twice = encode(br#"{"alg":"ES256","kid":"key-1","alg":"none"}"#);
    let long = issuer.token_of(&"a".repeat(MAX_TOKEN));
    for (bad, want) in [
        (String::new(), BadToken::Malformed),
        ("..".into(), BadToken::Malformed),
        ("token".into(), BadToken::Malformed),
        (format!("{header}.{claims}"), BadToken::Malformed),
        (format!("{header}.{claims}."), BadToken::Signature),
        (format!("{token}."), BadToken::Malformed),
        (format!("{token}.{signature}"), BadToken::Malformed),
        (format!(" {token}"), BadToken::Malformed),
        (format!("{token}="), BadToken::Malformed),
        (format!("Bearer {token}"), BadToken::Malformed),
        (
            format!("{header}.{claims}.{}", signature.get(1..).unwrap()),
            BadToken::Malformed,
        ),
        (
            format!("{header}.{claims}.{}", signature.get(4..).unwrap()),
            BadToken::Signature,
        ),
        (
            token.replace(claims, other.split('.').nth(1).unwrap()),
            BadToken::Signature,
        ),
        (token.replace(header, &twice), BadToken::Malformed),
        (long, BadToken::TooLong),
    ] {
        let refused = judge(&bad, &issuer).unwrap_err();
        assert_eq!(refused, want, "{bad}");
        let said = refused.to_string();
        for part in bad.split('.').filter(|part| part.len() > 5) {
            assert!(!said.contains(part), "{said}");
        }
    }
    let keyless = TokenVerifier::new(ISSUER, AUDIENCE).verify(&token, None, time_of_day());
    assert_eq!(keyless, Err(BadToken::NoKeys));
}

#[test]
fn claims_that_stand_there_twice_are_refused() {
    let issuer = Issuer::new();
    let good = Issuer::claims(SUBJECT).to_string();
    let header = encode(
        json!({"alg": "ES256", "kid": "key-1"})
            .to_string()
            .as_bytes(),
    );
    let signed = |claims: &str| {
        // As text, since no map has a key twice.
        let message = format!("{header}.{}", encode(claims.as_bytes()));
        format!("{message}.{}", encode(&issuer.sign(message.as_bytes())))
    };
    assert_eq!(judge(&signed(&good), &issuer).as_deref(), Ok(SUBJECT));
    let twice = good.replacen('{', "{\"sub\":\"admin\",", 1);
    assert_eq!(judge(&signed(&twice), &issuer), Err(BadToken::Malformed));
    for claims in ["", "[]", "null", "7", "{", "{}{}"] {
        assert!(judge(&signed(claims), &issuer).is_err(), "{claims}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_pass(text in "\\PC{0,80}", b64 in "[A-Za-z0-9_.-]{0,200}") {
        let issuer = Issuer::new();
        prop_assert!(judge(&text, &issuer).is_err());
        prop_assert!(judge(&b64, &issuer).is_err());
    }

    #[test]
    fn no_damage_passes(place in 0..1000_usize, byte in 0x21..0x7f_u8) {
        let issuer = Issuer::new();
        let token = issuer.token_of(SUBJECT);
        let mut damaged = token.clone().into_bytes();
        let place = place % damaged.len();
        damaged[place] = byte;
        let damaged = String::from_utf8(damaged).unwrap();
        prop_assume!(damaged != token);
        prop_assert!(judge(&damaged, &issuer).is_err());
    }
}
