//! Connection strings, `sslmode`, and that no secret is ever said.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portcullis::store::postgres::{PostgresConfig, PostgresConfigError, PostgresStore, migrate};
use portcullis::store::{Store, StoreError, Unavailable};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::support::{self, Authentication, Cluster, Options};

const SECRET: &str = "hunter2";

fn parse(url: &str, ca: Option<&Path>) -> Result<PostgresConfig, PostgresConfigError> {
    PostgresConfig::parse(url, ca, support::patience())
}

/// An error with all its sources, as text and as `Debug`.
fn everything(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        write!(text, " / {error}").unwrap();
        next = error.source();
    }
    text
}

#[test]
fn a_malformed_connection_string_names_the_place_and_no_secret() {
    let cases = [
        // A password with what has to be encoded or quoted.
        ("postgres://u:hunter2@x@host/db", "%40"),
        ("postgres://u:a/hunter2@host/db", "%2F"),
        ("postgres://u:hunter2%zz@host/db", "`password`"),
        ("postgres://u:hunter2%ff@host/db", "`password`"),
        ("host=h password=a hunter2 user=u", "after `password`"),
        ("host=h password=a hunter2", "after `password`"),
        ("host=h password='hunter2", "no closing quote"),
        ("host=h password='a'hunter2", "closing quote"),
        ("host=h password=hunter2\\", "backslash"),
        ("hunter2", "postgres://"),
        ("mysql://u:hunter2@host/db", "scheme"),
        ("postgres://u:hunter2@[::1/db", "`]`"),
        // Values that are not accepted.
        ("postgres://u:hunter2@host:hunter2/db", "`port`"),
        ("postgres://u:hunter2@host:65536/db", "`port`"),
        (
            "postgres://u:hunter2@host/db?sslmode=hunter2",
            "`verify-full`",
        ),
        (
            "postgres://u:hunter2@host/db?connect_timeout=hunter2",
            "`connect_timeout`",
        ),
        (
            "postgres://u:hunter2@host/db?hostaddr=hunter2",
            "`hostaddr`",
        ),
        ("postgres://u:hunter2@host/db?hunter2=1", "not known"),
        ("postgres://u:hunter2@host/db?hunter2", "`name=value`"),
        (
            "postgres://u:hunter2@host/db?sslmod=require",
            "did you mean `sslmode`?",
        ),
        ("postgres://u:hunter2@host/db?sslcert=hunter2", "`sslcert`"),
        (
            "postgres://u:hunter2@host/db?sslrootcert=/hunter2/ca.pem&sslmode=verify-ca",
            "cannot be read",
        ),
        (
            "postgres://u:hunter2@host/db?sslrootcert=system&sslmode=require",
            "`verify-full`",
        ),
        ("postgres://u:hunter2@a,b,c:1,2/db?port=1,2", "`port`"),
        // Nothing to connect to.
        ("", "host"),
        ("user=u password=hunter2", "host"),
        ("postgres:///db", "host"),
    ];
    for (url, part) in cases {
        let error = parse(url, None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part), "{url}: {text}");
        let all = everything(&error);
        assert!(!all.contains(SECRET), "{url}: {all}");
        assert!(!all.contains("ca.pem"), "{url}: {all}");
    }
}

#[tokio::test]
async fn a_config_and_a_store_say_nothing_of_the_connection_string() {
    let url = "postgres://ursula:hunter2@secret.example.net/ledger?sslmode=require";
    let config = parse(url, None).unwrap();
    let text = format!(
        "{config:?} {:?}",
        PostgresStore::new(config.clone()).unwrap()
    );
    for part in [SECRET, "ursula", "secret.example.net", "ledger"] {
        assert!(!text.contains(part), "{text}");
    }
    assert!(text.contains("Require"), "{text}");
}

/// Whether the store can be read through `url`.
async fn connects(url: &str, ca: Option<&Path>) -> Result<(), StoreError> {
    let store = PostgresStore::new(parse(url, ca).unwrap())?;
    match store.poll(None).await {
        Ok(_) => Ok(()),
        Err(error) => {
            assert!(
                matches!(error, StoreError::Unavailable(Unavailable::Connection(_))),
                "{error}"
            );
            assert!(!everything(&error).contains(SECRET), "{error:?}");
            Err(error)
        }
    }
}

