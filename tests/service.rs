//! The service over Postgres: the same answers as over memory, changes that are seen, data that is
//! broken, and a database that goes away.

#![cfg(test)]

mod support;

use std::time::Duration;

use portcullis::app::StoreChoice;
use portcullis::datafile::{self, Format};
use portcullis::directory::DirectoryConfig;
use portcullis::proto::v1;
use portcullis::proto::v1::consistency::Requirement;
use portcullis::store::postgres::{PostgresConfig, PostgresLimits, migrate};
use portcullis::store::{Import, Store};
use support::server::{Client, Server, built_in_matrix, config};
use support::{Cluster, Database, database, empty_database, patient, store};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;

fn parsed(data: &str) -> Import {
    datafile::parse(data, &built_in_matrix()).unwrap().0
}

async fn import(database: &Database, data: &str) -> u64 {
    store(database)
        .import(&parsed(data), &|_| {})
        .await
        .unwrap()
        .revision
        .0
}

/// A database with the demo data.
async fn demo_database(name: &str) -> Database {
    let database = database(name).await;
    import(&database, datafile::DEMO).await;
    database
}

async fn over(database: &Database) -> Server {
    Server::start(config(StoreChoice::Postgres(patient(database)))).await
}

fn check(
    account: &str,
    feature: &str,
    requirement: Option<Requirement>,
) -> v1::CheckFeatureRequest {
    v1::CheckFeatureRequest {
        account_id: account.to_owned(),
        feature: feature.to_owned(),
        consistency: requirement.map(|requirement| v1::Consistency {
            requirement: Some(requirement),
        }),
    }
}

async fn effect(
    client: &mut Client,
    account: &str,
    requirement: Option<Requirement>,
) -> v1::Effect {
    client
        .check_feature(check(account, "pricing.view", requirement))
        .await
        .unwrap()
        .into_inner()
        .effect()
}

fn reason(status: &tonic::Status) -> (Code, String) {
    (
        status.code(),
        status
            .get_error_details()
            .error_info()
            .unwrap()
            .reason
            .clone(),
    )
}

#[tokio::test]
async fn memory_and_postgres_answer_alike() {
    let database = demo_database("alike").await;
    let (memory, postgres) = (Server::demo().await, over(&database).await);
    let (mut memory, mut postgres) = (memory.client().await, postgres.client().await);
    let accounts: Vec<String> = parsed(datafile::DEMO)
        .accounts
        .iter()
        .map(|line| line.value.id.to_string())
        .collect();
    let features: Vec<String> = built_in_matrix()
        .features()
        .map(|(_, row)| row.key.to_string())
        .collect();
    assert_eq!((accounts.len(), features.len()), (16, 15));

    for account_id in &accounts {
        let request = v1::ListFeaturesRequest {
            account_id: account_id.clone(),
            consistency: None,
        };
        let [mut from_memory, mut from_postgres] = [
            memory
                .list_features(request.clone())
                .await
                .unwrap()
                .into_inner(),
            postgres.list_features(request).await.unwrap().into_inner(),
        ];
        (from_memory.revision, from_postgres.revision) = (0, 0);
        assert_eq!(from_memory, from_postgres, "{account_id}");

        let request = v1::FilterCatalogRequest {
            account_id: account_id.clone(),
            ..Default::default()
        };
        let [mut from_memory, mut from_postgres] = [
            memory
                .filter_catalog(request.clone())
                .await
                .unwrap()
                .into_inner(),
            postgres.filter_catalog(request).await.unwrap().into_inner(),
        ];
        (from_memory.revision, from_postgres.revision) = (0, 0);
        assert_eq!(from_memory, from_postgres, "{account_id}");

        for feature in &features {
            let [mut from_memory, mut from_postgres] = [
                memory
                    .check_feature(check(account_id, feature, None))
                    .await
                    .unwrap()
                    .into_inner(),
                postgres
                    .check_feature(check(account_id, feature, None))
                    .await
                    .unwrap()
                    .into_inner(),
            ];
            (from_memory.revision, from_postgres.revision) = (0, 0);
            assert_eq!(from_memory, from_postgres, "{account_id} {feature}");
        }
    }

    for kind in [
        v1::NotificationKind::Maintenance,
        v1::NotificationKind::Security,
    ] {
        let request = v1::ResolveRecipientsRequest {
            kind: kind.into(),
            account_ids: accounts.clone(),
            consistency: None,
        };
        let [from_memory, from_postgres] = [
            memory
                .resolve_recipients(request.clone())
                .await
                .unwrap()
                .into_inner(),
            postgres
                .resolve_recipients(request)
                .await
                .unwrap()
                .into_inner(),
        ];
        assert_eq!(from_memory.recipients, from_postgres.recipients);
        assert_eq!(from_memory.unresolved, from_postgres.unresolved);
    }
}

