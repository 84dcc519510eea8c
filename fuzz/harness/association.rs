//! What must hold of a live association, whatever its peer sends. Used by the fuzz target and by the tests of the crate.
//!
//! Two associations talk over a wire; the bytes say what their users do and what becomes of each packet: carried, lost, repeated,
//! held back, changed in places, or replaced by chunks of the attacker's own under a header that is believed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crowfly_sctp::{
    Association, ChannelId, ChannelOptions, ChannelState, Config, CongestionControl, Event, Input,
    Message, Output, Reliability, Role,
};

/// Beyond so many packets the wire drops.
const WIRE: usize = 200;
/// Outputs and timeouts at one instant, beyond which it spins.
const SPINS: usize = 5000;
const MAX_MESSAGE: usize = 20_000;
const HEADER: usize = 12;

/// Reads the bytes as a history and plays it; panics when a promise is broken.
pub(crate) fn play(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut play = Play::new(bytes.next().unwrap_or_default());
    for _ in 0..6 {
        play.carry_all();
        play.pass(Duration::from_millis(5));
    }
    while let Some(act) = bytes.next() {
        play.act(act, &mut bytes);
    }
    // Both come to rest: nothing they were told keeps them busy for ever.
    for _ in 0..20 {
        play.carry_all();
        play.pass(Duration::from_secs(1));
    }
    for _ in 0..40 {
        play.wires.iter_mut().for_each(VecDeque::clear);
        play.pass(Duration::from_secs(10));
    }
}

struct End {
    association: Association,
    wake: Option<Instant>,
    channels: Vec<ChannelId>,
    over: bool,
    /// Bytes of datagrams given to it, and of messages it handed on.
    fed: usize,
    heard: usize,
}

struct Play {
    now: Instant,
    ends: [End; 2],
    /// Packets to each end.
    wires: [VecDeque<Vec<u8>>; 2],
    /// The header of the last packet to each end: its tag is believed.
    headers: [Vec<u8>; 2],
}

impl Play {
    fn new(settings: u8) -> Self {
        let now = Instant::now();
        let ends = [Role::Client, Role::Server].map(|role| {
            let mut config = Config {
                role,
                interleaving: settings & 1 == 0,
                max_message_size: MAX_MESSAGE,
                peer_max_message_size: if settings & 2 == 0 { 0 } else { MAX_MESSAGE },
                receive_window: 50_000,
                ..Config::default()
            };
            if settings & 4 != 0 {
                config.congestion = CongestionControl::Cubic;
            }
            if settings & 8 != 0 {
                config.streams = 4;
            }
            End {
                association: Association::new(config, [role as u8 + 1; 32]),
                wake: None,
                channels: Vec::new(),
                over: false,
                fed: 0,
                heard: 0,
            }
        });
        let mut play = Self {
            now,
            ends,
            wires: Default::default(),
            headers: Default::default(),
        };
        if settings & 16 == 0 {
            (0..2).for_each(|side| play.input(side, Input::Connect));
        } else {
            let inits = [0, 1].map(|side: usize| play.ends[side].association.local_init());
            (0..2).for_each(|side| play.input(side, Input::RemoteInit(&inits[1 - side])));
        }
        play
    }

    fn act(&mut self, act: u8, bytes: &mut impl Iterator<Item = u8>) {
        let side = usize::from(act & 1);
        let mut next = || bytes.next().unwrap_or_default();
        match act >> 1 & 15 {
            0 => self.pass(Duration::from_millis(u64::from(next()) * 4)),
            1 => self.carry_all(),
            2 => self.open(side, next()),
            3 | 4 => {
                let (which, size) = (next(), usize::from(next()));
                self.send(side, which, size * size / 4);
            }
            5 => {
                if let Some(channel) = pick(&self.ends[side].channels, next()) {
                    self.ends[side].association.close(channel);
                    self.drain(side);
                }
            }
            6 => drop(self.wires[side].pop_front()),
            7 => {
                if let Some(packet) = self.wires[side].pop_front() {
                    self.wires[side].push_back(packet); // late
                }
            }
            8 => {
                if let Some(packet) = self.wires[side].front().cloned() {
                    self.feed(side, &packet); // and once more later
                }
            }
            9 => {
                if let Some(packet) = self.wires[side].pop_front() {
                    self.feed(side, &packet);
                }
            }
            10..=12 => {
                let changes = [(next(), next()), (next(), next())];
                self.spoil(side, &changes);
            }
            13 | 14 => {
                let length = usize::from(next());
                let chunks: Vec<u8> = bytes.take(length).collect();
                self.forge(side, &chunks);
            }
            _ => self.rare(side, next()),
        }
    }

    /// A packet on the wire is changed in two places and arrives. Places beyond its end do nothing, the low bits count more.
    fn spoil(&mut self, side: usize, changes: &[(u8, u8)]) {
        let Some(mut packet) = self.wires[side].pop_front() else {
            return;
        };
        for &(place, value) in changes {
            if let Some(byte) = packet.get_mut(HEADER + usize::from(place)) {
                *byte = value;
            }
        }
        self.feed_unchecked(side, packet);
    }