#[tokio::test]
async fn both_forms_of_a_connection_string_connect() {
    let (cluster, database) = (support::shared(), support::database("forms").await);
    let (name, port, folder) = (database.name(), cluster.port(), cluster.folder().display());
    let encoded = folder.to_string().replace('/', "%2F");
    for url in [
        format!("postgresql://postgres@127.0.0.1:{port}/{name}"),
        format!("postgres://postgres:any%20thing%40@127.0.0.1:{port}/{name}?application_name=x"),
        format!("postgres://postgres@/{name}?host=127.0.0.1&port={port}"),
        format!("postgres://postgres@%31%32%37.0.0.1:{port}/{name}"),
        format!("host=127.0.0.1 port={port} user=postgres dbname={name} password='a \\'b\\\\'"),
        format!(
            "hostaddr = '127.0.0.1'  port={port}\nuser=postgres dbname={name} gssencmode=disable"
        ),
        // The first does not answer.
        format!("postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/{name}"),
        // A Unix socket, which has no TLS whatever is asked for.
        format!("host={folder} port={port} user=postgres dbname={name} sslmode=require"),
        format!("postgres://postgres@{encoded}:{port}/{name}?keepalives=0"),
    ] {
        connects(&url, None)
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_said() {
    let cluster = Cluster::start_with(&Options {
        authentication: Authentication::Password,
        ..Options::default()
    });
    let database = cluster.database("password");
    database.sql("ALTER ROLE postgres PASSWORD 'hunter2'");
    let (name, port) = (database.name(), cluster.port());
    let url = |password| format!("postgres://postgres:{password}@127.0.0.1:{port}/{name}");
    migrate(&parse(&url(SECRET), None).unwrap()).await.unwrap();
    connects(&url(SECRET), None).await.unwrap();
    let error = connects(&url("not-hunter2"), None).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
    let none = format!("postgres://postgres@127.0.0.1:{port}/{name}");
    let error = connects(&none, None).await.unwrap_err();
    assert!(error.to_string().contains("password"), "{error}");
}

/// A certificate for `localhost` of an authority, and that authority's and another's in files.
struct Certificates {
    server: (String, String),
    ours: PathBuf,
    other: PathBuf,
    _folder: tempfile::TempDir,
}

fn certificates() -> Certificates {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    };
    let (ours_pem, ours) = authority("ours");
    let (other_pem, _) = authority("other");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ours).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    Certificates {
        server: (certificate.pem(), key.serialize_pem()),
        ours: file("ours.pem", &ours_pem),
        other: file("other.pem", &other_pem),
        _folder: folder,
    }
}

/// A server with a certificate for `localhost` that lets in over TLS, over plain text, or both.
async fn tls_server(
    certificates: &Certificates,
    authentication: Authentication,
) -> (Cluster, String) {
    let cluster = Cluster::start_with(&Options {
        certificate: Some(certificates.server.clone()),
        authentication,
    });
    let database = cluster.database("tls");
    let (name, port, folder) = (database.name(), cluster.port(), cluster.folder().display());
    let socket = format!("host={folder} port={port} user=postgres dbname={name}");
    migrate(&parse(&socket, None).unwrap()).await.unwrap();
    let url = format!("hostaddr=127.0.0.1 port={port} user=postgres dbname={name}");
    (cluster, url)
}

#[tokio::test]
async fn sslmode_means_what_it_means_to_libpq() {
    let certificates = certificates();
    let (ours, other) = (
        Some(certificates.ours.as_path()),
        Some(certificates.other.as_path()),
    );
    let (_tls, only_tls) = tls_server(&certificates, Authentication::TrustOverTls).await;
    let (_plain, only_plain) = tls_server(&certificates, Authentication::TrustOverPlainText).await;
    let (named, unnamed) = ("localhost", "elsewhere.example.net");
    for (server, mode, host, ca, works) in [
        (&only_tls, "disable", named, None, Err("refused")),
        (&only_tls, "allow", unnamed, None, Ok(())),
        (&only_tls, "prefer", unnamed, None, Ok(())),
        (&only_tls, "require", unnamed, None, Ok(())),
        // With a CA file, `require` is `verify-ca`.
        (&only_tls, "require", unnamed, ours, Ok(())),
        (&only_tls, "require", named, other, Err("not trusted")),
        // `prefer` and `allow` verify nothing, whatever file there is.
        (&only_tls, "prefer", unnamed, other, Ok(())),
        (&only_tls, "verify-ca", unnamed, ours, Ok(())),
        (&only_tls, "verify-ca", named, other, Err("not trusted")),
        (&only_tls, "verify-full", named, ours, Ok(())),
        (&only_tls, "verify-full", unnamed, ours, Err("another name")),
        (&only_tls, "verify-full", named, other, Err("not trusted")),
        (&only_plain, "disable", named, None, Ok(())),
        (&only_plain, "allow", named, None, Ok(())),
        (&only_plain, "prefer", named, None, Ok(())),
        (&only_plain, "require", named, None, Err("refused")),
        (&only_plain, "verify-full", named, ours, Err("refused")),
    ] {
        let url = format!("{server} host={host} sslmode={mode}");
        let case = format!("{mode} to {host} with {ca:?}");
        match (connects(&url, ca).await, works) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{case}: {error}");
                assert!(!error.to_string().contains(named), "{case}: {error}");
            }
            (outcome, _) => panic!("{case}: {outcome:?}"),
        }
    }
    // The file may be named in the string as well.
    let file = certificates.other.display();
    let url = format!("{only_tls} host=localhost sslmode=verify-full sslrootcert={file}");
    connects(&url, None).await.unwrap_err();
    connects(&url, ours).await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let database = support::database("no_tls").await;
    for (mode, works) in [
        ("disable", true),
        ("allow", true),
        ("prefer", true),
        ("require", false),
    ] {
        let url = format!("{}?sslmode={mode}", database.url());
        match connects(&url, None).await {
            Ok(()) => assert!(works, "{mode}"),
            Err(error) => {
                assert!(!works, "{mode}: {error}");
                assert!(error.to_string().contains("TLS"), "{error}");
            }
        }
    }
}
