//! The receiving half, chunk by chunk: messages here, [`window`] and SACKs beside.

mod window;

use super::*;
use crate::packet::{Chunk, Sack};

const KIB: usize = 1024;

fn config() -> ReceiverConfig {
    ReceiverConfig {
        peer_initial_tsn: Tsn(1),
        window: 64 * KIB,
        interleaving: false,
        max_message_size: 16 * KIB,
        streams: 100,
    }
}

fn interleaving() -> ReceiverConfig {
    ReceiverConfig {
        interleaving: true,
        ..config()
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

/// The letters are a message, one TSN each; this is one of them.
fn letter(first: u32, stream: u16, ssn: u16, letters: &str, index: usize) -> Data<'_> {
    let offset = u32::try_from(index).expect("a short message");
    Data {
        beginning: index == 0,
        ending: index + 1 == letters.len(),
        ..whole(
            first.wrapping_add(offset),
            stream,
            ssn,
            &letters.as_bytes()[index..=index],
        )
    }
}

/// The same with I-DATA; the TSN goes by itself.
fn interleaved(tsn: u32, stream: u16, mid: u32, letters: &str, index: usize) -> Data<'_> {
    let fsn = u32::try_from(index).expect("a short message");
    Data {
        tsn: Tsn(tsn),
        order: Order::Interleaved { mid, fsn },
        ppid: if index == 0 { 53 } else { 0 },
        ..letter(tsn, stream, 0, letters, index)
    }
}

