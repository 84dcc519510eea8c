//! A room: one's own seat in it, and whoever sits opposite, one after the other. Sans-IO.
//!
//! The server's facts come in here and become pairings: who joins last offers, who waited answers. One's own end of a room, however
//! it comes about, is [`RoomCore::close`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crowfly_protocol::{
    ClientMessage, ErrorCode, LeaveReason, PeerId, RejectReason, RequestId, RoomName,
    ServerMessage, SessionId, Token,
};
use is::Candidate;

use crate::backoff::retry_delay;
use crate::gather::Reflexive;
use crate::pairing::{self, CandidateName, EndReason, Pairing, Presence};
use crate::session::{Certificate, Transmit};
use crate::trace::{Detail, Kind, Role, detail};

/// An absent or silent server is an error after this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sessions remembered after their end, so that a late message or a late return is recognised.
const REMEMBERED: usize = 32;
/// On leaving, what is still being sent gets this long.
const DRAIN: Duration = Duration::from_secs(1);

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) enum Intent {
    Create {
        name: Option<RoomName>,
    },
    Join {
        name: RoomName,
        token: Option<Token>,
    },
    /// No server: the descriptions are carried by other means.
    Carried {
        role: Role,
    },
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
    PeerLeft(EndReason),
    Signaling {
        online: bool,
    },
    Problem(RoomError),
    /// Out of the room.
    Closed(CloseReason),
}

/// Why entering a room, or coming back to it, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// Nobody answers at the address.
    #[error("could not reach the server at {url}")]
    Unreachable {
        /// The WebSocket's address.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Something answers, but says nothing, or not soon enough.
    #[error("the server said nothing for 10 s")]
    Silent,
    /// It speaks another protocol.
    #[error("the server speaks another protocol")]
    UnsupportedProtocol,
    /// The server refused, with a code of `docs/protocol.md`.
    #[error("the server refused: {message}")]
    Refused {
        /// The stable code.
        code: String,
        /// For people.
        message: String,
    },
    /// The one who waits there rejected this one.
    #[error("the other side rejected this one: {detail}")]
    Rejected {
        /// `busy`, `no-offer`, `not-verified` or `other`.
        detail: String,
    },
    /// No socket, no addresses.
    #[error("no network to connect over: {reason}")]
    NoNetwork {
        /// What the system said.
        reason: String,
    },
    /// It was left before it was entered.
    #[error("the room was left")]
    Left,
}

impl RoomError {
    /// The stable code, the same as in JavaScript.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "server-unreachable",
            Self::Silent => "server-silent",
            Self::UnsupportedProtocol => "unsupported-protocol",
            Self::Refused { code, .. } => code,
            Self::Rejected { detail } => detail,
            Self::NoNetwork { .. } => "no-network",
            Self::Left => "closed",
        }
    }
}

