//! Frames of the main channel: bytes to meaning and back. `docs/protocol.md`, "The main channel".
//!
//! ```text
//! byte 0      kind in the low four bits, flags in the high four
//! bytes 1–4   message id, big-endian
//! the rest    payload
//! ```

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes before the payload.
pub(crate) const HEADER: usize = 5;
pub(crate) const FIRST: u8 = 0x10;
pub(crate) const LAST: u8 = 0x20;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text = 1,
    Binary = 2,
    Blob = 3,
    Abort = 4,
    Problem = 5,
    Ping = 8,
    Pong = 9,
    Goodbye = 10,
}

/// A frame as it was read; `kind` is `None` for one this version does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Option<Kind>,
    pub(crate) id: u32,
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) payload: Bytes,
}

/// Reads one message of the data channel; `None` when it is too short for a header.
pub(crate) fn read(message: &Bytes) -> Option<Frame> {
    let (head, id) = (*message.first()?, message.get(1..HEADER)?);
    Some(Frame {
        kind: Kind::from_bits(head & 0x0f),
        id: u32::from_be_bytes(id.try_into().ok()?),
        first: head & FIRST != 0,
        last: head & LAST != 0,
        payload: message.slice(HEADER..),
    })
}

/// Writes a frame.
pub(crate) fn write(kind: Kind, flags: u8, id: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEADER + payload.len());
    frame.put_u8(kind as u8 | flags);
    frame.put_u32(id);
    frame.put_slice(payload);
    frame.freeze()
}

impl Kind {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Text,
            2 => Self::Binary,
            3 => Self::Blob,
            4 => Self::Abort,
            5 => Self::Problem,
            8 => Self::Ping,
            9 => Self::Pong,
            10 => Self::Goodbye,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Row {
        about: String,
        bytes: String,
        kind: Option<String>,
        #[serde(default)]
        id: u32,
        #[serde(default)]
        first: bool,
        #[serde(default)]
        last: bool,
        #[serde(default)]
        payload: String,
    }

    fn unhex(digits: &str) -> Bytes {
        let digits = digits.replace(' ', "").to_uppercase();
        let bytes = data_encoding::HEXUPPER.decode(digits.as_bytes());
        bytes.expect("hexadecimal digits").into()
    }

    #[test]
    fn frames_are_the_bytes_of_the_table_both_ways() {
        let table = include_str!("../../protocol/fixtures/tables/frames.json");
        let table: Vec<Row> = serde_json::from_str(table).expect("the table");
        for row in table {
            let bytes = unhex(&row.bytes);
            let Some(frame) = read(&bytes) else {
                assert!(bytes.len() < HEADER, "{}", row.about);
                continue;
            };
            let told = (frame.id, frame.first, frame.last);
            assert_eq!(told, (row.id, row.first, row.last), "{}", row.about);
            assert_eq!(frame.payload, unhex(&row.payload), "{}", row.about);
            let name = frame.kind.map(|kind| format!("{kind:?}").to_lowercase());
            assert_eq!(name, row.kind, "{}", row.about);
            if let Some(kind) = frame.kind {
                let flags = bytes[0] & 0xf0;
                let written = write(kind, flags, frame.id, &frame.payload);
                assert_eq!(written, bytes, "{}", row.about);
            }
        }
    }
}
