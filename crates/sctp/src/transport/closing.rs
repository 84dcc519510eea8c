//! The end: SHUTDOWN, which loses nothing (RFC 9260 §9.2), and ABORT, which waits for nothing (§9.1).

use std::time::Instant;

use super::{AbortCause, Control, State, Transport, TransportEvent};
use crate::{
    association::CloseReason,
    packet::{Chunk, Packet},
    tsn::Tsn,
};

impl Transport {
    /// Ends the association once everything queued was acknowledged.
    pub(crate) fn shutdown(&mut self, now: Instant) {
        match self.state {
            State::Closed | State::CookieWait | State::CookieEchoed => {
                self.close(CloseReason::Shutdown)
            }
            State::Established => {
                self.state = State::ShutdownPending;
                self.shut_down_when_drained(now);
            }
            _ => {}
        }
    }

    /// Ends the association now, and tells the peer why.
    pub(crate) fn abort(&mut self, reason: &str) {
        self.abort_with(CloseReason::Aborted, reason.to_owned());
    }

    /// The peer broke a rule.
    pub(super) fn violation(&mut self, what: &str) {
        self.abort_with(
            CloseReason::ProtocolViolation {
                what: what.to_owned(),
            },
            what.to_owned(),
        );
    }

    /// The association is over; nothing but what tells the peer so leaves any more.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.state == State::Ended {
            return;
        }
        self.state = State::Ended;
        self.control.retain(|control| {
            matches!(
                control,
                Control::Abort { .. } | Control::ShutdownComplete { .. }
            )
        });
        // What had arrived in full before the end is still handed on.
        self.collect_messages();
        self.events.push_back(TransportEvent::Closed { reason });
        self.link = None;
        (self.handshake_due, self.shutdown_due) = (None, None);
    }

    pub(super) fn handle_shutdown(&mut self, now: Instant, cumulative: Tsn) {
        match self.state {
            State::Established | State::ShutdownPending | State::ShutdownReceived => {
                self.state = State::ShutdownReceived;
                self.acknowledged(now, cumulative);
            }
            State::ShutdownSent => self.send_shutdown_ack(now),
            _ => {}
        }
    }

    pub(super) fn handle_shutdown_ack(&mut self) {
        if matches!(self.state, State::ShutdownSent | State::ShutdownAckSent)
            && let Some(link) = &self.link
        {
            self.control.push_back(Control::ShutdownComplete {
                tag: link.peer.tag,
                reflected: false,
            });
            self.close(CloseReason::Shutdown);
        }
    }

    /// What comes after the end is told that it is the end (RFC 9260 §8.4): a peer that lost our SHUTDOWN COMPLETE is still waiting.
    pub(super) fn handle_out_of_the_blue(&mut self, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes, self.checksum_policy()) else {
            return;
        };
        let tag = packet.tag;
        let answer = match packet.chunks().next() {
            Some(Ok(Chunk::ShutdownAck)) => Control::ShutdownComplete {
                tag,
                reflected: true,
            },
            Some(Ok(Chunk::Abort(_) | Chunk::ShutdownComplete { .. } | Chunk::Init(..)))
            | Some(Err(_))
            | None => return,
            Some(Ok(_)) => Control::Abort {
                tag,
                cause: AbortCause::OutOfTheBlue,
            },
        };
        if self.control.is_empty() {
            self.control.push_back(answer);
        }
    }

    pub(super) fn handle_shutdown_complete(&mut self) {
        if self.state == State::ShutdownAckSent {
            self.close(CloseReason::Shutdown);
        }
    }

    /// Goes on with the shutdown when nothing is outstanding any more.
    pub(super) fn shut_down_when_drained(&mut self, now: Instant) {
        if !self
            .link
            .as_ref()
            .is_some_and(|link| link.sender.is_drained())
        {
            return;
        }
        match self.state {
            State::ShutdownPending => {
                self.state = State::ShutdownSent;
                self.control.push_back(Control::Shutdown);
                self.start_shutdown_timer(now);
            }
            State::ShutdownReceived => self.send_shutdown_ack(now),
            _ => {}
        }
    }

    /// T2 fired.
    pub(super) fn shutdown_timeout(&mut self, now: Instant) {
        if self.attempts >= self.config.max_retransmissions {
            self.close(CloseReason::PeerUnreachable);
            return;
        }
        self.attempts += 1;
        let again = if self.state == State::ShutdownSent {
            Control::Shutdown
        } else {
            Control::ShutdownAck
        };
        self.control.push_back(again);
        self.arm_shutdown_timer(now);
    }

    fn send_shutdown_ack(&mut self, now: Instant) {
        self.state = State::ShutdownAckSent;
        self.control.push_back(Control::ShutdownAck);
        self.start_shutdown_timer(now);
    }

    fn start_shutdown_timer(&mut self, now: Instant) {
        self.attempts = 0;
        self.arm_shutdown_timer(now);
    }

    fn arm_shutdown_timer(&mut self, now: Instant) {
        self.shutdown_due = self
            .link
            .as_ref()
            .map(|link| now + link.sender.round_trip().timeout(self.attempts));
    }

    fn abort_with(&mut self, ours: CloseReason, reason: String) {
        if let Some(link) = &self.link {
            let cause = match ours {
                CloseReason::ProtocolViolation { .. } => AbortCause::Violation(reason),
                _ => AbortCause::User(reason),
            };
            let tag = link.peer.tag;
            self.control.push_back(Control::Abort { tag, cause });
        }
        self.close(ours);
    }
}