/// Why one is out of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Own wish.
    Left,
    /// The one who waited rejected this one: `busy`, `no-offer`, `not-verified` or `other`.
    Rejected(String),
    /// The seat was taken elsewhere, with its token.
    Replaced,
    /// PEER1: no connection, or it was lost, and the other still waits there.
    Ended(EndReason),
    /// The server refused the return, with this code.
    Refused(String),
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
    token: Option<Token>,
    stun: Vec<SocketAddr>,
    /// STUN servers are being looked up.
    looking_up: bool,
    reflexive: Reflexive,
    /// The pairing; one that has ended stays until what it had to say has left.
    pairing: Option<Pairing>,
    session: Option<SessionId>,
    ready: Option<Secrets>,
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
            config,
            phase: Phase::Connecting,
            deadline: Some(now + PATIENCE),
            attempt: 0,
            away_since: None,
            online: false,
            next_request: 1,
            name: None,
            id: None,
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

    /// The trace of the pairing there is or was last.
    pub(crate) fn last_trace(&self) -> String {
        self.pairing
            .as_ref()
            .map(|pairing| pairing.trace().to_json_lines())
            .unwrap_or_default()
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

    /// Says goodbye in the channel, leaves the room, closes everything; at once, unless something is still being sent.
    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leaving.is_some() || self.phase == Phase::Closed {
            return;
        }
        if let Some(pairing) = self.pairing() {
            pairing.goodbye(now);
        }
        self.leaving = Some(now + DRAIN);
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

    /// One pairing and no server.
    fn carry(&mut self, now: Instant, role: Role) {
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

    fn is_carried(&self) -> bool {
        matches!(self.config.intent, Intent::Carried { .. })
    }

    fn welcomed(&mut self, now: Instant, peer: PeerId, ice_servers: &str) {
        let back = self.phase == Phase::Reconnecting;
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
        self.deadline = Some(now + PATIENCE);
        if back {
            self.phase = Phase::Returning(request);
            return self.resume(request);
        }
        self.phase = Phase::Entering(request);
        match self.config.intent.clone() {
            Intent::Carried { .. } => {}
            Intent::Create { name } => {
                self.say(&ClientMessage::Create { room: name }, Some(request))
            }
            Intent::Join { name, token } => {
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

    fn entered(&mut self, now: Instant, message: ServerMessage<'_>) {
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

    fn sit(&mut self, room: RoomName, token: Token) {
        self.name = Some(room);
        self.token = Some(token);
        self.phase = Phase::Seated;
        self.deadline = None;
        self.online = true;
        self.attempt = 0;
        self.away_since = None;
    }

    /// Entering failed.
    fn refused(&mut self, now: Instant, error: RoomError) {
        self.emit(Event::Refused(error));
        self.shut(now, EndReason::Failed);
    }

    fn not_reached(&mut self, now: Instant, error: RoomError) {
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

    // Pairings

    fn begin(
        &mut self,
        now: Instant,
        role: Role,
        session: Option<SessionId>,
        peer: Option<PeerId>,
    ) {
        // Who comes while there are none is served by the driver's next turn at the latest: it makes them whenever they are missing.
        let Some(secrets) = self.ready.take() else {
            return;
        };
        let session = session.unwrap_or(secrets.session);
        let mut pairing = Pairing::new(
            now,
            pairing::Config {
                role,
                session,
                label: self.config.label.clone(),
                certificate: secrets.certificate,
                seed: secrets.seed,
                began: secrets.began,
                trickle: !self.is_carried(),
            },
        );
        for host in &self.config.hosts {
            if let Ok(candidate) = Candidate::host(*host, "udp") {
                pairing.add_local_candidate(now, candidate);
            }
        }
        self.pairing = Some(pairing);
        self.session = Some(session);
        if role == Role::Peer2 {
            self.emit(Event::Peer {
                id: peer,
                session,
                role,
            });
            if !self.is_carried() {
                self.gather(now);
            }
        }
    }

    /// Asks the STUN servers, for the pairing there is.
    fn gather(&mut self, now: Instant) {
        self.reflexive = Reflexive::new(now, &self.config.hosts, &self.stun);
        self.gathered(now);
    }

    fn gathered(&mut self, now: Instant) {
        while let Some((base, mapped)) = self.reflexive.poll_found() {
            if let (Some(pairing), Ok(candidate)) = (
                &mut self.pairing,
                Candidate::server_reflexive(mapped, base, "udp"),
            ) {
                pairing.add_local_candidate(now, candidate);
            }
        }
        let welcomed = !matches!(self.phase, Phase::Connecting);
        if welcomed
            && self.reflexive.is_done()
            && !self.looking_up
            && let Some(pairing) = &mut self.pairing
        {
            pairing.gathering_complete(now);
        }
    }

    fn look_up(&mut self, servers: Vec<String>) {
        self.looking_up = true;
        self.outputs.push_back(Queued::LookUp(servers));
    }

    fn pairing_ended(&mut self, now: Instant, reason: EndReason) {
        let Some((role, presence)) = self
            .pairing
            .as_ref()
            .map(|pairing| (pairing.role(), pairing.presence()))
        else {
            return;
        };
        if let Some(session) = self.session.take() {
            self.past.push_back(session);
            if self.past.len() > REMEMBERED {
                self.past.pop_front();
            }
            if self.phase == Phase::Closed {
                return;
            }
            if self.is_carried() {
                return self.close(now, CloseReason::Ended(reason));
            }
            if self.token.is_none() {
                return self.refused(now, RoomError::Left); // not even seated
            }
            self.emit(Event::PeerLeft(reason));
            if matches!(
                reason,
                EndReason::Vanished | EndReason::Failed | EndReason::NoOffer
            ) {
                self.free(now, session, role, presence, reason);
            }
        }
    }

    /// The server believes in a pairing that is over. Who joined goes, if the other still waits there; else the other's seat is freed.
    fn free(
        &mut self,
        now: Instant,
        session: SessionId,
        role: Role,
        presence: Presence,
        reason: EndReason,
    ) {
        if !self.online || presence == Presence::Lost {
            return;
        }
        if role == Role::Peer1 && presence == Presence::Online {
            self.say(&ClientMessage::Leave, None);
            return self.close(now, CloseReason::Ended(reason));
        }
        let reason = if reason == EndReason::NoOffer {
            RejectReason::NoOffer
        } else {
            RejectReason::Other
        };
        self.reject(session, reason);
    }

    fn reject(&mut self, session: SessionId, reason: RejectReason) {
        // The answer says nothing new, and a refusal means that the other has gone already.
        let request = self.request();
        self.say(&ClientMessage::Reject { session, reason }, Some(request));
    }

    // What the server says

    fn fact(&mut self, now: Instant, message: ServerMessage<'_>) {
        let current = self.session;
        match message {
            ServerMessage::PeerJoined(opposite) => {
                self.joined(now, opposite.peer, opposite.session)
            }
            ServerMessage::Signal {
                session, payload, ..
            } => {
                if let Some(pairing) = &mut self.pairing {
                    if current == Some(session) {
                        pairing.receive(now, payload.get());
                    } else {
                        let detail = detail! { "session" => session.to_string() };
                        pairing.note(now, None, Kind::Note, "stale-signal", detail);
                    }
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
            ServerMessage::PeerOffline { .. } => self.set_presence(now, Presence::Offline),
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

    fn set_presence(&mut self, now: Instant, presence: Presence) {
        if let Some(pairing) = self.pairing() {
            pairing.set_presence(now, presence);
        }
    }

    /// Somebody sits down opposite.
    fn joined(&mut self, now: Instant, peer: PeerId, session: SessionId) {
        if self.session == Some(session) {
            // Back on a new connection; the pairing is as it was.
            return self.set_presence(now, Presence::Online);
        }
        if self.past.contains(&session) {
            return self.reject(session, RejectReason::Other);
        }
        if let Some(current) = self.pairing() {
            // The next one, or the same one started anew, does not wait for the goodbye of the one before.
            if let Some(reason) = current.departing() {
                current.end(now, reason);
            } else if current.opened() {
                return self.reject(session, RejectReason::Busy);
            } else {
                current.end(now, EndReason::Lost);
            }
            self.drain_ended(now);
        }
        self.begin(now, Role::Peer2, Some(session), Some(peer));
        if let Some(pairing) = self.pairing() {
            pairing.note(now, Some(2), Kind::Receive, "peer-joined", Detail::new());
            pairing.set_online(now, true);
        }
    }

    /// Tells of the end of a pairing that makes room for the next.
    fn drain_ended(&mut self, now: Instant) {
        while let Some(pairing) = &mut self.pairing {
            match pairing.poll_output(now) {
                pairing::Output::Timeout(_) => break,
                pairing::Output::Event(pairing::Event::Ended(reason)) => {
                    self.pairing_ended(now, reason)
                }
                pairing::Output::Event(event) => self.emit(Event::Pairing(event)),
                _ => {}
            }
        }
        self.pairing = None;
    }

    // Losing the server and coming back

    fn go_away(&mut self, now: Instant) {
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

    fn resume(&mut self, request: RequestId) {
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

    fn returned(&mut self, now: Instant, message: ServerMessage<'_>) {
        match message {
            ServerMessage::Resumed {
                room,
                token,
                pairing: opposite,
            } => {
                self.sit(room, token);
                self.emit(Event::Signaling { online: true });
                match opposite {
                    Some(opposite) if Some(opposite.session) != self.session => {
                        self.joined(now, opposite.peer, opposite.session); // who came while we were away
                    }
                    Some(_) => {}
                    None => {
                        if let Some(pairing) = self.pairing() {
                            pairing.departed(now, EndReason::Lost);
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

    // Going out

    fn leave_when_drained(&mut self, now: Instant) {
        let Some(until) = self.leaving else {
            return;
        };
        let drained = self.pairing().is_none_or(Pairing::is_drained);
        if !drained && now < until {
            return;
        }
        self.leaving = None;
        if self.online {
            self.say(&ClientMessage::Leave, None);
        }
        if self.token.is_none() && !self.is_carried() {
            return self.refused(now, RoomError::Left);
        }
        self.close(now, CloseReason::Left);
    }

    /// The one way out.
    fn close(&mut self, now: Instant, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        let ending = match reason {
            CloseReason::Ended(reason) => reason,
            CloseReason::Left => EndReason::Leave,
            CloseReason::Rejected(_) => EndReason::Rejected,
            CloseReason::Replaced => EndReason::Replaced,
            CloseReason::Refused(_) => EndReason::Lost,
        };
        self.end_pairing(now, ending);
        self.emit(Event::Closed(reason));
        self.shut(now, ending);
    }

    fn shut(&mut self, now: Instant, ending: EndReason) {
        self.phase = Phase::Closed;
        self.deadline = None;
        self.leaving = None;
        self.reflexive = Reflexive::default();
        if let Some(pairing) = &mut self.pairing {
            pairing.end(now, ending);
        }
        self.outputs.push_back(Queued::Disconnect);
    }

    /// Its end is told before that of the room.
    fn end_pairing(&mut self, now: Instant, reason: EndReason) {
        let Some(pairing) = self.pairing() else {
            return;
        };
        pairing.end(now, reason);
        self.session = None;
        self.emit(Event::PeerLeft(reason));
    }

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

    fn signal(&mut self, payload: &serde_json::value::RawValue) {
        if self.is_carried() {
            return self
                .outputs
                .push_back(Queued::Text(payload.get().to_owned()));
        }
        if let Some(session) = self.session {
            self.say(&ClientMessage::Signal { session, payload }, None);
        }
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

fn reason_of(reason: LeaveReason) -> EndReason {
    match reason {
        LeaveReason::Lost => EndReason::Lost,
        LeaveReason::Rejected => EndReason::Rejected,
        LeaveReason::Replaced => EndReason::Replaced,
        _ => EndReason::Leave,
    }
}

/// The `stun:` URLs among RTCIceServer dictionaries (W3C WebRTC §4.2.2); `urls` is one or several.
fn stun_urls(ice_servers: &str) -> Vec<String> {
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
        .take(crate::gather::MAX_SERVERS)
        .map(str::to_owned)
        .collect()
}
