//! Commands that ask a service over TLS, and that prove who runs them.

use std::future::poll_fn;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use portcullis::edge::tls::server_config;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::support::server::Server;
use super::{Run, command, run};

type Authority = Issuer<'static, KeyPair>;

const QUESTION: &str = "check northwind-games pricing.view";
/// One key, from the examples of RFC 7517.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":"1","alg":"ES256",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
const TOKEN: &str = "c2VjcmV0.hunter2";

/// Authorities, and files that a command can be given.
struct Files {
    folder: TempDir,
}

impl Files {
    /// `ca.pem` is the server's authority, `client-ca.pem` the clients', from which `client` is; it is
    /// not from which `stranger` is.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let (servers, ca) = authority("servers");
        let (clients, client_ca) = authority("clients");
        write("ca.pem", &ca);
        write("client-ca.pem", &client_ca);
        for (name, authority) in [("client", &clients), ("stranger", &servers)] {
            let (cert, key) = identity(authority, "client.example", |_| {});
            write(&format!("{name}.pem"), &cert);
            write(&format!("{name}.key"), &key);
        }
        write("token", &format!("{TOKEN}\n"));
        write("two-lines", "a\nb\n");
        write(
            "callers.yaml",
            "callers: [{ id: client.example, roles: [check] }]\n",
        );
        write("jwks.json", JWKS);
        let server = identity(&servers, "127.0.0.1", |_| {});
        write("server.pem", &server.0);
        write("server.key", &server.1);
        write("expired.pem", &{
            let expired = |params: &mut CertificateParams| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            };
            let (cert, key) = identity(&servers, "127.0.0.1", expired);
            write("expired.key", &key);
            cert
        });
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// What accepts connections with this certificate.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let [cert, key] = ["pem", "key"].map(|kind| self.read(&format!("{name}.{kind}")));
        let client_ca = self.read("client-ca.pem");
        TlsAcceptor::from(Arc::new(
            server_config(&cert, &key, Some(&client_ca)).unwrap(),
        ))
    }

    /// Runs a command, in which `@name` is a file of these.
    async fn ask(&self, line: &str, variables: &[(&str, &str)]) -> Run {
        let words: Vec<_> = line
            .split(' ')
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.path(name).to_str().unwrap().to_owned(),
                None => word.to_owned(),
            })
            .collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let ask = move || {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let variables: Vec<_> = variables.iter().map(|(a, b)| (&**a, &**b)).collect();
            run(&words, &variables)
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    /// The same, where it is an error: its line.
    async fn fail(&self, line: &str) -> String {
        let run = self.ask(line, &[]).await;
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{line}: {}", run.err);
        assert_eq!(run.err.lines().count(), 1, "{line}: {}", run.err);
        run.err
    }
}

fn authority(name: &str) -> (Authority, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn identity(
    authority: &Authority,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    (cert.pem(), key.serialize_pem())
}

/// TLS in front of a service that speaks none.
async fn in_front_of(service: SocketAddr, acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut inside) = acceptor.accept(stream).await else {
                    return;
                };
                let mut behind = TcpStream::connect(service).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut behind).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_service_is_asked_over_tls() {
    let (server, files) = (Server::demo().await, Files::new());
    let address = in_front_of(server.grpc, files.acceptor("server")).await;
    let ca = files.path("ca.pem");
    let system = [("SSL_CERT_FILE", ca.to_str().unwrap())];
    let by_variable = [("PORTCULLIS_TLS_CA", ca.to_str().unwrap())];
    for (flags, variables) in [
        (format!("https://{address} --tls-ca @ca.pem"), &[][..]),
        (format!("{address} --tls-ca @ca.pem"), &[]),
        (format!("{address}"), &by_variable),
        // The system's authorities.
        (format!("https://{address}"), &system),
        (
            format!("{address} --tls-ca @ca.pem --tls-cert @client.pem --tls-key @client.key"),
            &[],
        ),
        (
            format!("{address} --tls-ca @ca.pem --token-file @token"),
            &[],
        ),
    ] {
        let run = files
            .ask(&format!("{QUESTION} --endpoint {flags}"), variables)
            .await;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{flags}");
        assert!(run.out.starts_with("allow  northwind-games"), "{}", run.out);
    }
    let line = format!(
        "policy preview northwind pricing.view=off --endpoint https://{address} --tls-ca @ca.pem"
    );
    let preview = files.ask(&line, &[]).await;
    let again = format!(" --endpoint https://{address} --tls-ca {}\n", ca.display());
    assert!(
        preview.out.ends_with(&again),
        "{}{}",
        preview.out,
        preview.err
    );
}

