//! Losing the server and coming back: the seat is proved by its token, and what was open stays so.

use std::time::Instant;

use crowfly_protocol::{ClientMessage, ErrorCode, RequestId, ServerMessage};

use super::{CloseReason, Event, Phase, Queued, RoomCore, RoomError};
use crate::backoff::retry_delay;
use crate::pairing::Presence;

impl RoomCore {
    pub(super) fn go_away(&mut self, now: Instant) {
        self.phase = Phase::Away;
        let since = *self.away_since.get_or_insert(now);
        let urgent = self.pairing().is_some();
        self.deadline = Some(now + retry_delay(self.attempt, urgent, now.duration_since(since)));
        self.attempt += 1;
        if std::mem::take(&mut self.online) {
            if let Some(pairing) = self.pairing() {
                pairing.set_online(now, false);
            }
            self.emit(Event::Signaling { online: false });
        }
    }

    pub(super) fn resume(&mut self, request: RequestId) {
        let (Some(room), Some(token)) = (self.name.clone(), self.token) else {
            return;
        };
        let message = ClientMessage::Resume {
            room,
            token,
            session: self.session,
        };
        self.say(&message, Some(request));
    }

    pub(super) fn returned(&mut self, now: Instant, message: ServerMessage<'_>) {
        match message {
            ServerMessage::Resumed {
                room,
                token,
                pairing: opposite,
            } => {
                if self.token != Some(token) {
                    self.id = self.welcomed_as; // another seat
                }
                self.sit(room, token);
                self.emit(Event::Signaling { online: true });
                match opposite {
                    Some(opposite) if Some(opposite.session) != self.session => {
                        self.joined(now, opposite.peer, opposite.session); // who came while we were away
                    }
                    Some(_) => {
                        // What the server said of it meanwhile was not heard.
                        if let Some(pairing) = self.pairing()
                            && pairing.presence() != Presence::Online
                        {
                            pairing.set_presence(now, Presence::Online);
                        }
                    }
                    None => {
                        if let Some(pairing) = self.pairing() {
                            pairing.missed(now);
                        }
                    }
                }
                if let Some(pairing) = self.pairing() {
                    pairing.set_online(now, true);
                }
            }
            ServerMessage::Error { code, message } => {
                let passing = matches!(code, ErrorCode::RateLimited | ErrorCode::TooManyRooms);
                // With a live peer the server is only a convenience: try again, it may come round.
                if passing || self.pairing().is_some_and(|pairing| pairing.is_live()) {
                    self.outputs.push_back(Queued::Disconnect);
                    return self.go_away(now);
                }
                let (code, message) = (code.as_str().to_owned(), message.into_owned());
                self.emit(Event::Problem(RoomError::Refused {
                    code: code.clone(),
                    message,
                }));
                self.close(now, CloseReason::Refused(code));
            }
            message => self.fact(now, message),
        }
    }
}
