//! A YAML or JSON document as a tree in which every node knows its line.
//!
//! Matrix and data files are read into this tree first and checked by hand after: so an error can
//! name not only the line but also the thing that it is about, which a derived reader cannot.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Options, Spanned};

use super::Invalid;
use super::id::quote;

/// How deep a document may be nested: twice what our files are. Each level takes tens of KiB of a
/// stack in a build without optimisation, and a thread has 2 MiB.
const MAX_DEPTH: usize = 16;

/// A document that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct DocumentError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub message: String,
}

/// A value with the line on which it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line, from 1.
    pub line: u64,
    /// What stands there.
    pub value: Value,
}

/// What a node may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`, unquoted.
    Flag(bool),
    /// An unquoted number: nothing in our files is one.
    Number,
    /// Text, quoted or not.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the order of the file; no key twice.
    Map(Vec<(Node, Node)>),
}

/// A parsed document.
#[derive(Debug)]
pub struct Document;

impl Document {
    /// Reads one YAML 1.2 document; JSON is YAML. `on`, `off`, `yes` and `NO` are text.
    ///
    /// # Errors
    /// [`DocumentError`] for what is no YAML, a key used twice in one map, several documents,
    /// nesting deeper than 16, or aliases that expand beyond reason.
    pub fn parse(text: &str) -> Result<Node, DocumentError> {
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| DocumentError {
            line: error.location().map_or(1, |location| location.line()),
            message: describe(&error),
        })
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        no_schema: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        // Files of a million accounts are wanted; what must stay bounded is depth and what
        // aliases multiply.
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_total_comment_bytes: usize::MAX,
            max_aliases: 1_000,
            max_depth: MAX_DEPTH,
        },
    }
}

fn describe(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        return format!("key {} is used twice", quote(key.as_deref().unwrap_or("?")));
    }
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    // "error: line 3 column 1: what": the line is ours to say.
    let text = match text
        .strip_prefix("error: line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, what)) => what,
        None => text,
    };
    text.trim_end_matches('.').to_owned()
}

impl Node {
    /// The text that stands here.
    ///
    /// # Errors
    /// [`Invalid`] for anything else; an unquoted number, `true` or `false` is told to be quoted.
    pub fn text(&self) -> Result<&str, Invalid> {
        match &self.value {
            Value::Text(text) => Ok(text),
            Value::Number => Err(Invalid::new(
                "is a number here; text is accepted: put it in quotes",
            )),
            Value::Flag(flag) => Err(Invalid::new(format!(
                "is the truth value `{flag}` here; text is accepted: put it in quotes"
            ))),
            Value::Null | Value::List(_) | Value::Map(_) => Err(self.unexpected("text")),
        }
    }

    /// The list that stands here; nothing is the empty list.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn list(&self) -> Result<&[Self], Invalid> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Null => Ok(&[]),
            Value::Flag(_) | Value::Number | Value::Text(_) | Value::Map(_) => {
                Err(self.unexpected("a list"))
            }
        }
    }

    /// The map that stands here; nothing is the empty map.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn map(&self) -> Result<&[(Self, Self)], Invalid> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            Value::Null => Ok(&[]),
            Value::Flag(_) | Value::Number | Value::Text(_) | Value::List(_) => {
                Err(self.unexpected("a map of keys and values"))
            }
        }
    }

    fn unexpected(&self, accepted: &str) -> Invalid {
        let found = match &self.value {
            Value::Null => "empty",
            Value::Flag(_) => "a truth value",
            Value::Number => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        Invalid::new(format!("is {found} here; {accepted} is accepted"))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        // Keys are read as text, so that `1:` and `true:` are refused where they stand.
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let line = key.referenced.line();
            map.push((
                Node {
                    line,
                    value: Value::Text(key.value),
                },
                entries.next_value()?,
            ));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_text_and_numbers_are_not() {
        let node = Document::parse("a: [on, off, yes, NO, 2024-01-01, '007', \"true\", \"\\u00e9\"]\nb: [007, 1e3, 0x1F, true, ~]").unwrap();
        let map = node.map().unwrap();
        assert!(
            map[0]
                .1
                .list()
                .unwrap()
                .iter()
                .all(|item| item.text().is_ok())
        );
        assert!(
            map[1]
                .1
                .list()
                .unwrap()
                .iter()
                .all(|item| item.text().is_err())
        );
        assert_eq!(map[1].0.line, 2);
    }

    #[test]
    fn json_is_read_too() {
        let node = Document::parse("{\n\t\"a\": {\"b\": [true, \"x\\ty\"]}}").unwrap();
        let inner = node.map().unwrap()[0].1.map().unwrap();
        assert_eq!(inner[0].1.list().unwrap()[1].text().unwrap(), "x\ty");
        assert_eq!(inner[0].0.line, 2);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line, part) in [
            ("a: x\nb: y\na: z\n", 3, "key `a` is used twice"),
            ("a: [x\n", 1, "bracket"),
            ("a: x\n1: y\n", 2, "quoted"),
            ("a: x\n---\nb: y\n", 3, "multiple"),
        ] {
            let error = Document::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.message.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        for deeper in ["[", "- ", "{a: ", "? ", "- a:\n - "] {
            assert!(
                Document::parse(&deeper.repeat(100_000)).is_err(),
                "{deeper}"
            );
        }
        let deepest = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Document::parse(&deepest(MAX_DEPTH)).is_ok());
        assert!(Document::parse(&deepest(MAX_DEPTH + 1)).is_err());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let before = format!("*a{},", i - 1).repeat(10);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", before.trim_end_matches(',')));
        }
        assert!(Document::parse(&bomb).is_err());
    }
}
