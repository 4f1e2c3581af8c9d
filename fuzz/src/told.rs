//! How an error is told: in one line, and no longer than a screen.

/// No message is longer, whatever was sent.
const LONGEST: usize = 1_000;

/// Panics where `message` is not fit to be read by a person.
pub(crate) fn assert_told(message: &str) {
    assert!(!message.trim().is_empty(), "an error without a message");
    assert!(
        message.len() <= LONGEST,
        "{} bytes: {message}",
        message.len()
    );
    let controls =
        message.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    assert!(!controls, "not one line: {message:?}");
}

/// Panics where a line is none of the text's.
pub(crate) fn assert_line(line: u64, text: &str) {
    // A break of YAML or of Unicode, and the line after the last.
    let breaks = text
        .matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .count();
    let last = u64::try_from(breaks).unwrap_or(u64::MAX).saturating_add(1);
    assert!((1..=last).contains(&line), "line {line} of {last}");
}
