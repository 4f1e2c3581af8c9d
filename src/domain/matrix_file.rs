//! Matrix files: YAML to a valid [`FeatureMatrix`], or one clear error; and back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::id::quote;
use super::matrix::Flaw;
use super::{
    Audience, Document, FeatureKey, FeatureMatrix, FeatureRow, FeatureRules, FeatureSet,
    MAX_FEATURES, MatrixError, Node, Rule, Setting, Text, Value,
};

const MAX_DESCRIPTION: usize = 1_000;

/// A row as it is read: each part with its line, nothing required yet.
struct RawRow<'a> {
    line: u64,
    feature: &'a str,
    fields: BTreeMap<&'a str, &'a Node>,
}

impl FeatureMatrix {
    /// Reads and checks a whole matrix file.
    ///
    /// # Errors
    /// [`MatrixError`]: the first of what is wrong, by line.
    pub fn parse(text: &str) -> Result<Self, MatrixError> {
        let document = Document::parse(text).map_err(|error| MatrixError {
            line: error.line,
            feature: feature_above(text, error.line),
            field: "features".to_owned(),
            message: error.message,
        })?;
        let features = top_level(&document)?;
        if features.len() > MAX_FEATURES {
            let message = format!(
                "{} features; at most {MAX_FEATURES} are accepted",
                features.len()
            );
            return Err(error(document.line, None, "features", message));
        }

        let raw = features
            .iter()
            .map(RawRow::read)
            .collect::<Result<Vec<_>, _>>()?;
        let mut lines = BTreeMap::new();
        for row in &raw {
            if let Some(first) = lines.insert(row.feature, row.line) {
                return Err(row.error(
                    row.line,
                    "feature",
                    format!("is there twice, first on line {first}"),
                ));
            }
        }
        let mut rows = raw
            .iter()
            .map(|row| row.check(&lines))
            .collect::<Result<Vec<_>, _>>()?;
        rows.sort_by(|a, b| a.key.cmp(&b.key));

        Self::new(rows).map_err(|flaw| match flaw {
            Flaw::Missing(key) => error(
                document.line,
                Some(key),
                "features",
                "is missing: every matrix has to have this feature",
            ),
            Flaw::Cycle(key) => {
                let row = raw.iter().find(|row| row.feature == key.as_str());
                let line = row.map_or(1, |row| {
                    row.fields
                        .get("requires")
                        .map_or(row.line, |node| node.line)
                });
                error(
                    line,
                    Some(key.as_str()),
                    "requires",
                    "forms a cycle: the feature requires itself, directly or not",
                )
            }
        })
    }

    /// The matrix as a file that [`FeatureMatrix::parse`] reads to the same matrix.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut yaml = String::from("features:\n");
        for (_, row) in self.features() {
            // Writing to a String cannot fail.
            let _ = writeln!(yaml, "  - feature: {}", row.key);
            if !row.description.is_empty() {
                let _ = writeln!(yaml, "    description: {}", quoted(&row.description));
            }
            if !row.requires.is_empty() {
                let keys: Vec<_> = row.requires.iter().map(FeatureKey::as_str).collect();
                let _ = writeln!(yaml, "    requires: [{}]", keys.join(", "));
            }
            for audience in Audience::ALL {
                let _ = writeln!(
                    yaml,
                    "    {}: {}",
                    audience.as_str(),
                    row.rules.of(audience).as_str()
                );
            }
        }
        yaml
    }
}

/// Text as a YAML scalar in double quotes: JSON's escapes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn error(line: u64, feature: Option<&str>, field: &str, message: impl Into<String>) -> MatrixError {
    MatrixError {
        line,
        feature: feature.map(str::to_owned),
        field: field.to_owned(),
        message: message.into(),
    }
}

/// The feature whose row a line lies in, for errors that come from before the rows were read.
fn feature_above(text: &str, line: u64) -> Option<String> {
    let until = usize::try_from(line).unwrap_or(usize::MAX);
    let above: Vec<&str> = text.lines().take(until).collect();
    above.iter().rev().find_map(|line| {
        let key = line
            .trim_start()
            .trim_start_matches("- ")
            .trim_start()
            .strip_prefix("feature:")?;
        Some(key.split('#').next().unwrap_or_default().trim().to_owned())
    })
}

fn top_level(document: &Node) -> Result<&[Node], MatrixError> {
    let mut features = None;
    for (key, value) in document
        .map()
        .map_err(|e| error(document.line, None, "features", e.to_string()))?
    {
        match key.text() {
            Ok("features") => features = Some(value),
            Ok(other) => {
                return Err(error(
                    key.line,
                    None,
                    other,
                    "is unknown; at the top `features` alone is accepted",
                ));
            }
            Err(e) => return Err(error(key.line, None, "features", e.to_string())),
        }
    }
    match features {
        Some(node) => node
            .list()
            .map_err(|e| error(node.line, None, "features", e.to_string())),
        None => Err(error(document.line, None, "features", "is missing")),
    }
}

const FIELDS: [&str; 7] = [
    "feature",
    "description",
    "requires",
    "direct",
    "partner",
    "managed_partner_supported",
    "managed_platform_supported",
];

