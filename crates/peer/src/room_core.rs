//! A room: one's own seat in it, and whoever sits opposite, one after the other. Sans-IO.
//!
//! The server's facts come in here and become pairings: who joins last offers, who waited answers. One's own end of a room, however
//! it comes about, is [`RoomCore::close`].

mod entering;
mod facts;
mod leaving;
mod outcome;
mod pairings;
mod returning;
mod sealing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crowfly_protocol::{
    ClientMessage, ErrorCode, PeerId, RequestId, RoomKey, RoomName, SealNonce, ServerMessage,
    SessionId, Token,
};

use crate::gather::Reflexive;
use crate::pairing::{self, CandidateName, EndReason, Pairing};
use crate::session::{Certificate, Transmit};
use crate::states::PeerStates;
use crate::trace::Role;

use self::sealing::Secrecy;

pub use self::outcome::{CloseReason, RoomError};

/// An absent or silent server is an error after this long, so that whoever waits knows within ten seconds of the program's start.
const PATIENCE: Duration = Duration::from_secs(9);

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) enum Intent {
    Create {
        name: Option<RoomName>,
        /// The driver then draws a code, see [`RoomCore::needs_key`].
        sealed: bool,
    },
    Join {
        name: RoomName,
        token: Option<Token>,
        /// Of a sealed room.
        key: Option<RoomKey>,
    },
    /// No server: the descriptions are carried by other means.
    Carried { role: Role },
}

/// How a room is set up.
pub(crate) struct Config {
    pub(crate) intent: Intent,
    /// Own addresses with the ports of the sockets.
    pub(crate) hosts: Vec<SocketAddr>,
    /// Label of the main channel.
    pub(crate) label: String,
    /// Used instead of the servers that the signaling server hands out: `stun:` URLs.
    pub(crate) ice_servers: Option<Vec<String>>,
}

/// Own secrets of one pairing, drawn by the driver.
pub(crate) struct Secrets {
    pub(crate) certificate: Certificate,
    pub(crate) seed: [u8; 32],
    pub(crate) session: SessionId,
    /// For the sealing of what is said.
    pub(crate) nonce: SealNonce,
    /// Wall-clock time.
    pub(crate) began: SystemTime,
}

/// What the driver has to do.
#[derive(Debug)]
pub(crate) enum Output<'a> {
    Transmit(Transmit<'a>),
    /// A message for the server.
    Text(String),
    /// Open a WebSocket; the outcome is [`RoomCore::connected`] with the first message or [`RoomCore::disconnected`].
    Connect,
    /// Close the WebSocket.
    Disconnect,
    /// Look up these STUN servers; the answer is [`RoomCore::stun_servers`].
    LookUp(Vec<String>),
    /// Find the address behind a name; the answer is [`RoomCore::resolved`].
    Resolve(SessionId, CandidateName),
    Event(Event),
    Timeout(Option<Instant>),
}

/// What the user wants to know.
#[derive(Debug)]
pub(crate) enum Event {
    /// In the room: created or joined, or one's own seat taken back.
    Entered,
    /// Entering failed; nothing follows.
    Refused(RoomError),
    /// Somebody sits opposite: when one joined, that is who waited.
    Peer {
        id: Option<PeerId>,
        session: SessionId,
        role: Role,
    },
    /// Something of the peer.
    Pairing(pairing::Event),
    /// The pairing is over.
    PeerLeft(Departure),
    Signaling {
        online: bool,
    },
    Problem(RoomError),
    /// Out of the room.
    Closed(CloseReason),
}

/// A pairing that is over, as it is remembered: the next may have begun when this is heard.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) reason: EndReason,
    pub(crate) states: PeerStates,
    /// As JSON Lines.
    pub(crate) trace: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A WebSocket is being opened.
    Connecting,
    /// `create` or `join` is unanswered.
    Entering(RequestId),
    Seated,
    /// The connection is lost; the next try is due.
    Away,
    Reconnecting,
    Returning(RequestId),
    Closed,
}

