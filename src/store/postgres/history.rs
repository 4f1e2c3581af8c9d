//! What the history keeps of a change.

use serde_json::Value;

use crate::store::Delta;

/// What was before a change and what is after it, in the shapes of the data file.
pub(super) fn before_and_after(_delta: &Delta) -> (Value, Value) {
    // The one place that names the shapes of the data file: `crate::datafile::history(delta)`.
    (Value::Null, Value::Null)
}
