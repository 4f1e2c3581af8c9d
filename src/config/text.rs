//! Text from outside in messages: escaped, bounded, and without secrets.

use std::borrow::Cow;

const LONGEST: usize = 120;

/// A value for a message: in backticks, on one line, cut where it is long. What looks like a URL
/// with a password or a query, a connection string or a token is not shown: it lands in the wrong flag sooner or later.
#[must_use]
pub fn shown(value: &str) -> String {
    if may_be_secret(value) {
        return "a value that is not shown, for it may hold a password".to_owned();
    }
    let cut = if value.chars().nth(LONGEST).is_some() {
        "…"
    } else {
        ""
    };
    let start: String = value.chars().take(LONGEST).collect();
    format!("`{}{cut}`", escaped(&start))
}

fn may_be_secret(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_token = value.contains("eyJ") && value.contains('.');
    is_token
        || (lower.contains("://") && lower.contains(['@', '?']))
        || lower.contains("postgres:")
        || lower.contains("postgresql:")
        || lower.contains("password")
}

/// Text with control characters, and those that turn the direction of writing around, escaped: a
/// name from a server cannot move the cursor or pretend to be another.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if hostile(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_are_escaped_and_others_stay() {
        for (text, want) in [
            ("Zürich 東京", "Zürich 東京"),
            ("a\u{1b}[2Jb\n", r"a\u{1b}[2Jb\n"),
            ("\u{202e}evil", r"\u{202e}evil"),
        ] {
            assert_eq!(escaped(text), want);
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for value in [
            "postgres://user:hunter2@db/portcullis",
            "POSTGRES:hunter2",
            "host=db password=hunter2",
            "https://user:hunter2@db",
            "http://issuer.example/keys?token=hunter2",
            "eyJhbGciOiJFUzI1NiJ9.hunter2.c2ln",
        ] {
            assert!(!shown(value).contains("hunter2"), "{value}");
        }
        assert_eq!(shown("5"), "`5`");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shown(&"é".repeat(500)).chars().count(), LONGEST + 3);
    }
}
