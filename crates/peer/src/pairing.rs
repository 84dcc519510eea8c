//! One pairing of two peers from its beginning to its end: handshake, main channel, further channels, liveness. Sans-IO.
//!
//! The room begins it, feeds it what the server says, and hears of its end; who carries descriptions by other means does the same.
//! However it ends, it ends in [`Pairing::end`].

mod channels;
mod main_channel;
mod negotiation;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crowfly_protocol::SessionId;
use crowfly_sctp::{self as sctp, ChannelId, ChannelOptions};

use self::main_channel::MainChannel;
use self::negotiation::Negotiation;
use crate::liveness::{Liveness, TICK, Verdict};
use crate::message::Message;
use crate::payload::Payload;
use crate::session::{self, Certificate, Path, Session, Transmit};
use crate::states::{self, ChannelState, ConnectionState, IceState, PeerStates, SignalingState};
use crate::trace::{Detail, Kind, Role, Stage, Trace, detail};

pub(crate) use self::negotiation::CandidateName;

/// The protocol of the main channel, `docs/protocol.md`.
pub(crate) const PROTOCOL: &str = "crowfly.1";
/// PEER2 waits this long for an offer, PEER1 for an answer.
const DESCRIPTION_PATIENCE: Duration = Duration::from_secs(15);
/// The server said that the other side left; its goodbye in the channel gets this long.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);
/// The other side closed the channel without a goodbye; the server gets this long to say why.
const REASON_PATIENCE: Duration = Duration::from_secs(1);
/// With both descriptions in place, ICE gets this long to find a path; browsers take 5 to 30 s.
const PATH_PATIENCE: Duration = Duration::from_secs(25);
/// Messages a second that the trace keeps; a flood is counted.
const TRACED_MESSAGES: u32 = 100;

/// Why a pairing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The other side said goodbye in the channel.
    Goodbye,
    /// This side left, or the server says that the other did.
    Leave,
    /// The server lost the other side before a channel was open.
    Lost,
    /// The other side's seat was taken by somebody new with its token.
    Replaced,
    /// The other side rejected this one, or was rejected.
    Rejected,
    /// Silence, or the channel ended without a goodbye.
    Vanished,
    /// No connection came about.
    Failed,
    /// It joined and then said nothing.
    NoOffer,
}

impl EndReason {
    /// The stable text, the same as in JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Leave => "leave",
            Self::Lost => "lost",
            Self::Replaced => "replaced",
            Self::Rejected => "rejected",
            Self::Vanished => "vanished",
            Self::Failed => "failed",
            Self::NoOffer => "no-offer",
        }
    }
}

/// Whether the server still has the other side: its connection, its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Online,
    Offline,
    Lost,
}

/// How a pairing is set up.
pub(crate) struct Config {
    pub(crate) role: Role,
    pub(crate) session: SessionId,
    /// Label of the main channel.
    pub(crate) label: String,
    pub(crate) certificate: Certificate,
    pub(crate) seed: [u8; 32],
    /// Wall-clock time, for the trace.
    pub(crate) began: SystemTime,
    /// Whether a server relays payloads; without one both descriptions carry all candidates.
    pub(crate) trickle: bool,
}

/// What the owner has to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// [`Pairing::transmit`] has it.
    Transmit,
    /// Hand a payload to the other side.
    Signal(Payload),
    /// Find the address behind a `.local` name; the answer is [`Pairing::resolved`].
    Resolve(CandidateName),
    Event(Event),
    Timeout(Option<Instant>),
}

/// What the user wants to know.
#[derive(Debug)]
pub(crate) enum Event {
    States(PeerStates),
    Open,
    /// On the main channel.
    Message(Message),
    ChannelOpened {
        channel: ChannelId,
        options: ChannelOptions,
        by_peer: bool,
    },
    ChannelMessage {
        channel: ChannelId,
        message: Message,
    },
    ChannelClosed {
        channel: ChannelId,
    },
    /// Something went wrong that does not end it.
    Problem(PeerError),
    Ended(EndReason),
}

