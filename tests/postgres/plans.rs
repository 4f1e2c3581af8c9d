//! How Postgres answers what is asked often, where there is much: by an index. The plans are those
//! of the very statements that the store sends, for the server itself writes them to its log.

use std::fmt::Write as _;
use std::sync::Arc;

use portcullis::domain::{AccountId, ChangeId, FeatureMatrix, Head, Revision, Setting};
use portcullis::store::postgres::{PostgresStore, migrate};
use portcullis::store::{
    AccountsPage, ChangesPage, Idempotency, PolicyStore as _, Scope, Selection, Store as _, Write,
    WriteRequest,
};
use serde_json::Value;

use super::id;
use super::support::{Cluster, Database, patient, store};

const ACCOUNTS: usize = 200_000;
const PARTNERS: usize = 2_000;
const CHANGES: usize = 100_000;

/// The tables that grow, and which no statement here may read from one end to the other.
const LARGE: [&str; 7] = [
    "account",
    "account_setting",
    "partner_policy",
    "partner_setting",
    "partner_market",
    "policy_change",
    "idempotency_key",
];

/// What reads a table whole all the same where that was never analysed: by the planner's guess the
/// index costs more for so many accounts.
const EXPECTED: (&str, &str) = ("a load of a thousand", "never analysed");

/// Accounts, each tenth with a setting; partners with policies; a long history; and many answers.
/// Past the triggers, which would take most of the time.
fn fill(database: &Database) {
    database.sql(&format!(
        "SET session_replication_role = replica;
        INSERT INTO policy_change (revision, change_id, actor, caller, comment, subject_kind,
                subject_id, partners, changed_everything, changed_partners, changed_catalog)
            SELECT n, gen_random_uuid(), 'ada', '', '', 'partner', 'partner-' || n % {PARTNERS},
                ARRAY['partner-' || n % {PARTNERS}], false,
                ARRAY['partner-' || n % {PARTNERS}], false
            FROM generate_series(1, {CHANGES}) n;
        UPDATE policy_revision SET (revision, change_id) =
            (SELECT revision, change_id FROM policy_change WHERE revision = {CHANGES});
        INSERT INTO billing_market (code, name, currency)
            SELECT 'M' || n, 'Market ' || n, 'EUR' FROM generate_series(10, 25) n;
        INSERT INTO account (id, kind, revision)
            SELECT 'partner-' || n, 'partner', 0 FROM generate_series(0, {PARTNERS} - 1) n;
        INSERT INTO account (id, kind, partner_id, support, revision)
            SELECT 'account-' || n, 'managed', 'partner-' || n % {PARTNERS}, 'partner', 0
            FROM generate_series(0, {ACCOUNTS} - 1) n;
        INSERT INTO partner_policy (partner_id, revision)
            SELECT 'partner-' || n, 0 FROM generate_series(0, {PARTNERS} - 1) n;
        INSERT INTO partner_setting (partner_id, feature, setting, revision)
            SELECT 'partner-' || n, feature, 'on', 0
            FROM generate_series(0, {PARTNERS} - 1) n,
                unnest(ARRAY['pricing.view', 'dashboard.view']) feature;
        INSERT INTO partner_market (partner_id, market, revision)
            SELECT 'partner-' || n, code, 0
            FROM generate_series(0, {PARTNERS} - 1) n, billing_market;
        INSERT INTO account_setting (account_id, feature, setting, revision)
            SELECT 'account-' || n, 'pricing.view', 'off', 0
            FROM generate_series(0, {ACCOUNTS} - 1, 10) n;
        INSERT INTO idempotency_key (caller, method, key, digest, answer)
            SELECT 'anonymous', 'UpdatePartnerPolicy', n::text, sha256(n::text::bytea), '{{}}'
            FROM generate_series(1, {CHANGES}) n"
    ));
}

/// Has the server log how it runs each statement of this database, those of foreign keys too.
fn explain_all(database: &Database) {
    let name = database.name();
    database.sql("ALTER SYSTEM SET autovacuum = off");
    database.sql("SELECT pg_reload_conf()");
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_format = 'json'",
        "auto_explain.log_nested_statements = on",
    ] {
        database.sql(&format!("ALTER DATABASE {name} SET {setting}"));
    }
}

/// The plans in a piece of the log: an object behind the word `plan:`, over several lines.
fn plans(log: &str) -> Vec<Value> {
    let after_each = log.split("plan:\n").skip(1);
    let plan = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        values.next().unwrap().unwrap()
    };
    after_each.map(plan).collect()
}

/// Every node of a plan.
fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten();
    std::iter::once(plan).chain(below.flat_map(nodes)).collect()
}

/// What is asked, the tables that its plans have to name, and the asking.
type Asked<'a> = (
    &'static str,
    &'static [&'static str],
    std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>,
);

fn accounts(count: usize) -> Vec<AccountId> {
    let each = (0..count).map(|number| id(&format!("account-{}", number * 37 % ACCOUNTS)));
    each.collect()
}

fn write(key: &str, write: Write) -> Arc<WriteRequest> {
    Arc::new(WriteRequest {
        write,
        matrix: Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()),
        actor: "ada".to_owned(),
        caller: "anonymous".to_owned(),
        comment: String::new(),
        expected: None,
        idempotency: Some(Idempotency {
            method: "UpdatePartnerPolicy",
            key: key.to_owned(),
            digest: [0; 32],
        }),
    })
}

