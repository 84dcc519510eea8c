//! A stack with an application on it: one that keeps a channel full, one that sends small messages now and then, one that listens.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crowfly_sctp::{ChannelOptions, Message};
use crowfly_sim::Machine;

use super::{Channel, Event, Stack};

/// Counts are kept for slices of time of this length.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// An end of a path: a stack, what it sends, what it got.
pub(crate) struct Peer {
    pub(crate) stack: Box<dyn Stack>,
    bulk: Option<Bulk>,
    pings: Option<Pings>,
    pub(crate) got: Got,
    /// Why the association ended, if it did.
    pub(crate) closed: Option<String>,
}

/// Keeps one reliable, ordered channel full.
struct Bulk {
    channel: Channel,
    message: Bytes,
    /// Bytes to keep queued.
    backlog: usize,
}

/// Sends 64 bytes on a channel of its own, again and again.
struct Pings {
    channel: Channel,
    interval: Duration,
    next: Instant,
}

/// What arrived.
#[derive(Default)]
pub(crate) struct Got {
    start: Option<Instant>,
    /// Bytes of bulk messages by the slice of time they arrived in.
    pub(crate) bytes: Vec<usize>,
    /// When each small message was sent, since the start, and how long it took.
    pub(crate) pings: Vec<(Duration, Duration)>,
}

const PING: usize = 64;

impl Peer {
    pub(crate) fn new(stack: Box<dyn Stack>, start: Instant) -> Self {
        Self {
            stack,
            bulk: None,
            pings: None,
            got: Got {
                start: Some(start),
                ..Got::default()
            },
            closed: None,
        }
    }

    /// From now on keeps `backlog` bytes in messages of this size queued.
    pub(crate) fn send_bulk(&mut self, now: Instant, size: usize, backlog: usize) {
        assert_ne!(size, PING, "bulk and pings are told apart by size");
        self.bulk = Some(Bulk {
            channel: self.stack.open(now, &ChannelOptions::labeled("bulk")),
            message: vec![0x5a; size].into(),
            backlog,
        });
    }

    /// From now on sends a small message every `interval`.
    pub(crate) fn send_pings(&mut self, now: Instant, interval: Duration) {
        self.pings = Some(Pings {
            channel: self.stack.open(now, &ChannelOptions::labeled("pings")),
            interval,
            next: now + interval,
        });
    }

    fn fill(&mut self, now: Instant) -> bool {
        let mut sent = false;
        if let Some(pings) = &mut self.pings {
            while pings.next <= now {
                let start = self.got.start.expect("set when made");
                let mut bytes = vec![0; PING];
                bytes[..16].copy_from_slice(&(now - start).as_nanos().to_be_bytes());
                self.stack
                    .send(now, pings.channel, Message::Binary(bytes.into()));
                pings.next += pings.interval;
                sent = true;
            }
        }
        if let Some(bulk) = &self.bulk {
            while self.stack.buffered(bulk.channel) < bulk.backlog
                && self
                    .stack
                    .send(now, bulk.channel, Message::Binary(bulk.message.clone()))
            {
                sent = true;
            }
        }
        sent
    }

    fn events(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(event) = self.stack.next_event() {
            any = true;
            match event {
                Event::Message(_, Message::Binary(bytes) | Message::Text(bytes)) => {
                    self.got.message(now, &bytes);
                }
                Event::Closed(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
        any
    }
}

impl Got {
    fn message(&mut self, now: Instant, bytes: &[u8]) {
        let at = now - self.start.expect("set when made");
        if bytes.len() == PING {
            let sent = u128::from_be_bytes(bytes[..16].try_into().expect("16 bytes"));
            let sent = Duration::from_nanos(u64::try_from(sent).expect("within centuries"));
            self.pings.push((sent, at - sent));
            return;
        }
        let slice = (at.as_nanos() / SLICE.as_nanos()) as usize;
        if self.bytes.len() <= slice {
            self.bytes.resize(slice + 1, 0);
        }
        self.bytes[slice] += bytes.len();
    }

    /// Bytes of bulk messages.
    pub(crate) fn total(&self) -> usize {
        self.bytes.iter().sum()
    }

    /// Bits a second that arrived between two times.
    pub(crate) fn rate(&self, from: Duration, until: Duration) -> f64 {
        let slice = |time: Duration| (time.as_nanos() / SLICE.as_nanos()) as usize;
        let slices = self.bytes.iter().take(slice(until)).skip(slice(from));
        slices.sum::<usize>() as f64 * 8.0 / (until - from).as_secs_f64()
    }
}

impl Machine for Peer {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.stack.handle_datagram(now, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        self.fill(now);
        loop {
            let wake = self.stack.poll(now, transmit);
            // What was sent makes room for more; what was received may have an answer.
            if !self.events(now) & !self.fill(now) {
                let ping = self.pings.as_ref().map(|pings| pings.next);
                return wake.into_iter().chain(ping).min();
            }
        }
    }
}
