//! Data that the constraints exclude, after somebody dropped the constraints: an error for whom
//! it concerns, never an allow, and nothing to anyone else.

use portcullis::store::{AccountRecord, Snapshot, Store, StoreError};

use super::support::{self, Database};
use super::{id, partner_with};

/// A partner with three accounts, of which one has a setting.
async fn filled(name: &str) -> Database {
    let database = support::database(name).await;
    let store = support::store(&database);
    store.import(&partner_with(3), &|_| ()).await.unwrap();
    database
}

async fn load(database: &Database) -> Snapshot {
    let store = support::store(database);
    store
        .load(&[id("m-0"), id("m-1"), id("m-2")])
        .await
        .unwrap()
}

fn is_sound(snapshot: &Snapshot, name: &str) -> bool {
    match &snapshot.accounts[&id(name)] {
        AccountRecord::Sound { .. } => true,
        AccountRecord::Broken => false,
    }
}

#[tokio::test]
async fn a_row_that_is_no_account_is_broken_alone() {
    for (number, change) in [
        "kind = 'other'",
        "partner_id = NULL",
        "support = NULL",
        "support = 'somebody'",
        "kind = 'direct', support = NULL",
        "partner_id = 'a partner'",
    ]
    .into_iter()
    .enumerate()
    {
        let database = filled(&format!("broken_{number}")).await;
        database.sql(
            "ALTER TABLE account
                DROP CONSTRAINT account_kind,
                DROP CONSTRAINT account_support,
                DROP CONSTRAINT account_managed_has_partner,
                DROP CONSTRAINT account_managed_has_support,
                DROP CONSTRAINT account_partner_is_partner",
        );
        database.write(&format!("UPDATE account SET {change} WHERE id = 'm-1'"));
        let snapshot = load(&database).await;
        assert!(!is_sound(&snapshot, "m-1"), "{change}");
        assert!(is_sound(&snapshot, "m-0") && is_sound(&snapshot, "m-2"));
        assert_eq!(snapshot.policies.len(), 1);

        let error = support::store(&database).export().await.unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }));
        assert!(error.to_string().contains("account `m-1`"), "{error}");
    }
}

#[tokio::test]
async fn a_partner_that_is_missing_or_is_none_has_no_policy() {
    for (number, change) in [
        "DELETE FROM account WHERE id = 'p'",
        "UPDATE account SET kind = 'direct' WHERE id = 'p'",
        "UPDATE account SET partner_id = 'm-2' WHERE partner_id IS NOT NULL",
    ]
    .into_iter()
    .enumerate()
    {
        let database = filled(&format!("partnerless_{number}")).await;
        database.sql(
            "ALTER TABLE account DROP CONSTRAINT account_partner_is_partner;
            ALTER TABLE partner_policy DROP CONSTRAINT partner_policy_is_of_partner",
        );
        database.write(change);
        let snapshot = load(&database).await;
        assert!(snapshot.policies.is_empty(), "{change}: {snapshot:?}");
        assert_eq!(snapshot.accounts.len(), 3);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_read_breaks_its_account() {
    for (number, (constraint, change)) in [
        ("feature_shape", "feature = 'pricing'"),
        ("setting", "setting = 'yes'"),
    ]
    .into_iter()
    .enumerate()
    {
        let database = filled(&format!("setting_{number}")).await;
        database.sql(&format!(
            "ALTER TABLE account_setting DROP CONSTRAINT account_setting_{constraint}"
        ));
        database.write(&format!("UPDATE account_setting SET {change}"));
        let snapshot = load(&database).await;
        assert!(!is_sound(&snapshot, "m-0"), "{change}");
        assert!(is_sound(&snapshot, "m-1"), "{change}");
        assert!(support::store(&database).export().await.is_err());
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_left_out() {
    for (number, (drop, change)) in [
        (
            "ALTER TABLE partner_setting DROP CONSTRAINT partner_setting_setting",
            "UPDATE partner_setting SET setting = 'ON'",
        ),
        (
            "ALTER TABLE partner_market DROP CONSTRAINT partner_market_market",
            "INSERT INTO partner_market VALUES ('p', 'no market', 1)",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let database = filled(&format!("policy_{number}")).await;
        assert_eq!(load(&database).await.policies.len(), 1);
        database.sql(drop);
        database.write(change);
        let snapshot = load(&database).await;
        assert!(snapshot.policies.is_empty(), "{change}");
        assert!(is_sound(&snapshot, "m-0"));
    }
}

#[tokio::test]
async fn a_catalogue_that_cannot_be_read_is_an_error() {
    let database = support::database("catalogue").await;
    database.sql("ALTER TABLE location DROP CONSTRAINT location_status");
    database.write("INSERT INTO location VALUES ('l', '', '', '', NULL, 'open')");
    let error = support::store(&database).load_catalog().await.unwrap_err();
    assert!(error.to_string().contains("location `l`"), "{error}");
}
