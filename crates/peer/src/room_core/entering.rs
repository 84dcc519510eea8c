//! Coming in: the first words with the server, or none where there is no server.

use std::time::Instant;

use crowfly_protocol::{
    ClientMessage, Pairing as Opposite, PeerId, RoomName, ServerMessage, Token,
};

use super::{Event, Intent, PATIENCE, Phase, Queued, RoomCore, RoomError};
use crate::gather::MAX_SERVERS;
use crate::pairing::EndReason;
use crate::trace::{Detail, Kind, Role};

impl RoomCore {
    /// One pairing and no server.
    pub(super) fn carry(&mut self, now: Instant, role: Role) {
        self.phase = Phase::Seated;
        self.deadline = None;
        self.outputs.clear();
        self.begin(now, role, None, None);
        if role == Role::Peer1
            && let Some(session) = self.session
        {
            self.emit(Event::Peer {
                id: None,
                session,
                role,
            });
        }
        match self
            .config
            .ice_servers
            .clone()
            .filter(|servers| !servers.is_empty())
        {
            Some(servers) => self.look_up(servers),
            None => self.gather(now),
        }
        if let Some(pairing) = self.pairing() {
            pairing.set_online(now, true);
        }
    }

    pub(super) fn is_carried(&self) -> bool {
        matches!(self.config.intent, Intent::Carried { .. })
    }

    pub(super) fn welcomed(&mut self, now: Instant, peer: PeerId, ice_servers: &str) {
        let back = self.phase == Phase::Reconnecting;
        self.welcomed_as = Some(peer);
        if !back {
            self.id = Some(peer);
        }
        let urls = self
            .config
            .ice_servers
            .clone()
            .unwrap_or_else(|| stun_urls(ice_servers));
        if urls.is_empty() {
            self.stun.clear();
            self.gather(now);
        } else {
            self.look_up(urls);
        }
        let request = self.request();
        // Who enters has waited since the beginning.
        let entering = self.deadline.filter(|_| !back);
        self.deadline = entering.or(Some(now + PATIENCE));
        if back {
            self.phase = Phase::Returning(request);
            return self.resume(request);
        }
        self.phase = Phase::Entering(request);
        match self.config.intent.clone() {
            Intent::Carried { .. } => {}
            Intent::Create { name, .. } => {
                self.say(&ClientMessage::Create { room: name }, Some(request))
            }
            Intent::Join { name, token, .. } => {
                let Some(session) = self.session else { return };
                if let Some(pairing) = &mut self.pairing {
                    pairing.note(now, Some(1), Kind::Send, "join", Detail::new());
                }
                self.say(
                    &ClientMessage::Join {
                        room: name,
                        session,
                        token,
                    },
                    Some(request),
                );
                // The offer leaves right behind the join: one trip to the server, not two.
                if let Some(pairing) = self.pairing() {
                    pairing.set_online(now, true);
                }
            }
        }
    }

    pub(super) fn entered(&mut self, now: Instant, message: ServerMessage<'_>) {
        match message {
            ServerMessage::Created { room, token } => {
                self.sit(room, token);
                self.emit(Event::Entered);
            }
            ServerMessage::Joined {
                room,
                token,
                pairing: opposite,
            } => {
                let expected = |opposite: &Opposite| Some(opposite.session) == self.session;
                if !opposite.as_ref().is_none_or(expected) {
                    return self.refused(now, RoomError::UnsupportedProtocol);
                }
                self.sit(room, token);
                self.emit(Event::Entered);
                let Some(opposite) = opposite else {
                    self.dismiss(now); // one's own seat taken back, and nobody opposite
                    return;
                };
                if let Some(pairing) = &mut self.pairing {
                    pairing.note(now, Some(1), Kind::Receive, "joined", Detail::new());
                }
                self.emit(Event::Peer {
                    id: Some(opposite.peer),
                    session: opposite.session,
                    role: Role::Peer1,
                });
            }
            ServerMessage::Error { code, message } => {
                let error = RoomError::Refused {
                    code: code.as_str().to_owned(),
                    message: message.into_owned(),
                };
                self.refused(now, error);
            }
            message => self.fact(now, message),
        }
    }

    pub(super) fn sit(&mut self, room: RoomName, token: Token) {
        self.name = Some(room);
        self.token = Some(token);
        self.phase = Phase::Seated;
        self.deadline = None;
        self.online = true;
        self.attempt = 0;
        self.away_since = None;
    }

    /// Entering failed.
    pub(super) fn refused(&mut self, now: Instant, error: RoomError) {
        self.emit(Event::Refused(error));
        self.shut(now, EndReason::Failed);
    }

    pub(super) fn not_reached(&mut self, now: Instant, error: RoomError) {
        if self.phase == Phase::Connecting {
            return self.refused(now, error);
        }
        self.outputs.push_back(Queued::Disconnect);
        self.go_away(now);
    }

    /// A pairing that came to nothing, before anybody saw it.
    fn dismiss(&mut self, now: Instant) {
        if let Some(pairing) = &mut self.pairing {
            pairing.end(now, EndReason::Leave);
        }
        self.pairing = None;
        self.session = None;
    }
}

/// The `stun:` URLs among RTCIceServer dictionaries (W3C WebRTC §4.2.2); `urls` is one or several.
pub(super) fn stun_urls(ice_servers: &str) -> Vec<String> {
    let servers: Vec<serde_json::Value> = serde_json::from_str(ice_servers).unwrap_or_default();
    let urls = servers
        .iter()
        .filter_map(|server| server.get("urls"))
        .flat_map(|urls| match urls {
            serde_json::Value::Array(list) => list
                .iter()
                .filter_map(|url| url.as_str())
                .collect::<Vec<_>>(),
            url => url.as_str().into_iter().collect(),
        });
    urls.filter_map(|url| url.strip_prefix("stun:"))
        .take(MAX_SERVERS)
        .map(str::to_owned)
        .collect()
}
