//! Data files that are wrong, each with the line, the field and what is said.

use proptest::prelude::*;

use super::*;
use crate::datafile::DEMO;
use crate::domain::{AccountKind, LocationStatus, Setting};
use crate::store::ImportMode;

fn matrix() -> FeatureMatrix {
    FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()
}

fn problems(text: &str) -> Vec<(u64, String, String)> {
    let error = parse(text, &matrix()).unwrap_err();
    let all = error.problems().iter().cloned();
    all.map(|problem| (problem.line, problem.field, problem.message))
        .collect()
}

/// One problem, and that one.
fn refused(cases: &[(&str, u64, &str, &str)]) {
    for (text, line, field, part) in cases {
        let found = problems(text);
        let [(at, path, message)] = found.as_slice() else {
            panic!("{text}: {found:?}")
        };
        assert_eq!((at, path.as_str()), (line, *field), "{text}: {message}");
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn the_demo_data_is_read_without_a_warning() {
    let (import, warnings) = parse(DEMO, &matrix()).unwrap();
    assert_eq!(warnings, []);
    let counts = import.counts();
    assert_eq!((counts.markets, counts.locations), (24, 143));
    assert_eq!((counts.policies, counts.account_settings), (3, 4));
    assert_eq!(
        (import.mode, import.actor.as_str(), import.comment.as_str()),
        (ImportMode::Merge, "", "")
    );
}

#[test]
fn what_may_be_left_out_is_nothing() {
    let text = r#"{
        "billing_markets": [{"code": "AU", "name": null, "currency": "AUD", "aliases": null}],
        "locations": [{"id": "a"}, {"id": "b", "market": "", "status": "new", "offers": [{"product": "P"}]}],
        "accounts": [{"id": "p", "kind": "partner", "partner": null}],
        "policies": [{"partner": "p", "settings": {"pricing.view": true, "dashboard.view": "off"}}]
    }"#;
    let (import, _) = parse(text, &matrix()).unwrap();
    assert_eq!(import.markets[0].value.name, "");
    let [first, second] = &import.locations[..] else {
        panic!()
    };
    assert_eq!((first.value.market, first.value.status), (None, None));
    assert_eq!((second.line, second.value.market), (3, None));
    assert_eq!(second.value.status, Some(LocationStatus::New));
    assert_eq!(second.value.offers[0].price, None);
    assert_eq!(import.accounts[0].value.kind, AccountKind::Partner);
    let settings: Vec<_> = import.policies[0].value.settings.values().collect();
    assert_eq!(settings, [&Setting::Off, &Setting::On]);
}

#[test]
fn the_file_as_a_whole() {
    refused(&[
        (
            "",
            1,
            "file",
            "has none of billing_markets, locations, accounts, policies",
        ),
        ("# nothing\n", 2, "file", "has none of"),
        ("{}", 1, "file", "has none of"),
        ("- a\n", 1, "file", "is a list here; a map"),
        ("accounts: [x\n", 1, "file", "bracket"),
        (
            "accounts: []\nacounts: []\n",
            2,
            "acounts",
            "is unknown; billing_markets,",
        ),
        (
            "accounts: []\naccounts: []\n",
            2,
            "file",
            "key `accounts` is used twice",
        ),
        ("accounts: {}\n", 1, "accounts", "is a map here; a list"),
        ("\"a\\nb\": 1\n", 1, "a\\nb", "is unknown"),
        ("accounts: [x]\n", 1, "accounts[0]", "is text here; a map"),
    ]);
}

#[test]
fn markets() {
    let many: String = (0..513)
        .map(|i| format!("  - {{ code: M{i:03}, currency: EUR }}\n"))
        .collect();
    let many = format!("billing_markets:\n{many}");
    refused(&[
        (
            "billing_markets: [{ currency: EUR }]",
            1,
            "billing_markets[0].code",
            "is missing",
        ),
        (
            "billing_markets: [{ code: AU }]",
            1,
            "billing_markets[0].currency",
            "is missing",
        ),
        (
            "billing_markets:\n- code: au\n  currency: EUR",
            2,
            "billing_markets[0].code",
            "`au` is not a market code",
        ),
        (
            "billing_markets:\n- code: 07\n  currency: EUR",
            2,
            "billing_markets[0].code",
            "put it in quotes",
        ),
        (
            "billing_markets:\n- code: AU\n  currency: eur",
            3,
            "billing_markets[0].currency",
            "`eur` is not a currency",
        ),
        (
            "billing_markets:\n- code: AU\n  currency: EUR\n  aliases: [GB, g]",
            4,
            "billing_markets[0].aliases[1]",
            "`g` is not a market code",
        ),
        (
            "billing_markets:\n- { code: UK, currency: EUR, aliases: [GB] }\n- { code: GB, currency: EUR }",
            3,
            "billing_markets[1].code",
            "alias of market `UK` on line 2",
        ),
        (
            "billing_markets:\n- { code: UK, currency: EUR }\n- { code: UK, currency: EUR }",
            3,
            "billing_markets[1].code",
            "on line 2",
        ),
        (
            "billing_markets:\n- { code: UK, currency: EUR, aliases: [GB, GB] }",
            2,
            "billing_markets[0].aliases",
            "`GB` is a code or an alias of market `UK`",
        ),
        (
            "billing_markets:\n- { code: UK, currency: EUR, aliases: [UK] }",
            2,
            "billing_markets[0].aliases",
            "on line 2",
        ),
        (
            "billing_markets:\n- { code: UK, currency: EUR, region: X }",
            2,
            "billing_markets[0].region",
            "code, name, currency, aliases are accepted",
        ),
        (
            &many,
            514,
            "billing_markets",
            "513 billing markets; at most 512",
        ),
    ]);
}

#[test]
fn locations() {
    let offers = |count: usize| -> String {
        let offers: String = (0..count).map(|i| format!("  - product: P{i}\n")).collect();
        format!("locations:\n- id: a\n  offers:\n{offers}")
    };
    assert!(parse(&offers(256), &matrix()).is_ok());
    let long = |key: &str, length: usize| {
        format!("locations:\n- id: a\n  {key}: \"{}\"", "é".repeat(length))
    };
    refused(&[
        (
            "locations: [{ name: x }]",
            1,
            "locations[0].id",
            "is missing",
        ),
        (
            "locations:\n- id: a b",
            2,
            "locations[0].id",
            "`a b` is not an id",
        ),
        (
            "locations:\n- id: 007",
            2,
            "locations[0].id",
            "put it in quotes",
        ),
        (
            "locations:\n- id: a\n- id: a",
            3,
            "locations[1].id",
            "`a` is there twice, first on line 2",
        ),
        (
            "locations:\n- id: a\n  market: au",
            3,
            "locations[0].market",
            "`au` is not a market code",
        ),
        (
            "locations:\n- id: a\n  status: open",
            3,
            "locations[0].status",
            "one of active, deployment",
        ),
        (
            "locations:\n- id: a\n  offers: { product: P }",
            3,
            "locations[0].offers",
            "a list is accepted",
        ),
        (
            "locations:\n- id: a\n  offers:\n  - monthly: 1 AUD",
            4,
            "locations[0].offers[0].product",
            "is missing",
        ),
        (
            "locations:\n- id: a\n  offers:\n  - product: P\n    monthly: 1200",
            5,
            "locations[0].offers[0].monthly",
            "put it in quotes",
        ),
        (
            "locations:\n- id: a\n  offers:\n  - product: P\n    setup: 1200 aud",
            5,
            "locations[0].offers[0].setup",
            "`aud` is not a currency",
        ),
        (
            "locations:\n- id: a\n  offers:\n  - product: P\n  - product: P",
            5,
            "locations[0].offers[1].product",
            "there twice, first on line 4",
        ),
        (
            "locations:\n- id: a\n  offers:\n  - product: P\n    price: 1 AUD",
            5,
            "locations[0].offers[0].price",
            "product, monthly, setup are accepted",
        ),
        (
            &offers(257),
            260,
            "locations[0].offers",
            "257 offers; at most 256",
        ),
        (
            &long("name", 201),
            3,
            "locations[0].name",
            "201 characters long; at most 200",
        ),
        (&long("metro", 101), 3, "locations[0].metro", "at most 100"),
        (
            &long("country", 101),
            3,
            "locations[0].country",
            "at most 100",
        ),
        (
            "locations:\n- id: a\n  name: \"x\\0\"",
            3,
            "locations[0].name",
            "NUL",
        ),
    ]);
}

#[test]
fn accounts() {
    let long = format!(
        "accounts:\n- id: a\n  kind: direct\n  display_name: {}",
        "x".repeat(201)
    );
    refused(&[
        (
            "accounts: [{ kind: direct }]",
            1,
            "accounts[0].id",
            "is missing",
        ),
        ("accounts:\n- id: a", 2, "accounts[0].kind", "is missing"),
        (
            "accounts:\n- id: a\n  kind: indirect",
            3,
            "accounts[0].kind",
            "`direct`, `partner` or `managed`",
        ),
        (
            "accounts:\n- id: 1e3\n  kind: direct",
            2,
            "accounts[0].id",
            "put it in quotes",
        ),
        (
            "accounts:\n- id: true\n  kind: direct",
            2,
            "accounts[0].id",
            "put it in quotes",
        ),
        (
            "accounts:\n- { id: a, kind: managed, support: partner }",
            2,
            "accounts[0].partner",
            "is missing",
        ),
        (
            "accounts:\n- { id: a, kind: managed, partner: p }",
            2,
            "accounts[0].support",
            "is missing",
        ),
        (
            "accounts:\n- { id: a, kind: managed, partner: p, support: self }",
            2,
            "accounts[0].support",
            "`partner` or `platform`",
        ),
        (
            "accounts:\n- { id: a, kind: managed, partner: p q, support: partner }",
            2,
            "accounts[0].partner",
            "not an id",
        ),
        (
            "accounts:\n- id: a\n  kind: direct\n  partner: p",
            4,
            "accounts[0].partner",
            "only a managed account has one",
        ),
        (
            "accounts:\n- id: a\n  kind: partner\n  support: partner",
            4,
            "accounts[0].support",
            "only a managed account has one",
        ),
        (
            "accounts:\n- { id: a, kind: direct }\n- { id: a, kind: direct }",
            3,
            "accounts[1].id",
            "first on line 2",
        ),
        (
            "accounts:\n- { id: a, kind: direct, partner_id: p }",
            2,
            "accounts[0].partner_id",
            "id, kind, partner, support, display_name are accepted",
        ),
        (&long, 4, "accounts[0].display_name", "201 characters"),
    ]);
}

#[test]
fn policies() {
    let many = |count: usize| {
        let settings: String = (0..count).map(|i| format!("    x.f{i}: on\n")).collect();
        format!("policies:\n- partner: p\n  settings:\n{settings}")
    };
    assert!(parse(&many(256), &matrix()).is_ok());
    refused(&[
        (
            "policies: [{ settings: {} }]",
            1,
            "policies[0].partner",
            "is missing",
        ),
        (
            "policies:\n- partner: p\n- partner: p",
            3,
            "policies[1].partner",
            "first on line 2",
        ),
        (
            "policies:\n- partner: p\n  billing_markets: AU",
            3,
            "policies[0].billing_markets",
            "a list is accepted",
        ),
        (
            "policies:\n- partner: p\n  billing_markets: [AU, no]",
            3,
            "policies[0].billing_markets[1]",
            "`no` is not a market code",
        ),
        (
            "policies:\n- partner: p\n  settings: [on]",
            3,
            "policies[0].settings",
            "a map",
        ),
        (
            "policies:\n- partner: p\n  settings:\n    pricing: on",
            4,
            "policies[0].settings[pricing]",
            "`pricing` is not a feature key",
        ),
        (
            "policies:\n- partner: p\n  settings:\n    pricing.view: yes",
            4,
            "policies[0].settings[pricing.view]",
            "`yes` is no setting: `on` or `off` is accepted",
        ),
        (
            "policies:\n- partner: p\n  settings:\n    pricing.view: 1",
            4,
            "policies[0].settings[pricing.view]",
            "a number is no setting",
        ),
        (
            "policies:\n- partner: p\n  settings:\n    pricing.view:",
            4,
            "policies[0].settings[pricing.view]",
            "nothing is no setting",
        ),
        (
            "policies:\n- partner: p\n  settings:\n    pricing.view: on\n    pricing.view: on",
            5,
            "file",
            "used twice",
        ),
        (
            "policies:\n- partner: p\n  accounts:\n    a b: {}",
            4,
            "policies[0].accounts[a b]",
            "not an id",
        ),
        (
            "policies:\n- partner: p\n  accounts:\n    a: on",
            4,
            "policies[0].accounts[a]",
            "a map",
        ),
        (
            "policies:\n- partner: p\n  accounts:\n    a: { pricing.view: maybe }",
            4,
            "policies[0].accounts[a][pricing.view]",
            "`maybe` is no setting",
        ),
        (
            "policies:\n- partner: p\n  accounts: { a: {} }\n- partner: q\n  accounts:\n    a: {}",
            6,
            "policies[1].accounts[a]",
            "first on line 3",
        ),
        (
            "policies:\n- partner: p\n  markets: []",
            3,
            "policies[0].markets",
            "partner, billing_markets, settings, accounts are accepted",
        ),
        (
            &many(257),
            260,
            "policies[0].settings",
            "257 settings; at most 256",
        ),
    ]);
}

#[test]
fn a_setting_without_effect_is_kept_with_a_warning() {
    let text = "policies:\n- partner: p\n  settings:\n    pricing.view: on\n    future.feature: on\n  accounts:\n    a:\n      services.order: off\n";
    let (import, warnings) = parse(text, &matrix()).unwrap();
    let found: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "line 5: policies[0].settings[future.feature]: has no effect: the matrix does not have this feature; it is kept",
            "line 8: policies[0].accounts[a][services.order]: has no effect: no partner may decide this feature; it is kept",
        ]
    );
    let policy = &import.policies[0].value;
    assert_eq!(policy.settings.len(), 2);
    assert_eq!(policy.accounts[0].value.settings.len(), 1);
}

