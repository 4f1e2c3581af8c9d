//! A map with known keys, and lists of such maps.

use std::collections::HashMap;

use crate::domain::{Invalid, Node, Value};
use crate::store::Line;

use super::{Findings, Path};

/// A map of the file whose keys are all known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'d, 'p> {
    /// The line on which the map begins.
    pub(super) line: u64,
    /// Where it stands.
    pub(super) path: Path<'p>,
    entries: &'d [(Node, Node)],
}

impl<'d, 'p> Fields<'d, 'p> {
    /// The map at `node`. An unknown key is a problem, and the known ones are read all the same.
    pub(super) fn read(
        node: &'d Node,
        path: Path<'p>,
        accepted: &[&str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let entries = match node.map() {
            Ok(entries) => entries,
            Err(invalid) => {
                findings.problem(node.line, &path, invalid.to_string());
                return None;
            }
        };
        for (key, _) in entries {
            // The parser reads keys as text alone.
            let name = key.text().unwrap_or_default();
            if !accepted.contains(&name) {
                let message = format!("is unknown; {} are accepted", accepted.join(", "));
                findings.problem(key.line, &path.field(name), message);
            }
        }
        Some(Self {
            line: node.line,
            path,
            entries,
        })
    }

    /// Whether there is no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What stands behind `key`, with the key's line.
    fn entry(&self, key: &str) -> Option<(u64, &'d Node)> {
        let is_it = |name: &Node| matches!(&name.value, Value::Text(text) if text == key);
        let (name, node) = self.entries.iter().find(|(name, _)| is_it(name))?;
        (!matches!(node.value, Value::Null)).then_some((name.line, node))
    }

    /// The line of `key`, or else of the map.
    pub(super) fn line_of(&self, key: &str) -> u64 {
        self.entry(key).map_or(self.line, |(line, _)| line)
    }

    /// Whether something stands behind `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The text behind `key`, read by `parse`; `None` with a problem where it is missing or wrong.
    pub(super) fn required<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        parse: impl FnOnce(&'d str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let value = self.optional(key, findings, parse)?;
        if value.is_none() {
            findings.problem(self.line, &self.path.field(key), "is missing");
        }
        value
    }

    /// The text behind `key`, read by `parse`; `None` with a problem where it is wrong.
    #[expect(
        clippy::option_option,
        reason = "wrong, absent and there are three things"
    )]
    pub(super) fn optional<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        parse: impl FnOnce(&'d str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let Some((_, node)) = self.entry(key) else {
            return Some(None);
        };
        match node.text().and_then(parse) {
            Ok(value) => Some(Some(value)),
            Err(invalid) => {
                findings.problem(node.line, &self.path.field(key), invalid.to_string());
                None
            }
        }
    }

    /// As [`Fields::required`], for an id that `seen` must not have seen.
    pub(super) fn unique<T>(
        &self,
        key: &str,
        seen: &mut Seen<'d>,
        findings: &mut Findings,
        parse: impl FnOnce(&'d str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let (text, id) = self.required(key, findings, |text| parse(text).map(|id| (text, id)))?;
        seen.note(text, self.line_of(key), &self.path.field(key), findings);
        Some(id)
    }

    /// The list behind `key`, empty where it is absent; `None` with a problem where it is none.
    pub(super) fn list(&self, key: &str, findings: &mut Findings) -> Option<&'d [Node]> {
        self.behind(key, findings, Node::list)
    }

    /// The map behind `key`, empty where it is absent; `None` with a problem where it is none.
    pub(super) fn map(&self, key: &str, findings: &mut Findings) -> Option<&'d [(Node, Node)]> {
        self.behind(key, findings, Node::map)
    }

    fn behind<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        read: impl FnOnce(&'d Node) -> Result<&'d [T], Invalid>,
    ) -> Option<&'d [T]> {
        let Some((_, node)) = self.entry(key) else {
            return Some(&[]);
        };
        read(node)
            .inspect_err(|invalid| {
                findings.problem(node.line, &self.path.field(key), invalid.to_string());
            })
            .ok()
    }
}

/// Reads each map of a list. What is wrong is left out, for then the file is refused.
pub(super) fn items<'d, T>(
    nodes: &'d [Node],
    path: &Path<'_>,
    accepted: &[&str],
    findings: &mut Findings,
    mut read: impl FnMut(&Fields<'d, '_>, &mut Findings) -> Option<T>,
) -> Vec<Line<T>> {
    let mut values = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if findings.is_full() {
            break;
        }
        let value = Fields::read(node, path.index(index), accepted, findings)
            .and_then(|fields| read(&fields, findings));
        values.extend(value.map(|value| Line {
            line: node.line,
            value,
        }));
    }
    values
}

/// The lines on which ids were first seen.
#[derive(Debug, Default)]
pub(super) struct Seen<'a>(HashMap<&'a str, u64>);

impl<'a> Seen<'a> {
    /// Notes an id; one that was there before is a problem.
    pub(super) fn note(
        &mut self,
        id: &'a str,
        line: u64,
        path: &Path<'_>,
        findings: &mut Findings,
    ) {
        if let Some(first) = self.0.get(id) {
            findings.problem(
                line,
                path,
                format!("`{id}` is there twice, first on line {first}"),
            );
        } else {
            self.0.insert(id, line);
        }
    }
}
