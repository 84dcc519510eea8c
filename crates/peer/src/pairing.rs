//! One pairing of two peers from its beginning to its end: handshake, main channel, further channels, liveness. Sans-IO.
//!
//! The room begins it, feeds it what the server says, and hears of its end; who carries descriptions by other means does the same.
//! However it ends, it ends in [`Pairing::end`].

mod channels;
mod main_channel;
mod negotiation;
mod outcome;
mod presence;
mod progress;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crowfly_protocol::SessionId;
use crowfly_sctp::{self as sctp, ChannelId, ChannelOptions};

use self::main_channel::MainChannel;
use self::negotiation::Negotiation;
use crate::liveness::{Liveness, TICK};
use crate::message::Message;
use crate::payload::Payload;
use crate::session::{self, Agreed, Certificate, Path, Session, Transmit};
use crate::states::{self, PeerStates};
use crate::trace::{Detail, Kind, Role, Stage, Trace, detail};

pub(crate) use self::negotiation::CandidateName;
pub use self::outcome::{EndReason, PeerError};

/// The protocol of the main channel, `docs/protocol.md`.
pub(crate) const PROTOCOL: &str = "crowfly.1";

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

/// What is waited for, and does not get for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Description,
    Path,
    End(EndReason),
}

/// One's own goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    Unsaid,
    /// It waits for what was sent before: with it, the other side closes all channels.
    Due,
    Said,
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
    /// The server has forgotten the other side, which gets until then to come back.
    missing: Option<Instant>,
    outputs: VecDeque<Queued>,
    online: bool,
    met: bool,
    opened: bool,
    reading: bool,
    presence: Presence,
    departing: Option<EndReason>,
    goodbye: Goodbye,
    ended: Option<EndReason>,
    traced: (u64, u32),
    /// Payloads refused so far.
    refusals: u32,
    /// Whether something that was not sealed by the other side came from there.
    lied: bool,
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
            missing: None,
            outputs: VecDeque::new(),
            online: false,
            met: false,
            opened: false,
            reading: true,
            presence: Presence::Online,
            departing: None,
            goodbye: Goodbye::Unsaid,
            ended: None,
            traced: (0, 0),
            refusals: 0,
            lied: false,
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

    /// What the two agreed upon, once it is.
    pub(crate) fn agreed(&mut self) -> Option<Agreed> {
        self.session.agreed()
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
        if self.missing.is_some_and(|at| at <= now) {
            self.missing = None;
            self.end(now, EndReason::Lost);
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

    /// While held it tells what happened and sends nothing.
    pub(crate) fn hold(&mut self, held: bool) {
        self.session.hold(held);
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

    /// Says goodbye where the other side can hear it, once it has everything that was sent before.
    pub(crate) fn goodbye(&mut self, now: Instant) {
        if self.ended.is_none() && self.goodbye == Goodbye::Unsaid {
            self.goodbye = Goodbye::Due;
            self.part(now);
        }
    }

    /// Whether goodbye was said, and nothing of ours is still on its way.
    pub(crate) fn is_drained(&mut self) -> bool {
        self.goodbye != Goodbye::Due && self.is_quiet()
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
                    if self.ended.is_some() {
                        if self.session.is_held() {
                            return Output::Timeout(None);
                        }
                        // Its last word has left: no check, no timer after it.
                        self.session.close();
                        return Output::Timeout(None);
                    }
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
        [session, patience, self.missing, self.next_tick]
            .into_iter()
            .flatten()
            .min()
    }

    // Liveness

    // Telling
}
