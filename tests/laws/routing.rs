//! The laws of who is told of a notification.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis::domain::{FeatureMatrix, NotificationKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::bridge;
use crate::naive::{self, Routes, World};
use crate::worlds::{for_any, worlds};

const KINDS: [(&str, NotificationKind); 2] = [
    ("maintenance", NotificationKind::Maintenance),
    ("security", NotificationKind::Security),
];

/// What was asked, and what the crate made of it.
struct Routed<'a> {
    world: &'a World,
    kind: &'static str,
    accounts: &'a [String],
    routes: Routes,
    entries: usize,
}

macro_rules! laws {
    ($($law:ident),+ $(,)?) => {
        mod built_in {
            $(#[test] fn $law() { super::in_every_subset(super::$law); })+
        }
        mod generated {
            $(#[test] fn $law() { super::in_any_request(super::$law); })+
        }
    };
}

laws! {
    no_account_of_the_request_is_dropped,
    a_partner_is_told_once,
    managed_accounts_of_a_partner_are_merged,
    nobody_is_told_who_may_not_receive,
    routes_agree_with_the_naive_model,
}

/// Every account is told, has its partner told, or is reported: exactly one of these.
fn no_account_of_the_request_is_dropped(routed: &Routed<'_>) {
    let Routes {
        direct,
        on_behalf,
        unresolved,
    } = &routed.routes;
    for account in routed.accounts {
        let told = usize::from(direct.contains(account));
        let reported = usize::from(unresolved.contains(account));
        let behalf = on_behalf.iter().filter(|(_, about)| about == account);
        assert_eq!(told + reported + behalf.count(), 1, "{account}");
    }
    // And nothing is said of an account that was not asked about.
    let about = on_behalf.iter().map(|(_, about)| about);
    for account in direct.iter().chain(unresolved).chain(about) {
        assert!(routed.accounts.contains(account), "{account}");
    }
}

/// There are as many entries as there are different recipients.
fn a_partner_is_told_once(routed: &Routed<'_>) {
    let behalf = routed.routes.on_behalf.iter().map(|(partner, _)| partner);
    let told: BTreeSet<&String> = routed.routes.direct.iter().chain(behalf).collect();
    assert_eq!(routed.entries, told.len());
}

/// The one entry of a partner holds all of its accounts that cannot be told themselves.
fn managed_accounts_of_a_partner_are_merged(routed: &Routed<'_>) {
    for (partner, _) in &routed.routes.on_behalf {
        let of_partner = |account: &&String| routed.world.accounts[*account].partner == *partner;
        let told = |account: &&String| routed.routes.direct.contains(*account);
        let accounts = routed.accounts.iter().filter(of_partner);
        let want: BTreeSet<&String> = accounts.filter(|account| !told(account)).collect();
        let merged = routed.routes.on_behalf.iter();
        let merged = merged.filter(|(other, _)| other == partner);
        let merged: BTreeSet<&String> = merged.map(|(_, about)| about).collect();
        assert_eq!(merged, want, "{partner}");
    }
}

fn nobody_is_told_who_may_not_receive(routed: &Routed<'_>) {
    let feature = format!("{}_notifications.receive", routed.kind);
    let partners = routed.routes.on_behalf.iter().map(|(partner, _)| partner);
    for told in routed.routes.direct.iter().chain(partners) {
        assert_eq!(routed.world.decide(told, &feature).0, "allow", "{told}");
    }
}

fn routes_agree_with_the_naive_model(routed: &Routed<'_>) {
    let want = routed.world.route(routed.kind, routed.accounts);
    assert_eq!(routed.routes, want);
}

fn try_law(world: &World, matrix: &FeatureMatrix, accounts: &[String], law: fn(&Routed<'_>)) {
    for (word, kind) in KINDS {
        let (routes, entries) = bridge::route(world, matrix, kind, accounts);
        law(&Routed {
            world,
            kind: word,
            accounts,
            routes,
            entries,
        });
    }
}

/// Every set of accounts out of two partners with two managed accounts each, and a direct one.
fn in_every_subset(law: fn(&Routed<'_>)) {
    let features = Arc::new(naive::features(naive::BUILT_IN));
    let matrix = bridge::matrix(&features);
    let mut world = World {
        features,
        ..World::default()
    };
    for partner in ["north", "south"] {
        let mut add = |id: &str, kind: &str, partner: &str, support: &str| {
            let account = naive::Account {
                kind: kind.to_owned(),
                partner: partner.to_owned(),
                support: support.to_owned(),
                ..naive::Account::default()
            };
            world.accounts.insert(id.to_owned(), account);
        };
        add("acme", "direct", "", "");
        add(partner, "partner", "", "");
        add(&format!("{partner}-1"), "managed", partner, "partner");
        add(&format!("{partner}-2"), "managed", partner, "platform");
        world
            .policies
            .insert(partner.to_owned(), naive::Policy::default());
    }
    let all: Vec<&String> = world.accounts.keys().collect();
    for subset in 0..1_u32 << all.len() {
        let chosen = all.iter().enumerate();
        let chosen = chosen.filter(|(bit, _)| subset & (1 << bit) != 0);
        let mut accounts: Vec<String> = chosen.map(|(_, id)| (*id).clone()).collect();
        // The first once more, at the end: it counts once.
        accounts.extend(accounts.first().cloned());
        try_law(&world, &matrix, &accounts, law);
    }
}

fn in_any_request(law: fn(&Routed<'_>)) {
    let requests = (worlds(), vec(any::<Index>(), 0..20));
    for_any(&requests, 200, |(world, chosen)| {
        let all: Vec<&String> = world.accounts.keys().collect();
        let accounts: Vec<String> = chosen
            .iter()
            .map(|index| (*index.get(&all)).clone())
            .collect();
        try_law(world, &bridge::matrix(&world.features), &accounts, law);
    });
}