#[tokio::test]
async fn why_there_is_no_tls_is_said_in_one_line() {
    let (server, files) = (Server::demo().await, Files::new());
    let plain = server.grpc;
    let address = in_front_of(plain, files.acceptor("server")).await;
    let expired = in_front_of(plain, files.acceptor("expired")).await;
    let port = address.port();
    for (flags, wants) in [
        (
            format!("https://{address} --tls-ca @client-ca.pem"),
            [
                &*format!("error: no TLS with `https://{address}`: "),
                "its certificate is of no authority that is trusted here; `--tls-ca` names another",
            ],
        ),
        (
            format!("https://localhost:{port} --tls-ca @ca.pem"),
            [
                "no TLS with ",
                "its certificate is for another name than `localhost`",
            ],
        ),
        (
            format!("https://{expired} --tls-ca @ca.pem"),
            ["no TLS with ", "its certificate has expired"],
        ),
        (
            format!("https://{plain} --tls-ca @ca.pem"),
            [
                "no TLS with ",
                "it does not speak TLS; `http://` asks without",
            ],
        ),
        (
            format!("http://{address}"),
            ["the call to ", "is gRPC served there, and without TLS?"],
        ),
        (
            format!("{address} --tls-ca @ca.pem --tls-cert @stranger.pem --tls-key @stranger.key"),
            [
                "the call to ",
                "does it accept the certificate of `--tls-cert`?",
            ],
        ),
        (
            format!("{address} --tls-ca @ca.pem --tls-cert @client.pem --tls-key @stranger.key"),
            [
                "the certificate of `--tls-cert` and the key of `--tls-key`",
                "",
            ],
        ),
        (
            format!("{address} --tls-ca @token"),
            ["token` (--tls-ca) holds no certificate", ""],
        ),
        (
            format!("{address} --tls-ca @missing"),
            ["missing` (--tls-ca): no such file or directory", ""],
        ),
    ] {
        let error = files.fail(&format!("{QUESTION} --endpoint {flags}")).await;
        for want in wants {
            assert!(error.contains(want), "{flags}: {error}");
        }
    }
}

/// A service that says of every call whether it came with the token.
async fn doorkeeper() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let shown = request.headers().get("authorization");
                    let shown = shown.map(|value| value.to_str().unwrap());
                    let (code, message) = match shown {
                        Some(shown) if shown == format!("Bearer {TOKEN}") => (7, "known"),
                        Some(_) => (16, "another token"),
                        None => (16, "no token"),
                    };
                    let answer = http::Response::builder()
                        .header("content-type", "application/grpc")
                        .header("grpc-status", code)
                        .header("grpc-message", message)
                        .body(())
                        .unwrap();
                    respond.send_response(answer, true).unwrap();
                }
                let _ = poll_fn(|context| connection.poll_closed(context)).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_token_goes_along_with_each_call_and_is_never_printed() {
    let (service, files) = (doorkeeper().await, Files::new());
    for (flags, want) in [
        ("--token-file @token", "PERMISSION_DENIED: known"),
        (
            "",
            "UNAUTHENTICATED: no token; `--token-file`, or `--tls-cert` and `--tls-key`, prove who \
             you are",
        ),
        (
            "--token-file @two-lines",
            "two-lines` (--token-file) holds no token: one line of printable characters is accepted",
        ),
        (
            "--token-file @missing",
            "missing` (--token-file): no such file or directory",
        ),
    ] {
        for command in [QUESTION, "policy show northwind", "account list"] {
            let line = format!("{command} --endpoint {service} {flags}");
            let error = files.fail(line.trim_end()).await;
            assert!(error.contains(want), "{line}: {error}");
            assert!(!error.contains(TOKEN), "{error}");
        }
    }
}

/// What `serve` says of itself once it listens.
fn said(files: &Files, flags: &str) -> String {
    let words = flags
        .split_whitespace()
        .map(|word| match word.strip_prefix('@') {
            Some(name) => files.path(name).to_str().unwrap().to_owned(),
            None => word.to_owned(),
        });
    let words: Vec<_> = words.collect();
    let mut arguments = vec!["serve", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
    arguments.extend(words.iter().map(String::as_str));
    let mut serving = command(&arguments, &[])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let mut block = String::new();
    while !block.contains("\n  callers  ") {
        block.push_str(&lines.next().unwrap().unwrap());
        block.push('\n');
    }
    serving.kill().unwrap();
    serving.wait().unwrap();
    // What it wrote before it was killed, all of it at once with the line about callers.
    lines.for_each(|line| block.push_str(&line.unwrap()));
    block
}

#[test]
fn serve_says_who_may_call_and_prints_no_line_that_would_not_work() {
    let files = Files::new();
    let mtls = "--auth mtls --tls-cert @server.pem --tls-key @server.key --tls-client-ca @client-ca.pem \
                --callers @callers.yaml";
    let roles = format!("roles from {}\n", files.path("callers.yaml").display());
    let tls = "--tls-cert @server.pem --tls-key @server.key";
    for (flags, is_encrypted, callers) in [
        (mtls, true, format!("mTLS, {roles}")),
        (tls, true, "anyone who can connect\n".to_owned()),
        (
            "--auth jwt --jwt-issuer i --jwt-audience a --jwt-jwks @jwks.json --callers @callers.yaml",
            false,
            format!("tokens, {roles}"),
        ),
    ] {
        let block = said(&files, flags);
        assert_eq!(block.contains(" over TLS\n"), is_encrypted, "{block}");
        assert!(
            block.contains(&format!("\n  callers  {callers}")),
            "{block}"
        );
        assert!(block.contains("No store is configured"), "{block}");
        assert!(
            !block.contains("paste") && !block.contains("grpcurl"),
            "{block}"
        );
    }
}
