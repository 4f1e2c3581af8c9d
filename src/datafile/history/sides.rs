//! A JSON object as it was before a change and as it is after, built side by side.

use std::io;

use serde_json::{Map, Value};

use super::MAX_HISTORY_BYTES;

/// One JSON object before and after.
#[derive(Default)]
pub(super) struct Sides {
    pub(super) before: Map<String, Value>,
    pub(super) after: Map<String, Value>,
}

impl Sides {
    pub(super) fn put(&mut self, key: impl Into<String>, before: Value, after: Value) {
        let key = key.into();
        self.before.insert(key.clone(), before);
        self.after.insert(key, after);
    }

    /// Puts an object inside, unless it is empty.
    pub(super) fn put_sides(&mut self, key: impl Into<String>, inner: Self) {
        if !inner.before.is_empty() {
            self.put(key, Value::Object(inner.before), Value::Object(inner.after));
        }
    }

    /// Whether both together are short enough to be kept.
    pub(super) fn fit(&self) -> bool {
        let mut room = Room(MAX_HISTORY_BYTES);
        [&self.before, &self.after]
            .into_iter()
            .all(|side| serde_json::to_writer(&mut room, side).is_ok())
    }
}

impl From<Sides> for (Value, Value) {
    fn from(sides: Sides) -> Self {
        (Value::Object(sides.before), Value::Object(sides.after))
    }
}

/// Counts what is written, and fails when there is too much of it.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The entries that differ; null where one side has none.
pub(super) fn differing(mut before: Map<String, Value>, mut after: Map<String, Value>) -> Sides {
    let same: Vec<String> = before
        .iter()
        .filter(|(key, value)| after.get(*key) == Some(value))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &same {
        before.remove(key);
        after.remove(key);
    }
    for key in before.keys() {
        after.entry(key).or_insert(Value::Null);
    }
    for key in after.keys() {
        before.entry(key).or_insert(Value::Null);
    }
    Sides { before, after }
}
