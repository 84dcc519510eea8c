//! Clients over TCP and TLS: accepted within bounds, read into whole messages, written from a bounded queue.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::tls::Certificate;
use super::{Shared, now};
use crate::core::{Client, Framing, Input, Source, Via, messages};

/// A stream that has no allocation for so long is closed; a TLS handshake must have ended by then.
const IDLE: Duration = Duration::from_secs(10);
/// What a slow reader may have waiting; more is lost, as on any link.
const MOST_QUEUED: usize = 256 * 1024;
/// Read at once.
const READ: usize = 8 * 1024;
const MOST_STREAMS: usize = 4096;
const MOST_STREAMS_OF_A_SOURCE: usize = 256;
/// How long accepting rests when descriptors have run out.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// What waits to be written to one client.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
}

impl Queue {
    /// Whole messages, or nothing of them.
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + bytes.len() <= MOST_QUEUED {
            waiting.bytes.extend_from_slice(bytes);
            drop(waiting);
            self.changed.notify_one();
        }
    }

    /// Ends the stream.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next bytes; `None`: the stream is to end.
    async fn next(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut waiting = self.lock();
                if waiting.closed {
                    return None;
                }
                if !waiting.bytes.is_empty() {
                    return Some(std::mem::take(&mut waiting.bytes));
                }
            }
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many streams there are, by source.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<Source, usize>>>, Arc<AtomicU64>);

/// A stream's place, given back when it ends.
#[derive(Debug)]
struct Place(Crowd, Source);

impl Crowd {
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let source = Source::of(address);
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = sources.values().sum();
        let own = sources.get(&source).copied().unwrap_or_default();
        if all >= MOST_STREAMS || own >= MOST_STREAMS_OF_A_SOURCE {
            return None;
        }
        sources.insert(source, own + 1);
        Some(Place(self.clone(), source))
    }

    fn number(&self) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = sources.entry(self.1).or_default();
        *own = own.saturating_sub(1);
        if *own == 0 {
            sources.remove(&self.1);
        }
    }
}

/// Accepts for ever.
pub(super) async fn accept(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    shared: Arc<Shared>,
    crowd: Crowd,
) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let Some(place) = crowd.enter(from.ip()) else {
                    continue;
                };
                let client = client(&stream, from, crowd.number());
                let tls = certificate
                    .as_ref()
                    .map(|certificate| certificate.acceptor());
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // How a stream ends is the client's affair.
                    let _ = welcome(stream, tls, &shared, client).await;
                    drop(place);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(OUT_OF_DESCRIPTORS).await,
        }
    }
}

fn client(stream: &TcpStream, from: SocketAddr, number: u64) -> Client {
    // Messages are small and somebody waits for them: Nagle's algorithm would hold them back.
    let _ = stream.set_nodelay(true);
    Client {
        via: Via::Stream(number),
        from,
        to: stream
            .local_addr()
            .map_or(from.ip(), |address| address.ip()),
    }
}

async fn welcome(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: &Arc<Shared>,
    client: Client,
) -> io::Result<()> {
    match tls {
        None => serve(stream, false, shared, client).await,
        Some(tls) => {
            let stream = timeout(IDLE, tls.accept(stream)).await??;
            serve(stream, true, shared, client).await
        }
    }
}

/// `records`: each message is written by itself, and so becomes a TLS record of its own. There are clients, coturn's among them, that
/// take a record for a message.
async fn serve(
    stream: impl AsyncRead + AsyncWrite,
    records: bool,
    shared: &Arc<Shared>,
    client: Client,
) -> io::Result<()> {
    let queue = Arc::new(Queue::default());
    shared.lock().streams.insert(client, Arc::clone(&queue));
    let _guest = Guest(shared, client);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        while let Some(bytes) = queue.next().await {
            if records {
                for message in messages(&bytes) {
                    writer.write_all(message).await?;
                }
            } else {
                writer.write_all(&bytes).await?;
            }
            writer.flush().await?;
        }
        writer.shutdown().await
    };
    let read = async {
        let mut framing = Framing::default();
        loop {
            let space = framing.space();
            space.reserve(READ);
            if reader.read_buf(space).await? == 0 {
                return Ok(());
            }
            shared.receive_from_stream(client, &mut framing)?;
        }
    };
    let idle = async {
        loop {
            sleep(IDLE).await;
            if !shared.lock().relay.has_allocation(&client) {
                return;
            }
        }
    };
    tokio::select! {
        written = write => written,
        read = read => read,
        () = idle => Ok(()),
    }
}

/// A stream the core knows; its allocation ends with it.
struct Guest<'a>(&'a Arc<Shared>, Client);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let Self(shared, client) = self;
        shared.lock().streams.remove(client);
        shared.input(Input::Disconnected { client: *client });
    }
}

impl Shared {
    fn receive_from_stream(
        self: &Arc<Self>,
        client: Client,
        framing: &mut Framing,
    ) -> io::Result<()> {
        let mut state = self.lock();
        let now = now();
        let outcome = loop {
            match framing.next() {
                Ok(Some(bytes)) => {
                    let segment = bytes.len();
                    let input = Input::FromClient {
                        client,
                        bytes,
                        segment,
                    };
                    state.relay.handle_input(now, input);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        };
        self.drain(&mut state);
        outcome
    }
}
