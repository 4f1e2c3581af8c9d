//! The page of a server that does everything, and the figures of what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use portcullis::app::StoreChoice;
use prost::Message as _;
use tonic::Code;

use crate::exposition::Page;
use crate::support::http2::{Connection, frame, path};
use crate::support::requests::check;
use crate::support::server::Server;
use crate::support::{database, patient, probe, queries, within};
use crate::tables::{names, rows};
use crate::world::{By, World};

/// The tables are checked against this: Postgres, TLS, certificates and tokens.
async fn full_page() -> Page {
    let world = World::new();
    let database = database("operations_metrics").await;
    let store = StoreChoice::Postgres(patient(&database));
    let server = Server::start(world.config(store, By::Either)).await;
    probe::until_ready(server.http).await;
    let connection = world
        .connect(server.grpc, Some(&world.client("check")))
        .await;
    let answer = connection
        .call(
            "CheckFeature",
            &check("nobody", "pricing.view").encode_to_vec(),
        )
        .await;
    assert_eq!(answer.grpc().unwrap().code(), Code::NotFound);
    let page = Page::of(server.http).await;
    server.stop().await;
    page
}

#[tokio::test]
async fn the_table_has_every_metric_with_its_type_and_its_labels() {
    let page = full_page().await;
    let table: BTreeMap<_, _> = rows(&["metric", "type", "labels"])
        .into_iter()
        .map(|row| {
            let [metric, kind, labels] = row.try_into().unwrap();
            let labels: BTreeSet<_> = names(&labels).into_iter().collect();
            (names(&metric).remove(0), (kind, labels))
        })
        .collect();
    let exposed: BTreeMap<_, _> = page
        .types
        .iter()
        .map(|(name, kind)| (name.clone(), (kind.clone(), page.labels(name))))
        .collect();
    assert_eq!(exposed, table);
}

#[tokio::test]
async fn every_metric_that_alerts_and_dashboard_ask_for_is_there() {
    let page = full_page().await;
    let exposed: BTreeSet<_> = page.samples.iter().map(|sample| &sample.name).collect();
    let asked = queries::metrics();
    assert!(asked.len() > 40, "{asked:?}");
    let missing: Vec<_> = asked
        .iter()
        .filter(|(name, _)| !exposed.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn prometheus_has_nothing_to_say_against_the_page() {
    let page = full_page().await;
    let promtool = promtool();
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(page.text.as_bytes()).unwrap();
    drop(input);
    let said = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success() && words.trim().is_empty(), "{words}");
}

fn promtool() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration that could be an argument"
    )]
    let named = std::env::var("PORTCULLIS_TEST_PROMTOOL");
    named.expect("`make tools` brings promtool, `make test` says where it is")
}

/// A metric, labels, and the sum of what has them.
type Counted<'t> = (&'t str, &'t [(&'t str, &'t str)], f64);

const METHOD: &[(&str, &str)] = &[("grpc_method", "CheckFeature")];

/// What six checks and a call of nothing count.
const COUNTED: &[Counted<'_>] = &[
    ("grpc_server_started_total", METHOD, 6.0),
    (
        "grpc_server_started_total",
        &[("grpc_method", "unknown")],
        1.0,
    ),
    ("grpc_server_handled_total", &[("grpc_code", "OK")], 3.0),
    (
        "grpc_server_handled_total",
        &[("grpc_code", "NotFound")],
        2.0,
    ),
    (
        "grpc_server_handled_total",
        &[("grpc_code", "InvalidArgument")],
        1.0,
    ),
    (
        "grpc_server_handled_total",
        &[("grpc_code", "Unimplemented")],
        1.0,
    ),
    (
        "grpc_server_handled_total",
        &[("grpc_code", "Canceled")],
        0.0,
    ),
    ("grpc_server_handling_seconds_count", METHOD, 6.0),
    (
        "portcullis_decisions_total",
        &[("effect", "allow"), ("reason", "PARTNER_SETTING")],
        2.0,
    ),
    (
        "portcullis_decisions_total",
        &[("effect", "deny"), ("reason", "ACCOUNT_SETTING")],
        1.0,
    ),
    ("portcullis_decisions_total", &[], 3.0),
    ("portcullis_cache_hits_total", &[("cache", "unknown")], 1.0),
    (
        "portcullis_cache_misses_total",
        &[("cache", "unknown")],
        3.0,
    ),
    ("portcullis_cache_hits_total", &[("cache", "accounts")], 1.0),
    (
        "portcullis_cache_misses_total",
        &[("cache", "accounts")],
        4.0,
    ),
    ("portcullis_cache_entries", &[("cache", "accounts")], 2.0),
    ("portcullis_cache_entries", &[("cache", "partners")], 1.0),
    ("portcullis_cache_entries", &[("cache", "unknown")], 1.0),
    (
        "portcullis_store_query_seconds_count",
        &[("query", "accounts")],
        3.0,
    ),
    ("portcullis_connections", &[], 1.0),
    ("portcullis_ready", &[], 1.0),
    ("portcullis_feed_connected", &[], 1.0),
    ("portcullis_policy_revision", &[], 1.0),
];

#[tokio::test]
async fn what_happens_is_counted() {
    let server = Server::demo().await;
    probe::until_ready(server.http).await;
    let connection = Connection::open(server.grpc).await;
    let before = Page::of(server.http).await;
    for (account, code) in [
        ("northwind-games", Code::Ok),
        ("northwind-games", Code::Ok),
        ("northwind-retail", Code::Ok),
        ("nobody", Code::NotFound),
        ("nobody", Code::NotFound),
        ("a b", Code::InvalidArgument),
    ] {
        let answer = connection
            .call(
                "CheckFeature",
                &check(account, "pricing.view").encode_to_vec(),
            )
            .await;
        assert_eq!(
            answer.grpc().map_or(Code::Ok, |status| status.code()),
            code,
            "{account}"
        );
    }
    let answer = connection.call("Nothing", &[]).await;
    assert_eq!(answer.grpc().unwrap().code(), Code::Unimplemented);
    let page = Page::of(server.http).await;
    for (name, labels, want) in COUNTED {
        assert_eq!(page.sum(name, labels), *want, "{name} {labels:?}");
    }
    assert_eq!(before.sum("portcullis_decisions_total", &[]), 0.0);
    // A caller that leaves has not been answered.
    let watch = connection.request(&path("WatchChanges"));
    let mut requests = connection.requests.clone();
    let (answer, mut body) = requests.send_request(watch, false).unwrap();
    body.send_data(frame(&[]), true).unwrap();
    let _stream = within("a stream", answer).await.unwrap();
    assert_eq!(
        Page::of(server.http)
            .await
            .sum("portcullis_open_streams", &[]),
        1.0
    );
    connection.closed.abort();

    let closed = async {
        while Page::of(server.http)
            .await
            .sum("portcullis_connections", &[])
            > 0.0
        {
            tokio::task::yield_now().await;
        }
    };
    within("the connection's end", closed).await;
    server.stop().await;
}
