//! What a SACK says and when, and what a full window does.

use std::time::Duration;

use super::*;

#[test]
fn a_sack_tells_gaps_duplicates_and_the_window() {
    let mut receiver = Receiver::new(config());
    take(
        &mut receiver,
        &[
            whole(1, 1, 0, b"a"),
            whole(3, 1, 2, b"c"),
            whole(4, 1, 3, b"d"),
        ],
    );
    take(&mut receiver, &[whole(7, 2, 0, b"x")]);
    for tsn in [1, 4] {
        let again = receiver.handle_data(&whole(tsn, 1, 0, b"a"));
        assert_eq!(again, Ok(Arrival::Duplicate));
    }
    let window = sack(&mut receiver, |sack| {
        assert_eq!(sack.cumulative, Tsn(1));
        assert!(sack.gaps().eq([(2, 3), (6, 6)]));
        assert!(sack.duplicates().eq([Tsn(1), Tsn(4)]));
        sack.window
    });
    assert_eq!(usize::try_from(window), Ok(64 * KIB - 4 * (OVERHEAD + 1)));
    sack(&mut receiver, |sack| {
        assert_eq!(sack.duplicates().len(), 0, "they were told of")
    });
    for _ in 0..1000 {
        let again = receiver.handle_data(&whole(1, 1, 0, b"a"));
        assert_eq!(again, Ok(Arrival::Duplicate));
    }
    sack(&mut receiver, |sack| assert!(sack.duplicates().len() < 100));
    assert_eq!(receiver.duplicates(), 1002);
}

/// RFC 9260 §6.2 and §6.7.
#[test]
fn sacks_are_due_for_every_second_packet_at_once_after_a_loss_and_soon_otherwise() {
    let now = Instant::now();
    let mut receiver = Receiver::new(config());
    let packet = |receiver: &mut Receiver, chunk: Data<'_>| {
        take(receiver, &[chunk]);
        receiver.packet_done(now);
        let due = receiver.sack_now(now);
        if due {
            sack(receiver, |_| ());
        }
        due
    };
    assert!(packet(
        &mut receiver,
        whole(1, 1, 0, b"the first gives a round trip")
    ));
    assert!(!packet(&mut receiver, whole(2, 1, 1, b"alone")));
    let deadline = now + Duration::from_millis(20);
    assert_eq!(receiver.sack_deadline(), Some(deadline));
    assert!(receiver.sack_now(deadline));
    assert!(packet(&mut receiver, whole(3, 1, 2, b"the second")));
    assert_eq!(receiver.sack_deadline(), None);
    let eager = Data {
        immediate: true,
        ..whole(4, 1, 3, b"the I bit")
    };
    assert!(packet(&mut receiver, eager));
    assert!(packet(&mut receiver, whole(6, 1, 5, b"a gap")));
    assert!(packet(&mut receiver, whole(7, 1, 6, b"still")));
    assert!(packet(&mut receiver, whole(5, 1, 4, b"filled")));
    assert!(!packet(&mut receiver, whole(8, 1, 7, b"alone again")));
    sack(&mut receiver, |_| ());
    receiver.packet_done(now);
    receiver.packet_done(now);
    assert_eq!(
        (receiver.sack_now(now), receiver.sack_deadline()),
        (false, None)
    );
    let old = receiver.handle_data(&whole(8, 1, 7, b"a duplicate"));
    assert_eq!(old, Ok(Arrival::Duplicate));
    assert!(receiver.sack_now(now));
}

#[test]
fn a_packet_without_room_leaves_the_sack_due() {
    let mut receiver = Receiver::new(config());
    take(&mut receiver, &[whole(2, 1, 0, b"a")]);
    let mut buffer = Vec::new();
    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 24);
    assert!(!receiver.write_sack(&mut writer));
    assert!(receiver.sack_now(Instant::now()));
}

