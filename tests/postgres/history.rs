//! What a write leaves behind beside its rows: a revision, an entry in the history, a word to
//! those who listen.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::{AccountKind, Revision};
use portcullis::store::{Import, ImportError, ImportProgress, Store, StoreError, Unavailable};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::support::{self, Database};
use super::{account, direct, managed, partner_with};

/// A client of the tests' own, and the payloads of the notifications that it gets.
async fn client(database: &Database) -> (Client, mpsc::UnboundedReceiver<String>) {
    let (client, mut connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    let (sender, payloads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) =
            std::future::poll_fn(|context| connection.poll_message(context)).await
        {
            if let AsyncMessage::Notification(notification) = message {
                let _ = sender.send(notification.payload().to_owned());
            }
        }
    });
    (client, payloads)
}

#[tokio::test]
async fn a_change_is_announced_once_with_its_revision() {
    let database = support::database("announced").await;
    let store = support::store(&database);
    let (client, mut payloads) = client(&database).await;
    client
        .batch_execute("LISTEN portcullis_change")
        .await
        .unwrap();
    store.import(&direct("a"), &|_| ()).await.unwrap();
    // Changes nothing, so that nothing is said.
    store.import(&direct("a"), &|_| ()).await.unwrap();
    store.import(&direct("b"), &|_| ()).await.unwrap();
    assert_eq!(payloads.recv().await.unwrap(), "1");
    assert_eq!(payloads.recv().await.unwrap(), "2");
}

#[tokio::test]
async fn the_history_names_who_what_and_why() {
    let database = support::database("history").await;
    let store = support::store(&database);
    store.import(&partner_with(1), &|_| ()).await.unwrap();
    let row = database.sql(
        "SELECT revision, actor, comment, subject_kind, subject_id IS NULL, changed_everything,
            changed_accounts, changed_partners, changed_catalog,
            committed_at BETWEEN now() - interval '1 hour' AND now()
        FROM policy_change WHERE revision > 0",
    );
    assert_eq!(
        row,
        "1|ops@example.net|first load|everything|t|f|{m-0,p}|{p}|f|t"
    );
    let heads = database.sql(
        "SELECT h.revision, c.revision, h.change_id = p.change_id
        FROM policy_revision h, catalog_revision c, policy_change p WHERE p.revision = 1",
    );
    assert_eq!(heads, "1|0|t");

    // More than can be named.
    let many = Import {
        accounts: (0..1_001)
            .map(|i| account(&format!("d-{i}"), AccountKind::Direct))
            .collect(),
        ..Import::default()
    };
    store.import(&many, &|_| ()).await.unwrap();
    let row = database.sql(
        "SELECT changed_everything, changed_accounts, changed_catalog
        FROM policy_change WHERE revision = 2",
    );
    assert_eq!(row, "t|{}|f");
}

#[tokio::test]
async fn each_subject_and_setting_keeps_the_revision_of_its_last_change() {
    let database = support::database("revisions").await;
    let store = support::store(&database);
    store.import(&partner_with(2), &|_| ()).await.unwrap();
    // The same again, with another setting beside the one that is there, and `m-1` renamed.
    let mut second = partner_with(2);
    second.accounts[2].value.display_name = "M".to_owned();
    let own = &mut second.policies[0].value;
    let key = portcullis::domain::FeatureKey::try_from("dashboard.view").unwrap();
    own.settings
        .insert(key.clone(), portcullis::domain::Setting::On);
    store.import(&second, &|_| ()).await.unwrap();
    let accounts = "SELECT string_agg(id || ' ' || revision, ', ' ORDER BY id) FROM account";
    assert_eq!(database.sql(accounts), "m-0 1, m-1 2, p 1");
    assert_eq!(database.sql("SELECT revision FROM partner_policy"), "2");
    assert_eq!(
        database.sql("SELECT feature, revision FROM partner_setting ORDER BY feature"),
        "dashboard.view|2\npricing.view|1"
    );

    // A setting of an account's own is a change of that account.
    let mut third = second;
    let own = &mut third.policies[0].value.accounts[0].value;
    own.settings.clear();
    store.import(&third, &|_| ()).await.unwrap();
    assert_eq!(database.sql(accounts), "m-0 3, m-1 2, p 1");
    assert_eq!(database.sql("SELECT count(*) FROM account_setting"), "0");

    // A policy that says nothing any more was changed all the same.
    let mut fourth = third;
    fourth.policies[0].value.settings.clear();
    store.import(&fourth, &|_| ()).await.unwrap();
    assert_eq!(database.sql("SELECT revision FROM partner_policy"), "4");
}

