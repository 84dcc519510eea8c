//! WebSocket frames as a client writes and reads them (RFC 6455 §5), wrong ones included.

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;
/// The bit of a message's last frame.
pub(crate) const FIN: u8 = 0x80;

/// Of a compressed message (RFC 7692 §6), which nobody agreed on here.
pub(crate) const RSV1: u8 = 0x40;

/// What the server sent, whole.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// A masked frame. `first` is its first byte: opcode, [`FIN`] and reserved bits, as the test wants them.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    let mask: [u8; 4] = [0x5A, 0xC3, 0x17, 0x88];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// The header of a masked frame of `length` bytes, without the mask: so a frame can be announced and never sent.
pub(crate) fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}

/// Takes the first whole frame off `bytes`.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
    let (start, end) = extent(bytes)?;
    let opcode = bytes[0] & 0x0F;
    let payload = bytes[start..end].to_vec();
    bytes.drain(..end);
    Some(Frame { opcode, payload })
}

/// Where the payload of the first frame lies, when it has come whole; servers do not mask (RFC 6455 §5.1).
fn extent(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *bytes.get(1)? {
        126 => (
            4,
            u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short @ 0..=125 => (2, short.into()),
        _ => panic!("a masked frame from the server"),
    };
    let end = start + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some((start, end))
}
