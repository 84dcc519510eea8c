//! The messages of the data channel establishment protocol (RFC 8832 §5): OPEN and ACK.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::options::{ChannelOptions, Reliability};

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;
/// Type, channel type, priority, reliability parameter, both lengths (RFC 8832 §5.1).
const OPEN_HEADER: usize = 12;
/// The bit of the channel type that says unordered.
const UNORDERED: u8 = 0x80;

/// A message of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dcep {
    Open(ChannelOptions),
    Ack,
}

impl Dcep {
    /// `None` if it is malformed or of a type that does not exist.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match *bytes.first()? {
            OPEN => parse_open(bytes).map(Self::Open),
            ACK => Some(Self::Ack),
            _ => None,
        }
    }

    pub(super) fn ack() -> Bytes {
        Bytes::from_static(&[ACK])
    }

    /// Label and protocol are no longer than 65,535 bytes: `ChannelOptions::check` saw to it.
    pub(super) fn open(options: &ChannelOptions) -> Bytes {
        let (kind, parameter) = match options.reliability {
            Reliability::Reliable => (0, 0),
            Reliability::MaxRetransmits(times) => (1, u32::from(times)),
            Reliability::MaxLifetime(time) => {
                (2, u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
            }
        };
        let (label, protocol) = (options.label.as_bytes(), options.protocol.as_bytes());
        let mut bytes = BytesMut::with_capacity(OPEN_HEADER + label.len() + protocol.len());
        bytes.put_u8(OPEN);
        bytes.put_u8(if options.ordered {
            kind
        } else {
            kind | UNORDERED
        });
        bytes.put_u16(options.priority);
        bytes.put_u32(parameter);
        bytes.put_u16(label.len() as u16);
        bytes.put_u16(protocol.len() as u16);
        bytes.put_slice(label);
        bytes.put_slice(protocol);
        bytes.freeze()
    }
}

fn parse_open(bytes: &[u8]) -> Option<ChannelOptions> {
    let (header, text) = bytes.split_first_chunk::<OPEN_HEADER>()?;
    let &[_, kind, p0, p1, r0, r1, r2, r3, l0, l1, q0, q1] = header;
    let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
    let reliability = match kind & !UNORDERED {
        0 => Reliability::Reliable,
        // The W3C's attribute has 16 bits; who asks for more means as good as always.
        1 => Reliability::MaxRetransmits(u16::try_from(parameter).unwrap_or(u16::MAX)),
        2 => Reliability::MaxLifetime(Duration::from_millis(u64::from(parameter))),
        _ => return None,
    };
    let (label, protocol) = text.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    let protocol = protocol.get(..usize::from(u16::from_be_bytes([q0, q1])))?;
    Some(ChannelOptions {
        label: std::str::from_utf8(label).ok()?.to_owned(),
        protocol: std::str::from_utf8(protocol).ok()?.to_owned(),
        ordered: kind & UNORDERED == 0,
        reliability,
        negotiated: None,
        priority: u16::from_be_bytes([p0, p1]),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_six_types_are_those_of_rfc_8832() {
        let lifetime = Reliability::MaxLifetime(Duration::from_millis(700));
        for (kind, ordered, reliability, parameter) in [
            (0x00, true, Reliability::Reliable, 0),
            (0x80, false, Reliability::Reliable, 0),
            (0x01, true, Reliability::MaxRetransmits(3), 3),
            (0x81, false, Reliability::MaxRetransmits(3), 3),
            (0x02, true, lifetime, 700),
            (0x82, false, lifetime, 700),
        ] {
            let options = ChannelOptions {
                ordered,
                reliability,
                ..ChannelOptions::labeled("ab")
            };
            let bytes = Dcep::open(&options);
            let [p0, p1, p2, p3] = u32::to_be_bytes(parameter);
            assert_eq!(
                bytes[..],
                [3, kind, 1, 0, p0, p1, p2, p3, 0, 2, 0, 0, b'a', b'b']
            );
            assert_eq!(Dcep::parse(&bytes), Some(Dcep::Open(options)));
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let bytes = Dcep::open(&ChannelOptions {
            protocol: "p".into(),
            ..ChannelOptions::labeled("label")
        });
        for length in 0..bytes.len() {
            assert_eq!(Dcep::parse(&bytes[..length]), None, "cut to {length}");
        }
        let spoiled = |at: usize, byte: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = byte;
            Dcep::parse(&bytes)
        };
        assert_eq!(spoiled(0, 0x04), None, "no such message");
        assert_eq!(spoiled(1, 0x03), None, "no such channel type");
        assert_eq!(spoiled(1, 0x7f), None, "no such channel type");
        assert_eq!(spoiled(12, 0xff), None, "a label that is not UTF-8");
    }

    #[test]
    fn more_retransmits_than_fit_are_as_many_as_fit() {
        let mut bytes = Dcep::open(&ChannelOptions {
            reliability: Reliability::MaxRetransmits(0),
            ..ChannelOptions::labeled("")
        })
        .to_vec();
        bytes[4] = 1;
        let Some(Dcep::Open(options)) = Dcep::parse(&bytes) else {
            panic!("well formed")
        };
        assert_eq!(options.reliability, Reliability::MaxRetransmits(u16::MAX));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut open = bytes.clone();
            open.insert(0, OPEN);
            let _ = Dcep::parse(&bytes);
            if let Some(Dcep::Open(options)) = Dcep::parse(&open) {
                prop_assert_eq!(Dcep::parse(&Dcep::open(&options)), Some(Dcep::Open(options)));
            }
        }
    }
}