    /// Chunks of the attacker's own; what they do not set is as in the packet that came last.
    fn forge(&mut self, side: usize, chunks: &[u8]) {
        let mut packet = self.headers[side].clone();
        packet.extend(chunks);
        self.feed_unchecked(side, packet);
    }

    fn rare(&mut self, side: usize, what: u8) {
        let association = &mut self.ends[side].association;
        match what % 8 {
            0 => association.shutdown(),
            1 => association.abort("enough"),
            2 => association.set_reading(false),
            3..=5 => association.set_reading(true),
            _ => {
                let stats = association.stats();
                assert!(stats.packets_received >= stats.messages_received.min(1));
            }
        }
        self.drain(side);
    }

    fn open(&mut self, side: usize, kind: u8) {
        let reliability = match kind >> 1 & 3 {
            0 | 1 => Reliability::Reliable,
            2 => Reliability::MaxRetransmits(u16::from(kind >> 4)),
            _ => Reliability::MaxLifetime(Duration::from_millis(u64::from(kind))),
        };
        let options = ChannelOptions {
            ordered: kind & 1 == 0,
            reliability,
            negotiated: (kind & 8 != 0).then_some(u16::from(kind >> 4)),
            ..ChannelOptions::labeled("any")
        };
        if let Ok(channel) = self.ends[side].association.open(options) {
            self.ends[side].channels.push(channel);
        }
        self.drain(side);
    }

    fn send(&mut self, side: usize, which: u8, size: usize) {
        let now = self.now;
        let end = &mut self.ends[side];
        if let Some(channel) = pick(&end.channels, which) {
            let message = Message::Binary(vec![which; size].into());
            let _ = end.association.send(now, channel, message);
        }
        self.drain(side);
    }

    fn carry_all(&mut self) {
        for _ in 0..4 * WIRE {
            let Some(side) = (0..2).find(|&side| !self.wires[side].is_empty()) else {
                return;
            };
            while let Some(packet) = self.wires[side].pop_front() {
                self.feed(side, &packet);
            }
        }
    }

    /// DTLS guards the bytes, so that no checksum is needed: the fuzzer gets past it.
    fn feed_unchecked(&mut self, side: usize, mut packet: Vec<u8>) {
        if let Some(checksum) = packet.get_mut(8..HEADER) {
            checksum.fill(0);
        }
        self.feed(side, &packet);
    }

    fn feed(&mut self, side: usize, packet: &[u8]) {
        if let Some(header) = packet.get(..HEADER) {
            self.headers[side] = header.to_vec();
        }
        self.ends[side].fed += packet.len();
        self.input(side, Input::Datagram(packet));
    }

    fn input(&mut self, side: usize, input: Input<'_>) {
        let now = self.now;
        self.ends[side].association.handle_input(now, input);
        self.drain(side);
    }

    /// Lets time pass, from timeout to timeout.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        while let Some((wake, side)) = (0..2)
            .filter_map(|side| Some((self.ends[side].wake?, side)))
            .min()
            .filter(|(wake, _)| *wake <= until)
        {
            at_once = if wake > self.now { 0 } else { at_once + 1 };
            assert!(at_once < SPINS, "it wants to be woken at once for ever");
            self.now = wake.max(self.now);
            self.input(side, Input::Timeout);
        }
        self.now = until;
    }

    fn drain(&mut self, side: usize) {
        let (now, end) = (self.now, &mut self.ends[side]);
        let mut buffer = Vec::new();
        for _ in 0..SPINS {
            match end.association.poll_output(now, &mut buffer) {
                Output::Transmit { segment_size } => {
                    assert!(!buffer.is_empty() && (HEADER..=1500).contains(&segment_size));
                    let wire = &mut self.wires[1 - side];
                    wire.extend(buffer.chunks(segment_size).map(<[u8]>::to_vec));
                    wire.truncate(WIRE);
                }
                Output::Event(event) => end.hear(event),
                Output::Timeout(wake) => {
                    end.wake = wake;
                    return;
                }
                other => panic!("unknown output {other:?}"),
            }
        }
        panic!("it never comes to an end");
    }
}

impl End {
    fn hear(&mut self, event: Event) {
        assert!(!self.over, "nothing follows the end: {event:?}");
        match event {
            Event::ChannelOpened {
                channel,
                by_peer: true,
                ..
            } => self.channels.push(channel),
            Event::Message { message, .. } => {
                assert!(message.len() <= MAX_MESSAGE, "larger than allowed");
                self.heard += message.len();
                assert!(self.heard <= self.fed, "more came out than went in");
            }
            Event::ChannelClosed { channel } => {
                let state = self.association.channel_state(channel);
                assert_eq!(state, ChannelState::Closed);
                self.channels.retain(|known| *known != channel);
            }
            Event::Closed { .. } => {
                assert!(self.channels.is_empty(), "channels end before it");
                self.over = true;
            }
            _ => {}
        }
    }
}

fn pick(channels: &[ChannelId], which: u8) -> Option<ChannelId> {
    let count = channels.len().max(1);
    channels.get(usize::from(which) % count).copied()
}
