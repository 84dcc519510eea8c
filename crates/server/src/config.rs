//! Everything a server can be told. Plain values with safe defaults; where they come from is the caller's business.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::value::RawValue;

use crate::assets::Assets;
use crate::origin::{Host, Origin};
use crate::relay::RelayConfig;
use crate::websocket::SocketLimits;

/// How one server runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP and WebSocket are served. Port 0: any free one.
    pub listen: SocketAddr,
    /// Where STUN and TURN are served; `None`: nowhere.
    pub relay_listen: Option<SocketAddr>,
    /// The browser files.
    pub assets: Assets,
    /// What clients are told to use as ICE servers.
    pub ice_servers: IceServers,
    /// The name this server is reached by. Told to clients in place of the one they used, and accepted in `Host`.
    pub public_host: Option<Host>,
    /// Pages of these origins may connect, beside those this server hands out itself.
    pub origins: Vec<Origin>,
    /// `X-Forwarded-For` is believed from these addresses only.
    pub trusted_proxies: Vec<IpNet>,
    /// `/metrics` is answered to these addresses only, and never through a proxy.
    pub metrics_from: Vec<IpNet>,
    /// Limits of HTTP and of the number of connections.
    pub http: HttpLimits,
    /// Limits of every WebSocket.
    pub sockets: SocketLimits,
    /// Limits of rooms and messages.
    pub hub: crate::hub::Config,
    /// TURN, and how far it reaches.
    pub relay: RelayConfig,
    /// STUN answers a second to one source.
    pub stun_rate: u16,
    /// Seed of all that the hub draws (peer ids, tokens, room names); `None`: from the operating system. Tests only set it.
    pub seed: Option<[u8; 32]>,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            listen: SocketAddr::new(loopback, 8080),
            relay_listen: Some(SocketAddr::new(loopback, 3478)),
            assets: Assets::default(),
            ice_servers: IceServers::Own,
            public_host: None,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            metrics_from: this_machine(),
            http: HttpLimits::default(),
            sockets: SocketLimits::default(),
            hub: crate::hub::Config::default(),
            relay: RelayConfig::default(),
            stun_rate: 50,
            seed: None,
        }
    }
}

/// What `welcome` tells clients (W3C WebRTC §4.2.2). No third party's server is ever named by default.
#[derive(Debug, Clone)]
pub enum IceServers {
    /// This server's own STUN and TURN, under the name the client used; none when they are off.
    Own,
    /// Exactly this JSON array of RTCIceServer dictionaries.
    Fixed(Box<RawValue>),
}

/// Limits below the WebSocket.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// A request's head must have come within this time, as must the next one on a kept connection.
    pub header_timeout: Duration,
    /// A connection that is not upgraded ends after this time, whatever it does.
    pub max_lifetime: Duration,
    /// Open connections altogether. Beyond: 503.
    pub max_connections: usize,
    /// Open connections of one source, an IPv4 address or an IPv6 /64. Beyond: 429.
    pub max_connections_per_source: u32,
    /// How long a graceful shutdown waits for connections to end.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            max_lifetime: Duration::from_secs(60),
            max_connections: 50_000,
            max_connections_per_source: 1_000,
            drain: Duration::from_secs(10),
        }
    }
}

/// The loopback networks, IPv4 and IPv6.
fn this_machine() -> Vec<IpNet> {
    let v4 = ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    let v6 = ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128);
    vec![v4.into(), v6.into()]
}
