//! Protobuf as tonic's own codec reads and writes it, but for two things: a message that does not
//! decode is the caller's mistake (INVALID_ARGUMENT with details, where tonic says INTERNAL), and
//! buffers start small, for most messages here are of a few dozen bytes.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::shape::check_fields;
use super::status::undecodable;

const BUFFER: usize = 256;
const YIELD_THRESHOLD: usize = 32 * 1024;

/// The codec of every service here. Generated clients have it too.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

/// What is written to the wire: a message, or what amounts to one.
pub trait Writes {
    /// Writes it whole.
    ///
    /// # Errors
    /// INTERNAL where there is no room.
    fn write_to(&self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status>;
}

/// What is read from the wire: a message, or what amounts to one.
pub trait Reads: Sized {
    /// Reads it whole.
    ///
    /// # Errors
    /// INVALID_REQUEST where it is no such message, or has too many fields.
    fn read_from(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status>;
}

impl<T: Message> Writes for T {
    fn write_to(&self, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl<U: Message + Default> Reads for U {
    fn read_from(buffer: &mut DecodeBuf<'_>) -> Result<Self, Status> {
        if is_request::<U>() {
            // The buffer is one piece.
            check_fields(buffer.chunk())?;
        }
        U::decode(buffer).map_err(|error| undecodable(&error))
    }
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Writes + Send + 'static,
    U: Reads + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = MessageEncoder<T>;
    type Decoder = MessageDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        MessageEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

/// Whether a message is one that a server decodes, from whom it need not trust: in answers, which are
/// decoded by clients, there may be more. By its name, for all of them end alike and have nothing else
/// in common.
fn is_request<U>() -> bool {
    std::any::type_name::<U>().ends_with("Request")
}

/// Encodes one message.
#[derive(Debug)]
pub struct MessageEncoder<T>(PhantomData<T>);

impl<T: Writes> Encoder for MessageEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.write_to(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, YIELD_THRESHOLD)
    }
}

/// Decodes one message.
#[derive(Debug)]
pub struct MessageDecoder<U>(PhantomData<U>);

impl<U: Reads> Decoder for MessageDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::read_from(buffer).map(Some)
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, YIELD_THRESHOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    #[test]
    fn requests_are_told_from_answers() {
        assert!(is_request::<v1::CheckFeatureRequest>());
        assert!(is_request::<v1::PutLocationsRequest>());
        assert!(!is_request::<v1::CheckFeatureResponse>());
    }
}
