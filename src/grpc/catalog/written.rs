//! Locations as they are written to an answer, and answers that consist of them.

use std::ops::Range;

use bytes::{BufMut, Bytes};
use prost::Message as _;
use tonic::Status;
use tonic::codec::EncodeBuf;

use crate::grpc::codec::Writes;
use crate::proto::v1;

/// Locations of an answer, written: each with its tag and length, as field 1 of
/// `FilterCatalogResponse` and of `InlineCatalog` alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    /// Where they are taken from.
    bytes: Bytes,
    /// Which of it, in order; what follows each other there is one range.
    ranges: Vec<Range<usize>>,
}

impl Written {
    /// None yet, to be taken from `bytes`.
    pub(super) fn from(bytes: Bytes) -> Self {
        let ranges = Vec::new();
        Self { bytes, ranges }
    }

    /// All of `bytes`.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let all = 0..bytes.len();
        let mut written = Self::from(bytes);
        written.push(all);
        written
    }

    /// These too.
    pub(super) fn push(&mut self, range: Range<usize>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            Some(_) | None => self.ranges.push(range),
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let piece = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.ranges.iter().map(piece)
    }

    fn len(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }
}

/// A `FilterCatalogResponse`. Its locations may be written already.
#[derive(Debug)]
pub struct CatalogAnswer {
    written: Written,
    rest: v1::FilterCatalogResponse,
}

impl CatalogAnswer {
    /// The locations that are written, and then the rest: locations are the first field.
    pub(super) fn new(written: Written, rest: v1::FilterCatalogResponse) -> Self {
        Self { written, rest }
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.written.len() + self.rest.encoded_len()
    }

    /// Its bytes.
    ///
    /// # Errors
    /// INTERNAL where there is no room for them.
    pub fn encode(&self, buffer: &mut impl BufMut) -> Result<(), Status> {
        self.written
            .pieces()
            .for_each(|piece| buffer.put_slice(piece));
        self.rest
            .encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Writes for CatalogAnswer {
    fn write_to(&self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // At once: growing by and by copies what is there already.
        buffer.reserve(self.encoded_len());
        self.encode(buffer)
    }
}
