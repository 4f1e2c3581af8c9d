//! Keys from files and addresses: fresh, and where they cannot be had, those of before.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::callers::token::{Proved, Tokens};
use portcullis::callers::{BadToken, JwksSource, JwtConfig, Unproved};
use portcullis::clock::Moment;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::authority::Authority;
use crate::support::jwks::{Answer, JwksServer};
use crate::support::tokens::{AUDIENCE, ISSUER, Issuer};

const SUBJECT: &str = "system:serviceaccount:portal:web";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tokens, and the task that keeps their keys fresh.
struct Running {
    tokens: Arc<Tokens>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until the keys were replaced since somebody began to look.
async fn newer(mut generation: watch::Receiver<u64>) {
    let changed = timeout(PATIENCE, generation.changed()).await;
    changed.unwrap().unwrap();
}

fn start(jwks: JwksSource) -> anyhow::Result<Running> {
    let (tokens, task) = Tokens::start(&JwtConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks,
    })?;
    let task = tokio::spawn(task);
    Ok(Running { tokens, task })
}

fn asking(server: &JwksServer, ca: Option<PathBuf>, token_file: Option<PathBuf>) -> Running {
    let url = server.url.clone();
    start(JwksSource::Url {
        url,
        ca,
        token_file,
    })
    .unwrap()
}

fn keys_of(issuer: &Issuer) -> Answer {
    let body = issuer.jwks();
    Answer::Keys { body, etag: None }
}

impl Running {
    async fn judge(&self, issuer: &Issuer) -> Result<(), Unproved> {
        let Proved { id, .. } = self.tokens.verify(&issuer.token_of(SUBJECT)).await?;
        assert_eq!(id.as_str(), SUBJECT);
        Ok(())
    }

    /// Waits until `count` attempts have failed.
    async fn failed(&self, count: u64) {
        let failed = async {
            while self.tokens.failures() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, failed).await.unwrap();
    }
}

