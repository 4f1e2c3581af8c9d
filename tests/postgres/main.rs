#![cfg(test)]
//! What is Postgres's own: the schema, connections, and what becomes of both when things fail.
//! What every store has to do is in `store_contract`.

#[path = "../support/mod.rs"]
mod support;

mod connection;
mod feed;
mod history;
mod outage;
mod plans;
mod schema;
mod stored_data;
mod writes;

use portcullis::domain::{Account, AccountId, AccountKind, FeatureKey, Setting, SupportProvider};
use portcullis::store::{AccountSettings, Import, Line, PolicyImport};

fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

fn line<T>(value: T) -> Line<T> {
    Line { line: 1, value }
}

fn account(name: &str, kind: AccountKind) -> Line<Account> {
    line(Account {
        id: id(name),
        kind,
        display_name: String::new(),
    })
}

fn managed(name: &str, partner: &str) -> Line<Account> {
    let kind = AccountKind::Managed {
        partner: id(partner),
        support: SupportProvider::Partner,
    };
    account(name, kind)
}

/// The partner `p`, its accounts `m-0` to `m-{accounts - 1}`, a policy and a setting for `m-0`.
fn partner_with(accounts: usize) -> Import {
    let pricing = |setting| [(FeatureKey::try_from("pricing.view").unwrap(), setting)].into();
    let own = AccountSettings {
        account: id("m-0"),
        settings: pricing(Setting::Off),
    };
    let policy = PolicyImport {
        partner: id("p"),
        settings: pricing(Setting::On),
        markets: Vec::new(),
        accounts: vec![line(own)],
    };
    Import {
        actor: "ops@example.net".to_owned(),
        comment: "first load".to_owned(),
        accounts: std::iter::once(account("p", AccountKind::Partner))
            .chain((0..accounts).map(|i| managed(&format!("m-{i}"), "p")))
            .collect(),
        policies: vec![line(policy)],
        ..Import::default()
    }
}

/// A direct account.
fn direct(name: &str) -> Import {
    Import {
        accounts: vec![account(name, AccountKind::Direct)],
        ..Import::default()
    }
}
