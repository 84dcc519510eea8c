//! The edges of SCTP with `dcsctp` and with `rtc-sctp`, both roles: numbers that wrap, windows that close, tails that are lost, ids
//! that are used again.

#![allow(
    clippy::print_stdout,
    reason = "which pairing failed; shown with the failure"
)]

mod stacks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crowfly_sctp::{Association, ChannelOptions, Config, Message};
use crowfly_sim::{Link, Loss};

use stacks::bed::{Bed, check, hash, numbered};
use stacks::rivals::{PAIRINGS, bed};

/// With nothing new for so long, a transfer has stalled.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than sequence numbers of 16 bits tell apart.
const MANY: usize = 70_000;

fn path() -> Link {
    Link::new()
        .rate(50_000_000)
        .delay(Duration::from_millis(10))
        .queue_packets(500)
}

/// A seed with which ours begins so close to the end of all TSNs that `MANY` chunks pass it.
fn our_seed_before_the_wrap() -> u64 {
    let wraps = |seed: &u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let init = Association::new(Config::default(), bytes).local_init();
        let tsn = u32::from_be_bytes(init[16..20].try_into().expect("INIT has a TSN"));
        tsn > u32::MAX - MANY as u32 / 2
    };
    (1..).find(wraps).expect("one in sixty thousand has it")
}

/// The same of dcsctp, which draws its first TSN from the generator that the adapter seeds.
fn dcsctp_seed_before_the_wrap() -> u64 {
    let wraps =
        |seed: &u64| fastrand::Rng::with_seed(*seed).u32(0..u32::MAX) > u32::MAX - MANY as u32 / 2;
    (1..).find(wraps).expect("one in sixty thousand has it")
}

