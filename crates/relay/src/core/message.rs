//! STUN messages (RFC 8489 §5, §14): a reader that borrows and a writer that appends, for what a relay needs of them.
//!
//! Our own rather than a crate's, because this is where strangers' bytes come in at the rate of a link: no allocation, no lock, and
//! nothing is logged about what does not parse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, Mac};
use sha1::Sha1;

/// RFC 8489 §5.
pub(super) const COOKIE: u32 = 0x2112_a442;
pub(super) const HEADER: usize = 20;
/// What FINGERPRINT is xored with (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const HMAC: usize = 20;

/// Attribute types (RFC 8489 §18.3, RFC 8656 §18).
pub(super) mod attribute {
    pub(in super::super) const USERNAME: u16 = 0x0006;
    pub(in super::super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(in super::super) const ERROR_CODE: u16 = 0x0009;
    pub(in super::super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(in super::super) const CHANNEL_NUMBER: u16 = 0x000c;
    pub(in super::super) const LIFETIME: u16 = 0x000d;
    pub(in super::super) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(in super::super) const DATA: u16 = 0x0013;
    pub(in super::super) const REALM: u16 = 0x0014;
    pub(in super::super) const NONCE: u16 = 0x0015;
    pub(in super::super) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(in super::super) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub(in super::super) const EVEN_PORT: u16 = 0x0018;
    pub(in super::super) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(in super::super) const DONT_FRAGMENT: u16 = 0x001a;
    pub(in super::super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(in super::super) const RESERVATION_TOKEN: u16 = 0x0022;
    pub(in super::super) const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub(in super::super) const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub(in super::super) const FINGERPRINT: u16 = 0x8028;

    /// Comprehension-required attributes that are understood; any other below 0x8000 is answered with 420.
    pub(super) const UNDERSTOOD: [u16; 13] = [
        USERNAME,
        MESSAGE_INTEGRITY,
        CHANNEL_NUMBER,
        LIFETIME,
        XOR_PEER_ADDRESS,
        DATA,
        REALM,
        NONCE,
        REQUESTED_ADDRESS_FAMILY,
        EVEN_PORT,
        REQUESTED_TRANSPORT,
        DONT_FRAGMENT,
        RESERVATION_TOKEN,
    ];
}

/// RFC 8489 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// Methods (RFC 8489 §18.2, RFC 8656 §17).
pub(super) mod method {
    pub(in super::super) const BINDING: u16 = 0x001;
    pub(in super::super) const ALLOCATE: u16 = 0x003;
    pub(in super::super) const REFRESH: u16 = 0x004;
    pub(in super::super) const SEND: u16 = 0x006;
    pub(in super::super) const DATA: u16 = 0x007;
    pub(in super::super) const CREATE_PERMISSION: u16 = 0x008;
    pub(in super::super) const CHANNEL_BIND: u16 = 0x009;
}

pub(super) type Transaction = [u8; 12];

/// The long-term key, MD5(username ":" realm ":" password) (RFC 8489 §9.2.2).
pub(super) type Key = [u8; 16];

/// One message as it lies in the datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) class: Class,
    pub(super) method: u16,
    pub(super) transaction: Transaction,
    bytes: &'a [u8],
    /// Where the attributes that count end: what follows MESSAGE-INTEGRITY is ignored (RFC 8489 §14.5), for nobody vouches for it.
    end: usize,
    integrity: Option<usize>,
}

impl<'a> Message<'a> {
    /// `None`: not STUN, cut short, longer than it says, or with a FINGERPRINT that is wrong.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if kind >> 14 != 0
            || header[4..8] != COOKIE.to_be_bytes()
            || !length.is_multiple_of(4)
            || HEADER + length != bytes.len()
        {
            return None;
        }
        let class = match (kind >> 8 & 1, kind >> 4 & 1) {
            (0, 0) => Class::Request,
            (0, _) => Class::Indication,
            (_, 0) => Class::Success,
            _ => Class::Error,
        };
        let mut message = Self {
            class,
            method: kind & 0xf | kind >> 1 & 0x70 | kind >> 2 & 0xf80,
            transaction: *header.last_chunk()?,
            bytes,
            end: bytes.len(),
            integrity: None,
        };
        message.find_end()?;
        Some(message)
    }

    /// Walks all attributes once: each must fit, MESSAGE-INTEGRITY ends those that count, FINGERPRINT is the last of all.
    fn find_end(&mut self) -> Option<()> {
        let mut offset = HEADER;
        while offset < self.bytes.len() {
            let (kind, value, next) = attribute_at(self.bytes, offset)?;
            if kind == attribute::FINGERPRINT {
                let covered = self.bytes.get(..offset)?;
                // The length in the header counts FINGERPRINT already, as the sender computed it: it is the last attribute.
                let expected = (crc32fast::hash(covered) ^ FINGERPRINT_XOR).to_be_bytes();
                if value != expected || next != self.bytes.len() {
                    return None;
                }
                self.end = self.end.min(offset);
            } else if kind == attribute::MESSAGE_INTEGRITY && self.integrity.is_none() {
                if value.len() != HMAC {
                    return None;
                }
                self.integrity = Some(offset);
                self.end = offset;
            }
            offset = next;
        }
        Some(())
    }

    /// The first attribute of this type.
    pub(super) fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        self.attributes()
            .find_map(|(kind, value)| (kind == wanted).then_some(value))
    }

