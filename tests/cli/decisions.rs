//! The decision log of the program: who was told what about whom.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use serde_json::{Value, json};
use tonic::metadata::AsciiMetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::command;
use super::support::process::Process;
use super::support::requests::{batch, catalog, check, ids, list, recipients, stored};
use super::support::server::Client;
use super::support::tokens::{AUDIENCE, ISSUER, Issuer};
use super::support::within;

const WEB: &str = "system:serviceaccount:portal:web";

/// The lines of the decision log in this log, without what every one has.
fn decisions(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["target"] == "portcullis::decision")
        .map(|mut line| {
            let fields = line.as_object_mut().unwrap();
            for field in ["target", "level", "timestamp", "message"] {
                assert!(fields.remove(field).is_some(), "{field}");
            }
            line
        })
        .collect()
}

/// `allow northwind-games pricing.view PARTNER_SETTING`.
fn short(line: &Value) -> String {
    let of = |field: &str| line[field].as_str().unwrap().to_owned();
    ["effect", "account", "feature", "reason"].map(of).join(" ")
}

/// A call of each kind that decides something, and some that decide nothing.
async fn ask_everything(client: &mut Client) {
    client
        .check_feature(check("northwind-games", "pricing.view"))
        .await
        .unwrap();
    for (account, feature) in [
        ("nobody", "pricing.view"),
        ("acme", "no.such"),
        ("a b", "x"),
    ] {
        let request = check(account, feature);
        assert!(client.check_feature(request).await.is_err());
    }
    let checks = [
        ("northwind-retail", "pricing.view"),
        ("nobody", "pricing.view"),
        ("a b", "pricing.view"),
        ("acme", "services.order"),
    ];
    client.batch_check_features(batch(checks)).await.unwrap();
    let great_britain = v1::StoredCatalog {
        markets: vec!["GB".to_owned()],
        ..v1::StoredCatalog::default()
    };
    let request = ids(stored("quillfeather-press", great_britain));
    client.filter_catalog(request).await.unwrap();
    let security = v1::NotificationKind::Security;
    let accounts = ["northwind-games", "acme", "nobody"];
    client
        .resolve_recipients(recipients(security, accounts))
        .await
        .unwrap();
    let watch = v1::WatchChangesRequest::default();
    client.watch_changes(watch).await.unwrap();
    client.list_features(list("acme")).await.unwrap();
}

#[tokio::test]
async fn each_decision_that_was_answered_is_a_line_whatever_else_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--decision-log=all", "--log-format=json", "--log=off"];
    let mut process = Process::serve_demo(&flags, folder.path());
    ask_everything(&mut process.client().await).await;
    assert_eq!(within("the end", process.end()).await, Some(0));
    let log = process.log();
    let lines = decisions(&log);
    assert_eq!(lines.len(), log.lines().count(), "{log}");
    assert_eq!(
        lines[0],
        json!({
            "method": "CheckFeature", "caller": "anonymous", "account": "northwind-games",
            "feature": "pricing.view", "effect": "allow", "reason": "PARTNER_SETTING",
            "revision": 1, "stale": false,
        })
    );
    let batch: Vec<_> = lines[1..3].iter().map(short).collect();
    let want = [
        "deny northwind-retail pricing.view ACCOUNT_SETTING",
        "allow acme services.order PLATFORM_RULE",
    ];
    assert_eq!(batch, want);
    let page: Vec<_> = lines[3..5].iter().map(short).collect();
    let want = [
        "allow quillfeather-press services.order PLATFORM_RULE",
        "deny quillfeather-press pricing.view PARTNER_SETTING",
    ];
    assert_eq!(page, want);
    for line in &lines[3..5] {
        assert_eq!((&line["visible"], &line["hidden"]), (&json!(4), &json!(0)));
    }
    assert_eq!(
        lines[5],
        json!({
            "method": "ResolveRecipients", "caller": "anonymous", "kind": "security",
            "accounts": 3, "recipients": 2, "unresolved": 1, "revision": 1, "stale": false,
        })
    );
    let listed = &lines[6..];
    assert_eq!(listed.len(), 15);
    for line in listed {
        assert_eq!(
            (&line["method"], &line["account"]),
            (&json!("ListFeatures"), &json!("acme"))
        );
    }
}

