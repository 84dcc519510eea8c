//! One task a room: the sockets, the WebSocket, names, timers and queues around [`RoomCore`].

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crowfly_protocol::{RoomCode, RoomKey, SessionId, WORDS_IN_CODE};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::inflow::{Held, Inflow};
use crate::link::ServerUrl;
use crate::link_to_peer::LinkToPeer;
use crate::names::{self, Multicast};
use crate::pairing::{self, CandidateName, Pairing};
use crate::peer::{Command, Outgoing};
use crate::room::{Room, RoomEvent};
use crate::room_core::{self, Config, Departure, Output, RoomCore, RoomError, Secrets};
use crate::session::Certificate;
use crate::signaling::{Connection, Incoming};
use crate::sockets::Sockets;

/// Messages handed on before the sockets are looked at again.
const SEND_BURST: usize = 64;
/// Datagrams that are no transfer: what they bring may be answered at once.
const FEW: usize = 4;
/// Bytes of a channel's label (RFC 8832 §5.1).
const MAX_LABEL: usize = 65_535;
/// Names looked up at once; the other side may tell any number of them, one after the other.
const MAX_LOOK_UPS: usize = 16;
/// tokio's timer has a grain of a millisecond; what is due sooner is not slept for.
const GRAIN: Duration = Duration::from_millis(1);

/// What is known of one's own seat, for the room's handle; a server that was started anew gives another.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) name: crowfly_protocol::RoomName,
    pub(crate) id: crowfly_protocol::PeerId,
    pub(crate) token: crowfly_protocol::Token,
    /// Of a sealed room.
    pub(crate) key: Option<RoomKey>,
    /// Where it is known: it was made or typed here.
    pub(crate) code: Option<RoomCode>,
}

/// The driver's queues.
pub(crate) struct Handles {
    /// Answered once the room is entered or refused.
    pub(crate) entered: oneshot::Sender<Result<Arc<Mutex<Seat>>, RoomError>>,
    /// Unbounded in number, bounded by [`Inflow`]: a full one stops what the server says.
    pub(crate) events: mpsc::UnboundedSender<(RoomEvent, Held)>,
    /// A sender dropped is a wish to leave.
    pub(crate) leave: oneshot::Receiver<()>,
    /// Where no server carries payloads: ours out, theirs in.
    pub(crate) carried: Option<Carried>,
    /// The code that was typed.
    pub(crate) code: Option<RoomCode>,
}

/// Payloads carried by other means.
pub(crate) struct Carried {
    pub(crate) ours: mpsc::UnboundedSender<String>,
    pub(crate) theirs: mpsc::UnboundedReceiver<String>,
}

enum Found {
    Name(SessionId, CandidateName, Option<IpAddr>),
    Servers(Vec<SocketAddr>),
    Key(RoomCode, RoomKey),
}

struct Driver {
    core: RoomCore,
    sockets: Sockets,
    url: String,
    connection: Option<Connection>,
    peer: Option<LinkToPeer>,
    entered: Option<oneshot::Sender<Result<Arc<Mutex<Seat>>, RoomError>>>,
    events: mpsc::UnboundedSender<(RoomEvent, Held)>,
    inflow: Arc<Inflow>,
    seat: Option<Arc<Mutex<Seat>>>,
    code: Option<RoomCode>,
    /// WebSockets that say their last words.
    closing: JoinSet<()>,
    lookups: JoinSet<Found>,
    multicast: Option<Multicast>,
    carried: Option<Carried>,
    /// Somebody who waited for the peer was woken.
    told: bool,
}

/// New secrets of one pairing.
pub(crate) fn draw_secrets() -> Result<Secrets, RoomError> {
    let mut random = [0; 64];
    getrandom::fill(&mut random).map_err(|error| RoomError::NoNetwork {
        reason: error.to_string(),
    })?;
    let (mut seed, mut session, mut nonce) = ([0; 32], [0; 16], [0; 16]);
    seed.copy_from_slice(&random[..32]);
    session.copy_from_slice(&random[32..48]);
    nonce.copy_from_slice(&random[48..]);
    Ok(Secrets {
        certificate: Certificate::generate(),
        seed,
        session: SessionId::from_bytes(session),
        nonce,
        began: SystemTime::now(),
    })
}

/// Runs a room until it is closed.
pub(crate) async fn run(
    config: Config,
    secrets: Secrets,
    sockets: Sockets,
    url: String,
    handles: Handles,
) {
    let mut driver = Driver {
        core: RoomCore::new(Instant::now(), config, secrets),
        sockets,
        url,
        connection: None,
        peer: None,
        entered: Some(handles.entered),
        events: handles.events,
        inflow: Arc::default(),
        seat: None,
        code: handles.code,
        closing: JoinSet::new(),
        lookups: JoinSet::new(),
        multicast: None,
        carried: handles.carried,
        told: false,
    };
    driver.turn(handles.leave).await;
    driver.disconnect();
    while driver.closing.join_next().await.is_some() {}
    if let Some(multicast) = driver.multicast {
        multicast.stop();
    }
}

