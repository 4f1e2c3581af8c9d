#![cfg(test)]
//! One suite over every store, as PolicyService sees it: what a write is, who is refused, and what
//! the history tells.

mod support;

#[path = "policy_store/history.rs"]
mod history;
#[path = "policy_store/repeated.rs"]
mod repeated;
#[path = "policy_store/writes.rs"]
mod writes;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use portcullis::datafile;
use portcullis::domain::{
    Account, AccountId, AccountKind, FeatureMatrix, MarketCode, Revision, SettingMap,
    SupportProvider,
};
use portcullis::store::{
    ChangeRecord, ChangesPage, Now, PolicyStore, Scope, Selection, SettingChanges, Store, Write,
    WriteError, WriteRefusal, WriteRequest, Written,
};

/// A store from both sides.
pub(crate) trait Both: Store + PolicyStore {}
impl<T: Store + PolicyStore> Both for T {}

pub(crate) type TestStore = Arc<dyn Both>;

macro_rules! scenarios {
    ($($module:ident: $($name:ident)*;)*) => {
        /// Each scenario over the memory store.
        mod memory {
            $($(
                #[tokio::test]
                async fn $name() {
                    let store = portcullis::store::memory::MemoryStore::default();
                    super::$module::$name(std::sync::Arc::new(store)).await;
                }
            )*)*
        }

        /// Each scenario over Postgres.
        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = super::support::database(stringify!($name)).await;
                    let store = super::support::store(&database);
                    super::$module::$name(std::sync::Arc::new(store)).await;
                }
            )*)*
        }
    };
}

scenarios! {
    writes:
        a_policy_is_changed_where_it_is_named
        what_changes_nothing_makes_no_revision
        markets_are_stored_by_code_whatever_alias_enabled_them
        features_that_no_partner_may_decide_are_refused
        what_is_stored_may_be_unset_whatever_the_matrix_says
        an_account_needs_a_partner_that_is_one
        a_partner_that_manages_accounts_stays_one
        settings_go_with_the_partner_who_made_them
        a_deleted_account_is_gone_with_all_that_was_its
        markets_stand_together_or_are_refused
        a_market_that_is_enabled_stays
        locations_are_deleted_all_or_none
        the_expected_revision_is_that_of_the_subject
        of_many_writers_that_expect_one_revision_one_wins
        a_change_names_what_it_touched;
    repeated:
        the_same_request_with_the_same_key_is_made_once
        another_request_with_the_same_key_is_refused
        a_key_is_of_its_caller_and_its_method
        no_two_callers_methods_and_keys_are_taken_for_one
        a_write_that_failed_leaves_its_key_free
        a_write_that_changed_nothing_uses_its_key_up
        two_at_once_with_one_key_write_once;
    history:
        each_change_is_told_before_and_after
        a_history_is_of_a_partner_or_of_an_account
        a_page_ends_at_its_size
        a_setting_is_traced_to_its_change
        a_broken_off_listing_goes_on_where_it_ended;
}

static MATRIX: LazyLock<Arc<FeatureMatrix>> =
    LazyLock::new(|| Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()));

const DATA: &str = r#"
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
  - { code: UK, name: United Kingdom, currency: GBP, aliases: [GB] }
locations:
  - { id: syd, name: Sydney, metro: Sydney, country: AU, market: AU, offers: [{ product: PORT, monthly: "1 AUD" }] }
  - { id: lon, name: London, metro: London, country: GB, market: GB }
accounts:
  - { id: acme, kind: direct }
  - { id: northwind, kind: partner }
  - { id: contoso, kind: partner }
  - { id: retail, kind: managed, partner: northwind, support: partner }
policies:
  - partner: northwind
    billing_markets: [AU]
    settings: { pricing.view: on }
    accounts:
      retail: { dashboard.view: on }
"#;

/// A store with [`DATA`], which is revision 1.
pub(crate) async fn filled(store: &TestStore) {
    store.import(&parsed(DATA), &|_| {}).await.unwrap();
}

pub(crate) fn parsed(data: &str) -> portcullis::store::Import {
    datafile::parse(data, &MATRIX).unwrap().0
}

