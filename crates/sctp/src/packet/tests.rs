//! Packets byte by byte, drawn by hand from the RFCs.

use super::*;
use crate::tsn::Tsn;

/// Chunks written by `write`, without the common header.
fn written(write: impl FnOnce(&mut PacketWriter<'_>) -> bool) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 5000, 5000, 0x0102_0304, 2000);
    assert!(write(&mut writer), "there is room");
    writer.finish(true);
    buffer.split_off(COMMON_HEADER)
}

/// The only chunk there is.
fn only(bytes: &[u8]) -> Chunk<'_> {
    Chunk::parse(bytes).expect("a chunk drawn by hand")
}

/// The chunk is written as drawn, and what was drawn is read as the chunk.
fn drawn(chunk: Chunk<'_>, bytes: &[u8]) {
    assert_eq!(only(bytes), chunk);
    let again = written(|writer| properties::write(writer, &chunk));
    assert_eq!(again, bytes);
}

fn data(payload: &[u8], order: Order) -> Data<'_> {
    Data {
        tsn: Tsn(0x1122_3344),
        stream: 0x0506,
        unordered: false,
        beginning: true,
        ending: true,
        immediate: false,
        order,
        ppid: 51,
        payload,
    }
}

#[test]
fn common_header_of_rfc_9260_3_1() {
    let mut buffer = b"before".to_vec();
    let mut writer = PacketWriter::start(&mut buffer, 5000, 5001, 0x0102_0304, 1188);
    assert!(writer.is_empty());
    assert_eq!(writer.room(), 1188 - 12);
    assert!(writer.cookie_ack());
    assert_eq!((writer.room(), writer.len()), (1188 - 16, 16));
    assert_eq!(writer.finish(true), 16);
    let bytes = &buffer[6..];
    let sum = crc32c::crc32c(&[0x13, 0x88, 0x13, 0x89, 1, 2, 3, 4, 0, 0, 0, 0, 11, 0, 0, 4]);
    assert_eq!(&bytes[..8], [0x13, 0x88, 0x13, 0x89, 1, 2, 3, 4]);
    // Lowest byte first (RFC 9260 appendix A).
    assert_eq!(bytes[8..12], sum.to_le_bytes());
    assert_eq!(bytes[12..], [11, 0, 0, 4]);
    let packet = Packet::parse(bytes, ChecksumPolicy::Required).expect("the checksum is right");
    assert_eq!((packet.source_port, packet.destination_port), (5000, 5001));
    assert_eq!(packet.tag, 0x0102_0304);
    assert!(packet.chunks().eq([Ok(Chunk::CookieAck)]));
}

/// Against the definition, bit by bit: not the library's own idea of it.
#[test]
fn checksum_is_the_crc32c_of_rfc_9260_appendix_a() {
    // The check value of CRC-32C (Castagnoli) for the digits, in every catalogue of CRCs.
    assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
    let mut packet = [0; 16];
    packet[12..].copy_from_slice(&[11, 0, 0, 4]);
    let bitwise = packet.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0x82F6_3B78 & (sum & 1).wrapping_neg())
        })
    });
    assert_eq!(checksum(&packet), (!bitwise).to_le_bytes());
}

#[test]
fn data_of_rfc_9260_3_3_1() {
    let hello = data(b"hello", Order::Sequence { ssn: 0x0708 });
    let bytes = [
        0, 3, 0, 21, 0x11, 0x22, 0x33, 0x44, 5, 6, 7, 8, 0, 0, 0, 51, b'h', b'e', b'l', b'l', b'o',
        0, 0, 0,
    ];
    drawn(Chunk::Data(hello), &bytes);
    for (flags, change) in [
        (0b0001, (false, false, true, false)),
        (0b0010, (false, true, false, false)),
        (0b0111, (true, true, true, false)),
        (0b1011, (false, true, true, true)),
    ] {
        let mut bytes = bytes;
        bytes[1] = flags;
        let (unordered, beginning, ending, immediate) = change;
        let changed = Data {
            unordered,
            beginning,
            ending,
            immediate,
            ..hello
        };
        drawn(Chunk::Data(changed), &bytes);
    }
}

