//! Free text: names and the like.

use super::id::{Invalid, quote};

/// The longest name of an account, a location or a market, in characters.
pub const MAX_NAME: usize = 200;
/// The longest metro, in characters; a country has the same bound.
pub const MAX_METRO: usize = 100;

/// Text as people write it: at most so many characters, and no NUL (Postgres stores none).
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl Text {
    /// Checks `value` against a limit of `max` characters.
    ///
    /// # Errors
    /// [`Invalid`] where it is longer or holds a NUL.
    pub fn check(value: &str, max: usize) -> Result<(), Invalid> {
        // Bytes bound characters from above, so that short text is not counted.
        if value.len() > max && value.chars().count() > max {
            return Err(Invalid::new(format!(
                "is {} characters long; at most {max} are accepted",
                value.chars().count()
            )));
        }
        if value.contains('\0') {
            return Err(Invalid::new(format!(
                "{} holds a NUL character",
                quote(value)
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_counted_in_characters() {
        assert!(Text::check(&"é".repeat(MAX_NAME), MAX_NAME).is_ok());
        assert!(Text::check(&"é".repeat(MAX_NAME + 1), MAX_NAME).is_err());
        assert!(Text::check("a\0b", MAX_NAME).is_err());
        assert!(Text::check("", MAX_NAME).is_ok());
    }
}
