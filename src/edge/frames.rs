//! The heads of HTTP/2 frames, read from bytes that pass by.
//!
//! Nothing is kept of a frame but its head; payloads are skipped. What does not look like HTTP/2 is
//! no matter here: the HTTP library ends such a connection.

/// What a client sends before its first frame.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length, type, flags and stream of a frame.
pub(super) const HEAD: usize = 9;
/// The error code, which is all that RST_STREAM says beside its head.
const RESET_CODE: usize = 4;

/// The flag of HEADERS and DATA that says that nothing follows.
const END_STREAM: u8 = 0x1;

/// Which frame passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// DATA with something in it.
    Data,
    /// HEADERS that end a stream: of an answer that has no more.
    End,
    /// RST_STREAM, and whether it says that nothing is wrong.
    Reset { is_no_error: bool },
    /// SETTINGS, PING or GOAWAY, acknowledgements too.
    Control,
    /// Any other.
    Other,
}

impl Frame {
    fn of(kind: u8, flags: u8, length: usize, code: [u8; RESET_CODE]) -> Self {
        match kind {
            0x0 if length > 0 => Self::Data,
            0x1 if flags & END_STREAM != 0 => Self::End,
            0x3 => Self::Reset {
                is_no_error: code == [0; RESET_CODE],
            },
            0x4 | 0x6 | 0x7 => Self::Control,
            _ => Self::Other,
        }
    }
}

/// Where in the bytes of one direction we are.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD + RESET_CODE],
    filled: usize,
    /// Bytes that are none of our business, up to the next head.
    skip: usize,
}

impl Frames {
    /// Those that a client sends.
    pub(super) fn of_client() -> Self {
        Self {
            skip: PREFACE.len(),
            ..Self::of_server()
        }
    }

    /// Those that a server sends.
    pub(super) fn of_server() -> Self {
        Self {
            head: [0; HEAD + RESET_CODE],
            filled: 0,
            skip: 0,
        }
    }

    /// Goes over the bytes that come next, and names each frame whose head ends in them.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut on: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            let missing = self.wanted().saturating_sub(self.filled);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            bytes = rest;
            let end = self.filled + taken.len();
            if let Some(place) = self.head.get_mut(self.filled..end) {
                place.copy_from_slice(taken);
            }
            self.filled = end;
            if let Some(frame) = self.complete() {
                on(frame);
            }
        }
    }

    /// How many bytes there have to be of the head, as far as it is known.
    fn wanted(&self) -> usize {
        let [_, _, _, kind, ..] = self.head;
        match kind {
            0x3 if self.filled >= HEAD => HEAD + RESET_CODE.min(self.length()),
            _ => HEAD,
        }
    }

    /// How long the payload is.
    fn length(&self) -> usize {
        let [l1, l2, l3, ..] = self.head;
        usize::from(l1) << 16 | usize::from(l2) << 8 | usize::from(l3)
    }

    /// The frame whose head is there whole, if it is.
    fn complete(&mut self) -> Option<Frame> {
        if self.filled < self.wanted() {
            return None;
        }
        let length = self.length();
        let [_, _, _, kind, flags, _, _, _, _, code @ ..] = self.head;
        self.skip = length - (self.filled - HEAD);
        self.filled = 0;
        Some(Frame::of(kind, flags, length, code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, 0, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_the_same_however_the_bytes_are_cut() {
        let bytes = [
            frame(0x4, &[]),
            frame(0x1, b"headers"),
            frame(0x0, b"message"),
            frame(0x0, b""),
            frame(0x3, &[0, 0, 0, 0]),
            frame(0x3, &[0, 0, 0, 8]),
            frame(0x3, &[0, 0, 0, 8, 0]),
            frame(0x3, &[]),
            frame(0x6, &[0; 8]),
            frame(0xfa, b"?"),
        ];
        let no_error = Frame::Reset { is_no_error: true };
        let cancel = Frame::Reset { is_no_error: false };
        let want = [
            Frame::Control,
            Frame::Other,
            Frame::Data,
            Frame::Other,
            no_error,
            cancel,
            cancel,
        ];
        let bytes = [PREFACE, &bytes.concat()].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::of_client();
            let mut found = Vec::new();
            for chunk in bytes.chunks(size) {
                frames.pass(chunk, |frame| found.push(frame));
            }
            assert_eq!(found[..7], want, "{size}");
            assert_eq!(found[8..], [Frame::Control, Frame::Other], "{size}");
        }
    }
}
