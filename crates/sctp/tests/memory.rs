//! What an association costs in memory, counted by the allocator: idle, on a fat path, and for each packet.
//!
//! One test, because the allocator counts for the whole process. Its figures are shown by
//! `cargo nextest run -p crowfly-sctp --test memory --no-capture`.

#![allow(clippy::print_stdout, reason = "figures for docs/performance.md")]

use std::alloc::System;
use std::time::{Duration, Instant};

use crowfly_sctp::{
    Association, ChannelId, ChannelOptions, Config, Event, Input, Message, Output, Role,
};
use crowfly_sim::{Link, Loss, Machine, Network, NodeId};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated and not freed.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Allocations made, those that made a buffer larger included.
fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

/// An end whose user keeps a channel full, or takes what comes.
struct End {
    association: Association,
    buffer: Vec<u8>,
    /// The channel to fill and the size of each message.
    bulk: Option<(ChannelId, usize)>,
    messages: usize,
    bytes: usize,
    /// Allocated by it and not freed, its user's queued messages included; and the most of it.
    held: usize,
    peak: usize,
}

/// How much the user keeps queued.
const BACKLOG: usize = 1 << 20;

impl End {
    fn new(role: Role, window: u32) -> Self {
        let config = Config {
            role,
            receive_window: window,
            ..Config::default()
        };
        Self {
            association: Association::new(config, [role as u8 + 1; 32]),
            buffer: Vec::new(),
            bulk: None,
            messages: 0,
            bytes: 0,
            held: 0,
            peak: 0,
        }
    }

    fn fill(&mut self, now: Instant) {
        while let Some((channel, size)) = self.bulk
            && self.association.buffered_amount(channel) < BACKLOG
        {
            // Bytes of its own each time, as a file's would be.
            let message = Message::Binary(vec![7; size].into());
            let sent = self.association.send(now, channel, message);
            sent.expect("the backlog is less than the buffer");
        }
    }

    /// Does something and counts what it allocated and freed.
    fn counted<R>(&mut self, action: impl FnOnce(&mut Self) -> R) -> R {
        let before = live();
        let result = action(self);
        self.held = (self.held + live()).saturating_sub(before);
        self.peak = self.peak.max(self.held);
        result
    }

    fn next(&mut self, now: Instant) -> Output {
        self.fill(now);
        let output = self.association.poll_output(now, &mut self.buffer);
        if let Output::Event(Event::Message { message, .. }) = &output {
            self.messages += 1;
            self.bytes += message.len();
        }
        output
    }
}

impl Machine for End {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.counted(|end| {
            end.association.handle_input(now, Input::Datagram(datagram));
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.counted(|end| end.association.handle_input(now, Input::Timeout));
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        loop {
            // A message that was received is dropped before it is counted: it is the user's by then.
            match self.counted(|end| match end.next(now) {
                Output::Event(_) => None,
                output => Some(output),
            }) {
                Some(Output::Transmit { segment_size }) => {
                    self.buffer.chunks(segment_size).for_each(&mut *transmit);
                }
                Some(Output::Timeout(at)) => return at,
                _ => {}
            }
        }
    }
}

fn network(link: &Link, window: u32) -> (Network<End>, [NodeId; 2]) {
    let mut network = Network::new(crowfly_sim::seed(1));
    let ends = [Role::Client, Role::Server].map(|role| network.add_machine(End::new(role, window)));
    let links = [link, link].map(|link| network.add_link(link.clone()));
    network.connect(ends[0], ends[1], &links[..1], &links[1..]);
    for end in ends {
        network.update(end, |end, now| {
            end.association.handle_input(now, Input::Connect);
        });
    }
    (network, ends)
}

fn open(end: &mut End) -> ChannelId {
    let opened = end.association.open(ChannelOptions::labeled("file"));
    opened.expect("a stream is free")
}

/// A pair that is connected and has exchanged a message: what each of the two keeps, the network's share included.
fn idle() -> usize {
    let link = Link::new().delay(Duration::from_millis(10));
    let pairs = 50;
    let before = live();
    let mut all = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        let (mut network, ends) = network(&link, 4 << 20);
        network.run_for(Duration::from_secs(1));
        network.update(ends[0], |end, now| {
            let channel = open(end);
            let sent = end
                .association
                .send(now, channel, Message::Text("hello".into()));
            sent.expect("there is room");
        });
        network.run_for(Duration::from_secs(5));
        assert_eq!(network.machine(ends[1]).messages, 1);
        all.push(network);
    }
    (live() - before) / (2 * pairs)
}

/// The most that the sender and the receiver take, in windows, and the megabytes that arrived a second.
fn fat_path(loss: f64) -> ([f64; 2], f64) {
    let link = Link::new()
        .rate(1_000_000_000)
        .delay(Duration::from_millis(25))
        .queue_packets(2000)
        .loss(Loss::Random(loss));
    let (mut network, ends) = network(&link, WINDOW as u32);
    network.run_for(Duration::from_secs(1));
    network.update(ends[0], |end, _| end.bulk = Some((open(end), 16 << 10)));
    network.run_for(Duration::from_secs(3));
    let rate = network.machine(ends[1]).bytes as f64 / 3e6;
    let peaks = ends.map(|end| network.machine(end).peak as f64 / WINDOW as f64);
    (peaks, rate)
}

const WINDOW: usize = 16 << 20;

/// Allocations for each packet of data in a running transfer, without those of the user's own messages.
fn for_each_packet(size: usize) -> f64 {
    let link = Link::new()
        .rate(1_000_000_000)
        .delay(Duration::from_millis(1));
    let (mut network, ends) = network(&link, 4 << 20);
    network.run_for(Duration::from_secs(1));
    network.update(ends[0], |end, _| end.bulk = Some((open(end), size)));
    network.run_for(Duration::from_secs(3));
    let stats = |network: &Network<End>| {
        let [a, b] = ends.map(|end| network.machine(end));
        (a.association.stats().packets_sent, b.messages)
    };
    let (before, (packets, messages)) = (allocations(), stats(&network));
    network.run_for(Duration::from_millis(200));
    let (made, (packets_after, messages_after)) = (allocations() - before, stats(&network));
    // The message itself: its bytes and what counts the references to them.
    let users = 2 * (messages_after - messages);
    assert!(packets_after - packets > 10_000, "it is running");
    made.saturating_sub(users) as f64 / (packets_after - packets) as f64
}

#[test]
fn memory_is_bounded_and_packets_allocate_nothing() {
    let idle = idle();
    assert!(idle <= 16 << 10, "an idle association takes {idle} bytes");
    for loss in [0.0, 0.01] {
        let (windows, rate) = fat_path(loss);
        assert!(rate > 60.0, "the path is used: {rate} MB/s at {loss}");
        println!(
            "{loss} lost: sender and receiver take {windows:.2?} windows, {rate:.0} MB/s arrive"
        );
        assert!(
            windows.iter().all(|&windows| windows < 2.5),
            "sender and receiver take {windows:?} windows at {loss}"
        );
    }
    println!("an idle association takes {idle} bytes");
    // The receiver puts a message together in a buffer of its own; a packet costs nothing beside that.
    for (size, most) in [(16 << 10, 0.12), (200 << 10, 0.015)] {
        let each = for_each_packet(size);
        println!("messages of {size}: {each:.3} allocations a packet");
        assert!(
            each < most,
            "{each} allocations a packet, messages of {size}"
        );
    }
}
