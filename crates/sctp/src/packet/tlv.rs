//! Type, length, value: the shape that parameters and error causes share (RFC 9260 §3.2.1, §3.3.10).

use super::ParseError;

/// Length of the type and length fields of chunks, parameters and causes alike.
pub(super) const HEADER: usize = 4;

/// One parameter or cause, not yet understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tlv<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
    /// The whole of it as it came, without padding: what a report quotes.
    pub(crate) bytes: &'a [u8],
}

/// Walks a list of them; ends after the first error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tlvs<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let list = std::mem::take(&mut self.0);
        if list.is_empty() {
            return None;
        }
        let Some((&[k0, k1, l0, l1], _)) = list.split_first_chunk::<HEADER>() else {
            return Some(Err(ParseError::Parameter(0)));
        };
        let kind = u16::from_be_bytes([k0, k1]);
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(value) = list.get(HEADER..length) else {
            return Some(Err(ParseError::Parameter(kind)));
        };
        let bytes = &list[..length];
        self.0 = list.get(padded(length)..).unwrap_or_default();
        Some(Ok(Tlv { kind, value, bytes }))
    }
}

/// The length with its padding (RFC 9260 §3.2).
pub(super) const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Appends one, padded; `write` appends the value.
pub(super) fn write(buffer: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&kind.to_be_bytes());
    buffer.extend_from_slice(&[0; 2]);
    write(buffer);
    finish(buffer, start);
}

/// Fills in the length of what was begun at `start`, then pads it.
pub(super) fn finish(buffer: &mut Vec<u8>, start: usize) {
    let length = buffer.len() - start;
    // What is longer than a length field can say never passes a packet's limit; the writer takes it back.
    let field = u16::try_from(length).unwrap_or(u16::MAX);
    buffer[start + 2..start + 4].copy_from_slice(&field.to_be_bytes());
    buffer.resize(start + padded(length), 0);
}

/// A big-endian number at the front.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

/// A big-endian number at the front.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*number))
}
