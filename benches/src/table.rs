//! The table of figures: what was measured, what it is to be, and whether it is.

use std::fmt;

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Nothing: it stands beside others, to compare.
    None,
}

/// In what a figure is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Times of something else that was measured in the same run.
    Ratio,
    /// Pieces.
    Count,
    /// Pieces in a second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// 1,048,576 bytes.
    Mebibytes,
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What it is to be.
    pub goal: Goal,
    /// What it is.
    pub figure: f64,
    /// In what both are counted.
    pub unit: Unit,
    /// What the figure is made of, where it is a ratio.
    pub note: String,
}

impl Row {
    /// A figure with a goal.
    pub fn new(what: impl Into<String>, goal: Goal, figure: f64, unit: Unit) -> Self {
        Self {
            what: what.into(),
            goal,
            figure,
            unit,
            note: String::new(),
        }
    }

    /// It, and what it is made of.
    #[must_use]
    pub fn of(self, note: impl Into<String>) -> Self {
        let note = note.into();
        Self { note, ..self }
    }

    /// Whether it is what it is to be; nothing where that is nothing.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(most) => Some(self.figure <= most),
            Goal::AtLeast(least) => Some(self.figure >= least),
            Goal::None => None,
        }
    }
}

impl Unit {
    /// A figure with its unit.
    #[must_use]
    pub fn text(self, figure: f64) -> String {
        match self {
            Self::Nanoseconds => format!("{figure:.1} ns"),
            Self::Microseconds => format!("{figure:.1} µs"),
            Self::Milliseconds => format!("{figure:.1} ms"),
            Self::Ratio if figure < 0.1 => format!("{figure:.4} ×"),
            Self::Ratio => format!("{figure:.2} ×"),
            Self::Count => grouped(figure),
            Self::PerSecond => format!("{} /s", grouped(figure)),
            Self::Bytes => format!("{} B", grouped(figure)),
            Self::Mebibytes => format!("{figure:.0} MiB"),
        }
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let places = digits.chars().rev().enumerate();
    let apart = places.flat_map(|(place, digit)| {
        let comma = (place > 0 && place % 3 == 0 && digit != '-').then_some(',');
        comma.into_iter().chain([digit])
    });
    let reversed: Vec<char> = apart.collect();
    reversed.into_iter().rev().collect()
}

impl fmt::Display for Row {
    /// A row of a table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, unit, note, ..
        } = self;
        let goal = match self.goal {
            Goal::AtMost(most) => format!("at most {}", unit.text(most)),
            Goal::AtLeast(least) => format!("at least {}", unit.text(least)),
            Goal::None => "–".to_owned(),
        };
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "–",
        };
        let figure = unit.text(self.figure);
        write!(f, "| {what} | {goal} | {figure} | {verdict} | {note} |")
    }
}

/// The line above all rows.
pub const HEAD: &str = "| what | goal | figure | verdict | of |\n| --- | --- | --- | --- | --- |";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (figure, want) in [
            (0.0, "0"),
            (999.0, "999"),
            (1_000.4, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1_000.0, "-1,000"),
        ] {
            assert_eq!(grouped(figure), want);
        }
    }

    #[test]
    fn a_goal_is_met_at_its_bound() {
        let is_met = |goal| Row::new("it", goal, 2.0, Unit::Ratio).is_met();
        assert_eq!(is_met(Goal::AtMost(2.0)), Some(true));
        assert_eq!(is_met(Goal::AtMost(1.9)), Some(false));
        assert_eq!(is_met(Goal::AtLeast(2.0)), Some(true));
        assert_eq!(is_met(Goal::AtLeast(2.1)), Some(false));
        assert_eq!(is_met(Goal::None), None);
    }
}