#[test]
fn i_data_of_rfc_8260_2_1() {
    let mid = 0x0A0B_0C0D;
    let first = data(b"hell", Order::Interleaved { mid, fsn: 0 });
    let bytes = [
        64, 3, 0, 24, 0x11, 0x22, 0x33, 0x44, 5, 6, 0, 0, 10, 11, 12, 13, 0, 0, 0, 51, b'h', b'e',
        b'l', b'l',
    ];
    drawn(Chunk::Data(first), &bytes);
    let third = Data {
        beginning: false,
        ppid: 0,
        order: Order::Interleaved { mid, fsn: 2 },
        ..first
    };
    let mut bytes = bytes;
    (bytes[1], bytes[19]) = (1, 2);
    drawn(Chunk::Data(third), &bytes);
}

#[test]
fn init_and_init_ack_of_rfc_9260_3_3_2_with_the_parameters_of_webrtc() {
    let init = Init {
        tag: 0x0102_0304,
        window: 0x0010_0000,
        outbound_streams: 0xFFFF,
        inbound_streams: 0x0400,
        initial_tsn: Tsn(0x0506_0708),
    };
    let extensions = [
        kind::RE_CONFIG,
        kind::FORWARD_TSN,
        kind::I_DATA,
        kind::I_FORWARD_TSN,
    ];
    let parameters = [
        Parameter::ForwardTsnSupported,
        Parameter::SupportedExtensions(&extensions),
        Parameter::ZeroChecksumAcceptable(ZERO_CHECKSUM_OVER_DTLS),
        Parameter::StateCookie(b"biscuit"),
        Parameter::Unrecognized(&[0xC1, 0, 0, 5, 9]),
    ];
    let mut bytes = vec![
        1, 0, 0, 69, 1, 2, 3, 4, 0, 0x10, 0, 0, 0xFF, 0xFF, 4, 0, 5, 6, 7, 8, // fixed
        0xC0, 0, 0, 4, 0x80, 8, 0, 8, 130, 192, 64, 194, 0x80, 1, 0, 8, 0, 0, 0,
        1, // extensions
        0, 7, 0, 11, b'b', b'i', b's', b'c', b'u', b'i', b't', 0, // cookie
        0, 8, 0, 9, 0xC1, 0, 0, 5, 9, 0, 0, 0, // unrecognized
    ];
    // The padding of the last parameter counts, as all that pads parameters does (RFC 9260 §3.2).
    bytes[3] = 64;
    for kind in [kind::INIT, kind::INIT_ACK] {
        bytes[0] = kind;
        let chunk = written(|writer| match kind {
            kind::INIT => writer.init(&init, &parameters),
            _ => writer.init_ack(&init, &parameters),
        });
        assert_eq!(chunk, bytes);
        let (Chunk::Init(read, list) | Chunk::InitAck(read, list)) = only(&bytes) else {
            panic!("it is an INIT or an INIT ACK");
        };
        assert_eq!(read, init);
        assert!(list.eq(parameters.map(Ok)));
    }
    let mut alone = Vec::new();
    write_init(&mut alone, &init, &parameters);
    bytes[0] = kind::INIT;
    assert_eq!(alone, bytes);
}

#[test]
fn sack_of_rfc_9260_3_3_4() {
    let bytes = [
        3, 0, 0, 28, 0, 0, 0, 9, 0, 1, 0, 0, 0, 2, 0, 1, 0, 2, 0, 3, 0, 5, 0, 5, 0, 0, 0, 8,
    ];
    let gaps = [(2, 3), (5, 5)];
    let sack = |writer: &mut PacketWriter<'_>| {
        writer.sack(Tsn(9), 65_536, gaps.into_iter(), [Tsn(8)].into_iter())
    };
    assert_eq!(written(sack), bytes);
    let Chunk::Sack(sack) = only(&bytes) else {
        panic!("it is a SACK");
    };
    assert_eq!((sack.cumulative, sack.window), (Tsn(9), 65_536));
    assert!(sack.gaps().eq(gaps));
    assert!(sack.duplicates().eq([Tsn(8)]));
}

