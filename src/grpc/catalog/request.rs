//! A request of FilterCatalog, decoded as far as it has to be.

use std::ops::Range;

use bytes::{Buf as _, Bytes};
use prost::{Message as _, length_delimiter_len};
use tonic::Status;
use tonic::codec::DecodeBuf;

use crate::grpc::codec::Reads;
use crate::grpc::shape::{check_fields, skip, varint};
use crate::grpc::status::undecodable;
use crate::proto::v1;

use super::canonical::CanonicalLocations;
use super::inline::MAX_INLINE_LOCATIONS;

/// The field of the request that an inline catalogue is.
const INLINE: u64 = 3;
/// The other one of its oneof.
const STORED: u64 = 2;

/// A `FilterCatalogRequest`. The locations of an inline catalogue are left as they are where nothing
/// would become of them but the same bytes.
#[derive(Debug)]
pub struct CatalogRequest {
    /// All of it, but for those.
    pub(super) message: v1::FilterCatalogRequest,
    /// Those.
    pub(super) canonical: Option<CanonicalLocations>,
}

impl CatalogRequest {
    /// The request that these bytes are.
    ///
    /// # Errors
    /// INVALID_REQUEST where they are none, or have too many fields.
    pub fn decode(message: Bytes) -> Result<Self, Status> {
        check_fields(&message)?;
        if let Some(request) = Self::undecoded(&message) {
            return Ok(request);
        }
        match v1::FilterCatalogRequest::decode(message) {
            Ok(message) => Ok(message.into()),
            Err(error) => Err(undecodable(&error)),
        }
    }

    /// Without decoding its locations, where that can be.
    fn undecoded(message: &Bytes) -> Option<Self> {
        let Inline { whole, catalog } = Inline::find(message)?;
        let canonical =
            CanonicalLocations::recognise(message.slice(catalog), MAX_INLINE_LOCATIONS)?;
        let before = message.get(..whole.start)?;
        let behind = message.get(whole.end..)?;
        let message = v1::FilterCatalogRequest::decode(before.chain(behind)).ok()?;
        Some(Self {
            message,
            canonical: Some(canonical),
        })
    }
}

impl From<v1::FilterCatalogRequest> for CatalogRequest {
    /// One that is decoded whole.
    fn from(message: v1::FilterCatalogRequest) -> Self {
        let canonical = None;
        Self { message, canonical }
    }
}

impl Reads for CatalogRequest {
    fn read_from(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status> {
        Self::decode(buffer.copy_to_bytes(buffer.remaining()))
    }
}

/// Where an inline catalogue is in a request.
struct Inline {
    /// With its tag and length.
    whole: Range<usize>,
    catalog: Range<usize>,
}

impl Inline {
    /// Nowhere, unless there is one of it and no stored catalogue: a second one would be merged with
    /// the first, and of both kinds the last one counts. Nor where there is a group, which may hold
    /// what looks like one.
    fn find(message: &[u8]) -> Option<Self> {
        let mut found = None;
        let mut rest = message;
        while !rest.is_empty() {
            let start = message.len() - rest.len();
            let (tag, value) = varint(rest)?;
            let (item, after) = skip(tag, value)?;
            let end = message.len() - after.len();
            match (tag >> 3, tag & 7, item) {
                (_, 3 | 4, _) => return None,
                (INLINE, _, Some(catalog)) if found.is_none() => {
                    found = Some(Self::at(start..end, catalog)?);
                }
                (INLINE | STORED, _, _) => return None,
                (_, _, _) => {}
            }
            rest = after;
        }
        found
    }

    /// Its tag and length must be as short as they can be: prost will not see them.
    fn at(whole: Range<usize>, catalog: &[u8]) -> Option<Self> {
        let inline = Self {
            catalog: whole.end - catalog.len()..whole.end,
            whole,
        };
        let header = inline.catalog.start - inline.whole.start;
        (header == 1 + length_delimiter_len(catalog.len())).then_some(inline)
    }
}