impl Driver {
    async fn turn(&mut self, mut leave: oneshot::Receiver<()>) {
        let mut leaving = false;
        loop {
            let due = self.drain().await;
            if self.core.is_closed() {
                return;
            }
            if self.core.needs_secrets()
                && let Ok(secrets) = draw_secrets()
            {
                self.core.set_secrets(secrets);
            }
            let room = self.peer.is_some()
                && self
                    .core
                    .pairing()
                    .is_some_and(|pairing| pairing.has_room());
            let inflow = self.peer.as_ref().map(|peer| peer.inflow.clone());
            let full = inflow.as_ref().is_some_and(|inflow| inflow.is_full());
            let untold = self.inflow.is_full();
            if let Some(pairing) = self.core.pairing() {
                pairing.set_reading(!full);
            }
            let (outgoing, control) = match &mut self.peer {
                Some(peer) => (Some(&mut peer.outgoing), Some(&mut peer.control)),
                None => (None, None),
            };
            let mut messages = Vec::new();
            let happened = tokio::select! {
                biased;
                _ = &mut leave, if !leaving => Happened::Leave,
                Some(command) = receive_one(control) => Happened::Command(command),
                _ = self.sockets.readable() => Happened::Readable,
                Some(incoming) = from_server(&mut self.connection), if !untold => Happened::Server(incoming),
                Some(text) = carried(&mut self.carried) => Happened::Carried(text),
                Some(Ok(found)) = self.lookups.join_next() => Happened::Found(found),
                () = eased(inflow), if full => Happened::Nothing,
                () = self.inflow.eased(), if untold => Happened::Nothing,
                Some(_) = self.closing.join_next() => Happened::Nothing,
                () = receive_many(outgoing, &mut messages), if room => Happened::Messages,
                () = until(due) => Happened::Timeout,
            };
            let now = Instant::now();
            match happened {
                Happened::Leave => {
                    leaving = true;
                    self.leave(now);
                }
                Happened::Readable => {
                    if self.receive(now) <= FEW {
                        self.let_answer(now).await;
                    }
                }
                Happened::Messages => self.send(now, messages),
                Happened::Command(command) => self.command(now, command),
                Happened::Server(incoming) => self.server(now, incoming),
                Happened::Found(found) => self.found(now, found),
                Happened::Carried(text) => self.core.handle_payload(now, &text),
                Happened::Timeout | Happened::Nothing => {}
            }
            self.core.handle_timeout(now);
        }
    }

    /// Does all that is to be done now; when there is more.
    async fn drain(&mut self) -> Option<Instant> {
        let now = Instant::now();
        loop {
            match self.core.poll_output(now) {
                Output::Transmit(transmit) => self.sockets.send(&transmit).await,
                Output::Text(text) if self.carried.is_some() => {
                    if let Some(carried) = &self.carried {
                        // Who carries it went away where this fails.
                        let _ = carried.ours.send(text);
                    }
                }
                Output::Text(text) => {
                    if self
                        .connection
                        .as_ref()
                        .is_some_and(|connection| !connection.send(text))
                    {
                        // It takes nothing any more: its end is on the way, and then what matters is said again.
                        self.connection = None;
                        let error = RoomError::Unreachable {
                            url: self.url.clone(),
                            reason: "the connection is stuck".into(),
                        };
                        self.core.disconnected(now, error, "");
                    }
                }
                Output::Connect => self.connection = Some(Connection::open(self.url.clone())),
                Output::Disconnect => self.disconnect(),
                Output::LookUp(servers) => {
                    self.lookups
                        .spawn(async move { Found::Servers(names::look_up(servers).await) });
                }
                Output::Resolve(session, name) => self.resolve(session, name),
                Output::Event(event) => self.tell(event),
                Output::Timeout(at) => {
                    self.told |= self.peer.as_mut().is_some_and(LinkToPeer::wake);
                    return at;
                }
            }
        }
    }