#[test]
fn a_sack_tells_as_many_gaps_as_fit_and_then_as_many_duplicates() {
    let gaps = || (1..=1000).map(|n| (2 * n, 2 * n));
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 1190);
    assert!(writer.sack(Tsn(1), 0, gaps(), [Tsn(1)].into_iter()));
    assert_eq!(writer.room(), 0);
    assert_eq!(writer.finish(false), 1188);
    let Chunk::Sack(sack) = only(&buffer[COMMON_HEADER..]) else {
        panic!("it is a SACK");
    };
    assert!(sack.gaps().eq(gaps().take((1188 - 12 - 16) / 4)));
    assert_eq!(sack.duplicates().len(), 0);
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 12 + 16 + 12);
    assert!(writer.sack(Tsn(1), 0, gaps().take(2), [Tsn(7), Tsn(8)].into_iter()));
    writer.finish(false);
    let Chunk::Sack(sack) = only(&buffer[1188 + COMMON_HEADER..]) else {
        panic!("it is a SACK");
    };
    assert!(sack.gaps().eq(gaps().take(2)));
    assert!(sack.duplicates().eq([Tsn(7)]));
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 12 + 12);
    assert!(!writer.sack(Tsn(1), 0, gaps(), [].into_iter()));
    assert!(writer.is_empty());
}

#[test]
fn small_chunks_of_rfc_9260() {
    drawn(
        Chunk::Heartbeat(b"12345"),
        &[4, 0, 0, 13, 0, 1, 0, 9, 49, 50, 51, 52, 53, 0, 0, 0],
    );
    drawn(
        Chunk::HeartbeatAck(b"1234"),
        &[5, 0, 0, 12, 0, 1, 0, 8, 49, 50, 51, 52],
    );
    drawn(
        Chunk::Shutdown {
            cumulative: Tsn(0x0102_0304),
        },
        &[7, 0, 0, 8, 1, 2, 3, 4],
    );
    drawn(Chunk::ShutdownAck, &[8, 0, 0, 4]);
    drawn(
        Chunk::CookieEcho(b"biscuit"),
        &[10, 0, 0, 11, 98, 105, 115, 99, 117, 105, 116, 0],
    );
    drawn(Chunk::CookieAck, &[11, 0, 0, 4]);
    drawn(Chunk::ShutdownComplete { t_bit: false }, &[14, 0, 0, 4]);
    drawn(Chunk::ShutdownComplete { t_bit: true }, &[14, 1, 0, 4]);
    // RFC 4820 §3: of any length.
    drawn(Chunk::Pad, &[0x84, 0, 0, 8, 0, 0, 0, 0]);
}

