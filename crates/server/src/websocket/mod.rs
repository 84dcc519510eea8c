//! A lean WebSocket server side on plain TCP (RFC 6455), for very many mostly idle clients.
//!
//! - [`Sockets`] knows every open connection, pings them and closes them all at shutdown.
//! - [`Handler`] is told what they say; it answers into a [`Burst`].
//! - A [`Burst`] collects what one read caused, for all receivers, and writes it with one call a receiver.
//!
//! An idle client costs a task, a socket and no buffer: see `connection.rs` for reading and `outbox.rs` for writing. That is why it is
//! not a library's connection type. An echo server on one tokio thread, 10,000 clients after one 1.5 KB message each:
//!
//! | | KiB a client |
//! |---|---|
//! | tokio-tungstenite 0.30, as it comes / with read buffers of 4 KiB | 131.7 / 7.7 |
//! | tokio-websockets 0.13 | 7.6 |
//! | fastwebsockets 0.10 | 7.5 |
//! | this module | 1.1 |

#[cfg(test)]
#[path = "../../../../fuzz/harness/frames.rs"]
mod any_frames;
mod connection;
mod frames;
mod outbox;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::http::Permits;
use crate::metrics::Metrics;
use connection::{Connection, ending_since};
use outbox::{Outbox, Phase};

/// What is told about connections and their messages. Called from the connection's task: must be quick and never block.
pub trait Handler: Send + Sync + 'static {
    /// A client is connected; nothing was heard from it yet.
    fn opened(&self, socket: &Arc<Socket>, arrival: &Arrival, burst: &mut Burst);
    /// A text message came.
    fn text(&self, socket: &Arc<Socket>, text: &str, burst: &mut Burst);
    /// A binary message came.
    fn binary(&self, socket: &Arc<Socket>, bytes: &[u8], burst: &mut Burst);
    /// The client is gone or going; nothing more comes from it. Called once for every `opened`.
    fn closed(&self, socket: &Arc<Socket>);
}

/// How a client came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its address, as far as known: a trusted proxy's word is taken for it.
    pub address: SocketAddr,
    /// The host name it used to reach this server, an IPv6 literal in brackets, without the port.
    pub host: String,
}

/// Limits of every connection.
#[derive(Debug, Clone)]
pub struct SocketLimits {
    /// Largest message taken, in bytes. A longer one closes with 1009.
    pub max_message: usize,
    /// Bytes that may wait for a client that does not read. Beyond: close 1008 `slow-reader`.
    pub max_queued: usize,
    /// A ping goes out this often.
    pub ping_interval: Duration,
    /// Something must be heard after a ping within this time. Beyond: close 1008 `ping-timeout`.
    pub ping_timeout: Duration,
    /// A message must be at its end so long after its first byte, and so must a frame between messages. Beyond: close 1008
    /// `message-timeout`.
    pub message_timeout: Duration,
    /// How long a client may take to answer a close before its socket is dropped.
    pub close_timeout: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            max_message: 65_536,
            max_queued: 1024 * 1024,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(8),
            message_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
        }
    }
}

/// One client.
pub struct Socket {
    id: u64,
    /// Something came since the last ping.
    heard: AtomicBool,
    outbox: Mutex<Outbox>,
    metrics: Arc<Metrics>,
}

