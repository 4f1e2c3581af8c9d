//! Ids of callers, and their roles.

use std::fmt;
use std::sync::Arc;

/// The most bytes of a caller's id: as much as a SPIFFE id may have, and as the history of changes keeps.
const MAX_CALLER_ID: usize = 2048;

/// An id that a caller has proved to be its own: a SPIFFE id, a DNS name, or the subject of a token.
///
/// 1 to 2,048 bytes of printable text, without spaces at the ends. Compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(Arc<str>);

/// Why a text is no caller's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {MAX_CALLER_ID} bytes, none of them a space or a control character")]
pub struct MalformedCallerId;

impl CallerId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`MalformedCallerId`] where it is empty, too long, or has characters that do not print.
    pub fn parse(text: &str) -> Result<Self, MalformedCallerId> {
        let prints = |c: char| !c.is_whitespace() && !c.is_control();
        if text.is_empty() || text.len() > MAX_CALLER_ID || !text.chars().all(prints) {
            return Err(MalformedCallerId);
        }
        Ok(Self(text.into()))
    }

    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a caller is called where nobody has to prove who calls.
pub const ANONYMOUS: &str = "anonymous";

/// What a caller may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// AuthorizationService.
    Check,
    /// The reads of PolicyService too.
    Read,
    /// The writes of PolicyService too.
    Admin,
}

impl Role {
    /// Its name in the callers file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}
