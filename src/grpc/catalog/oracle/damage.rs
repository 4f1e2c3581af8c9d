//! Messages as trees of fields, and what one can do to them on the wire.

use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::{decode_varint, encode_varint};

use crate::proto::v1;

/// A field: its number, its value, and how many bytes longer its tag and its number or length are
/// than they need to be.
#[derive(Debug, Clone)]
pub(super) struct Field {
    number: u32,
    value: Value,
    longer: [usize; 2],
}

#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Fixed32,
    Fixed64,
    Text(Vec<u8>),
    Message(Vec<Field>),
    Group(Vec<Field>),
}

/// Which fields of which message are messages: the numbers from the request on.
fn is_message(path: &[u32]) -> bool {
    matches!(
        path,
        [2 | 3 | 5] | [3, 1] | [3, 1, 7] | [3, 1, 7, 2] | [3, 1, 7, 2, 1 | 2]
    )
}

/// The tree of a request that prost wrote.
pub(super) fn tree(request: &v1::FilterCatalogRequest) -> Vec<Field> {
    fields(&request.encode_to_vec(), &mut Vec::new())
}

fn fields(mut bytes: &[u8], path: &mut Vec<u32>) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = decode_varint(&mut bytes).unwrap();
        let number = u32::try_from(tag >> 3).unwrap();
        path.push(number);
        let first = decode_varint(&mut bytes).unwrap();
        let value = match tag & 7 {
            0 => Value::Number(first),
            _ => {
                let (item, rest) = bytes.split_at(usize::try_from(first).unwrap());
                bytes = rest;
                match is_message(path) {
                    true => Value::Message(self::fields(item, path)),
                    false => Value::Text(item.to_vec()),
                }
            }
        };
        path.pop();
        fields.push(Field::new(number, value));
    }
    fields
}

impl Field {
    fn new(number: u32, value: Value) -> Self {
        let longer = [0; 2];
        Self {
            number,
            value,
            longer,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let kind = match &self.value {
            Value::Number(_) => 0,
            Value::Fixed64 => 1,
            Value::Text(_) | Value::Message(_) => 2,
            Value::Group(_) => 3,
            Value::Fixed32 => 5,
        };
        let [tag, length] = self.longer;
        varint(u64::from(self.number << 3 | kind), tag, out);
        match &self.value {
            Value::Number(number) => varint(*number, length, out),
            Value::Fixed32 => out.extend([7; 4]),
            Value::Fixed64 => out.extend([7; 8]),
            Value::Text(text) => {
                varint(text.len() as u64, length, out);
                out.extend(text);
            }
            Value::Message(fields) => {
                let bytes = bytes(fields);
                varint(bytes.len() as u64, length, out);
                out.extend(bytes);
            }
            Value::Group(fields) => {
                out.extend(bytes(fields));
                varint(u64::from(self.number << 3 | 4), 0, out);
            }
        }
    }
}

/// A message on the wire.
pub(super) fn bytes(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|field| field.write(&mut out));
    out
}

fn varint(value: u64, longer: usize, out: &mut Vec<u8>) {
    encode_varint(value, out);
    for _ in 0..longer {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
}

/// What is done to one message of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    /// A field stands there twice.
    Twice,
    /// It stands behind its neighbour.
    Later,
    /// It is gone.
    Gone,
    /// It has the value that nobody writes, or of which little is left.
    Default,
    /// Its tag is longer than need be.
    LongTag,
    /// Its number or length is.
    LongValue,
    /// It is in two parts, each of them the same field.
    Split,
    /// It is of another kind.
    OtherKind,
    /// It is within a group.
    Grouped,
    /// It has another number.
    OtherNumber,
    /// Its number is as large as can be, or negative.
    Large,
    /// It is no UTF-8, or holds a NUL.
    NoText,
    /// A field that nobody declared stands before it.
    Unknown,
    /// The same, of another kind.
    UnknownFixed,
    /// The same, a group.
    UnknownGroup,
}

