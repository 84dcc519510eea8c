//! Packets byte by byte, and what is written read again.

use super::*;
use crate::tsn::Tsn;

/// A packet written by `write`, without a limit to speak of.
fn packet(write: impl FnOnce(&mut PacketWriter<'_>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 5000, 5000, 0x0102_0304, 2000);
    write(&mut writer);
    writer.finish(true);
    buffer
}

#[test]
fn data_is_written_as_rfc_9260_draws_it() {
    let data = Data {
        tsn: Tsn(0x1122_3344),
        stream: 0x0506,
        unordered: false,
        beginning: true,
        ending: true,
        immediate: false,
        order: Order::Sequence { ssn: 0x0708 },
        ppid: 51,
        payload: b"hello",
    };
    let bytes = packet(|writer| assert!(writer.data(&data)));
    let (header, chunk) = bytes.split_at(COMMON_HEADER);
    assert_eq!(&header[..8], [0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4]);
    let drawn = [
        0, 3, 0, 21, 0x11, 0x22, 0x33, 0x44, 5, 6, 7, 8, 0, 0, 0, 51, b'h', b'e', b'l', b'l', b'o',
        0, 0, 0,
    ];
    assert_eq!(chunk, drawn);
    let packet = Packet::parse(&bytes, ChecksumPolicy::Required).expect("the checksum is right");
    assert_eq!(packet.tag, 0x0102_0304);
    assert!(packet.chunks().eq([Ok(Chunk::Data(data))]));
}

#[test]
fn a_wrong_checksum_is_refused_and_zero_taken_only_where_agreed() {
    let bytes = packet(|writer| assert!(writer.cookie_ack()));
    for byte in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[byte] ^= 0x40;
        let parsed = Packet::parse(&broken, ChecksumPolicy::ZeroAllowed);
        assert_eq!(parsed, Err(ParseError::Checksum), "byte {byte}");
    }
    let mut zero = bytes;
    zero[8..12].fill(0);
    assert!(Packet::parse(&zero, ChecksumPolicy::ZeroAllowed).is_ok());
    let refused = Packet::parse(&zero, ChecksumPolicy::Required);
    assert_eq!(refused, Err(ParseError::Checksum));
}
