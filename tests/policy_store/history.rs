//! What the history tells.

use portcullis::domain::{AccountKind, FeatureKey, Revision, Setting};
use portcullis::store::{AccountsPage, ChangeSubject, ChangesPage, Write};
use serde_json::{Value, json};

use super::{
    TestStore, account, all_changes, filled, id, listed, made, managed, own, parsed, policy,
};

pub(crate) async fn each_change_is_told_before_and_after(store: TestStore) {
    filled(&store).await;
    let steps = [
        (
            policy(
                "northwind",
                &["pricing.view=off", "dashboard.view=on"],
                &["UK"],
                &[],
            ),
            json!({ "settings": { "pricing.view": "on", "dashboard.view": null }, "billing_markets": ["AU"] }),
            json!({ "settings": { "pricing.view": "off", "dashboard.view": "on" }, "billing_markets": ["AU", "UK"] }),
        ),
        (
            own("retail", &["dashboard.view=unset"]),
            json!({ "settings": { "dashboard.view": "on" } }),
            json!({ "settings": { "dashboard.view": null } }),
        ),
        (
            Write::PutAccount(account("new", AccountKind::Direct)),
            Value::Null,
            json!({ "id": "new", "kind": "direct" }),
        ),
        (
            Write::PutAccount(managed("retail", "contoso")),
            json!({ "partner": "northwind" }),
            json!({ "partner": "contoso" }),
        ),
        (
            Write::DeleteAccount(id("northwind")),
            json!({ "kind": "partner", "policy": {
                "settings": { "pricing.view": "off", "dashboard.view": "on" }, "billing_markets": ["AU", "UK"] } }),
            Value::Null,
        ),
    ];
    for (write, _, _) in &steps {
        made(&store, write.clone()).await;
    }
    let changes = all_changes(&store).await;
    assert_eq!(changes[0].subject, ChangeSubject::Everything);
    for (change, (write, before, after)) in changes[1..].iter().zip(&steps) {
        assert_eq!(
            (&change.before, &change.after),
            (before, &without_id(after)),
            "{write:?}"
        );
        assert_eq!(change.subject, write.subject());
        assert_eq!(
            (
                change.actor.as_str(),
                change.caller.as_str(),
                change.comment.as_str()
            ),
            ("ada", "anonymous", "because")
        );
    }
    assert!(
        changes
            .windows(2)
            .all(|pair| pair[0].committed_at <= pair[1].committed_at)
    );
}

/// An account is told without its id, by which the change is found.
fn without_id(side: &Value) -> Value {
    let mut side = side.clone();
    if let Some(fields) = side.as_object_mut() {
        fields.remove("id");
    }
    side
}

