//! The sending half against a peer made of a set: whatever arrives and is told in whatever order, nothing is sent for nothing,
//! nothing is forgotten, and the bytes in flight add up.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::packet::{ChecksumPolicy, Chunk, Packet};

const FIRST: Tsn = Tsn(u32::MAX - 20);
const SIZE: usize = 1188;

fn sender(now: Instant) -> Sender {
    let config = SenderConfig {
        initial_tsn: FIRST,
        congestion: CongestionControl::Cubic,
        packet_size: SIZE,
        max_flight: 1 << 20,
    };
    let mut sender = Sender::new(now, &config);
    sender.start(1 << 20, false);
    sender
}

const RELIABLE: SendOptions = SendOptions {
    unordered: false,
    reliability: Reliability::Reliable,
    priority: 256,
};

/// Sends one packet; the TSNs and lengths in it.
fn packet(sender: &mut Sender, now: Instant) -> Vec<(Tsn, usize)> {
    let mut buf = Vec::new();
    let mut writer = PacketWriter::start(&mut buf, 1, 1, 1, SIZE);
    sender.fill(now, &mut writer, SIZE);
    writer.finish(true);
    let packet = Packet::parse(&buf, ChecksumPolicy::Required).expect("as written");
    let chunks = packet.chunks().map(|chunk| match chunk {
        Ok(Chunk::Data(data)) => (data.tsn, data.payload.len()),
        other => panic!("{other:?}"),
    });
    chunks.collect()
}

fn sack(sender: &mut Sender, now: Instant, arrived: &BTreeSet<u32>) {
    let cumulative = arrived
        .iter()
        .zip(0..)
        .take_while(|&(&at, expected)| at == expected)
        .count() as u32;
    let mut gaps: Vec<(u16, u16)> = Vec::new();
    for &at in arrived.range(cumulative..) {
        let offset = (at - cumulative + 1) as u16;
        match gaps.last_mut() {
            Some((_, end)) if *end + 1 == offset => *end = offset,
            _ => gaps.push((offset, offset)),
        }
    }
    let mut buf = Vec::new();
    let mut writer = PacketWriter::start(&mut buf, 1, 1, 1, 60_000);
    writer.sack(
        FIRST.previous().plus(cumulative),
        1 << 20,
        gaps.into_iter(),
        std::iter::empty(),
    );
    writer.finish(true);
    let packet = Packet::parse(&buf, ChecksumPolicy::Required).expect("as written");
    let Some(Ok(Chunk::Sack(sack))) = packet.chunks().next() else {
        panic!("a SACK was written")
    };
    sender.handle_sack(now, &sack).expect("only what was sent");
}

#[test]
fn a_sack_for_what_was_never_sent_is_refused() {
    let now = Instant::now();
    let mut sender = sender(now);
    let beyond = Sack::without_gaps(FIRST, 1000);
    assert_eq!(sender.handle_sack(now, &beyond), Err(SackBeyondSent));
    sender.push(now, 0, 53, Bytes::from_static(b"x"), &RELIABLE);
    packet(&mut sender, now);
    assert_eq!(sender.handle_sack(now, &beyond), Ok(()));
    assert!(sender.is_drained());
}

#[test]
fn streams_share_by_priority() {
    let now = Instant::now();
    let mut sender = sender(now);
    sender.start(1 << 20, true);
    for (stream, priority) in [(0, 128), (1, 512)] {
        for _ in 0..100 {
            let options = SendOptions {
                priority,
                ..RELIABLE
            };
            sender.push(now, stream, 53, vec![0; 4000].into(), &options);
        }
    }
    for _ in 0..200 {
        let mut buf = Vec::new();
        let mut writer = PacketWriter::start(&mut buf, 1, 1, 1, SIZE);
        sender.fill(now, &mut writer, SIZE);
        writer.discard();
    }
    let sent = [0, 1].map(|stream| 400_000 - sender.buffered(stream));
    let ratio = sent[1] as f64 / sent[0] as f64;
    assert!((3.5..4.5).contains(&ratio), "{sent:?}");
}

