//! What holds of any bytes and of any chunk; the first is what the fuzz target runs, in a size that fits every test run.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::tsn::Tsn;

#[path = "../../../../fuzz/harness/packet.rs"]
mod harness;

pub(super) use harness::write;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        harness::read(&bytes);
    }

    /// Headers that make sense, bodies that need not.
    #[test]
    fn any_chunks(chunks in vec((chunk_kind(), any::<u8>(), vec(any::<u8>(), 0..60), -2..3_i32), 1..6)) {
        let mut bytes = vec![0; COMMON_HEADER];
        for (kind, flags, body, lie) in chunks {
            push(&mut bytes, [kind, flags], &body, lie);
        }
        harness::read(&bytes);
    }

    /// Lists within chunks, too.
    #[test]
    fn any_parameters(
        chunk in prop::sample::select(&[kind::INIT, kind::INIT_ACK, kind::ERROR, kind::ABORT, kind::RE_CONFIG][..]),
        parameters in vec((parameter_kind(), vec(any::<u8>(), 0..24), -1..2_i32), 0..6),
    ) {
        let mut body = if chunk < kind::SACK { vec![7; 16] } else { vec![] };
        for (kind, value, lie) in parameters {
            push(&mut body, kind.to_be_bytes(), &value, lie);
        }
        let mut bytes = vec![0; COMMON_HEADER];
        push(&mut bytes, [chunk, 0], &body, 0);
        harness::read(&bytes);
    }

    /// A DATA chunk with any fields is read as it was written, whatever lies beside it.
    #[test]
    fn data_is_read_as_written(
        fields in any::<(u32, u16, [bool; 4], bool, u16, u32, u32, u32)>(),
        payload in vec(any::<u8>(), 0..1200),
    ) {
        let (tsn, stream, [unordered, beginning, ending, immediate], interleaved, ssn, mid, fsn, ppid) = fields;
        let order = match (interleaved, beginning) {
            (false, _) => Order::Sequence { ssn },
            (true, true) => Order::Interleaved { mid, fsn: 0 },
            (true, false) => Order::Interleaved { mid, fsn },
        };
        let ppid = if interleaved && !beginning { 0 } else { ppid };
        let data = Data { tsn: Tsn(tsn), stream, unordered, beginning, ending, immediate, order, ppid, payload: &payload };
        let mut buffer = Vec::new();
        let mut writer = PacketWriter::start(&mut buffer, 1, 2, 3, 1300);
        prop_assert!(writer.cookie_ack() && writer.data(&data) && writer.shutdown_ack());
        writer.finish(true);
        let packet = Packet::parse(&buffer, ChecksumPolicy::Required).expect("the checksum is right");
        prop_assert!(packet.chunks().eq([Ok(Chunk::CookieAck), Ok(Chunk::Data(data)), Ok(Chunk::ShutdownAck)]));
    }
}

/// Appends a padded chunk or parameter whose length field may be wrong by a little.
fn push(bytes: &mut Vec<u8>, head: [u8; 2], body: &[u8], lie: i32) {
    let length = i32::try_from(4 + body.len()).expect("a short one") + lie;
    bytes.extend(head);
    bytes.extend(u16::try_from(length).expect("a short one").to_be_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0xEE);
}

fn chunk_kind() -> impl Strategy<Value = u8> {
    let known = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 14, 64, 130, 132, 192, 194];
    prop_oneof![8 => prop::sample::select(known.to_vec()), 1 => any::<u8>()]
}

fn parameter_kind() -> impl Strategy<Value = u16> {
    let extensions = [0x8001, 0x8008, 0xC000];
    prop_oneof![8 => 1_u16..19, 3 => prop::sample::select(extensions.to_vec()), 1 => any::<u16>()]
}
