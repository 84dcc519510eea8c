//! WebSocket framing as a server sees it (RFC 6455 §5): bytes in, whole messages out; no socket, no clock.
//!
//! tungstenite parses and writes the frame headers. Messages are put together here because ten thousand mostly idle clients must
//! not each own a buffer: bytes are parsed where the driver read them, and only an unfinished frame or message is kept.

use std::io::Cursor;
use std::ops::ControlFlow;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Longer than any sensible message needs, short enough that empty fragments cannot go on for ever.
const MAX_FRAGMENTS: u32 = 1024;

/// What a client sent. Borrowed from the bytes it came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Ping(&'a [u8]),
    Pong,
    /// The code to answer with; `None` when the client gave none.
    Close(Option<u16>),
}

/// Why a connection must be failed (RFC 6455 §7.1.7), as the close to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Violation {
    const PROTOCOL: Self = Self {
        code: 1002,
        reason: "",
    };
    const NOT_UTF8: Self = Self {
        code: 1007,
        reason: "",
    };
    const TOO_LARGE: Self = Self {
        code: 1009,
        reason: "message-too-large",
    };
}

/// Puts one client's frames together. Holds no heap memory between messages.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Largest message accepted, in bytes.
    limit: usize,
    /// An unfinished frame, header included, still masked.
    frame: Vec<u8>,
    /// The fragments of an unfinished message, unmasked.
    message: Vec<u8>,
    /// What the unfinished message is, and how many fragments it has so far.
    fragmented: Option<(Data, u32)>,
    /// How often nothing was unfinished but for the bytes at hand. May wrap: compared for equality only.
    finished: u32,
}

