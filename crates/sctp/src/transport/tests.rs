//! Two transports, no sockets: packets go from one to the other in virtual time, with or without loss.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::channel::Reliability;

const DELAY: Duration = Duration::from_millis(10);

type Filter = Box<dyn FnMut(usize, &[u8]) -> bool>;

struct Pair {
    now: Instant,
    sides: [Transport; 2],
    /// On the way: when it arrives, at whom, what.
    wire: Vec<(Instant, usize, Vec<u8>)>,
    events: [Vec<TransportEvent>; 2],
    /// Of the sender and the packet; false loses it.
    passes: Filter,
    runs: Vec<(usize, usize)>,
}

impl Pair {
    fn new() -> Self {
        Self::with(Config::default(), Config::default())
    }

    fn with(one: Config, two: Config) -> Self {
        Self {
            now: Instant::now(),
            sides: [Transport::new(one, [1; 32]), Transport::new(two, [2; 32])],
            wire: Vec::new(),
            events: [Vec::new(), Vec::new()],
            passes: Box::new(|_, _| true),
            runs: Vec::new(),
        }
    }

    fn connected() -> Self {
        let mut pair = Self::new();
        pair.input(0, Input::Connect);
        pair.input(1, Input::Connect);
        pair.settle();
        pair.expect_established();
        pair
    }

    fn expect_established(&mut self) {
        for events in &mut self.events {
            assert_eq!(
                std::mem::take(events),
                [TransportEvent::Established { streams: 65_535 }]
            );
        }
    }

    fn input(&mut self, side: usize, input: Input<'_>) {
        self.sides[side].handle_input(self.now, input);
    }

    fn send(&mut self, side: usize, stream: u16, payload: &[u8], reliability: Reliability) {
        let options = SendOptions {
            unordered: false,
            reliability,
            priority: 256,
        };
        let (now, payload) = (self.now, Bytes::copy_from_slice(payload));
        self.sides[side].send(now, stream, 53, payload, &options);
    }

    /// Takes everything out of a side; its next timeout.
    fn drain(&mut self, side: usize) -> Option<Instant> {
        let mut buf = Vec::new();
        for _ in 0..100_000 {
            match self.sides[side].poll_output(self.now, &mut buf) {
                TransportOutput::Transmit { segment_size } => {
                    self.runs.push((segment_size, buf.len()));
                    for packet in buf.chunks(segment_size) {
                        if (self.passes)(side, packet) {
                            self.wire
                                .push((self.now + DELAY, 1 - side, packet.to_vec()));
                        }
                    }
                }
                TransportOutput::Event(event) => self.events[side].push(event),
                TransportOutput::Timeout(at) => return at,
            }
        }
        panic!("a side that never stops talking");
    }

    /// Lets time pass for as long as anything is to happen within a quarter of a minute.
    fn settle(&mut self) {
        self.run(Duration::from_secs(15));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timeouts = [self.drain(0), self.drain(1)];
            let arrival = self.wire.iter().map(|(at, ..)| *at).min();
            let Some(next) = timeouts
                .into_iter()
                .chain([arrival])
                .flatten()
                .min()
                .filter(|&next| next <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let (due, later): (Vec<_>, Vec<_>) =
                self.wire.drain(..).partition(|(at, ..)| *at <= self.now);
            self.wire = later;
            for (_, side, packet) in due {
                self.sides[side].handle_input(self.now, Input::Datagram(&packet));
            }
            for (side, timeout) in timeouts.into_iter().enumerate() {
                if timeout.is_some_and(|at| at <= self.now) {
                    self.sides[side].handle_input(self.now, Input::Timeout);
                }
            }
        }
    }

