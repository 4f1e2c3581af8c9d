//! Shapes as text, in YAML or JSON.
//!
//! A writer of our own and not a serializer: what is written is read by people, by diffs and by
//! other YAML readers, so layout and quoting are part of the format and must not move with a
//! dependency. It is small because shapes hold text alone.

use std::fmt::Write as _;

use super::shape::{Entries, Shape};

/// The notation of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON, one item a line.
    Json,
}

/// Writes `shape` on one line.
pub(super) fn flow(shape: &Shape<'_>, format: Format, out: &mut String) {
    match (shape, format) {
        (Shape::Text(text), _) => scalar(text, format, out),
        (Shape::List(items), _) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                flow(item, format, out);
            }
            out.push(']');
        }
        (Shape::Map(entries), _) if entries.is_empty() => out.push_str("{}"),
        (Shape::Map(entries), Format::Yaml) => map(entries, format, ["{ ", " }"], out),
        (Shape::Map(entries), Format::Json) => map(entries, format, ["{", "}"], out),
    }
}

fn map(entries: &Entries<'_>, format: Format, [open, close]: [&str; 2], out: &mut String) {
    out.push_str(open);
    for (index, (key, value)) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        scalar(key, format, out);
        out.push_str(": ");
        flow(value, format, out);
    }
    out.push_str(close);
}

/// Writes a map over several YAML lines. The first goes on where `out` ends, the others begin
/// with `indent`.
pub(super) fn block(entries: &Entries<'_>, indent: &str, out: &mut String) {
    for (index, (key, value)) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { indent });
        scalar(key, Format::Yaml, out);
        out.push(':');
        match value {
            Shape::List(items) if items.iter().any(is_map) => {
                for item in items {
                    let _ = write!(out, "\n{indent}  - ");
                    flow(item, Format::Yaml, out);
                }
            }
            Shape::Map(inner) if inner.iter().any(|(_, value)| is_map(value)) => {
                for (key, value) in inner {
                    let _ = write!(out, "\n{indent}  ");
                    scalar(key, Format::Yaml, out);
                    out.push_str(": ");
                    flow(value, Format::Yaml, out);
                }
            }
            Shape::Text(_) | Shape::List(_) | Shape::Map(_) => {
                out.push(' ');
                flow(value, Format::Yaml, out);
            }
        }
        out.push('\n');
    }
}

fn is_map(shape: &Shape<'_>) -> bool {
    matches!(shape, Shape::Map(_))
}

fn scalar(text: &str, format: Format, out: &mut String) {
    if format == Format::Yaml && is_plain(text) {
        out.push_str(text);
    } else {
        quoted(text, out);
    }
}

/// Whether every YAML 1.2 reader takes `text` for itself without quotes.
///
/// Strict rather than exact: what begins with a digit may be a number and is quoted, and so is
/// what holds any character that means something to YAML somewhere. `on`, `off` and `NO` are text
/// in YAML 1.2 and stay plain.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 3] = ["null", "true", "false"];
    let starts = text.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let accepted = |char: char| char.is_alphanumeric() || " _-./()&+'".contains(char);
    starts
        && text.chars().all(accepted)
        && !text.ends_with(' ')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Writes text in double quotes, with escapes that are JSON's and YAML's alike.
fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // What YAML does not count as printable, and its line breaks beyond ASCII. All of
            // these have four digits.
            char if char.is_control()
                || matches!(
                    char,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datafile::generated;
    use crate::domain::Document;

    fn yaml(text: &str) -> String {
        let mut out = String::new();
        scalar(text, Format::Yaml, &mut out);
        out
    }

    #[test]
    fn words_stay_plain() {
        for text in [
            "on",
            "off",
            "NO",
            "yes",
            "pricing.view",
            "Hong Kong",
            "São Paulo",
            "A&B (East)",
            "_x",
            "nan",
        ] {
            assert_eq!(yaml(text), text);
        }
    }

    #[test]
    fn what_could_be_something_else_is_quoted() {
        for text in [
            "", " ", "a ", " a", "007", "1e3", "0x1F", "1_000", "151fs", ".inf", "-.inf", ".nan",
            "-1", "+1", "true", "False", "NULL", "~", "a: b", "svc:eu", "a #b", "#", "- a", "-",
            "---", "...", "? a", "[a", "a]", "{", "a, b", "&a", "*a", "!a", "|", ">", "%a", "@a",
            "`a", "'a", "\"a", "a\\", "<<", "=", "٣",
        ] {
            assert_eq!(
                yaml(text),
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
                "{text:?}"
            );
        }
        assert_eq!(
            yaml("a\n\t\u{7}\u{7f}\u{85}\u{2028}\u{feff}é😀"),
            "\"a\\n\\t\\u0007\\u007f\\u0085\\u2028\\ufeffé😀\""
        );
    }

    fn survives(text: &str) -> Result<(), TestCaseError> {
        for (format, wrap) in [
            (Format::Yaml, false),
            (Format::Yaml, true),
            (Format::Json, true),
        ] {
            let shape = Shape::Text(text.into());
            let map = Shape::Map(vec![(
                text.into(),
                Shape::List(vec![shape.clone(), shape.clone()]),
            )]);
            let mut out = String::new();
            flow(if wrap { &map } else { &shape }, format, &mut out);
            let node = Document::parse(&out)
                .map_err(|error| TestCaseError::fail(format!("{out}: {error}")))?;
            if !wrap {
                prop_assert_eq!(node.text().ok(), Some(text), "{}", out);
                continue;
            }
            let (key, items) = &node.map().unwrap()[0];
            prop_assert_eq!(key.text().ok(), Some(text), "{}", out);
            for item in items.list().unwrap() {
                prop_assert_eq!(item.text().ok(), Some(text), "{}", out);
            }
            if format == Format::Json {
                let value: serde_json::Value = serde_json::from_str(&out).unwrap();
                prop_assert_eq!(value, map.to_json());
            }
        }
        Ok(())
    }

    #[test]
    fn every_character_but_nul_survives() {
        for char in (1..=0x2_ffff).filter_map(char::from_u32) {
            // Each at the start, inside and at the end; a plane and a half beyond the first is
            // no different from the rest.
            if u32::from(char) < 0x3100
                || u32::from(char) > 0xd000 && u32::from(char) < 0x1_0010
                || u32::from(char) & 0xff > 0xfc
            {
                survives(&format!("{char}a{char}b{char}")).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_text_survives(text in generated::text()) {
            survives(&text)?;
        }
    }
}
