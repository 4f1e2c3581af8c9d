//! From a [`State`] to the text of a data file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::{Account, AccountId, SettingMap};
use crate::store::{State, StoredPolicy};

use super::shape::{self, Shape};
use super::write::{Format, block, flow};

/// The data file that says `state`: ordered by id, the same text for the same state.
///
/// Imported again it changes nothing, and imported into an empty store it makes this state. Own
/// settings of an account that has no partner are not written: they have no place in a data file,
/// and no store accepts them.
#[must_use]
pub fn render(state: &State, format: Format) -> String {
    let mut file = File {
        format,
        text: String::new(),
    };
    file.text.push_str(file.by_format("", "{\n"));
    let markets = state.markets.values().map(shape::market);
    file.section("billing_markets", Layout::Line, markets);
    let locations = state.locations.values().map(shape::location);
    file.section("locations", Layout::Block, locations);
    let accounts = state.accounts.values().map(shape::account);
    file.section("accounts", Layout::Line, accounts);
    let policies = policies(state);
    let policies = policies
        .iter()
        .map(|(partner, policy)| shape::policy(partner, policy.partner_wide, &policy.accounts));
    file.section("policies", Layout::Block, policies);
    file.text.push_str(file.by_format("", "\n}\n"));
    file.text
}

/// A partner's policy together with its accounts' own settings, as the file has them.
#[derive(Default)]
struct Policy<'a> {
    partner_wide: Option<&'a StoredPolicy>,
    accounts: Vec<(&'a AccountId, &'a SettingMap)>,
}

fn policies(state: &State) -> BTreeMap<&AccountId, Policy<'_>> {
    let mut policies: BTreeMap<&AccountId, Policy<'_>> = BTreeMap::new();
    for (partner, policy) in &state.policies {
        if !policy.is_empty() {
            policies.entry(partner).or_default().partner_wide = Some(policy);
        }
    }
    for (id, settings) in &state.account_settings {
        let partner = state.accounts.get(id).and_then(Account::partner);
        if let Some(partner) = partner.filter(|_| !settings.is_empty()) {
            policies
                .entry(partner)
                .or_default()
                .accounts
                .push((id, settings));
        }
    }
    policies
}

/// How the items of a section are laid out in YAML.
#[derive(Clone, Copy)]
enum Layout {
    /// Each on one line.
    Line,
    /// Each key on a line of its own.
    Block,
}

struct File {
    format: Format,
    text: String,
}

impl File {
    fn by_format<'a>(&self, yaml: &'a str, json: &'a str) -> &'a str {
        match self.format {
            Format::Yaml => yaml,
            Format::Json => json,
        }
    }

