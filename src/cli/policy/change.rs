//! One change of the history in a line.

use std::collections::BTreeSet;

use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::proto::v1::PolicyChange;
use crate::proto::v1::change::Subject;

/// The most differences that a line tells.
const MOST: usize = 6;

/// What was changed: `policy`, `account northwind-retail`, `catalogue`, `import`.
pub(super) fn subject(change: &PolicyChange) -> String {
    let subject = change.subject.as_ref();
    match subject.and_then(|change| change.subject.as_ref()) {
        Some(Subject::AccountId(account)) => format!("account {account}"),
        Some(Subject::PartnerId(partner)) => format!("policy of {partner}"),
        Some(Subject::Catalog(_)) => "catalogue".to_owned(),
        Some(Subject::Everything(_)) => "import".to_owned(),
        // Of a newer service.
        None => "?".to_owned(),
    }
}

/// How: `pricing.view off → on; billing_markets +NZ -AU`.
pub(super) fn summary(change: &PolicyChange) -> String {
    let mut told = Vec::new();
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => differences("", before, after, &mut told),
        (None, Some(after)) => {
            told.push("created".to_owned());
            fields("", after, &mut told);
        }
        (Some(before), None) => {
            told.push("deleted".to_owned());
            fields("", before, &mut told);
        }
        (None, None) => {}
    }
    let more = told.len().saturating_sub(MOST);
    told.truncate(MOST);
    let mut line = told.join("; ");
    if more > 0 {
        line.push_str(&format!("; {more} more"));
    }
    line
}

/// The path of a field; the names of groups are left out where what is in them says enough.
fn within(path: &str, key: &str) -> String {
    match (path, key) {
        (path, "settings" | "policies" | "accounts" | "locations") => path.to_owned(),
        ("", key) => key.to_owned(),
        (path, key) => format!("{path} {key}"),
    }
}

/// Each field of what is there on one side alone.
fn fields(path: &str, side: &Struct, told: &mut Vec<String>) {
    for (key, value) in &side.fields {
        let path = within(path, key);
        match &value.kind {
            Some(Kind::StructValue(inner)) => fields(&path, inner, told),
            other => told.push(format!("{path} {}", word(other.as_ref()))),
        }
    }
}

/// Each field that differs.
fn differences(path: &str, before: &Struct, after: &Struct, told: &mut Vec<String>) {
    let keys: BTreeSet<&String> = before.fields.keys().chain(after.fields.keys()).collect();
    for key in keys {
        let path = within(path, key);
        let side = |side: &Struct| side.fields.get(key).and_then(|value| value.kind.clone());
        match (side(before), side(after)) {
            (Some(Kind::StructValue(before)), Some(Kind::StructValue(after))) => {
                differences(&path, &before, &after, told);
            }
            (None, Some(Kind::StructValue(after))) => {
                differences(&path, &Struct::default(), &after, told);
            }
            (Some(Kind::NullValue(_)), Some(Kind::StructValue(_))) => {
                told.push(format!("{path} created"));
            }
            (Some(Kind::StructValue(_)), Some(Kind::NullValue(_))) => {
                told.push(format!("{path} deleted"));
            }
            (Some(Kind::ListValue(before)), Some(Kind::ListValue(after))) => {
                told.push(format!("{path}{}", moves(&before.values, &after.values)));
            }
            (before, after) => {
                let (before, after) = (word(before.as_ref()), word(after.as_ref()));
                told.push(format!("{path} {before} → {after}"));
            }
        }
    }
}

/// ` +NZ -AU`; nothing but an order that changed is `reordered`.
fn moves(before: &[Value], after: &[Value]) -> String {
    let missing = |from: &[Value], other: &[Value], sign: char| -> String {
        let gone = from.iter().filter(|value| !other.contains(value));
        gone.map(|value| format!(" {sign}{}", word(value.kind.as_ref())))
            .collect()
    };
    match missing(after, before, '+') + &missing(before, after, '-') {
        none if none.is_empty() => " reordered".to_owned(),
        moves => moves,
    }
}

/// A value in a word.
fn word(kind: Option<&Kind>) -> String {
    match kind {
        None | Some(Kind::NullValue(_)) => "unset".to_owned(),
        Some(Kind::BoolValue(flag)) => flag.to_string(),
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::ListValue(list)) => {
            let values = list.values.iter().map(|value| word(value.kind.as_ref()));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        Some(Kind::StructValue(_)) => "{…}".to_owned(),
    }
}
