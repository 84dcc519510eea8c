//! Drives the core with tokio: the listening sockets, a socket for each allocation, streams, one timer.
//!
//! The core is behind one lock, held for a burst and never across an await; what it decides is sent at once, and lost where the
//! kernel has no room, as on any link. Only streams have queues, and those have bounds.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::core::{AllocationId, Client, Config, Input, Now, Output, Relay, Stats, Via};

mod datagrams;
mod streams;
mod tls;

use datagrams::{Buffers, Socket};
use streams::{Crowd, Queue};
use tls::Certificate;

/// How many ports are looked at until one is free over UDP and TCP.
const FREE_PAIRS: u32 = 32;
/// How often the machine's own addresses are looked up: they come and go.
const OWN_ADDRESSES: Duration = Duration::from_secs(60);

/// Where the relay listens, and where it opens ports.
#[derive(Debug, Clone)]
pub struct Listen {
    /// STUN and TURN over UDP; over TCP, too, if there is TURN.
    pub address: SocketAddr,
    /// TURN over TLS, and the certificate to show.
    pub tls: Option<(SocketAddr, TlsFiles)>,
    /// Ports of allocations.
    pub ports: RangeInclusive<u16>,
}

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A listening socket could not be opened.
    #[error("cannot open {transport} {address} for STUN and TURN")]
    Listen {
        /// UDP, TCP or TLS.
        transport: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Allocations cannot be made at this address.
    #[error("cannot open ports at {} for TURN", address.ip())]
    Address {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A certificate or its key is not what it should be.
    #[error("cannot use {} for TURN over TLS", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A relay whose sockets are open.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    udp: Arc<Socket>,
    tcp: Option<TcpListener>,
    tls: Option<(TcpListener, Arc<Certificate>)>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// When the core wants to be called next.
    deadline: watch::Sender<Option<Instant>>,
}

#[derive(Debug)]
struct State {
    relay: Relay,
    listener: Arc<Socket>,
    ports: RangeInclusive<u16>,
    allocations: HashMap<AllocationId, Opened>,
    streams: HashMap<Client, Arc<Queue>>,
    buffers: Buffers,
}

/// The socket of an allocation and the task that reads it.
#[derive(Debug)]
struct Opened {
    socket: Arc<Socket>,
    task: AbortHandle,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Opens the listening sockets.
    ///
    /// # Errors
    ///
    /// [`BindError`], mostly because a port is taken.
    pub async fn bind(config: Config, listen: Listen) -> Result<Self, BindError> {
        let turn = config.secret.is_some();
        for address in config.addresses.iter().filter(|_| turn) {
            let address = SocketAddr::new(address.bind, 0);
            Socket::bind(address).map_err(|source| BindError::Address { address, source })?;
        }
        let (udp, tcp) = listen_pair(listen.address, turn).await?;
        let tls = match listen.tls.filter(|_| turn) {
            Some((address, files)) => Some((
                listen_tcp("TLS", address).await?,
                Arc::new(Certificate::read(files)?),
            )),
            None => None,
        };
        let (deadline, _) = watch::channel(None);
        let state = Mutex::new(State {
            relay: Relay::new(config),
            listener: Arc::clone(&udp),
            ports: listen.ports,
            allocations: HashMap::new(),
            streams: HashMap::new(),
            buffers: Buffers::default(),
        });
        Ok(Self {
            shared: Arc::new(Shared { state, deadline }),
            udp,
            tcp,
            tls,
        })
    }

    /// Where STUN and TURN are served over UDP, the port being the real one.
    pub fn udp_addr(&self) -> SocketAddr {
        SocketAddr::new(self.udp.ip(), self.udp.port())
    }

    /// Where TURN is served over TCP.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }

    /// Where TURN is served over TLS.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls.as_ref()?.0.local_addr().ok()
    }

    /// What has been counted, to be asked at any time.
    pub fn stats(&self) -> impl Fn() -> Stats + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.lock().relay.stats()
    }

    /// Serves for ever. Dropping the future ends every allocation and closes every socket.
    pub async fn run(self) {
        let Self {
            shared,
            udp,
            tcp,
            tls,
        } = self;
        let _ending = Ending(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        let listening = Arc::clone(&shared);
        tasks.spawn(async move {
            loop {
                udp.readable().await;
                listening.receive_from_clients();
            }
        });
        tasks.spawn(keep_time(Arc::clone(&shared)));
        tasks.spawn(look_up_own_addresses(Arc::clone(&shared)));
        let crowd = Crowd::default();
        if let Some(tcp) = tcp {
            tasks.spawn(streams::accept(
                tcp,
                None,
                Arc::clone(&shared),
                crowd.clone(),
            ));
        }
        if let Some((listener, certificate)) = tls {
            tasks.spawn(streams::accept(listener, Some(certificate), shared, crowd));
        }
        // None of them ends by itself.
        tasks.join_next().await;
    }
}

/// Lets go of what the tasks of allocations hold, so that they end with the server.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.allocations.clear();
        for queue in state.streams.values() {
            queue.close();
        }
    }
}