#[test]
fn errors_of_rfc_9260_3_3_10() {
    let causes = [
        (Cause::InvalidStream(0x0102), vec![0, 1, 0, 8, 1, 2, 0, 0]),
        (
            Cause::MissingParameters(&[[0, 7], [0x80, 1], [0, 9]]),
            vec![0, 2, 0, 14, 0, 0, 0, 3, 0, 7, 0x80, 1, 0, 9, 0, 0],
        ),
        (Cause::StaleCookie(258), vec![0, 3, 0, 8, 0, 0, 1, 2]),
        (Cause::OutOfResource, vec![0, 4, 0, 4]),
        (
            Cause::UnresolvableAddress(b"host"),
            vec![0, 5, 0, 8, 104, 111, 115, 116],
        ),
        (
            Cause::UnrecognizedChunk(&[0xFE, 0, 0, 4]),
            vec![0, 6, 0, 8, 0xFE, 0, 0, 4],
        ),
        (Cause::InvalidParameter, vec![0, 7, 0, 4]),
        (
            Cause::UnrecognizedParameters(&[0xC1, 0, 0, 5, 9]),
            vec![0, 8, 0, 9, 0xC1, 0, 0, 5, 9, 0, 0, 0],
        ),
        (Cause::NoUserData(Tsn(7)), vec![0, 9, 0, 8, 0, 0, 0, 7]),
        (Cause::CookieWhileShuttingDown, vec![0, 10, 0, 4]),
        (
            Cause::RestartWithNewAddresses(&[0, 5, 0, 4]),
            vec![0, 11, 0, 8, 0, 5, 0, 4],
        ),
        (
            Cause::UserAbort(b"bye!"),
            vec![0, 12, 0, 8, 98, 121, 101, 33],
        ),
        (
            Cause::ProtocolViolation(b"no"),
            vec![0, 13, 0, 6, 110, 111, 0, 0],
        ),
    ];
    for (cause, bytes) in &causes {
        let length = u8::try_from(4 + bytes.len()).expect("a short one");
        let error = [&[9, 0, 0, length], bytes.as_slice()].concat();
        assert_eq!(written(|writer| writer.error(&[*cause])), error);
        let Chunk::Error(mut list) = only(&error) else {
            panic!("it is an ERROR");
        };
        assert_eq!(list.next(), Some(Ok(*cause)));
        assert_eq!(list.next(), None);
    }
    let abort = written(|writer| writer.abort(true, &[causes[12].0, causes[3].0]));
    assert_eq!(
        abort,
        [6, 1, 0, 16, 0, 13, 0, 6, 110, 111, 0, 0, 0, 4, 0, 4]
    );
    let Chunk::Abort(abort) = only(&abort) else {
        panic!("it is an ABORT");
    };
    assert!(abort.t_bit);
    assert!(abort.causes.eq([Ok(causes[12].0), Ok(causes[3].0)]));
    assert_eq!(written(|writer| writer.abort(false, &[])), [6, 0, 0, 4]);
}

#[test]
fn forward_tsn_of_rfc_3758_3_2_and_rfc_8260_2_3_1() {
    let bytes = [192, 0, 0, 16, 0, 0, 0, 9, 0, 1, 0, 7, 1, 0, 0xFF, 0xFF];
    let streams = [(1, 7), (256, 65_535)];
    let forward = |writer: &mut PacketWriter<'_>| writer.forward_tsn(Tsn(9), streams.into_iter());
    assert_eq!(written(forward), bytes);
    let Chunk::ForwardTsn(forward) = only(&bytes) else {
        panic!("it is a FORWARD TSN");
    };
    assert_eq!(forward.cumulative, Tsn(9));
    assert!(forward.streams().eq(streams));

    let bytes = [
        194, 0, 0, 24, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 7, 0, 2, 0, 1, 0, 1, 0, 0,
    ];
    let streams = [(1, false, 7), (2, true, 65_536)];
    let forward = |writer: &mut PacketWriter<'_>| writer.i_forward_tsn(Tsn(9), streams.into_iter());
    assert_eq!(written(forward), bytes);
    let Chunk::IForwardTsn(forward) = only(&bytes) else {
        panic!("it is an I-FORWARD-TSN");
    };
    assert_eq!(forward.cumulative, Tsn(9));
    assert!(forward.streams().eq(streams));
}