/// See the module.
pub(crate) struct RoomCore {
    config: Config,
    phase: Phase,
    deadline: Option<Instant>,
    attempt: u32,
    away_since: Option<Instant>,
    online: bool,
    next_request: u64,
    name: Option<RoomName>,
    id: Option<PeerId>,
    /// What the server called this connection; one's own id once a new seat goes with it.
    welcomed_as: Option<PeerId>,
    token: Option<Token>,
    stun: Vec<SocketAddr>,
    /// STUN servers are being looked up.
    looking_up: bool,
    reflexive: Reflexive,
    /// The pairing; one that has ended stays until what it had to say has left.
    pairing: Option<Pairing>,
    session: Option<SessionId>,
    ready: Option<Secrets>,
    secrecy: Secrecy,
    past: VecDeque<SessionId>,
    leaving: Option<Instant>,
    outputs: VecDeque<Queued>,
    run: Vec<u8>,
}

enum Queued {
    Text(String),
    Connect,
    Disconnect,
    LookUp(Vec<String>),
    Resolve(SessionId, CandidateName),
    Event(Event),
}

impl RoomCore {
    /// `secrets` are for the first pairing; later ones are asked for by [`RoomCore::needs_secrets`].
    pub(crate) fn new(now: Instant, config: Config, secrets: Secrets) -> Self {
        let joins = matches!(config.intent, Intent::Join { .. });
        let carried = match config.intent {
            Intent::Carried { role } => Some(role),
            _ => None,
        };
        let mut room = Self {
            secrecy: Secrecy::of(&config.intent),
            config,
            phase: Phase::Connecting,
            deadline: Some(now + PATIENCE),
            attempt: 0,
            away_since: None,
            online: false,
            next_request: 1,
            name: None,
            id: None,
            welcomed_as: None,
            token: None,
            stun: Vec::new(),
            looking_up: false,
            reflexive: Reflexive::default(),
            pairing: None,
            session: None,
            ready: Some(secrets),
            past: VecDeque::new(),
            leaving: None,
            outputs: VecDeque::from([Queued::Connect]),
            run: Vec::new(),
        };
        if let Some(role) = carried {
            room.carry(now, role);
        }
        if joins {
            // What needs no server starts before there is one.
            room.begin(now, Role::Peer1, None, None);
        }
        room
    }

    /// Whether the next pairing has no secrets yet. They take a millisecond to make: before somebody comes, not when.
    pub(crate) fn needs_secrets(&self) -> bool {
        self.ready.is_none()
    }

    pub(crate) fn set_secrets(&mut self, secrets: Secrets) {
        self.ready = Some(secrets);
    }

    pub(crate) fn name(&self) -> Option<&RoomName> {
        self.name.as_ref()
    }

    pub(crate) fn id(&self) -> Option<PeerId> {
        self.id
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.token
    }

    pub(crate) fn pairing(&mut self) -> Option<&mut Pairing> {
        self.pairing
            .as_mut()
            .filter(|pairing| pairing.ended().is_none())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    // What the driver tells

    /// A datagram arrived.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) {
        if self.reflexive.handle_datagram(local, remote, datagram) {
            return self.gathered(now);
        }
        if let Some(pairing) = &mut self.pairing {
            pairing.handle_datagram(now, local, remote, datagram);
        }
    }

    /// While held the pairing tells what happened and sends nothing, not even its last words.
    pub(crate) fn hold(&mut self, held: bool) {
        if let Some(pairing) = &mut self.pairing {
            pairing.hold(held);
        }
    }

    /// A message of the server; the first on a new connection is `welcome`.
    pub(crate) fn handle_text(&mut self, now: Instant, text: &str) {
        let Ok((id, message)) = ServerMessage::parse(text) else {
            if matches!(self.phase, Phase::Connecting | Phase::Reconnecting) {
                self.not_reached(now, RoomError::UnsupportedProtocol);
            }
            return; // a server of a later version says more; its silence is noticed by time
        };
        match (self.phase, message) {
            (
                Phase::Connecting | Phase::Reconnecting,
                ServerMessage::Welcome { peer, ice_servers },
            ) => {
                self.welcomed(now, peer, ice_servers.get());
            }
            (Phase::Connecting | Phase::Reconnecting, _) => {
                self.not_reached(now, RoomError::UnsupportedProtocol)
            }
            (Phase::Entering(asked), message) if id == Some(asked) => self.entered(now, message),
            (Phase::Returning(asked), message) if id == Some(asked) => self.returned(now, message),
            (_, message) => self.fact(now, message),
        }
    }

    /// A payload that was carried by other means.
    pub(crate) fn handle_payload(&mut self, now: Instant, text: &str) {
        if let Some(pairing) = self.pairing() {
            pairing.receive(now, text);
        }
    }