impl<'a> RawRow<'a> {
    fn read(node: &'a Node) -> Result<Self, MatrixError> {
        let entries = node
            .map()
            .map_err(|e| error(node.line, None, "features", e.to_string()))?;
        let mut fields = BTreeMap::new();
        let mut lines = BTreeMap::new();
        for (key, value) in entries {
            let name = key
                .text()
                .map_err(|e| error(key.line, None, "features", e.to_string()))?;
            fields.insert(name, value);
            lines.insert(name, key.line);
        }
        let Some(feature) = fields.get("feature") else {
            return Err(error(node.line, None, "feature", "is missing"));
        };
        let feature = feature
            .text()
            .map_err(|e| error(feature.line, None, "feature", e.to_string()))?;
        let row = Self {
            line: node.line,
            feature,
            fields,
        };
        for (name, line) in lines {
            if !FIELDS.contains(&name) {
                return Err(row.error(
                    line,
                    name,
                    format!("is unknown; {} are accepted", FIELDS.join(", ")),
                ));
            }
        }
        Ok(row)
    }

    fn error(&self, line: u64, field: &str, message: impl Into<String>) -> MatrixError {
        error(line, Some(self.feature), field, message)
    }

    fn check(&self, lines: &BTreeMap<&str, u64>) -> Result<FeatureRow, MatrixError> {
        let key = FeatureKey::try_from(self.feature)
            .map_err(|e| self.error(self.line, "feature", e.to_string()))?;
        Ok(FeatureRow {
            key,
            description: self.description()?,
            requires: self.requires(lines)?,
            rules: FeatureRules {
                direct: self.rule(Audience::Direct)?,
                partner: self.rule(Audience::Partner)?,
                managed_partner_supported: self.rule(Audience::ManagedPartnerSupported)?,
                managed_platform_supported: self.rule(Audience::ManagedPlatformSupported)?,
            },
            required: FeatureSet::EMPTY,
        })
    }

    fn description(&self) -> Result<String, MatrixError> {
        let Some(node) = self.fields.get("description") else {
            return Ok(String::new());
        };
        let text = node
            .text()
            .and_then(|text| Text::check(text, MAX_DESCRIPTION).map(|()| text));
        text.map(str::to_owned)
            .map_err(|e| self.error(node.line, "description", e.to_string()))
    }

