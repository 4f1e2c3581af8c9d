//! What a replica hears of changes: signals, the changes themselves, and by which matrix others
//! decide.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use portcullis::domain::Revision;
use portcullis::store::postgres::{PostgresStore, migrate};
use portcullis::store::{ChangeSubject, ChangedKeys, Poll, Signal, Store, StoreError, Unavailable};

use super::support::{self, Cluster, Database, within};
use super::{direct, id, partner_with};

type Signals = BoxStream<'static, Signal>;

async fn next(signals: &mut Signals) -> Signal {
    within("a signal", signals.next()).await.unwrap()
}

/// Waits until it listens again; what it says before that.
async fn until_listening(signals: &mut Signals) -> Vec<StoreError> {
    let mut errors = Vec::new();
    loop {
        match next(signals).await {
            Signal::Listening => return errors,
            Signal::Changed => {}
            Signal::Deaf(error) => errors.push(error),
        }
    }
}

#[tokio::test]
async fn each_change_is_signalled_after_the_word_that_somebody_listens() {
    let database = support::database("signals").await;
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    for name in ["a", "b", "c"] {
        store.import(&direct(name), &|_| ()).await.unwrap();
        assert!(matches!(next(&mut signals).await, Signal::Changed));
    }
}

#[tokio::test]
async fn notifications_that_come_together_are_one_signal() {
    let database = support::database("together").await;
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    database.sql("SELECT pg_notify('portcullis_change', n::text) FROM generate_series(1, 5) n");
    assert!(matches!(next(&mut signals).await, Signal::Changed));
    let more = tokio::time::timeout(Duration::from_millis(100), signals.next()).await;
    assert!(more.is_err(), "{more:?}");
}

const LISTENERS: &str = "FROM pg_stat_activity
    WHERE datname = current_database() AND query IN ('LISTEN portcullis_change', '')";

#[tokio::test]
async fn a_listener_that_is_thrown_out_comes_back() {
    let database = support::database("thrown_out").await;
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    for _ in 0..3 {
        let ended = database.sql(&format!("SELECT pg_terminate_backend(pid) {LISTENERS}"));
        assert_eq!(ended, "t");
        let errors = until_listening(&mut signals).await;
        assert_eq!(errors.len(), 1, "{errors:?}");
        let [StoreError::Unavailable(Unavailable::Connection(_))] = &errors[..] else {
            panic!("{errors:?}");
        };
    }
}

#[tokio::test]
async fn a_listener_that_is_dropped_leaves_the_server() {
    let database = support::database("dropped").await;
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    drop(signals);
    let gone = async {
        while database.sql(&format!("SELECT count(*) {LISTENERS}")) != "0" {
            tokio::task::yield_now().await;
        }
    };
    within("the end of its backend", gone).await;
}

