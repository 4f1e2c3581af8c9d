//! Callers who may not go on: roles taken away, tokens that expire, keys that are gone. What they
//! have open ends, and what they call on the same connection is refused.

use std::time::Duration;

use http::HeaderValue;
use portcullis::callers::AuthConfig;
use portcullis::callers::JwksSource;
use prost::Message as _;
use serde_json::json;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::support::http2::Connection;
use crate::support::jwks::{Answer, JwksServer};
use crate::support::policies::{self, direct, put};
use crate::support::refused::{because, refused};
use crate::support::server::Server;
use crate::support::tokens::{Issuer, seconds_now};
use crate::support::within;
use crate::world::{
    By, CALLERS, CHECK, MALFORMED, PUT, Watching, World, ask, bearer, service_account,
};

/// How long files may take to be noticed: they are looked at once a second, on a busy machine.
const SOON: Duration = Duration::from_secs(4);

/// Calls until it is answered with `want`, which takes this long. Not so often that the connection is
/// ended for calls without a proof.
async fn until(connection: &Connection, shown: &[HeaderValue], want: Code) -> Duration {
    let begun = Instant::now();
    let calls = async {
        while ask(connection, CHECK, shown, MALFORMED).await.0.code() != want {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    within("another answer", calls).await;
    begun.elapsed()
}

fn lacks_a_role(status: &Status) {
    assert_eq!(
        refused(status),
        because(Code::PermissionDenied, "ROLE_MISSING")
    );
}

fn is_unknown(status: &Status) {
    assert_eq!(
        refused(status),
        because(Code::Unauthenticated, "CALLER_UNKNOWN")
    );
}

#[tokio::test]
async fn a_role_that_is_taken_away_ends_streams_and_calls_of_its_callers_alone() {
    let world = World::new();
    let server = world.serve(By::Either).await;
    let certified = world
        .connect(server.grpc, Some(&world.client("check")))
        .await;
    let other = world
        .connect(server.grpc, Some(&world.client("read")))
        .await;
    let token = [world.bearer("web:api")];
    let kept = [world.bearer("portal:check")];
    let of_certificate = Watching::begin(&certified, &[]).await;
    // Two callers on one connection.
    let of_token = Watching::begin(&other, &token).await;
    let mut of_kept = Watching::begin(&other, &kept).await;
    let mut of_other = Watching::begin(&other, &[]).await;
    let lines = CALLERS
        .lines()
        .filter(|line| !line.contains("example/check") && !line.contains("web:*"));
    world.write("callers.yaml", &lines.collect::<Vec<_>>().join("\n"));
    let taken = until(&certified, &[], Code::PermissionDenied).await;
    assert!(taken < SOON, "{taken:?}");
    until(&other, &token, Code::PermissionDenied).await;
    lacks_a_role(&of_certificate.end().await);
    lacks_a_role(&of_token.end().await);
    println!("a role that is taken away is gone within {taken:?}");
    // Those of others go on: they hear of a change.
    let admin = [world.bearer("portal:admin")];
    let message = put(direct("new")).encode_to_vec();
    assert_eq!(ask(&other, PUT, &admin, &message).await.0.code(), Code::Ok);
    assert!(of_kept.next().await.is_some() && of_other.next().await.is_some());
    world.write("callers.yaml", CALLERS);
    until(&certified, &[], Code::InvalidArgument).await;
    until(&other, &token, Code::InvalidArgument).await;
    Watching::begin(&certified, &[]).await;
    Watching::begin(&other, &token).await;
}

#[tokio::test]
async fn a_token_that_expires_ends_its_stream_and_proves_no_further_call() {
    let world = World::new();
    let server = world.serve(By::Tokens).await;
    let connection = world.connect(server.grpc, None).await;
    // Clocks may be apart by 30 s: it is taken for another two or three.
    let mut claims = Issuer::claims(&service_account("portal:check"));
    claims["exp"] = json!(seconds_now() - 27);
    let (short, long) = (
        [bearer(&world.issuer.token(&claims))],
        [world.bearer("portal:check")],
    );
    let watching = Watching::begin(&connection, &short).await;
    let (status, _) = ask(&connection, CHECK, &short, MALFORMED).await;
    assert_eq!(status.code(), Code::InvalidArgument, "it is good still");
    is_unknown(&watching.end().await);
    let (status, _) = ask(&connection, CHECK, &short, MALFORMED).await;
    is_unknown(&status);
    assert!(status.message().ends_with("the token has expired"));
    let (status, _) = ask(&connection, CHECK, &long, MALFORMED).await;
    assert_eq!(status.code(), Code::InvalidArgument, "of the next token");
}

#[tokio::test]
async fn keys_in_a_file_are_replaced() {
    let world = World::new();
    let server = world.serve(By::Tokens).await;
    let connection = world.connect(server.grpc, None).await;
    let mut issuer = Issuer::new();
    let old = [world.bearer("portal:check")];
    issuer.rotate();
    let new = [bearer(&issuer.token_of(&service_account("portal:check")))];
    let watching = Watching::begin(&connection, &old).await;
    is_unknown(&ask(&connection, CHECK, &new, MALFORMED).await.0);
    // With the key of the old token gone, although it was remembered and is in its time.
    world.write("jwks.json", &issuer.jwks());
    assert!(until(&connection, &new, Code::InvalidArgument).await < SOON);
    until(&connection, &old, Code::Unauthenticated).await;
    is_unknown(&watching.end().await);
}

/// A service that asks an address for keys, and the server there.
async fn by_url(world: &World) -> (Server, JwksServer) {
    let keys = JwksServer::plain(Answer::Keys {
        body: world.issuer.jwks(),
        etag: None,
    });
    let mut config = world.config(policies::world(), By::Tokens);
    if let AuthConfig::Proved { jwt: Some(jwt), .. } = &mut config.auth {
        jwt.jwks = JwksSource::Url {
            url: keys.url.clone(),
            ca: None,
            token_file: None,
        };
    }
    (Server::start(config).await, keys)
}

#[tokio::test]
async fn keys_at_an_address_are_replaced_when_a_token_names_a_new_one() {
    let mut world = World::new();
    let (server, keys) = by_url(&world).await;
    let connection = world.connect(server.grpc, None).await;
    let old = [world.bearer("portal:check")];
    until(&connection, &old, Code::InvalidArgument).await;
    let watching = Watching::begin(&connection, &old).await;
    world.issuer.rotate();
    let new = [world.bearer("portal:check")];
    // The address is down: what is known goes on, and the new key is not.
    keys.answers(Answer::Status(500, ""));
    is_unknown(&ask(&connection, CHECK, &new, MALFORMED).await.0);
    let (status, _) = ask(&connection, CHECK, &old, MALFORMED).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    // It answers again, with the new key alone.
    let set: serde_json::Value = serde_json::from_str(&world.issuer.jwks()).unwrap();
    let body = json!({"keys": [set["keys"][1]]}).to_string();
    keys.answers(Answer::Keys { body, etag: None });
    until(&connection, &new, Code::InvalidArgument).await;
    until(&connection, &old, Code::Unauthenticated).await;
    is_unknown(&watching.end().await);
}