#[test]
fn problems_are_told_together_by_line_and_up_to_twenty() {
    let found = problems(
        "policies:\n- partner: a b\n  settings: { x: on }\nlocations:\n- id: a b\n  market: x\n",
    );
    let places: Vec<_> = found
        .iter()
        .map(|(line, field, _)| (*line, field.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (2, "policies[0].partner"),
            (3, "policies[0].settings[x]"),
            (5, "locations[0].id"),
            (6, "locations[0].market"),
        ]
    );

    for (count, has_more) in [(19, false), (20, false), (21, true), (10_000, true)] {
        let text = format!(
            "accounts:\n{}",
            "- { id: a b, kind: direct }\n".repeat(count)
        );
        let error = parse(&text, &matrix()).unwrap_err();
        assert_eq!(error.problems().len(), count.min(MAX_PROBLEMS));
        assert_eq!(error.has_more(), has_more, "{count}");
        let lines = error.problems().len() + usize::from(has_more);
        assert_eq!(error.to_string().lines().count(), lines);
    }
}

/// Pieces that make half-right files likelier than arbitrary text does.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "billing_markets",
        "locations",
        "accounts",
        "policies",
        "partner",
        "settings",
        "offers",
        "id",
        "kind",
        "code",
        "currency",
        "aliases",
        "monthly",
        "market",
        "pricing.view",
        ": ",
        ":\n",
        "\n",
        "\n- ",
        "\n  ",
        "\n    ",
        "- ",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        "on",
        "managed",
        "AU",
        "\"1 AUD\"",
        "'",
        "\"",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "|\n",
        ">-\n",
        "? ",
        "#",
        "---\n",
        "~",
        "1e3",
        "\t",
        "é",
        "\u{0}",
        "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), pieces in pieces(), bytes in any::<Vec<u8>>()) {
        let matrix = matrix();
        for text in [&text, &pieces, &String::from_utf8_lossy(&bytes).into_owned()] {
            if let Err(error) = parse(text, &matrix) {
                prop_assert!(!error.problems().is_empty());
                prop_assert!(error.problems().iter().all(|problem| problem.line > 0));
                prop_assert_eq!(error.to_string().lines().count(), error.problems().len() + usize::from(error.has_more()));
            }
        }
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(at in any::<prop::sample::Index>(), piece in pieces(), cut in 0..40_usize) {
        let lines: Vec<&str> = DEMO.lines().skip(30).step_by(7).collect();
        let text: Vec<char> = lines.join("\n").chars().collect();
        let from = at.index(text.len());
        let to = (from + cut).min(text.len());
        let (before, after) = (&text[..from], &text[to..]);
        let text: String = before.iter().copied().chain(piece.chars()).chain(after.iter().copied()).collect();
        let _ = parse(&text, &matrix());
    }
}