/// The TSN of the first chunk of DATA in a packet.
fn tsn(packet: &[u8]) -> Option<u32> {
    let mut chunks = packet.get(12..)?;
    while chunks.len() >= 8 {
        if chunks[0] == 0 {
            return Some(u32::from_be_bytes(chunks[4..8].try_into().expect("four")));
        }
        let length = usize::from(u16::from_be_bytes([chunks[2], chunks[3]]));
        chunks = chunks.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}

/// The lowest and highest TSN a side sent.
fn watch_tsns(bed: &mut Bed, side: usize) -> [Arc<AtomicU32>; 2] {
    let seen = [AtomicU32::new(u32::MAX), AtomicU32::new(0)].map(Arc::new);
    let [low, high] = seen.clone();
    bed.network.filter(bed.sides[side], move |_, packet| {
        if let Some(tsn) = tsn(packet) {
            low.fetch_min(tsn, Ordering::Relaxed);
            high.fetch_max(tsn, Ordering::Relaxed);
        }
        true
    });
    seen
}

#[test]
fn seventy_thousand_messages_wrap_sequence_numbers_and_tsns() {
    let seeds = [our_seed_before_the_wrap(), dcsctp_seed_before_the_wrap()];
    for (name, rival, ours) in PAIRINGS {
        println!("{name}");
        let link = path().loss(Loss::Random(0.01));
        let mut bed = bed(rival, ours, &link, seeds, |setup| setup);
        let tsns = [0, 1].map(|side| watch_tsns(&mut bed, side));
        let channel = bed.open(0, &ChannelOptions::labeled("many"));
        bed.until(PATIENCE, "the channel is open", |bed| {
            bed.side(1).opened.len() == 1
        });
        let messages = || (0..MANY).map(|number| numbered(number, number % 24));
        for side in 0..2 {
            bed.send(side, channel, messages());
        }
        bed.until(PATIENCE, "all have arrived", |bed| {
            (0..2).all(|side| bed.side(side).count(channel) == MANY)
        });
        let sent: Vec<Message> = messages().collect();
        for side in 0..2 {
            assert!(hash(&bed.side(side).received[&channel]) == hash(&sent));
        }
        // rtc-sctp draws its first TSN from a generator that cannot be seeded.
        let seeded = if name.starts_with("dcsctp") { 2 } else { 1 };
        for (side, [low, high]) in tsns.iter().take(seeded).enumerate() {
            let wrapped = low.load(Ordering::Relaxed) < MANY as u32
                && high.load(Ordering::Relaxed) > u32::MAX - MANY as u32;
            assert!(wrapped, "the TSNs of side {side} did not wrap");
        }
    }
}

/// A small window, and messages for several of it.
const WINDOW: usize = 128 << 10;

fn several_windows() -> Vec<Message> {
    (0..100).map(|number| numbered(number, 10_000)).collect()
}

/// One side does not read until the other's window is full and beyond; then it does.
#[test]
fn a_window_that_closes_opens_again() {
    for (name, rival, ours) in PAIRINGS {
        for from in 0..2 {
            println!("{name}, from side {from}");
            closed_window(&mut bed_with_window(rival, ours, &path()), from);
        }
    }
}

/// The same, and what fills the window loses its tail.
#[test]
fn a_full_window_whose_tail_is_lost_is_filled_again() {
    for (name, rival, ours) in PAIRINGS {
        for from in 0..2 {
            println!("{name}, from side {from}");
            let mut bed = bed_with_window(rival, ours, &path());
            let lost = lose_tail(&mut bed, from);
            closed_window(&mut bed, from);
            assert!(lost.load(Ordering::Relaxed), "nothing was lost");
        }
    }
}

fn bed_with_window(rival: stacks::rivals::Rival, ours: crowfly_sctp::Role, link: &Link) -> Bed {
    bed(rival, ours, link, [5, 6], |setup| stacks::Setup {
        window: WINDOW,
        max_message: 20_000,
        ..setup
    })
}

/// Drops the second half of the first window: every large packet between two counts, sent for the first time or again, for a second.
fn lose_tail(bed: &mut Bed, from: usize) -> Arc<AtomicBool> {
    let lost = Arc::new(AtomicBool::new(false));
    let (told, mut large, mut since) = (lost.clone(), 0, None);
    bed.network.filter(bed.sides[from], move |at, packet| {
        large += usize::from(packet.len() > 1000);
        let begun = *match large > WINDOW / 1200 / 2 {
            true => since.get_or_insert(at),
            false => return true,
        };
        let passes = packet.len() <= 1000 || at > begun + Duration::from_secs(1);
        told.fetch_or(!passes, Ordering::Relaxed);
        passes
    });
    lost
}

fn closed_window(bed: &mut Bed, from: usize) {
    let options = ChannelOptions::labeled("bulk");
    let channel = bed.open(0, &options);
    bed.until(PATIENCE, "the channel is open", |bed| {
        bed.side(1).opened.len() == 1
    });
    bed.update(1 - from, |side, _| side.stack.pause(true));
    bed.send(from, channel, several_windows());
    bed.network.run_for(Duration::from_secs(30));
    assert_eq!(bed.side(1 - from).count(channel), 0, "it does not read");
    let waits = bed.update(from, |side, _| side.stack.buffered(channel));
    assert!(waits > WINDOW, "the window holds the sender back: {waits}");
    bed.update(1 - from, |side, _| side.stack.pause(false));
    bed.until(PATIENCE, "all have arrived", |bed| {
        bed.side(1 - from).count(channel) == several_windows().len()
    });
    check(
        &options,
        &several_windows(),
        &bed.side(1 - from).received[&channel],
    );
    assert_eq!(bed.side(0).ended, None);
    assert_eq!(bed.side(1).ended, None);
}

/// Channels come and go; with eight streams every number is used many times.
#[test]
fn ids_are_reset_and_used_again() {
    for (name, rival, ours) in PAIRINGS {
        println!("{name}");
        // rtc-sctp arms no timer for the reset with which it answers ours: lost once, it never comes.
        let loss = if name.starts_with("rtc") { 0.0 } else { 0.05 };
        let link = path().loss(Loss::Random(loss)).duplicate(0.02);
        let mut bed = bed(rival, ours, &link, [5, 6], |setup| stacks::Setup {
            streams: 8,
            ..setup
        });
        let options = ChannelOptions::labeled("short");
        let mut uses = std::collections::BTreeMap::<u16, usize>::new();
        for round in 0..40 {
            let (opener, closer) = (round % 2, round / 2 % 2);
            let channel = bed.open(opener, &options);
            assert!(channel < 8);
            *uses.entry(channel).or_default() += 1;
            bed.until(PATIENCE, "the channel is open", |bed| {
                bed.side(1 - opener).opened.len() == round / 2 + 1
            });
            let messages: Vec<_> = (0..10)
                .map(|number| numbered(round + number, 2000))
                .collect();
            let before = [0, 1].map(|side| bed.side(side).count(channel));
            for side in 0..2 {
                bed.send(side, channel, messages.clone());
            }
            bed.until(PATIENCE, "the messages have arrived", |bed| {
                (0..2).all(|side| bed.side(side).count(channel) == before[side] + 10)
            });
            for (side, before) in before.into_iter().enumerate() {
                check(
                    &options,
                    &messages,
                    &bed.side(side).received[&channel][before..],
                );
            }
            bed.close(closer, channel);
            bed.until(PATIENCE, "both sides know of the end", |bed| {
                (0..2).all(|side| bed.side(side).closed.len() == round + 1)
            });
        }
        assert!(uses.values().any(|&uses| uses >= 5), "{uses:?}");
    }
}
