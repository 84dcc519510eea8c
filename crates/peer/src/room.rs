//! A room, as a program sees it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crowfly_protocol::{PeerId, RoomCode, RoomName, Token};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::driver::{self, Seat};
use crate::inflow::Held;
use crate::link::{LinkError, Place, Secret, ServerUrl, parse_room};
use crate::pairing::EndReason;
use crate::peer::Peer;
use crate::room_core::{CloseReason, Intent, RoomError};

/// How a room is entered.
///
/// ```
/// use crowfly_peer::RoomOptions;
///
/// let options = RoomOptions::new("https://crows.example".parse().unwrap());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RoomOptions {
    /// The signaling server. A link has its own, which stands before this one.
    pub server: ServerUrl,
    /// [`create_room`] only: a chosen name; without it the server draws one that cannot be guessed.
    pub name: Option<RoomName>,
    /// [`create_room`] only: a room without a shared secret, whose server is trusted. Without a word on it: with a chosen name. A sealed
    /// room has a drawn name; [`join_room`] learns from link or code which it is.
    pub open: Option<bool>,
    /// STUN servers, `host` or `host:port`, used instead of those that the signaling server hands out. Empty: host candidates only.
    pub ice_servers: Option<Vec<String>>,
    /// Label of the main data channel; of more than 65,535 bytes (RFC 8832 §5.1) the beginning. Its protocol is always `crowfly.1`.
    pub label: String,
    /// [`join_room`] only: [`Room::token`] of an earlier visit, to take one's own seat back after a crash.
    pub token: Option<Token>,
}

impl RoomOptions {
    /// The usual.
    pub fn new(server: ServerUrl) -> Self {
        Self {
            server,
            name: None,
            open: None,
            ice_servers: None,
            label: "crowfly".to_owned(),
            token: None,
        }
    }
}

/// Why a room was not joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// What was given names no room.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The room was not entered.
    #[error(transparent)]
    Room(#[from] RoomError),
}

/// What happened in a room.
#[derive(Debug)]
#[non_exhaustive]
pub enum RoomEvent {
    /// Somebody sits opposite: who joined, or for the joiner who waited.
    Peer(Peer),
    /// It is over with that peer; the room waits for the next. The peer's own events up to [`PeerEvent::Closed`], its last messages
    /// among them, wait in [`Peer::next_event`] until they are taken.
    ///
    /// [`PeerEvent::Closed`]: crate::PeerEvent::Closed
    PeerLeft(EndReason),
    /// The connection to the server was lost, or is back. Peers that are connected do not need it.
    Signaling {
        /// Whether it is there.
        online: bool,
    },
    /// Something went wrong that does not end the room.
    Problem(RoomError),
    /// Out of the room; nothing follows.
    Closed(CloseReason),
}

/// One's own seat in a room. Dropping it leaves, without waiting for what is still being sent to arrive; [`Room::leave`] waits.
#[derive(Debug)]
pub struct Room {
    server: ServerUrl,
    name: RoomName,
    seat: Arc<Mutex<Seat>>,
    events: mpsc::UnboundedReceiver<(RoomEvent, Held)>,
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Makes a room and waits in it.
///
/// # Errors
///
/// [`RoomError`] when the server cannot be reached within ten seconds, or refuses; or when a sealed room is to have a chosen name.
pub async fn create_room(options: RoomOptions) -> Result<Room, RoomError> {
    let RoomOptions {
        server,
        name,
        open,
        ice_servers,
        label,
        ..
    } = options;
    let sealed = !open.unwrap_or(name.is_some());
    let no_code = |reason: &str| RoomError::NoCode {
        reason: reason.to_owned(),
    };
    if sealed && name.is_some() {
        return Err(no_code("its name was chosen"));
    }
    if name
        .as_ref()
        .is_some_and(|name| RoomCode::parse(name.as_str()).is_some())
    {
        return Err(no_code("a chosen name cannot begin like a code"));
    }
    let intent = Intent::Create { name, sealed };
    driver::enter(intent, label, ice_servers, server, None).await
}

/// Joins the room named by a link or code, and begins to connect: the last to arrive offers.
///
/// # Errors
///
/// [`JoinError`] when it names no room, when the server cannot be reached within ten seconds, or refuses.
pub async fn join_room(link_or_code: &str, options: RoomOptions) -> Result<Room, JoinError> {
    let Place {
        name,
        server,
        secret,
    } = parse_room(link_or_code)?;
    let (key, code) = match secret {
        None => (None, None),
        Some(Secret::Key(key)) => (Some(key), None),
        Some(Secret::Code(code)) => {
            let words = code.clone();
            let stretched = tokio::task::spawn_blocking(move || words.stretch()).await;
            // It fails only where the runtime is being shut down.
            (Some(stretched.map_err(|_| RoomError::Left)?), Some(code))
        }
    };
    let RoomOptions {
        server: otherwise,
        ice_servers,
        label,
        token,
        ..
    } = options;
    let intent = Intent::Join { name, token, key };
    let server = server.unwrap_or(otherwise);
    Ok(driver::enter(intent, label, ice_servers, server, code).await?)
}

impl Room {
    pub(crate) fn new(
        server: ServerUrl,
        seat: Arc<Mutex<Seat>>,
        events: mpsc::UnboundedReceiver<(RoomEvent, Held)>,
        leave: oneshot::Sender<()>,
        task: JoinHandle<()>,
    ) -> Self {
        let name = lock(&seat).name.clone();
        Self {
            server,
            name,
            seat,
            events,
            leave: Some(leave),
            task,
        }
    }

    /// Its name, as the server has it.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// What a browser, or [`join_room`], opens. Of a sealed room it is a secret.
    pub fn link(&self) -> String {
        self.server
            .room_link(&self.name, lock(&self.seat).key.as_ref())
    }

    /// What a person types: the name of an open room, and of a sealed one the code; `None` where one came by a link.
    pub fn code(&self) -> Option<String> {
        let seat = lock(&self.seat);
        match (&seat.key, &seat.code) {
            (None, _) => Some(self.name.as_str().to_owned()),
            (Some(_), code) => code.as_ref().map(RoomCode::reveal),
        }
    }

    /// Own peer id, issued by the server; another once a server that was started anew has given another seat.
    pub fn id(&self) -> PeerId {
        lock(&self.seat).id
    }

    /// Proves this seat to the server, see [`RoomOptions::token`]; it changes as [`Room::id`] does.
    pub fn token(&self) -> Token {
        lock(&self.seat).token
    }

    /// The next thing that happens; `None` after [`RoomEvent::Closed`]. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<RoomEvent> {
        self.events.recv().await.map(|(event, _)| event)
    }

    /// Waits until somebody is there.
    ///
    /// # Errors
    ///
    /// Why the room closed instead.
    pub async fn next_peer(&mut self) -> Result<Peer, CloseReason> {
        loop {
            match self.next_event().await {
                Some(RoomEvent::Peer(peer)) => return Ok(peer),
                Some(RoomEvent::Closed(reason)) => return Err(reason),
                Some(_) => {}
                None => return Err(CloseReason::Left),
            }
        }
    }

    /// Waits at most a second until the other side has all that was sent, says goodbye in the channel, leaves the room, closes
    /// everything. Who has more to send than that takes waits for an answer before leaving.
    pub async fn leave(mut self) {
        // The driver's end of it is gone only where the room is closed.
        let _ = self.leave.take().map(|leave| leave.send(()));
        let _ = self.task.await;
    }
}

/// Held for a copy, never over an await.
fn lock(seat: &Mutex<Seat>) -> MutexGuard<'_, Seat> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}