#[test]
fn a_full_window_takes_the_one_tsn_that_all_wait_for_and_drops_nothing_it_took() {
    let mut receiver = Receiver::new(config());
    let kilobyte = [7; KIB];
    let mut last = 2;
    while receiver.handle_data(&whole(
        last,
        1,
        u16::try_from(last - 1).expect("few"),
        &kilobyte,
    )) == Ok(Arrival::New)
    {
        last += 1;
    }
    assert!(
        receiver.held() >= 64 * KIB,
        "the window is full: {}",
        receiver.held()
    );
    assert!(
        receiver.held() <= 80 * KIB,
        "and a quarter more: {}",
        receiver.held()
    );
    assert_eq!(sack(&mut receiver, |sack| sack.window), 0);
    take(&mut receiver, &[whole(1, 1, 0, &kilobyte)]);
    assert_eq!(receiver.cumulative(), Tsn(last - 1));
    // Messages are ready: room will come without the next one.
    let next = whole(last, 1, u16::try_from(last - 1).expect("few"), &kilobyte);
    assert_eq!(receiver.handle_data(&next), Ok(Arrival::Dropped));
    sack(&mut receiver, |_| ());
    let now = Instant::now();
    assert!(!receiver.sack_now(now));
    let mut polled = 0;
    while !receiver.sack_now(now) {
        receiver
            .poll_message()
            .expect("the peer is told before all is gone");
        polled += 1;
    }
    assert!(polled < 24, "{polled} KiB of 64 make it worth a SACK");
    assert!(sack(&mut receiver, |sack| sack.window) > 0);
    take(&mut receiver, &[next]);
    let left = std::iter::from_fn(|| receiver.poll_message()).count();
    assert_eq!(u32::try_from(polled + left), Ok(last));
    assert_eq!(receiver.held(), 0);
}

#[test]
fn a_hole_is_filled_in_a_full_window_though_other_messages_are_ready() {
    let mut receiver = Receiver::new(config());
    let kilobyte = [7; KIB];
    take(&mut receiver, &[whole(2, 2, 0, b"ready")]);
    let full = (3..).find(|&tsn| {
        let waiting = whole(tsn, 1, u16::try_from(tsn).expect("few"), &kilobyte);
        receiver.handle_data(&waiting) == Ok(Arrival::Dropped)
    });
    take(&mut receiver, &[whole(1, 3, 0, &kilobyte)]);
    assert_eq!(Some(receiver.cumulative().next().0), full);
}

#[test]
fn a_message_longer_than_the_window_is_received() {
    let mut receiver = Receiver::new(ReceiverConfig {
        window: 4 * KIB,
        ..config()
    });
    let kilobyte = [7; KIB];
    for tsn in 1..=16 {
        let part = Data {
            beginning: tsn == 1,
            ending: tsn == 16,
            ..whole(tsn, 1, 0, &kilobyte)
        };
        take(&mut receiver, &[part]);
    }
    let message = receiver.poll_message().expect("it is whole");
    assert_eq!(message.payload.len(), 16 * KIB);
}

#[test]
fn the_smallest_chunks_cost_no_more_than_they_are_charged() {
    let mut receiver = Receiver::new(config());
    let taken = (2..60_000).filter(|&tsn| {
        // Each is a message of its own that waits for the first.
        let chunk = whole(tsn, 1, u16::try_from(tsn - 1).expect("few"), b"a");
        receiver.handle_data(&chunk) == Ok(Arrival::New)
    });
    let taken = taken.count();
    assert!(taken < 80 * KIB / OVERHEAD, "{taken}");
    assert!(receiver.held() <= 80 * KIB);
}

#[test]
fn data_that_never_becomes_a_message_ends_the_association() {
    let mut receiver = Receiver::new(config());
    let kilobyte = [7; KIB];
    // Sequence number 0 was left out: nothing can be delivered, and no FORWARD-TSN says why.
    let refused = (1..1000_u16).find_map(|number| {
        let chunk = whole(number.into(), 1, number, &kilobyte);
        receiver.handle_data(&chunk).err()
    });
    assert_eq!(refused, Some(Violation::Hoarding));
    assert!(receiver.held() <= 2 * 64 * KIB + 18 * KIB);
}

#[test]
fn a_receiver_that_heard_nothing_is_small() {
    assert!(size_of::<Receiver>() < 512, "{}", size_of::<Receiver>());
}
