//! Any schedule of loss, reordering and duplication: every message once, in order where ordered, and nothing left over.
//! And any chunks at all, such as no sender would send.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::packet::Chunk;

/// A message as its sender has it.
#[derive(Debug, Clone)]
struct Sent {
    stream: u16,
    unordered: bool,
    /// Lengths of its fragments.
    fragments: Vec<usize>,
    /// The sender gives it up; of its fragments only those arrive that are marked.
    given_up: Option<Vec<bool>>,
    /// What it competes with among interleaved messages.
    turn: u8,
}

/// A fragment with its TSN.
#[derive(Debug, Clone)]
struct Piece {
    message: usize,
    fragment: usize,
    tsn: Tsn,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_message_once_and_in_order(
        interleaving in any::<bool>(),
        initial in prop_oneof![Just(u32::MAX - 20), any::<u32>()],
        messages in vec(message(), 1..40),
        // How much later than its turn each piece comes, how often, and whether the application looks in between.
        schedule in vec((0..60_usize, 1..3_usize, any::<bool>()), 1..100),
    ) {
        Run::new(interleaving, Tsn(initial), messages).play(&schedule);
    }

    /// Numbers are few, so that they meet; what a violation leaves behind counts as well.
    #[test]
    fn a_peer_that_sends_anything_costs_no_more_than_it_is_charged(
        interleaving in any::<bool>(),
        acts in vec((0..16_u8, 0..24_u32, 0..4_u16, 0..4_u32, any::<u8>(), 1..60_usize), 1..200),
    ) {
        let mut receiver = Receiver::new(ReceiverConfig {
            peer_initial_tsn: Tsn(u32::MAX - 9),
            window: 2000,
            interleaving,
            max_message_size: 150,
            streams: 3,
        });
        let mut buffer = Vec::new();
        for (act, ahead, stream, number, flags, length) in acts {
            let before = receiver.cumulative();
            let tsn = before.plus(ahead).previous();
            let unordered = flags & 4 != 0;
            match act {
                0 => drop(receiver.poll_message()),
                1 => receiver.reset_stream(stream),
                2 | 3 => {
                    buffer.clear();
                    let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 100);
                    if interleaving {
                        writer.i_forward_tsn(tsn, [(stream, unordered, number)].into_iter());
                    } else {
                        writer.forward_tsn(tsn, [(stream, number.to_le_bytes()[0].into())].into_iter());
                    }
                    writer.finish(false);
                    let _ = match Chunk::parse(&buffer[12..]) {
                        Ok(Chunk::ForwardTsn(forward)) => receiver.handle_forward_tsn(&forward),
                        Ok(Chunk::IForwardTsn(forward)) => receiver.handle_i_forward_tsn(&forward),
                        other => panic!("{other:?} was not written"),
                    };
                }
                _ => {
                    let order = match interleaving {
                        true => Order::Interleaved { mid: number, fsn: u32::from(flags >> 5) },
                        false => Order::Sequence { ssn: number.to_le_bytes()[0].into() },
                    };
                    let (beginning, ending) = (flags & 2 != 0, flags & 1 != 0);
                    let payload = &[7; 60][..length];
                    let _ = receiver.handle_data(&Data {
                        tsn, stream, unordered, beginning, ending, immediate: false, order, ppid: 0, payload,
                    });
                }
            }
            prop_assert!(receiver.cumulative() >= before, "what was acknowledged stays so");
            prop_assert_eq!(receiver.held(), receiver.assembly.recount() + receiver.delivery.recount());
            prop_assert!(receiver.held() <= 2 * 2000 + 150 + 60 + OVERHEAD, "{}", receiver.held());
        }
    }
}

fn message() -> impl Strategy<Value = Sent> {
    let fragments = vec(1..40_usize, 1..6);
    let given_up = prop::option::weighted(0.2, vec(any::<bool>(), 6));
    (0..4_u16, any::<bool>(), fragments, given_up, any::<u8>()).prop_map(
        |(stream, unordered, fragments, given_up, turn)| Sent {
            stream,
            unordered,
            fragments,
            given_up,
            turn,
        },
    )
}

