//! STUN and TURN in the same process, and how clients are told of them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crowfly_relay::core::Stats;
use crowfly_relay::{Listen, Server};
use ipnet::IpNet;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::{Config, IceServers};
use crate::origin::Host;
use crate::server;

pub use crowfly_relay::core::{Limits, RelayAddress};
pub use crowfly_relay::{BindError, Secret, TlsFiles};

/// How the relay runs, beside [`Config::relay_listen`] and [`Config::stun_rate`].
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// TURN beside STUN.
    pub turn: bool,
    /// Shared with other applications that hand out credentials; `None`: a secret of this process alone.
    pub secret: Option<Secret>,
    /// TURN over TLS.
    pub tls: Option<(SocketAddr, TlsFiles)>,
    /// Where allocations are made, one for each family at most; of a family not named: the address the client reached.
    pub addresses: Vec<RelayAddress>,
    /// UDP ports of allocations.
    pub ports: RangeInclusive<u16>,
    /// Private networks may be reached.
    pub lan: bool,
    /// These networks may be reached whatever else is said.
    pub allow: Vec<IpNet>,
    /// How much of everything.
    pub limits: Limits,
    /// How long the credentials that clients are handed are good for.
    pub credential_lifetime: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            turn: true,
            secret: None,
            tls: None,
            addresses: Vec::new(),
            // RFC 8656 §7.2: the range for ports that are nobody's.
            ports: 49152..=65535,
            lan: false,
            allow: Vec::new(),
            limits: Limits::default(),
            credential_lifetime: Duration::from_secs(300),
        }
    }
}

/// RFC 8489 §14.9. Short, for it is part of what a stranger is answered.
const REALM: &str = "crowfly";

/// Opens the relay's sockets; `None` where there is none.
pub(crate) async fn open(
    config: &Config,
) -> Result<Option<(Server, Directory)>, server::BindError> {
    let Some(address) = config.relay_listen else {
        return Ok(None);
    };
    let relay = &config.relay;
    let secret = match &relay.secret {
        Some(secret) => secret.clone(),
        None => Secret::new(random()?),
    };
    let secret = relay.turn.then_some(secret);
    let core = crowfly_relay::core::Config {
        secret: secret.clone(),
        nonce_key: random()?,
        realm: REALM.into(),
        addresses: relay.addresses.clone(),
        lan: relay.lan,
        allow: relay.allow.clone(),
        limits: Limits {
            answers_a_second: config.stun_rate,
            ..relay.limits.clone()
        },
    };
    let listen = Listen {
        address,
        tls: relay.tls.clone(),
        ports: relay.ports.clone(),
    };
    let server = Server::bind(core, listen).await?;
    let directory = Directory {
        port: server.udp_addr().port(),
        tls_port: server.tls_addr().map(|address| address.port()),
        secret,
        lifetime: relay.credential_lifetime,
    };
    Ok(Some((server, directory)))
}

/// What clients need to know to use the relay.
#[derive(Debug)]
pub(crate) struct Directory {
    port: u16,
    tls_port: Option<u16>,
    secret: Option<Secret>,
    lifetime: Duration,
}

impl Directory {
    /// RTCIceServer dictionaries (W3C WebRTC §4.2.2) with credentials made for `user`.
    fn entries(&self, host: &str, user: &str) -> Box<RawValue> {
        let Self { port, tls_port, .. } = self;
        let mut entries = vec![json!({ "urls": [format!("stun:{host}:{port}")] })];
        if let Some(secret) = &self.secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let expiry = now.unwrap_or_default() + self.lifetime;
            let (username, credential) = secret.issue(expiry.as_secs(), user);
            let mut urls = ["udp", "tcp"]
                .map(|transport| format!("turn:{host}:{port}?transport={transport}"))
                .to_vec();
            urls.extend(tls_port.map(|port| format!("turns:{host}:{port}?transport=tcp")));
            entries.push(json!({ "urls": urls, "username": username, "credential": credential }));
        }
        to_raw_value(&entries).expect("strings are JSON")
    }
}

/// What one client is told to use as ICE servers.
#[derive(Debug)]
pub(crate) struct Handout {
    servers: IceServers,
    directory: Option<Directory>,
    public_host: Option<Host>,
}

impl Handout {
    pub(crate) fn new(config: &Config, directory: Option<Directory>) -> Self {
        Self {
            servers: config.ice_servers.clone(),
            directory,
            public_host: config.public_host.clone(),
        }
    }

    /// How long after credentials were handed out newer ones are to follow, if they expire.
    pub(crate) fn renewal(&self) -> Option<Duration> {
        let directory = self.directory.as_ref()?;
        let own = matches!(self.servers, IceServers::Own) && directory.secret.is_some();
        own.then_some(directory.lifetime / 2)
    }

    /// `host` is the name the client reached the server by.
    pub(crate) fn ice_servers(&self, host: &str, user: &str) -> Cow<'_, RawValue> {
        match (&self.servers, &self.directory) {
            (IceServers::Fixed(json), _) => Cow::Borrowed(json),
            (IceServers::Own, None) => {
                Cow::Owned(to_raw_value(&[(); 0]).expect("an empty array is JSON"))
            }
            (IceServers::Own, Some(directory)) => {
                let host = self.public_host.as_ref().map_or(host, Host::as_str);
                Cow::Owned(directory.entries(host, user))
            }
        }
    }
}

/// The relay's counts, asked for at each scrape.
pub(crate) type Counts = Box<dyn Fn() -> Stats + Send + Sync>;

fn random() -> Result<[u8; 32], server::BindError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| server::BindError::Random {
        source: error.into(),
    })?;
    Ok(bytes)
}