fn take(receiver: &mut Receiver, chunks: &[Data<'_>]) {
    for chunk in chunks {
        assert_eq!(receiver.handle_data(chunk), Ok(Arrival::New), "{chunk:?}");
    }
}

fn payloads(receiver: &mut Receiver) -> Vec<String> {
    let messages = std::iter::from_fn(|| receiver.poll_message());
    messages
        .map(|message| String::from_utf8(message.payload.to_vec()).expect("letters"))
        .collect()
}

/// Writes the SACK that is due, and hands over what it says.
fn sack<T>(receiver: &mut Receiver, read: impl FnOnce(Sack<'_>) -> T) -> T {
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 1188);
    assert!(receiver.write_sack(&mut writer));
    writer.finish(false);
    match Chunk::parse(&buffer[12..]) {
        Ok(Chunk::Sack(sack)) => read(sack),
        other => panic!("{other:?} is no SACK"),
    }
}

/// The chunk of a FORWARD-TSN or I-FORWARD-TSN that `write` writes.
fn forwarding(write: impl FnOnce(&mut PacketWriter<'_>) -> bool) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 1188);
    assert!(write(&mut writer));
    writer.finish(false);
    buffer.split_off(12)
}

fn forward(receiver: &mut Receiver, cumulative: u32, streams: &[(u16, u16)]) {
    let streams = streams.iter().copied();
    let bytes = forwarding(|writer| writer.forward_tsn(Tsn(cumulative), streams));
    let Ok(Chunk::ForwardTsn(forward)) = Chunk::parse(&bytes) else {
        panic!("it was written");
    };
    assert_eq!(receiver.handle_forward_tsn(&forward), Ok(()));
}

fn i_forward(receiver: &mut Receiver, cumulative: u32, streams: &[(u16, bool, u32)]) {
    let streams = streams.iter().copied();
    let bytes = forwarding(|writer| writer.i_forward_tsn(Tsn(cumulative), streams));
    let Ok(Chunk::IForwardTsn(forward)) = Chunk::parse(&bytes) else {
        panic!("it was written");
    };
    assert_eq!(receiver.handle_i_forward_tsn(&forward), Ok(()));
}

#[test]
fn ordered_messages_wait_for_each_other_and_not_for_other_streams() {
    let mut receiver = Receiver::new(config());
    take(
        &mut receiver,
        &[whole(2, 1, 1, b"b"), whole(3, 2, 0, b"other")],
    );
    assert_eq!(payloads(&mut receiver), ["other"]);
    take(&mut receiver, &[whole(1, 1, 0, b"a")]);
    assert_eq!(payloads(&mut receiver), ["a", "b"]);
    assert_eq!((receiver.cumulative(), receiver.held()), (Tsn(3), 0));
}

#[test]
fn unordered_messages_wait_for_nothing() {
    let mut receiver = Receiver::new(config());
    for (tsn, ssn) in [(9, 7), (5, 7), (7, 0)] {
        let message = Data {
            unordered: true,
            ..whole(tsn, 1, ssn, b"now")
        };
        take(&mut receiver, &[message]);
        let received = receiver.poll_message().expect("it is there");
        assert!(received.unordered);
        assert_eq!((received.stream, received.ppid), (1, 53));
    }
    assert_eq!(receiver.held(), 0);
}

#[test]
fn fragments_in_any_order_make_the_message_over_the_wrap_of_tsns() {
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    for order in orders {
        let first = u32::MAX - 1;
        let mut receiver = Receiver::new(ReceiverConfig {
            peer_initial_tsn: Tsn(first),
            ..config()
        });
        for index in order {
            assert_eq!(receiver.poll_message(), None);
            take(&mut receiver, &[letter(first, 1, 0, "able", index)]);
        }
        assert_eq!(payloads(&mut receiver), ["able"], "{order:?}");
        assert_eq!((receiver.cumulative(), receiver.held()), (Tsn(1), 0));
    }
}

#[test]
fn messages_beyond_a_hole_are_put_together_and_delivered() {
    let mut receiver = Receiver::new(config());
    let unordered = |index| Data {
        unordered: true,
        ..letter(8, 1, 0, "free", index)
    };
    take(
        &mut receiver,
        &[
            letter(3, 2, 0, "other", 1),
            unordered(3),
            unordered(0),
            letter(3, 2, 0, "other", 3),
            unordered(1),
            letter(3, 2, 0, "other", 4),
            letter(3, 2, 0, "other", 0),
            unordered(2),
            letter(3, 2, 0, "other", 2),
        ],
    );
    assert_eq!(payloads(&mut receiver), ["free", "other"]);
    assert_eq!((receiver.cumulative(), receiver.held()), (Tsn(0), 0));
}

#[test]
fn interleaved_messages_are_kept_apart() {
    let mut receiver = Receiver::new(interleaving());
    let unordered = |tsn, mid, letters, index| Data {
        unordered: true,
        ..interleaved(tsn, 1, mid, letters, index)
    };
    take(
        &mut receiver,
        &[
            interleaved(1, 1, 0, "one", 0),
            interleaved(2, 2, 0, "two", 0),
            unordered(3, 0, "six", 0),
            interleaved(6, 2, 0, "two", 2),
            interleaved(4, 1, 0, "one", 1),
            unordered(5, 0, "six", 2),
            interleaved(9, 1, 1, "ten", 0),
            interleaved(8, 2, 0, "two", 1),
            interleaved(10, 1, 1, "ten", 2),
            unordered(7, 0, "six", 1),
            interleaved(11, 1, 1, "ten", 1),
            interleaved(12, 1, 0, "one", 2),
        ],
    );
    assert_eq!(payloads(&mut receiver), ["two", "six", "one", "ten"]);
    assert_eq!((receiver.cumulative(), receiver.held()), (Tsn(12), 0));
}

#[test]
fn seventy_thousand_messages_of_one_stream_wrap_its_sequence_numbers() {
    let mut receiver = Receiver::new(config());
    // Every second message arrives before the one it follows.
    for pair in 0..35_000_u32 {
        for number in [2 * pair + 1, 2 * pair] {
            #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
            let ssn = number as u16;
            let message = number.to_be_bytes();
            take(&mut receiver, &[whole(number + 1, 1, ssn, &message)]);
        }
        for number in [2 * pair, 2 * pair + 1] {
            let message = receiver.poll_message().expect("both have arrived");
            assert_eq!(message.payload[..], number.to_be_bytes());
        }
    }
    assert_eq!(receiver.held(), 0);
}

#[test]
fn what_was_given_up_holds_nobody_up() {
    let mut receiver = Receiver::new(config());
    // Message 0 lacks its end, 1 is whole, 2 never came, 3 waits; on another stream, message 0 lacks its beginning.
    take(
        &mut receiver,
        &[
            letter(1, 1, 0, "gone", 0),
            letter(1, 1, 0, "gone", 1),
            whole(5, 1, 1, b"kept"),
            whole(7, 1, 3, b"next"),
            letter(8, 2, 0, "lost", 1),
        ],
    );
    assert_eq!(payloads(&mut receiver), [""; 0]);
    forward(&mut receiver, 6, &[(1, 2)]);
    assert_eq!(payloads(&mut receiver), ["kept", "next"]);
    assert_eq!(receiver.cumulative(), Tsn(7));
    forward(&mut receiver, 11, &[(2, 0)]);
    assert_eq!((receiver.cumulative(), receiver.held()), (Tsn(11), 0));
    // What was given up arrives after all.
    let late = receiver.handle_data(&letter(1, 1, 0, "gone", 2));
    assert_eq!(late, Ok(Arrival::Duplicate));
    take(
        &mut receiver,
        &[whole(12, 2, 1, b"on"), whole(13, 1, 4, b"and")],
    );
    assert_eq!(payloads(&mut receiver), ["on", "and"]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn a_message_given_up_half_way_does_not_stay_for_ever() {
    let mut receiver = Receiver::new(config());
    // Its last fragments were never given a TSN; the next message begins where they would have been.
    take(
        &mut receiver,
        &[letter(1, 1, 0, "half", 0), letter(1, 1, 0, "half", 1)],
    );
    take(
        &mut receiver,
        &[letter(3, 1, 1, "on", 0), letter(3, 1, 1, "on", 1)],
    );
    assert_eq!(payloads(&mut receiver), [""; 0]);
    forward(&mut receiver, 5, &[(1, 0), (2, 0)]);
    assert_eq!(payloads(&mut receiver), ["on"]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn old_news_of_what_was_given_up_changes_nothing_and_is_answered() {
    let mut receiver = Receiver::new(config());
    take(&mut receiver, &[whole(1, 1, 0, b"a"), whole(2, 1, 1, b"b")]);
    sack(&mut receiver, |_| ());
    forward(&mut receiver, 1, &[(1, 9)]);
    assert_eq!(receiver.cumulative(), Tsn(2));
    assert!(receiver.sack_now(Instant::now()));
    take(&mut receiver, &[whole(3, 1, 2, b"c")]);
    assert_eq!(payloads(&mut receiver), ["a", "b", "c"]);
}

#[test]
fn interleaved_messages_given_up_are_dropped_by_name() {
    let mut receiver = Receiver::new(interleaving());
    let unordered = |tsn, mid, index| Data {
        unordered: true,
        ..interleaved(tsn, 1, mid, "two", index)
    };
    take(
        &mut receiver,
        &[
            interleaved(1, 1, 0, "gone", 0),
            interleaved(2, 1, 0, "gone", 2),
            unordered(3, u32::MAX, 0),
            unordered(4, 0, 0),
            unordered(5, 1, 0),
            interleaved(6, 2, 0, "stay", 0),
        ],
    );
    i_forward(&mut receiver, 8, &[(1, false, 0), (1, true, 0)]);
    // Left are the beginnings of "two" with number 1, and of "stay".
    assert_eq!(receiver.held(), 2 * (OVERHEAD + 1));
    assert_eq!(receiver.cumulative(), Tsn(8));
    take(
        &mut receiver,
        &[
            interleaved(9, 1, 1, "z", 0),
            unordered(10, 1, 1),
            unordered(11, 1, 2),
            interleaved(12, 2, 0, "stay", 1),
            interleaved(13, 2, 0, "stay", 2),
            interleaved(14, 2, 0, "stay", 3),
        ],
    );
    assert_eq!(payloads(&mut receiver), ["z", "two", "stay"]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn a_reset_stream_begins_at_zero_and_the_others_go_on() {
    let mut receiver = Receiver::new(config());
    take(
        &mut receiver,
        &[
            whole(1, 0, 0, b"a"),
            whole(2, 7, 0, b"b"),
            letter(3, 7, 1, "cd", 0),
        ],
    );
    receiver.reset_stream(0);
    take(
        &mut receiver,
        &[letter(3, 7, 1, "cd", 1), whole(5, 0, 0, b"e")],
    );
    assert_eq!(payloads(&mut receiver), ["a", "b", "cd", "e"]);
    receiver.reset_all_streams();
    take(&mut receiver, &[whole(6, 0, 0, b"f"), whole(7, 7, 0, b"g")]);
    assert_eq!(payloads(&mut receiver), ["f", "g"]);

    let mut receiver = Receiver::new(interleaving());
    take(
        &mut receiver,
        &[
            interleaved(1, 1, 0, "gone", 0),
            interleaved(2, 1, 0, "gone", 2),
            interleaved(3, 2, 0, "stay", 0),
        ],
    );
    receiver.reset_stream(1);
    assert_eq!(receiver.held(), OVERHEAD + 1);
    take(
        &mut receiver,
        &[interleaved(4, 1, 0, "ok", 0), interleaved(5, 1, 0, "ok", 1)],
    );
    assert_eq!(payloads(&mut receiver), ["ok"]);
}

#[test]
fn violations_are_called_by_their_name() {
    let refused = |config: ReceiverConfig, chunks: &[Data<'_>]| {
        let mut receiver = Receiver::new(config);
        let (last, before) = chunks.split_last().expect("there are chunks");
        take(&mut receiver, before);
        receiver.handle_data(last)
    };
    let long = [0; 16 * KIB + 1];
    let half = &long[..8 * KIB + 1];
    let part = |tsn, beginning, ending| Data {
        beginning,
        ending,
        ..whole(tsn, 1, 0, half)
    };
    assert_eq!(
        refused(config(), &[whole(1, 1, 0, b"")]),
        Err(Violation::NoUserData(Tsn(1)))
    );
    assert_eq!(
        refused(config(), &[interleaved(1, 1, 0, "a", 0)]),
        Err(Violation::WrongKind)
    );
    assert_eq!(
        refused(interleaving(), &[whole(1, 1, 0, b"a")]),
        Err(Violation::WrongKind)
    );
    assert_eq!(
        refused(config(), &[whole(1, 1, 0, &long)]),
        Err(Violation::TooLong)
    );
    let in_order = [part(1, true, false), part(2, false, true)];
    assert_eq!(refused(config(), &in_order), Err(Violation::TooLong));
    let reversed = [part(2, false, true), part(1, true, false)];
    assert_eq!(refused(config(), &reversed), Err(Violation::TooLong));
    for other in [
        letter(1, 2, 0, "able", 1),
        letter(1, 1, 1, "able", 1),
        Data {
            unordered: true,
            ..letter(1, 1, 0, "able", 1)
        },
    ] {
        let first = letter(1, 1, 0, "able", 0);
        assert_eq!(refused(config(), &[first, other]), Err(Violation::Fragment));
        assert_eq!(refused(config(), &[other, first]), Err(Violation::Fragment));
    }
    let twice = [
        interleaved(1, 1, 0, "able", 2),
        interleaved(2, 1, 0, "able", 2),
    ];
    assert_eq!(refused(interleaving(), &twice), Err(Violation::Fragment));

    let bytes = forwarding(|writer| writer.forward_tsn(Tsn(1), [].into_iter()));
    let Ok(Chunk::ForwardTsn(forward)) = Chunk::parse(&bytes) else {
        panic!("it was written");
    };
    let refused = Receiver::new(interleaving()).handle_forward_tsn(&forward);
    assert_eq!(refused, Err(Violation::WrongKind));
    let bytes = forwarding(|writer| writer.i_forward_tsn(Tsn(1), [].into_iter()));
    let Ok(Chunk::IForwardTsn(forward)) = Chunk::parse(&bytes) else {
        panic!("it was written");
    };
    let refused = Receiver::new(config()).handle_i_forward_tsn(&forward);
    assert_eq!(refused, Err(Violation::WrongKind));
}

/// RFC 9260 §6.5: acknowledged, reported, thrown away.
#[test]
fn data_on_a_stream_that_was_not_agreed_is_acknowledged_only() {
    let mut receiver = Receiver::new(config());
    let arrival = receiver.handle_data(&whole(1, 100, 0, b"where?"));
    assert_eq!(arrival, Ok(Arrival::InvalidStream));
    assert_eq!((receiver.cumulative(), receiver.held()), (Tsn(1), 0));
    assert_eq!(receiver.poll_message(), None);
}
