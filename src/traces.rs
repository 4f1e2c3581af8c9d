//! What those need who follow a request through many services: the id that its caller gave it, and
//! spans.
//!
//! Spans have a target of their own, which no log has and the exporter of traces alone listens to:
//! where there is none, making a span costs a look at a flag.

use std::fmt;

use tracing::Span;

/// What spans are recorded under.
pub const TARGET: &str = "portcullis::trace";

/// The id that a caller gave its request: 1 to 128 characters of ASCII that can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Box<str>);

/// It is none that a log line should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit;

impl RequestId {
    const LONGEST: usize = 128;

    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for RequestId {
    type Error = Unfit;

    fn try_from(id: &[u8]) -> Result<Self, Unfit> {
        let fits = (1..=Self::LONGEST).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(id).ok().filter(|_| fits);
        text.map(|text| Self(text.into())).ok_or(Unfit)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step of the call that is traced here; none where none is. `name` is what it is called.
#[must_use]
pub fn step(name: &'static str) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::info_span!(target: TARGET, "step", otel.name = name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_can_be_seen() {
        let longest = "x".repeat(RequestId::LONGEST);
        for id in ["0", "8f14e45f-ceea-467f-a8f5-1c2e", &longest] {
            assert_eq!(RequestId::try_from(id.as_bytes()).unwrap().as_str(), id);
        }
        for id in ["", "a b", "a\n", "\u{e9}", &format!("{longest}x")] {
            assert_eq!(RequestId::try_from(id.as_bytes()), Err(Unfit), "{id:?}");
        }
    }
}
