//! Ids of accounts and locations, and product names: short keys compared byte by byte.

use std::borrow::Borrow;
use std::fmt;

use smol_str::SmolStr;

/// A value that does not have the shape that its field asks for. The message speaks of the value
/// and of what is accepted; whoever reports it adds the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    message: String,
}

impl Invalid {
    /// A message of one line without a period: what is wrong, and what is accepted.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// A value for an error message: escaped, in backticks, and cut when it is long.
#[must_use]
pub fn quote(value: &str) -> String {
    const LONGEST: usize = 80;
    let escaped: String = value
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    let cut = if value.chars().nth(LONGEST).is_some() {
        "…"
    } else {
        ""
    };
    format!("`{escaped}{cut}`")
}

const MAX_LENGTH: usize = 64;
const ACCEPTED: &str = "1 to 64 characters of A-Z a-z 0-9 . _ : - are accepted";

/// The bytes that keys may have, looked up instead of compared: every call has keys.
#[expect(clippy::indexing_slicing, reason = "in a constant")]
const IN_KEYS: [bool; 256] = {
    let mut accepted = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        accepted[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
        byte += 1;
    }
    accepted
};

fn is_key(value: &[u8]) -> bool {
    let accepted = |byte: &u8| IN_KEYS.get(usize::from(*byte)) == Some(&true);
    (1..=MAX_LENGTH).contains(&value.len()) && value.iter().all(accepted)
}

fn check(value: &str) -> Result<(), Invalid> {
    if is_key(value.as_bytes()) {
        return Ok(());
    }
    if value.is_empty() {
        return Err(Invalid::new(format!("is empty; {ACCEPTED}")));
    }
    let quoted = quote(value);
    Err(Invalid::new(format!("{quoted} is not an id: {ACCEPTED}")))
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Up to 23 bytes stand in the key itself: a cached account is one piece of memory, and to
        /// read or to clone most keys allocates nothing.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// What is accepted, to be said of a value that is not.
            pub const ACCEPTED: &str = ACCEPTED;

            /// The key as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether these bytes are the text of such a key.
            #[must_use]
            pub fn is_text_of(value: &[u8]) -> bool {
                is_key(value)
            }

            /// Whether `value` has the shape of such a key.
            ///
            /// # Errors
            /// [`Invalid`] where it has not.
            pub fn check(value: &str) -> Result<(), Invalid> {
                check(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(value: String) -> Result<Self, Invalid> {
                check(&value)?;
                Ok(Self(value.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Invalid;

            fn try_from(value: &str) -> Result<Self, Invalid> {
                check(value)?;
                Ok(Self(value.into()))
            }
        }

        impl From<$name> for String {
            fn from(key: $name) -> Self {
                key.0.into()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

key! {
    /// The id of an account; a partner is an account, so this is the id of a partner too.
    AccountId
}
key! {
    /// The id of a location.
    LocationId
}
key! {
    /// What an offer is for: `PORT_10G`, `CROSS_CONNECT`. Unique within its location.
    Product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for good in ["a", "A-1", "svc:eu.1_x", &"x".repeat(64)] {
            assert!(AccountId::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a b", "a/b", "é", "a\0", &"x".repeat(65)] {
            assert!(AccountId::try_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn these_characters_and_no_others_are_accepted() {
        let accepted = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
        for byte in 0..=u8::MAX {
            let is_accepted = accepted.as_bytes().contains(&byte);
            assert_eq!(AccountId::is_text_of(&[byte]), is_accepted, "{byte:#x}");
        }
    }

    #[test]
    fn ids_that_differ_in_case_differ() {
        assert_ne!(
            AccountId::try_from("acme").unwrap(),
            AccountId::try_from("Acme").unwrap()
        );
    }

    #[test]
    fn a_message_escapes_and_cuts_what_it_quotes() {
        let message = AccountId::try_from("a\nb").unwrap_err().to_string();
        assert!(message.starts_with("`a\\nb` is not an id"), "{message}");
        let message = AccountId::try_from("é".repeat(500))
            .unwrap_err()
            .to_string();
        assert!(message.chars().count() < 200, "{message}");
    }
}
