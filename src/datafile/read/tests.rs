//! Whole data files: what is read, what is refused, and that nothing makes the reader panic.

use proptest::prelude::*;

use super::*;
use crate::datafile::DEMO;
use crate::domain::{AccountKind, LocationStatus, Setting};
use crate::store::ImportMode;

pub(super) fn matrix() -> FeatureMatrix {
    FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()
}

fn problems(text: &str) -> Vec<(u64, String, String)> {
    let error = parse(text, &matrix()).unwrap_err();
    let all = error.problems().iter().cloned();
    all.map(|problem| (problem.line, problem.field, problem.message))
        .collect()
}

/// Each file has one problem, and that one: line, field, and a part of the message.
pub(super) fn refused(cases: &[(&str, u64, &str, &str)]) {
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
fn files_that_are_refused() {
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
