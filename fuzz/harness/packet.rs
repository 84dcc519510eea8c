//! What must hold of any bytes that come as an SCTP packet. Used by the fuzz target and by the tests of the crate, both of
//! which have the modules `packet` and `tsn` at their root.

use crate::packet::{ChecksumPolicy, Chunk, Packet, PacketWriter, Parameter};

/// Reads the bytes as a packet and walks everything in it; what could be read is written and must be read as the same.
/// Panics when a promise is broken.
pub(crate) fn read(data: &[u8]) {
    let _ = Chunk::parse(data);
    let _ = Packet::parse(data, ChecksumPolicy::Required);
    // Random bytes never have the right checksum; a fuzzer is to get further.
    let mut bytes = data.to_vec();
    if let Some(checksum) = bytes.get_mut(8..12) {
        checksum.fill(0);
    }
    let Ok(packet) = Packet::parse(&bytes, ChecksumPolicy::ZeroAllowed) else {
        assert!(data.len() < 12, "it has a header and needs no checksum");
        return;
    };
    let mut left = data.len() / 4;
    for chunk in packet.chunks() {
        left = left
            .checked_sub(1)
            .expect("a chunk has four bytes at least");
        if let Ok(chunk) = chunk {
            again(&chunk);
        }
    }
}

/// Writes the chunk and reads it.
fn again(chunk: &Chunk<'_>) {
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 1, 2, 3, 1 << 17);
    let room = writer.room();
    if !write(&mut writer, chunk) {
        // Lists are written without what made them too long: only the longest of chunks do not fit.
        assert_eq!(writer.room(), room, "what does not fit leaves no trace");
        return;
    }
    assert_eq!(writer.len() % 4, 0);
    let length = writer.finish(true);
    assert_eq!(length, buffer.len());
    let packet = Packet::parse(&buffer, ChecksumPolicy::Required).expect("the checksum is right");
    let mut chunks = packet.chunks();
    let read = chunks.next().expect("it was written");
    let read = read.expect("what is written can be read");
    assert!(same(chunk, &read), "{chunk:?} became {read:?}");
    assert!(chunks.next().is_none());
}

/// False if it did not fit, or is of a kind that nobody writes.
pub(crate) fn write(writer: &mut PacketWriter<'_>, chunk: &Chunk<'_>) -> bool {
    match chunk {
        Chunk::Data(data) => writer.data(data),
        Chunk::Init(init, parameters) => {
            let parameters = parameters.flatten().collect::<Vec<_>>();
            writer.init(init, &parameters)
        }
        Chunk::InitAck(init, parameters) => {
            let parameters = parameters.flatten().collect::<Vec<_>>();
            writer.init_ack(init, &parameters)
        }
        Chunk::Sack(sack) => {
            writer.sack(sack.cumulative, sack.window, sack.gaps(), sack.duplicates())
        }
        Chunk::Heartbeat(info) => writer.heartbeat(info),
        Chunk::HeartbeatAck(info) => writer.heartbeat_ack(info),
        Chunk::Abort(abort) => {
            let causes = abort.causes.flatten().collect::<Vec<_>>();
            writer.abort(abort.t_bit, &causes)
        }
        Chunk::Error(causes) => writer.error(&causes.flatten().collect::<Vec<_>>()),
        Chunk::Shutdown { cumulative } => writer.shutdown(*cumulative),
        Chunk::ShutdownAck => writer.shutdown_ack(),
        Chunk::CookieEcho(cookie) => writer.cookie_echo(cookie),
        Chunk::CookieAck => writer.cookie_ack(),
        Chunk::ShutdownComplete { t_bit } => writer.shutdown_complete(*t_bit),
        Chunk::ForwardTsn(forward) => writer.forward_tsn(forward.cumulative, forward.streams()),
        Chunk::IForwardTsn(forward) => writer.i_forward_tsn(forward.cumulative, forward.streams()),
        Chunk::ReConfig(list) => writer.re_config(&list.flatten().collect::<Vec<_>>()),
        Chunk::Pad => writer.pad(8),
        Chunk::Unknown(_) => false,
    }
}

/// The same, whatever the padding and the reserved bits; lists end where they became unreadable, and are written without what is ignored.
fn same(one: &Chunk<'_>, other: &Chunk<'_>) -> bool {
    match (one, other) {
        (Chunk::Init(init, list), Chunk::Init(read, read_list))
        | (Chunk::InitAck(init, list), Chunk::InitAck(read, read_list)) => {
            let list = list.flatten().filter(|one| *one != Parameter::Ignored);
            init == read && list.eq(read_list.flatten())
        }
        (Chunk::Abort(one), Chunk::Abort(other)) => {
            one.t_bit == other.t_bit && one.causes.flatten().eq(other.causes.flatten())
        }
        (Chunk::Error(one), Chunk::Error(other)) => one.flatten().eq(other.flatten()),
        (Chunk::IForwardTsn(one), Chunk::IForwardTsn(other)) => {
            one.cumulative == other.cumulative && one.streams().eq(other.streams())
        }
        (Chunk::ReConfig(one), Chunk::ReConfig(other)) => one.flatten().eq(other.flatten()),
        _ => one == other,
    }
}
