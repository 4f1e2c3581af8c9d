//! What a connection remembers of its callers.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::gate::Known;

/// So many tokens are remembered by a connection. Most have one, which is replaced from time to
/// time.
const MAX_TOKENS: usize = 8;

/// A token as it was shown. Never printed.
#[derive(Clone)]
pub(super) struct Token(Arc<str>);

impl Token {
    pub(super) fn new(shown: &str) -> Self {
        Self(shown.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Who was known in one era.
#[derive(Debug, Default)]
pub(super) struct Memory {
    era: u64,
    certified: Option<Known>,
    /// By their tokens, the latest last.
    tokens: Vec<Known>,
}

impl Memory {
    /// Whom the connection's certificate proves.
    pub(super) fn certified(&self, era: u64) -> Option<&Known> {
        self.certified.as_ref().filter(|_| self.era == era)
    }

    pub(super) fn certify(&mut self, era: u64, known: Known) {
        self.begin(era);
        self.certified = Some(known);
    }

    /// Whom a token proved, as long as it is good.
    pub(super) fn of_token(&self, era: u64, token: &str, now: SystemTime) -> Option<&Known> {
        let mut tokens = self.tokens.iter().filter(|_| self.era == era);
        let known = tokens.find(|known| known.is_by(token))?;
        Some(known).filter(|known| known.admitted.until.is_some_and(|until| now < until))
    }

    pub(super) fn remember(&mut self, era: u64, token: &str, known: Known) {
        self.begin(era);
        self.tokens.retain(|remembered| !remembered.is_by(token));
        if self.tokens.len() == MAX_TOKENS {
            self.tokens.remove(0);
        }
        self.tokens.push(known);
    }

    fn begin(&mut self, era: u64) {
        if self.era != era {
            *self = Self {
                era,
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::callers::{CallerId, Role};
    use crate::edge::gate::Admitted;

    #[test]
    fn tokens_are_remembered_until_they_expire_and_for_one_era() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let known = |token: &str| Known {
            admitted: Admitted {
                id: CallerId::parse("web").unwrap(),
                until: Some(at(10)),
                token: Some(Token::new(token)),
            },
            role: Some(Role::Check),
        };
        let mut memory = Memory::default();
        memory.remember(1, "a", known("a"));
        assert!(memory.of_token(1, "a", at(9)).is_some());
        assert!(memory.of_token(1, "a", at(10)).is_none(), "it has expired");
        assert!(memory.of_token(2, "a", at(9)).is_none(), "of another era");
        assert!(memory.of_token(1, "b", at(9)).is_none());
        memory.remember(2, "b", known("b"));
        assert!(memory.of_token(2, "a", at(9)).is_none());
        for token in 0..MAX_TOKENS {
            let token = token.to_string();
            memory.remember(2, &token, known(&token));
        }
        assert!(memory.of_token(2, "b", at(9)).is_none(), "the oldest went");
        assert_eq!(memory.tokens.len(), MAX_TOKENS);
        assert!(memory.of_token(2, "7", at(9)).is_some());
        assert!(format!("{memory:?}").contains("Token(…)"));
    }
}
