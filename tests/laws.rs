#![cfg(test)]
//! The laws of the rules. Each is tried in every cell of the built-in matrix
//! with every setting that could matter (`built_in`), and in generated worlds (`generated`);
//! what is expected comes from a second model that shares no code with the crate ([`naive`]).

#[path = "laws/bridge.rs"]
mod bridge;
#[path = "laws/naive.rs"]
mod naive;
#[path = "laws/routing.rs"]
mod routing;
#[path = "laws/worlds.rs"]
mod worlds;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portcullis::domain::{Audience, FeatureMatrix, Inconsistent, Subject};

use bridge::{Place, put};
use naive::{BUILT_IN, effect};
use worlds::{MARKET_NAMES, SETTINGS, for_any, in_any_world, in_every_cell, worlds};

macro_rules! laws {
    ($($law:ident),+ $(,)?) => {
        mod built_in {
            $(#[test] fn $law() { super::in_every_cell(super::$law); })+
        }
        mod generated {
            $(#[test] fn $law() { super::in_any_world(super::$law); })+
        }
    };
}

laws! {
    platform_rule_beats_every_setting,
    account_setting_beats_partner_setting,
    unset_means_inherit,
    a_required_feature_gates,
    settings_of_another_partner_never_matter,
    direct_and_partner_accounts_ignore_settings,
    filter_agrees_with_check,
    no_price_without_pricing_view,
    decide_agrees_with_the_naive_model,
}

/// No setting of a feature changes what the matrix allows or denies.
fn platform_rule_beats_every_setting(at: &Place) {
    let ruled = match at.rule() {
        "allow" => at.gate(("allow", "PLATFORM_RULE")),
        "deny" => ("deny", "PLATFORM_RULE"),
        _ => return,
    };
    for account in SETTINGS {
        for partner in SETTINGS {
            let set = at.with_settings(&at.feature, account, partner);
            assert_eq!(set.decide(), ruled, "{at}: {account} {partner}");
        }
    }
}

/// Where the partner decides, its choice for the account counts, whatever it chose for all.
fn account_setting_beats_partner_setting(at: &Place) {
    if !is_partners_to_decide(at) {
        return;
    }
    for account in ["on", "off"] {
        for partner in SETTINGS {
            let set = at.with_settings(&at.feature, account, partner);
            let want = at.gate((effect(account), "ACCOUNT_SETTING"));
            assert_eq!(set.decide(), want, "{at}: {account} {partner}");
        }
    }
}

/// An account for which nothing is set has what its partner set for all, or else the default.
fn unset_means_inherit(at: &Place) {
    if !is_partners_to_decide(at) {
        return;
    }
    for partner in ["on", "off"] {
        let inherited = at.with_settings(&at.feature, "", partner);
        let want = at.gate((effect(partner), "PARTNER_SETTING"));
        assert_eq!(inherited.decide(), want, "{at}: {partner}");
    }
    let default = at.with_settings(&at.feature, "", "");
    let want = at.gate((effect(at.rule()), "PLATFORM_DEFAULT"));
    assert_eq!(default.decide(), want, "{at}");
}

/// What is allowed has all that it requires allowed; a denial keeps its own reason.
fn a_required_feature_gates(at: &Place) {
    let required = at.world.required(&at.feature);
    let alone = at.world.decide_alone(&at.account, &at.feature);
    let denied = required.iter().any(|key| at.decide_on(key).0 == "deny");
    let want = match (alone.0, denied) {
        ("allow", true) => ("deny", "REQUIRED_FEATURE"),
        _ => alone,
    };
    assert_eq!(at.decide(), want, "{at}");

    // And each of the required features is enough to do it.
    for key in required {
        for (account, partner) in [("on", "on"), ("off", "off"), ("", "off"), ("", "")] {
            let set = at.with_settings(&key, account, partner);
            if alone.0 == "allow" && set.decide_on(&key).0 == "deny" {
                assert_eq!(set.decide(), ("deny", "REQUIRED_FEATURE"), "{at}: {key}");
            }
        }
    }
}

/// What other partners choose, for themselves or for their accounts, changes nothing.
fn settings_of_another_partner_never_matter(at: &Place) {
    let catalog = |at: &Place| at.catalog(|access| format!("{access:?}"));
    let own = match at.world.accounts[&at.account].kind.as_str() {
        "managed" => at.world.accounts[&at.account].partner.clone(),
        _ => String::new(),
    };
    for setting in ["on", "off"] {
        let changed = at.with(|world| {
            let keys: Vec<String> = world.features.keys().cloned().collect();
            for (id, policy) in &mut world.policies {
                if *id != own {
                    keys.iter()
                        .for_each(|key| put(&mut policy.settings, key, setting));
                    policy.markets.clear();
                }
            }
            for (id, account) in &mut world.accounts {
                if *id != at.account {
                    keys.iter()
                        .for_each(|key| put(&mut account.settings, key, setting));
                }
            }
        });
        assert_eq!(changed.decide(), at.decide(), "{at}: {setting}");
        assert_eq!(catalog(&changed), catalog(at), "{at}: {setting}");
    }
}

/// An account that has no partner is decided by the platform alone, even with settings stored.
fn direct_and_partner_accounts_ignore_settings(at: &Place) {
    if at.world.accounts[&at.account].kind == "managed" {
        return;
    }
    let decided = at.decide();
    let shown_before = shown(at);
    assert!(
        ["PLATFORM_RULE", "REQUIRED_FEATURE"].contains(&decided.1),
        "{at}"
    );
    for setting in SETTINGS {
        let changed = at.with(|world| {
            let keys: Vec<String> = world.features.keys().cloned().collect();
            let accounts = world
                .accounts
                .values_mut()
                .map(|account| &mut account.settings);
            let policies = world
                .policies
                .values_mut()
                .map(|policy| &mut policy.settings);
            for settings in accounts.chain(policies) {
                keys.iter().for_each(|key| put(settings, key, setting));
            }
            world
                .policies
                .values_mut()
                .for_each(|policy| policy.markets.clear());
        });
        assert_eq!(changed.decide(), decided, "{at}: {setting}");
        assert_eq!(shown(&changed), shown_before, "{at}: {setting}");
    }
}

/// The catalogue shows what two checks and the enabled markets say, and nothing else.
fn filter_agrees_with_check(at: &Place) {
    let (ordering, pricing) = at.catalog(|access| {
        let pricing = bridge::words(access.pricing);
        (bridge::words(access.ordering), pricing)
    });
    assert_eq!(ordering, at.decide_on("services.order"), "{at}");
    assert_eq!(pricing, at.decide_on("pricing.view"), "{at}");
    let sees = MARKET_NAMES.map(|name| at.world.sees(&at.account, name));
    assert_eq!(shown(at), sees, "{at}");
}

/// Prices are shown to whom `pricing.view` is allowed, and to nobody else.
fn no_price_without_pricing_view(at: &Place) {
    let shown = at.catalog(|access| access.shows_prices());
    let decided = at.world.decide(&at.account, "pricing.view");
    assert_eq!(at.decide_on("pricing.view"), decided, "{at}");
    assert_eq!(shown, decided.0 == "allow", "{at}");
}

/// And whatever no law above says.
fn decide_agrees_with_the_naive_model(at: &Place) {
    let decided = at.world.decide(&at.account, &at.feature);
    assert_eq!(at.decide(), decided, "{at}");
}

fn is_partners_to_decide(at: &Place) -> bool {
    ["on", "off"].contains(&at.rule())
}

/// Whether a location is visible, for each of the [`MARKET_NAMES`] as its market.
fn shown(at: &Place) -> [bool; MARKET_NAMES.len()] {
    let markets = bridge::markets(&at.world);
    at.catalog(|access| MARKET_NAMES.map(|name| access.shows(markets.resolve_text(name))))
}

#[test]
fn the_built_in_matrix_is_the_published_table() {
    let table = naive::features(BUILT_IN);
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    assert_eq!(matrix.features().count(), table.len());
    for (_, row) in matrix.features() {
        let want = &table[row.key.as_str()];
        for audience in Audience::ALL {
            let rule = row.rules.of(audience).as_str();
            assert_eq!(
                rule,
                want.rules[audience.as_str()],
                "{} {audience:?}",
                row.key
            );
        }
        let requires: Vec<&str> = row.requires.iter().map(|key| key.as_str()).collect();
        assert_eq!(requires, want.requires, "{}", row.key);
        assert!(!row.description.is_empty(), "{}", row.key);
    }
}

/// The longest chain that a matrix can hold: each feature requires the one before it.
#[test]
fn a_required_feature_gates_through_256_features() {
    let key = |number: usize| match number {
        0 => "maintenance_notifications.receive".to_owned(),
        1 => "security_notifications.receive".to_owned(),
        2 => "services.order".to_owned(),
        3 => "pricing.view".to_owned(),
        // Keys descend as numbers rise, so that the chain runs against the order of the rows.
        _ => format!("chain.f{:03}", 256 - number),
    };
    for denied in [0_usize, 1, 63, 64, 128, 200, 255] {
        let mut table = String::new();
        for number in 0..256_usize {
            let rule = if number == denied { "deny" } else { "allow" };
            let required = number.checked_sub(1).map(key).unwrap_or_default();
            writeln!(table, "{} {rule} allow allow allow {required}", key(number)).unwrap();
        }
        let matrix = bridge::matrix(&naive::features(&table));
        for number in 0..256_usize {
            let feature = matrix.find(&key(number)).unwrap();
            let decision = portcullis::domain::decide(&matrix, feature, Subject::Direct);
            let want = match number.cmp(&denied) {
                std::cmp::Ordering::Less => ("allow", "PLATFORM_RULE"),
                std::cmp::Ordering::Equal => ("deny", "PLATFORM_RULE"),
                std::cmp::Ordering::Greater => ("deny", "REQUIRED_FEATURE"),
            };
            assert_eq!(bridge::words(decision), want, "{denied} {number}");
        }
    }
}

#[test]
fn a_managed_account_without_a_policy_is_never_judged() {
    for_any(&worlds(), 100, |world| {
        let matrix = bridge::matrix(&world.features);
        for (id, account) in &world.accounts {
            let profile = bridge::profile(world, &matrix, id);
            let subject = Subject::new(&profile, None);
            match account.kind.as_str() {
                "managed" => assert_eq!(subject.err(), Some(Inconsistent)),
                _ => assert!(subject.is_ok()),
            }
        }
    });
}

#[test]
fn the_partner_of_a_managed_account_is_billed() {
    for_any(&worlds(), 100, |world| {
        let matrix = bridge::matrix(&world.features);
        for id in world.accounts.keys() {
            let profile = bridge::profile(world, &matrix, id);
            let billed = profile.account.billing_account().as_str();
            assert_eq!(billed, world.billing_account(id));
            assert_ne!(world.accounts[billed].kind, "managed");
        }
    });
}

/// The generator is worth something: every audience, effect and reason that can be turns up.
#[test]
fn generated_worlds_are_varied() {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    for_any(&worlds(), 100, |world| {
        for account in world.accounts.keys() {
            for feature in world.features.keys() {
                let (effect, reason) = world.decide(account, feature);
                let audience = world.audience(account);
                seen.borrow_mut().insert((audience, effect, reason));
            }
        }
    });
    let seen = seen.into_inner();
    for audience in naive::AUDIENCES {
        let decided = ["PLATFORM_DEFAULT", "PARTNER_SETTING", "ACCOUNT_SETTING"];
        let decided = decided
            .into_iter()
            .filter(|_| audience.starts_with("managed"));
        for reason in decided.chain(["PLATFORM_RULE"]) {
            assert!(
                seen.contains(&(audience, "allow", reason)),
                "{audience} {reason}"
            );
            assert!(
                seen.contains(&(audience, "deny", reason)),
                "{audience} {reason}"
            );
        }
        assert!(
            seen.contains(&(audience, "deny", "REQUIRED_FEATURE")),
            "{audience}"
        );
    }
}
