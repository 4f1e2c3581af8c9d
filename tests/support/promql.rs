//! Which metrics a query of Prometheus names, and by which labels. Whether it is a query at all is
//! for promtool to say; this reads as much of the language as that takes.

use std::iter::Peekable;
use std::str::CharIndices;

/// A metric in a query, with the labels that choose among its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name: of a metric, a label, a function, or a word of the language.
    Name(String),
    /// What is in quotes.
    Text,
    /// A number or a duration.
    Number,
    /// Any other character that is not blank.
    Sign(char),
}

/// Words after which labels are listed in parentheses.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Words that stand alone.
const WORDS: [&str; 8] = [
    "and", "or", "unless", "atan2", "bool", "offset", "inf", "nan",
];

/// Functions over many series, whose labels may be listed before what they are over.
const AGGREGATIONS: [&str; 12] = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];

/// Every selector of a query, in order.
///
/// # Errors
/// Where something is not closed, or series are selected without the name of a metric.
pub fn selectors(expr: &str) -> Result<Vec<Selector>, String> {
    let mut tokens = tokens(expr)?.into_iter().peekable();
    let mut selectors = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Name(name) => {
                let word = name.to_ascii_lowercase();
                let called = tokens.peek() == Some(&Token::Sign('('));
                if LISTS.contains(&word.as_str()) {
                    if called {
                        until(&mut tokens, ')')?;
                    }
                } else if !called
                    && ![&WORDS[..], &AGGREGATIONS]
                        .concat()
                        .contains(&word.as_str())
                {
                    let labels = if tokens.next_if_eq(&Token::Sign('{')).is_some() {
                        matched(&until(&mut tokens, '}')?)
                    } else {
                        Vec::new()
                    };
                    selectors.push(Selector {
                        metric: name,
                        labels,
                    });
                }
            }
            Token::Sign('{') => return Err("series are selected without a metric".to_owned()),
            Token::Sign('[') => drop(until(&mut tokens, ']')?),
            Token::Sign(_) | Token::Number | Token::Text => {}
        }
    }
    Ok(selectors)
}

/// What is left before this sign, which is taken too.
fn until(tokens: &mut impl Iterator<Item = Token>, end: char) -> Result<Vec<Token>, String> {
    let mut taken = Vec::new();
    for token in tokens {
        if token == Token::Sign(end) {
            return Ok(taken);
        }
        taken.push(token);
    }
    Err(format!("no `{end}` closes it"))
}

/// The labels of what is between braces.
fn matched(tokens: &[Token]) -> Vec<String> {
    let names = tokens.iter().filter_map(|token| match token {
        Token::Name(name) => Some(name.clone()),
        Token::Text | Token::Number | Token::Sign(_) => None,
    });
    names.collect()
}

fn tokens(expr: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expr.char_indices().peekable();
    while let Some((_, next)) = rest.next() {
        tokens.push(match next {
            ' ' | '\t' | '\r' | '\n' => continue,
            '#' => {
                while rest.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            '"' | '\'' | '`' => {
                quoted(&mut rest, next)?;
                Token::Text
            }
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let mut name = String::from(next);
                let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                while let Some((_, more)) = rest.next_if(|(_, c)| part(*c)) {
                    name.push(more);
                }
                Token::Name(name)
            }
            '0'..='9' => {
                let part = |c: char| c.is_ascii_alphanumeric() || c == '.';
                while rest.next_if(|(_, c)| part(*c)).is_some() {}
                Token::Number
            }
            sign => Token::Sign(sign),
        });
    }
    Ok(tokens)
}

fn quoted(rest: &mut Peekable<CharIndices<'_>>, quote: char) -> Result<(), String> {
    while let Some((_, next)) = rest.next() {
        if next == quote {
            return Ok(());
        }
        if next == '\\' && quote != '`' {
            rest.next();
        }
    }
    Err(format!("no {quote} closes it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(expr: &str) -> Vec<(String, Vec<String>)> {
        let selectors = selectors(expr).unwrap();
        let pairs = selectors.into_iter().map(|s| (s.metric, s.labels));
        pairs.collect()
    }

    #[test]
    fn every_metric_of_a_query_is_found_and_nothing_else() {
        for (expr, want) in [
            ("up", vec![("up", vec![])]),
            ("time() - 1.5e3 > bool 7d", vec![]),
            (
                r#"sum by (a, b) (rate(c_total{d="x y", e=~"f|}g{"}[5m]))"#,
                vec![("c_total", vec!["d", "e"])],
            ),
            (
                "sum(rate(a[5m:1m] offset 1h)) without (b) / on (c) group_left (d) e",
                vec![("a", vec![]), ("e", vec![])],
            ),
            (
                "a{} == 0 unless on (x) b # and c\nor level:d:rate5m",
                vec![("a", vec![]), ("b", vec![]), ("level:d:rate5m", vec![])],
            ),
            (
                r#"histogram_quantile(0.9, a_bucket{b="\"}c"}) and topk(3, -d)"#,
                vec![("a_bucket", vec!["b"]), ("d", vec![])],
            ),
            // A word of the language that is also a function, and functions that are metrics.
            (
                "min by (a) (b) + rate(c[1m]) - rate_total",
                vec![("b", vec![]), ("c", vec![]), ("rate_total", vec![])],
            ),
        ] {
            let want: Vec<_> = want
                .into_iter()
                .map(|(metric, labels)| {
                    let labels = labels.into_iter().map(str::to_owned).collect();
                    (metric.to_owned(), labels)
                })
                .collect();
            assert_eq!(named(expr), want, "{expr}");
        }
    }

    #[test]
    fn what_is_not_closed_or_not_named_is_an_error() {
        for expr in ["a{b=\"c\"", "sum by (a", "a[5m", "{job=\"a\"}", "a{b=\"c}"] {
            assert!(selectors(expr).is_err(), "{expr}");
        }
    }
}