#[tokio::test]
async fn keys_in_a_file_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let missing = start(JwksSource::File(path.clone())).map(drop).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read `"));
    let mut issuer = Issuer::new();
    std::fs::write(&path, issuer.jwks()).unwrap();
    let running = start(JwksSource::File(path.clone())).unwrap();
    running.judge(&issuer).await.unwrap();
    issuer.rotate();
    let unknown = Err(BadToken::UnknownKey.into());
    assert_eq!(running.judge(&issuer).await, unknown);
    let generation = running.tokens.generation();
    std::fs::write(&path, issuer.jwks()).unwrap();
    newer(generation).await;
    running.judge(&issuer).await.unwrap();
    assert_eq!(running.tokens.generation_now(), 1);
    assert_eq!(running.tokens.failures(), 0);
}

#[tokio::test]
async fn keys_come_over_tls_from_the_authority_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let issuer = Issuer::new();
    let server = JwksServer::tls(keys_of(&issuer), &ours.server(&["localhost"]));
    let ca = ours.write(folder.path(), "ours");
    let token = folder.path().join("token");
    std::fs::write(&token, "hush\n").unwrap();
    let running = asking(&server, Some(ca), Some(token));
    running.judge(&issuer).await.unwrap();
    let head = server.heads().concat();
    assert!(
        head.contains("\r\nauthorization: bearer hush\r\n"),
        "{head}"
    );
    assert!(head.starts_with("get /keys http/1.1\r\n"), "{head}");

    let ca = other.write(folder.path(), "other");
    let running = asking(&server, Some(ca), None);
    assert_eq!(running.judge(&issuer).await, Err(BadToken::NoKeys.into()));
    running.failed(1).await;
    // Nor does the system know the authority, if it knows any.
    match start(JwksSource::Url {
        url: server.url.clone(),
        ca: None,
        token_file: None,
    }) {
        Ok(running) => {
            assert_eq!(running.judge(&issuer).await, Err(BadToken::NoKeys.into()));
        }
        Err(error) => assert!(error.to_string().contains("authorities were not found")),
    }
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn an_unknown_key_has_the_keys_asked_for_once_in_a_while() {
    let mut issuer = Issuer::new();
    let server = JwksServer::plain(keys_of(&issuer));
    let running = asking(&server, None, None);
    running.judge(&issuer).await.unwrap();
    assert_eq!(running.tokens.generation_now(), 1);
    issuer.rotate();
    server.answers(keys_of(&issuer));
    // As calls of one moment, on runtimes of their own.
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (tokens, token) = (running.tokens.clone(), issuer.token_of(SUBJECT));
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(tokens.verify(&token)).map(drop)
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(()));
    }
    assert_eq!(server.heads().len(), 2);
    assert_eq!(running.tokens.generation_now(), 2);
    // Whoever makes up keys makes no load, and does not wait.
    issuer.rotate();
    let begun = Moment::now();
    for _ in 0..50 {
        let unknown = Err(BadToken::UnknownKey.into());
        assert_eq!(running.judge(&issuer).await, unknown);
    }
    assert!(Moment::now().since(begun) < Duration::from_secs(2));
    assert_eq!(server.heads().len(), 2);
    assert_eq!(running.tokens.failures(), 0);
}

#[tokio::test]
async fn keys_that_are_known_are_not_sent_again() {
    let mut issuer = Issuer::new();
    let body = issuer.jwks();
    let etag = Some("\"one\"");
    let server = JwksServer::plain(Answer::Keys { body, etag });
    let running = asking(&server, None, None);
    running.judge(&issuer).await.unwrap();
    issuer.rotate();
    let unknown = Err(BadToken::UnknownKey.into());
    assert_eq!(running.judge(&issuer).await, unknown);
    let heads = server.heads();
    assert!(!heads[0].contains("if-none-match"), "{}", heads[0]);
    assert!(
        heads[1].contains("\r\nif-none-match: \"one\"\r\n"),
        "{}",
        heads[1]
    );
    assert_eq!(heads.len(), 2);
    assert_eq!(running.tokens.failures(), 0);
    assert_eq!(running.tokens.generation_now(), 1);
}

#[tokio::test]
async fn what_fails_leaves_the_keys_of_before() {
    let too_long = " ".repeat(2 << 20);
    let keys = |body: &str| Answer::Keys {
        body: body.to_owned(),
        etag: None,
    };
    for answer in [
        Answer::Status(500, ""),
        Answer::Status(404, ""),
        Answer::Status(204, ""),
        // Nobody has been told an `ETag`.
        Answer::Status(304, ""),
        Answer::Status(302, "location: /keys\r\n"),
        keys("{\"keys\": []}"),
        keys("<html>"),
        keys(""),
        keys(&too_long),
    ] {
        let mut issuer = Issuer::new();
        let server = JwksServer::plain(keys_of(&issuer));
        let running = asking(&server, None, None);
        running.judge(&issuer).await.unwrap();
        let old = issuer.token_of(SUBJECT);
        issuer.rotate();
        server.answers(answer.clone());
        let unknown = Err(BadToken::UnknownKey.into());
        assert_eq!(running.judge(&issuer).await, unknown, "{answer:?}");
        assert_eq!(running.tokens.failures(), 1, "{answer:?}");
        assert!(running.tokens.verify(&old).await.is_ok(), "{answer:?}");
        assert_eq!(running.tokens.generation_now(), 1, "{answer:?}");
        assert_eq!(server.heads().len(), 2, "{answer:?}");
        // Tried again before long, with nobody asking for it.
        server.answers(keys_of(&issuer));
        let generation = running.tokens.generation();
        newer(generation).await;
        running.judge(&issuer).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_at_the_start_is_asked_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", free.local_addr().unwrap());
    drop(free);
    let running = start(JwksSource::Url {
        url: url.parse().unwrap(),
        ca: None,
        token_file: None,
    })
    .unwrap();
    let issuer = Issuer::new();
    assert_eq!(running.judge(&issuer).await, Err(BadToken::NoKeys.into()));
    running.failed(2).await;

    let server = JwksServer::plain(Answer::Status(503, ""));
    let running = asking(&server, None, None);
    running.failed(1).await;
    server.answers(keys_of(&issuer));
    let generation = running.tokens.generation();
    newer(generation).await;
    running.judge(&issuer).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_silent_holds_a_token_up_for_two_seconds() {
    let mut issuer = Issuer::new();
    let server = JwksServer::plain(keys_of(&issuer));
    let running = asking(&server, None, None);
    running.judge(&issuer).await.unwrap();
    let old = issuer.token_of(SUBJECT);
    issuer.rotate();
    server.answers(Answer::Silence);
    let begun = Moment::now();
    let unknown = Err(BadToken::UnknownKey.into());
    assert_eq!(running.judge(&issuer).await, unknown);
    let waited = Moment::now().since(begun);
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    // A token of a key that is known does not wait for it.
    let begun = Moment::now();
    assert!(running.tokens.verify(&old).await.is_ok());
    assert!(Moment::now().since(begun) < Duration::from_secs(1));
    assert_eq!(running.tokens.failures(), 0);
    running.failed(1).await;
    assert!(running.tokens.verify(&old).await.is_ok());
}

#[tokio::test]
async fn an_address_that_may_not_be_asked_is_told_at_the_start() {
    let told = |url: &str| {
        let error = start(JwksSource::Url {
            url: url.parse().unwrap(),
            ca: None,
            token_file: None,
        });
        error.map(drop).unwrap_err().to_string()
    };
    assert!(told("http://issuer.example/keys").contains("neither `https://` nor"));
    let secret = told("https://me:hush@issuer.example/keys");
    assert!(secret.contains("a user or a password") && !secret.contains("hush"));
}

/// What is logged, as text.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_tokens_nor_secrets_of_an_address_are_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hush").unwrap();
    let issuer = Issuer::new();
    let server = JwksServer::plain(Answer::Status(500, ""));
    let running = start(JwksSource::Url {
        url: format!("{}?key=hush", server.url).parse().unwrap(),
        ca: None,
        token_file: Some(file),
    })
    .unwrap();
    let token = issuer.token_of(SUBJECT);
    assert!(running.tokens.verify(&token).await.is_err());
    server.answers(keys_of(&issuer));
    let generation = running.tokens.generation();
    newer(generation).await;
    assert!(running.tokens.verify(&token).await.is_ok());
    tracing::info!("{:?}", running.tokens);
    assert!(server.heads().concat().contains("hush"));
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for part in ["hush", token.as_str(), token.rsplit('.').next().unwrap()] {
        assert!(!said.contains(part), "{said}");
    }
    for part in [
        "the answer is 500; 200 is accepted",
        "the keys of tokens are new",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
