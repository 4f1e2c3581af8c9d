//! The tables of `docs/operations.md`.

use std::fs;

const OPERATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");

/// The rows of all tables whose first columns have these names: their cells as far as those go.
pub(crate) fn rows(columns: &[&str]) -> Vec<Vec<String>> {
    let text = fs::read_to_string(OPERATIONS).unwrap();
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        let Some(cells) = cells(line) else {
            is_inside = false;
            continue;
        };
        let first: Vec<_> = cells.iter().take(columns.len()).cloned().collect();
        if first == columns {
            is_inside = true;
        } else if is_inside && !first.iter().all(|cell| cell.starts_with("---")) {
            found.push(first);
        }
    }
    assert!(!found.is_empty(), "no table with {columns:?}");
    found
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").map(str::to_owned).collect())
}

#[test]
fn nothing_is_left_to_be_filled_in() {
    let text = fs::read_to_string(OPERATIONS).unwrap();
    for word in ["SIZING", "TODO", "FIXME", "TBD", "XXX"] {
        assert!(!text.contains(word), "{word}");
    }
}

/// What is between backticks in a cell, sorted; a dash is nothing.
pub(crate) fn names(cell: &str) -> Vec<String> {
    let mut names: Vec<_> = cell
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}
