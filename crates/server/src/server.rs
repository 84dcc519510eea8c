//! Accepting connections, and stopping.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::admission::Admission;
use crate::config::Config;
use crate::http::{Peer, Site};
use crate::hub::Hub;
use crate::limits::Source;
use crate::metrics::Metrics;
use crate::relay::{self, Counts, Handout};
use crate::signaling::Signaling;
use crate::websocket::{Handler, Sockets};

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;
/// How long accepting rests when descriptors or memory have run out.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);
/// Whoever takes every descriptor does not fill the log, too: it is said this often at most.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// A request head, in bytes. Browsers send about one thousand.
const MAX_HEAD: usize = 16 * 1024;

/// A server whose sockets are open and which is not yet accepting.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    relay: Option<crowfly_relay::Server>,
    site: Arc<Site>,
    signaling: Option<Arc<Signaling>>,
}

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// HTTP and WebSocket.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// STUN and TURN.
    #[error(transparent)]
    Relay(#[from] relay::BindError),
    /// The system gave no random numbers.
    #[error("cannot draw a secret from the operating system")]
    Random {
        /// Why.
        source: io::Error,
    },
}

/// How far the server has come, as its connections see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// Every connection is asked to end.
    Draining,
    /// Every connection ends.
    Ended,
}

impl Server {
    /// Opens the sockets. From here on clients can connect, though nobody answers before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`BindError`], mostly because the port is taken.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        let listener = listen(config.listen)?;
        let (relay, directory) = relay::open(&config).await?.unzip();
        let seed = match config.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let metrics = Metrics::new(
            relay
                .as_ref()
                .map(|relay| Box::new(relay.stats()) as Counts),
        );
        let hub = Hub::new(config.hub.clone(), seed);
        let signaling = Signaling::new(hub, Handout::new(&config, directory), Arc::clone(&metrics));
        let handler = Arc::clone(&signaling) as Arc<dyn Handler>;
        let site = site(config, handler, metrics, false);
        Ok(Self {
            listener,
            relay,
            site,
            signaling: Some(signaling),
        })
    }

    /// Opens the HTTP socket alone and gives every WebSocket to `handler`: the same connection code without the hub, for testing it
    /// against suites that want an echo and know no subprotocol.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_with(config: Config, handler: Arc<dyn Handler>) -> Result<Self, BindError> {
        let listener = listen(config.listen)?;
        let site = site(config, handler, Metrics::new(None), true);
        Ok(Self {
            listener,
            relay: None,
            site,
            signaling: None,
        })
    }

    /// Where HTTP and WebSocket are served, the port being the real one.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .unwrap_or(self.site.config.listen)
    }

    /// Where STUN is served over UDP, if it is.
    pub fn stun_addr(&self) -> Option<SocketAddr> {
        Some(self.relay.as_ref()?.udp_addr())
    }

    /// Where TURN is served over TCP, and over UDP at the same address and port, if it is.
    pub fn turn_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref()?.tcp_addr()
    }

    /// Where TURN is served over TLS, if it is.
    pub fn turns_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref()?.tls_addr()
    }

    /// Serves until `shutdown` resolves, then ends gracefully: closes every WebSocket with 1001 `shutting-down`, finishes answers
    /// under way, and drops what is left after [`HttpLimits::drain`](crate::HttpLimits::drain).
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            listener,
            relay,
            site,
            signaling,
        } = self;
        let (stage, _) = watch::channel(Stage::Running);
        {
            let keep_alive = site.sockets.keep_alive();
            let keep_time = async {
                match &signaling {
                    Some(signaling) => drop(tokio::join!(
                        signaling.keep_time(),
                        signaling.renew_ice_servers()
                    )),
                    None => pending().await,
                }
            };
            let relay = async {
                match relay {
                    Some(relay) => relay.run().await,
                    None => pending().await,
                }
            };
            let mut background = pin!(async { tokio::join!(keep_alive, keep_time, relay) });
            tokio::select! {
                _ = &mut background => {}
                () = accept(&listener, &site, &stage) => {}
                () = shutdown => {}
            }
            drop(listener);
            stage.send_replace(Stage::Draining);
            if let Some(signaling) = &signaling {
                signaling.shut_down();
            }
            tokio::select! {
                _ = &mut background => {}
                _ = timeout(site.config.http.drain, site.admission.none_left()) => {}
            }
        }
        stage.send_replace(Stage::Ended);
        site.sockets.end_all();
        site.admission.none_left().await;
    }
}

fn site(
    config: Config,
    handler: Arc<dyn Handler>,
    metrics: Arc<Metrics>,
    any_program: bool,
) -> Arc<Site> {
    let sockets = Sockets::new(handler, config.sockets.clone(), Arc::clone(&metrics));
    let admission = Admission::new(&config.http);
    Arc::new(Site {
        config,
        admission,
        metrics,
        sockets,
        any_program,
    })
}

/// Accepts for ever. Running out of descriptors stops nothing: it rests, serves whom it has, and goes on.
async fn accept(listener: &TcpListener, site: &Arc<Site>, stage: &watch::Sender<Stage>) {
    let mut told: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Some(peer) = admit(site, &stream, address) {
                    tokio::spawn(serve(Arc::clone(site), stream, peer, stage.subscribe()));
                }
            }
            // The client is gone already (accept(2)); the next one may be there.
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept connections for now");
                }
                sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
}

fn admit(site: &Site, stream: &TcpStream, address: SocketAddr) -> Option<Peer> {
    let proxy = site
        .config
        .trusted_proxies
        .iter()
        .any(|network| network.contains(&address.ip().to_canonical()));
    let source = (!proxy).then(|| Source::from(address.ip()));
    let (permit, refusal) = site.admission.connect(source)?;
    // Messages are small and somebody waits for them: Nagle's algorithm would hold them back.
    let _ = stream.set_nodelay(true);
    Some(Peer {
        address,
        refusal,
        permit: Arc::new(permit),
    })
}

/// Speaks HTTP until the connection ends or becomes a WebSocket, which then has a task of its own.
async fn serve(site: Arc<Site>, stream: TcpStream, peer: Peer, mut stage: watch::Receiver<Stage>) {
    let limits = &site.config.http;
    let service = service_fn(|request| std::future::ready(site.answer(&peer, request)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD);
    let mut connection = pin!(
        http.serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    // Errors are the client's: a head that did not come or does not parse was answered by hyper as far as it can be.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(limits.max_lifetime) => return,
        _ = stage.wait_for(|stage| *stage != Stage::Running) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        _ = stage.wait_for(|stage| *stage == Stage::Ended) => {}
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // A server that starts again must not wait for the old one's connections to fade (TIME_WAIT).
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|source| BindError::Listen { address, source })
}

fn random_seed() -> Result<[u8; 32], BindError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| BindError::Random {
        source: error.into(),
    })?;
    Ok(seed)
}

/// Errors of accept(2) that say something about the connection that was to be accepted, not about the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, PermissionDenied,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | PermissionDenied
    )
}
