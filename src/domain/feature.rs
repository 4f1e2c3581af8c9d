//! Features: their keys, and compact sets of them.

use std::borrow::Borrow;
use std::{fmt, iter};

use super::id::{Invalid, quote};

/// The most features that a matrix may have; an index is one byte.
pub const MAX_FEATURES: usize = 256;

/// The key of a feature, `area.action`: `^[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureKey(Box<str>);

impl FeatureKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for FeatureKey {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        let segment = |part: &str| {
            part.len() <= 32
                && part.starts_with(|first: char| first.is_ascii_lowercase())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        match value.split_once('.') {
            Some((area, action)) if segment(area) && segment(action) => Ok(Self(value.into())),
            Some(_) | None => Err(Invalid::new(format!(
                "{} is not a feature key: `area.action` is accepted, each part a lower-case letter \
                 and up to 31 more of a-z 0-9 _",
                quote(value)
            ))),
        }
    }
}

impl Borrow<str> for FeatureKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FeatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a feature in its matrix, whose rows are sorted by key. Only a matrix makes one,
/// and it means nothing to another matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureIndex(pub(super) u8);

/// A set of the features of one matrix: one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FeatureSet {
    words: [u64; MAX_FEATURES / 64],
}

impl FeatureSet {
    /// The set without a feature.
    pub const EMPTY: Self = Self {
        words: [0; MAX_FEATURES / 64],
    };

    fn word_and_bit(feature: FeatureIndex) -> (usize, u64) {
        (usize::from(feature.0 >> 6), 1 << (feature.0 & 63))
    }

    /// Adds `feature`.
    pub fn insert(&mut self, feature: FeatureIndex) {
        let (word, bit) = Self::word_and_bit(feature);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// Takes `feature` out.
    pub fn remove(&mut self, feature: FeatureIndex) {
        let (word, bit) = Self::word_and_bit(feature);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Adds every feature of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        for (mine, theirs) in self.words.iter_mut().zip(other.words) {
            *mine |= theirs;
        }
    }

    /// Whether no feature is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Whether `feature` is in the set.
    #[must_use]
    pub fn contains(&self, feature: FeatureIndex) -> bool {
        let (word, bit) = Self::word_and_bit(feature);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The features of the set, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = FeatureIndex> + use<> {
        // From bit to bit: nearly every set of a decision is empty or has one.
        let firsts = (0..=u8::MAX).step_by(64).zip(self.words);
        firsts.flat_map(|(first, word)| bits(word).map(move |bit| FeatureIndex(first + bit)))
    }
}

/// The places of the bits that are set, from the lowest on; all are below 64.
fn bits(word: u64) -> impl Iterator<Item = u8> {
    let without_lowest = |word: &u64| Some(word & word.wrapping_sub(1)).filter(|rest| *rest != 0);
    let rests = iter::successors(Some(word).filter(|word| *word != 0), without_lowest);
    rests.filter_map(|word| u8::try_from(word.trailing_zeros()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in [
            "a.b",
            "pricing.view",
            "a1_.b2_",
            &format!("{0}.{0}", "x".repeat(32)),
        ] {
            assert!(FeatureKey::try_from(good).is_ok(), "{good}");
        }
        let long = format!("{}.x", "x".repeat(33));
        for bad in [
            "", ".", "a", "a.", ".b", "a.b.c", "A.b", "1a.b", "a.1b", "a-b.c", "a. b", &long,
        ] {
            assert!(FeatureKey::try_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_set_holds_every_index() {
        for index in 0..=u8::MAX {
            let mut set = FeatureSet::EMPTY;
            assert_eq!(set, FeatureSet::EMPTY);
            set.insert(FeatureIndex(index));
            assert_eq!(set.iter().collect::<Vec<_>>(), [FeatureIndex(index)]);
            set.remove(FeatureIndex(index));
            assert_eq!(set, FeatureSet::EMPTY);
        }
    }
}
