//! Migrations, the schema's version, and the constraints.

use portcullis::store::postgres::{Migrated, PostgresStore, migrate};
use portcullis::store::{ImportError, Store, StoreError};

use super::support::{self, Database};
use super::{direct, id, partner_with};

fn schema_text(error: &StoreError) -> &str {
    match error {
        StoreError::Schema(text) => text,
        StoreError::Unavailable(_) | StoreError::ReadOnly(_) | StoreError::Broken { .. } => {
            panic!("{error}")
        }
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let database = support::empty_database("twice");
    let config = support::patient(&database);
    let first = migrate(&config).await.unwrap();
    assert_eq!(first, Migrated { from: None, to: 2 });
    support::store(&database)
        .import(&direct("d"), &|_| ())
        .await
        .unwrap();
    let second = migrate(&config).await.unwrap();
    assert_eq!(
        second,
        Migrated {
            from: Some(2),
            to: 2
        }
    );
    assert_eq!(database.sql("SELECT id FROM account"), "d");
}

#[tokio::test]
async fn of_migrators_at_once_one_migrates_and_all_succeed() {
    let database = support::empty_database("at_once");
    let migrators: Vec<_> = (0..4)
        .map(|_| {
            let config = support::patient(&database);
            tokio::spawn(async move { migrate(&config).await })
        })
        .collect();
    let mut from_nothing = 0;
    for migrator in migrators {
        let migrated = migrator.await.unwrap().unwrap();
        assert_eq!(migrated.to, 2);
        from_nothing += usize::from(migrated.from.is_none());
    }
    assert_eq!(from_nothing, 1);
    assert_eq!(database.sql("SELECT count(*) FROM schema_migration"), "2");
    assert_eq!(database.sql("SELECT count(*) FROM policy_change"), "1");
}

#[tokio::test]
async fn a_database_without_a_schema_says_what_to_run() {
    let database = support::empty_database("no_schema");
    let store = support::store(&database);
    let errors = [
        store.poll(None).await.unwrap_err(),
        store.load(&[id("a")]).await.unwrap_err(),
        store.load_catalog().await.unwrap_err(),
        store.export().await.unwrap_err(),
        match store.import(&direct("d"), &|_| ()).await.unwrap_err() {
            ImportError::Store(error) => error,
            error @ (ImportError::Invalid(_) | ImportError::OutcomeUnknown(_)) => panic!("{error}"),
        },
    ];
    for error in errors {
        let text = schema_text(&error);
        assert!(text.contains("run `portcullis migrate`"), "{text}");
    }
    migrate(&support::patient(&database)).await.unwrap();
    store.poll(None).await.unwrap();
}

async fn poll_error(store: &PostgresStore) -> String {
    schema_text(&store.poll(None).await.unwrap_err()).to_owned()
}

#[tokio::test]
async fn a_schema_of_another_version_says_what_is_there_and_what_is_needed() {
    let database = support::database("other_version").await;
    let store = support::store(&database);
    let record = "INSERT INTO schema_migration (version, name, compatible_from) VALUES";

    database.sql(&format!("{record} (98, 'adds a column', 1)"));
    store.poll(None).await.unwrap();
    let migrated = migrate(&support::patient(&database)).await.unwrap();
    assert_eq!(
        migrated,
        Migrated {
            from: Some(98),
            to: 98
        }
    );

    database.sql(&format!("{record} (99, 'takes a column away', 97)"));
    let text = poll_error(&store).await;
    for part in ["version 99 ", "version 97 ", "newer program"] {
        assert!(text.contains(part), "{text}");
    }
    let error = migrate(&support::patient(&database)).await.unwrap_err();
    assert!(schema_text(&error).contains("version 99 "), "{error}");
    let error = store.import(&direct("d"), &|_| ()).await.unwrap_err();
    assert!(
        matches!(error, ImportError::Store(StoreError::Schema(_))),
        "{error}"
    );

    database
        .sql("DELETE FROM schema_migration; INSERT INTO schema_migration VALUES (0, 'none', 0)");
    let text = poll_error(&store).await;
    for part in ["version 0 ", "2 is needed", "run `portcullis migrate`"] {
        assert!(text.contains(part), "{text}");
    }
}

/// A partner with a policy, an account of it, and one of everything else.
async fn filled(name: &str) -> Database {
    let database = support::database(name).await;
    let store = support::store(&database);
    store.import(&partner_with(1), &|_| ()).await.unwrap();
    database.write(
        "INSERT INTO account (id, kind, revision) VALUES ('d', 'direct', 1);
        INSERT INTO billing_market VALUES ('UK', 'United Kingdom', 'GBP');
        INSERT INTO billing_market_alias VALUES ('GB', 'UK');
        INSERT INTO partner_market VALUES ('p', 'UK', 1);
        INSERT INTO location VALUES ('l', 'L', 'London', 'GB', 'UK', 'active');
        INSERT INTO offer VALUES ('l', 0, 'PORT_10G', true, 'GBP', 1, 0, 'GBP', 0, 0)",
    );
    database
}

/// Statements, and the constraint that refuses each.
const REFUSED: [(&str, &str); 50] = [
    (
        "INSERT INTO account (id, kind, revision) VALUES ('', 'direct', 1)",
        "account_id_shape",
    ),
    (
        "INSERT INTO account (id, kind, revision) VALUES ('a b', 'direct', 1)",
        "account_id_shape",
    ),
    (
        "INSERT INTO account (id, kind, revision) VALUES (E'a\\n', 'direct', 1)",
        "account_id_shape",
    ),
    (
        "INSERT INTO account (id, kind, revision) VALUES ('é', 'direct', 1)",
        "account_id_shape",
    ),
    (
        "INSERT INTO account (id, kind, revision) VALUES (repeat('x', 65), 'direct', 1)",
        "account_id_shape",
    ),
    (
        "INSERT INTO account (id, kind, revision) VALUES ('a', 'indirect', 1)",
        "account_kind",
    ),
    (
        "UPDATE account SET support = 'nobody' WHERE id = 'm-0'",
        "account_support",
    ),
    (
        "UPDATE account SET support = NULL WHERE id = 'm-0'",
        "account_managed_has_support",
    ),
    (
        "UPDATE account SET support = 'partner' WHERE id = 'd'",
        "account_managed_has_support",
    ),
    (
        "UPDATE account SET partner_id = NULL WHERE id = 'm-0'",
        "account_managed_has_partner",
    ),
    (
        "UPDATE account SET partner_id = 'p' WHERE id = 'd'",
        "account_managed_has_partner",
    ),
    (
        "UPDATE account SET partner_id = 'nobody' WHERE id = 'm-0'",
        "account_partner_is_partner",
    ),
    (
        "UPDATE account SET partner_id = 'd' WHERE id = 'm-0'",
        "account_partner_is_partner",
    ),
    (
        "UPDATE account SET partner_id = 'm-0' WHERE id = 'm-0'",
        "account_partner_is_partner",
    ),
    (
        "UPDATE account SET kind = 'direct' WHERE id = 'p'",
        "account_partner_is_partner",
    ),
    (
        "DELETE FROM account WHERE id = 'p'",
        "account_partner_is_partner",
    ),
    (
        "UPDATE account SET display_name = repeat('é', 201)",
        "account_display_name_length",
    ),
    (
        "DELETE FROM account WHERE id = 'm-0'",
        "account_setting_is_of_managed",
    ),
    (
        "UPDATE account_setting SET account_id = 'd'",
        "account_setting_is_of_managed",
    ),
    (
        "UPDATE account_setting SET feature = 'Pricing.view'",
        "account_setting_feature_shape",
    ),
    (
        "UPDATE account_setting SET feature = 'pricing'",
        "account_setting_feature_shape",
    ),
    (
        "UPDATE account_setting SET setting = 'true'",
        "account_setting_setting",
    ),
    (
        "INSERT INTO partner_policy (partner_id, revision) VALUES ('d', 1)",
        "partner_policy_is_of_partner",
    ),
    ("DELETE FROM partner_policy", "partner_setting_policy"),
    (
        "UPDATE partner_setting SET feature = 'a.b.c'",
        "partner_setting_feature_shape",
    ),
    (
        "UPDATE partner_setting SET setting = ''",
        "partner_setting_setting",
    ),
    (
        "UPDATE partner_market SET market = 'GB'",
        "partner_market_market",
    ),
    (
        "DELETE FROM billing_market_alias; DELETE FROM billing_market",
        "partner_market_market",
    ),
    (
        "INSERT INTO billing_market VALUES ('au', '', 'AUD')",
        "billing_market_code_shape",
    ),
    (
        "INSERT INTO billing_market VALUES ('AU', '', 'aud')",
        "billing_market_currency_shape",
    ),
    (
        "INSERT INTO billing_market_alias VALUES ('GB', 'UK')",
        "billing_market_alias_pkey",
    ),
    (
        "INSERT INTO billing_market_alias VALUES ('UK', 'UK')",
        "billing_market_alias_is_another",
    ),
    ("UPDATE location SET id = 'a/b'", "location_id_shape"),
    ("UPDATE location SET market = ''", "location_market_shape"),
    ("UPDATE location SET status = 'open'", "location_status"),
    (
        "UPDATE location SET metro = repeat('x', 101)",
        "location_metro_length",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'PORT_10G', false)",
        "offer_product_once",
    ),
    (
        "INSERT INTO offer VALUES ('l', 256, 'X', false)",
        "offer_position_range",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'a b', false)",
        "offer_product_shape",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'X', false, 'GBP', 1, 0)",
        "offer_unpriced",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'X', true, 'GBP', 1, NULL)",
        "offer_monthly_whole",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'X', true, 'GBP', 1, -1)",
        "offer_monthly_sign",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'X', true, 'GBP', 1, 1000000000)",
        "offer_monthly_nanos_range",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'X', true, NULL, NULL, NULL, 'gbp', 1, 1)",
        "offer_setup_currency_shape",
    ),
    (
        "INSERT INTO offer VALUES ('l', 1, 'X', true, NULL, NULL, NULL, 'GBP', -1, 1)",
        "offer_setup_sign",
    ),
    ("DELETE FROM location", "offer_location"),
    (
        "INSERT INTO policy_revision VALUES (false, 0, gen_random_uuid())",
        "policy_revision_one_row",
    ),
    (
        "INSERT INTO policy_revision SELECT * FROM policy_revision",
        "policy_revision_pkey",
    ),
    (
        "UPDATE policy_revision SET change_id = gen_random_uuid()",
        "policy_revision_change",
    ),
    (
        "UPDATE catalog_revision SET revision = 77",
        "catalog_revision_change",
    ),
];

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let database = filled("refused").await;
    for (sql, constraint) in REFUSED {
        match database.try_write(sql) {
            Err(error) => assert!(
                error.contains(&format!("\"{constraint}\"")),
                "{sql}: {error}"
            ),
            Ok(_) => panic!("{sql} is not refused by {constraint}"),
        }
    }
}

#[tokio::test]
async fn a_write_past_the_program_is_refused() {
    let database = filled("by_hand").await;
    let tables = database.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname NOT IN ('schema_migration', 'policy_change', 'policy_revision',
            'idempotency_key', 'matrix_seen')",
    );
    assert_eq!(tables.lines().count(), 10, "{tables}");
    for table in tables.lines() {
        for sql in [
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table} CASCADE"),
        ] {
            let error = database.try_sql(&sql).unwrap_err();
            assert!(
                error.contains("is written by portcullis only"),
                "{sql}: {error}"
            );
        }
    }
    for sql in [
        "UPDATE policy_change SET comment = ''",
        "DELETE FROM policy_change",
        "TRUNCATE policy_change CASCADE",
    ] {
        let error = database.try_write(sql).unwrap_err();
        assert!(error.contains("is append-only"), "{sql}: {error}");
    }
}
