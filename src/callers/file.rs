//! The callers file: which caller has which role.
//!
//! An id is compared byte by byte. One that ends in `/*` or `:*` stands for every id with exactly
//! one segment in that place, which has neither a `/` nor a `:` in it, whichever of them stands
//! before: so a line never admits more than it looks like.

mod read;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::reload::{Reloaded, Watch};

use super::role::Role;

pub use read::MAX_CALLERS;

/// The most bytes of a callers file.
const MAX_BYTES: usize = 8 << 20;
/// The most problems that are told at once: the rest is likely to be of the same kind.
const MAX_PROBLEMS: usize = 20;

/// Who may do what.
#[derive(Debug, Default)]
pub struct Callers {
    exact: HashMap<Box<str>, Role>,
    /// By what stands before the `*`, the `/` or `:` included.
    wildcards: HashMap<Box<str>, Role>,
}

impl Callers {
    /// Reads a callers file: YAML, or JSON, which is YAML.
    ///
    /// A file without callers is refused: it is more likely cut off than meant.
    ///
    /// # Errors
    /// [`CallersError`]: what is wrong, by line and field.
    pub fn parse(text: &str) -> Result<Self, CallersError> {
        read::read(text)
    }

    /// Reads the callers file at `path`, and again when it changes.
    ///
    /// # Errors
    /// Where it cannot be read, or is refused.
    pub fn load(path: &Path) -> anyhow::Result<(Arc<Reloaded<Self>>, Watch<Self>)> {
        Reloaded::load("the callers file", vec![path.to_owned()], |contents| {
            let bytes = contents.concat();
            ensure!(bytes.len() <= MAX_BYTES, "more than {MAX_BYTES} bytes");
            let text = std::str::from_utf8(&bytes).context("not UTF-8")?;
            Ok(Self::parse(text)?)
        })
    }

    /// The highest role of the caller `id`; none where no line is about it.
    #[must_use]
    pub fn role(&self, id: &str) -> Option<Role> {
        let exact = self.exact.get(id);
        // The segment has neither separator, so one prefix alone can match.
        let wildcard = last_segment(id)
            .filter(|(_, segment)| !segment.is_empty())
            .and_then(|(before, _)| self.wildcards.get(before));
        exact.max(wildcard).copied()
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcards.len()
    }

    /// Whether there is no line, as only the default has it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What stands up to the last `/` or `:`, that included, and what stands after it.
fn last_segment(id: &str) -> Option<(&str, &str)> {
    id.rfind(['/', ':']).map(|at| id.split_at(at + 1))
}

/// A callers file that cannot be used: what is wrong with it. Displayed, one problem is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallersError {
    /// In the order of the file; one at least.
    problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    line: u64,
    field: String,
    message: String,
}

impl fmt::Display for CallersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MAX_PROBLEMS).enumerate() {
            let Problem {
                line,
                field,
                message,
            } = problem;
            f.write_str(if index == 0 { "" } else { "\n" })?;
            write!(f, "line {line}: {field}: {message}")?;
        }
        if self.problems.len() > MAX_PROBLEMS {
            write!(f, "\nthere is more; {MAX_PROBLEMS} problems are told")?;
        }
        Ok(())
    }
}

impl std::error::Error for CallersError {}

#[cfg(test)]
mod tests;