    fn section<'a>(&mut self, key: &str, layout: Layout, items: impl Iterator<Item = Shape<'a>>) {
        match self.format {
            Format::Yaml => self.yaml_section(key, layout, items),
            Format::Json => self.json_section(key, items),
        }
    }

    /// An empty section is written: an export of an empty store is still a data file.
    fn yaml_section<'a>(
        &mut self,
        key: &str,
        layout: Layout,
        items: impl Iterator<Item = Shape<'a>>,
    ) {
        let mut items = items.peekable();
        // Writing to a String cannot fail.
        let _ = write!(
            self.text,
            "{key}:{}",
            if items.peek().is_some() {
                "\n"
            } else {
                " []\n"
            }
        );
        for item in items {
            self.text.push_str("  - ");
            match (&item, layout) {
                (Shape::Map(entries), Layout::Block) => block(entries, "    ", &mut self.text),
                (Shape::Map(_) | Shape::List(_) | Shape::Text(_), _) => {
                    flow(&item, Format::Yaml, &mut self.text);
                    self.text.push('\n');
                }
            }
        }
    }

    /// One item a line: so a JSON export can be compared and searched by lines.
    fn json_section<'a>(&mut self, key: &str, items: impl Iterator<Item = Shape<'a>>) {
        let is_first = self.text.ends_with("{\n");
        let _ = write!(
            self.text,
            "{}  \"{key}\": [",
            if is_first { "" } else { ",\n" }
        );
        let mut is_empty = true;
        for item in items {
            self.text
                .push_str(if is_empty { "\n    " } else { ",\n    " });
            flow(&item, Format::Json, &mut self.text);
            is_empty = false;
        }
        self.text.push_str(if is_empty { "]" } else { "\n  ]" });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datafile::{DEMO, generated, parse};
    use crate::domain::FeatureMatrix;
    use crate::store::{ImportMode, plan};

    fn matrix() -> FeatureMatrix {
        FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()
    }

    fn state(text: &str) -> State {
        let (import, _) = parse(text, &matrix()).unwrap();
        let mut state = State::default();
        state.apply(plan(&State::default(), &import).unwrap());
        state
    }

    #[test]
    fn it_reads_like_the_files_that_people_write() {
        let text = "\
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
  - { code: UK, name: United Kingdom, currency: GBP, aliases: [GB] }
locations:
  - id: syd-sy1
    name: Equinix SY1
    metro: Sydney
    country: AU
    market: AU
    status: active
    offers:
      - { product: CROSS_CONNECT }
      - { product: PORT_10G, monthly: \"1200.50 AUD\", setup: \"0 AUD\" }
accounts:
  - { id: acme, kind: direct, display_name: \"Acme: \\\"Widgets\\\"\" }
  - { id: northwind, kind: partner, display_name: Northwind Networks }
  - { id: northwind-retail, kind: managed, partner: northwind, support: partner }
policies:
  - partner: northwind
    billing_markets: [AU]
    settings: { pricing.view: on }
    accounts:
      northwind-retail: { dashboard.view: on, pricing.view: off }
";
        assert_eq!(render(&state(text), Format::Yaml), text);
        let json = r#"{
  "billing_markets": [
    {"code": "AU", "name": "Australia", "currency": "AUD"},
    {"code": "UK", "name": "United Kingdom", "currency": "GBP", "aliases": ["GB"]}
  ],
  "locations": [
    {"id": "syd-sy1", "name": "Equinix SY1", "metro": "Sydney", "country": "AU", "market": "AU", "status": "active", "offers": [{"product": "CROSS_CONNECT"}, {"product": "PORT_10G", "monthly": "1200.50 AUD", "setup": "0 AUD"}]}
  ],
  "accounts": [
    {"id": "acme", "kind": "direct", "display_name": "Acme: \"Widgets\""},
    {"id": "northwind", "kind": "partner", "display_name": "Northwind Networks"},
    {"id": "northwind-retail", "kind": "managed", "partner": "northwind", "support": "partner"}
  ],
  "policies": [
    {"partner": "northwind", "billing_markets": ["AU"], "settings": {"pricing.view": "on"}, "accounts": {"northwind-retail": {"dashboard.view": "on", "pricing.view": "off"}}}
  ]
}
"#;
        assert_eq!(render(&state(text), Format::Json), json);
    }

    #[test]
    fn nothing_is_a_data_file_too() {
        let nothing = State::default();
        let yaml = render(&nothing, Format::Yaml);
        assert_eq!(
            yaml,
            "billing_markets: []\nlocations: []\naccounts: []\npolicies: []\n"
        );
        assert_eq!(state(&yaml), nothing);
        assert_eq!(state(&render(&nothing, Format::Json)), nothing);
    }

    fn comes_back(before: &State, text: &str) -> Result<(), TestCaseError> {
        let (mut import, _) = parse(text, &matrix())
            .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert!(plan(before, &import).unwrap().is_empty(), "{}", text);
        import.mode = ImportMode::Replace;
        prop_assert!(plan(before, &import).unwrap().is_empty(), "{}", text);
        let mut again = State::default();
        again.apply(plan(&State::default(), &import).unwrap());
        prop_assert_eq!(&again, before, "{}", text);
        Ok(())
    }

    #[test]
    fn the_demo_data_comes_back() {
        let demo = state(DEMO);
        for format in [Format::Yaml, Format::Json] {
            comes_back(&demo, &render(&demo, format)).unwrap();
        }
    }

    proptest! {
        #[test]
        fn an_export_imported_again_changes_nothing(state in generated::state()) {
            comes_back(&state, &render(&state, Format::Yaml))?;
            let json = render(&state, Format::Json);
            comes_back(&state, &json)?;
            // Whatever else reads JSON and writes it again may escape and indent as it likes.
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            if !pretty.contains(|char: char| matches!(char, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')) {
                comes_back(&state, &pretty)?;
            }
        }
    }
}
