//! Changes, each with what is told of it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::datafile::{generated, parse};
use crate::domain::{FeatureMatrix, Location, LocationId};
use crate::store::{Import, ImportMode, State, plan};

fn import(text: &str) -> Import {
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    parse(text, &matrix).unwrap().0
}

fn state(text: &str) -> State {
    let mut state = State::default();
    state.apply(plan(&State::default(), &import(text)).unwrap());
    state
}

const BEFORE: &str = r#"
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
locations:
  - { id: syd, name: Sydney, market: AU, offers: [{ product: P, monthly: "1 AUD" }] }
accounts:
  - { id: acme, kind: direct }
  - { id: p, kind: partner }
  - { id: q, kind: partner }
  - { id: m, kind: managed, partner: p, support: partner }
policies:
  - partner: p
    billing_markets: [AU]
    settings: { pricing.view: on, dashboard.view: on }
    accounts:
      m: { pricing.view: off, dashboard.view: off }
"#;

fn change(text: &str, mode: ImportMode) -> (Value, Value) {
    let import = Import {
        mode,
        ..import(text)
    };
    history(&plan(&state(BEFORE), &import).unwrap())
}

#[test]
fn what_differs_is_told_and_nothing_else() {
    let merges = [
        (BEFORE, json!({}), json!({})),
        (
            "accounts: [{ id: new, kind: direct, display_name: New }]",
            json!({ "accounts": { "new": null } }),
            json!({ "accounts": { "new": { "kind": "direct", "display_name": "New" } } }),
        ),
        (
            "accounts: [{ id: acme, kind: managed, partner: p, support: platform }]",
            json!({ "accounts": { "acme": { "kind": "direct", "partner": null, "support": null } } }),
            json!({ "accounts": { "acme": { "kind": "managed", "partner": "p", "support": "platform" } } }),
        ),
        (
            "billing_markets: [{ code: AU, name: Oz, currency: AUD, aliases: [NZ] }]",
            json!({ "billing_markets": { "AU": { "name": "Australia", "aliases": null } } }),
            json!({ "billing_markets": { "AU": { "name": "Oz", "aliases": ["NZ"] } } }),
        ),
        (
            "locations: [{ id: syd, name: Sydney, offers: [{ product: P }] }]",
            json!({ "locations": { "syd": { "market": "AU", "offers": [{ "product": "P", "monthly": "1 AUD" }] } } }),
            json!({ "locations": { "syd": { "market": null, "offers": [{ "product": "P" }] } } }),
        ),
        (
            "policies: [{ partner: p, settings: { pricing.view: off, dashboard.view: on } }]",
            json!({ "policies": { "p": { "settings": { "pricing.view": "on" }, "billing_markets": ["AU"] } } }),
            json!({ "policies": { "p": { "settings": { "pricing.view": "off" }, "billing_markets": [] } } }),
        ),
        (
            "policies: [{ partner: q, settings: { pricing.view: on } }]",
            json!({ "policies": { "q": { "settings": { "pricing.view": null } } } }),
            json!({ "policies": { "q": { "settings": { "pricing.view": "on" } } } }),
        ),
    ];
    for (text, before, after) in merges {
        assert_eq!(change(text, ImportMode::Merge), (before, after), "{text}");
    }
}

#[test]
fn own_settings_are_told_under_the_partner_who_made_them() {
    let policy_of_p =
        "{ partner: p, billing_markets: [AU], settings: { pricing.view: on, dashboard.view: on }";
    // The change says nothing of the account itself, so not who its partner is.
    let text = format!("policies: [{policy_of_p}, accounts: {{ m: {{ pricing.view: off }} }} }}]");
    let before = json!({ "account_settings": { "m": { "dashboard.view": "off" } } });
    let after = json!({ "account_settings": { "m": { "dashboard.view": null } } });
    assert_eq!(change(&text, ImportMode::Merge), (before, after));

    // Renamed: the partner is known.
    let account = "{ id: m, kind: managed, partner: p, support: partner, display_name: M }";
    let text = format!("accounts: [{account}]\n{text}");
    let (before, after) = change(&text, ImportMode::Merge);
    assert_eq!(
        before["policies"],
        json!({ "p": { "accounts": { "m": { "dashboard.view": "off" } } } })
    );
    assert_eq!(
        after["policies"],
        json!({ "p": { "accounts": { "m": { "dashboard.view": null } } } })
    );

    // Moved: what the one had chosen goes, what the other chooses comes.
    let text = "accounts: [{ id: m, kind: managed, partner: q, support: partner }]\n\
                policies: [{ partner: q, accounts: { m: { pricing.view: off } } }]";
    let (before, after) = change(text, ImportMode::Merge);
    let set = json!({ "pricing.view": "off", "dashboard.view": "off" });
    let unset = json!({ "pricing.view": null, "dashboard.view": null });
    assert_eq!(
        before["policies"],
        json!({ "p": { "accounts": { "m": set } }, "q": { "accounts": { "m": { "pricing.view": null } } } })
    );
    assert_eq!(
        after["policies"],
        json!({ "p": { "accounts": { "m": unset } }, "q": { "accounts": { "m": { "pricing.view": "off" } } } })
    );
}

