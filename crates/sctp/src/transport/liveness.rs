//! Whether the peer is there when nothing is said (heartbeats, RFC 9260 §8.3), and how large packets may be.

use std::time::{Duration, Instant};

use chacha20::rand_core::Rng;

use super::{Control, Transport};
use crate::{
    association::{CloseReason, Config},
    packet::{COMMON_HEADER, Data, PacketWriter},
    path::PathMtu,
};

/// Larger packets are tried once so many bytes are on their way.
const PROBE_FROM: usize = 8 * 1024;

/// Heartbeats, and the size of packets.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Option<Duration>,
    path: PathMtu,
    /// The probe for larger packets that was sent last, and its size.
    probe: Option<([u8; 8], usize)>,
    /// When losses last counted against the size of packets.
    lost_at: Option<Instant>,
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
            path: PathMtu::new(config.packet_size, config.max_packet_size),
            probe: None,
            lost_at: None,
            due: None,
            asked: None,
            unanswered: 0,
        }
    }

    /// The size of a full packet.
    pub(super) fn packet_size(&self) -> usize {
        self.path.size()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.path.deadline()).min()
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
        self.liveness.path.handle_timeout(now);
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
        if let Some((_, size)) = self.liveness.probe.take_if(|(nonce, _)| *nonce == *info) {
            if self.liveness.path.probe_acked(now, size) {
                self.packet_size_changed();
            }
            self.liveness.heard(now);
        }
        let Some(asked) = self.liveness.asked.filter(|asked| asked.nonce == *info) else {
            return;
        };
        if let Some(link) = &mut self.link {
            link.sender
                .measured(now.saturating_duration_since(asked.at));
        }
        self.liveness.heard(now);
    }

    /// A packet of its own that asks whether so large ones pass: a HEARTBEAT and padding (RFC 8899 §6.2.1). Its size, if one is due.
    pub(super) fn write_probe(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let link = self.link.as_ref().filter(|_| self.state.is_up())?;
        // Only who sends a lot gains by larger packets.
        if link.sender.in_flight() < PROBE_FROM {
            return None;
        }
        let patience = link.sender.round_trip().timeout(0);
        let size = self.liveness.path.poll_probe(now, patience)?;
        let nonce = self.random.next_u64().to_be_bytes();
        self.liveness.probe = Some((nonce, size));
        let (local, remote) = (self.config.local_port, self.config.remote_port);
        let mut packet = PacketWriter::start(buf, local, remote, link.peer.tag, size);
        packet.heartbeat(&nonce);
        packet.pad(packet.room());
        Some(packet.finish(self.with_checksum()))
    }

    /// What arrives and what is lost says something of the size that passes (RFC 8899 §4.3). Losses count once a round trip.
    pub(super) fn check_sizes(&mut self, now: Instant) {
        let Some(link) = &mut self.link else { return };
        let round = link.sender.round_trip().timeout(0);
        let sizes = link.sender.take_sizes();
        // What else was in the packet is not known here, so it counts as if it had been alone.
        let packet = |payload| COMMON_HEADER + Data::HEADER + payload;
        if sizes.arrived > 0 {
            self.liveness.path.packet_acked(packet(sizes.arrived));
        }
        if sizes.lost > 0 && self.liveness.lost_at.is_none_or(|at| now >= at + round) {
            self.liveness.lost_at = Some(now);
            if self.liveness.path.packet_lost(packet(sizes.lost)) {
                self.packet_size_changed();
            }
        }
    }

    fn packet_size_changed(&mut self) {
        if let Some(link) = &mut self.link {
            link.sender.set_packet_size(self.liveness.path.size());
        }
    }
}
