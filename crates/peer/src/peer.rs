//! The other side, as a program sees it. All that happens, happens in the driver and below.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crowfly_protocol::{PeerId, SessionId};
use crowfly_sctp as sctp;
use tokio::sync::{mpsc, oneshot};

use crate::burst::BurstReceiver;
use crate::channel::{Channel, ChannelOptions, OpenError};
use crate::inflow::Held;
use crate::message::Message;
use crate::pairing::{EndReason, PeerError};
use crate::session::Agreed;
use crate::states::{ChannelState, PeerStates};
use crate::trace::Role;

/// Messages accepted for sending and not looked at yet.
pub(crate) const OUTGOING: usize = 16;

/// Somebody to talk to: one pairing, from its beginning to its end.
///
/// Dropping it does not end the connection; leaving the room does.
#[derive(Debug)]
pub struct Peer {
    pub(crate) id: Option<PeerId>,
    pub(crate) session: SessionId,
    pub(crate) role: Role,
    pub(crate) sealed: bool,
    pub(crate) events: BurstReceiver<(PeerEvent, Held)>,
    pub(crate) sender: PeerSender,
}

/// How a peer was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verified {
    /// It knows the secret of a sealed room.
    Code,
}

/// What can be asked of a peer from several places at once.
#[derive(Debug, Clone)]
pub struct PeerSender {
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    pub(crate) control: mpsc::UnboundedSender<Command>,
    pub(crate) shared: Arc<Shared>,
}

/// What happened with a peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum PeerEvent {
    /// The main channel is open: sending works from here on. Once per peer.
    Open,
    /// A whole message of the main channel.
    Message(Message),
    /// The other side opened a further channel. Dropping it closes it.
    Channel(Channel),
    /// A state changed.
    States(PeerStates),
    /// Something went wrong; what ends the pairing is followed by [`PeerEvent::Closed`].
    Problem(PeerError),
    /// It is over; nothing follows.
    Closed(EndReason),
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The main channel is not open yet.
    #[error("send a message: the channel is not open yet")]
    NotOpen,
    /// The peer has left.
    #[error("send a message: the peer has left")]
    Closed,
    /// A Blob's name or type has more than 255 characters (UTF-16 units, as browsers count).
    #[error("send a blob: its name and its type have at most 255 characters")]
    LongName,
    /// The other side takes no message of that size.
    #[error("send a message of {size} bytes: the other side takes {limit}")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// Bytes the other side takes.
        limit: usize,
    },
}

/// Numbers of a connection; sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Where packets go; `None` until a path is found (RFC 8445 §8).
    pub path: Option<PathStats>,
    /// Over the main channel (heartbeat), smoothed.
    pub round_trip: Option<Duration>,
    /// Over ICE, the last connectivity check (RFC 8445 §7).
    pub ice_round_trip: Option<Duration>,
    /// Bytes of SCTP packets sent.
    pub bytes_sent: u64,
    /// Bytes of SCTP packets received.
    pub bytes_received: u64,
    /// Bytes queued for sending, over all channels.
    pub buffered_amount: usize,
    /// DATA chunks sent again (RFC 9260 §6.3).
    pub chunks_retransmitted: u64,
    /// Bytes that the congestion control allows in flight (RFC 9260 §7).
    pub congestion_window: usize,
    /// What the two agreed upon; `None` until the connection is secure.
    pub agreed: Option<Agreed>,
}

/// The two ends of a path; types as in W3C WebRTC §4.8.1.3 (RTCIceCandidateType).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathStats {
    /// `host`, `srflx`, `prflx` or `relay`.
    pub local_type: &'static str,
    /// Own address.
    pub local: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub remote_type: &'static str,
    /// The other side's address.
    pub remote: SocketAddr,
}

/// What the driver writes and everybody reads.
#[derive(Debug)]
pub(crate) struct Shared {
    now: Mutex<Snapshot>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    states: PeerStates,
    max_message_size: usize,
    /// Once it has ended.
    trace: Option<String>,
}

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) target: Target,
    pub(crate) message: Message,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Main,
    Channel(sctp::ChannelId),
    /// Behind the messages before it.
    CloseChannel(sctp::ChannelId),
}

/// What is asked of the driver about one peer.
#[derive(Debug)]
pub(crate) enum Command {
    OpenChannel(ChannelOptions, oneshot::Sender<Result<Channel, OpenError>>),
    CloseChannel(sctp::ChannelId),
    Stats(oneshot::Sender<PeerStats>),
    Trace(oneshot::Sender<String>),
}

impl Peer {
    /// Issued by the server; `None` without one.
    pub fn id(&self) -> Option<PeerId> {
        self.id
    }

    /// The pairing: 128 bits drawn by the joiner.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Own role in this pairing.
    pub fn role(&self) -> Role {
        self.role
    }

