//! What must hold of the reader of WebSocket frames, whatever a client sends and however it is cut. Used by the fuzz target and by the
//! tests of the server, both of which have the module `frames` beside this one.

use std::ops::ControlFlow;

use super::frames::{Decoder, Received, Violation};

const LIMIT: usize = 300;

/// Reads the bytes as they are, and as a plan for frames that are mostly well formed. Panics when a promise is broken.
pub(crate) fn read(data: &[u8]) {
    let Some((&step, rest)) = data.split_first() else {
        return;
    };
    let step = usize::from(step % 16) + 1;
    for bytes in [rest.to_vec(), planned(rest)] {
        let whole = decode(&bytes, bytes.len().max(1));
        assert_eq!(decode(&bytes, step), whole, "cut every {step} bytes");
    }
}

/// Frames from first byte, length and seed of the payload. All are masked but some that are to be refused for it.
fn planned(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (plans, _) = data.as_chunks::<4>();
    for &[first, length, more, seed] in plans {
        // Mostly opcodes there are, and no reserved bits.
        let first = if more & 0x70 == 0 {
            first
        } else {
            (first & 0x80) | [0, 1, 2, 8, 9, 10, 0, 1][usize::from(first % 8)]
        };
        let length = usize::from(length) + if more & 1 == 0 { 0 } else { 100 };
        let mask = if more & 0x0e == 0 { 0 } else { 0x80 };
        bytes.push(first);
        match u8::try_from(length) {
            Ok(short @ ..=125) => bytes.push(mask | short),
            _ => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
        }
        if mask != 0 {
            bytes.extend([seed, 0, seed ^ 0x55, 7]);
        }
        let payload = (0..length).map(|place| seed.wrapping_mul(place as u8));
        bytes.extend(payload);
    }
    bytes
}

/// Everything received, and how it ended.
fn decode(bytes: &[u8], step: usize) -> (Vec<(u8, Vec<u8>)>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut seen = Vec::new();
    for chunk in bytes.chunks(step) {
        let mut closed = false;
        let fed = decoder.feed(&mut chunk.to_vec(), |received| {
            assert!(!closed, "nothing comes after a close");
            let (kind, payload, most) = match received {
                Received::Text(text) => (1, text.as_bytes(), LIMIT),
                Received::Binary(payload) => (2, payload, LIMIT),
                Received::Ping(payload) => (9, payload, 125),
                Received::Pong => (10, &[][..], 0),
                Received::Close(code) => {
                    closed = true;
                    let payload = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
                    seen.push((8, payload));
                    return ControlFlow::Break(());
                }
            };
            assert!(payload.len() <= most, "longer than it may be");
            seen.push((kind, payload.to_vec()));
            ControlFlow::Continue(())
        });
        if let Err(violation) = fed {
            assert!([1002, 1007, 1009].contains(&violation.code));
            return (seen, Some(violation));
        }
        if closed {
            break;
        }
    }
    (seen, None)
}