struct Run {
    interleaving: bool,
    messages: Vec<Sent>,
    /// SSN or MID of each.
    numbers: Vec<u32>,
    pieces: Vec<Piece>,
    receiver: Receiver,
    received: Vec<Received>,
}

impl Run {
    fn new(interleaving: bool, initial: Tsn, messages: Vec<Sent>) -> Self {
        let mut next = BTreeMap::<_, u32>::new();
        let numbers = messages.iter().map(|message| {
            // Unordered messages have numbers of their own with I-DATA, and none with DATA.
            let number = next.entry((message.stream, message.unordered)).or_default();
            *number += 1;
            *number - 1
        });
        let numbers = numbers.collect();
        let receiver = Receiver::new(ReceiverConfig {
            peer_initial_tsn: initial,
            window: 1 << 20,
            interleaving,
            max_message_size: 1000,
            streams: 4,
        });
        let pieces = pieces(interleaving, initial, &messages);
        Self {
            interleaving,
            messages,
            numbers,
            pieces,
            receiver,
            received: Vec::new(),
        }
    }

    fn play(mut self, schedule: &[(usize, usize, bool)]) {
        for (piece, looks) in self.arrivals(schedule) {
            let piece = self.pieces[piece].clone();
            self.arrive(&piece);
            if looks {
                self.give_up();
                self.poll();
            }
        }
        self.give_up();
        self.poll();
        self.check();
    }

