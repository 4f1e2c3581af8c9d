//! What becomes of writes that something cuts off: what was acknowledged is there, everything else is
//! there whole or not at all, and a repetition with the same key makes it once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::FeatureMatrix;
use portcullis::store::postgres::PostgresStore;
use portcullis::store::{
    ChangesPage, Idempotency, PolicyStore, Scope, Selection, Store, StoreError, Write, WriteError,
    WriteRequest, Written,
};
use tokio::sync::watch;
use tokio_postgres::NoTls;
use uuid::Uuid;

use super::support::{self, Cluster, Database};
use super::{id, managed, partner_with};

/// How many writes each disturbance has to spoil.
const WRITES: usize = 300;

fn request(number: usize) -> Arc<WriteRequest> {
    // Each says something else, so that none changes nothing.
    let mut account = managed("m-0", "p").value;
    account.display_name = number.to_string();
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    Arc::new(WriteRequest {
        write: Write::PutAccount(account),
        matrix: Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()),
        actor: "tests".to_owned(),
        caller: "anonymous".to_owned(),
        comment: number.to_string(),
        expected: None,
        idempotency: Some(Idempotency {
            method: "PutAccount",
            key: format!("write {number}"),
            digest,
        }),
    })
}

/// How often each write is in the history.
async fn recorded(store: &PostgresStore) -> BTreeMap<usize, usize> {
    let page = ChangesPage {
        account: Some(id("m-0")),
        limit: 10_000,
        limit_bytes: 1 << 24,
        ..ChangesPage::default()
    };
    let changes = loop {
        match store.list_changes(&page).await {
            Ok(changes) => break changes,
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    };
    let mut times = BTreeMap::new();
    let numbers = changes
        .iter()
        .filter_map(|change| change.comment.parse().ok());
    for number in numbers {
        *times.entry(number).or_default() += 1;
    }
    times
}

/// What became of all attempts.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    failed: usize,
    unknown: usize,
}

