//! Batches of checks, read and written without a string for each name in them.
//!
//! A batch as clients write it is read in one pass: its names stay in one text. Whatever else may be
//! a batch is decoded by prost first. Results are written one by one, as they are decided.

use std::ops::Range;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;
use tonic::Status;
use tonic::codec::{DecodeBuf, EncodeBuf};

use super::codec::{Reads, Writes};
use super::encode;
use super::shape::check_fields;
use super::status::undecodable;
use crate::domain::{Decision, Revision};
use crate::proto::v1;
use crate::proto::v1::feature_check_result::Result as Checked;

/// A `BatchCheckFeaturesRequest`, as a server reads it.
#[derive(Debug)]
pub struct ReadBatch {
    /// Has all names in it, and may have more.
    text: String,
    checks: Vec<Names>,
    /// How fresh the answer must be.
    pub(super) consistency: Option<v1::Consistency>,
}

/// Where the names of a check are in the text.
#[derive(Debug, Default)]
struct Names {
    account_id: Range<usize>,
    feature: Range<usize>,
}

/// The tag of a check and of its account, of a result and of its decision, and of a feature's name in
/// that: of every first field with a length.
const FIRST: u8 = 1 << 3 | 2;
/// The tag of its feature.
const SECOND: u8 = 2 << 3 | 2;

impl ReadBatch {
    /// The request that these bytes are.
    ///
    /// # Errors
    /// INVALID_REQUEST where they are none, or have too many fields.
    pub fn decode(message: Bytes) -> Result<Self, Status> {
        check_fields(&message)?;
        if let Some(batch) = Self::plain(&message) {
            return Ok(batch);
        }
        match v1::BatchCheckFeaturesRequest::decode(message) {
            Ok(whole) => Ok(whole.into()),
            Err(error) => Err(undecodable(&error)),
        }
    }

