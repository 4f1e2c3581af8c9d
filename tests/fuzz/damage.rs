//! Bytes to try: any, and valid examples with damage.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What parsers stumble over.
const PIECES: [&str; 32] = [
    "\0",
    "\n",
    "\r",
    "\t",
    " ",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{202e}",
    "é",
    "😀",
    "'",
    "\"",
    "\\",
    "%",
    "%00",
    "%ff",
    "&",
    "*a",
    "<<: *a",
    "!!binary",
    "---\n",
    "...",
    "? ",
    ": ",
    "- ",
    "{",
    "]",
    "@",
    "99999999999999999999",
    "-0",
    "~",
];

#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, &'static str),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Move(Index, Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 1..=255_u8).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        4 => (at(), select(PIECES.to_vec())).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        1 => at().prop_map(Damage::Cut),
        2 => (at(), 1..20_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), 1..40_usize, 1..5_usize).prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
        2 => (at(), at(), 1..40_usize).prop_map(|(from, to, length)| Damage::Move(from, to, length)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |place: &Index| place.index(bytes.len() + 1);
        let piece = |from: usize, length: usize| {
            let end = bytes.len().min(from + length);
            bytes[from..end].to_vec()
        };
        match self {
            Self::Flip(place, mask) => {
                let at = at(place);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Self::Insert(place, piece) => {
                let at = at(place);
                bytes.splice(at..at, piece.bytes());
            }
            Self::Cut(place) => bytes.truncate(at(place)),
            Self::Remove(place, length) => {
                let at = at(place);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
            Self::Repeat(place, length, times) => {
                let at = at(place);
                let piece = piece(at, *length).repeat(*times);
                bytes.splice(at..at, piece);
            }
            Self::Move(from, to, length) => {
                let (from, to) = (at(from), at(to));
                let piece = piece(from, *length);
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// One of `examples`, or the beginning of one and the end of another, with up to five damages.
pub(crate) fn damaged(examples: &[&str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let examples: Vec<Vec<u8>> = examples
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    let splice = (any::<Index>(), any::<Index>());
    let whole = (
        select(examples.clone()),
        select(examples),
        proptest::option::weighted(0.2, splice),
    );
    (whole, vec(damage(), 0..5)).prop_map(|((mut bytes, other, splice), damages)| {
        if let Some((at, from)) = splice {
            bytes.truncate(at.index(bytes.len() + 1));
            bytes.extend(&other[from.index(other.len() + 1)..]);
        }
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
}

/// Any bytes, often text.
pub(crate) fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..100),
        ".{0,60}".prop_map(String::into_bytes),
        vec(select(PIECES.to_vec()), 0..20).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

/// The same after a byte by which a target chooses.
pub(crate) fn with_choice(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), bytes).prop_map(|(choice, mut bytes)| {
        bytes.insert(0, choice);
        bytes
    })
}
