//! Protobuf as tonic's own codec reads and writes it, but for two things: a message that does not
//! decode is the caller's mistake (INVALID_ARGUMENT with details, where tonic says INTERNAL), and
//! buffers start small, for most messages here are of a few dozen bytes.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use super::shape::check_fields;
use super::status::undecodable;

const BUFFER: usize = 256;
const YIELD_THRESHOLD: usize = 32 * 1024;

/// The codec of every service here. Generated clients have it too.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = MessageDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, YIELD_THRESHOLD))
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

/// Decodes one message.
#[derive(Debug)]
pub struct MessageDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for MessageDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if is_request::<U>() {
            // The buffer is one piece.
            check_fields(bytes.chunk())?;
        }
        U::decode(bytes)
            .map(Some)
            .map_err(|error| undecodable(&error))
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
