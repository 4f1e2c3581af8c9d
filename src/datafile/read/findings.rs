//! What is wrong with a data file, and what is merely odd.

use std::fmt;

use crate::store::Problem;

use super::Path;

/// The most problems that are told at once: the rest is likely to be of the same kind.
pub const MAX_PROBLEMS: usize = 20;

/// A data file that cannot be imported: what is wrong with it, by line. Displayed, one problem is
/// one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFileError {
    problems: Vec<Problem>,
    more: bool,
}

impl DataFileError {
    /// What is wrong: one problem at least, [`MAX_PROBLEMS`] at most.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether more was found than is told.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more
    }
}

impl fmt::Display for DataFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n" })?;
            problem.fmt(f)?;
        }
        if self.more {
            write!(
                f,
                "\nthere is more; reading stopped after {MAX_PROBLEMS} problems"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for DataFileError {}

/// Something in a data file that has no effect, and likely should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line, from 1.
    pub line: u64,
    /// The field, as a path: `policies[1].settings[pricing.view]`.
    pub field: String,
    /// Why it has no effect.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.field, self.message)
    }
}

/// Collects problems and warnings while a file is read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    more: bool,
    warnings: Vec<Warning>,
}

impl Findings {
    pub(super) fn problem(&mut self, line: u64, path: &Path<'_>, message: impl Into<String>) {
        if self.problems.len() == MAX_PROBLEMS {
            self.more = true;
            return;
        }
        self.problems.push(Problem {
            line,
            field: path.to_string(),
            message: message.into(),
        });
    }

    pub(super) fn warning(&mut self, line: u64, path: &Path<'_>, message: impl Into<String>) {
        self.warnings.push(Warning {
            line,
            field: path.to_string(),
            message: message.into(),
        });
    }

    /// Whether to read on is pointless: nothing more would be told.
    pub(super) fn is_full(&self) -> bool {
        self.more
    }

    /// The warnings, if there was no problem.
    pub(super) fn into_warnings(mut self) -> Result<Vec<Warning>, DataFileError> {
        if self.problems.is_empty() {
            self.warnings.sort_by_key(|warning| warning.line);
            return Ok(self.warnings);
        }
        self.problems.sort_by_key(|problem| problem.line);
        Err(DataFileError {
            problems: self.problems,
            more: self.more,
        })
    }
}