    /// It, where checks come first, have each name at most once, nothing else, and nothing but ASCII.
    /// Then no length in them takes more than a byte.
    fn plain(message: &[u8]) -> Option<Self> {
        // As many as there are of the commonest size.
        let mut checks = Vec::with_capacity(message.len() / 40 + 1);
        let mut end = 0;
        while let Some(check) = field(message, end, FIRST) {
            checks.push(Names::plain(message.get(..check.end)?, check.start)?);
            end = check.end;
        }
        let (checked, rest) = message.split_at_checked(end)?;
        let rest = v1::BatchCheckFeaturesRequest::decode(rest).ok()?;
        if !checked.is_ascii() || !rest.checks.is_empty() {
            return None;
        }
        Some(Self {
            text: String::from_utf8(checked.to_vec()).ok()?,
            checks,
            consistency: rest.consistency,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.checks.len()
    }

    /// The account and the feature of each check, in the order of their results.
    pub(super) fn checks(&self) -> impl Iterator<Item = (&str, &str)> {
        let name = |place: &Range<usize>| self.text.get(place.clone()).unwrap_or_default();
        self.checks
            .iter()
            .map(move |names| (name(&names.account_id), name(&names.feature)))
    }
}

impl Names {
    /// Those of the check that these bytes end with.
    fn plain(message: &[u8], start: usize) -> Option<Self> {
        let account_id = field(message, start, FIRST).unwrap_or(start..start);
        let feature = field(message, account_id.end, SECOND);
        let feature = feature.unwrap_or(account_id.end..account_id.end);
        (feature.end == message.len()).then_some(Self {
            account_id,
            feature,
        })
    }
}

/// Where the value is of the field at `start`, if it has that tag, and a length of one byte that is
/// true.
fn field(message: &[u8], start: usize, tag: u8) -> Option<Range<usize>> {
    let [found, length, rest @ ..] = message.get(start..)? else {
        return None;
    };
    let length = usize::from(*length);
    let is_plain = *found == tag && length < 0x80 && length <= rest.len();
    is_plain.then(|| start + 2..start + 2 + length)
}

impl From<v1::BatchCheckFeaturesRequest> for ReadBatch {
    fn from(whole: v1::BatchCheckFeaturesRequest) -> Self {
        let mut text = String::new();
        let mut add = |name: &str| {
            let start = text.len();
            text.push_str(name);
            start..text.len()
        };
        let checks = whole.checks.iter().map(|check| Names {
            account_id: add(&check.account_id),
            feature: add(&check.feature),
        });
        Self {
            checks: checks.collect(),
            text,
            consistency: whole.consistency,
        }
    }
}

impl Reads for ReadBatch {
    fn read_from(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status> {
        Self::decode(buffer.copy_to_bytes(buffer.remaining()))
    }
}

/// About what a result takes: an allowed feature with a name of ordinary length.
const RESULT: usize = 32;
/// The longest name of a feature that is written without being measured first: with all that is
/// around it, it is shorter than a length of one byte can say.
const MAX_PLAIN_NAME: u8 = 100;

/// A `BatchCheckFeaturesResponse`, its results written as they are decided.
#[derive(Debug)]
pub struct BatchAnswer {
    results: BytesMut,
    rest: v1::BatchCheckFeaturesResponse,
}

impl BatchAnswer {
    /// The answer at a revision, with room for so many results.
    pub(super) fn new(results: usize, revision: Revision, stale: bool) -> Self {
        Self {
            results: BytesMut::with_capacity(results * RESULT),
            rest: v1::BatchCheckFeaturesResponse {
                results: Vec::new(),
                revision: revision.0,
                stale,
            },
        }
    }

    /// The next result: what was decided of this feature.
    pub(super) fn decided(&mut self, feature: &str, decision: Decision) {
        if self.plain(feature, decision).is_none() {
            let result = Some(Checked::Decision(encode::decision(feature, decision)));
            self.write(&v1::FeatureCheckResult { result });
        }
    }

    /// It, where each of its lengths and numbers takes one byte, and none is nought.
    fn plain(&mut self, feature: &str, decision: Decision) -> Option<()> {
        let effect = u8::try_from(i32::from(encode::effect(decision.effect))).ok()?;
        let reason = u8::try_from(i32::from(encode::reason(decision.reason))).ok()?;
        let name = u8::try_from(feature.len()).ok()?;
        if !(1..=MAX_PLAIN_NAME).contains(&name) {
            return None;
        }
        let length = 2 + name + 2 + 2;
        let heads = [FIRST, 2 + length, FIRST, length, FIRST, name];
        self.results.reserve(heads.len() + usize::from(name) + 4);
        self.results.put_slice(&heads);
        self.results.put_slice(feature.as_bytes());
        self.results.put_slice(&[2 << 3, effect, 3 << 3, reason]);
        Some(())
    }

    /// The next result: that nothing was decided, and why.
    pub(super) fn failed(&mut self, error: tonic_types::Status) {
        let result = Some(Checked::Error(error));
        self.write(&v1::FeatureCheckResult { result });
    }

    fn write(&mut self, result: &v1::FeatureCheckResult) {
        let length = result.encoded_len();
        self.results
            .reserve(1 + prost::length_delimiter_len(length) + length);
        self.results.put_u8(FIRST);
        // There is room.
        let _ = result.encode_length_delimited(&mut self.results);
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.results.len() + self.rest.encoded_len()
    }

    /// Its bytes.
    ///
    /// # Errors
    /// INTERNAL where there is no room for them.
    pub fn encode(&self, buffer: &mut impl bytes::BufMut) -> Result<(), Status> {
        buffer.put_slice(&self.results);
        self.rest
            .encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Writes for BatchAnswer {
    fn write_to(&self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // At once: growing by and by copies what is there already.
        buffer.reserve(self.encoded_len());
        self.encode(buffer)
    }
}

#[cfg(test)]
mod tests;