/// What goes wrong with a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No way was found between the two.
    #[error("no way was found between the two peers")]
    NoPath,
    /// The secure connection failed.
    #[error(transparent)]
    Handshake(#[from] crate::session::HandshakeError),
    /// The other side's description cannot be used.
    #[error("the other side's description cannot be used")]
    Description(#[from] crate::description::DescriptionError),
    /// No answer to the offer within 15 s.
    #[error("no answer to the offer within 15 s")]
    NoAnswer,
    /// The other side sent what the main channel does not allow.
    #[error("the other side sent what the main channel does not allow: {code}")]
    Violation {
        /// A `problem` code of `docs/protocol.md`.
        code: String,
    },
    /// The other side refused a message.
    #[error("the other side refused a message: {code}")]
    Refused {
        /// A `problem` code of `docs/protocol.md`.
        code: String,
    },
}

impl PeerError {
    /// The stable code, the same as in JavaScript where JavaScript has it.
    pub fn code(&self) -> &str {
        match self {
            Self::NoPath => "connection-failed",
            Self::Handshake(_) => "handshake-failed",
            Self::Description(_) => "rejected-description",
            Self::NoAnswer => "no-answer",
            Self::Violation { code } | Self::Refused { code } => code,
        }
    }
}

/// What is waited for, and does not get for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Description,
    Path,
    End(EndReason),
}

/// Everything between two peers.
pub(crate) struct Pairing {
    role: Role,
    label: String,
    trickle: bool,
    session: Session,
    negotiation: Negotiation,
    states: PeerStates,
    trace: Trace,
    main: Option<MainChannel>,
    channels: HashMap<ChannelId, channels::Extra>,
    liveness: Option<Liveness>,
    next_tick: Option<Instant>,
    patience: Option<(Instant, Patience)>,
    outputs: VecDeque<Queued>,
    online: bool,
    met: bool,
    opened: bool,
    reading: bool,
    presence: Presence,
    departing: Option<EndReason>,
    ended: Option<EndReason>,
    traced: (u64, u32),
    origin: Instant,
}

/// An output without a borrow.
#[derive(Debug)]
enum Queued {
    Signal(Payload),
    Resolve(CandidateName),
    Event(Event),
}

impl Pairing {
    pub(crate) fn new(now: Instant, config: Config) -> Self {
        let session = Session::new(session::Config {
            certificate: config.certificate,
            controlling: config.role == Role::Peer1,
            seed: config.seed,
        });
        let mut pairing = Self {
            role: config.role,
            label: config.label,
            trickle: config.trickle,
            session,
            negotiation: Negotiation::new(),
            states: PeerStates::INITIAL,
            trace: Trace::new(config.session, config.role, now, config.began),
            main: None,
            channels: HashMap::new(),
            liveness: None,
            next_tick: None,
            patience: None,
            outputs: VecDeque::new(),
            online: false,
            met: false,
            opened: false,
            reading: true,
            presence: Presence::Online,
            departing: None,
            ended: None,
            traced: (0, 0),
            origin: now,
        };
        pairing.begin(now);
        pairing
    }

    // What its owner asks

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn states(&self) -> PeerStates {
        self.states
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(crate) fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// Whether the channel has ever been open.
    pub(crate) fn opened(&self) -> bool {
        self.opened
    }

    pub(crate) fn presence(&self) -> Presence {
        self.presence
    }

    /// The largest message of a further channel that the other side takes.
    pub(crate) fn max_message_size(&self) -> usize {
        self.session.max_message_size()
    }

    /// Over the main channel, smoothed.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.liveness.as_ref().and_then(Liveness::round_trip)
    }

    /// Over ICE.
    pub(crate) fn ice_round_trip(&self) -> Option<Duration> {
        self.session.round_trip()
    }

