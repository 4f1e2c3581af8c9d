//! Messages as bytes: a client that passes them through, and a reader of the fields in them.

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// One unary call of AuthorizationService, bytes in and bytes out.
pub async fn call(channel: Channel, method: &str, message: Bytes) -> Result<Bytes, Status> {
    call_at(channel, &super::http2::path(method), message).await
}

/// One unary call, bytes in and bytes out.
pub async fn call_at(channel: Channel, path: &str, message: Bytes) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel)
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(64 << 20);
    client.ready().await.unwrap();
    let path = path.parse().unwrap();
    let answer = client
        .unary(Request::new(message), path, PassThrough)
        .await?;
    Ok(answer.into_inner())
}

#[derive(Clone, Copy)]
struct PassThrough;

impl Codec for PassThrough {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for PassThrough {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for PassThrough {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// The fields of a message in their order: number, and contents where it has a length.
pub fn fields(mut message: &[u8]) -> Vec<(u32, &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message).unwrap();
        let contents = match wire {
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut message).unwrap()).unwrap();
                let (contents, rest) = message.split_at(length);
                message = rest;
                contents
            }
            WireType::Varint => {
                decode_varint(&mut message).unwrap();
                &[]
            }
            WireType::ThirtyTwoBit => {
                message.advance(4);
                &[]
            }
            WireType::SixtyFourBit => {
                message.advance(8);
                &[]
            }
            WireType::StartGroup | WireType::EndGroup => panic!("a group"),
        };
        fields.push((number, contents));
    }
    fields
}

/// The contents of each field with this number.
pub fn named(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    fields(message)
        .into_iter()
        .filter(move |field| field.0 == number)
        .map(|field| field.1)
}

/// Appends a field with a length: a text or a message.
pub fn push(message: &mut Vec<u8>, number: u32, contents: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(contents.len() as u64, message);
    message.put_slice(contents);
}

/// Whether `text` is anywhere in the bytes.
pub fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
