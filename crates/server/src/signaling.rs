//! Drives the hub: hands it what the WebSockets receive, and carries out what it decides.
//!
//! The hub is behind one lock, held for the microseconds of a decision and never across an await or a call to the kernel: what is
//! to be sent is queued under the lock, so its order is the hub's, and written after it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crowfly_protocol::ServerMessage;
use tokio::sync::watch;

use crate::hub::{ConnectionId, Event, Hub, Input, Output};
use crate::limits::Source;
use crate::metrics::Metrics;
use crate::redact::Redacted;
use crate::relay::Handout;
use crate::websocket::{Arrival, Burst, Handler, Socket};

/// The hub, its clients and its clock.
#[derive(Debug)]
pub(crate) struct Signaling {
    rooms: Mutex<Rooms>,
    /// When the hub wants to be called next.
    deadline: watch::Sender<Option<Instant>>,
    handout: Handout,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Rooms {
    hub: Hub,
    sockets: HashMap<ConnectionId, Arc<Socket>>,
    /// When each connection is handed newer credentials, and by which name it reached the server; the next one first.
    renewals: VecDeque<(Instant, ConnectionId, Box<str>)>,
}

impl Signaling {
    pub(crate) fn new(hub: Hub, handout: Handout, metrics: Arc<Metrics>) -> Arc<Self> {
        let rooms = Mutex::new(Rooms {
            hub,
            sockets: HashMap::new(),
            renewals: VecDeque::new(),
        });
        let (deadline, _) = watch::channel(None);
        Arc::new(Self {
            rooms,
            deadline,
            handout,
            metrics,
        })
    }

    /// Wakes the hub when it asked for it; runs for ever.
    pub(crate) async fn keep_time(&self) {
        let mut deadline = self.deadline.subscribe();
        loop {
            let next = *deadline.borrow_and_update();
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.input(Input::Timeout),
                changed = deadline.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Hands out newer credentials before the old ones expire; runs for ever.
    pub(crate) async fn renew_ice_servers(&self) {
        let Some(renewal) = self.handout.renewal() else {
            return std::future::pending().await;
        };
        loop {
            // Whoever connects meanwhile is due later than this.
            let due = self.lock().renewals.front().map(|(due, ..)| *due);
            let due = due.unwrap_or_else(|| Instant::now() + renewal);
            tokio::time::sleep_until(due.into()).await;
            let mut burst = Burst::default();
            self.renew(Instant::now(), renewal, &mut burst);
            burst.flush();
        }
    }

    fn renew(&self, now: Instant, renewal: Duration, burst: &mut Burst) {
        let mut rooms = self.lock();
        while let Some((_, connection, host)) = rooms.renewals.pop_front_if(|(due, ..)| *due <= now)
        {
            let Some(socket) = rooms.sockets.get(&connection) else {
                continue;
            };
            let ice_servers = self.handout.ice_servers(&host, &user(connection));
            let message = ServerMessage::IceServers {
                ice_servers: &ice_servers,
            };
            burst.text(socket, message.encode(None));
            rooms.renewals.push_back((now + renewal, connection, host));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every client with `shutting-down` and lets nobody in any more.
    pub(crate) fn shut_down(&self) {
        self.input(Input::Shutdown);
    }

    fn input(&self, input: Input<'_>) {
        let mut burst = Burst::default();
        self.decide(input, &mut burst, |_| {});
        burst.flush();
    }

    /// One turn of the hub. `prepare` runs under the same lock before it.
    fn decide(&self, input: Input<'_>, burst: &mut Burst, prepare: impl FnOnce(&mut Rooms)) {
        let mut guard = self.lock();
        let rooms = &mut *guard;
        prepare(rooms);
        rooms.hub.handle_input(Instant::now(), input);
        let next = loop {
            match rooms.hub.poll_output() {
                Output::Transmit { connection, text } => {
                    if let Some(socket) = rooms.sockets.get(&connection) {
                        burst.text(socket, text);
                    }
                }
                Output::Close { connection, reason } => {
                    if let Some(socket) = rooms.sockets.remove(&connection) {
                        burst.close(&socket, reason.close_code(), reason.as_str());
                    }
                }
                Output::Event(event) => self.count(event),
                Output::Timeout(next) => break next,
            }
        };
        // The timer task looks again only when the deadline moved forward in time; waking too early is harmless.
        self.deadline.send_if_modified(|deadline| {
            let earlier = match (*deadline, next) {
                (Some(armed), Some(next)) => next < armed,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if earlier || deadline.is_some_and(|armed| armed <= Instant::now()) {
                *deadline = next;
                return true;
            }
            false
        });
    }

    fn count(&self, event: Event) {
        match event {
            Event::RoomOpened => drop(self.metrics.rooms.inc()),
            Event::RoomClosed => drop(self.metrics.rooms.dec()),
            Event::Paired => drop(self.metrics.pairings.inc()),
            Event::SignalRelayed { .. } => drop(self.metrics.relayed.inc()),
            Event::Refused { connection, code } => {
                self.metrics.refused(code.as_str());
                tracing::debug!(
                    connection = connection.0,
                    code = code.as_str(),
                    "request refused"
                );
            }
            Event::Departed(reason) => tracing::debug!(?reason, "peer left its seat"),
            _ => tracing::trace!(?event, "hub"),
        }
    }
}

/// Whom the relay's quotas count. A connection has one peer.
fn user(connection: ConnectionId) -> String {
    format!("crowfly-{}", connection.0)
}

impl Handler for Signaling {
    fn opened(&self, socket: &Arc<Socket>, arrival: &Arrival, burst: &mut Burst) {
        let connection = ConnectionId(socket.id());
        tracing::debug!(connection = connection.0, address = %Redacted(arrival.address.ip()), "connected");
        let ice_servers = self.handout.ice_servers(&arrival.host, &user(connection));
        let renewal = self.handout.renewal();
        let source = Source::from(arrival.address.ip());
        let input = Input::Connected {
            connection,
            source,
            ice_servers: &ice_servers,
        };
        self.decide(input, burst, |rooms| {
            drop(rooms.sockets.insert(connection, Arc::clone(socket)));
            if let Some(renewal) = renewal {
                let due = Instant::now() + renewal;
                rooms
                    .renewals
                    .push_back((due, connection, arrival.host.as_str().into()));
            }
        });
    }

    fn text(&self, socket: &Arc<Socket>, text: &str, burst: &mut Burst) {
        let connection = ConnectionId(socket.id());
        self.decide(Input::Message { connection, text }, burst, |_| {});
    }

    fn binary(&self, socket: &Arc<Socket>, _bytes: &[u8], burst: &mut Burst) {
        let connection = ConnectionId(socket.id());
        self.decide(Input::Binary { connection }, burst, |_| {});
    }

    fn closed(&self, socket: &Arc<Socket>) {
        let connection = ConnectionId(socket.id());
        tracing::debug!(connection = connection.0, "disconnected");
        let mut burst = Burst::default();
        self.decide(Input::Disconnected { connection }, &mut burst, |rooms| {
            drop(rooms.sockets.remove(&connection))
        });
        burst.flush();
    }
}
