//! What the server says without being asked.

use std::time::Instant;

use crowfly_protocol::{ErrorCode, LeaveReason, RejectReason, ServerMessage};

use super::{CloseReason, Event, RoomCore, RoomError};
use crate::pairing::{EndReason, Presence};
use crate::trace::{Kind, detail};

impl RoomCore {
    pub(super) fn fact(&mut self, now: Instant, message: ServerMessage<'_>) {
        let current = self.session;
        match message {
            ServerMessage::PeerJoined(opposite) => {
                self.joined(now, opposite.peer, opposite.session)
            }
            ServerMessage::Signal {
                session, payload, ..
            } => {
                if current == Some(session) {
                    self.hear(now, payload);
                } else if let Some(pairing) = &mut self.pairing {
                    let detail = detail! { "session" => session.to_string() };
                    pairing.note(now, None, Kind::Note, "stale-signal", detail);
                }
            }
            ServerMessage::PeerLeft {
                pairing: left,
                reason,
            } if current == Some(left.session) => {
                if let Some(pairing) = &mut self.pairing {
                    pairing.departed(now, reason_of(reason));
                }
            }
            ServerMessage::PeerOffline { .. } => self.peer_offline(now),
            ServerMessage::PeerOnline { .. } => self.set_presence(now, Presence::Online),
            ServerMessage::Left { detail, .. } => self.put_out(now, detail),
            ServerMessage::Error {
                code: ErrorCode::PeerOffline,
                ..
            } => self.set_presence(now, Presence::Offline),
            ServerMessage::Error { code, message } => {
                if let Some(pairing) = &mut self.pairing {
                    pairing.note(
                        now,
                        None,
                        Kind::Receive,
                        "error",
                        detail! { "code" => code.as_str() },
                    );
                }
                if code == ErrorCode::RateLimited {
                    let (code, message) = (code.as_str().to_owned(), message.into_owned());
                    self.emit(Event::Problem(RoomError::Refused { code, message }));
                }
            }
            _ => {}
        }
    }

    fn put_out(&mut self, now: Instant, detail: Option<RejectReason>) {
        match detail {
            Some(detail) if self.token.is_some() => {
                self.close(now, CloseReason::Rejected(detail.as_str().to_owned()));
            }
            _ => self.close(now, CloseReason::Left),
        }
    }

    pub(super) fn set_presence(&mut self, now: Instant, presence: Presence) {
        if let Some(pairing) = self.pairing() {
            pairing.set_presence(now, presence);
        }
    }
}

fn reason_of(reason: LeaveReason) -> EndReason {
    match reason {
        LeaveReason::Lost => EndReason::Lost,
        LeaveReason::Rejected => EndReason::Rejected,
        LeaveReason::Replaced => EndReason::Replaced,
        _ => EndReason::Leave,
    }
}