#[test]
fn what_is_removed_is_there_whole_before() {
    let (before, after) = change(
        "accounts: [{ id: acme, kind: direct }]",
        ImportMode::Replace,
    );
    assert_eq!(
        before,
        json!({
            "billing_markets": { "AU": { "name": "Australia", "currency": "AUD" } },
            "locations": { "syd": { "name": "Sydney", "market": "AU", "offers": [{ "product": "P", "monthly": "1 AUD" }] } },
            "accounts": {
                "p": { "kind": "partner" },
                "q": { "kind": "partner" },
                "m": { "kind": "managed", "partner": "p", "support": "partner" },
            },
            "policies": { "p": {
                "billing_markets": ["AU"],
                "settings": { "pricing.view": "on", "dashboard.view": "on" },
                "accounts": { "m": { "pricing.view": "off", "dashboard.view": "off" } },
            } },
        })
    );
    let unset = json!({ "pricing.view": null, "dashboard.view": null });
    assert_eq!(
        after,
        json!({
            "billing_markets": { "AU": null },
            "locations": { "syd": null },
            "accounts": { "p": null, "q": null, "m": null },
            "policies": { "p": { "billing_markets": [], "settings": unset, "accounts": { "m": unset } } },
        })
    );
}

fn bytes((before, after): &(Value, Value)) -> usize {
    before.to_string().len() + after.to_string().len()
}

/// `count` locations that have an id of `digits` characters and nothing else, but for one that is
/// there before.
fn locations(count: usize, digits: usize) -> Delta {
    let id = |i: usize| LocationId::try_from(format!("{i:0digits$x}")).unwrap();
    let location = |i: usize| Location {
        id: id(i),
        name: String::new(),
        metro: String::new(),
        country: String::new(),
        market: None,
        status: None,
        offers: Vec::new(),
    };
    let locations = (0..count).map(|i| {
        let edit = Edit {
            before: (i == 0).then(|| location(i)),
            after: (i > 0).then(|| location(i)),
        };
        (id(i), edit)
    });
    Delta {
        locations: locations.collect(),
        ..Delta::default()
    }
}

#[test]
fn a_long_change_is_told_by_ids_and_a_longer_one_by_numbers() {
    let told = |count, digits| {
        let sides = history(&locations(count, digits));
        assert!(bytes(&sides) <= MAX_HISTORY_BYTES);
        sides
    };
    // 22 bytes each, and 30 around them all: the last that fits, and the first that does not.
    let (whole, _) = told(2_977, 4);
    assert_eq!(whole["locations"]["0001"], Value::Null);
    assert!(whole["locations"].is_object());
    let (before, after) = told(2_978, 4);
    assert_eq!(before, json!({ "locations": ["0000"] }));
    assert_eq!(after["locations"].as_array().unwrap().len(), 2_977);
    // 7 bytes each.
    let (before, _) = told(9_355, 4);
    assert_eq!(before, json!({ "locations": ["0000"] }));
    for count in [9_365, 30_000] {
        let (before, after) = told(count, 4);
        assert_eq!(before, json!({ "truncated": true, "locations": 1 }));
        assert_eq!(after, json!({ "truncated": true, "locations": count - 1 }));
    }
}

proptest! {
    #[test]
    fn the_way_back_is_told_the_other_way_round(one in generated::state(), other in generated::state()) {
        let (before, after) = history(&Delta::between(&one, &other));
        let (back_before, back_after) = history(&Delta::between(&other, &one));
        prop_assert_eq!(&before, &back_after);
        prop_assert_eq!(&after, &back_before);
        prop_assert_eq!(before == after, one == other);
    }
}