#[tokio::test]
async fn a_read_only_database_answers_and_takes_no_import() {
    let database = support::database("read_only").await;
    support::store(&database)
        .import(&direct("a"), &|_| ())
        .await
        .unwrap();
    database.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        database.name()
    ));
    let store = support::store(&database);
    let error = store.import(&direct("b"), &|_| ()).await.unwrap_err();
    assert!(
        matches!(error, ImportError::Store(StoreError::ReadOnly(_))),
        "{error}"
    );
    let poll = store.poll(None).await.unwrap();
    assert_eq!(poll.at.head.revision, Revision(1));
    assert_eq!(store.export().await.unwrap().accounts.len(), 1);
    // One that changes nothing needs to write nothing.
    store.import(&direct("a"), &|_| ()).await.unwrap();
}

#[tokio::test]
async fn an_import_waits_for_the_lock_no_longer_than_is_fair() {
    let database = support::database("locked").await;
    let store = support::store(&database);
    let (client, _) = client(&database).await;
    client
        .batch_execute("BEGIN; SELECT * FROM policy_revision FOR UPDATE")
        .await
        .unwrap();
    let start = tokio::time::Instant::now();
    let error = store.import(&direct("a"), &|_| ()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            ImportError::Store(StoreError::Unavailable(Unavailable::Connection(_)))
        ),
        "{error}"
    );
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(20),
        "{waited:?}"
    );
    // Readers wait for no writer.
    assert_eq!(
        store.poll(None).await.unwrap().at.head.revision,
        Revision(0)
    );
    client.batch_execute("ROLLBACK").await.unwrap();
    store.import(&direct("a"), &|_| ()).await.unwrap();
}

/// The plan was made on a state that is gone when the lock is there: it has to be made again.
#[tokio::test]
async fn an_import_overtaken_by_another_is_planned_again() {
    let database = support::database("overtaken").await;
    let store = Arc::new(support::store(&database));
    store.import(&partner_with(1), &|_| ()).await.unwrap();
    // Another writer makes `p` direct, and holds the lock until the import waits for it.
    let (client, _) = client(&database).await;
    client
        .batch_execute(
            "BEGIN;
            SELECT * FROM policy_revision FOR UPDATE;
            WITH entry AS (
                INSERT INTO policy_change (revision, change_id, actor, caller, comment,
                    subject_kind, changed_everything, changed_catalog)
                VALUES (2, gen_random_uuid(), 'other', '', '', 'everything', true, false)
                RETURNING revision, change_id)
            UPDATE policy_revision SET (revision, change_id) = (SELECT * FROM entry);
            SELECT set_config('portcullis.change', change_id::text, true) FROM policy_revision;
            DELETE FROM account_setting;
            DELETE FROM partner_setting;
            DELETE FROM partner_policy;
            DELETE FROM account WHERE id = 'm-0';
            UPDATE account SET kind = 'direct' WHERE id = 'p'",
        )
        .await
        .unwrap();
    let import = {
        let store = Arc::clone(&store);
        let data = Import {
            accounts: vec![managed("m-1", "p")],
            ..Import::default()
        };
        tokio::spawn(async move { store.import(&data, &|_| ()).await })
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while database.sql(waiting) != "1" {
        tokio::task::yield_now().await;
    }
    client.batch_execute("COMMIT").await.unwrap();
    let error = import.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("`p` is not a partner"),
        "{error}"
    );
    assert_eq!(
        store.poll(None).await.unwrap().at.head.revision,
        Revision(2)
    );
}

#[tokio::test]
async fn an_import_whose_caller_leaves_is_written() {
    let database = support::database("left").await;
    let store = support::store(&database);
    let (client, mut payloads) = client(&database).await;
    client
        .batch_execute("LISTEN portcullis_change")
        .await
        .unwrap();
    let (sender, mut planning) = mpsc::unbounded_channel();
    let data = partner_with(100);
    let progress = move |event| {
        if event == ImportProgress::Planning {
            let _ = sender.send(());
        }
    };
    let import = store.import(&data, &progress);
    tokio::select! {
        biased;
        _ = planning.recv() => {}
        outcome = import => panic!("{outcome:?}"),
    }
    assert_eq!(payloads.recv().await.unwrap(), "1");
    assert_eq!(store.export().await.unwrap().accounts.len(), 101);
}
