//! From the text of a callers file to its lines.

use std::collections::HashMap;

use crate::domain::{Document, Invalid, Node, Value, quote};

use super::super::role::{CallerId, Role};
use super::super::spiffe;
use super::{Callers, CallersError, MAX_PROBLEMS, Problem, last_segment};

/// The most callers of a file.
pub const MAX_CALLERS: usize = 10_000;

const ROLES: [Role; 3] = [Role::Check, Role::Read, Role::Admin];
const WILDCARDS: &str =
    "a `*` is accepted at the end alone, for a whole segment after a `/` or `:`";

pub(super) fn read(text: &str) -> Result<Callers, CallersError> {
    let document = Document::parse(text);
    let mut reader = Reader::default();
    match &document {
        Ok(document) => reader.file(document),
        Err(error) => reader.problem(error.line, "file", error.message.clone()),
    }
    let mut problems = reader.problems;
    if problems.is_empty() {
        return Ok(reader.callers);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(CallersError { problems })
}

#[derive(Default)]
struct Reader<'d> {
    callers: Callers,
    /// The line of each id.
    seen: HashMap<&'d str, u64>,
    problems: Vec<Problem>,
}

impl<'d> Reader<'d> {
    fn problem(&mut self, line: u64, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            line,
            field: field.into(),
            message: message.into(),
        });
    }

    /// `value`, or a problem at `node`.
    fn told<T>(&mut self, value: Result<T, Invalid>, node: &Node, field: &str) -> Option<T> {
        value
            .inspect_err(|invalid| self.problem(node.line, field, invalid.to_string()))
            .ok()
    }

    fn file(&mut self, document: &'d Node) {
        let Some([callers]) = self.fields(document, "", ["callers"]) else {
            return;
        };
        let Some(callers) = callers else {
            self.problem(document.line, "callers", "is missing");
            return;
        };
        let Some(items) = self.told(callers.list(), callers, "callers") else {
            return;
        };
        if items.is_empty() {
            let message = "is empty: nobody could call; one caller at least is needed";
            self.problem(callers.line, "callers", message);
        }
        if let Some(first_too_many) = items.get(MAX_CALLERS) {
            let message = format!(
                "{} callers; at most {MAX_CALLERS} are accepted",
                items.len()
            );
            self.problem(first_too_many.line, "callers", message);
            return;
        }
        for (index, item) in items.iter().enumerate() {
            if self.problems.len() > MAX_PROBLEMS {
                break;
            }
            self.caller(item, &format!("callers[{index}]"));
        }
    }

    fn caller(&mut self, item: &'d Node, path: &str) {
        let Some([id, roles]) = self.fields(item, path, ["id", "roles"]) else {
            return;
        };
        for (node, name) in [(id, "id"), (roles, "roles")] {
            if node.is_none() {
                self.problem(item.line, format!("{path}.{name}"), "is missing");
            }
        }
        let id = id.and_then(|id| self.id(id, &format!("{path}.id")));
        let role = roles.and_then(|roles| self.roles(roles, &format!("{path}.roles")));
        if let (Some(id), Some(role)) = (id, role) {
            let (map, key) = match id.strip_suffix('*') {
                Some(before) => (&mut self.callers.wildcards, before),
                None => (&mut self.callers.exact, id),
            };
            map.insert(key.into(), role);
        }
    }

    fn id(&mut self, node: &'d Node, field: &str) -> Option<&'d str> {
        let id = self.told(node.text(), node, field)?;
        if let Err(message) = check_id(id) {
            self.problem(node.line, field, format!("{} {message}", quote(id)));
            return None;
        }
        if let Some(first) = self.seen.insert(id, node.line) {
            let message = format!("{} is there twice, first on line {first}", quote(id));
            self.problem(node.line, field, message);
            return None;
        }
        Some(id)
    }

    /// The highest of the roles.
    fn roles(&mut self, node: &'d Node, field: &str) -> Option<Role> {
        let items = self.told(node.list(), node, field)?;
        let names = ROLES.map(Role::name).join(", ");
        if items.is_empty() {
            let message = format!("is empty; one of {names} at least is needed");
            self.problem(node.line, field, message);
        }
        let mut roles = Vec::with_capacity(ROLES.len());
        for (index, item) in items.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let name = self.told(item.text(), item, &field)?;
            match ROLES.into_iter().find(|role| role.name() == name) {
                None => {
                    let message = format!("{} is no role; {names} are accepted", quote(name));
                    self.problem(item.line, field, message);
                    return None;
                }
                Some(role) if roles.contains(&role) => {
                    self.problem(item.line, field, format!("{} is there twice", quote(name)));
                    return None;
                }
                Some(role) => roles.push(role),
            }
        }
        roles.into_iter().max()
    }

    /// What stands behind each of `names` in the map `node`; other keys are problems, and an empty
    /// value is as good as none.
    fn fields<const N: usize>(
        &mut self,
        node: &'d Node,
        path: &str,
        names: [&str; N],
    ) -> Option<[Option<&'d Node>; N]> {
        let here = if path.is_empty() { "file" } else { path };
        let entries = self.told(node.map(), node, here)?;
        let dot = if path.is_empty() { "" } else { "." };
        for (key, _) in entries {
            // The parser reads keys as text alone.
            let name = key.text().unwrap_or_default();
            if !names.contains(&name) {
                let message = format!("is unknown; {} accepted", accepted(&names));
                let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
                self.problem(key.line, format!("{path}{dot}{name}"), message);
            }
        }
        Some(names.map(|name| {
            let is_it = |(key, _): &&(Node, Node)| key.text() == Ok(name);
            let (_, value) = entries.iter().find(is_it)?;
            (!matches!(value.value, Value::Null)).then_some(value)
        }))
    }
}

fn accepted(names: &[&str]) -> String {
    match names {
        [name] => format!("{name} is"),
        names => format!("{} are", names.join(", ")),
    }
}

/// Whether it is an id that a caller can have, or a wildcard for some.
fn check_id(id: &str) -> Result<(), String> {
    CallerId::parse(id).map_err(|malformed| format!("is no id: {malformed}"))?;
    let example = match id.strip_suffix('*') {
        None if id.contains('*') => return Err(format!("is no id: {WILDCARDS}")),
        None => id.to_owned(),
        Some(before) => {
            let whole = matches!(last_segment(before), Some((_, "")));
            let bare = before.bytes().all(|byte| matches!(byte, b'/' | b':'));
            if !whole || bare || before.contains('*') {
                return Err(format!("is no id: {WILDCARDS}"));
            }
            format!("{before}x")
        }
    };
    // A caller's certificate has one of these or is refused, so that another would be in vain.
    if example.starts_with("spiffe:") && spiffe::trust_domain(&example).is_none() {
        return Err(
            "is no SPIFFE id: `spiffe://trust.domain/path` is accepted, the domain of \
                    a-z 0-9 . - _ and the path's segments of A-Z a-z 0-9 . - _"
                .to_owned(),
        );
    }
    Ok(())
}
