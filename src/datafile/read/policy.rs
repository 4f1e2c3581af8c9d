//! Partners' policies in a data file.

use crate::domain::{
    AccountId, FeatureKey, FeatureMatrix, FeatureRow, Node, Setting, SettingMap, Value, quote,
};
use crate::store::{AccountSettings, Line, PolicyImport};

use super::{Fields, Findings, Path, Seen, items, market};

/// The most settings of one partner or of one account in a data file.
pub const MAX_SETTINGS: usize = 256;

const FIELDS: [&str; 4] = ["partner", "billing_markets", "settings", "accounts"];

pub(super) fn read(
    nodes: &[Node],
    matrix: &FeatureMatrix,
    findings: &mut Findings,
) -> Vec<Line<PolicyImport>> {
    let path = Path::FILE.field("policies");
    let mut reader = Reader {
        matrix,
        partners: Seen::default(),
        accounts: Seen::default(),
    };
    items(nodes, &path, &FIELDS, findings, |fields, findings| {
        reader.policy(fields, findings)
    })
}

struct Reader<'d, 'm> {
    matrix: &'m FeatureMatrix,
    partners: Seen<'d>,
    /// Accounts of all policies: an account is managed by one partner only.
    accounts: Seen<'d>,
}

impl<'d> Reader<'d, '_> {
    fn policy(&mut self, fields: &Fields<'d, '_>, findings: &mut Findings) -> Option<PolicyImport> {
        let partner = fields.unique("partner", &mut self.partners, findings, AccountId::try_from);
        let markets = market::codes(fields, "billing_markets", findings);
        let path = fields.path.field("settings");
        let settings = fields
            .map("settings", findings)
            .and_then(|entries| self.settings(entries, &path, findings));
        let accounts = fields
            .map("accounts", findings)
            .map(|entries| self.accounts(entries, &fields.path.field("accounts"), findings));
        Some(PolicyImport {
            partner: partner?,
            settings: settings?,
            markets: markets?,
            accounts: accounts?,
        })
    }

    fn accounts(
        &mut self,
        entries: &'d [(Node, Node)],
        path: &Path<'_>,
        findings: &mut Findings,
    ) -> Vec<Line<AccountSettings>> {
        let mut accounts = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if findings.is_full() {
                break;
            }
            let id = key.text().unwrap_or_default();
            let path = path.key(id);
            let account = AccountId::try_from(id)
                .inspect_err(|invalid| findings.problem(key.line, &path, invalid.to_string()));
            self.accounts.note(id, key.line, &path, findings);
            let entries = node
                .map()
                .inspect_err(|invalid| findings.problem(node.line, &path, invalid.to_string()));
            let settings = entries
                .ok()
                .and_then(|entries| self.settings(entries, &path, findings));
            if let (Ok(account), Some(settings)) = (account, settings) {
                accounts.push(Line {
                    line: key.line,
                    value: AccountSettings { account, settings },
                });
            }
        }
        accounts
    }

    fn settings(
        &self,
        entries: &[(Node, Node)],
        path: &Path<'_>,
        findings: &mut Findings,
    ) -> Option<SettingMap> {
        if let Some((first_too_many, _)) = entries.get(MAX_SETTINGS) {
            let message = format!(
                "{} settings; at most {MAX_SETTINGS} are accepted",
                entries.len()
            );
            findings.problem(first_too_many.line, path, message);
            return None;
        }
        let mut settings = SettingMap::new();
        for (key, node) in entries {
            let name = key.text().unwrap_or_default();
            let path = path.key(name);
            let feature = FeatureKey::try_from(name)
                .inspect_err(|invalid| findings.problem(key.line, &path, invalid.to_string()));
            let setting = setting(node)
                .inspect_err(|message| findings.problem(node.line, &path, message.as_str()));
            if let (Ok(feature), Ok(setting)) = (feature, setting) {
                if let Some(why) = self.why_without_effect(&feature) {
                    findings.warning(key.line, &path, why);
                }
                settings.insert(feature, setting);
            }
        }
        Some(settings)
    }

    fn why_without_effect(&self, feature: &FeatureKey) -> Option<&'static str> {
        let row = self
            .matrix
            .find(feature.as_str())
            .and_then(|index| self.matrix.row(index));
        match row.map(|row: &FeatureRow| row.rules.is_configurable()) {
            Some(true) => None,
            Some(false) => Some("has no effect: no partner may decide this feature; it is kept"),
            None => Some("has no effect: the matrix does not have this feature; it is kept"),
        }
    }
}

fn setting(node: &Node) -> Result<Setting, String> {
    let found = match &node.value {
        Value::Flag(true) => return Ok(Setting::On),
        Value::Flag(false) => return Ok(Setting::Off),
        Value::Text(text) if text == Setting::On.as_str() => return Ok(Setting::On),
        Value::Text(text) if text == Setting::Off.as_str() => return Ok(Setting::Off),
        Value::Text(text) => quote(text),
        Value::Null => "nothing".to_owned(),
        Value::Number => "a number".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    };
    Err(format!(
        "{found} is no setting: `on` or `off` is accepted; what is unset is left out"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{matrix, refused};
    use crate::datafile::parse;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn policies_that_are_refused() {
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
}