pub(crate) async fn a_history_is_of_a_partner_or_of_an_account(store: TestStore) {
    filled(&store).await;
    made(&store, policy("northwind", &["pricing.view=off"], &[], &[])).await; // 2
    made(&store, own("retail", &["pricing.view=on"])).await; // 3
    made(&store, policy("contoso", &["pricing.view=off"], &[], &[])).await; // 4
    made(&store, Write::PutAccount(managed("retail", "contoso"))).await; // 5
    made(&store, own("retail", &["pricing.view=off"])).await; // 6
    made(&store, Write::PutMarkets(vec![])).await; // nothing
    made(&store, Write::DeleteMarkets(super::codes(&["UK"]))).await; // 7
    store
        .import(&parsed("accounts: [{ id: other, kind: direct }]"), &|_| {})
        .await
        .unwrap(); // 8
    made(&store, Write::DeleteAccount(id("northwind"))).await; // 9

    let of = async |partner: Option<&str>, account: Option<&str>, after| {
        let page = ChangesPage {
            partner: partner.map(id),
            account: account.map(id),
            after: Revision(after),
            ..ChangesPage::default()
        };
        let changes = listed(&store, page).await;
        changes
            .iter()
            .map(|change| change.revision.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(None, None, 0).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(of(Some("northwind"), None, 0).await, [1, 2, 3, 5, 8, 9]);
    assert_eq!(of(Some("contoso"), None, 0).await, [1, 4, 5, 6, 8]);
    assert_eq!(of(None, Some("retail"), 0).await, [1, 3, 5, 6]);
    assert_eq!(of(None, Some("other"), 0).await, [8]);
    assert_eq!(of(Some("northwind"), Some("other"), 2).await, [3, 5, 8, 9]);
    assert_eq!(of(Some("nobody"), None, 0).await, [1, 8]);
    assert!(of(None, Some("nobody"), 0).await.is_empty());
}

pub(crate) async fn a_page_ends_at_its_size(store: TestStore) {
    filled(&store).await;
    for setting in [
        "pricing.view=off",
        "pricing.view=on",
        "pricing.view=off",
        "pricing.view=on",
    ] {
        made(&store, policy("northwind", &[setting], &[], &[])).await;
    }
    let read = async |after, limit, limit_bytes| {
        let page = ChangesPage {
            after: Revision(after),
            limit,
            limit_bytes,
            ..ChangesPage::default()
        };
        let changes = store.list_changes(&page).await.unwrap();
        changes
            .iter()
            .map(|change| change.revision.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(0, 2, 1 << 20).await, [1, 2]);
    assert_eq!(read(2, 2, 1 << 20).await, [3, 4]);
    assert_eq!(read(4, 2, 1 << 20).await, [5]);
    assert!(read(5, 2, 1 << 20).await.is_empty());
    assert_eq!(read(1, 10, 0).await, [2], "one, whatever its size");
    // Each of these takes some 80 bytes.
    assert_eq!(read(1, 10, 200).await, [2, 3]);
}

pub(crate) async fn a_setting_is_traced_to_its_change(store: TestStore) {
    filled(&store).await;
    made(
        &store,
        policy("northwind", &["dashboard.view=on"], &[], &[]),
    )
    .await;
    made(&store, own("retail", &["pricing.view=off"])).await;
    made(&store, own("retail", &["pricing.view=on"])).await;
    let trace = store.trace(&id("retail")).await.unwrap().unwrap();
    assert_eq!(
        (trace.revision, &trace.account),
        (Revision(4), &managed("retail", "northwind"))
    );
    let feature = |text| FeatureKey::try_from(text).unwrap();
    let pricing = &trace.own[&feature("pricing.view")];
    assert_eq!(
        (pricing.setting, pricing.revision.0, pricing.actor.as_str()),
        (Setting::On, 4, "ada")
    );
    assert_eq!(trace.own[&feature("dashboard.view")].revision, Revision(1));
    let partner = trace.partner.unwrap();
    assert_eq!(partner[&feature("dashboard.view")].revision, Revision(2));
    assert_eq!(partner[&feature("pricing.view")].revision, Revision(1));
    assert_eq!(partner.len(), 2);

    let direct = store.trace(&id("acme")).await.unwrap().unwrap();
    assert!(direct.own.is_empty() && direct.partner.is_none());
    assert!(store.trace(&id("nobody")).await.unwrap().is_none());
}

pub(crate) async fn a_broken_off_listing_goes_on_where_it_ended(store: TestStore) {
    filled(&store).await;
    for name in ["b", "a", "Z"] {
        made(&store, Write::PutAccount(managed(name, "contoso"))).await;
    }
    let read = async |partner: Option<&str>, after: Option<&str>, limit| {
        let page = AccountsPage {
            partner: partner.map(id),
            after: after.map(id),
            limit,
        };
        let accounts = store.list_accounts(&page).await.unwrap();
        accounts
            .iter()
            .map(|account| account.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        read(None, None, 100).await,
        ["Z", "a", "acme", "b", "contoso", "northwind", "retail"]
    );
    assert_eq!(read(None, Some("a"), 2).await, ["acme", "b"]);
    assert_eq!(read(Some("contoso"), None, 2).await, ["Z", "a"]);
    assert_eq!(read(Some("contoso"), Some("a"), 2).await, ["b"]);
    assert!(read(Some("acme"), None, 2).await.is_empty());
}
