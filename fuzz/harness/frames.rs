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

/// Frames by plans of four bytes each. Most are what they should be, or none would get beyond the first.
fn planned(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut unfinished = false;
    let (plans, _) = data.as_chunks::<4>();
    // As many as say something; more only take time.
    for &[first, length, wrong, seed] in plans.iter().take(64) {
        let mut first = (first & 0x80) | [1, 2, 1, 2, 9, 10, 8, 1][usize::from(first % 8)];
        if first & 8 != 0 {
            first |= 0x80;
        } else {
            first &= if unfinished { 0x80 } else { 0xff };
            unfinished = first & 0x80 == 0;
        }
        if wrong < 8 {
            first ^= 1 << (wrong % 8);
        }
        let payload = match first & 0x0f {
            8 if seed % 2 == 0 => vec![],
            8 => [
                &1000_u16.to_be_bytes()[..],
                &b"gone"[..usize::from(seed) % 5],
            ]
            .concat(),
            9 | 10 => vec![seed; usize::from(length) % 126],
            _ => vec![seed & if wrong == 8 { 0xff } else { 0x7f }; usize::from(length)],
        };
        bytes.push(first);
        let mask_bit = if wrong == 9 { 0 } else { 0x80 };
        match u8::try_from(payload.len()) {
            Ok(short @ ..=125) => bytes.push(mask_bit | short),
            _ => {
                bytes.push(mask_bit | 126);
                bytes.extend((payload.len() as u16).to_be_bytes());
            }
        }
        let mask = [seed, 0, seed ^ 0x55, 7];
        bytes.extend(mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
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
