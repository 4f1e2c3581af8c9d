//! Batches of checks, read and written without a string for each name in them.
//!
//! prost does both. What it reads names into are pieces of the bytes that came, and what it writes
//! results from is one result, again and again.

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

/// A `BatchCheckFeaturesRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BatchRequest {
    /// In the order of their results.
    #[prost(message, repeated, tag = "1")]
    pub(super) checks: Vec<BatchCheck>,
    /// How fresh the answer must be.
    #[prost(message, optional, tag = "2")]
    pub(super) consistency: Option<v1::Consistency>,
}

/// A `FeatureCheck`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BatchCheck {
    #[prost(bytes = "bytes", tag = "1")]
    account_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    feature: Bytes,
}

/// What a server reads: a [`BatchRequest`] whose names are text.
#[derive(Debug)]
pub struct ReadBatch(pub(super) BatchRequest);

impl BatchCheck {
    pub(super) fn account_id(&self) -> &str {
        text(&self.account_id).unwrap_or_default()
    }

    pub(super) fn feature(&self) -> &str {
        text(&self.feature).unwrap_or_default()
    }

    fn is_text(&self) -> bool {
        text(&self.account_id).is_some() && text(&self.feature).is_some()
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

impl ReadBatch {
    /// The request that these bytes are.
    ///
    /// # Errors
    /// INVALID_REQUEST where they are none, or have too many fields.
    pub fn decode(message: Bytes) -> Result<Self, Status> {
        check_fields(&message)?;
        if let Ok(batch) = BatchRequest::decode(message.clone())
            && batch.checks.iter().all(BatchCheck::is_text)
        {
            return Ok(Self(batch));
        }
        // In the words in which any other message is told what is wrong with it.
        match v1::BatchCheckFeaturesRequest::decode(message) {
            Ok(whole) => Ok(Self(whole.into())),
            Err(error) => Err(undecodable(&error)),
        }
    }
}

impl From<v1::BatchCheckFeaturesRequest> for BatchRequest {
    fn from(whole: v1::BatchCheckFeaturesRequest) -> Self {
        let check = |check: v1::FeatureCheck| BatchCheck {
            account_id: check.account_id.into(),
            feature: check.feature.into(),
        };
        Self {
            checks: whole.checks.into_iter().map(check).collect(),
            consistency: whole.consistency,
        }
    }
}

impl From<v1::BatchCheckFeaturesRequest> for ReadBatch {
    fn from(whole: v1::BatchCheckFeaturesRequest) -> Self {
        Self(whole.into())
    }
}

impl Reads for ReadBatch {
    fn read_from(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status> {
        Self::decode(buffer.copy_to_bytes(buffer.remaining()))
    }
}

/// About what a result takes: an allowed feature with a name of ordinary length.
const RESULT: usize = 32;
/// The tag of `results`.
const RESULTS: u8 = 1 << 3 | 2;

/// A `BatchCheckFeaturesResponse`, its results written as they are decided.
#[derive(Debug)]
pub struct BatchAnswer {
    results: BytesMut,
    rest: v1::BatchCheckFeaturesResponse,
    /// Where the name of each feature is put in its turn.
    name: String,
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
            name: String::new(),
        }
    }

    /// The next result: what was decided of this feature.
    pub(super) fn decided(&mut self, feature: &str, decision: Decision) {
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        name.push_str(feature);
        let result = Some(Checked::Decision(encode::decision(name, decision)));
        let result = v1::FeatureCheckResult { result };
        self.write(&result);
        if let Some(Checked::Decision(decision)) = result.result {
            self.name = decision.feature;
        }
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
        self.results.put_u8(RESULTS);
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
