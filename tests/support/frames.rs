//! Frames of HTTP/2 as bytes, of any kind and in any order: also those that no client would send.

/// What every client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header.
pub const HEADER: usize = 9;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const HAS_PRIORITY: u8 = 0x20;

/// A setting: how much the peer may send on a stream before it is allowed more.
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// The most that a window can be.
pub const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// A frame of any type.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&length[1..]);
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// How many frames these bytes are.
pub fn count(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        bytes = &bytes[HEADER + length as usize..];
        count += 1;
    }
    count
}

pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

pub fn ping(flags: u8) -> Vec<u8> {
    frame(PING, flags, 0, b"question")
}

pub fn window_update(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// A reset that says CANCEL.
pub fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// A GOAWAY that says NO_ERROR.
pub fn goaway() -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0; 8])
}

/// That one stream is to wait for another.
pub fn priority(stream: u32, behind: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &dependency(behind))
}

/// The five bytes of a dependency, of the least weight.
pub fn dependency(behind: u32) -> [u8; 5] {
    let [a, b, c, d] = behind.to_be_bytes();
    [a, b, c, d, 0]
}

/// Headers with neither an index nor a Huffman code, whatever is in them.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// The headers of a call, one of which is remembered by the peer and then named again and again, in
/// a byte each: some 48 MB in the largest frame that may be sent.
pub fn bomb(stream: u32) -> Vec<u8> {
    let mut block = block(&CALL);
    // As long as fits into the peer's table, of 4096 bytes with 32 for the entry itself.
    block.push(0x40);
    text(&mut block, "x");
    text(&mut block, &"x".repeat(4_000));
    block.resize(16 << 10, 0x80 | 62);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A length that begins in seven bits and goes on, where it does not fit, in groups of seven; and
/// then the text.
fn text(block: &mut Vec<u8>, text: &str) {
    let length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
    } else {
        block.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap());
    }
    block.extend_from_slice(text.as_bytes());
}

/// The headers of a call of CheckFeature, as any gRPC client sends them.
pub const CALL: [(&str, &str); 6] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/portcullis.v1.AuthorizationService/CheckFeature"),
    (":authority", "localhost"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
];

/// The headers of a call, whose body is to come.
pub fn headers(stream: u32, list: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(list))
}

/// The headers of a call of CheckFeature, whose body is to come.
pub fn call(stream: u32) -> Vec<u8> {
    headers(stream, &CALL)
}

/// A part of a body.
pub fn data(stream: u32, flags: u8, part: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, part)
}