impl Decoder {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            frame: Vec::new(),
            message: Vec::new(),
            fragmented: None,
            finished: 0,
        }
    }

    /// Whether a message or a frame between messages was begun and is not at its end. As long as it is the same one, so is the number.
    pub(crate) fn unfinished(&self) -> Option<u32> {
        (!self.frame.is_empty() || self.fragmented.is_some()).then_some(self.finished)
    }

    /// Hands every message that `bytes` completes to `sink`, until it breaks. `bytes` are unmasked in place.
    pub(crate) fn feed(
        &mut self,
        bytes: &mut [u8],
        mut sink: impl FnMut(Received<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        if self.frame.is_empty() {
            let used = self.frames(bytes, &mut sink)?;
            self.frame.extend_from_slice(&bytes[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.frame);
            joined.extend_from_slice(bytes);
            let used = self.frames(&mut joined, &mut sink)?;
            // All used: the memory goes with `joined`.
            if used < joined.len() {
                joined.drain(..used);
                self.frame = joined;
            }
        }
        Ok(())
    }

    /// Works through the whole frames in `bytes`; returns how many bytes they took.
    fn frames(
        &mut self,
        bytes: &mut [u8],
        sink: &mut impl FnMut(Received<'_>) -> ControlFlow<()>,
    ) -> Result<usize, Violation> {
        let mut used = 0;
        while used < bytes.len() {
            let mut cursor = Cursor::new(&bytes[used..]);
            // The only other error is a reserved opcode.
            let Some((header, length)) =
                FrameHeader::parse(&mut cursor).map_err(|_| Violation::PROTOCOL)?
            else {
                break;
            };
            let start = used + cursor.position() as usize;
            let length = self.accept(&header, length)?;
            let Some(payload) = bytes[start..].get_mut(..length) else {
                break;
            };
            unmask(payload, header.mask.unwrap_or_default());
            used = start + length;
            let went = self.frame_received(&header, payload, sink)?;
            if self.fragmented.is_none() {
                self.finished = self.finished.wrapping_add(1);
            }
            if went.is_break() {
                return Ok(bytes.len());
            }
        }
        Ok(used)
    }

    /// Checks a header before any of its payload is kept (RFC 6455 §5.1, §5.2, §5.4, §5.5).
    fn accept(&self, header: &FrameHeader, length: u64) -> Result<usize, Violation> {
        let extended = header.rsv1 || header.rsv2 || header.rsv3;
        let in_order = match header.opcode {
            OpCode::Control(_) => header.is_final && length <= 125,
            OpCode::Data(Data::Continue) => self.fragmented.is_some(),
            OpCode::Data(_) => self.fragmented.is_none(),
        };
        if extended || header.mask.is_none() || !in_order {
            return Err(Violation::PROTOCOL);
        }
        let room = self.limit - self.message.len();
        match usize::try_from(length) {
            Ok(length) if length <= room || matches!(header.opcode, OpCode::Control(_)) => {
                Ok(length)
            }
            _ => Err(Violation::TOO_LARGE),
        }
    }

    fn frame_received(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        sink: &mut impl FnMut(Received<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Violation> {
        let kind = match header.opcode {
            OpCode::Control(Control::Ping) => return Ok(sink(Received::Ping(payload))),
            OpCode::Control(Control::Pong) => return Ok(sink(Received::Pong)),
            OpCode::Control(_) => return Ok(sink(Received::Close(close_code(payload)?))),
            OpCode::Data(kind) => kind,
        };
        if header.is_final && self.fragmented.is_none() {
            return Ok(sink(message(kind, payload)?));
        }
        let (kind, fragments) = self.fragmented.unwrap_or((kind, 0));
        if fragments == MAX_FRAGMENTS {
            return Err(Violation::TOO_LARGE);
        }
        self.message.extend_from_slice(payload);
        if !header.is_final {
            self.fragmented = Some((kind, fragments + 1));
            return Ok(ControlFlow::Continue(()));
        }
        self.fragmented = None;
        let whole = std::mem::take(&mut self.message);
        Ok(sink(message(kind, &whole)?))
    }
}

/// A frame header for `length` bytes of payload; servers do not mask (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    bytes: [u8; 10],
    length: u8,
}

impl Head {
    pub(crate) fn new(opcode: OpCode, length: usize) -> Self {
        let header = FrameHeader {
            opcode,
            ..FrameHeader::default()
        };
        let mut bytes = [0; 10];
        let mut rest = &mut bytes[..];
        header
            .format(length as u64, &mut rest)
            .expect("an unmasked header has at most ten bytes");
        let length = 10 - rest.len() as u8;
        Self { bytes, length }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The payload of a close frame (RFC 6455 §5.5.1). Reasons are our own short codes, well below the 123 bytes allowed.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload
}

fn message(kind: Data, payload: &[u8]) -> Result<Received<'_>, Violation> {
    match kind {
        Data::Text => std::str::from_utf8(payload)
            .map(Received::Text)
            .map_err(|_| Violation::NOT_UTF8),
        _ => Ok(Received::Binary(payload)),
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(Violation::PROTOCOL);
            }
            std::str::from_utf8(reason).map_err(|_| Violation::NOT_UTF8)?;
            Ok(Some(code))
        }
        _ => Err(Violation::PROTOCOL),
    }
}

/// RFC 6455 §5.3. Eight bytes at a time, which the compiler turns into vector instructions.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn frame(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![opcode | if fin { 0x80 } else { 0 }];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length @ 126..=65535 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(
            payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }

    /// Everything received as text, one entry a message or control frame.
    fn decode(decoder: &mut Decoder, bytes: &[u8], step: usize) -> Result<Vec<String>, Violation> {
        let mut seen = Vec::new();
        for chunk in bytes.chunks(step) {
            decoder.feed(&mut chunk.to_vec(), |received| {
                seen.push(format!("{received:?}"));
                ControlFlow::Continue(())
            })?;
        }
        Ok(seen)
    }

    #[test]
    fn messages_come_whole_however_the_bytes_are_cut() {
        let mut bytes = frame(1, true, b"Hello");
        bytes.extend(frame(1, false, "Küc".as_bytes()));
        bytes.extend(frame(9, true, b"still there?"));
        bytes.extend(frame(0, true, b"he"));
        bytes.extend(frame(2, true, &[7; 300]));
        bytes.extend(frame(8, true, &close_payload(1000, "done")));
        let expected = vec![
            "Text(\"Hello\")".to_owned(),
            format!("Ping({:?})", b"still there?"),
            "Text(\"Küche\")".to_owned(),
            format!("Binary({:?})", [7; 300]),
            "Close(Some(1000))".to_owned(),
        ];
        for step in [1, 2, 3, 7, 64, bytes.len()] {
            let mut decoder = Decoder::new(65536);
            assert_eq!(
                decode(&mut decoder, &bytes, step),
                Ok(expected.clone()),
                "cut every {step} bytes"
            );
            assert_eq!(
                decoder.frame.capacity() + decoder.message.capacity(),
                0,
                "an idle decoder owns no memory"
            );
        }
    }

    #[test]
    fn what_is_unfinished_is_told_from_what_comes_after_it() {
        let mut decoder = Decoder::new(65536);
        let mut feed = |bytes: &[u8]| {
            decode(&mut decoder, bytes, bytes.len()).expect("no violation");
            decoder.unfinished()
        };
        let (text, ping) = (frame(1, true, b"Hello"), frame(9, true, b""));
        assert_eq!(feed(&text), None);
        let begun = feed(&text[..1]);
        assert!(begun.is_some(), "the first byte of a frame");
        assert_eq!(feed(&text[1..10]), begun);
        let next = feed(&[&text[10..], &text[..3]].concat());
        assert!(next.is_some() && next != begun, "another one");
        assert_eq!(feed(&text[3..]), None);
        let fragmented = feed(&frame(1, false, b"a"));
        assert!(fragmented.is_some());
        for more in [&frame(0, false, b"")[..], &ping, &ping[..3], &ping[3..]] {
            assert_eq!(feed(more), fragmented, "a message goes on");
        }
        let last = frame(0, true, b"b");
        assert_eq!(feed(&[&last[..], &ping].concat()), None);
    }

    #[test]
    fn the_limit_counts_the_whole_message() {
        let exact = frame(1, true, &[b'x'; 1000]);
        assert!(decode(&mut Decoder::new(1000), &exact, 4096).is_ok());
        let over = frame(1, true, &[b'x'; 1001]);
        // The header alone is refused: nothing of the payload need arrive.
        assert_eq!(
            decode(&mut Decoder::new(1000), &over[..8], 8),
            Err(Violation::TOO_LARGE)
        );
        let mut parts = frame(1, false, &[b'x'; 600]);
        parts.extend(frame(0, true, &[b'x'; 401]));
        assert_eq!(
            decode(&mut Decoder::new(1000), &parts, 4096),
            Err(Violation::TOO_LARGE)
        );
    }

    #[test]
    fn fragments_without_content_do_not_go_on_for_ever() {
        let mut bytes = frame(1, false, b"");
        for _ in 0..MAX_FRAGMENTS {
            bytes.extend(frame(0, false, b""));
        }
        assert_eq!(
            decode(&mut Decoder::new(1000), &bytes, 4096),
            Err(Violation::TOO_LARGE)
        );
    }

    #[test]
    fn violations_fail_the_connection() {
        let mut unmasked = vec![0x81, 5];
        unmasked.extend(b"Hello");
        let long_ping = frame(9, true, &[0; 126]);
        for (what, bytes, violation) in [
            ("unmasked", unmasked, Violation::PROTOCOL),
            ("reserved bit", frame(0x41, true, b""), Violation::PROTOCOL),
            ("reserved opcode", frame(3, true, b""), Violation::PROTOCOL),
            (
                "continuation of nothing",
                frame(0, true, b""),
                Violation::PROTOCOL,
            ),
            (
                "text inside text",
                [frame(1, false, b"a"), frame(1, true, b"b")].concat(),
                Violation::PROTOCOL,
            ),
            ("fragmented ping", frame(9, false, b""), Violation::PROTOCOL),
            ("long ping", long_ping, Violation::PROTOCOL),
            (
                "close of one byte",
                frame(8, true, &[3]),
                Violation::PROTOCOL,
            ),
            (
                "close code 1005",
                frame(8, true, &1005u16.to_be_bytes()),
                Violation::PROTOCOL,
            ),
            (
                "text that is not UTF-8",
                frame(1, true, &[0xff]),
                Violation::NOT_UTF8,
            ),
        ] {
            assert_eq!(
                decode(&mut Decoder::new(1000), &bytes, 4096),
                Err(violation),
                "{what}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_bytes_however_cut(bytes in vec(any::<u8>(), 0..200)) {
            crate::websocket::any_frames::read(&bytes);
        }
    }

    #[test]
    fn heads_are_as_short_as_the_length_allows() {
        let text = OpCode::Data(Data::Text);
        assert_eq!(Head::new(text, 5).as_slice(), [0x81, 5]);
        assert_eq!(Head::new(text, 1500).as_slice(), [0x81, 126, 5, 220]);
        assert_eq!(
            Head::new(text, 65536).as_slice(),
            [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }
}
