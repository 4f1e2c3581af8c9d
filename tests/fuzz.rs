//! Any bytes, where bytes come from outside: the functions of `fuzz/`, on random bytes and on valid
//! examples that were damaged.

#![cfg(test)]

#[path = "fuzz/damage.rs"]
mod damage;
#[path = "../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the targets of `cargo fuzz` use the rest"
)]
mod targets;

use std::time::Duration;

use damage::{any_text, damaged, with_choice};
use portcullis::clock::Moment;
use portcullis::domain::FeatureMatrix;
use proptest::prelude::*;

const DATA: &str = r#"billing_markets:
  - { code: AU, name: Australia, currency: AUD }
  - { code: UK, name: "United Kingdom", currency: GBP, aliases: [GB] }
locations:
  - id: syd-sy1
    name: Equinix SY1
    metro: Sydney
    country: AU
    market: AU
    status: active
    offers:
      - { product: PORT_10G, monthly: "1200.00 AUD", setup: "0 AUD" }
accounts:
  - { id: northwind, kind: partner, display_name: Northwind Networks }
  - { id: northwind-retail, kind: managed, partner: northwind, support: partner }
  - { id: acme, kind: direct }
policies:
  - partner: northwind
    billing_markets: [AU]
    settings: { pricing.view: on }
    accounts:
      northwind-retail: { dashboard.view: on, pricing.view: off }
"#;

const JSON: &str = r#"{"accounts": [{"id": "p", "kind": "partner"}, {"id": "m", "kind": "managed",
"partner": "p", "support": "platform"}], "policies": [{"partner": "p", "settings": {"pricing.view": true}}],
"locations": [{"id": "x", "name": "X", "metro": null, "country": "AU", "offers": []}]}"#;

const ANCHORED: &str = "accounts:\n  - &a { id: a, kind: direct }\n  - { <<: *a, id: b }\n  - id: >-\n      c\n    kind: |\n      direct\n...\n";

const CONNECTION_STRINGS: [&str; 7] = [
    "postgres://user:pass@db.example.net:5432/portcullis?sslmode=require&application_name=x",
    "postgresql://u:p%40ss@[::1]:5432,b:5433/db?target_session_attrs=read-write",
    "host=db user=u password='a b\\'c' dbname=d connect_timeout=5 sslmode=prefer",
    "host = a,b port=1,2 hostaddr='127.0.0.1,::1' keepalives=1 keepalives_idle=9",
    "postgres:///db?host=/run/postgresql&options=-c%20x=1&channel_binding=disable",
    "postgres://u@h/db?password=p&sslpassword=q&passfile=r",
    "mysql://u:p@h/db",
];

const VALUES: [&str; 12] = [
    "5s",
    "1m 30s",
    "300ms",
    "4096",
    "127.0.0.1:50051",
    "[::1]:9090",
    "info,portcullis::directory=debug",
    "/etc/portcullis/matrix.yaml",
    "postgres://user:pass@db/portcullis",
    "true",
    "json",
    "-1",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_data_file_is_refused_by_line_and_field_or_exported_the_same(
        text in prop_oneof![1 => any_text(), 9 => damaged(&[DATA, JSON, ANCHORED])]
    ) {
        targets::data_file(&text);
    }

    #[test]
    fn a_matrix_is_refused_by_line_and_field_or_written_the_same(
        text in prop_oneof![1 => any_text(), 9 => damaged(&[FeatureMatrix::BUILT_IN])]
    ) {
        targets::matrix(&text);
    }

    #[test]
    fn no_piece_of_a_password_comes_out_of_a_connection_string(
        text in with_choice(prop_oneof![1 => any_text(), 9 => damaged(&CONNECTION_STRINGS)])
    ) {
        targets::connection_string(&text);
    }

    #[test]
    fn a_value_of_a_flag_is_read_or_refused_by_its_name(
        text in with_choice(with_choice(prop_oneof![1 => any_text(), 5 => damaged(&VALUES)]))
    ) {
        targets::flag(&text);
    }
}

/// What was made to be slow, or to be more than it looks.
#[test]
fn files_that_are_bombs_are_refused_in_time() {
    let lines = |line: fn(usize) -> String, count: usize| (0..count).map(line).collect::<String>();
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let bombs = [
        ("aliases of aliases", laughs),
        ("lists in lists", "[".repeat(100_000)),
        ("maps in maps", "{a: ".repeat(50_000)),
        ("lists of lists, by dashes", "- ".repeat(50_000)),
        ("one long word", "x".repeat(1_000_000)),
        ("quotes", "'".repeat(200_001)),
        (
            "an open text",
            format!("accounts: \"{}", "\\x41".repeat(60_000)),
        ),
        ("anchors", lines(|i| format!("- &a{i} x\n"), 5_000)),
        ("keys", lines(|i| format!("k{i}: x\n"), 5_000)),
        ("documents", "---\n".repeat(100_000)),
        ("comments", "# x\n".repeat(60_000)),
        ("tags", "!x ".repeat(100_000)),
        ("a key that is a map", "? {a: b}\n: c\n".repeat(3_000)),
        (
            "accounts with wrong fields",
            format!(
                "accounts:\n{}",
                lines(|i| format!("  - {{ id: a{i}, knd: x }}\n"), 3_000)
            ),
        ),
        (
            "one account twice and twice again",
            format!(
                "accounts:\n{}",
                "  - { id: a, kind: direct }\n".repeat(3_000)
            ),
        ),
        (
            "settings of no feature",
            format!(
                "accounts: [{{ id: p, kind: partner }}]\npolicies:\n  - partner: p\n    settings:\n{}",
                lines(|i| format!("      a{i}.b: on\n"), 3_000)
            ),
        ),
        (
            "requirements",
            format!(
                "features:\n{}",
                lines(
                    |i| format!("  - {{ feature: a.f{i}, requires: [a.f{}] }}\n", i + 1),
                    5_000
                )
            ),
        ),
    ];
    for (what, text) in bombs {
        for (target, read) in [
            ("data file", targets::data_file as fn(&[u8])),
            ("matrix", targets::matrix),
        ] {
            let began = Moment::now();
            read(text.as_bytes());
            let took = Moment::now().since(began);
            println!("{target} of {what}: {} KiB in {took:.1?}", text.len() >> 10);
            assert!(
                took < Duration::from_secs(10),
                "{target} of {what}: {took:?}"
            );
        }
    }
}
