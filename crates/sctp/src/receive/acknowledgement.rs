//! When a SACK is due (RFC 9260 §6.2).

use std::time::{Duration, Instant};

use crate::tsn::Tsn;

/// How long a packet waits for company before it is acknowledged. RFC 9260 §6.2 allows half a second; a sender whose buffer
/// holds one message stands still that long.
const DELAY: Duration = Duration::from_millis(20);

/// Duplicates told of in one SACK.
const MAX_DUPLICATES: usize = 64;

/// Two packets: a sender that was told of less is as good as stopped.
const STOPPED: usize = 2 * 1500;

/// What is to be acknowledged, and how soon.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    /// The receive window when all of it is free, and as last advertised.
    window: usize,
    advertised: usize,
    /// The packet being read carried DATA.
    in_packet: bool,
    /// Packets with DATA since the last SACK.
    packets: u32,
    at_once: bool,
    deadline: Option<Instant>,
    duplicates: Vec<Tsn>,
}

impl Acknowledgement {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            advertised: window,
            in_packet: false,
            // As if one had come already: the first packet is acknowledged at once, and gives the peer its first round trip.
            packets: 1,
            at_once: false,
            deadline: None,
            duplicates: Vec::new(),
        }
    }

    pub(super) fn data(&mut self, immediate: bool) {
        self.in_packet = true;
        self.at_once |= immediate;
    }

    pub(super) fn at_once(&mut self) {
        self.at_once = true;
    }

    pub(super) fn duplicate(&mut self, tsn: Tsn) {
        self.at_once = true;
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
    }

    /// The window is open this far. A sender that was told of little is told when it pays (RFC 1122 §4.2.3.3).
    pub(super) fn window_is(&mut self, window: usize) {
        let step = match self.advertised {
            ..STOPPED => STOPPED.min(self.window / 4),
            advertised if advertised < self.window / 2 => self.window / 4,
            _ => return,
        };
        self.at_once |= window >= self.advertised + step;
    }

    pub(super) fn packet_done(&mut self, now: Instant) {
        if !std::mem::take(&mut self.in_packet) {
            return;
        }
        self.packets += 1;
        if self.packets >= 2 {
            self.at_once = true;
        } else {
            self.deadline = Some(now + DELAY);
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.at_once || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn duplicates(&self) -> impl Iterator<Item = Tsn> + '_ {
        self.duplicates.iter().copied()
    }

    /// A SACK was written.
    pub(super) fn sent(&mut self, window: usize) {
        self.advertised = window;
        self.packets = 0;
        self.at_once = false;
        self.deadline = None;
        self.duplicates.clear();
    }
}
