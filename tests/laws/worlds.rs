//! The worlds in which the laws are tried: every cell of the built-in matrix with every settings
//! that could matter to it, and whatever proptest thinks of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::bridge::{self, Place, put};
use crate::naive::{self, AUDIENCES, Account, BUILT_IN, Feature, Features, Policy, World};

/// What a setting may be: nothing said, or a choice.
pub(crate) const SETTINGS: [&str; 3] = ["", "on", "off"];

/// What may stand in a location as its market: codes, aliases, and what means no market.
pub(crate) const MARKET_NAMES: [&str; 10] = [
    "AU",
    "NO",
    "UK",
    "GB",
    "XI",
    "US",
    "BR",
    "",
    "au",
    "no code at all",
];

/// Every market and its aliases; `BR` of [`MARKET_NAMES`] is none.
fn markets() -> BTreeMap<String, String> {
    let names = [
        ("AU", "AU"),
        ("NO", "NO"),
        ("UK", "UK"),
        ("GB", "UK"),
        ("XI", "UK"),
        ("US", "US"),
    ];
    let names = names.map(|(name, code)| (name.to_owned(), code.to_owned()));
    names.into_iter().collect()
}

fn account(audience: &str, partner: &str) -> Account {
    let (kind, support) = match audience {
        "managed_partner_supported" => ("managed", "partner"),
        "managed_platform_supported" => ("managed", "platform"),
        kind => (kind, ""),
    };
    let partner = if kind == "managed" { partner } else { "" };
    Account {
        kind: kind.to_owned(),
        partner: partner.to_owned(),
        support: support.to_owned(),
        settings: naive::Settings::new(),
    }
}

/// Tries a law in every cell of the built-in matrix, with every setting of the account and of its
/// partner for the cell's feature and for each feature that it requires, and with all other
/// features unset, on and off.
pub(crate) fn in_every_cell(law: fn(&Place)) {
    let features = Arc::new(naive::features(BUILT_IN));
    let matrix = Arc::new(bridge::matrix(&features));
    let mut cells = 0;
    for feature in features.keys() {
        for audience in AUDIENCES {
            cells += 1;
            for others in SETTINGS {
                let place = Place {
                    world: small_world(&features, audience, others),
                    matrix: Arc::clone(&matrix),
                    account: "it".to_owned(),
                    feature: feature.clone(),
                };
                let mut places = vec![place];
                for concerned in features[feature].requires.iter().chain([feature]) {
                    places = places
                        .iter()
                        .flat_map(|place| every_setting(place, concerned))
                        .collect();
                }
                places.iter().for_each(law);
            }
        }
    }
    assert_eq!(cells, 60);
}

fn every_setting(place: &Place, feature: &str) -> Vec<Place> {
    let pairs = SETTINGS.map(|account| SETTINGS.map(|partner| (account, partner)));
    let pairs = pairs.iter().flatten();
    pairs
        .map(|(account, partner)| place.with_settings(feature, account, partner))
        .collect()
}

/// One account, `it`, with its partner `boss`, who enabled two markets, and their competition.
fn small_world(features: &Arc<Features>, audience: &str, settings: &str) -> World {
    let mut set = naive::Settings::new();
    for feature in features.keys() {
        put(&mut set, feature, settings);
    }
    let policy = |markets: [&str; 2]| Policy {
        settings: set.clone(),
        markets: markets.map(str::to_owned).into(),
    };
    let accounts = [
        ("it", account(audience, "boss")),
        ("boss", account("partner", "")),
        ("rival", account("partner", "")),
        ("theirs", account("managed_partner_supported", "rival")),
    ];
    let accounts = accounts.map(|(id, account)| {
        let settings = set.clone();
        (
            id.to_owned(),
            Account {
                settings,
                ..account
            },
        )
    });
    World {
        features: Arc::clone(features),
        accounts: accounts.into(),
        policies: [
            ("boss".to_owned(), policy(["AU", "UK"])),
            ("rival".to_owned(), policy(["NO", "US"])),
        ]
        .into(),
        markets: markets(),
    }
}

