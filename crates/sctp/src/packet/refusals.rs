//! What is skipped, reported, or not taken for a packet at all.

use super::{reconfig::ReConfigs, *};

/// The two highest bits of a chunk type (RFC 9260 §3.2).
#[test]
fn unknown_chunks_are_skipped_or_end_the_packet_and_are_reported_as_their_type_says() {
    for (kind, stops, is_reported) in [
        (0x3F, true, false),
        (0x7F, true, true),
        (0x9F, false, false),
        (0xDF, false, true),
    ] {
        let bytes = [kind, 7, 0, 5, 9, 0xAA, 0xAA, 0xAA, 11, 0, 0, 4];
        let mut chunks = Chunks::new(&bytes);
        let Some(Ok(Chunk::Unknown(unknown))) = chunks.next() else {
            panic!("nobody knows {kind}");
        };
        assert_eq!(unknown.bytes, [kind, 7, 0, 5, 9]);
        assert_eq!(
            (unknown.stops(), unknown.is_reported()),
            (stops, is_reported)
        );
        assert_eq!(chunks.next(), (!stops).then_some(Ok(Chunk::CookieAck)));
    }
}

/// The two highest bits of a parameter type (RFC 9260 §3.2.1).
#[test]
fn unknown_parameters_are_skipped_or_end_the_list_and_are_reported_as_their_type_says() {
    for (high, stops, is_reported) in [
        (0x3F, true, false),
        (0x7F, true, true),
        (0xBF, false, false),
        (0xFF, false, true),
    ] {
        let bytes = [high, 0, 0, 6, 1, 2, 0xAA, 0xAA, 0xC0, 0, 0, 4];
        let mut list = Parameters::new(&bytes);
        let Some(Ok(Parameter::Unknown(unknown))) = list.next() else {
            panic!("nobody knows {high}");
        };
        assert_eq!((unknown.value, unknown.bytes), (&bytes[4..6], &bytes[..6]));
        assert_eq!(
            (unknown.stops(), unknown.is_reported()),
            (stops, is_reported)
        );
        let next = (!stops).then_some(Ok(Parameter::ForwardTsnSupported));
        assert_eq!(list.next(), next);
    }
}

#[test]
fn parameters_about_addresses_are_known_and_ignored() {
    let bytes = [
        0, 5, 0, 8, 127, 0, 0, 1, 0, 9, 0, 8, 0, 0, 0, 1, 0, 12, 0, 6, 0, 5, 0, 0, 0x80, 8, 0, 5,
        130,
    ];
    let list = Parameters::new(&bytes);
    let last = Ok(Parameter::SupportedExtensions(&[130]));
    assert!(list.eq([
        Ok(Parameter::Ignored),
        Ok(Parameter::Ignored),
        Ok(Parameter::Ignored),
        last
    ]));
    let mut name = Parameters::new(&[0, 11, 0, 8, b'h', b'o', b's', b't']);
    assert_eq!(name.next(), Some(Ok(Parameter::HostName(b"host"))));
}

#[test]
fn a_chunk_that_lacks_what_it_must_have_is_refused() {
    let chunk = |kind| Err(ParseError::Chunk(kind));
    let length = |kind, length| Err(ParseError::ChunkLength { kind, length });
    for (bytes, error) in [
        (&[0, 3, 0][..], chunk(0)),
        (&[0, 3, 0, 3], length(0, 3)),
        (&[0, 3, 0, 0], length(0, 0)),
        (&[11, 0, 0, 5], length(11, 5)),
        (&[0, 3, 0, 15, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], chunk(0)),
        (
            &[64, 3, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            chunk(64),
        ),
        (&[1, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], chunk(1)),
        (&[3, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0], chunk(3)),
        (&[3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0], chunk(3)),
        (&[3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], chunk(3)),
        (&[4, 0, 0, 4], chunk(4)),
        (&[4, 0, 0, 8, 0, 2, 0, 4], chunk(4)),
        (&[4, 0, 0, 8, 0, 1, 0, 5], chunk(4)),
        (&[4, 0, 0, 8, 0, 1, 0, 3], chunk(4)),
        (&[7, 0, 0, 7, 0, 0, 0], chunk(7)),
        (&[192, 0, 0, 10, 0, 0, 0, 1, 0, 0], chunk(192)),
        (&[194, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0], chunk(194)),
        (&[11, 0, 0, 4, 11, 0, 0, 4], chunk(11)),
    ] {
        assert_eq!(Chunk::parse(bytes), error, "{bytes:?}");
    }
}

#[test]
fn a_list_ends_at_what_cannot_be_read() {
    fn broken<T>(kind: u16) -> Option<Result<T, ParseError>> {
        Some(Err(ParseError::Parameter(kind)))
    }
    for (bytes, kind) in [
        (&[0x80, 1, 0, 7, 0, 0, 0, 0, 0xC0, 0, 0, 4][..], 0x8001),
        (&[0xC0, 0, 0, 3, 0xC0, 0, 0, 4], 0xC000),
        (&[0xC0, 0, 0, 5], 0xC000),
        (&[0xC0, 0], 0),
    ] {
        let mut list = Parameters::new(bytes);
        assert_eq!(list.next(), broken(kind), "{bytes:?}");
        assert_eq!(list.next(), None);
    }
    let mut list = ReConfigs(&[0, 13, 0, 17, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7, 0, 0, 0]);
    assert_eq!(list.next(), broken(13));
    assert_eq!(list.next(), None);
    let mut list = Causes(&[0, 2, 0, 10, 0, 0, 0, 2, 0, 7, 0, 0]);
    assert_eq!(list.next(), broken(2));
    assert_eq!(list.next(), None);
}

#[test]
fn the_last_padding_may_be_missing_and_no_padding_is_looked_at() {
    let bytes = [10, 0, 0, 5, 1, 0xFF, 0xFF, 0xFF, 10, 0, 0, 5, 2];
    let cookies = Chunks::new(&bytes);
    assert!(cookies.eq([Ok(Chunk::CookieEcho(&[1])), Ok(Chunk::CookieEcho(&[2]))]));
}

#[test]
fn a_wrong_checksum_is_refused_and_zero_taken_only_where_agreed() {
    let mut bytes = Vec::new();
    let mut writer = PacketWriter::start(&mut bytes, 5000, 5000, 7, 100);
    assert!(writer.cookie_ack());
    writer.finish(true);
    for byte in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[byte] ^= 0x40;
        let parsed = Packet::parse(&broken, ChecksumPolicy::ZeroAllowed);
        assert_eq!(parsed, Err(ParseError::Checksum), "byte {byte}");
    }
    bytes[8..12].fill(0);
    assert!(Packet::parse(&bytes, ChecksumPolicy::ZeroAllowed).is_ok());
    let refused = Packet::parse(&bytes, ChecksumPolicy::Required);
    assert_eq!(refused, Err(ParseError::Checksum));
    let short = Packet::parse(&bytes[..11], ChecksumPolicy::ZeroAllowed);
    assert_eq!(short, Err(ParseError::Packet(11)));
}