    /// Bytes of the messages that arrived at a side, in order.
    fn received(&mut self, side: usize) -> Vec<Bytes> {
        let (messages, rest) = std::mem::take(&mut self.events[side])
            .into_iter()
            .partition(|event| matches!(event, TransportEvent::Message { .. }));
        self.events[side] = rest;
        let messages: Vec<TransportEvent> = messages;
        messages
            .into_iter()
            .map(|event| match event {
                TransportEvent::Message { payload, .. } => payload,
                _ => unreachable!("partitioned"),
            })
            .collect()
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn both_connect_at_once() {
    Pair::connected();
}

#[test]
fn one_connects() {
    let mut pair = Pair::new();
    pair.input(0, Input::Connect);
    pair.settle();
    pair.expect_established();
}

#[test]
fn snap_needs_no_packet() {
    let mut pair = Pair::new();
    let inits = [pair.sides[0].local_init(), pair.sides[1].local_init()];
    pair.input(0, Input::RemoteInit(&inits[1]));
    pair.input(1, Input::RemoteInit(&inits[0]));
    pair.drain(0);
    pair.drain(1);
    assert!(pair.wire.is_empty());
    pair.expect_established();
    pair.send(0, 0, b"at once", Reliability::Reliable);
    pair.settle();
    assert_eq!(pair.received(1), [&b"at once"[..]]);
}

#[test]
fn the_handshake_survives_the_loss_of_any_packet() {
    for lost in 0..8 {
        let mut pair = Pair::new();
        let mut count = 0;
        pair.passes = Box::new(move |_, _| {
            count += 1;
            count != lost + 1
        });
        pair.input(0, Input::Connect);
        pair.input(1, Input::Connect);
        pair.settle();
        pair.expect_established();
    }
}

#[test]
fn a_silent_peer_ends_the_handshake() {
    let mut pair = Pair::new();
    pair.passes = Box::new(|_, _| false);
    pair.input(0, Input::Connect);
    pair.run(Duration::from_secs(120));
    assert_eq!(
        pair.events[0],
        [TransportEvent::Closed {
            reason: CloseReason::ConnectTimeout
        }]
    );
}

#[test]
fn messages_of_all_sizes_arrive_in_order_both_ways() {
    let mut pair = Pair::connected();
    let sizes = [1, 4, 1159, 1160, 1161, 16_384, 262_144, 3];
    for size in sizes {
        pair.send(0, 2, &pattern(size), Reliability::Reliable);
        pair.send(1, 5, &pattern(size), Reliability::Reliable);
    }
    pair.settle();
    for side in 0..2 {
        let received = pair.received(side);
        assert_eq!(received.len(), sizes.len());
        for (message, size) in received.iter().zip(sizes) {
            assert!(*message == pattern(size), "{size} bytes");
        }
    }
    assert!(
        pair.runs
            .iter()
            .any(|&(segment, bytes)| bytes > 4 * segment),
        "runs for GSO: {:?}",
        pair.runs
    );
}

#[test]
fn every_third_packet_lost_and_all_arrives_once() {
    let mut pair = Pair::connected();
    let mut count = 0;
    pair.passes = Box::new(move |_, _| {
        count += 1;
        count % 3 != 0
    });
    for size in 1..200 {
        pair.send(0, 0, &pattern(size * 41), Reliability::Reliable);
    }
    pair.run(Duration::from_secs(60));
    let received = pair.received(1);
    assert_eq!(received.len(), 199);
    assert!(
        received
            .iter()
            .enumerate()
            .all(|(at, message)| *message == pattern((at + 1) * 41))
    );
    assert!(pair.sides[0].stats().chunks_retransmitted > 0);
}

#[test]
fn what_may_not_be_sent_again_is_skipped() {
    let mut pair = Pair::connected();
    pair.passes = Box::new(|side, packet| side == 1 || packet.len() < 200);
    pair.send(0, 0, &pattern(5000), Reliability::MaxRetransmits(0));
    pair.send(0, 0, b"after", Reliability::Reliable);
    pair.run(Duration::from_secs(30));
    assert_eq!(pair.received(1), [&b"after"[..]]);
    assert_eq!(
        pair.sides[0].stats().messages_abandoned,
        1,
        "{:?} {:?}",
        pair.sides[0].stats(),
        pair.events
    );
    assert_eq!(pair.sides[0].stats().in_flight, 0);
}

#[test]
fn a_lifetime_that_ended_before_the_first_packet_costs_nothing() {
    let mut pair = Pair::connected();
    pair.send(
        0,
        0,
        &pattern(100),
        Reliability::MaxLifetime(Duration::ZERO),
    );
    pair.send(0, 0, b"after", Reliability::Reliable);
    pair.settle();
    assert_eq!(pair.received(1), [&b"after"[..]]);
}

#[test]
fn an_outage_of_twenty_seconds_loses_nothing() {
    let mut pair = Pair::connected();
    let start = pair.now;
    let down = start + Duration::from_millis(100)..start + Duration::from_secs(20);
    pair.send(0, 0, &pattern(200_000), Reliability::Reliable);
    pair.run(Duration::from_millis(5));
    pair.passes = Box::new(|_, _| false);
    pair.send(0, 0, &pattern(200_000), Reliability::Reliable);
    pair.run(down.end - pair.now);
    pair.passes = Box::new(|_, _| true);
    let up = pair.now;
    while pair.sides[0].stats().in_flight > 0 || pair.sides[0].stats().buffered > 0 {
        pair.run(Duration::from_millis(100));
        assert!(
            pair.now < up + Duration::from_secs(6),
            "{:?}",
            pair.sides[0].stats()
        );
    }
    assert_eq!(pair.received(1).len(), 2);
}

#[test]
fn a_peer_that_is_gone_is_noticed() {
    let mut pair = Pair::connected();
    pair.passes = Box::new(|_, _| false);
    pair.send(0, 0, b"anyone?", Reliability::Reliable);
    pair.run(Duration::from_secs(90));
    assert_eq!(
        pair.events[0].last(),
        Some(&TransportEvent::Closed {
            reason: CloseReason::PeerUnreachable
        })
    );
    pair.run(Duration::from_secs(1200));
    assert_eq!(
        pair.events[1].last(),
        Some(&TransportEvent::Closed {
            reason: CloseReason::PeerUnreachable
        }),
        "by heartbeats, with nothing to send"
    );
}

#[test]
fn shutdown_delivers_first() {
    let mut pair = Pair::connected();
    pair.send(0, 0, &pattern(100_000), Reliability::Reliable);
    let now = pair.now;
    pair.sides[0].shutdown(now);
    pair.settle();
    assert_eq!(pair.received(1).len(), 1);
    for events in &pair.events {
        assert_eq!(
            events.last(),
            Some(&TransportEvent::Closed {
                reason: CloseReason::Shutdown
            })
        );
    }
}

#[test]
fn shutdown_survives_the_loss_of_its_last_word() {
    let mut pair = Pair::connected();
    let mut lost = false;
    // Common header and the four bytes of SHUTDOWN COMPLETE.
    pair.passes = Box::new(move |_, packet| {
        let last = packet.len() == 16 && packet[12] == crate::packet::kind::SHUTDOWN_COMPLETE;
        let first = last && !lost;
        lost |= last;
        !first
    });
    let now = pair.now;
    pair.sides[0].shutdown(now);
    pair.settle();
    for events in &pair.events {
        assert_eq!(
            events.last(),
            Some(&TransportEvent::Closed {
                reason: CloseReason::Shutdown
            })
        );
    }
}

#[test]
fn abort_says_why() {
    let mut pair = Pair::connected();
    pair.sides[0].abort("enough");
    pair.settle();
    let reason = CloseReason::AbortedByPeer {
        cause: Some(12),
        reason: "enough".into(),
    };
    assert_eq!(pair.events[1], [TransportEvent::Closed { reason }]);
    assert_eq!(
        pair.events[0],
        [TransportEvent::Closed {
            reason: CloseReason::Aborted
        }]
    );
}

#[test]
fn a_stream_is_reset_and_used_again() {
    let mut pair = Pair::connected();
    for round in 0..3_u8 {
        pair.send(0, 7, &[round + 1], Reliability::Reliable);
        pair.sides[0].reset_stream(7);
        pair.settle();
        assert_eq!(pair.received(1), [&[round + 1][..]]);
        assert!(
            pair.events[0].contains(&TransportEvent::OutgoingReset { stream: 7 }),
            "{:?}",
            pair.events[0]
        );
        assert!(pair.events[1].contains(&TransportEvent::IncomingReset { stream: Some(7) }));
        pair.events = [Vec::new(), Vec::new()];
    }
}

#[test]
fn a_peer_that_began_anew_is_taken_in() {
    let mut pair = Pair::connected();
    pair.sides[1] = Transport::new(Config::default(), [3; 32]);
    pair.input(1, Input::Connect);
    pair.settle();
    assert_eq!(
        pair.events[0],
        [
            TransportEvent::Restarted,
            TransportEvent::Established { streams: 65_535 }
        ]
    );
    pair.send(0, 0, b"again", Reliability::Reliable);
    pair.send(1, 1, b"indeed", Reliability::Reliable);
    pair.settle();
    assert_eq!(pair.received(1), [&b"again"[..]]);
    assert_eq!(pair.received(0), [&b"indeed"[..]]);
}

#[test]
fn data_travels_with_the_cookie() {
    let mut pair = Pair::new();
    pair.input(0, Input::Connect);
    pair.run(DELAY * 2 - Duration::from_nanos(1));
    let (_, side, init_ack) = pair.wire.pop().expect("INIT ACK is on its way");
    pair.input(side, Input::Datagram(&init_ack));
    let event = pair.sides[0].poll_output(pair.now, &mut Vec::new());
    assert!(matches!(
        event,
        TransportOutput::Event(TransportEvent::Established { .. })
    ));
    pair.send(0, 0, b"early", Reliability::Reliable);
    pair.run(DELAY);
    assert_eq!(pair.received(1), [&b"early"[..]]);
}

#[test]
fn a_small_message_is_not_behind_a_large_one() {
    let mut pair = Pair::connected();
    pair.send(0, 0, &pattern(200_000), Reliability::Reliable);
    pair.send(0, 2, b"quick", Reliability::Reliable);
    pair.settle();
    assert_eq!(pair.received(1)[0], &b"quick"[..], "fragments interleave");
}

#[test]
fn without_interleaving_and_with_checksums() {
    let plain = Config {
        interleaving: false,
        zero_checksum: false,
        ..Config::default()
    };
    let mut pair = Pair::with(Config::default(), plain);
    pair.input(0, Input::Connect);
    pair.input(1, Input::Connect);
    pair.settle();
    pair.expect_established();
    assert!(!pair.sides[0].stats().interleaving);
    assert!(!pair.sides[0].stats().zero_checksum);
    pair.send(0, 0, &pattern(200_000), Reliability::Reliable);
    pair.send(0, 2, b"not so quick", Reliability::Reliable);
    pair.settle();
    let received = pair.received(1);
    assert_eq!(
        received.iter().map(Bytes::len).collect::<Vec<_>>(),
        [200_000, 12]
    );
}

#[test]
fn packets_grow_as_far_as_the_path_lets_them() {
    for limit in [1188, 1300, 1432] {
        let mut pair = Pair::connected();
        pair.passes = Box::new(move |_, packet| packet.len() <= limit);
        for _ in 0..60 {
            pair.send(0, 0, &pattern(50_000), Reliability::Reliable);
            pair.run(Duration::from_secs(1));
        }
        assert_eq!(pair.received(1).len(), 60);
        let size = pair.sides[0].stats().packet_size;
        assert!(size <= limit && size + 20 > limit, "{size} of {limit}");
        pair.send(0, 0, &pattern(100_000), Reliability::Reliable);
        pair.run(Duration::from_secs(5));
        assert_eq!(pair.received(1).len(), 1);
        assert!(pair.runs.iter().any(|&(segment, _)| segment == size));
    }
}

#[test]
fn a_path_that_shrinks_below_the_packets_is_noticed() {
    let mut pair = Pair::connected();
    pair.send(0, 0, &pattern(100_000), Reliability::Reliable);
    pair.settle();
    assert_eq!(pair.sides[0].stats().packet_size, 1432);
    pair.passes = Box::new(|_, packet| packet.len() <= 1200);
    pair.send(0, 2, &pattern(100_000), Reliability::MaxRetransmits(5));
    pair.run(Duration::from_secs(30));
    assert_eq!(pair.sides[0].stats().packet_size, 1188);
    pair.send(0, 2, &pattern(100_000), Reliability::Reliable);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.received(1).last().map(Bytes::len), Some(100_000));
}

#[test]
fn a_reset_comes_after_the_messages_before_it_even_if_nobody_reads() {
    const WINDOW: u32 = 1 << 20;
    let small = Config {
        receive_window: WINDOW,
        ..Config::default()
    };
    let mut pair = Pair::with(Config::default(), small);
    pair.input(0, Input::Connect);
    pair.settle();
    pair.expect_established();
    pair.sides[1].set_reading(false);
    for stream in 0..40 {
        pair.send(0, stream, &pattern(100_000), Reliability::Reliable);
        pair.sides[0].reset_stream(stream);
        pair.run(Duration::from_secs(1));
    }
    assert!(pair.events[1].is_empty(), "{:?}", pair.events[1]);
    let stats = pair.sides[0].stats();
    let held = 4_000_000 - stats.in_flight - stats.buffered;
    assert!(held < 2 * WINDOW as usize, "{held} bytes in {WINDOW}");
    pair.sides[1].set_reading(true);
    pair.run(Duration::from_secs(60));
    let mut messages = 0;
    for event in &pair.events[1] {
        match event {
            TransportEvent::Message { stream, .. } => {
                assert_eq!(*stream, messages);
                messages += 1;
            }
            TransportEvent::IncomingReset { stream } => {
                assert!(stream.is_some_and(|at| at < messages))
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages, 40);
}

#[test]
fn what_arrived_of_a_message_given_up_is_no_reason_to_wait_for_the_rest() {
    for interleaving in [false, true] {
        let config = Config {
            interleaving,
            ..Config::default()
        };
        let mut pair = Pair::with(config, Config::default());
        pair.input(0, Input::Connect);
        pair.settle();
        pair.expect_established();
        pair.passes = Box::new(|side, _| side == 0);
        let lifetime = Reliability::MaxLifetime(Duration::from_millis(100));
        pair.send(0, 0, &pattern(200_000), lifetime);
        // All that the congestion window let go has arrived, and nobody has said so.
        pair.run(Duration::from_secs(1));
        pair.passes = Box::new(|_, _| true);
        pair.send(0, 0, b"after", Reliability::Reliable);
        pair.run(Duration::from_secs(10));
        assert_eq!(pair.received(1), [&b"after"[..]]);
        assert_eq!(pair.sides[0].stats().messages_abandoned, 1);
        assert_eq!(pair.sides[0].stats().in_flight, 0);
    }
}