#[test]
fn a_closed_window_gets_one_packet_and_no_more() {
    let now = Instant::now();
    let mut sender = sender(now);
    sender.start(0, false);
    sender.push(now, 0, 53, vec![0; 5000].into(), &RELIABLE);
    assert_eq!(packet(&mut sender, now).len(), 1);
    assert!(packet(&mut sender, now).is_empty());
    sender
        .handle_sack(now, &Sack::without_gaps(FIRST, 0))
        .expect("sent");
    assert_eq!(
        packet(&mut sender, now).len(),
        1,
        "the window is closed, and nothing is on its way"
    );
}

#[test]
fn a_peer_that_takes_back_what_it_had_gets_it_again() {
    let now = Instant::now();
    let mut sender = sender(now);
    sender.push(now, 0, 53, vec![0; 5000].into(), &RELIABLE);
    for _ in 0..5 {
        packet(&mut sender, now);
    }
    sack(&mut sender, now, &BTreeSet::from([0, 2, 3]));
    sack(&mut sender, now, &BTreeSet::from([0, 1]));
    let later = now + Duration::from_secs(1);
    sender.handle_timeout(later);
    let again: BTreeSet<i32> = (0..5)
        .flat_map(|_| packet(&mut sender, later))
        .map(|(tsn, _)| tsn.distance_from(FIRST))
        .collect();
    assert!(again.contains(&2) && again.contains(&3), "{again:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Packet,
    /// So many of the TSNs on the way arrive, from a place.
    Arrive(usize, usize),
    Sack,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..5000_usize).prop_map(Step::Push),
        6 => Just(Step::Packet),
        4 => (0..40_usize, 1..6_usize).prop_map(|(at, count)| Step::Arrive(at, count)),
        3 => Just(Step::Sack),
        1 => (1..400_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 2000 }))]

    #[test]
    fn any_history_adds_up(steps in prop::collection::vec(step(), 1..200)) {
        let mut now = Instant::now();
        let mut sender = sender(now);
        let (mut pushed, mut lengths) = (0, Vec::<usize>::new());
        let (mut arrived, mut told) = (BTreeSet::new(), BTreeSet::new());
        let mut send = |sender: &mut Sender, now, told: &BTreeSet<u32>| {
            for (tsn, length) in packet(sender, now) {
                let at = tsn.distance_from(FIRST) as usize;
                assert!(!told.contains(&(at as u32)), "{at} was acknowledged");
                if at < lengths.len() {
                    assert_eq!(lengths[at], length, "a chunk stays as it is");
                } else {
                    assert_eq!(at, lengths.len(), "TSNs have no holes");
                    lengths.push(length);
                }
            }
            lengths.len()
        };
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Push(length) => {
                    pushed += length;
                    sender.push(now, 0, 53, vec![0; length].into(), &RELIABLE);
                }
                Step::Packet => sent = send(&mut sender, now, &told),
                Step::Arrive(at, count) => arrived.extend((at as u32..(at + count) as u32).filter(|&at| (at as usize) < sent)),
                Step::Sack => {
                    sack(&mut sender, now, &arrived);
                    told = arrived.clone();
                }
                Step::Wait(milliseconds) => {
                    now += Duration::from_millis(milliseconds);
                    sender.handle_timeout(now);
                }
            }
            prop_assert!(sender.in_flight() <= pushed);
        }
        // From here on all arrives: it ends, with every byte in its place.
        for _ in 0..10_000 {
            if sender.is_drained() {
                break;
            }
            sent = send(&mut sender, now, &told);
            arrived.extend(0..sent as u32);
            sack(&mut sender, now, &arrived);
            told = arrived.clone();
            now = sender.deadline(true).map_or(now, |at| at.max(now)) + Duration::from_millis(1);
            sender.handle_timeout(now);
        }
        prop_assert!(sender.is_drained());
        prop_assert_eq!(sender.in_flight(), 0);
        prop_assert_eq!(sender.flight.unacknowledged(), 0);
        prop_assert_eq!(lengths.iter().sum::<usize>(), pushed);
    }
}