    /// Where packets go, and what kinds of candidates its ends are.
    pub(crate) fn path(&self) -> Option<(Path, &'static str, &'static str)> {
        let path = self.session.path()?;
        let (local, remote) = self.session.kinds();
        Some((path, local, remote))
    }

    pub(crate) fn association_stats(&mut self) -> sctp::Stats {
        self.session
            .association()
            .map(|association| association.stats())
            .unwrap_or_default()
    }

    /// Why the other side has left, while its goodbye, or the server's word for it, is waited for.
    pub(crate) fn departing(&self) -> Option<EndReason> {
        self.departing
    }

    /// Whether a channel is open and something was heard on it lately.
    pub(crate) fn is_live(&self) -> bool {
        self.opened && self.ended.is_none() && self.states.liveness == states::Liveness::Alive
    }

    // What happens

    /// Writes into the trace what the room did on behalf of this pairing.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        stage: Stage,
        kind: Kind,
        name: &'static str,
        detail: Detail,
    ) {
        self.trace.note(now, stage, kind, name, detail);
    }

    /// A datagram arrived.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) {
        self.session
            .handle_datagram(now, Path { local, remote }, datagram);
    }

    /// The instant of [`Output::Timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        if self.ended.is_some() {
            return;
        }
        if let Some((at, patience)) = self.patience
            && at <= now
        {
            self.patience = None;
            self.out_of_patience(now, patience);
        }
        if self.next_tick.is_some_and(|at| at <= now) {
            self.next_tick = Some(now + TICK);
            self.tick(now);
        }
    }

    /// Whether messages are taken from the association; while not, its receive window closes and the other side's sends wait.
    pub(crate) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
        if let Some(association) = self.session.association() {
            association.set_reading(reading);
        }
    }

    /// Our own connection to the server.
    pub(crate) fn set_online(&mut self, now: Instant, online: bool) {
        let returned = online && !self.online && self.met;
        self.online = online;
        if online && !self.met {
            self.met = true;
            // From here on the other side can hear us, and should be heard soon.
            if self.trickle {
                self.patience = Some((now + DESCRIPTION_PATIENCE, Patience::Description));
            }
        }
        self.reachable(now, returned);
    }

    /// The other side's connection to the server.
    pub(crate) fn set_presence(&mut self, now: Instant, presence: Presence) {
        if self.ended.is_some() {
            return;
        }
        let returned = presence == Presence::Online && self.presence != Presence::Online;
        self.presence = presence;
        let name = match presence {
            Presence::Online => "peer-online",
            Presence::Offline => "peer-offline",
            Presence::Lost => "peer-left",
        };
        self.trace
            .note(now, None, Kind::Receive, name, Detail::new());
        if presence == Presence::Lost && !self.opened {
            return self.end(now, EndReason::Lost);
        }
        let unheard = self.states.liveness == states::Liveness::Silent
            || self.states.channel == ChannelState::Closed;
        if presence != Presence::Online && unheard {
            return self.end(now, EndReason::Vanished);
        }
        self.reachable(now, returned);
    }

    /// The server says that the other side's seat is free.
    pub(crate) fn departed(&mut self, now: Instant, reason: EndReason) {
        // Its connection to the server is not its connection to us.
        if reason == EndReason::Lost {
            return self.set_presence(now, Presence::Lost);
        }
        if self.ended.is_some() {
            return;
        }
        self.trace.note(
            now,
            None,
            Kind::Receive,
            "peer-left",
            detail! { "reason" => reason.as_str() },
        );
        if !self.is_live() || self.states.channel != ChannelState::Open {
            return self.end(now, reason);
        }
        // The goodbye in the channel comes behind the last messages; let it.
        self.departing = Some(reason);
        self.patience = Some((now + GOODBYE_PATIENCE, Patience::End(reason)));
    }

    /// A payload the other side sent in this pairing.
    pub(crate) fn receive(&mut self, now: Instant, text: &str) {
        if self.ended.is_some() {
            return;
        }
        let payload = match Payload::read(text) {
            Ok(payload) => payload,
            Err(refusal) => {
                self.trace.note(
                    now,
                    None,
                    Kind::Receive,
                    "signal:problem",
                    detail! { "problem" => refusal.code },
                );
                return self.refuse(now, refusal.code, &refusal.about);
            }
        };
        if self.opened && matches!(payload, Payload::Description { .. }) {
            self.trace.conclude();
        }
        let stage = self.stage_of_received(&payload);
        self.trace
            .note(now, stage, Kind::Receive, payload.name(), Detail::new());
        match payload {
            Payload::Goodbye => self.end(now, EndReason::Goodbye),
            Payload::Steps => {
                // A person presses the buttons there: nothing is expected soon.
                self.patience = None;
            }
            Payload::Silent => {
                if !self.opened || self.states.liveness == states::Liveness::Silent {
                    self.seek_path(now);
                }
            }
            Payload::Problem { code, about } => {
                let detail = detail! { "code" => code, "about" => about };
                self.trace
                    .note(now, None, Kind::Note, "refused-there", detail);
            }
            Payload::Description { kind, sdp } => self.receive_description(now, kind, &sdp),
            Payload::Candidates {
                candidates,
                complete,
            } => self.receive_candidates(now, candidates, complete),
        }
    }

    /// Says goodbye where the other side can hear it.
    pub(crate) fn goodbye(&mut self, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        self.send_goodbye(now);
        self.trace
            .note(now, None, Kind::Message, "goodbye-sent", Detail::new());
    }

    /// Whether nothing of ours is still on its way.
    pub(crate) fn is_drained(&mut self) -> bool {
        let idle = self.main.as_ref().is_none_or(MainChannel::is_idle);
        let stats = self
            .session
            .association()
            .map(|association| association.stats());
        idle && stats.is_none_or(|stats| stats.in_flight == 0 && stats.buffered == 0)
    }

    /// The one way out: everything is closed and let go of, and said once.
    pub(crate) fn end(&mut self, now: Instant, reason: EndReason) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(reason);
        self.trace.conclude();
        self.patience = None;
        self.next_tick = None;
        self.close_channels();
        if let Some(association) = self.session.association() {
            association.abort(reason.as_str());
        }
        self.trace.call(now, None, "close", Detail::new());
        self.update(now, |states| {
            states.signaling = SignalingState::Closed;
            states.ice = IceState::Closed;
            states.connection = ConnectionState::Closed;
            states.liveness = states::Liveness::Unknown;
            if states.channel != ChannelState::None {
                states.channel = ChannelState::Closed;
            }
        });
        self.trace.note(
            now,
            None,
            Kind::Note,
            "ended",
            detail! { "reason" => reason.as_str() },
        );
        self.emit(Event::Ended(reason));
    }

    /// The next output; until [`Output::Timeout`] there are more.
    pub(crate) fn poll_output(&mut self, now: Instant) -> Output {
        loop {
            if let Some(queued) = self.outputs.pop_front() {
                return match queued {
                    Queued::Signal(payload) => Output::Signal(payload),
                    Queued::Resolve(name) => Output::Resolve(name),
                    Queued::Event(event) => Output::Event(event),
                };
            }
            match self.session.poll_output(now) {
                session::Output::Event(event) => self.handle_session(now, event),
                session::Output::Timeout(at) => {
                    if self.fill(now) {
                        continue;
                    }
                    return Output::Timeout(self.earliest(at));
                }
                session::Output::Transmit => return Output::Transmit,
            }
        }
    }

    /// What is to be sent, behind [`Output::Transmit`] and until the next output.
    pub(crate) fn transmit(&self) -> Transmit<'_> {
        self.session.transmit()
    }

    // Inside

    fn earliest(&self, session: Option<Instant>) -> Option<Instant> {
        let patience = self.patience.map(|(at, _)| at);
        [session, patience, self.next_tick]
            .into_iter()
            .flatten()
            .min()
    }

    fn handle_session(&mut self, now: Instant, event: session::Event) {
        match event {
            session::Event::Ice(state) => self.ice_changed(now, state),
            session::Event::Secured => self.secured(now),
            session::Event::Sctp(event) => self.handle_sctp(now, event),
            session::Event::Failed(error) => self.fail(now, PeerError::Handshake(error)),
            session::Event::ClosedByPeer => self.channel_lost(now),
        }
    }

    fn ice_changed(&mut self, now: Instant, state: session::IceState) {
        if !self.negotiation.is_described() {
            return; // the agent checks before it has anybody to check with
        }
        let found = matches!(self.states.ice, IceState::Connected | IceState::Completed);
        let ice = match state {
            session::IceState::Checking if found => return,
            session::IceState::Checking => IceState::Checking,
            session::IceState::Connected => IceState::Connected,
            session::IceState::Completed => IceState::Completed,
            // More candidates may come until it has taken too long; only a path that was there can fail at once.
            session::IceState::Exhausted if !self.opened => return,
            session::IceState::Exhausted => IceState::Failed,
        };
        self.update(now, |states| {
            states.ice = ice;
            states.connection = match (ice, states.connection) {
                (IceState::Failed, _) => ConnectionState::Failed,
                (IceState::Checking, ConnectionState::New) => ConnectionState::Connecting,
                (_, ConnectionState::Failed) => ConnectionState::Connected,
                (_, connection) => connection,
            };
        });
        if ice == IceState::Failed {
            self.trace.conclude();
            if self.online && self.presence == Presence::Online {
                self.seek_path(now);
            } else {
                self.end(now, EndReason::Vanished);
            }
        }
    }

    fn secured(&mut self, now: Instant) {
        if self
            .patience
            .is_some_and(|(_, patience)| patience == Patience::Path)
        {
            self.patience = None;
        }
        self.update(now, |states| {
            if states.ice == IceState::Checking || states.ice == IceState::New {
                states.ice = IceState::Connected;
            }
            states.connection = ConnectionState::Connected;
        });
        if self.role == Role::Peer1 {
            self.open_main();
        }
    }

    fn out_of_patience(&mut self, now: Instant, patience: Patience) {
        match patience {
            Patience::End(reason) => self.end(now, reason),
            Patience::Description if self.role == Role::Peer2 => self.end(now, EndReason::NoOffer),
            Patience::Description => self.emit(Event::Problem(PeerError::NoAnswer)),
            Patience::Path => {
                self.update(now, |states| {
                    states.ice = IceState::Failed;
                    states.connection = ConnectionState::Failed;
                });
                self.fail(now, PeerError::NoPath);
            }
        }
    }

    /// The handshake, or a later one, cannot go on.
    fn fail(&mut self, now: Instant, error: PeerError) {
        if self.ended.is_some() {
            return;
        }
        self.emit(Event::Problem(error));
        let reason = if self.opened {
            EndReason::Vanished
        } else {
            EndReason::Failed
        };
        self.end(now, reason);
    }

    fn reachable(&mut self, now: Instant, returned: bool) {
        if self.ended.is_some() {
            return;
        }
        let reachable = self.online && self.presence == Presence::Online;
        self.set_reachable(now, reachable);
        if !reachable || !returned {
            return;
        }
        if !self.opened {
            self.resend(now);
        } else if self.states.liveness == states::Liveness::Silent {
            self.seek_path(now);
        }
    }

    // Liveness

    fn heard(&mut self, now: Instant) {
        if let Some(liveness) = &mut self.liveness {
            liveness.heard();
        }
        if self.states.liveness == states::Liveness::Silent {
            self.update(now, |states| states.liveness = states::Liveness::Alive);
        }
    }

    fn tick(&mut self, now: Instant) {
        let Some(liveness) = &mut self.liveness else {
            return;
        };
        if !self.reading {
            liveness.heard(); // what the other side says waits here
        }
        let (ping, verdict) = (liveness.tick(now), liveness.verdict());
        let cry = self.role == Role::Peer2 && liveness.cry();
        if let Some(id) = ping {
            self.send_ping(now, id);
        }
        match verdict {
            Verdict::Gone => self.end(now, EndReason::Vanished),
            Verdict::Silent if self.states.liveness != states::Liveness::Silent => {
                self.fell_silent(now)
            }
            _ if cry => self.signal(now, None, Payload::Silent),
            _ => {}
        }
    }

    /// Not the moment for another path: if the network is only away for a while, ICE finds back to this one by itself. Another is
    /// sought when the server is reached again, when the other side says by way of the server that it hears nothing either, or when
    /// ICE has given up.
    fn fell_silent(&mut self, now: Instant) {
        self.update(now, |states| states.liveness = states::Liveness::Silent);
        if self.presence != Presence::Online {
            self.end(now, EndReason::Vanished);
        }
    }

    // Telling

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Queued::Event(event));
    }

    fn signal(&mut self, now: Instant, stage: Stage, payload: Payload) {
        let detail = match &payload {
            Payload::Description { sdp, .. } => detail! { "bytes" => sdp.len() },
            Payload::Candidates {
                candidates,
                complete,
            } => detail! { "count" => candidates.len(), "complete" => complete },
            Payload::Problem { code, about } => detail! { "code" => code, "about" => about },
            _ => Detail::new(),
        };
        self.trace
            .note(now, stage, Kind::Send, payload.name(), detail);
        self.outputs.push_back(Queued::Signal(payload));
    }

    fn refuse(&mut self, now: Instant, code: &str, about: &str) {
        self.trace.note(
            now,
            None,
            Kind::Note,
            "refused",
            detail! { "code" => code, "about" => about },
        );
        self.signal(
            now,
            None,
            Payload::Problem {
                code: code.to_owned(),
                about: about.to_owned(),
            },
        );
    }

    /// Whoever learns of a change of state tells it here, and here only it is recorded.
    fn update(&mut self, now: Instant, change: impl FnOnce(&mut PeerStates)) {
        let before = self.states;
        change(&mut self.states);
        if self.states == before {
            return;
        }
        for (name, from, to, stage) in self.states.changes(&before, self.role) {
            self.trace.note(
                now,
                stage,
                Kind::State,
                name,
                detail! { "from" => from, "to" => to },
            );
        }
        let connected = |states: &PeerStates| states.connection == ConnectionState::Connected;
        if connected(&before) && !connected(&self.states) {
            self.trace.conclude();
        }
        self.emit(Event::States(self.states));
    }

    fn trace_message(
        &mut self,
        now: Instant,
        name: &'static str,
        kind: &'static str,
        bytes: usize,
    ) {
        let second = now.duration_since(self.origin).as_secs();
        if self.traced.0 != second {
            self.traced = (second, 0);
        }
        self.traced.1 += 1;
        if self.traced.1 <= TRACED_MESSAGES {
            self.trace.note(
                now,
                None,
                Kind::Message,
                name,
                detail! { "kind" => kind, "bytes" => bytes },
            );
        }
    }

    /// What arrives through the server shows the stage the server did: 2 for the offer, 4 for the rest.
    fn stage_of_received(&self, payload: &Payload) -> Stage {
        use crate::description::Kind::{Answer, Offer};
        match payload {
            Payload::Description { kind: Offer, .. } => (self.role == Role::Peer2).then_some(2),
            Payload::Description { kind: Answer, .. } | Payload::Candidates { .. } => Some(4),
            _ => None,
        }
    }
}
