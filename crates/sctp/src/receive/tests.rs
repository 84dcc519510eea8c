//! The receiving half, chunk by chunk.

use super::*;

const NOW: fn() -> Instant = Instant::now;

fn config() -> ReceiverConfig {
    ReceiverConfig {
        peer_initial_tsn: Tsn(1),
        window: 64 * 1024,
        interleaving: false,
        max_message_size: 16 * 1024,
        streams: 100,
    }
}

/// A whole message, ordered.
fn whole(tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> Data<'_> {
    Data {
        tsn: Tsn(tsn),
        stream,
        unordered: false,
        beginning: true,
        ending: true,
        immediate: false,
        order: Order::Sequence { ssn },
        ppid: 53,
        payload,
    }
}

fn payloads(receiver: &mut Receiver) -> Vec<Vec<u8>> {
    let messages = std::iter::from_fn(|| receiver.poll_message());
    messages.map(|message| message.payload.to_vec()).collect()
}

#[test]
fn ordered_messages_wait_for_each_other_and_not_for_other_streams() {
    let mut receiver = Receiver::new(config());
    assert_eq!(
        receiver.handle_data(&whole(2, 1, 1, b"b")),
        Ok(Arrival::New)
    );
    assert_eq!(
        receiver.handle_data(&whole(3, 2, 0, b"other")),
        Ok(Arrival::New)
    );
    assert_eq!(payloads(&mut receiver), [b"other"]);
    assert_eq!(
        receiver.handle_data(&whole(1, 1, 0, b"a")),
        Ok(Arrival::New)
    );
    assert_eq!(payloads(&mut receiver), [b"a", b"b"]);
    assert_eq!(receiver.cumulative(), Tsn(3));
    assert_eq!(receiver.held(), 0);
    assert!(receiver.sack_now(NOW()));
}