impl Socket {
    /// Unique among all connections of this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    fn poll(&self, context: &mut Context<'_>) -> Phase {
        let mut outbox = self.outbox();
        outbox.poll(context);
        self.metrics.sent(outbox.take_written());
        outbox.phase()
    }

    fn flush(&self) {
        let mut outbox = self.outbox();
        outbox.flush();
        self.metrics.sent(outbox.take_written());
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Socket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What one event caused, for any number of clients, written when [`flush`](Self::flush)ed: one call to the kernel a client.
#[derive(Debug, Default)]
pub struct Burst {
    dirty: Vec<Arc<Socket>>,
}

impl Burst {
    /// Queues a text message.
    pub fn text(&mut self, socket: &Arc<Socket>, text: String) {
        self.queue(socket, |outbox, now| outbox.text(text, now));
    }

    /// Queues a binary message.
    pub fn binary(&mut self, socket: &Arc<Socket>, bytes: Vec<u8>) {
        self.queue(socket, |outbox, now| outbox.binary(bytes, now));
    }

    /// Queues a close frame; nothing can be sent behind it. `reason` is one of the stable codes of `docs/protocol.md`.
    pub fn close(&mut self, socket: &Arc<Socket>, code: u16, reason: &'static str) {
        self.queue(socket, |outbox, now| outbox.close(code, reason, now));
    }

    /// Hands everything to the kernel, as far as it takes it now.
    pub fn flush(self) {
        for socket in self.dirty {
            socket.flush();
        }
    }

    fn queue(&mut self, socket: &Arc<Socket>, queue: impl FnOnce(&mut Outbox, Instant) -> bool) {
        let first = queue(&mut socket.outbox(), Instant::now());
        if first {
            self.dirty.push(Arc::clone(socket));
        }
    }
}

/// All open connections.
pub struct Sockets {
    handler: Arc<dyn Handler>,
    limits: SocketLimits,
    metrics: Arc<Metrics>,
    open: Mutex<HashMap<u64, Arc<Socket>>>,
    next_id: AtomicU64,
    /// Told when a connection comes.
    arrived: Notify,
}

impl Sockets {
    /// No connections yet.
    pub(crate) fn new(
        handler: Arc<dyn Handler>,
        limits: SocketLimits,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let (open, next_id, arrived) = (Mutex::default(), AtomicU64::new(1), Notify::new());
        Arc::new(Self {
            handler,
            limits,
            metrics,
            open,
            next_id,
            arrived,
        })
    }

    /// Takes over a connection whose upgrade was answered. `early` came in together with the request.
    pub(crate) fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        arrival: &Arrival,
        early: &[u8],
        permits: Permits,
    ) -> Connection {
        let (reader, writer) = stream.into_split();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let outbox = Mutex::new(Outbox::new(writer, self.limits.max_queued, Instant::now()));
        let socket = Arc::new(Socket {
            id,
            heard: AtomicBool::new(true),
            outbox,
            metrics: Arc::clone(&self.metrics),
        });
        self.open().insert(id, Arc::clone(&socket));
        self.metrics.connections.inc();
        self.arrived.notify_waiters();
        let mut burst = Burst::default();
        self.handler.opened(&socket, arrival, &mut burst);
        burst.flush();
        let mut connection = Connection::new(Arc::clone(self), socket, reader, permits);
        if !early.is_empty() {
            connection.feed(&mut early.to_vec());
        }
        connection
    }

    /// Pings, and ends what does not answer; runs for ever.
    pub(crate) async fn keep_alive(&self) {
        let shortest = self
            .limits
            .ping_timeout
            .min(self.limits.close_timeout)
            .min(self.limits.message_timeout)
            .min(self.limits.ping_interval);
        let tick = (shortest / 32).max(Duration::from_millis(1));
        loop {
            let arrived = self.arrived.notified();
            if self.is_empty() {
                arrived.await;
            }
            tokio::time::sleep(tick).await;
            // A deadline is met at the last tick before it, so that the limits hold to the letter.
            self.sweep(Instant::now() + tick);
        }
    }

    /// Ends every connection without further words.
    pub(crate) fn end_all(&self) {
        let all: Vec<_> = self.open().values().cloned().collect();
        for socket in all {
            socket.outbox().finish();
        }
    }

    fn sweep(&self, now: Instant) {
        let mut burst = Burst::default();
        let all: Vec<_> = self.open().values().cloned().collect();
        for socket in all {
            self.check(&socket, now, &mut burst);
        }
        burst.flush();
    }

    fn check(&self, socket: &Arc<Socket>, now: Instant, burst: &mut Burst) {
        let mut outbox = socket.outbox();
        if let Some(since) = ending_since(outbox.phase()) {
            if now.duration_since(since) >= self.limits.close_timeout {
                outbox.finish();
            }
            return;
        }
        if outbox.pinged.is_some() && socket.heard.load(Ordering::Relaxed) {
            outbox.pinged = None;
        }
        let begun = outbox.unfinished_since;
        let too_slow = |since| now.duration_since(since) >= self.limits.message_timeout;
        let dirty = match outbox.pinged {
            _ if begun.is_some_and(too_slow) => outbox.close(1008, "message-timeout", now),
            Some(since) if now.duration_since(since) >= self.limits.ping_timeout => {
                outbox.close(1008, "ping-timeout", now)
            }
            None if now.duration_since(outbox.last_ping) >= self.limits.ping_interval => {
                socket.heard.store(false, Ordering::Relaxed);
                outbox.ping(now)
            }
            _ => false,
        };
        if dirty {
            burst.dirty.push(Arc::clone(socket));
        }
    }

    fn forget(&self, socket: &Socket) {
        let mut outbox = socket.outbox();
        outbox.finish();
        outbox.forget_task();
        let closed_with = outbox.closed_with();
        drop(outbox);
        self.open().remove(&socket.id);
        self.metrics.connections.dec();
        self.metrics.closed(closed_with.map(|(_, reason)| reason));
    }

    fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Socket>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sockets")
            .field("open", &self.open().len())
            .finish_non_exhaustive()
    }
}
