//! The main channel: messages of any size, pings and goodbye over one ordered, reliable data channel. `docs/protocol.md`, "The main
//! channel".
//!
//! Framing is `frames`, cutting `outbox`, joining `inbox`; here they meet the association, its backpressure and its end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crowfly_sctp::{self as sctp, ChannelId, ChannelOptions};

use super::{EndReason, Event, Goodbye, PROTOCOL, Pairing, Patience, PeerError, Presence};
use crate::frames::{self, Frame, Kind as FrameKind};
use crate::inbox::Inbox;
use crate::liveness::{Liveness, TICK};
use crate::message::Message;
use crate::outbox::Outbox;
use crate::states::{self, ChannelState};
use crate::trace::{Detail, Kind, detail};

/// The other side closed the channel without a goodbye; the server gets this long to say why.
const REASON_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a frame; less when the other side takes less.
const FRAME: usize = 64 * 1024;
/// Bytes left with the association at most, and when to give it more: enough to keep it busy, little enough that a line of chat is
/// not late.
const HIGH_WATER: usize = 512 * 1024;
const LOW_WATER: usize = 128 * 1024;
/// Violations after which the other side is not worth listening to.
const MAX_VIOLATIONS: u32 = 100;

/// Messages over one data channel.
#[derive(Debug)]
pub(super) struct MainChannel {
    id: ChannelId,
    inbox: Inbox,
    outbox: Outbox,
    /// Bytes of a frame the other side takes.
    most: usize,
    violations: u32,
}

impl MainChannel {
    /// Whether nothing waits here.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_empty()
    }

    pub(super) fn id(&self) -> ChannelId {
        self.id
    }

    pub(super) fn bytes(&self) -> usize {
        self.outbox.bytes()
    }
}

impl Pairing {
    /// Queues a message; only once the channel is open.
    pub(crate) fn send(&mut self, now: Instant, message: Message) {
        let (kind, bytes) = (message.kind(), message.len());
        let Some(main) = self
            .main
            .as_mut()
            .filter(|_| self.states.channel == ChannelState::Open)
        else {
            return;
        };
        main.outbox.put(message);
        self.trace_message(now, "sent", kind, bytes);
        self.fill_main(now);
    }

    /// PEER1's part: the channel is opened as soon as there is an association to open it on.
    pub(super) fn open_main(&mut self) {
        let options = ChannelOptions {
            protocol: PROTOCOL.to_owned(),
            ..ChannelOptions::labeled(self.label.clone())
        };
        let Some(association) = self.session.association() else {
            return;
        };
        match association.open(options) {
            Ok(id) => self.adopt_main(id),
            // The label is ours and short, and all streams are free.
            Err(error) => debug_assert!(false, "{error}"),
        }
    }

    /// A channel of our protocol was opened, here or there; the first is the main one.
    pub(super) fn main_opened(&mut self, now: Instant, id: ChannelId, by_peer: bool) {
        if by_peer {
            self.adopt_main(id);
            self.trace.note(
                now,
                Some(5),
                Kind::Event,
                "datachannel",
                detail! { "label" => self.label, "protocol" => PROTOCOL },
            );
        }
        self.opened = true;
        self.patience = None;
        self.liveness = Some(Liveness::new(now));
        self.next_tick = Some(now + TICK);
        self.trace
            .note(now, Some(5), Kind::Event, "open", Detail::new());
        self.update(now, |states| {
            states.channel = ChannelState::Open;
            states.liveness = states::Liveness::Alive;
        });
        self.tick(now);
        self.emit(Event::Open);
    }

    /// Without a goodbye: its process is gone, or its seat was taken from elsewhere. The server may be about to say so, and who
    /// comes next.
    pub(super) fn channel_lost(&mut self, now: Instant) {
        if self.ended.is_some() || self.states.channel == ChannelState::Closed {
            return;
        }
        if !self.opened {
            return self.end(now, EndReason::Failed);
        }
        self.trace
            .note(now, None, Kind::Event, "close", Detail::new());
        self.update(now, |states| states.channel = ChannelState::Closed);
        if let Some(reason) = self.departing {
            return self.end(now, reason);
        }
        if !self.online || self.presence != Presence::Online {
            return self.end(now, EndReason::Vanished);
        }
        self.departing = Some(EndReason::Vanished);
        self.next_tick = None;
        self.patience = Some((now + REASON_PATIENCE, Patience::End(EndReason::Vanished)));
    }

    pub(super) fn send_ping(&mut self, now: Instant, id: u32) {
        self.send_frame(now, frames::write(FrameKind::Ping, 0, id, &[]));
    }

    /// Says the goodbye that is due, if its time has come; whether it did.
    pub(super) fn part(&mut self, now: Instant) -> bool {
        if self.goodbye != Goodbye::Due || !self.is_quiet() {
            return false;
        }
        self.goodbye = Goodbye::Said;
        self.send_frame(now, frames::write(FrameKind::Goodbye, 0, 0, &[]));
        self.trace
            .note(now, None, Kind::Message, "goodbye-sent", Detail::new());
        true
    }