/// UDP and, for TURN, TCP at the same port: clients are told one.
async fn listen_pair(
    address: SocketAddr,
    turn: bool,
) -> Result<(Arc<Socket>, Option<TcpListener>), BindError> {
    let mut left = FREE_PAIRS;
    loop {
        let udp = Socket::bind(address).map_err(|source| BindError::Listen {
            transport: "UDP",
            address,
            source,
        })?;
        let udp = Arc::new(udp);
        if !turn {
            return Ok((udp, None));
        }
        match listen_tcp("TCP", SocketAddr::new(address.ip(), udp.port())).await {
            Ok(tcp) => return Ok((udp, Some(tcp))),
            // Any port was asked for, and the one that UDP got is taken over TCP.
            Err(BindError::Listen { source, .. })
                if address.port() == 0 && source.kind() == io::ErrorKind::AddrInUse && left > 0 =>
            {
                left -= 1;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn listen_tcp(
    transport: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError::Listen {
            transport,
            address,
            source,
        })
}

async fn keep_time(shared: Arc<Shared>) {
    let mut deadline = shared.deadline.subscribe();
    loop {
        let next = *deadline.borrow_and_update();
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => shared.input(Input::Timeout),
            changed = deadline.changed() => if changed.is_err() { return },
        }
    }
}

async fn look_up_own_addresses(shared: Arc<Shared>) {
    loop {
        match if_addrs::get_if_addrs() {
            Ok(interfaces) => {
                let own: Vec<IpAddr> = interfaces.iter().map(|interface| interface.ip()).collect();
                shared.input(Input::OwnAddresses(&own));
            }
            Err(error) => tracing::warn!(%error, "cannot look up the addresses of this machine"),
        }
        tokio::time::sleep(OWN_ADDRESSES).await;
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn input(self: &Arc<Self>, input: Input<'_>) {
        let mut state = self.lock();
        state.relay.handle_input(now(), input);
        self.drain(&mut state);
    }

    fn receive_from_clients(self: &Arc<Self>) {
        let mut state = self.lock();
        let State {
            relay,
            listener,
            buffers,
            ..
        } = &mut *state;
        let now = now();
        listener.receive(buffers, |meta, bytes| {
            let client = Client {
                via: Via::Udp(0),
                from: meta.addr,
                to: meta.dst_ip.unwrap_or(listener.ip()),
            };
            let segment = meta.stride;
            relay.handle_input(
                now,
                Input::FromClient {
                    client,
                    bytes,
                    segment,
                },
            );
        });
        self.drain(&mut state);
    }

    fn receive_from_peers(self: &Arc<Self>, allocation: AllocationId, socket: &Socket) {
        let mut state = self.lock();
        let State { relay, buffers, .. } = &mut *state;
        let now = now();
        socket.receive(buffers, |meta, bytes| {
            relay.handle_input(
                now,
                Input::FromPeer {
                    allocation,
                    from: meta.addr,
                    bytes,
                    segment: meta.stride,
                },
            );
        });
        self.drain(&mut state);
    }

    /// Carries out what the core has decided.
    fn drain(self: &Arc<Self>, state: &mut State) {
        let next = loop {
            match state.relay.poll_output() {
                Output::ToClient {
                    client,
                    bytes,
                    segment,
                } => match client.via {
                    Via::Udp(_) => {
                        state
                            .listener
                            .send(client.from, Some(client.to), bytes, segment)
                    }
                    Via::Stream(_) => {
                        if let Some(queue) = state.streams.get(&client) {
                            queue.push(bytes);
                        }
                    }
                },
                Output::ToPeer {
                    allocation,
                    to,
                    bytes,
                    segment,
                } => {
                    if let Some(opened) = state.allocations.get(&allocation) {
                        opened.socket.send(to, None, bytes, segment);
                    }
                }
                Output::Open {
                    allocation,
                    address,
                    even,
                } => {
                    let port = self.open(state, allocation, address, even);
                    let input = Input::Opened { allocation, port };
                    state.relay.handle_input(now(), input);
                }
                Output::Close { allocation } => drop(state.allocations.remove(&allocation)),
                Output::Timeout(next) => break next,
            }
        };
        // The timer task looks again only when the deadline came closer or has passed; waking too early is harmless.
        self.deadline.send_if_modified(|deadline| {
            let earlier = match (*deadline, next) {
                (Some(armed), Some(next)) => next < armed || armed <= Instant::now(),
                (None, next) => next.is_some(),
                (Some(armed), None) => armed <= Instant::now(),
            };
            if earlier {
                *deadline = next;
            }
            earlier
        });
    }

    fn open(
        self: &Arc<Self>,
        state: &mut State,
        allocation: AllocationId,
        address: IpAddr,
        even: bool,
    ) -> Option<u16> {
        let socket = match Socket::bind_within(address, &state.ports, even) {
            Ok(socket) => Arc::new(socket),
            Err(error) => {
                tracing::warn!(%error, "cannot open a port for an allocation");
                return None;
            }
        };
        let port = socket.port();
        let (shared, reader) = (Arc::clone(self), Arc::clone(&socket));
        let task = tokio::spawn(async move {
            loop {
                reader.readable().await;
                shared.receive_from_peers(allocation, &reader);
            }
        });
        let task = task.abort_handle();
        state
            .allocations
            .insert(allocation, Opened { socket, task });
        Some(port)
    }
}

fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        instant: Instant::now(),
        unix: unix.map_or(0, |since| since.as_secs()),
    }
}