    /// No WebSocket came about, or it ended, with the server's reason.
    pub(crate) fn disconnected(&mut self, now: Instant, error: RoomError, reason: &str) {
        match self.phase {
            Phase::Closed | Phase::Away => {}
            Phase::Connecting | Phase::Reconnecting => self.not_reached(now, error),
            Phase::Entering(_) => self.refused(now, error),
            Phase::Seated | Phase::Returning(_) if reason == ErrorCode::Replaced.as_str() => {
                self.close(now, CloseReason::Replaced);
            }
            Phase::Seated | Phase::Returning(_) => self.go_away(now),
        }
    }

    /// The addresses of the STUN servers that were looked up.
    pub(crate) fn stun_servers(&mut self, now: Instant, servers: Vec<SocketAddr>) {
        self.stun = servers;
        self.looking_up = false;
        self.gather(now);
    }

    pub(crate) fn resolved(
        &mut self,
        now: Instant,
        session: SessionId,
        name: &CandidateName,
        address: std::net::IpAddr,
    ) {
        if self.session == Some(session)
            && let Some(pairing) = &mut self.pairing
        {
            pairing.resolved(now, name, address);
        }
    }

    /// The instant of [`Output::Timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(pairing) = &mut self.pairing {
            pairing.handle_timeout(now);
        }
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            match self.phase {
                Phase::Connecting | Phase::Reconnecting => self.not_reached(now, RoomError::Silent),
                Phase::Entering(_) => self.refused(now, RoomError::Silent),
                Phase::Returning(_) => self.go_away(now),
                Phase::Away => {
                    self.phase = Phase::Reconnecting;
                    self.deadline = Some(now + PATIENCE);
                    self.outputs.push_back(Queued::Connect);
                }
                Phase::Seated | Phase::Closed => {}
            }
        }
    }

    /// The next output; until [`Output::Timeout`] there are more.
    pub(crate) fn poll_output(&mut self, now: Instant) -> Output<'_> {
        self.leave_when_drained(now);
        loop {
            if let Some(queued) = self.outputs.pop_front() {
                return queued.into();
            }
            if let Some((source, destination, contents)) = self.reflexive.poll_transmit(now) {
                self.run = contents;
                return Output::Transmit(Transmit {
                    source,
                    destination,
                    segment_size: None,
                    contents: &self.run,
                });
            }
            self.gathered(now);
            let Some(pairing) = &mut self.pairing else {
                return Output::Timeout(self.earliest(None));
            };
            match pairing.poll_output(now) {
                pairing::Output::Signal(payload) => self.signal(&payload.write()),
                pairing::Output::Resolve(name) => {
                    if let Some(session) = self.session {
                        self.outputs.push_back(Queued::Resolve(session, name));
                    }
                }
                pairing::Output::Event(pairing::Event::Ended(reason)) => {
                    self.pairing_ended(now, reason)
                }
                pairing::Output::Event(event) => self.emit(Event::Pairing(event)),
                pairing::Output::Timeout(at) => {
                    self.leave_when_drained(now);
                    if self.outputs.is_empty() {
                        return Output::Timeout(self.earliest(at));
                    }
                }
                pairing::Output::Transmit => break,
            }
        }
        let pairing = self.pairing.as_ref().expect("it has just said something");
        Output::Transmit(pairing.transmit())
    }

    // Coming in

    // Pairings

    // What the server says

    // Losing the server and coming back

    // Going out

    // Small things

    fn earliest(&self, pairing: Option<Instant>) -> Option<Instant> {
        let times = [
            pairing,
            self.deadline,
            self.leaving,
            self.reflexive.timeout(),
        ];
        times.into_iter().flatten().min()
    }

    fn say(&mut self, message: &ClientMessage<'_>, request: Option<RequestId>) {
        self.outputs
            .push_back(Queued::Text(message.encode(request)));
    }

    fn request(&mut self) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        RequestId::new(id).unwrap_or(RequestId::MAX)
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Queued::Event(event));
    }
}

impl From<Queued> for Output<'_> {
    fn from(queued: Queued) -> Self {
        match queued {
            Queued::Text(text) => Self::Text(text),
            Queued::Connect => Self::Connect,
            Queued::Disconnect => Self::Disconnect,
            Queued::LookUp(urls) => Self::LookUp(urls),
            Queued::Resolve(session, name) => Self::Resolve(session, name),
            Queued::Event(event) => Self::Event(event),
        }
    }
}
