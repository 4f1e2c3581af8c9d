//! What callers get while Postgres hangs, is gone or fails in the middle, and what comes after.

use std::sync::Arc;
use std::time::Duration;

use portcullis::store::postgres::{PostgresConfig, PostgresLimits, PostgresStore, migrate};
use portcullis::store::{
    Import, ImportError, ImportMode, ImportOutcome, ImportProgress, Store, StoreError, Unavailable,
};
use tokio_postgres::NoTls;

use super::support::{self, Cluster, Database};
use super::{direct, id, partner_with};

/// How long a load may take here.
const LIMIT: Duration = Duration::from_millis(300);

/// How long a load may seem to take on a machine with other things to do: far less than it would
/// take without a limit.
const BUSY: Duration = Duration::from_secs(10);

fn hasty(database: &Database) -> PostgresStore {
    let limits = PostgresLimits {
        store_timeout: LIMIT,
        pool_size: 2,
        ..PostgresLimits::default()
    };
    let config = PostgresConfig::parse(database.url(), None, limits).unwrap();
    PostgresStore::new(config).unwrap()
}

/// Loads until that works again.
async fn recovered(store: &PostgresStore) {
    let works = async {
        while store.load(&[id("m-0")]).await.is_err() || store.poll(None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), works)
        .await
        .expect("the store has not recovered");
}

/// More often than there are connections: each is taken out of the pool.
async fn assert_no_answer_in_time(store: &PostgresStore) {
    for _ in 0..3 {
        let start = tokio::time::Instant::now();
        let error = store.load(&[id("m-0")]).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unavailable(Unavailable::Timeout(LIMIT))),
            "{error}"
        );
        assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
        assert!(start.elapsed() < BUSY, "{:?}", start.elapsed());
    }
    // By now it is known: one load at most goes on finding out.
    let id = [id("m-0")];
    let both = tokio::join!(store.load(&id), store.load(&id));
    let is_refused = |load| {
        matches!(
            load,
            Err(StoreError::Unavailable(Unavailable::Connection(_)))
        )
    };
    assert!(is_refused(both.0) || is_refused(both.1));
}

#[tokio::test]
async fn a_load_that_waits_for_a_lock_ends_in_time_and_on_the_server_too() {
    let database = support::database("table_lock").await;
    let store = hasty(&database);
    recovered(&store).await;
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    assert_no_answer_in_time(&store).await;
    // The feed's connection waits for none of them.
    store.poll(None).await.unwrap();
    // What nobody waits for is cancelled, though the lock is still held.
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let cancelled = async {
        while database.sql(waiting) != "0" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BUSY, cancelled).await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    recovered(&store).await;
}

async fn database_of(cluster: &Cluster) -> Database {
    let database = cluster.database("outage");
    migrate(&support::patient(&database)).await.unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_unavailable_in_time_and_then_comes_back() {
    let cluster = Cluster::start();
    let database = database_of(&cluster).await;
    let store = hasty(&database);
    recovered(&store).await;
    cluster.freeze();
    assert_no_answer_in_time(&store).await;
    let error = store.poll(None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    cluster.thaw();
    recovered(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_is_unavailable_and_then_comes_back() {
    let cluster = Cluster::start();
    let database = database_of(&cluster).await;
    cluster.stop();
    // The store can be made while there is no server.
    let store = hasty(&database);
    for _ in 0..3 {
        let error = store.load(&[id("m-0")]).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unavailable(Unavailable::Connection(_))),
            "{error}"
        );
        assert!(error.to_string().contains("connection refused"), "{error}");
        let error = store.poll(None).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
    cluster.start_again();
    recovered(&store).await;
    // With connections in the pool, which are dead now.
    cluster.stop();
    assert!(store.load(&[id("m-0")]).await.is_err());
    cluster.start_again();
    recovered(&store).await;
}

/// The outcome of an import during which `fail` is called once, when `stage` says so.
async fn import_failing(
    store: &PostgresStore,
    data: &Import,
    stage: fn(ImportProgress) -> bool,
    fail: impl Fn() + Send + Sync,
) -> Result<ImportOutcome, ImportError> {
    let once = std::sync::Once::new();
    let progress = |event| {
        if stage(event) {
            once.call_once(&fail);
        }
    };
    let outcome = store.import(data, &progress).await;
    assert!(once.is_completed(), "the import never got there");
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_cut_off_by_a_crash_is_there_whole_or_not_at_all() {
    let cluster = Cluster::start();
    let database = database_of(&cluster).await;
    let store = support::store(&database);
    let (before, after) = (partner_with(5), partner_with(12_000));
    store.import(&before, &|_| ()).await.unwrap();
    let kept = store.export().await.unwrap();
    let stages: [fn(ImportProgress) -> bool; 3] = [
        |event| event == ImportProgress::Planning,
        |event| matches!(event, ImportProgress::Writing { done, of } if done * 2 > of),
        |event| matches!(event, ImportProgress::Writing { done, of } if done == of),
    ];
    for stage in stages {
        let outcome = import_failing(&store, &after, stage, || cluster.kill()).await;
        cluster.start_again();
        let head = loop {
            if let Ok(poll) = store.poll(None).await {
                break poll.at.head;
            }
        };
        let state = store.export().await.unwrap();
        let history = database.sql("SELECT max(revision) FROM policy_change");
        assert_eq!(history, head.revision.to_string());
        if state == kept {
            // Then nobody was told that it was written.
            outcome.unwrap_err();
        } else {
            assert_eq!(state.accounts.len(), 12_001, "half an import");
            let unknown = matches!(outcome, Ok(_) | Err(ImportError::OutcomeUnknown(_)));
            assert!(unknown, "{outcome:?}");
        }
        let reset = Import {
            mode: ImportMode::Replace,
            ..before.clone()
        };
        store.import(&reset, &|_| ()).await.unwrap();
        assert_eq!(store.export().await.unwrap(), kept);
    }
}

/// A server whose commits wait for a standby that there is none of, so that something can happen
/// between COMMIT and its answer.
async fn import_during_which(act: &'static str) -> (Cluster, Database, ImportError) {
    let cluster = Cluster::start();
    let database = database_of(&cluster).await;
    for sql in [
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
        "SELECT pg_reload_conf()",
    ] {
        database.sql(sql);
    }
    let store = Arc::new(support::store(&database));
    let import = tokio::spawn(async move { store.import(&direct("a"), &|_| ()).await });
    let acted = format!(
        "SELECT {act}(pid) FROM pg_stat_activity
        WHERE application_name = 'portcullis' AND wait_event = 'SyncRep'"
    );
    while database.sql(&acted) != "t" {
        tokio::task::yield_now().await;
    }
    let error = import.await.unwrap().unwrap_err();
    (cluster, database, error)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_connection_is_lost_is_of_unknown_outcome() {
    let (_cluster, database, error) = import_during_which("pg_terminate_backend").await;
    assert!(matches!(error, ImportError::OutcomeUnknown(_)), "{error}");
    assert_eq!(database.sql("SELECT id FROM account"), "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_may_not_have_been_replicated_is_of_unknown_outcome() {
    let (_cluster, database, error) = import_during_which("pg_cancel_backend").await;
    assert!(matches!(error, ImportError::OutcomeUnknown(_)), "{error}");
    assert_eq!(database.sql("SELECT id FROM account"), "a");
}