    /// Type and value of each attribute that counts.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let (bytes, mut offset) = (self.bytes.get(..self.end).unwrap_or_default(), HEADER);
        std::iter::from_fn(move || {
            let (kind, value, next) = attribute_at(bytes, offset)?;
            offset = next;
            Some((kind, value))
        })
    }

    /// Comprehension-required attributes that are not understood (RFC 8489 §6.3.1).
    pub(super) fn not_understood(&self) -> impl Iterator<Item = u16> {
        self.attributes()
            .map(|(kind, _)| kind)
            .filter(|kind| *kind < 0x8000 && !attribute::UNDERSTOOD.contains(kind))
    }

    pub(super) fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether MESSAGE-INTEGRITY was made with this key; compared in constant time.
    pub(super) fn is_signed_with(&self, key: &[u8]) -> bool {
        let Some(offset) = self.integrity else {
            return false;
        };
        let Some((_, value, _)) = attribute_at(self.bytes, offset) else {
            return false;
        };
        hmac(key, self.bytes, offset).verify_slice(value).is_ok()
    }

    /// An address xored with cookie and transaction (RFC 8489 §14.2).
    pub(super) fn address(&self, value: &[u8]) -> Option<SocketAddr> {
        let [_, family, port_high, port_low, address @ ..] = value else {
            return None;
        };
        let port = u16::from_be_bytes([*port_high, *port_low]) ^ (COOKIE >> 16) as u16;
        let ip = match (family, address.len()) {
            (1, 4) => {
                let bits = u32::from_be_bytes(address.try_into().ok()?);
                IpAddr::V4(Ipv4Addr::from_bits(bits ^ COOKIE))
            }
            (2, 16) => {
                let bits = u128::from_be_bytes(address.try_into().ok()?);
                IpAddr::V6(Ipv6Addr::from_bits(bits ^ mask(&self.transaction)))
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

/// Type, value and the offset of the next; `None` at the end, and where it does not fit.
fn attribute_at(bytes: &[u8], offset: usize) -> Option<(u16, &[u8], usize)> {
    let rest = bytes.get(offset..)?;
    let [kind_high, kind_low, length_high, length_low, rest @ ..] = rest else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    let padded = length.next_multiple_of(4);
    // The padding must be there, whatever is in it.
    rest.get(..padded)?;
    Some((
        u16::from_be_bytes([*kind_high, *kind_low]),
        rest.get(..length)?,
        offset + 4 + padded,
    ))
}

/// HMAC-SHA1 over what stands before `offset`, with a length that ends behind MESSAGE-INTEGRITY (RFC 8489 §14.5).
fn hmac(key: &[u8], bytes: &[u8], offset: usize) -> Hmac<Sha1> {
    let mut hmac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    let length = (offset - HEADER + 4 + HMAC) as u16;
    hmac.update(&bytes[..2]);
    hmac.update(&length.to_be_bytes());
    hmac.update(&bytes[4..offset]);
    hmac
}

fn mask(transaction: &Transaction) -> u128 {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction);
    u128::from_be_bytes(mask)
}

/// Appends one message to a buffer.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    transaction: Transaction,
}

impl<'a> Writer<'a> {
    pub(super) fn start(
        out: &'a mut Vec<u8>,
        class: Class,
        method: u16,
        transaction: Transaction,
    ) -> Self {
        let start = out.len();
        let class = match class {
            Class::Request => 0,
            Class::Indication => 0x010,
            Class::Success => 0x100,
            Class::Error => 0x110,
        };
        let kind = method & 0xf | (method & 0x70) << 1 | (method & 0xf80) << 2 | class;
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&COOKIE.to_be_bytes());
        out.extend_from_slice(&transaction);
        Self {
            out,
            start,
            transaction,
        }
    }

    /// The length in the header, if the message ended `more` bytes from here.
    fn set_length(&mut self, more: usize) {
        let length = (self.out.len() - self.start - HEADER + more) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out
            .extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.out.extend_from_slice(value);
        let padding = value.len().next_multiple_of(4) - value.len();
        self.out.extend_from_slice(&[0; 3][..padding]);
    }

    pub(super) fn address(&mut self, kind: u16, address: SocketAddr) {
        let port = (address.port() ^ (COOKIE >> 16) as u16).to_be_bytes();
        let mut value = [
            0, 0, port[0], port[1], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        match address.ip() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                value[4..8].copy_from_slice(&(ip.to_bits() ^ COOKIE).to_be_bytes());
                self.attribute(kind, &value[..8]);
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                let bits = ip.to_bits() ^ mask(&self.transaction);
                value[4..].copy_from_slice(&bits.to_be_bytes());
                self.attribute(kind, &value);
            }
        }
    }

    /// ERROR-CODE (RFC 8489 §14.8). The reason is for people, and may be empty.
    pub(super) fn error(&mut self, code: u16, reason: &str) {
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(attribute::ERROR_CODE, &value);
    }

    pub(super) fn finish(mut self) {
        self.set_length(0);
    }

    /// Adds MESSAGE-INTEGRITY and ends.
    pub(super) fn finish_signed(mut self, key: &Key) {
        self.set_length(4 + HMAC);
        let message = &self.out[self.start..];
        let code = hmac(key, message, message.len()).finalize().into_bytes();
        self.attribute(attribute::MESSAGE_INTEGRITY, &code);
    }
}

#[cfg(test)]
mod tests;