#[tokio::test]
async fn denials_alone_can_be_logged_and_nothing_is_unless_it_is_asked_for() {
    for (flags, want) in [
        (
            &["--log-format=json", "--decision-log=denials"][..],
            &[
                "deny northwind-retail pricing.view ACCOUNT_SETTING",
                "deny quillfeather-press pricing.view PARTNER_SETTING",
            ][..],
        ),
        (&["--log-format=json"], &[]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::serve_demo(flags, folder.path());
        ask_everything(&mut process.client().await).await;
        assert_eq!(within("the end", process.end()).await, Some(0));
        let lines = decisions(&process.log());
        assert_eq!(lines.iter().map(short).collect::<Vec<_>>(), want);
    }
}

/// The flags of a service that takes the tokens of `issuer`.
fn jwt(issuer: &Issuer, folder: &Path) -> Vec<String> {
    let callers = format!("callers:\n  - {{ id: \"{WEB}\", roles: [check] }}\n");
    std::fs::write(folder.join("callers.yaml"), callers).unwrap();
    std::fs::write(folder.join("jwks.json"), issuer.jwks()).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    [
        ("auth", "jwt".to_owned()),
        ("jwt-issuer", ISSUER.to_owned()),
        ("jwt-audience", AUDIENCE.to_owned()),
        ("jwt-jwks", file("jwks.json")),
        ("callers", file("callers.yaml")),
    ]
    .map(|(flag, value)| format!("--{flag}={value}"))
    .to_vec()
}

/// A client that shows `token`.
async fn shows(
    process: &Process,
    token: &str,
) -> AuthorizationServiceClient<
    InterceptedService<Channel, impl Fn(Request<()>) -> Result<Request<()>, Status> + use<>>,
> {
    let bearer: AsciiMetadataValue = format!("Bearer {token}").parse().unwrap();
    let url = format!("http://{}", process.grpc);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    AuthorizationServiceClient::with_interceptor(channel, move |mut request: Request<()>| {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", bearer.clone());
        Ok(request)
    })
}

#[tokio::test]
async fn the_id_of_who_calls_is_in_the_log_and_its_token_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new();
    let mut flags = jwt(&issuer, folder.path());
    let log = ["--decision-log=all", "--log-format=json", "--log=trace"];
    flags.extend(log.map(str::to_owned));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let mut process = Process::serve_demo(&flags, folder.path());
    let token = issuer.token_of(WEB);
    let mut client = shows(&process, &token).await;
    client
        .check_feature(check("northwind-games", "pricing.view"))
        .await
        .unwrap();
    client
        .filter_catalog(catalog("northwind-retail"))
        .await
        .unwrap();
    assert_eq!(within("the end", process.end()).await, Some(0));
    let log = process.log();
    let lines = decisions(&log);
    let callers: Vec<_> = lines.iter().map(|line| &line["caller"]).collect();
    assert_eq!(callers, [WEB; 3]);
    for part in token.split('.') {
        assert!(!log.contains(part), "{part}");
    }
}

// The client's connection is closed beside the test, which waits for the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_up_no_call_and_says_what_it_lost() {
    const CALLS: usize = 30;
    const CHECKS: usize = 1_000;
    let flags =
        "serve --listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --decision-log all --log-format json";
    let mut serving = command(&flags.split(' ').collect::<Vec<_>>(), &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(serving.stdout.take().unwrap()).lines();
    let line = said.find_map(|line| Some(line.unwrap().split_once("gRPC ")?.1.to_owned()));
    let url = format!("http://{}", line.unwrap().trim());
    let mut client = AuthorizationServiceClient::connect(url).await.unwrap();
    for _ in 0..CALLS {
        let checks = [("northwind-games", "pricing.view"); CHECKS];
        let answer = client.batch_check_features(batch(checks));
        within("an answer", answer).await.unwrap();
    }
    drop(client);
    let id = serving.id().to_string();
    let kill = Command::new("kill").args(["-TERM", &id]).status();
    assert!(kill.unwrap().success());
    let log = BufReader::new(serving.stderr.take().unwrap()).lines();
    let log: Vec<Value> = log
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(serving.wait().unwrap().code(), Some(0));
    let of = |level: &'static str| {
        log.iter()
            .filter(move |line| line["target"] == "portcullis::decision" && line["level"] == level)
    };
    let dropped: u64 = of("WARN").map(|line| line["lines"].as_u64().unwrap()).sum();
    let written = of("INFO").count();
    println!("{written} lines were written, {dropped} dropped");
    assert!(dropped > 0);
    // What a pipe holds, and the queue.
    assert!(written >= 8_192);
    assert_eq!(written + usize::try_from(dropped).unwrap(), CALLS * CHECKS);
}