fn reads(store: &PostgresStore) -> Vec<Asked<'_>> {
    let load = |count: usize| async move {
        let found = store.load(&accounts(count)).await.unwrap();
        assert_eq!(found.accounts.len(), count);
        assert!(!found.policies.is_empty());
    };
    let poll = |back: u64| async move {
        let seen = Head {
            revision: Revision(CHANGES as u64 - back),
            change: ChangeId(0),
        };
        store.poll(Some(seen)).await.unwrap();
    };
    let listed = |partner: Option<&'static str>| async move {
        let page = AccountsPage {
            partner: partner.map(id),
            after: Some(id("account-150")),
            limit: 51,
        };
        assert!(!store.list_accounts(&page).await.unwrap().is_empty());
    };
    let changes = |partner: Option<&'static str>, account: Option<&'static str>| async move {
        let page = ChangesPage {
            partner: partner.map(id),
            account: account.map(id),
            after: Revision(CHANGES as u64 / 2),
            limit: 51,
            limit_bytes: 1 << 20,
        };
        store.list_changes(&page).await.unwrap();
    };
    let policy = || async move {
        let scope = Scope {
            accounts: Selection::from_iter([id("partner-7")]),
            ..Scope::default()
        };
        assert_eq!(store.read(&scope).await.unwrap().state.policies.len(), 1);
    };
    let traced = || async move {
        let traced = store.trace(&id("account-30")).await.unwrap();
        assert!(traced.is_some());
    };
    let loaded: &[&str] = &[
        "account",
        "account_setting",
        "partner_setting",
        "partner_market",
    ];
    vec![
        ("a load of one account", loaded, Box::pin(load(1))),
        ("a load of a thousand", loaded, Box::pin(load(1_000))),
        ("a poll", &["policy_change"], Box::pin(poll(3))),
        (
            "a poll far behind",
            &["policy_change"],
            Box::pin(poll(5_000)),
        ),
        ("a page of accounts", &["account"], Box::pin(listed(None))),
        (
            "a partner's accounts",
            &["account"],
            Box::pin(listed(Some("partner-7"))),
        ),
        (
            "a page of changes",
            &["policy_change"],
            Box::pin(changes(None, None)),
        ),
        (
            "a partner's changes",
            &["policy_change"],
            Box::pin(changes(Some("partner-7"), None)),
        ),
        (
            "an account's changes",
            &["policy_change"],
            Box::pin(changes(None, Some("account-7"))),
        ),
        (
            "a partner's policy",
            &["partner_policy", "partner_setting"],
            Box::pin(policy()),
        ),
        (
            "where settings come from",
            &["policy_change", "account_setting"],
            Box::pin(traced()),
        ),
    ]
}

fn writes<'a>(store: &'a PostgresStore, round: &str) -> Vec<Asked<'a>> {
    let setting = if round == "never analysed" {
        Setting::Off
    } else {
        Setting::On
    };
    let settings = || [("pricing.view".to_owned(), Some(setting))].into();
    let make = |what: &str, change: Write| {
        let request = write(&format!("{what} {round}"), change);
        async move {
            store.write(request).await.unwrap();
        }
    };
    let policy = Write::PartnerPolicy {
        partner: id("partner-7"),
        settings: settings(),
        enable: Default::default(),
        disable: Default::default(),
    };
    let own = Write::AccountSettings {
        account: id("account-11"),
        settings: settings(),
    };
    vec![
        (
            "a change of a policy, with a key",
            &["idempotency_key", "partner_setting"],
            Box::pin(make("policy", policy)),
        ),
        (
            "a change of an account's settings, with a key",
            &["idempotency_key", "account_setting"],
            Box::pin(make("own", own)),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_often_is_found_by_an_index() {
    let cluster = Cluster::start();
    let database = cluster.database("plans");
    migrate(&patient(&database)).await.unwrap();
    explain_all(&database);
    fill(&database);
    let mut wrong = String::new();
    for round in ["never analysed", "analysed"] {
        if round == "analysed" {
            database.sql("ANALYZE");
        }
        let store = store(&database);
        for (what, tables, asked) in reads(&store).into_iter().chain(writes(&store, round)) {
            let before = cluster.log().len();
            asked.await;
            let plans = plans(cluster.log().split_at(before).1);
            let all: Vec<&Value> = plans.iter().flat_map(|plan| nodes(&plan["Plan"])).collect();
            for table in tables {
                let is_named = all.iter().any(|node| node["Relation Name"] == *table);
                assert!(
                    is_named,
                    "{what}, {round}: no plan names {table}: {plans:#?}"
                );
            }
            if (what, round) == EXPECTED {
                continue;
            }
            for plan in &plans {
                let whole = nodes(&plan["Plan"]).into_iter().filter(|node| {
                    node["Node Type"] == "Seq Scan"
                        && LARGE.iter().any(|table| node["Relation Name"] == *table)
                });
                for node in whole {
                    writeln!(
                        wrong,
                        "{what}, {round}, reads all of {}: {plan:#}",
                        node["Relation Name"]
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
