//! Where in a file a value stands: `locations[3].offers[0].monthly`.

use std::fmt;

/// A path that borrows the way to it: made for every value that is read, written for the few that
/// are wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    File,
    /// A key that the file's shape has.
    Field(&'a str),
    /// A place in a list, from 0.
    Index(usize),
    /// A key that the file's author chose: an id or a feature.
    Key(&'a str),
}

impl Path<'static> {
    /// The file as a whole.
    pub(super) const FILE: Self = Path {
        parent: None,
        step: Step::File,
    };
}

impl<'a> Path<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        self.then(Step::Field(name))
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub(super) fn key(&'a self, key: &'a str) -> Self {
        self.then(Step::Key(key))
    }

    fn then(&'a self, step: Step<'a>) -> Self {
        Self {
            parent: Some(self),
            step,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self
            .parent
            .filter(|parent| !matches!(parent.step, Step::File));
        if let Some(parent) = parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::File => f.write_str("file"),
            Step::Field(name) => {
                f.write_str(if parent.is_some() { "." } else { "" })?;
                escaped(name, f)
            }
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                f.write_str("[")?;
                escaped(key, f)?;
                f.write_str("]")
            }
        }
    }
}

/// A key may be any text: here it must neither break the line nor fill the screen.
fn escaped(key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const LONGEST: usize = 80;
    for part in key.chars().take(LONGEST).map(char::escape_debug) {
        write!(f, "{part}")?;
    }
    f.write_str(if key.chars().nth(LONGEST).is_some() {
        "…"
    } else {
        ""
    })
}