    /// Whether the other side has all that was sent on any channel.
    pub(super) fn is_quiet(&mut self) -> bool {
        let idle = self.main.as_ref().is_none_or(MainChannel::is_idle) && !self.has_pending();
        let association = self.session.association();
        let stats = association.map(|association| association.stats());
        idle && stats.is_none_or(|stats| stats.in_flight == 0 && stats.buffered == 0)
    }

    /// Hands frames to the association while it holds less than the high-water mark; whether it did.
    pub(super) fn fill_main(&mut self, now: Instant) -> bool {
        let (Some(main), Some(association)) = (&mut self.main, self.session.association()) else {
            return false;
        };
        let mut any = false;
        while association.buffered_amount(main.id) < HIGH_WATER {
            let Some(frame) = main.outbox.take(main.most) else {
                break;
            };
            any = true;
            if association
                .send(now, main.id, sctp::Message::Binary(frame))
                .is_err()
            {
                break; // closing: its end is on the way
            }
        }
        any
    }

    /// A message of the main channel's data channel.
    pub(super) fn main_message(&mut self, now: Instant, message: sctp::Message) {
        self.heard(now);
        let frame = match &message {
            sctp::Message::Binary(bytes) => frames::read(bytes),
            _ => None,
        };
        match frame {
            Some(frame) => self.dispatch(now, frame),
            None => self.violation(now, 0, "malformed-frame"),
        }
    }

    fn adopt_main(&mut self, id: ChannelId) {
        let most = self.session.max_message_size().clamp(64, FRAME);
        if let Some(association) = self.session.association() {
            association.set_buffered_amount_low_threshold(id, LOW_WATER);
        }
        self.main = Some(MainChannel {
            id,
            inbox: Inbox::default(),
            outbox: Outbox::new(),
            most,
            violations: 0,
        });
    }

    fn dispatch(&mut self, now: Instant, frame: Frame) {
        let Some(kind) = frame.kind else {
            return self.violation(now, frame.id, "unknown-kind");
        };
        match kind {
            FrameKind::Text | FrameKind::Binary | FrameKind::Blob | FrameKind::Abort => {
                self.assemble(now, kind, frame)
            }
            FrameKind::Ping => self.answer_ping(now, frame.id),
            FrameKind::Pong => {
                if let Some(liveness) = &mut self.liveness {
                    liveness.pong(frame.id, now);
                }
            }
            FrameKind::Goodbye => {
                self.trace
                    .note(now, None, Kind::Message, "goodbye-received", Detail::new());
                self.end(now, EndReason::Goodbye);
            }
            FrameKind::Problem => {
                if let Some(main) = &mut self.main {
                    main.outbox.refused(frame.id);
                }
                let code = String::from_utf8_lossy(&frame.payload[..frame.payload.len().min(64)])
                    .into_owned();
                self.emit(Event::Problem(PeerError::Refused { code }));
            }
        }
    }

    /// Unless a flood of pings fills our side faster than its sender empties it.
    fn answer_ping(&mut self, now: Instant, id: u32) {
        let (Some(main), Some(association)) = (&self.main, self.session.association()) else {
            return;
        };
        if association.buffered_amount(main.id) <= HIGH_WATER {
            self.send_frame(now, frames::write(FrameKind::Pong, 0, id, &[]));
        }
    }

    fn assemble(&mut self, now: Instant, kind: FrameKind, frame: Frame) {
        let Some(main) = &mut self.main else {
            return;
        };
        let id = frame.id;
        match main.inbox.take(kind, frame) {
            Ok(None) => {}
            Ok(Some(message)) => {
                self.trace_message(now, "received", message.kind(), message.len());
                self.emit(Event::Message(message));
            }
            Err(code) => self.violation(now, id, code),
        }
    }

    fn violation(&mut self, now: Instant, id: u32, code: &'static str) {
        let Some(main) = &mut self.main else {
            return;
        };
        main.violations += 1;
        let violations = main.violations;
        if violations > MAX_VIOLATIONS {
            return;
        }
        self.send_frame(
            now,
            frames::write(FrameKind::Problem, 0, id, code.as_bytes()),
        );
        self.emit(Event::Problem(PeerError::Violation {
            code: code.to_owned(),
        }));
        if violations == MAX_VIOLATIONS {
            self.end(now, EndReason::Failed);
        }
    }

    /// A frame that does not wait in the outbox.
    fn send_frame(&mut self, now: Instant, frame: Bytes) {
        if self.states.channel != ChannelState::Open {
            return;
        }
        if let (Some(main), Some(association)) = (&self.main, self.session.association()) {
            // Refused only where the channel is closing, and then nothing of it matters.
            let _ = association.send(now, main.id, sctp::Message::Binary(frame));
        }
    }
}
