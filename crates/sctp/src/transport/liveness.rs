//! Whether the peer is there when nothing is said (heartbeats, RFC 9260 §8.3), and how large packets may be.

use std::time::{Duration, Instant};

use chacha20::rand_core::Rng;

use super::{Control, Transport};
use crate::association::{CloseReason, Config};

/// Heartbeats, and the size of packets.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Option<Duration>,
    packet_size: usize,
    /// When the path will have been idle for too long, or the answer is overdue.
    due: Option<Instant>,
    /// The heartbeat that was not answered yet.
    asked: Option<Asked>,
    unanswered: u32,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    nonce: [u8; 8],
    at: Instant,
}

impl Liveness {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            interval: Some(config.heartbeat_interval).filter(|interval| !interval.is_zero()),
            packet_size: config.packet_size & !3,
            due: None,
            asked: None,
            unanswered: 0,
        }
    }

    /// The size of a full packet.
    pub(super) const fn packet_size(&self) -> usize {
        self.packet_size
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The association is up: the path's idleness counts from here, unless it does already.
    pub(super) fn start(&mut self, now: Instant) {
        if self.due.is_none() {
            self.heard(now);
        }
    }

    /// The peer answered something: it is there.
    pub(super) fn heard(&mut self, now: Instant) {
        self.asked = None;
        self.unanswered = 0;
        self.due = self.interval.map(|interval| now + interval);
    }
}

impl Transport {
    /// The timer may have fired: an idle path is asked, a silent peer given up (RFC 9260 §8.1, §8.3).
    pub(super) fn check_liveness(&mut self, now: Instant) {
        if !self.state.is_up() {
            return;
        }
        if self.liveness.due.is_none_or(|due| due > now) {
            return;
        }
        if self.liveness.asked.is_some() {
            self.liveness.unanswered += 1;
            if self.liveness.unanswered > self.config.max_retransmissions {
                self.close(CloseReason::PeerUnreachable);
                return;
            }
        }
        let nonce = self.random.next_u64().to_be_bytes();
        let unanswered = self.liveness.unanswered;
        let patience = self
            .link
            .as_ref()
            .map(|link| link.sender.round_trip().timeout(unanswered));
        self.liveness.asked = Some(Asked { nonce, at: now });
        self.liveness.due = patience.map(|patience| now + patience);
        self.answer(Control::Heartbeat(nonce));
    }

    pub(super) fn handle_heartbeat_ack(&mut self, now: Instant, info: &[u8]) {
        let Some(asked) = self.liveness.asked.filter(|asked| asked.nonce == *info) else {
            return;
        };
        if let Some(link) = &mut self.link {
            link.sender
                .measured(now.saturating_duration_since(asked.at));
        }
        self.liveness.heard(now);
    }
}
