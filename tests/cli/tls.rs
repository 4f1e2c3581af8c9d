//! Commands that ask a service over TLS, and that prove who runs them.

use std::future::poll_fn;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use portcullis::app::ServeConfig;
use portcullis::callers::{AuthConfig, JwksSource, JwtConfig, MtlsConfig, TlsFiles};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::support::authority::{Authority, Name};
use super::support::demo;
use super::support::server::{Server, config};
use super::support::tokens::{AUDIENCE, ISSUER, Issuer};
use super::{Run, command, run};

const QUESTION: &str = "check northwind-games pricing.view";
const TOKEN: &str = "c2VjcmV0.hunter2";
const CALLERS: &str = r#"
callers:
  - { id: "spiffe://portal.example/web", roles: [check] }
  - { id: "spiffe://portal.example/admin", roles: [check, read, admin] }
  - { id: "system:serviceaccount:portal:reader", roles: [check, read] }
"#;

/// Files that a service or a command can be given.
struct Files {
    folder: TempDir,
}

impl Files {
    /// `ca.pem` is the authority of `portcullis`, whose certificate is for 127.0.0.1, and of
    /// `stranger`; `client-ca.pem` that of `web` and `admin`. `reader` and `nobody` are tokens.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let write = |name: &str, text: &str| std::fs::write(at.join(name), text).unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        servers.write(at, "ca");
        clients.write(at, "client-ca");
        servers.server(&["127.0.0.1"]).write(at, "portcullis");
        let mut expired = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        let expired = servers.sign(expired, ExtendedKeyUsagePurpose::ServerAuth);
        expired.write(at, "expired");
        let id = |name| format!("spiffe://portal.example/{name}");
        for (authority, name) in [
            (&clients, "web"),
            (&clients, "admin"),
            (&servers, "stranger"),
        ] {
            authority.client(&[Name::Uri(&id(name))]).write(at, name);
        }
        let issuer = Issuer::new();
        write("jwks.json", &issuer.jwks());
        for name in ["reader", "nobody"] {
            let subject = format!("system:serviceaccount:portal:{name}");
            write(name, &format!("{}\n", issuer.token_of(&subject)));
        }
        write("token", &format!("{TOKEN}\n"));
        write("two-lines", "a\nb\n");
        write("callers.yaml", CALLERS);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A service with this certificate, whose callers prove themselves by either proof.
    async fn serve(&self, certificate: &str) -> Server {
        Server::start(ServeConfig {
            tls: Some(TlsFiles {
                cert: self.path(&format!("{certificate}.pem")),
                key: self.path(&format!("{certificate}.key")),
            }),
            auth: AuthConfig::Proved {
                mtls: Some(MtlsConfig {
                    client_ca: self.path("client-ca.pem"),
                    trust_domain: None,
                }),
                jwt: Some(JwtConfig {
                    issuer: ISSUER.to_owned(),
                    audience: AUDIENCE.to_owned(),
                    jwks: JwksSource::File(self.path("jwks.json")),
                }),
                callers: self.path("callers.yaml"),
            },
            ..config(demo::store())
        })
        .await
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

/// The flags of a certificate.
fn shown_by(name: &str) -> String {
    format!("--tls-cert @{name}.pem --tls-key @{name}.key")
}

#[tokio::test]
async fn a_service_is_asked_over_tls_with_a_proof() {
    let files = Files::new();
    let server = files.serve("portcullis").await;
    let (address, web) = (server.grpc, shown_by("web"));
    let ca = files.path("ca.pem");
    let by_variable = [("PORTCULLIS_TLS_CA", ca.to_str().unwrap())];
    // By which the system's authorities are found.
    let system = [("SSL_CERT_FILE", ca.to_str().unwrap())];
    for (flags, variables) in [
        (format!("https://{address} --tls-ca @ca.pem {web}"), &[][..]),
        (format!("{address} --tls-ca @ca.pem {web}"), &[]),
        (format!("{address} {web}"), &by_variable),
        (format!("{address} {web}"), &system),
        (format!("https://{address} --token-file @reader"), &system),
        (
            format!("{address} --tls-ca @ca.pem --token-file @reader"),
            &[],
        ),
    ] {
        let line = format!("{QUESTION} --endpoint {flags}");
        let run = files.ask(&line, variables).await;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{flags}");
        assert!(run.out.starts_with("allow  northwind-games"), "{}", run.out);
    }
}

#[tokio::test]
async fn who_shows_a_proof_is_healthy_only_where_it_is_let_in() {
    let files = Files::new();
    let server = files.serve("portcullis").await;
    for (proof, code, want) in [
        (shown_by("web"), 0, "NOT_FOUND (ACCOUNT_UNKNOWN)"),
        ("--token-file @reader".to_owned(), 0, "NOT_FOUND"),
        // That it wants a proof is what it should say.
        (String::new(), 0, "UNAUTHENTICATED (CALLER_UNKNOWN)"),
        ("--token-file @nobody".to_owned(), 2, "PERMISSION_DENIED"),
        ("--token-file @token".to_owned(), 2, "UNAUTHENTICATED"),
    ] {
        let line = format!(
            "healthcheck --endpoint {} --tls-ca @ca.pem {proof}",
            server.grpc
        );
        let run = files.ask(line.trim_end(), &[]).await;
        assert_eq!(run.code, code, "{line}: {}{}", run.out, run.err);
        assert!(
            run.out.starts_with("health  SERVING\n"),
            "{line}: {}",
            run.out
        );
        let told = if code == 0 { &run.out } else { &run.err };
        assert!(told.contains(want), "{line}: {told}");
    }
}

#[tokio::test]
async fn what_a_caller_may_not_do_is_said_in_one_line() {
    let files = Files::new();
    let server = files.serve("portcullis").await;
    let (web, admin) = (shown_by("web"), shown_by("admin"));
    let set = "policy set northwind pricing.view=off";
    for (command, proof, want) in [
        (QUESTION, "", "UNAUTHENTICATED "),
        (
            QUESTION,
            "",
            "`--token-file`, or `--tls-cert` and `--tls-key`, prove who you are",
        ),
        (QUESTION, "--token-file @nobody", "PERMISSION_DENIED "),
        (QUESTION, "--token-file @token", "UNAUTHENTICATED "),
        (set, &web, "PERMISSION_DENIED "),
        (set, "--token-file @reader", "PERMISSION_DENIED "),
        ("account list", &web, "PERMISSION_DENIED "),
    ] {
        let line = format!(
            "{command} --endpoint {} --tls-ca @ca.pem {proof}",
            server.grpc
        );
        let error = files.fail(line.trim_end()).await;
        assert!(error.contains(want), "{line}: {error}");
        assert!(!error.contains("eyJ") && !error.contains(TOKEN), "{error}");
    }
    let flags = format!(
        "--endpoint https://{} --tls-ca @ca.pem {admin}",
        server.grpc
    );
    let preview = format!("policy preview northwind pricing.view=off {flags}");
    let preview = files.ask(&preview, &[]).await;
    let again = flags.replace('@', &format!("{}/", files.folder.path().display()));
    assert!(
        preview.out.ends_with(&format!(" {again}\n")),
        "{}{}",
        preview.out,
        preview.err
    );
    let done = files.ask(&format!("{set} {flags}"), &[]).await;
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

#[tokio::test]
async fn why_there_is_no_tls_is_said_in_one_line() {
    let files = Files::new();
    let (server, expired) = (
        files.serve("portcullis").await,
        files.serve("expired").await,
    );
    let plain = Server::demo().await.grpc;
    let (address, expired) = (server.grpc, expired.grpc);
    let port = address.port();
    let stranger = shown_by("stranger");
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
            format!("{address} --tls-ca @ca.pem {stranger}"),
            [
                "the call to ",
                "does it accept the certificate of `--tls-cert`?",
            ],
        ),
        (
            format!("{address} --tls-ca @ca.pem --tls-cert @web.pem --tls-key @stranger.key"),
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
        .stderr(Stdio::null())
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
    let mtls = "--auth mtls --tls-cert @portcullis.pem --tls-key @portcullis.key --tls-client-ca @client-ca.pem \
                --callers @callers.yaml";
    let roles = format!("roles from {}\n", files.path("callers.yaml").display());
    let tls = "--tls-cert @portcullis.pem --tls-key @portcullis.key";
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