/// Writes one after the other, each until it is acknowledged, while something disturbs them.
async fn write_all(store: &PostgresStore, done: &watch::Sender<usize>) -> Tally {
    let mut tally = Tally::default();
    for number in 0..WRITES {
        loop {
            match store.write(request(number)).await {
                Ok(_) => {
                    tally.acknowledged += 1;
                    done.send_replace(tally.acknowledged);
                    break;
                }
                Err(WriteError::OutcomeUnknown(_)) => tally.unknown += 1,
                Err(WriteError::Store(StoreError::Unavailable(_))) => {
                    tally.failed += 1;
                    // Nothing was written: that was said, so it has to be true.
                    if tally.unknown == 0 {
                        assert!(!recorded(store).await.contains_key(&number), "{number}");
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    tally
}

async fn assert_each_once(store: &PostgresStore) {
    let times = recorded(store).await;
    assert_eq!(times, (0..WRITES).map(|number| (number, 1)).collect());
    let trace = store.trace(&id("m-0")).await.unwrap().unwrap();
    assert_eq!(trace.account.display_name, (WRITES - 1).to_string());
}

async fn ready(database: &Database) -> PostgresStore {
    let store = support::store(database);
    store.import(&partner_with(1), &|_| ()).await.unwrap();
    store
}

/// Some time up to `longest`, another each time.
fn some(longest: Duration) -> Duration {
    let millionths = u32::try_from(Uuid::new_v4().as_u128() % 1_000_000).unwrap();
    longest * millionths / 1_000_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_whose_connection_is_cut_at_any_step_are_made_once() {
    let database = support::database("cut_writes").await;
    let store = ready(&database).await;
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let (done, mut progress) = watch::channel(0);
    let cutting = tokio::spawn(async move {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        loop {
            // Each write gets as far as it gets, and some get through.
            if progress.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(some(Duration::from_millis(15))).await;
            client.batch_execute(cut).await.unwrap();
        }
    });
    let tally = write_all(&store, &done).await;
    cutting.abort();
    println!("connections cut at random: {tally:?}");
    assert!(tally.failed > 0, "nothing was disturbed: {tally:?}");
    assert_each_once(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_a_postgres_that_is_killed_at_any_step_are_made_once() {
    const KILLS: usize = 6;
    let cluster = Arc::new(Cluster::start());
    let database = cluster.database("killed_writes");
    portcullis::store::postgres::migrate(&support::patient(&database))
        .await
        .unwrap();
    let store = ready(&database).await;
    let killing = tokio::task::spawn_blocking({
        let cluster = Arc::clone(&cluster);
        move || {
            for _ in 0..KILLS {
                std::thread::sleep(some(Duration::from_millis(300)));
                cluster.kill();
                cluster.start_again();
            }
        }
    });
    let tally = write_all(&store, &watch::channel(0).0).await;
    killing.await.unwrap();
    println!("Postgres killed {KILLS} times: {tally:?}");
    assert!(
        tally.failed + tally.unknown > 0,
        "nothing was disturbed: {tally:?}"
    );
    assert_each_once(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_caller_goes_away_is_made_whole_or_not_at_all() {
    let database = support::database("left_writes").await;
    let store = Arc::new(ready(&database).await);
    let mut answered = 0;
    for number in 0..WRITES {
        let write = store.write(request(number));
        let patience = some(Duration::from_millis(40));
        answered += usize::from(tokio::time::timeout(patience, write).await.is_ok());
    }
    println!("of {WRITES} callers {answered} stayed for the answer");
    assert!(answered < WRITES, "no caller went away");
    // A repetition settles each, the ones that go on by themselves meanwhile included.
    for number in 0..WRITES {
        store.write(request(number)).await.unwrap();
    }
    assert!(recorded(&store).await.into_values().eq([1; WRITES]));
    let head = store.poll(None).await.unwrap().at.head;
    assert_eq!(
        head.revision.0,
        1 + WRITES as u64,
        "each revision is one write"
    );
}

async fn write_one(store: &PostgresStore, number: usize) -> Result<Written, WriteError> {
    store.write(request(number)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_hangs_stops_others_for_seconds_and_reads_not_at_all() {
    let database = support::database("hung_writer").await;
    let store = ready(&database).await;
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let lock = "BEGIN; SELECT FROM policy_revision FOR UPDATE";
    client.batch_execute(lock).await.unwrap();
    let began = tokio::time::Instant::now();
    // More than there are connections.
    let waiting: Vec<_> = (0..12).map(|number| write_one(&store, number)).collect();
    let loads = async {
        for _ in 0..20 {
            store.load(&[id("m-0")]).await.unwrap();
        }
        began.elapsed()
    };
    let (outcomes, loads) = tokio::join!(futures_util::future::join_all(waiting), loads);
    let took = began.elapsed();
    println!("20 loads took {loads:?} beside 12 writers, who were told after {took:?} at most");
    for outcome in outcomes {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("another writer holds the lock"), "{error}");
    }
    assert!(loads < Duration::from_secs(2), "{loads:?}");
    client.batch_execute("ROLLBACK").await.unwrap();
    write_one(&store, 0).await.unwrap();
    assert_eq!(recorded(&store).await, [(0, 1)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_no_writes_says_so() {
    let database = support::database("read_only_writes").await;
    let store = ready(&database).await;
    let name = database.name();
    database.sql(&format!(
        "ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"
    ));
    // A connection takes the setting when it is made.
    store.suspect();
    let error = write_one(&store, 0).await.unwrap_err();
    assert!(
        matches!(error, WriteError::Store(StoreError::ReadOnly(_))),
        "{error}"
    );
    store.load(&[id("m-0")]).await.unwrap();
    database.sql(&format!(
        "SET transaction_read_only = off;
        ALTER DATABASE \"{name}\" RESET default_transaction_read_only"
    ));
    store.suspect();
    write_one(&store, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_repeated_requests_are_forgotten_after_a_day() {
    let database = support::database("old_answers").await;
    let store = ready(&database).await;
    for number in 0..3 {
        write_one(&store, number).await.unwrap();
    }
    database.sql("UPDATE idempotency_key SET created_at = now() - interval '24 hours 30 minutes' WHERE key = 'write 0'");
    database.sql(
        "UPDATE idempotency_key SET created_at = now() - interval '26 hours' WHERE key = 'write 1'",
    );
    write_one(&store, 3).await.unwrap();
    let kept = database.sql("SELECT key FROM idempotency_key ORDER BY key");
    assert_eq!(kept, "write 0\nwrite 2\nwrite 3");
}

/// What a read of policies sees is one state, however many statements it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_is_of_one_state() {
    let database = support::database("one_state").await;
    let store = Arc::new(ready(&database).await);
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for number in 0..100 {
                write_one(&store, number).await.unwrap();
            }
        }
    });
    let scope = Scope {
        accounts: Selection::from_iter([id("m-0")]),
        ..Scope::default()
    };
    let mut seen = 0;
    while !writing.is_finished() {
        let reading = store.read(&scope).await.unwrap();
        assert_eq!(
            reading.revisions.accounts[&id("m-0")],
            reading.at.head.revision
        );
        seen += 1;
    }
    writing.await.unwrap();
    assert!(seen > 1, "nothing was read meanwhile");
}

/// Whatever the order in which transactions began, revisions become visible in the order of their
/// numbers: who polls sees each of them, and none appears behind one that was seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_at_once_no_revision_is_missed() {
    const EACH: usize = 25;
    let database = support::database("order").await;
    let store = ready(&database).await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = support::store(&database);
            tokio::spawn(async move {
                for number in 0..EACH {
                    write_one(&store, writer * EACH + number).await.unwrap();
                }
            })
        })
        .collect();
    let last = 1 + 8 * EACH as u64;
    let mut seen = store.poll(None).await.unwrap().at.head;
    let mut polls = 0;
    while seen.revision.0 < last {
        let poll = store.poll(Some(seen)).await.unwrap();
        assert_eq!(poll.seen, Some(seen.change));
        for change in &poll.changes {
            assert_eq!(change.head.revision, seen.revision.next());
            seen = change.head;
        }
        assert_eq!(seen, poll.at.head);
        polls += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    println!("{last} revisions of 8 writers, seen in {polls} polls: none is missing");
    assert_eq!(recorded(&store).await.len(), 8 * EACH);
}
