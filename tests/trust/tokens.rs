//! Tokens that prove nothing, each in its own way, though each would be an admin's.

use http::HeaderValue;
use ring::hmac;
use serde_json::{Value, json};

use crate::support::tokens::{Issuer, encode, message, seconds_now};
use crate::world::{World, bearer, service_account};

/// Kinds of callers, with the `authorization` headers that they show.
pub(crate) fn bad_tokens(world: &World) -> Vec<(String, Vec<HeaderValue>)> {
    let mut bad = malformed_headers(world);
    let tokens = unsigned(world).into_iter().chain(untrue(world));
    bad.extend(tokens.map(|(name, token)| (name, vec![bearer(&token)])));
    bad
}

fn good(world: &World) -> String {
    world.issuer.token_of(&service_account("portal:admin"))
}

fn claims() -> Value {
    Issuer::claims(&service_account("portal:admin"))
}

fn malformed_headers(world: &World) -> Vec<(String, Vec<HeaderValue>)> {
    let good = good(world);
    let text = |text: String| HeaderValue::try_from(text).unwrap();
    let one = |name: &str, value: String| (name.to_owned(), vec![text(value)]);
    vec![
        ("no header".to_owned(), vec![]),
        one("empty", String::new()),
        one("no token", "Bearer".to_owned()),
        one("an empty token", "Bearer ".to_owned()),
        one("Basic", "Basic YWRtaW46YWRtaW4=".to_owned()),
        one("garbage", "Bearer garbage".to_owned()),
        one("three parts of garbage", "Bearer a.b.c".to_owned()),
        one("no scheme", good.clone()),
        one("another scheme", format!("DPoP {good}")),
        one("a tab", format!("Bearer\t{good}")),
        one("two spaces", format!("Bearer  {good}")),
        one("a token and more", format!("Bearer {good} {good}")),
        one("two by comma", format!("Bearer {good}, Bearer {good}")),
        ("two headers".to_owned(), vec![bearer(&good), bearer(&good)]),
        (
            "a good header and Basic".to_owned(),
            vec![bearer(&good), text("Basic YWRtaW46YWRtaW4=".to_owned())],
        ),
        (
            "a header that is not ASCII".to_owned(),
            vec![HeaderValue::from_bytes(b"Bearer \xc3\xa9.a.b").unwrap()],
        ),
    ]
}

/// Not signed by the issuer.
fn unsigned(world: &World) -> Vec<(String, String)> {
    let issuer = &world.issuer;
    let (good, kid) = (good(world), issuer.kid());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let header = |algorithm: &str| json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
    let by_secret = |secret: &[u8]| {
        let message = message(&header("HS256"), &claims());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!(
            "{message}.{}",
            encode(hmac::sign(&key, message.as_bytes()).as_ref())
        )
    };
    let none = |name: &str| message(&header(name), &claims());
    let other = issuer.token_of(&service_account("portal:check"));
    let mut damaged = signature.to_owned().into_bytes();
    damaged[10] = if damaged[10] == b'A' { b'B' } else { b'A' };
    let damaged = String::from_utf8(damaged).unwrap();
    [
        ("`none`", format!("{}.", none("none"))),
        (
            "`NoNe` and a signature",
            format!("{}.{signature}", none("NoNe")),
        ),
        ("HS256 by the public key", by_secret(&issuer.public_key())),
        ("HS256 by the JWK Set", by_secret(issuer.jwks().as_bytes())),
        (
            "RS256 by a P-256 key",
            issuer.token_with(&header("RS256"), &claims()),
        ),
        ("a damaged signature", format!("{signed}.{damaged}")),
        ("no signature", format!("{signed}.")),
        ("two parts", signed.to_owned()),
        (
            "the signature of another token",
            format!("{signed}.{}", other.rsplit_once('.').unwrap().1),
        ),
        (
            "another key of the same name",
            Issuer::new().token_of(&service_account("portal:admin")),
        ),
        (
            "an unknown key",
            issuer.token_with(&json!({"alg": "ES256", "kid": "key-9"}), &claims()),
        ),
        (
            "a critical header",
            issuer.token_with(
                &json!({"alg": "ES256", "kid": kid, "crit": ["b64"]}),
                &claims(),
            ),
        ),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .to_vec()
}

/// Signed by the issuer, with claims that do not do.
fn untrue(world: &World) -> Vec<(String, String)> {
    let now = seconds_now();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        world.issuer.token(&claims)
    };
    let mut untrue = [
        ("expired", with("exp", json!(now - 60))),
        ("not yet valid", with("nbf", json!(now + 3600))),
        (
            "another issuer",
            with("iss", json!("https://issuer.example/")),
        ),
        ("another audience", with("aud", json!(["portcullis2"]))),
        ("a subject of spaces", with("sub", json!("  "))),
        ("oversized", with("more", json!("a".repeat(6 << 10)))),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .to_vec();
    for name in ["iss", "aud", "exp", "sub"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        untrue.push((format!("no `{name}`"), world.issuer.token(&claims)));
    }
    untrue
}