    fn requires(&self, lines: &BTreeMap<&str, u64>) -> Result<Vec<FeatureKey>, MatrixError> {
        let Some(node) = self.fields.get("requires") else {
            return Ok(Vec::new());
        };
        let items = node
            .list()
            .map_err(|e| self.error(node.line, "requires", e.to_string()))?;
        let mut keys = Vec::new();
        for item in items {
            let key = item.text().and_then(FeatureKey::try_from);
            let key = key.map_err(|e| self.error(item.line, "requires", e.to_string()))?;
            if !lines.contains_key(key.as_str()) {
                return Err(self.error(
                    item.line,
                    "requires",
                    format!("`{key}` is no feature of this matrix"),
                ));
            }
            if keys.contains(&key) {
                return Err(self.error(item.line, "requires", format!("`{key}` is there twice")));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn rule(&self, audience: Audience) -> Result<Rule, MatrixError> {
        let field = audience.as_str();
        let Some(node) = self.fields.get(field) else {
            return Err(self.error(self.line, field, "is missing: every audience needs a rule"));
        };
        let accepted = if audience.is_managed() {
            "`allow`, `deny`, `on` or `off`"
        } else {
            "`allow` or `deny`"
        };
        let rule = match &node.value {
            Value::Text(text) => match text.as_str() {
                "allow" => Some(Rule::Allow),
                "deny" => Some(Rule::Deny),
                "on" => Some(Rule::PartnerDecides {
                    default: Setting::On,
                }),
                "off" => Some(Rule::PartnerDecides {
                    default: Setting::Off,
                }),
                _ => None,
            },
            Value::Flag(flag) => Some(Rule::PartnerDecides {
                default: if *flag { Setting::On } else { Setting::Off },
            }),
            Value::Null | Value::Number | Value::List(_) | Value::Map(_) => None,
        };
        match rule {
            Some(Rule::PartnerDecides { default }) if !audience.is_managed() => {
                let message = format!(
                    "`{}` leaves the choice to a partner, which only managed accounts have; {accepted} is accepted",
                    default.as_str()
                );
                Err(self.error(node.line, field, message))
            }
            Some(rule) => Ok(rule),
            None => {
                let found = node.text().map_or_else(
                    |e| e.to_string(),
                    |text| format!("{} is no rule", quote(text)),
                );
                Err(self.error(node.line, field, format!("{found}; {accepted} is accepted")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL_KNOWN: [&str; 4] = [
        "services.order",
        "pricing.view",
        "maintenance_notifications.receive",
        "security_notifications.receive",
    ];

    fn row(key: &str, extra: &str) -> String {
        format!(
            "  - feature: {key}\n    direct: allow\n    partner: allow\n    managed_partner_supported: on\n    \
             managed_platform_supported: false\n{extra}"
        )
    }

    fn matrix(extra: &str) -> String {
        let mut text = String::from("features:\n");
        WELL_KNOWN
            .iter()
            .for_each(|key| text.push_str(&row(key, "")));
        text + extra
    }

    #[test]
    fn the_built_in_matrix_is_valid_and_round_trips() {
        let built_in = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
        assert_eq!(built_in.features().count(), 15);
        assert_eq!(FeatureMatrix::parse(&built_in.to_yaml()).unwrap(), built_in);
    }

    #[test]
    fn truth_values_are_on_and_off() {
        let matrix = FeatureMatrix::parse(&matrix("")).unwrap();
        let (_, row) = matrix.features().next().unwrap();
        assert_eq!(
            row.rules.managed_platform_supported,
            Rule::PartnerDecides {
                default: Setting::Off
            }
        );
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn every_error_names_line_feature_and_field() {
        let cell = |value: &str| {
            matrix(&row("a.b", "").replace("direct: allow", &format!("direct: {value}")))
        };
        let managed = |value: &str| matrix(&row("a.b", "").replace(": on", &format!(": {value}")));
        let cycle = row("a.b", "    requires: [c.d]\n") + &row("c.d", "    requires: [a.b]\n");
        let many: String = (0..253).map(|i| row(&format!("x.f{i}"), "")).collect();
        let without = |key: &str| matrix("").replace(key, "some.other");
        for (text, line, feature, field, part) in [
            (
                cell("maybe"),
                23,
                "a.b",
                "direct",
                "`maybe` is no rule; `allow` or `deny` is accepted",
            ),
            (
                cell("on"),
                23,
                "a.b",
                "direct",
                "`on` leaves the choice to a partner",
            ),
            (
                cell("true"),
                23,
                "a.b",
                "direct",
                "only managed accounts have",
            ),
            (
                managed("maybe"),
                25,
                "a.b",
                "managed_partner_supported",
                "`on` or `off` is accepted",
            ),
            (
                managed("7"),
                25,
                "a.b",
                "managed_partner_supported",
                "is a number",
            ),
            (
                managed("[on]"),
                25,
                "a.b",
                "managed_partner_supported",
                "is a list",
            ),
            (
                matrix(&row("a.b", "    indirect: allow\n")),
                27,
                "a.b",
                "indirect",
                "is unknown",
            ),
            (
                matrix(&row("a.b", "    direct: deny\n")),
                27,
                "a.b",
                "features",
                "key `direct` is used twice",
            ),
            (
                matrix(&row("A.b", "")),
                22,
                "A.b",
                "feature",
                "`A.b` is not a feature key",
            ),
            (
                matrix(&row("pricing.view", "")),
                22,
                "pricing.view",
                "feature",
                "first on line 7",
            ),
            (
                matrix(&row("a.b", "    requires: [x.y]\n")),
                27,
                "a.b",
                "requires",
                "`x.y` is no feature",
            ),
            (
                matrix(&row("a.b", "    requires: [a.b]\n")),
                27,
                "a.b",
                "requires",
                "cycle",
            ),
            (
                matrix(&row("a.b", "    requires: x.y\n")),
                27,
                "a.b",
                "requires",
                "a list is accepted",
            ),
            (matrix(&cycle), 27, "a.b", "requires", "cycle"),
            (
                matrix(&row("a.b", "").replace("    partner: allow\n", "")),
                22,
                "a.b",
                "partner",
                "is missing",
            ),
            (
                without("services.order"),
                1,
                "services.order",
                "features",
                "is missing",
            ),
            (
                without("pricing.view"),
                1,
                "pricing.view",
                "features",
                "is missing",
            ),
            (
                without("maintenance_notifications.receive"),
                1,
                "maintenance_notifications.receive",
                "features",
                "missing",
            ),
            (
                without("security_notifications.receive"),
                1,
                "security_notifications.receive",
                "features",
                "missing",
            ),
            (
                matrix(&many),
                1,
                "",
                "features",
                "257 features; at most 256",
            ),
            (matrix("extra: 1\n"), 22, "", "extra", "is unknown"),
            (String::new(), 1, "", "features", "is missing"),
            ("- a\n".to_owned(), 1, "", "features", "a map"),
            ("features: {}\n".to_owned(), 1, "", "features", "a list"),
        ] {
            let error = FeatureMatrix::parse(&text).unwrap_err();
            let found = (
                error.line,
                error.feature.as_deref().unwrap_or(""),
                error.field.as_str(),
            );
            assert_eq!(found, (line, feature, field), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_full_matrix_is_accepted_and_requires_close_over_a_chain() {
        let chain: String = (0..252)
            .map(|i| {
                row(
                    &format!("x.f{i:03}"),
                    &if i == 0 {
                        String::new()
                    } else {
                        format!("    requires: [x.f{:03}]\n", i - 1)
                    },
                )
            })
            .collect();
        let matrix = FeatureMatrix::parse(&matrix(&chain)).unwrap();
        let last = matrix.find("x.f251").unwrap();
        assert_eq!(matrix.required(last).iter().count(), 251);
    }
}