    /// The peer does not wait for the server's goodbye.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.closing.spawn(connection.close());
        }
    }

    /// How many datagrams it was.
    fn receive(&mut self, now: Instant) -> usize {
        let core = &mut self.core;
        self.sockets
            .receive(|local, remote, datagram| core.handle_datagram(now, local, remote, datagram))
    }

    /// Tells of what a few datagrams brought before anything is sent, and lets who was woken run: an answer that comes at once travels with
    /// the acknowledgement, one datagram and one wake less on either side.
    async fn let_answer(&mut self, now: Instant) {
        self.told = false;
        self.core.hold(true);
        self.drain().await;
        self.core.hold(false);
        if std::mem::take(&mut self.told) {
            tokio::task::yield_now().await;
            let mut answers = Vec::new();
            if let Some(peer) = &mut self.peer
                && self.core.pairing().is_some_and(Pairing::has_room)
            {
                let next = std::iter::from_fn(|| peer.outgoing.try_recv().ok());
                answers.extend(next.take(SEND_BURST));
            }
            self.send(now, answers);
        }
    }

    fn send(&mut self, now: Instant, messages: Vec<Outgoing>) {
        if let (Some(peer), Some(pairing)) = (&self.peer, self.core.pairing()) {
            for message in messages {
                peer.send(pairing, now, message);
            }
        }
    }

    /// What was accepted for sending before goes before the goodbye.
    fn leave(&mut self, now: Instant) {
        let mut accepted = Vec::new();
        if let Some(peer) = &mut self.peer {
            accepted.extend(std::iter::from_fn(|| peer.outgoing.try_recv().ok()));
        }
        self.send(now, accepted);
        self.core.leave(now);
    }

    fn command(&mut self, now: Instant, command: Command) {
        if let (Some(peer), Some(pairing)) = (&mut self.peer, self.core.pairing()) {
            peer.answer(pairing, now, command);
        }
    }

    fn server(&mut self, now: Instant, incoming: Incoming) {
        match incoming {
            Incoming::Text(text) => self.core.handle_text(now, &text),
            Incoming::Ended { error, reason } => {
                self.connection = None;
                self.core.disconnected(now, error, &reason);
            }
        }
    }

    fn found(&mut self, now: Instant, found: Found) {
        match found {
            Found::Servers(servers) => self.core.stun_servers(now, servers),
            Found::Name(session, name, Some(address)) => {
                self.core.resolved(now, session, &name, address)
            }
            Found::Name(_, _, None) => {}
            Found::Key(code, key) => {
                self.core.set_key(key);
                self.code = Some(code);
                self.tell_entered();
            }
        }
    }

    fn resolve(&mut self, session: SessionId, name: CandidateName) {
        if self.lookups.len() >= MAX_LOOK_UPS {
            return;
        }
        if self.multicast.is_none() {
            self.multicast = Multicast::start();
        }
        let Some(multicast) = self.multicast.clone() else {
            return;
        };
        self.lookups.spawn(async move {
            let address = multicast.resolve(&name.name).await;
            Found::Name(session, name, address)
        });
    }

    fn tell(&mut self, event: room_core::Event) {
        match event {
            room_core::Event::Entered => self.tell_entered(),
            room_core::Event::Refused(error) => {
                if let Some(entered) = self.entered.take() {
                    drop(entered.send(Err(error)));
                }
            }
            room_core::Event::Peer { id, session, role } => {
                let sealed = self.core.is_sealed();
                let (link, peer) = LinkToPeer::new(id, session, role, sealed);
                self.peer = Some(link);
                if let (Some(link), Some(pairing)) = (&mut self.peer, self.core.pairing()) {
                    let states = pairing.states();
                    link.tell(Some(pairing), pairing::Event::States(states));
                }
                self.emit(RoomEvent::Peer(peer));
            }
            room_core::Event::Pairing(event) => {
                if let Some(link) = &mut self.peer {
                    link.tell(self.core.pairing(), event);
                }
            }
            room_core::Event::PeerLeft(departure) => self.peer_left(departure),
            room_core::Event::Signaling { online } => {
                self.seated();
                self.emit(RoomEvent::Signaling { online });
            }
            room_core::Event::Problem(error) => self.emit(RoomEvent::Problem(error)),
            room_core::Event::Closed(reason) => {
                // Told already, or the room was never entered.
                self.peer = None;
                self.emit(RoomEvent::Closed(reason));
            }
        }
    }

    fn tell_entered(&mut self) {
        if self.core.needs_key() {
            // Words take a while to be stretched; a room without its code is of no use to anybody.
            if let Err(error) = self.draw_code()
                && let Some(entered) = self.entered.take()
            {
                drop(entered.send(Err(error)));
            }
            return;
        }
        if let Some(seat) = self.seated()
            && let Some(entered) = self.entered.take()
        {
            drop(entered.send(Ok(seat)));
        }
    }

    fn draw_code(&mut self) -> Result<(), RoomError> {
        let no_code = |reason: String| RoomError::NoCode { reason };
        let mut random = [0; 4 * WORDS_IN_CODE];
        getrandom::fill(&mut random).map_err(|error| no_code(error.to_string()))?;
        let mut words = [0; WORDS_IN_CODE];
        for (word, bytes) in words.iter_mut().zip(random.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let name = self.core.name().cloned();
        let code = name.and_then(|name| RoomCode::drawn(name, words));
        let code = code.ok_or_else(|| no_code("the server drew no name for it".to_owned()))?;
        self.lookups.spawn_blocking(move || {
            let key = code.stretch();
            Found::Key(code, key)
        });
        Ok(())
    }

    /// One's own seat as it is now.
    fn seated(&mut self) -> Option<Arc<Mutex<Seat>>> {
        let (name, id) = (self.core.name().cloned()?, self.core.id()?);
        let token = self.core.token()?;
        let seat = Seat {
            name,
            id,
            token,
            key: self.core.key().cloned(),
            code: self.code.clone(),
        };
        match &self.seat {
            Some(shared) => *shared.lock().unwrap_or_else(PoisonError::into_inner) = seat,
            None => self.seat = Some(Arc::new(Mutex::new(seat))),
        }
        self.seat.clone()
    }

    fn peer_left(&mut self, departure: Departure) {
        if let Some(mut link) = self.peer.take() {
            let reason = departure.reason;
            link.end(departure);
            self.emit(RoomEvent::PeerLeft(reason));
        }
    }

    fn emit(&self, event: RoomEvent) {
        // Nobody listens where the handle was dropped; then the room is being left.
        let _ = self.events.send((event, self.inflow.hold(0)));
    }
}

