//! What is printed: never a token, a part of one, or a key.

use std::process::Command;

use tonic::Code;

use crate::reload::{flags, start};
use crate::support::http2::Connection;
use crate::support::jwks::{Answer, JwksServer};
use crate::support::probe;
use crate::support::tokens::encode;
use crate::tokens::bad_tokens;
use crate::world::{CHECK, MALFORMED, PUT, Watching, World, ask};

/// Texts that nobody may read, with what each is of.
#[derive(Debug, Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, text: &str) {
        // What is short is in many texts.
        if text.len() >= 16 {
            self.0.push((name.to_owned(), text.to_owned()));
        }
    }

    /// A token, its parts, and what a log might make of them.
    fn add_token(&mut self, name: &str, token: &str) {
        self.add(name, token);
        for part in token.split('.') {
            self.add(name, part);
        }
        self.add(name, &encode(token.as_bytes()));
        let hexadecimal = |byte: &u8| format!("{byte:02x}");
        let start: String = token.as_bytes().iter().take(40).map(hexadecimal).collect();
        self.add(name, &start);
    }

    fn add_key(&mut self, name: &str, pem: &str) {
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        lines.for_each(|line| self.add(name, line));
    }

    fn are_not_in(&self, what: &str, text: &str) {
        assert!(self.0.len() > 5);
        for (name, secret) in &self.0 {
            assert!(!text.contains(secret), "{name} is in {what}");
        }
    }
}

/// What a run of `serve` that cannot begin prints.
fn refused(arguments: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args([
            "serve",
            "--listen=127.0.0.1:0",
            "--http-listen=127.0.0.1:0",
            "--log=trace,h2=trace",
        ])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    let printed = [output.stdout, output.stderr].concat();
    String::from_utf8(printed).unwrap()
}

#[tokio::test]
async fn no_token_and_no_key_is_logged_even_where_everything_is() {
    let world = World::new();
    let mut secrets = Secrets::default();
    let keys = JwksServer::plain(Answer::Keys {
        body: world.issuer.jwks(),
        etag: None,
    });
    let jwks_token = "eyJhbGciOiJub25lIn0.c2VjcmV0LW9mLWt1YmVybmV0ZXM.c2lnbmF0dXJlLW9mLWl0";
    secrets.add_token("the token for keys", jwks_token);
    world.write("jwks.token", jwks_token);
    let server_key = std::fs::read_to_string(world.path("server.key")).unwrap();
    secrets.add_key("the server's key", &server_key);
    let url = format!("{}?secret=hush-hush-hush-hush", keys.url);
    secrets.add("the query", "hush-hush-hush-hush");
    let file = format!(
        "--jwt-jwks-token-file={}",
        world.path("jwks.token").display()
    );
    let process = start(
        &world,
        &url,
        &["--log=trace,h2=trace", &file],
        world.folder.path(),
    );
    probe::until_ready(process.http).await;

    let identity = world.client("admin");
    secrets.add_key("the client's key", &identity.key);
    let certified = world.connect(process.grpc, Some(&identity)).await;
    let good = [world.bearer("portal:admin")];
    // Keys are asked for from the start on; the token waits for them where they are not there yet.
    called(&certified, &good, Code::InvalidArgument).await;
    let watching = Watching::begin(&certified, &good).await;
    let mut shown: Vec<_> = bad_tokens(&world);
    shown.push(("a good token".to_owned(), good.to_vec()));
    for (name, values) in &shown {
        for value in values {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split([' ', ',', '\t'])
                .for_each(|token| secrets.add_token(name, token));
        }
        let connection = world.connect(process.grpc, None).await;
        for path in [CHECK, PUT] {
            let (status, _) = ask(&connection, path, values, MALFORMED).await;
            secrets.are_not_in("an error", &format!("{status:?}"));
        }
    }
    assert!(
        keys.heads()
            .iter()
            .any(|head| head.contains("secret=") && head.contains("bearer"))
    );
    keys.answers(Answer::Status(500, ""));
    drop(watching);
    for path in ["/readyz?verbose", "/livez"] {
        secrets.are_not_in(path, &probe::ask(process.http, "GET", path).await.2);
    }
    let log = process.log();
    // It is about all of it: the frames of HTTP/2 and the handshakes are in it.
    for target in [" TRACE ", "h2::codec", "rustls::server"] {
        assert!(log.contains(target), "{target}, in {} bytes", log.len());
    }
    println!("{} bytes of log, {} secrets", log.len(), secrets.0.len());
    secrets.are_not_in("the log", &log);
}

async fn called(connection: &Connection, shown: &[http::HeaderValue], want: Code) {
    let (status, _) = ask(connection, PUT, shown, MALFORMED).await;
    assert_eq!(status.code(), want, "{status:?}");
}

#[test]
fn what_is_given_in_the_wrong_place_is_not_printed() {
    let world = World::new();
    let mut secrets = Secrets::default();
    let token = world.issuer.token_of("system:serviceaccount:portal:admin");
    let key = std::fs::read_to_string(world.path("server.key")).unwrap();
    let cert = std::fs::read_to_string(world.path("server.pem")).unwrap();
    secrets.add_token("the token", &token);
    secrets.add_key("the key", &key);
    secrets.add("the password", "hush-hush-hush-hush");
    world.write("token", &token);
    world.write("two-tokens", &format!("{token}\n{token}\n"));
    world.write("both.pem", &format!("{key}{cert}"));
    let cut: String = key.chars().take(key.len() / 2).collect();
    world.write("cut.key", &cut);
    world.write(
        "key.yaml",
        &format!("callers: [{{ id: x, roles: [check], key: \"{}\" }}]", token),
    );
    let jwks = world.path("jwks.json").display().to_string();
    let at = |name: &str| world.path(name).display().to_string();
    for (flag, value) in [
        ("--tls-cert", at("server.key")),
        ("--tls-cert", at("token")),
        ("--tls-key", at("token")),
        ("--tls-key", at("cut.key")),
        ("--tls-key", at("server.pem")),
        ("--tls-client-ca", at("server.key")),
        ("--tls-client-ca", at("token")),
        ("--callers", at("token")),
        ("--callers", at("server.key")),
        ("--callers", at("both.pem")),
        ("--callers", at("key.yaml")),
        ("--jwt-jwks", at("token")),
        ("--jwt-jwks", at("server.key")),
        (
            "--jwt-jwks",
            format!("https://me:hush-hush-hush-hush@localhost/{token}"),
        ),
        (
            "--jwt-jwks",
            format!("http://issuer.example/keys?token={token}"),
        ),
        ("--jwt-jwks", format!("https://local host/{token}")),
    ] {
        let mut arguments = flags(&world, &jwks);
        let flag = format!("{flag}=");
        arguments.retain(|argument| !argument.starts_with(&flag));
        arguments.push(format!("{flag}{value}"));
        let printed = refused(&arguments);
        assert!(!printed.trim().is_empty());
        secrets.are_not_in(&format!("what {flag} prints of {value}"), &printed);
    }
    // The address is one that may be asked, its token none that may be shown.
    let mut arguments = flags(&world, "https://localhost:1/keys");
    arguments.push(format!("--jwt-jwks-token-file={}", at("two-tokens")));
    arguments.push(format!("--jwt-jwks-ca={}", at("servers.pem")));
    let printed = refused(&arguments);
    secrets.are_not_in("what a token of two lines prints", &printed);
}