pub(crate) fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

pub(crate) fn codes(texts: &[&str]) -> BTreeSet<MarketCode> {
    let code = |text: &&str| MarketCode::try_from(*text).unwrap();
    texts.iter().map(code).collect()
}

/// `pricing.view=on`, or `=off`, or `=unset`.
pub(crate) fn changes(texts: &[&str]) -> SettingChanges {
    use portcullis::domain::Setting;
    let change = |text: &&str| {
        let (feature, setting) = text.split_once('=').unwrap();
        let setting = match setting {
            "on" => Some(Setting::On),
            "off" => Some(Setting::Off),
            _ => None,
        };
        (feature.to_owned(), setting)
    };
    texts.iter().map(change).collect()
}

pub(crate) fn policy(partner: &str, settings: &[&str], enable: &[&str], disable: &[&str]) -> Write {
    Write::PartnerPolicy {
        partner: id(partner),
        settings: changes(settings),
        enable: codes(enable),
        disable: codes(disable),
    }
}

pub(crate) fn own(account: &str, settings: &[&str]) -> Write {
    Write::AccountSettings {
        account: id(account),
        settings: changes(settings),
    }
}

pub(crate) fn account(name: &str, kind: AccountKind) -> Account {
    Account {
        id: id(name),
        kind,
        display_name: String::new(),
    }
}

pub(crate) fn managed(name: &str, partner: &str) -> Account {
    let kind = AccountKind::Managed {
        partner: id(partner),
        support: SupportProvider::Partner,
    };
    account(name, kind)
}

pub(crate) fn request(write: Write) -> WriteRequest {
    WriteRequest {
        write,
        matrix: Arc::clone(&MATRIX),
        actor: "ada".to_owned(),
        caller: "anonymous".to_owned(),
        comment: "because".to_owned(),
        expected: None,
        idempotency: None,
    }
}

pub(crate) fn expecting(write: Write, revision: u64) -> WriteRequest {
    WriteRequest {
        expected: Some(Revision(revision)),
        ..request(write)
    }
}

pub(crate) async fn make(store: &TestStore, request: WriteRequest) -> Result<Written, WriteError> {
    store.write(Arc::new(request)).await
}

/// The revision that `write` makes.
pub(crate) async fn made(store: &TestStore, write: Write) -> u64 {
    make(store, request(write)).await.unwrap().revision.0
}

pub(crate) async fn refused(store: &TestStore, request: WriteRequest) -> WriteRefusal {
    match make(store, request).await {
        Err(WriteError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// What is stored of one account.
pub(crate) async fn stored(store: &TestStore, account: &str) -> portcullis::store::Reading {
    let scope = Scope {
        accounts: Selection::from_iter([id(account)]),
        markets: true,
        ..Scope::default()
    };
    store.read(&scope).await.unwrap()
}

pub(crate) async fn head(store: &TestStore) -> u64 {
    store.poll(None).await.unwrap().at.head.revision.0
}

pub(crate) async fn all_changes(store: &TestStore) -> Vec<ChangeRecord> {
    listed(store, ChangesPage::default()).await
}

pub(crate) async fn listed(store: &TestStore, page: ChangesPage) -> Vec<ChangeRecord> {
    let page = ChangesPage {
        limit: 1_000,
        limit_bytes: 1 << 20,
        ..page
    };
    store.list_changes(&page).await.unwrap()
}

/// Settings and markets of an answer, as text.
pub(crate) fn told(written: &Written) -> (Vec<String>, Vec<String>) {
    let settings = |map: &SettingMap| -> Vec<String> {
        let one = |(feature, setting): (&_, &portcullis::domain::Setting)| {
            format!("{feature}={}", setting.as_str())
        };
        map.iter().map(one).collect()
    };
    match &written.now {
        Now::Policy {
            settings: map,
            markets,
        } => (
            settings(map),
            markets.iter().map(MarketCode::to_string).collect(),
        ),
        Now::Settings(map) => (settings(map), Vec::new()),
        Now::Untold => (Vec::new(), Vec::new()),
    }
}
