//! Files that are replaced by what cannot be used: what was there goes on, one line says so, and none
//! of it is told.

use std::path::Path;
use std::time::Duration;

use tonic::Code;

use crate::support::process::Process;
use crate::support::tokens::{AUDIENCE, ISSUER};
use crate::support::within;
use crate::world::{By, CALLERS, CHECK, MALFORMED, World, ask};

/// The flags of a service that wants certificates or tokens.
pub(crate) fn flags(world: &World, jwks: &str) -> Vec<String> {
    let file = |name: &str| world.path(name).display().to_string();
    vec![
        "--auth=mtls,jwt".to_owned(),
        format!("--tls-cert={}", file("server.pem")),
        format!("--tls-key={}", file("server.key")),
        format!("--tls-client-ca={}", file("clients.pem")),
        format!("--callers={}", file("callers.yaml")),
        format!("--jwt-issuer={ISSUER}"),
        format!("--jwt-audience={AUDIENCE}"),
        format!("--jwt-jwks={jwks}"),
    ]
}

pub(crate) fn start(world: &World, jwks: &str, more: &[&str], folder: &Path) -> Process {
    let flags = flags(world, jwks);
    let flags: Vec<_> = flags
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    Process::start(&flags, &[], folder)
}

/// Waits for so many lines with `text`.
async fn logged(process: &Process, text: &str, count: usize) {
    let lines = async {
        while process.log().matches(text).count() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(text, lines).await;
}

#[tokio::test]
async fn what_cannot_be_read_again_is_told_once_and_what_was_there_goes_on() {
    const REFUSED: &str = "cannot be read again";
    const TAKEN: &str = "read again ";
    let world = World::new();
    let process = start(
        &world,
        world.path("jwks.json").to_str().unwrap(),
        &[],
        world.folder.path(),
    );
    let identity = world.client("check");
    let token = [world.bearer("portal:check")];
    let secret = "hush-hush-hush";
    let broken_key = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    let other_key = world.servers.server(&["localhost"]).key;
    let before = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    let mut refused = 0;
    for (name, broken) in [
        (
            "callers.yaml",
            format!("callers:\n  - {{ id: x, roles: [cheque], note: {secret} }}\n"),
        ),
        ("callers.yaml", String::new()),
        ("callers.yaml", "callers: []".to_owned()),
        (
            "jwks.json",
            format!("{{\"keys\": [{{\"kty\": \"oct\", \"k\": \"{secret}\"}}]}}"),
        ),
        ("jwks.json", secret.to_owned()),
        ("clients.pem", secret.to_owned()),
        ("server.pem", secret.to_owned()),
        ("server.key", broken_key),
        ("server.key", other_key),
    ] {
        let sound = before(name);
        world.write(name, &broken);
        refused += 1;
        logged(&process, REFUSED, refused).await;
        let connection = world.connect(process.grpc, Some(&identity)).await;
        for shown in [&[][..], &token] {
            let (status, _) = ask(&connection, CHECK, shown, MALFORMED).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{name}: {broken}");
        }
        // Not said again, though it is looked at: nothing happens for the time of two looks.
        if refused == 1 {
            tokio::time::sleep(Duration::from_millis(2200)).await;
        }
        world.write(name, &sound);
        logged(&process, TAKEN, refused).await;
        assert_eq!(
            process.log().matches(REFUSED).count(),
            refused,
            "{}",
            process.log()
        );
    }
    // One that is gone is told too.
    std::fs::remove_file(world.path("callers.yaml")).unwrap();
    logged(&process, REFUSED, refused + 1).await;
    let connection = world.connect(process.grpc, Some(&identity)).await;
    let (status, _) = ask(&connection, CHECK, &[], MALFORMED).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    world.write("callers.yaml", CALLERS);
    let log = process.log();
    assert!(log.contains("failures=4"), "{log}");
    for part in [secret, "PRIVATE KEY-----\n"] {
        assert!(!log.contains(part), "{log}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_ends_none() {
    let world = World::new();
    let server = world.serve(By::Either).await;
    let identity = world.client("check");
    let open = world.connect(server.grpc, Some(&identity)).await;
    let new = world.servers.server(&["localhost"]);
    world.serve_as(&new);
    let rotated = async {
        while world.shown(server.grpc).await != new.der {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the new certificate", rotated).await;
    let fresh = world.connect(server.grpc, Some(&identity)).await;
    for connection in [&open, &fresh] {
        let (status, _) = ask(connection, CHECK, &[], MALFORMED).await;
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}