    /// All states as they are now.
    pub fn states(&self) -> PeerStates {
        self.sender.states()
    }

    /// How it is known that nobody sits between the two, once the channel is open; `None`: it is not known.
    pub fn verified(&self) -> Option<Verified> {
        // There is a channel only behind DTLS, which has checked the fingerprints that came sealed.
        let secured = self.states().channel != ChannelState::None;
        (self.sealed && secured).then_some(Verified::Code)
    }

    /// The next thing that happens; `None` after [`PeerEvent::Closed`]. Cancel-safe.
    ///
    /// Take events as they come: while more than a few megabytes wait, the other side's sends wait too.
    pub async fn next_event(&mut self) -> Option<PeerEvent> {
        self.events.recv().await.map(|(event, _)| event)
    }

    /// Waits until the main channel is open.
    ///
    /// # Errors
    ///
    /// How it ended instead.
    pub async fn opened(&mut self) -> Result<(), EndReason> {
        loop {
            match self.next_event().await {
                Some(PeerEvent::Open) => return Ok(()),
                Some(PeerEvent::Closed(reason)) => return Err(reason),
                Some(_) => {}
                None => return Err(EndReason::Vanished),
            }
        }
    }

    /// See [`PeerSender::send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// See [`PeerSender::open_channel`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn open_channel(&self, options: ChannelOptions) -> Result<Channel, OpenError> {
        self.sender.open_channel(options).await
    }

    /// For sending from several places.
    pub fn sender(&self) -> PeerSender {
        self.sender.clone()
    }

    /// Numbers of now; `None` once it is over.
    pub async fn stats(&self) -> Option<PeerStats> {
        self.sender.ask(Command::Stats).await
    }

    /// The trace as JSON Lines, `docs/trace.md`; also after the end.
    pub async fn trace(&self) -> String {
        match self.sender.ask(Command::Trace).await {
            Some(trace) => trace,
            None => self.sender.shared.lock().trace.clone().unwrap_or_default(),
        }
    }
}

impl PeerSender {
    /// All states as they are now.
    pub fn states(&self) -> PeerStates {
        self.shared.lock().states
    }

    /// Sends over the main channel: reliable, in order, any size up to 64 MiB. Waits while too much is queued.
    ///
    /// # Errors
    ///
    /// [`SendError`] before the channel is open, and after its end; [`SendError::TooLarge`] and [`SendError::LongName`] at once.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        use crate::states::ChannelState::{Closed, Connecting, None as Missing};
        let message = message.into();
        let (size, limit) = (message.len(), crate::inbox::MAX_IN_MEMORY);
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        if !crate::inbox::fits(&message) {
            return Err(SendError::LongName);
        }
        match self.states().channel {
            Missing | Connecting => return Err(SendError::NotOpen),
            Closed => return Err(SendError::Closed),
            _ => {}
        }
        let outgoing = Outgoing {
            target: Target::Main,
            message,
        };
        self.outgoing
            .send(outgoing)
            .await
            .map_err(|_| SendError::Closed)
    }

    /// Opens a further data channel (RFC 8832); messages may be sent on it at once. The other side gets [`PeerEvent::Channel`].
    ///
    /// # Errors
    ///
    /// [`OpenError`] before there is a connection, and after its end.
    pub async fn open_channel(&self, options: ChannelOptions) -> Result<Channel, OpenError> {
        let asked = self.ask(|reply| Command::OpenChannel(options, reply)).await;
        asked.unwrap_or(Err(OpenError::NotConnected))
    }

    /// The largest message a further channel takes, bytes: the other side's `max-message-size` (RFC 8841 §6.1). [`usize::MAX`] before
    /// the other side is described, and where it takes any size.
    pub fn max_message_size(&self) -> usize {
        self.shared.max_message_size()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.control.send(command(reply)).ok()?;
        answer.await.ok()
    }
}

impl Shared {
    pub(crate) fn new() -> Self {
        let snapshot = Snapshot {
            states: PeerStates::INITIAL,
            max_message_size: usize::MAX,
            trace: None,
        };
        Self {
            now: Mutex::new(snapshot),
        }
    }

    pub(crate) fn set_states(&self, states: PeerStates, max_message_size: usize) {
        let mut now = self.lock();
        now.states = states;
        now.max_message_size = max_message_size;
    }

    pub(crate) fn max_message_size(&self) -> usize {
        self.lock().max_message_size
    }

    /// Keeps how it was in the end; whether a state is another than before.
    pub(crate) fn end(&self, states: PeerStates, trace: String) -> bool {
        let mut now = self.lock();
        now.trace = Some(trace);
        std::mem::replace(&mut now.states, states) != states
    }

    /// Held for a copy, never over an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