#[tokio::test]
async fn a_listener_is_in_no_transaction() {
    let database = support::database("no_transaction").await;
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    let state = format!("SELECT state, xact_start IS NULL {LISTENERS}");
    assert_eq!(database.sql(&state), "idle|t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanished_is_noticed_within_three_seconds() {
    let cluster = Cluster::start();
    let database = cluster.database("vanished");
    migrate(&support::patient(&database)).await.unwrap();
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    cluster.freeze();
    let start = tokio::time::Instant::now();
    let error = match next(&mut signals).await {
        Signal::Deaf(error) => error,
        other @ (Signal::Listening | Signal::Changed) => panic!("{other:?}"),
    };
    println!("noticed after {:?}", start.elapsed());
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert!(
        matches!(error, StoreError::Unavailable(Unavailable::Timeout(_))),
        "{error}"
    );
    cluster.thaw();
    until_listening(&mut signals).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_not_listened_to() {
    let cluster = Cluster::start();
    let database = cluster.database("standby");
    migrate(&support::patient(&database)).await.unwrap();
    cluster.stop();
    cluster.demote();
    cluster.start_again();
    let store = support::store(&database);
    let mut signals = store.signals();
    // And again: it may be promoted, or another server be found under its name.
    for _ in 0..2 {
        match next(&mut signals).await {
            Signal::Deaf(error) => assert!(error.to_string().contains("a standby"), "{error}"),
            other @ (Signal::Listening | Signal::Changed) => panic!("{other:?}"),
        }
    }
    assert!(!store.poll(None).await.unwrap().at.primary);
    // To note the matrix that is noted already would work; another one cannot be.
    let error = store.announce_matrix(&digest('a')).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
}

/// Appends changes to the history as a writer would, without their rows.
fn append(database: &Database, count: u32, keys: &str) {
    database.sql(&format!(
        "WITH made AS (
            INSERT INTO policy_change (revision, change_id, actor, caller, comment, subject_kind,
                subject_id, changed_everything, changed_accounts, changed_partners, changed_catalog)
            SELECT revision + number, gen_random_uuid(), '', '', '', {keys}
            FROM policy_revision, generate_series(1, {count}) number
            RETURNING revision, change_id)
        UPDATE policy_revision SET (revision, change_id) =
            (SELECT revision, change_id FROM made ORDER BY revision DESC LIMIT 1)"
    ));
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_everything() {
    let database = support::database("unreadable").await;
    database.sql(
        "ALTER TABLE policy_change
            DROP CONSTRAINT policy_change_subject_kind,
            DROP CONSTRAINT policy_change_subject_id,
            ALTER changed_everything DROP NOT NULL,
            ALTER changed_partners DROP NOT NULL,
            ALTER changed_catalog DROP NOT NULL",
    );
    let unreadable = [
        "'account', 'an account', false, '{an account}', '{}', false",
        "'partner', 'p', false, '{}', '{p,NULL}', false",
        "'account', NULL, false, '{}', NULL, false",
        "'weather', NULL, false, '{}', '{}', NULL",
        "'catalog', NULL, NULL, '{}', '{}', true",
    ];
    for keys in unreadable {
        append(&database, 1, keys);
    }
    append(&database, 1, "'account', 'a', false, '{a}', '{}', false");
    let poll = support::store(&database).poll(None).await.unwrap();
    let keys: Vec<_> = poll.changes.iter().map(|change| &change.keys).collect();
    assert_eq!(keys[..5], [&ChangedKeys::Everything; 5]);
    let named = ChangedKeys::Named {
        accounts: BTreeSet::from([id("a")]),
        partners: BTreeSet::new(),
        catalog: false,
    };
    assert_eq!(keys[5..], [&named]);
    let subjects: Vec<_> = poll
        .changes
        .into_iter()
        .map(|change| change.subject)
        .collect();
    let (everything, account) = (ChangeSubject::Everything, ChangeSubject::Account(id("a")));
    let (partner, catalog) = (ChangeSubject::Partner(id("p")), ChangeSubject::Catalog);
    let wanted = [
        everything.clone(),
        partner,
        everything.clone(),
        everything,
        catalog,
        account,
    ];
    assert_eq!(subjects, wanted);
}

#[tokio::test]
async fn a_poll_of_a_long_history_reads_no_more_of_it_than_it_brings() {
    let database = support::database("long_history").await;
    let store = support::store(&database);
    store.import(&partner_with(1), &|_| ()).await.unwrap();
    let seen = store.poll(None).await.unwrap().at.head;
    append(
        &database,
        50_000,
        "'partner', 'p', false, '{}', '{p}', false",
    );
    let read = "SELECT coalesce(seq_scan, 0) || ' ' || coalesce(idx_tup_fetch, 0)
        FROM pg_stat_user_tables WHERE relname = 'policy_change'";
    let before = database.sql(read);
    // Polls have one connection, which tells what it read when it is closed.
    for (seen, first) in [(Some(seen), 2), (None, 50_001 - 1_023)] {
        let store: PostgresStore = support::store(&database);
        let Poll { at, changes, .. } = store.poll(seen).await.unwrap();
        assert_eq!(at.head.revision.0, 50_001);
        let revisions = changes.iter().map(|change| change.head.revision.0);
        assert_eq!(
            revisions.collect::<Vec<_>>(),
            (first..first + 1_024).collect::<Vec<_>>()
        );
    }
    let numbers = |text: &str| -> Vec<u64> {
        text.split(' ')
            .map(|number| number.parse().unwrap())
            .collect()
    };
    let before = numbers(&before);
    let told = async {
        loop {
            let after = numbers(&database.sql(read));
            if after[1] >= before[1] + 2 * 1_024 {
                return after;
            }
            tokio::task::yield_now().await;
        }
    };
    let after = within("the statistics", told).await;
    assert_eq!(after[0], before[0], "the whole history was read");
    assert!(
        after[1] <= before[1] + 2 * 1_024 + 10,
        "{before:?} {after:?}"
    );
}

fn digest(of: char) -> String {
    of.to_string().repeat(64)
}

async fn matrix_changes(store: &PostgresStore) -> u64 {
    store.poll(None).await.unwrap().matrix_changes
}

#[tokio::test]
async fn a_replica_with_another_matrix_than_the_one_before_is_noticed_and_announced() {
    let database = support::database("matrix").await;
    let store = support::store(&database);
    let mut signals = store.signals();
    assert!(matches!(next(&mut signals).await, Signal::Listening));
    // The first one, and one more with the same.
    let row = "SELECT xmin, digest, changes FROM matrix_seen";
    store.announce_matrix(&digest('a')).await.unwrap();
    let first = database.sql(row);
    store.announce_matrix(&digest('a')).await.unwrap();
    assert_eq!(database.sql(row), first, "written though nothing changed");
    assert_eq!(matrix_changes(&store).await, 0);

    assert!(matches!(next(&mut signals).await, Signal::Changed));
    store.announce_matrix(&digest('b')).await.unwrap();
    assert!(matches!(next(&mut signals).await, Signal::Changed));
    let poll = store.poll(None).await.unwrap();
    assert_eq!(
        (poll.matrix_changes, poll.matrix_changed_at),
        (1, Some(Revision(0)))
    );
    store.import(&direct("d"), &|_| ()).await.unwrap();
    store.announce_matrix(&digest('a')).await.unwrap();
    let poll = store.poll(None).await.unwrap();
    assert_eq!(
        (poll.matrix_changes, poll.matrix_changed_at),
        (2, Some(Revision(1)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_with_one_matrix_change_it_once() {
    let database = support::database("matrix_at_once").await;
    support::store(&database)
        .announce_matrix(&digest('a'))
        .await
        .unwrap();
    let replicas: Vec<_> = (0..8)
        .map(|_| {
            let store = support::store(&database);
            tokio::spawn(async move { store.announce_matrix(&digest('b')).await })
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap().unwrap();
    }
    assert_eq!(matrix_changes(&support::store(&database)).await, 1);
}