#[tokio::test]
async fn an_export_imported_again_changes_nothing() {
    let database = demo_database("again").await;
    let store = store(&database);
    let state = store.export().await.unwrap();
    for format in [Format::Yaml, Format::Json] {
        let exported = datafile::render(&state, format);
        let outcome = store.import(&parsed(&exported), &|_| {}).await.unwrap();
        assert_eq!((outcome.revision.0, outcome.changed.total()), (1, 0));
    }
}

const PRICES_OFF: &str =
    "policies: [{ partner: northwind, billing_markets: [AU], settings: { pricing.view: off } }]";
const PRICES_ON: &str =
    "policies: [{ partner: northwind, billing_markets: [AU], settings: { pricing.view: on } }]";

/// A service that polls as often as by default, and has an account of the demo data cached.
async fn polling(database: &Database) -> (Server, Client) {
    let store = StoreChoice::Postgres(patient(database));
    let pace = DirectoryConfig::default().poll_interval;
    let server = Server::start(support::server::with_poll(config(store), pace)).await;
    let mut client = server.client().await;
    let before = effect(&mut client, "northwind-games", None).await;
    assert_eq!(before, v1::Effect::Allow);
    (server, client)
}

#[tokio::test]
async fn an_import_is_enforced_on_cached_accounts_within_two_seconds() {
    let database = demo_database("enforced").await;
    let (_server, mut client) = polling(&database).await;
    let mut slowest = Duration::ZERO;
    for (data, want) in [
        (PRICES_OFF, v1::Effect::Deny),
        (PRICES_ON, v1::Effect::Allow),
        (PRICES_OFF, v1::Effect::Deny),
    ] {
        import(&database, data).await;
        let committed = Instant::now();
        while effect(&mut client, "northwind-games", None).await != want {
            let waited = committed.elapsed();
            assert!(
                waited < Duration::from_secs(2),
                "not enforced after {waited:?}"
            );
            tokio::task::yield_now().await;
        }
        slowest = slowest.max(committed.elapsed());
    }
    println!("a change was enforced after {slowest:?} at most, by a poll each second");
}

#[tokio::test]
async fn an_import_is_enforced_at_once_for_a_caller_that_asks_for_it() {
    let database = demo_database("at_once").await;
    let (_server, mut client) = polling(&database).await;
    for (data, want) in [
        (PRICES_OFF, v1::Effect::Deny),
        (PRICES_ON, v1::Effect::Allow),
    ] {
        let revision = import(&database, data).await;
        for requirement in [
            Requirement::FullyConsistent(true),
            Requirement::AtLeastRevision(revision),
        ] {
            let got = effect(&mut client, "northwind-games", Some(requirement)).await;
            assert_eq!(got, want, "{requirement:?}");
        }
    }
}