/// What woke the driver.
enum Happened {
    Leave,
    Readable,
    Messages,
    Command(Command),
    Server(Incoming),
    Found(Found),
    Carried(String),
    Timeout,
    Nothing,
}

async fn receive_one(control: Option<&mut mpsc::UnboundedReceiver<Command>>) -> Option<Command> {
    match control {
        Some(control) => control.recv().await,
        None => None,
    }
}

async fn receive_many(outgoing: Option<&mut mpsc::Receiver<Outgoing>>, into: &mut Vec<Outgoing>) {
    match outgoing {
        Some(outgoing) => {
            outgoing.recv_many(into, SEND_BURST).await;
        }
        None => std::future::pending().await,
    }
}

async fn carried(carried: &mut Option<Carried>) -> Option<String> {
    match carried {
        Some(carried) => carried.theirs.recv().await,
        None => None,
    }
}

async fn from_server(connection: &mut Option<Connection>) -> Option<Incoming> {
    match connection {
        Some(connection) => connection.receive().await,
        None => None,
    }
}

async fn eased(inflow: Option<Arc<Inflow>>) {
    match inflow {
        Some(inflow) => inflow.eased().await,
        None => std::future::pending().await,
    }
}

/// Until an instant; what is nearer than the timer's grain is given to others to run meanwhile.
async fn until(due: Option<Instant>) {
    match due {
        None => std::future::pending().await,
        Some(due) => {
            if due.saturating_duration_since(Instant::now()) < GRAIN {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep_until(due.into()).await;
            }
        }
    }
}

/// What a driver that was started is held by.
pub(crate) struct Started {
    pub(crate) entered: oneshot::Receiver<Result<Arc<Mutex<Seat>>, RoomError>>,
    pub(crate) events: mpsc::UnboundedReceiver<(RoomEvent, Held)>,
    pub(crate) leave: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

/// Binds the sockets and starts the driver.
pub(crate) fn start(
    intent: room_core::Intent,
    mut label: String,
    ice_servers: Option<Vec<String>>,
    url: String,
    carried: Option<Carried>,
    code: Option<RoomCode>,
) -> Result<Started, RoomError> {
    let no_network = |error: std::io::Error| RoomError::NoNetwork {
        reason: error.to_string(),
    };
    label.truncate(label.floor_char_boundary(MAX_LABEL));
    let addresses = crate::gather::host_addresses();
    let (sockets, hosts) = Sockets::bind(&addresses).map_err(no_network)?;
    let secrets = draw_secrets()?;
    let (answer, entered) = oneshot::channel();
    let (events_in, events) = mpsc::unbounded_channel();
    let (leave, left) = oneshot::channel();
    let config = Config {
        intent,
        hosts,
        label,
        ice_servers,
    };
    let handles = Handles {
        entered: answer,
        events: events_in,
        leave: left,
        carried,
        code,
    };
    let task = tokio::spawn(run(config, secrets, sockets, url, handles));
    Ok(Started {
        entered,
        events,
        leave,
        task,
    })
}

/// Starts the driver; the room once it is entered.
pub(crate) async fn enter(
    intent: room_core::Intent,
    label: String,
    ice_servers: Option<Vec<String>>,
    server: ServerUrl,
    code: Option<RoomCode>,
) -> Result<Room, RoomError> {
    let started = start(intent, label, ice_servers, server.socket(), None, code)?;
    let seat = started.entered.await.unwrap_or(Err(RoomError::Left))?;
    Ok(Room::new(
        server,
        seat,
        started.events,
        started.leave,
        started.task,
    ))
}
