//! The hub: every room, and nothing but rooms.
//!
//! A pure state machine in the house's shape: [`Hub::handle_input`] takes what happened and when, then
//! [`Hub::poll_output`] is drained until it yields the next timeout. It knows no clock, socket, task or lock; its driver
//! owns those. It is the single writer of every room, and reads no payload.
//!
//! ```
//! # use std::{net::Ipv4Addr, time::Instant};
//! # use crowfly_protocol::ServerMessage;
//! use crowfly_server::hub::{Config, ConnectionId, Hub, Input, Output};
//!
//! let mut hub = Hub::new(Config::default(), [7; 32]);
//! let connection = ConnectionId(1);
//! let source = std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into();
//! let ice_servers = serde_json::value::RawValue::NULL;
//! hub.handle_input(Instant::now(), Input::Connected { connection, source, ice_servers });
//! let Output::Transmit { text, .. } = hub.poll_output() else { panic!("the server speaks first") };
//! assert!(matches!(ServerMessage::parse(&text), Ok((None, ServerMessage::Welcome { .. }))));
//! assert!(matches!(hub.poll_output(), Output::Timeout(Some(_))), "ten seconds to join a room");
//! ```
//!
//! What holds after every input, and `tests/hub_model.rs` checks:
//! - a room has one or two seats taken, a session exactly when both are, and a name that leads to it alone (or it is apart);
//! - a connection sits in at most one room, and a seat belongs to one connection or is kept for one that was lost;
//! - a message goes to its sender or to the peer opposite, to nobody else;
//! - every request but a relayed `signal` is answered once;
//! - whatever waits has exactly one timer, and nothing else has.

mod apart;
mod config;
mod departures;
mod refusal;
mod requests;
mod resume;
mod room;
mod seats;
#[cfg(test)]
mod tests;
mod timers;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::Instant,
};

use chacha20::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use crowfly_protocol::{
    ClientMessage, ErrorCode, LeaveReason, PeerId, RequestId, RoomName, ServerMessage, SessionId,
};
use serde_json::value::RawValue;
use slab::Slab;

pub use self::config::Config;
use self::{
    refusal::Refusal,
    room::{Place, Room},
    timers::{Timer, Timers},
};
use crate::limits::{Meter, Source, Sources, Verdict};

/// One connection, named by the driver. An id is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What happened. `Debug` leaves out what was said.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// A connection was made; it is greeted.
    Connected {
        /// Its name from now on.
        connection: ConnectionId,
        /// Whom its limits count.
        source: Source,
        /// What `welcome` tells it, ready JSON: it depends on the host name the client used.
        ice_servers: &'a RawValue,
    },
    /// A text message arrived, already within the size limit.
    Message {
        /// From which connection.
        connection: ConnectionId,
        /// The whole message.
        text: &'a str,
    },
    /// A binary message arrived.
    Binary {
        /// From which connection.
        connection: ConnectionId,
    },
    /// A connection ended, whoever ended it. One the hub closed need not be reported; it does no harm.
    Disconnected {
        /// Which connection.
        connection: ConnectionId,
    },
    /// The instant of [`Output::Timeout`] has come.
    Timeout,
    /// The server stops: every connection is closed with `shutting-down`, every room ends, nobody is let in any more.
    Shutdown,
}

/// What the driver has to do. `Debug` leaves out what is said.
pub enum Output {
    /// Send this text message. To a connection that is closed: drop it.
    Transmit {
        /// To which connection.
        connection: ConnectionId,
        /// The whole message.
        text: String,
    },
    /// Close a connection, after what was sent to it; the hub has forgotten it.
    Close {
        /// Which connection.
        connection: ConnectionId,
        /// The reason; [`ErrorCode::close_code`] goes with it.
        reason: ErrorCode,
    },
    /// Something to count or to log.
    Event(Event),
    /// Nothing more now. Call with [`Input::Timeout`] at this instant, or never if there is none and nothing else happens.
    Timeout(Option<Instant>),
}

/// Something to count or to log. Holds no name, address or payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A room was made.
    RoomOpened,
    /// A room ended: its last seat is free.
    RoomClosed,
    /// Two peers were paired.
    Paired,
    /// A peer left its seat.
    Departed(LeaveReason),
    /// A peer's connection was lost; its seat is kept.
    PeerOffline,
    /// A peer came back to its seat.
    PeerOnline,
    /// A signal was relayed.
    SignalRelayed {
        /// Length of the message sent on, in bytes.
        bytes: usize,
    },
    /// A request was refused.
    Refused {
        /// Whose request.
        connection: ConnectionId,
        /// Why.
        code: ErrorCode,
    },
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections the hub knows.
    pub connections: usize,
    /// Rooms.
    pub rooms: usize,
    /// Rooms with both seats taken.
    pub pairings: usize,
    /// Timers armed.
    pub timers: usize,
    /// Sources with rooms or failed look-ups.
    pub sources: usize,
}

/// The state machine.
#[derive(Debug)]
pub struct Hub {
    config: Config,
    rng: ChaCha20Rng,
    connections: HashMap<ConnectionId, Connection>,
    rooms: Slab<Room>,
    names: HashMap<RoomName, usize>,
    /// Rooms that no name leads to, `apart.rs`.
    apart: HashMap<(RoomName, SessionId), usize>,
    pairings: usize,
    sources: Sources,
    timers: Timers,
    outputs: VecDeque<Output>,
    stopping: bool,
}