    /// Indices of pieces in the order in which they arrive, and whether the application looks afterwards.
    fn arrivals(&self, schedule: &[(usize, usize, bool)]) -> Vec<(usize, bool)> {
        let mut arrivals = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let lost = self.messages[piece.message]
                .given_up
                .as_ref()
                .is_some_and(|arriving| !arriving[piece.fragment]);
            let (_, copies, _) = schedule[index % schedule.len()];
            for copy in 0..if lost { 0 } else { copies } {
                let (delay, _, looks) = schedule[(index + 7 * copy) % schedule.len()];
                arrivals.push((index + delay, index, looks));
            }
        }
        arrivals.sort_by_key(|&(time, ..)| time);
        let arrivals = arrivals.into_iter();
        arrivals.map(|(_, index, looks)| (index, looks)).collect()
    }

    fn arrive(&mut self, piece: &Piece) {
        let message = &self.messages[piece.message];
        let number = self.numbers[piece.message];
        let order = if self.interleaving {
            let fsn = u32::try_from(piece.fragment).expect("few");
            Order::Interleaved { mid: number, fsn }
        } else {
            let ssn = if message.unordered { 0xBAD } else { number };
            Order::Sequence {
                ssn: u16::try_from(ssn).expect("few"),
            }
        };
        let before = message.fragments[..piece.fragment].iter().sum::<usize>();
        let payload = &content(piece.message, &message.fragments)[before..];
        let arrival = self.receiver.handle_data(&Data {
            tsn: piece.tsn,
            stream: message.stream,
            unordered: message.unordered,
            beginning: piece.fragment == 0,
            ending: piece.fragment + 1 == message.fragments.len(),
            immediate: false,
            order,
            ppid: u32::try_from(piece.message).expect("few"),
            payload: &payload[..message.fragments[piece.fragment]],
        });
        assert!(
            matches!(arrival, Ok(Arrival::New | Arrival::Duplicate)),
            "{arrival:?}"
        );
    }

    /// What a sender does that knows what arrived: the point moves over whatever it gave up (RFC 3758 §3.5).
    fn give_up(&mut self) {
        let mut point = self.receiver.cumulative();
        let mut last = BTreeMap::new();
        while let Some(piece) = self.pieces.iter().find(|piece| piece.tsn == point.next()) {
            let message = &self.messages[piece.message];
            if message.given_up.is_none() && !self.has(piece.tsn) {
                break;
            }
            if message.given_up.is_some() {
                let number = self.numbers[piece.message];
                let entry = last
                    .entry((message.stream, message.unordered))
                    .or_insert(number);
                *entry = number.max(*entry);
            }
            point = point.next();
        }
        if point == self.receiver.cumulative() {
            return;
        }
        let mut buffer = Vec::new();
        let mut writer = PacketWriter::start(&mut buffer, 1, 1, 1, 1188);
        let last = last.into_iter();
        assert!(if self.interleaving {
            let streams = last.map(|((stream, unordered), number)| (stream, unordered, number));
            writer.i_forward_tsn(point, streams)
        } else {
            // Unordered messages need no mention.
            let ordered = last.filter(|((_, unordered), _)| !unordered);
            let ssn = |number| u16::try_from(number).expect("few");
            writer.forward_tsn(
                point,
                ordered.map(|((stream, _), number)| (stream, ssn(number))),
            )
        });
        writer.finish(false);
        let handled = match Chunk::parse(&buffer[12..]) {
            Ok(Chunk::ForwardTsn(forward)) => self.receiver.handle_forward_tsn(&forward),
            Ok(Chunk::IForwardTsn(forward)) => self.receiver.handle_i_forward_tsn(&forward),
            other => panic!("{other:?} was not written"),
        };
        assert_eq!(handled, Ok(()));
    }

    fn has(&self, tsn: Tsn) -> bool {
        self.receiver.arrived.place(tsn) == Place::Duplicate
    }

    fn poll(&mut self) {
        self.received
            .extend(std::iter::from_fn(|| self.receiver.poll_message()));
    }

    fn check(&self) {
        let mut counts = vec![0; self.messages.len()];
        let mut last = BTreeMap::new();
        for received in &self.received {
            let index = received.ppid as usize;
            let message = &self.messages[index];
            counts[index] += 1;
            assert_eq!(received.payload, content(index, &message.fragments));
            assert_eq!(received.stream, message.stream);
            assert_eq!(received.unordered, message.unordered);
            if !message.unordered {
                let before = last.insert(message.stream, index);
                assert!(before < Some(index), "{before:?} came before {index}");
            }
        }
        for (index, message) in self.messages.iter().enumerate() {
            let at_least = usize::from(message.given_up.is_none());
            assert!(
                (at_least..=1).contains(&counts[index]),
                "{index}: {}",
                counts[index]
            );
        }
        let last = self.pieces.last().expect("there is a message");
        assert_eq!(self.receiver.cumulative(), last.tsn);
        assert!(!self.receiver.arrived.has_gaps());
        assert_eq!(self.receiver.held(), 0);
    }
}

/// In the order of TSNs: message by message, or interleaved.
fn pieces(interleaving: bool, initial: Tsn, messages: &[Sent]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut free = BTreeMap::new();
    for (message, sent) in messages.iter().enumerate() {
        // Messages of one stream follow each other: an I-FORWARD-TSN could not tell which of two that overlap is meant.
        let free = free.entry((sent.stream, sent.unordered)).or_insert(0);
        let first = message.max(*free);
        for fragment in 0..sent.fragments.len() {
            let turn = first + fragment * usize::from(sent.turn % 8);
            let turn = if interleaving { turn } else { message };
            *free = turn + 1;
            pieces.push((turn, message, fragment));
        }
    }
    pieces.sort_by_key(|&(turn, message, _)| (turn, message));
    let numbered = (0..).zip(pieces);
    let pieces = numbered.map(|(offset, (_, message, fragment))| Piece {
        message,
        fragment,
        tsn: initial.plus(offset),
    });
    pieces.collect()
}

/// What a message says: bytes that tell it from the others.
fn content(message: usize, fragments: &[usize]) -> Vec<u8> {
    let length = fragments.iter().sum();
    let bytes = (0..length).map(|at| (at * 31 + message * 7).to_le_bytes()[0]);
    bytes.collect()
}