/// Runs a property over so many generated values.
pub(crate) fn for_any<S: Strategy>(values: &S, cases: u32, law: impl Fn(&S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(values, |value| {
        law(&value);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Tries a law in generated worlds, for every account of each with some feature.
pub(crate) fn in_any_world(law: fn(&Place)) {
    let strategy = (worlds(), vec(any::<Index>(), ACCOUNTS));
    for_any(&strategy, 150, |(world, chosen)| {
        // Reading the matrix takes longer than everything else: once for all accounts.
        let matrix = Arc::new(bridge::matrix(&world.features));
        let keys: Vec<&String> = world.features.keys().collect();
        for (account, feature) in world.accounts.keys().zip(chosen) {
            law(&Place {
                world: world.clone(),
                matrix: Arc::clone(&matrix),
                account: account.clone(),
                feature: feature.get(&keys).to_string(),
            });
        }
    });
}

/// The features that every matrix has.
const WELL_KNOWN: [&str; 4] = [
    "services.order",
    "pricing.view",
    "maintenance_notifications.receive",
    "security_notifications.receive",
];
const MOST_FEATURES: usize = 12;
const PARTNERS: usize = 3;
const ACCOUNTS: usize = 10;

/// A matrix of 4 to 12 features, three partners with policies, and seven more accounts.
///
/// Settings, markets and rules are digits of numbers: a strategy for each of them would make
/// generating take longer than trying.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    // One of three for each feature, and for one that the matrix does not have.
    let settings = || vec(0..3_u32.pow(13), ACCOUNTS);
    let enabled = vec(0..2_u32.pow(4), PARTNERS);
    let audiences = vec(
        (select(AUDIENCES.as_slice()), 0..PARTNERS),
        ACCOUNTS - PARTNERS,
    );
    (features(), settings(), settings(), enabled, audiences).prop_map(
        |(features, own, partner_wide, enabled, audiences)| {
            let mut world = World {
                features: Arc::new(features),
                markets: markets(),
                ..World::default()
            };
            for (number, enabled) in enabled.into_iter().enumerate() {
                let codes = ["AU", "NO", "UK", "US"].into_iter();
                let codes = codes.zip(digits(enabled, ["", "on"]));
                let codes = codes.filter(|(_, enabled)| *enabled == "on");
                let policy = Policy {
                    settings: assign(&world.features, partner_wide[number]),
                    markets: codes.map(|(code, _)| code.to_owned()).collect(),
                };
                world.policies.insert(format!("p{number}"), policy);
                let partner = account("partner", "");
                world.accounts.insert(format!("p{number}"), partner);
            }
            for (number, (audience, partner)) in audiences.iter().enumerate() {
                let account = account(audience, &format!("p{partner}"));
                world.accounts.insert(format!("a{number}"), account);
            }
            for (account, settings) in world.accounts.values_mut().zip(own) {
                account.settings = assign(&world.features, settings);
            }
            world
        },
    )
}

/// The digits of a number, each as one of the words, least first and without end.
fn digits<const BASE: usize>(
    number: u32,
    words: [&'static str; BASE],
) -> impl Iterator<Item = &'static str> {
    let mut rest = number as usize;
    std::iter::repeat_with(move || {
        let digit = words[rest % BASE];
        rest /= BASE;
        digit
    })
}

/// Settings by feature; the first is of a feature that the matrix does not have.
fn assign(features: &Features, settings: u32) -> naive::Settings {
    let mut assigned = naive::Settings::new();
    let gone = "gone.feature".to_owned();
    let keys = std::iter::once(&gone).chain(features.keys());
    for (feature, setting) in keys.zip(digits(settings, SETTINGS)) {
        put(&mut assigned, feature, setting);
    }
    assigned
}

/// Matrices with random rules, and with `requires` that runs along a random order and so never in
/// a circle.
fn features() -> impl Strategy<Value = Features> {
    let order: Vec<usize> = (0..MOST_FEATURES).collect();
    let requires = vec(any::<Index>(), 0..=2);
    let row = (0..3_u32.pow(2), 0..4_u32.pow(2), requires);
    (
        WELL_KNOWN.len()..=MOST_FEATURES,
        Just(order).prop_shuffle(),
        vec(row, MOST_FEATURES),
    )
        .prop_map(|(count, mut order, rows)| {
            order.retain(|number| *number < count);
            let name = |number: usize| match WELL_KNOWN.get(number) {
                Some(key) => (*key).to_owned(),
                None => format!("extra.f{number}"),
            };
            let mut features = Features::new();
            for (place, (fixed, managed, requires)) in (0..count).zip(rows) {
                let fixed = digits(fixed, ["allow", "allow", "deny"]).take(2);
                let managed = digits(managed, ["allow", "deny", "on", "off"]).take(2);
                let rules = fixed.chain(managed).map(str::to_owned);
                let earlier = requires.iter().filter(|_| place > 0);
                let earlier: BTreeSet<String> = earlier
                    .map(|index| name(order[index.index(place)]))
                    .collect();
                let feature = Feature {
                    rules: AUDIENCES
                        .map(str::to_owned)
                        .into_iter()
                        .zip(rules)
                        .collect(),
                    requires: earlier.into_iter().collect(),
                };
                features.insert(name(order[place]), feature);
            }
            features
        })
}