#[tokio::test]
async fn an_account_whose_partner_is_gone_is_inconsistent_and_never_allowed() {
    let database = demo_database("broken").await;
    database.sql("ALTER TABLE account DROP CONSTRAINT account_partner_is_partner");
    database.write("UPDATE account SET partner_id = 'nobody' WHERE id = 'northwind-games'");
    database.write("UPDATE account SET partner_id = 'acme' WHERE id = 'northwind-freight'");
    let server = over(&database).await;
    let mut client = server.client().await;

    let inconsistent = (Code::FailedPrecondition, "ACCOUNT_INCONSISTENT".to_owned());
    for account in ["northwind-games", "northwind-freight"] {
        // Also what every managed account may: no policy, no allow.
        for feature in ["pricing.view", "services.order"] {
            let status = client
                .check_feature(check(account, feature, None))
                .await
                .unwrap_err();
            assert_eq!(reason(&status), inconsistent, "{account} {feature}");
        }
        let account_id = account.to_owned();
        let request = v1::ListFeaturesRequest {
            account_id: account_id.clone(),
            consistency: None,
        };
        assert_eq!(
            reason(&client.list_features(request).await.unwrap_err()),
            inconsistent
        );
        let request = v1::FilterCatalogRequest {
            account_id,
            ..Default::default()
        };
        assert_eq!(
            reason(&client.filter_catalog(request).await.unwrap_err()),
            inconsistent
        );
    }

    let pair = |account: &str| v1::FeatureCheck {
        account_id: account.to_owned(),
        feature: "pricing.view".to_owned(),
    };
    let request = v1::BatchCheckFeaturesRequest {
        checks: vec![pair("northwind-games"), pair("northwind-retail")],
        consistency: None,
    };
    let results = client
        .batch_check_features(request)
        .await
        .unwrap()
        .into_inner()
        .results;
    let errors: Vec<_> = results
        .iter()
        .map(|result| matches!(&result.result, Some(v1::feature_check_result::Result::Error(error)) if error.code == 9))
        .collect();
    assert_eq!(errors, [true, false]);

    let request = v1::ResolveRecipientsRequest {
        kind: v1::NotificationKind::Security.into(),
        account_ids: vec!["northwind-games".to_owned(), "northwind-retail".to_owned()],
        consistency: None,
    };
    let routed = client
        .resolve_recipients(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(routed.recipients.len(), 1);
    assert_eq!(routed.unresolved[0].account_id, "northwind-games");
}

/// The text and the status that a probe gets.
async fn probe(server: &Server, path: &str) -> (bool, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (
        answer.starts_with("HTTP/1.1 200"),
        answer.split("\r\n\r\n").nth(1).unwrap().to_owned(),
    )
}

/// Waits until `/readyz` says so.
async fn until_ready(server: &Server, wanted: bool) -> String {
    let waited = async {
        loop {
            let (ready, text) = probe(server, "/readyz").await;
            if ready == wanted {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited)
        .await
        .expect("readiness did not change")
}

#[tokio::test]
async fn an_outage_costs_cached_accounts_nothing_and_others_an_error() {
    let cluster = Cluster::start();
    let database = cluster.database("outage");
    migrate(&patient(&database)).await.unwrap();
    import(&database, datafile::DEMO).await;
    let limits = PostgresLimits {
        store_timeout: Duration::from_millis(200),
        ..PostgresLimits::default()
    };
    let postgres = PostgresConfig::parse(database.url(), None, limits).unwrap();
    let mut config = config(StoreChoice::Postgres(postgres));
    config.directory.stale_after = Duration::from_secs(1);
    let server = Server::start(config).await;
    let mut client = server.client().await;
    until_ready(&server, true).await;
    // A first query on a busy machine may take longer than it may: a retry is what callers do.
    while client
        .check_feature(check("northwind-games", "pricing.view", None))
        .await
        .is_err()
    {}

    cluster.kill();
    let killed = Instant::now();
    let mut fresh = 0;
    loop {
        let answer = client
            .check_feature(check("northwind-games", "pricing.view", None))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.effect(), v1::Effect::Allow);
        if answer.stale {
            break;
        }
        fresh += 1;
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "not said to be stale"
        );
    }
    println!(
        "{fresh} fresh answers, the first stale one {:?} after the kill",
        killed.elapsed()
    );

    let asked = Instant::now();
    let status = client
        .check_feature(check("northwind-retail", "pricing.view", None))
        .await
        .unwrap_err();
    println!(
        "an uncached account was refused after {:?}",
        asked.elapsed()
    );
    assert_eq!(
        reason(&status),
        (Code::Unavailable, "STORE_UNAVAILABLE".to_owned())
    );
    assert!(status.get_error_details().retry_info().is_some());
    for requirement in [
        Requirement::FullyConsistent(true),
        Requirement::AtLeastRevision(99),
    ] {
        let status = client
            .check_feature(check("northwind-games", "pricing.view", Some(requirement)))
            .await
            .unwrap_err();
        assert_eq!(
            reason(&status),
            (Code::Unavailable, "STORE_UNAVAILABLE".to_owned()),
            "{requirement:?}"
        );
    }
    assert!(!format!("{status:?}").contains("127.0.0.1"), "{status:?}");
    assert!(
        probe(&server, "/readyz").await.0,
        "unready before max_stale"
    );

    cluster.start_again();
    let back = Instant::now();
    while client
        .check_feature(check("northwind-games", "pricing.view", None))
        .await
        .unwrap()
        .into_inner()
        .stale
    {
        assert!(back.elapsed() < Duration::from_secs(5), "not fresh again");
    }
    println!("fresh again {:?} after its return", back.elapsed());
    while client
        .check_feature(check("northwind-retail", "pricing.view", None))
        .await
        .is_err()
    {
        assert!(back.elapsed() < Duration::from_secs(5), "not loaded again");
    }
}

#[tokio::test]
async fn a_service_that_starts_before_postgres_waits_for_it() {
    let cluster = Cluster::start();
    let database = cluster.database("late");
    migrate(&patient(&database)).await.unwrap();
    import(&database, datafile::DEMO).await;
    cluster.stop();
    let server = over(&database).await;
    let mut client = server.client().await;
    assert!(probe(&server, "/livez").await.0);
    let (ready, text) = probe(&server, "/readyz").await;
    assert!(!ready && text.contains("not ready"), "{text}");
    let status = client
        .check_feature(check("acme", "pricing.view", None))
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::Unavailable, "STORE_UNAVAILABLE".to_owned())
    );

    cluster.start_again();
    let started = Instant::now();
    until_ready(&server, true).await;
    println!("ready {:?} after Postgres came", started.elapsed());
    assert_eq!(effect(&mut client, "acme", None).await, v1::Effect::Allow);
}

#[tokio::test]
async fn a_database_without_the_schema_makes_the_service_unready_and_says_what_to_do() {
    let database = empty_database("bare");
    let server = over(&database).await;
    let text = until_ready(&server, false).await;
    assert!(text.starts_with("not ready"), "{text}");
    let told = async {
        loop {
            let (_, text) = probe(&server, "/readyz").await;
            if text.contains("portcullis migrate") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("nothing says to migrate");
    migrate(&patient(&database)).await.unwrap();
    until_ready(&server, true).await;
}
