//! Messages in a stream: STUN and ChannelData one behind the other, ChannelData padded to four bytes (RFC 8656 §12.5).

use super::message::{COOKIE, HEADER};

/// The stream holds something that is neither STUN nor ChannelData: there is no way to find the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither STUN nor ChannelData")]
pub struct NotTurn;

/// Bytes of a stream that are not yet whole messages.
#[derive(Debug, Default)]
pub struct Framing {
    bytes: Vec<u8>,
    /// Where the next message begins.
    start: usize,
}

impl Framing {
    /// Where the next bytes of the stream are to be put; call [`next`](Self::next) until it has none before asking again.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        &mut self.bytes
    }

    /// The next whole message, ChannelData without its padding; `None`: more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`NotTurn`]; nothing more can be read.
    #[expect(clippy::should_implement_trait, reason = "what it returns is borrowed")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, NotTurn> {
        let rest = &self.bytes[self.start..];
        let [first, _, length_high, length_low, tail @ ..] = rest else {
            return match rest.first() {
                Some(first) if first >> 6 > 1 => Err(NotTurn),
                _ => Ok(None),
            };
        };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let (length, taken) = match first >> 6 {
            // A wrong cookie is told at once: what follows would be waited for in vain.
            0 if tail.len() >= 4 && tail[..4] != COOKIE.to_be_bytes() => return Err(NotTurn),
            0 if !length.is_multiple_of(4) => return Err(NotTurn),
            0 => (HEADER + length, HEADER + length),
            1 => (4 + length, 4 + length.next_multiple_of(4)),
            _ => return Err(NotTurn),
        };
        if rest.len() < taken {
            return Ok(None);
        }
        let start = self.start;
        self.start += taken;
        Ok(Some(&self.bytes[start..start + length]))
    }
}

/// Whole messages written one behind the other, each with its padding.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let [first, _, length_high, length_low, ..] = bytes else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let header = if first >> 6 == 0 { HEADER } else { 4 };
        let whole = (header + length).next_multiple_of(4).min(bytes.len());
        let (message, rest) = bytes.split_at(whole);
        bytes = rest;
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel_data(length: usize, padding: u8) -> Vec<u8> {
        let mut bytes = vec![0x40, 1, (length >> 8) as u8, length as u8];
        bytes.extend((0..length).map(|at| at as u8));
        bytes.extend(vec![padding; length.next_multiple_of(4) - length]);
        bytes
    }

    fn stun(attributes: usize) -> Vec<u8> {
        let mut bytes = vec![
            0,
            1,
            (attributes >> 8) as u8,
            attributes as u8,
            0x21,
            0x12,
            0xa4,
            0x42,
        ];
        bytes.extend(vec![7; 12 + attributes]);
        bytes
    }

    #[test]
    fn a_million_messages_of_every_length_in_pieces_of_every_size_stay_in_step() {
        let mut framing = Framing::default();
        let mut expected = std::collections::VecDeque::new();
        let (mut stream, mut sent, mut taken) = (Vec::new(), 0u32, 0u32);
        let mut piece = 1;
        while taken < 1_000_000 {
            while stream.len() < 70_000 {
                let length = sent as usize % 37;
                let message = if sent % 11 == 0 {
                    stun(length / 4 * 4)
                } else {
                    channel_data(length, 0xc0)
                };
                let whole = if sent % 11 == 0 {
                    message.len()
                } else {
                    4 + length
                };
                expected.push_back(message[..whole].to_vec());
                stream.extend(message);
                sent += 1;
            }
            // One byte at a time for a while, then ever larger pieces, then again.
            let mut rest = &stream[..];
            for _ in 0..2_000 {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                rest = later;
                framing.space().extend_from_slice(now);
                while let Some(message) = framing.next().unwrap() {
                    assert_eq!(expected.pop_front().as_deref(), Some(message));
                    taken += 1;
                }
            }
            stream = rest.to_vec();
            piece = piece % 61 + 1;
        }
    }

    #[test]
    fn what_is_no_turn_ends_the_stream_as_soon_as_it_shows() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"\x80",
            b"\xff",
            b"\x00\x01\x00\x00\x21\x12\xa4\x43",
            b"\x00\x01\x00\x01\x21\x12\xa4\x42",
        ] {
            let mut framing = Framing::default();
            framing.space().extend_from_slice(bytes);
            // The letter G has the first bits of ChannelData, of a length that only a fuzzer sends.
            let waits = bytes[0] == b'G';
            assert_eq!(
                framing.next(),
                if waits { Ok(None) } else { Err(NotTurn) },
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn written_messages_are_told_apart_again() {
        let written = [
            channel_data(5, 0),
            stun(8),
            channel_data(0, 0),
            stun(0),
            channel_data(8, 0),
        ];
        assert!(messages(&written.concat()).eq(written.iter().map(Vec::as_slice)));
    }

    #[test]
    fn the_longest_message_fits() {
        let mut framing = Framing::default();
        let longest = channel_data(0xffff, 1);
        framing
            .space()
            .extend_from_slice(&longest[..longest.len() - 1]);
        assert_eq!(framing.next(), Ok(None));
        framing.space().push(1);
        assert_eq!(framing.next(), Ok(Some(&longest[..4 + 0xffff])));
        assert_eq!(framing.next(), Ok(None));
    }
}
