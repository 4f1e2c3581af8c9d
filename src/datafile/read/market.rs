//! Billing markets in a data file.

use std::collections::HashMap;

use crate::domain::{BillingMarket, CurrencyCode, MAX_MARKETS, MAX_NAME, MarketCode, Node, Text};
use crate::store::Line;

use super::{Fields, Findings, Path, items};

const FIELDS: [&str; 4] = ["code", "name", "currency", "aliases"];

pub(super) fn read(nodes: &[Node], findings: &mut Findings) -> Vec<Line<BillingMarket>> {
    let path = Path::FILE.field("billing_markets");
    if let Some(first_too_many) = nodes.get(MAX_MARKETS) {
        let message = format!(
            "{} billing markets; at most {MAX_MARKETS} are accepted",
            nodes.len()
        );
        findings.problem(first_too_many.line, &path, message);
    }
    let mut names = Names::default();
    items(nodes, &path, &FIELDS, findings, |fields, findings| {
        market(fields, &mut names, findings)
    })
}

/// What each code and alias means, with the line that says so.
type Names = HashMap<MarketCode, (MarketCode, u64)>;

fn market(
    fields: &Fields<'_, '_>,
    names: &mut Names,
    findings: &mut Findings,
) -> Option<BillingMarket> {
    let code = fields.required("code", findings, MarketCode::try_from);
    let name = fields.optional("name", findings, |name| {
        Text::check(name, MAX_NAME).map(|()| name.to_owned())
    });
    let currency = fields.required("currency", findings, CurrencyCode::try_from);
    let aliases = codes(fields, "aliases", findings);
    let (code, aliases) = (code?, aliases?);

    let path = fields.path.field("code");
    let mut is_new = claim(code, code, fields.line_of("code"), &path, names, findings);
    let path = fields.path.field("aliases");
    for alias in &aliases {
        is_new &= claim(alias.value, code, alias.line, &path, names, findings);
    }
    if !is_new {
        return None;
    }
    let aliases = aliases.into_iter().map(|alias| alias.value).collect();
    BillingMarket::new(code, name?.unwrap_or_default(), currency?, aliases)
        .inspect_err(|invalid| findings.problem(fields.line, &fields.path, invalid.to_string()))
        .ok()
}

/// Notes that `name` means the market `code`. That it has a meaning already is a problem.
fn claim(
    name: MarketCode,
    code: MarketCode,
    line: u64,
    path: &Path<'_>,
    names: &mut Names,
    findings: &mut Findings,
) -> bool {
    let Some((market, first)) = names.get(&name) else {
        names.insert(name, (code, line));
        return true;
    };
    let message = format!("`{name}` is a code or an alias of market `{market}` on line {first}");
    findings.problem(line, path, message);
    false
}

/// A list of market codes with their lines.
pub(super) fn codes(
    fields: &Fields<'_, '_>,
    key: &str,
    findings: &mut Findings,
) -> Option<Vec<Line<MarketCode>>> {
    let nodes = fields.list(key, findings)?;
    if let Some(first_too_many) = nodes.get(MAX_MARKETS) {
        let message = format!(
            "{} market codes; at most {MAX_MARKETS} are accepted",
            nodes.len()
        );
        findings.problem(first_too_many.line, &fields.path.field(key), message);
        return None;
    }
    let path = fields.path.field(key);
    let mut codes = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        match node.text().and_then(MarketCode::try_from) {
            Ok(value) => codes.push(Line {
                line: node.line,
                value,
            }),
            Err(invalid) => {
                findings.problem(node.line, &path.index(index), invalid.to_string());
            }
        }
    }
    (codes.len() == nodes.len()).then_some(codes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::refused;

    #[test]
    fn markets_that_are_refused() {
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
}