/// What is known of one connection.
#[derive(Debug)]
struct Connection {
    /// Issued with `welcome`, or taken over with the seat it resumed.
    peer: PeerId,
    source: Source,
    place: Place,
    messages: Meter,
}

impl Hub {
    /// A hub without rooms. The seed is a secret: peer ids, tokens and names of rooms are drawn from it.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            rng: ChaCha20Rng::from_seed(seed),
            connections: HashMap::new(),
            rooms: Slab::new(),
            names: HashMap::new(),
            apart: HashMap::new(),
            pairings: 0,
            sources: Sources::new(config.failed_look_ups),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            stopping: false,
            config,
        }
    }

    /// Takes in what happened. Drain [`Hub::poll_output`] before the next call; `now` never goes back.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.time_out(now, timer);
        }
        match input {
            Input::Connected {
                connection,
                source,
                ice_servers,
            } => self.connect(now, connection, source, ice_servers),
            Input::Message { connection, text } => self.message(now, connection, Some(text)),
            Input::Binary { connection } => self.message(now, connection, None),
            Input::Disconnected { connection } => self.disconnect(now, connection),
            Input::Timeout => {}
            Input::Shutdown => self.shut_down(),
        }
    }

    /// The next thing to do; [`Output::Timeout`] comes last.
    pub fn poll_output(&mut self) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Timeout(self.timers.next()))
    }

    /// How much there is of everything.
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections.len(),
            rooms: self.rooms.len(),
            pairings: self.pairings,
            timers: self.timers.len(),
            sources: self.sources.len(),
        }
    }

    fn connect(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        source: Source,
        ice_servers: &RawValue,
    ) {
        if self.stopping {
            self.outputs.push_back(Output::Close {
                connection,
                reason: ErrorCode::ShuttingDown,
            });
            return;
        }
        let peer = PeerId::from_bytes(self.draw());
        let place = self.wait_for_a_room(now, connection);
        self.connections.insert(
            connection,
            Connection {
                peer,
                source,
                place,
                messages: Meter::new(now),
            },
        );
        self.send(
            connection,
            &ServerMessage::Welcome { peer, ice_servers },
            None,
        );
    }

    /// A message, or `None` for a binary one. Every answer to a request leaves here, and only here.
    fn message(&mut self, now: Instant, connection: ConnectionId, text: Option<&str>) {
        // The driver may still deliver what it had read before the hub closed the connection.
        let Some(sender) = self.connections.get_mut(&connection) else {
            return;
        };
        let verdict = sender.messages.count(now, self.config.messages);
        if verdict == Verdict::FarBeyond {
            return self.close(now, connection, ErrorCode::RateLimited);
        }
        let (id, outcome) = match text.map(ClientMessage::parse) {
            None => (None, Err(Refusal::of(ErrorCode::BinaryMessage))),
            Some(Ok((id, _))) if verdict == Verdict::Beyond => {
                (id, Err(Refusal::TOO_MANY_MESSAGES))
            }
            Some(Ok((id, message))) => (id, self.request(now, connection, message)),
            Some(Err(error)) => (error.id, Err(Refusal::from(error))),
        };
        match outcome {
            Ok(Some(answer)) => self.send(connection, &answer, id),
            Ok(None) => {}
            Err(refusal) => self.refuse(connection, id, refusal),
        }
    }

    fn refuse(&mut self, connection: ConnectionId, id: Option<RequestId>, refusal: Refusal) {
        let Refusal { code, message } = refusal;
        self.send(connection, &ServerMessage::Error { code, message }, id);
        self.outputs
            .push_back(Output::Event(Event::Refused { connection, code }));
    }

    fn time_out(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Join(connection) => self.close(now, connection, ErrorCode::JoinTimeout),
            Timer::Seat(seat) => self.seat_expired(now, seat),
            Timer::Sweep => {
                if self.sources.sweep(now) {
                    self.timers
                        .arm(now + self.config.failed_look_ups.window, Timer::Sweep);
                }
            }
        }
    }

    fn shut_down(&mut self) {
        self.stopping = true;
        let mut connections = self
            .connections
            .drain()
            .map(|(connection, _)| connection)
            .collect::<Vec<_>>();
        // In an order that the same seed gives again.
        connections.sort_unstable();
        for connection in connections {
            self.outputs.push_back(Output::Close {
                connection,
                reason: ErrorCode::ShuttingDown,
            });
        }
        self.rooms.clear();
        self.names.clear();
        self.apart.clear();
        self.pairings = 0;
        self.sources = Sources::new(self.config.failed_look_ups);
        self.timers = Timers::default();
    }

    fn send(
        &mut self,
        connection: ConnectionId,
        message: &ServerMessage<'_>,
        id: Option<RequestId>,
    ) {
        self.outputs.push_back(Output::Transmit {
            connection,
            text: message.encode(id),
        });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, connection) = match self {
            Self::Connected { connection, .. } => ("Connected", connection),
            Self::Message { connection, .. } => ("Message", connection),
            Self::Binary { connection } => ("Binary", connection),
            Self::Disconnected { connection } => ("Disconnected", connection),
            Self::Timeout => return f.write_str("Timeout"),
            Self::Shutdown => return f.write_str("Shutdown"),
        };
        write!(f, "{kind}({})", connection.0)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit { connection, text } => {
                write!(f, "Transmit({}, {} bytes)", connection.0, text.len())
            }
            Self::Close { connection, reason } => write!(f, "Close({}, {reason})", connection.0),
            Self::Event(event) => event.fmt(f),
            Self::Timeout(next) => write!(f, "Timeout({next:?})"),
        }
    }
}