impl Damage {
    pub(super) const ALL: [Self; 15] = [
        Self::Twice,
        Self::Later,
        Self::Gone,
        Self::Default,
        Self::LongTag,
        Self::LongValue,
        Self::Split,
        Self::OtherKind,
        Self::Grouped,
        Self::OtherNumber,
        Self::Large,
        Self::NoText,
        Self::Unknown,
        Self::UnknownFixed,
        Self::UnknownGroup,
    ];

    pub(super) fn any() -> impl Strategy<Value = Self> {
        proptest::sample::select(Self::ALL.to_vec())
    }

    /// Does it to the field at `at` of the message at `message`, both counted round and round.
    pub(super) fn inflict(self, tree: &mut Vec<Field>, message: usize, at: usize) {
        let count = count(tree);
        let fields = find(tree, &mut (message % count)).unwrap();
        if fields.is_empty() {
            fields.push(Field::new(15, Value::Number(1)));
        }
        let at = at % fields.len();
        let unknown = |value| Field::new(9, value);
        let field = &mut fields[at];
        match self {
            Self::Twice => fields.insert(at, fields[at].clone()),
            Self::Later => {
                let field = fields.remove(at);
                fields.insert((at + 1).min(fields.len()), field);
            }
            Self::Gone => drop(fields.remove(at)),
            Self::Default => match &mut field.value {
                Value::Number(number) => *number = 0,
                Value::Text(text) => text.clear(),
                Value::Message(fields) | Value::Group(fields) => fields.clear(),
                Value::Fixed32 | Value::Fixed64 => {}
            },
            Self::LongTag => field.longer[0] += 1,
            Self::LongValue => field.longer[1] += 1 + message % 9,
            Self::Split => {
                if let Value::Message(parts) = &mut field.value {
                    let rest = parts.split_off(parts.len() / 2);
                    let rest = Field::new(field.number, Value::Message(rest));
                    fields.insert(at + 1, rest);
                }
            }
            Self::OtherKind => field.value = Value::Fixed32,
            Self::Grouped => {
                let inner = field.clone();
                field.value = Value::Group(vec![inner]);
                field.number = 9 + u32::try_from(message % 3).unwrap();
            }
            Self::OtherNumber => field.number = field.number % 7 + 1,
            Self::Large => {
                if let Value::Number(number) = &mut field.value {
                    *number = [u64::MAX, 1 << 32, 1 << 31, 1_000_000_000][message % 4];
                }
            }
            Self::NoText => {
                if let Value::Text(text) = &mut field.value {
                    let odd: [&[u8]; 4] = [b"\xff", b"\0", b"\xed\xa0\x80", b"\xc3"];
                    text.extend(odd[message % 4]);
                }
            }
            Self::Unknown => fields.insert(at, unknown(Value::Text(b"secret".to_vec()))),
            Self::UnknownFixed => fields.insert(at, unknown(Value::Fixed64)),
            Self::UnknownGroup => {
                let within = Field::new(3, Value::Text(b"secret".to_vec()));
                fields.insert(at, unknown(Value::Group(vec![within])));
            }
        }
    }
}

/// How many messages there are.
fn count(tree: &[Field]) -> usize {
    let within = |field: &Field| match &field.value {
        Value::Message(fields) | Value::Group(fields) => count(fields),
        Value::Number(_) | Value::Fixed32 | Value::Fixed64 | Value::Text(_) => 0,
    };
    1 + tree.iter().map(within).sum::<usize>()
}

/// The message that so many others come before.
fn find<'a>(tree: &'a mut Vec<Field>, before: &mut usize) -> Option<&'a mut Vec<Field>> {
    if *before == 0 {
        return Some(tree);
    }
    *before -= 1;
    tree.iter_mut().find_map(|field| match &mut field.value {
        Value::Message(fields) | Value::Group(fields) => find(fields, before),
        Value::Number(_) | Value::Fixed32 | Value::Fixed64 | Value::Text(_) => None,
    })
}