#[test]
fn re_config_of_rfc_6525_4() {
    let streams = Streams(&[[0, 1], [1, 2]]);
    let parameters = [
        (
            ReConfig::OutgoingReset {
                request: 1,
                response: 2,
                last_tsn: Tsn(3),
                streams,
            },
            vec![0, 13, 0, 20, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 1, 2],
        ),
        (
            ReConfig::IncomingReset {
                request: 1,
                streams: Streams(&[[0, 9]]),
            },
            vec![0, 14, 0, 10, 0, 0, 0, 1, 0, 9, 0, 0],
        ),
        (
            ReConfig::TsnReset { request: 1 },
            vec![0, 15, 0, 8, 0, 0, 0, 1],
        ),
        (
            ReConfig::Response {
                response: 1,
                result: ResetResult::InProgress,
                next_tsns: None,
            },
            vec![0, 16, 0, 12, 0, 0, 0, 1, 0, 0, 0, 6],
        ),
        (
            ReConfig::Response {
                response: 1,
                result: ResetResult::Performed,
                next_tsns: Some((Tsn(7), Tsn(8))),
            },
            vec![0, 16, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 8],
        ),
        (
            ReConfig::AddOutgoing {
                request: 1,
                streams: 258,
            },
            vec![0, 17, 0, 12, 0, 0, 0, 1, 1, 2, 0, 0],
        ),
        (
            ReConfig::AddIncoming {
                request: 1,
                streams: 258,
            },
            vec![0, 18, 0, 12, 0, 0, 0, 1, 1, 2, 0, 0],
        ),
    ];
    for (parameter, bytes) in &parameters {
        let length = u8::try_from(4 + bytes.len()).expect("a short one");
        let chunk = [&[130, 0, 0, length], bytes.as_slice()].concat();
        assert_eq!(written(|writer| writer.re_config(&[*parameter])), chunk);
        let Chunk::ReConfig(list) = only(&chunk) else {
            panic!("it is a RE-CONFIG");
        };
        assert!(list.eq([Ok(*parameter)]));
    }
    let two = [parameters[3].0, parameters[0].0];
    let bytes = written(|writer| writer.re_config(&two));
    let Chunk::ReConfig(list) = only(&bytes) else {
        panic!("it is a RE-CONFIG");
    };
    assert!(list.eq(two.map(Ok)));
    assert!(streams.iter().eq([1, 258]) && !streams.is_empty());
}

#[test]
fn init_and_cookie_echo_never_go_without_a_checksum() {
    let init = Init {
        tag: 1,
        window: 1,
        outbound_streams: 1,
        inbound_streams: 1,
        initial_tsn: Tsn(1),
    };
    type Write<'a> = &'a dyn Fn(&mut PacketWriter<'_>) -> bool;
    let chunks: [(Write<'_>, bool); 4] = [
        (&|writer| writer.init(&init, &[]), true),
        (&|writer| writer.cookie_echo(b"biscuit"), true),
        (&|writer| writer.init_ack(&init, &[]), false),
        (&|writer| writer.cookie_ack(), false),
    ];
    for (index, (write, always)) in chunks.into_iter().enumerate() {
        let mut buffer = Vec::new();
        let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 100);
        assert!(write(&mut writer));
        writer.finish(false);
        assert_eq!(buffer[8..12] != [0; 4], always, "chunk {index}");
    }
}

#[test]
fn what_does_not_fit_leaves_no_trace() {
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 12 + 23);
    assert_eq!(writer.room(), 20);
    let order = Order::Sequence { ssn: 0 };
    assert!(!writer.data(&data(b"hello", order)));
    assert!(!writer.error(&[Cause::UserAbort(&[0; 13])]));
    assert!(!writer.pad(21));
    assert!(!writer.heartbeat(&[0; 13]));
    assert!(!writer.heartbeat(&[0; 70_000]));
    assert!(!writer.cookie_echo(&[0; 70_000]));
    assert!(!writer.forward_tsn(Tsn(1), (0..4).map(|stream| (stream, 0))));
    assert!(writer.is_empty());
    assert!(writer.data(&data(b"hell", order)));
    assert_eq!(writer.room(), 0);
    assert!(!writer.cookie_ack());
    writer.discard();
    assert!(buffer.is_empty());
    // A length field ends at 65,535, whatever the packet's limit.
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 200_000);
    let long = vec![0; 65_532];
    assert!(!writer.data(&data(&long, order)));
    assert!(!writer.error(&[Cause::UserAbort(&long)]));
    assert!(!writer.pad(65_536));
    assert!(writer.is_empty());
}
