//! The relay's part of `crowfly serve`: its settings, and what is said about it at the start.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::bail;
pub(super) use crowfly_server::relay::BindError as Error;
use crowfly_server::relay::{RelayAddress, RelayConfig, Secret, TlsFiles};
use crowfly_server::{Config, Server};

use crate::config::{File, Mapped, Network, Parsed, Ports, Seconds, set};
use crate::output::line;

use super::given;

const STUN_PORT: u16 = 3478;
/// RFC 8656 §17.2, `turns`.
const TLS_PORT: u16 = 5349;

#[derive(Debug, clap::Args)]
pub(super) struct RelayArgs {
    /// Where to serve STUN and TURN (UDP, and TCP for TURN) [default: the address of --listen, port 3478]
    #[arg(
        long,
        env = "CROWFLY_RELAY_LISTEN",
        value_name = "ADDR:PORT",
        hide_env_values = true
    )]
    relay_listen: Option<SocketAddr>,

    /// Serve neither STUN nor TURN: peers find each other within one network only
    #[arg(
        long,
        env = "CROWFLY_NO_STUN",
        value_parser = clap::builder::BoolishValueParser::new(),
        conflicts_with = "relay_listen",
        hide_env_values = true
    )]
    no_stun: bool,

    /// Serve STUN alone: peers without a direct path do not connect
    #[arg(
        long,
        env = "CROWFLY_NO_TURN",
        value_parser = clap::builder::BoolishValueParser::new(),
        hide_env_values = true
    )]
    no_turn: bool,

    /// Where to serve TURN over TLS, given a certificate [default: the address of --relay-listen, port 5349]
    #[arg(
        long,
        env = "CROWFLY_RELAY_TLS_LISTEN",
        value_name = "ADDR:PORT",
        requires = "tls_cert",
        hide_env_values = true
    )]
    relay_tls_listen: Option<SocketAddr>,

    /// Certificate chain for TURN over TLS (PEM)
    #[arg(
        long,
        env = "CROWFLY_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        hide_env_values = true
    )]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(
        long,
        env = "CROWFLY_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert",
        hide_env_values = true
    )]
    tls_key: Option<PathBuf>,

    /// The address relayed traffic comes from, as PUBLIC/OWN behind a NAT; once for IPv4, once for IPv6 [default: the address a
    /// client reached]
    #[arg(
        long,
        env = "CROWFLY_RELAY_ADDRESS",
        value_name = "ADDR",
        value_delimiter = ',',
        hide_env_values = true
    )]
    relay_address: Vec<Mapped>,

    /// UDP ports of relayed traffic [default: 49152-65535]
    #[arg(
        long,
        env = "CROWFLY_RELAY_PORTS",
        value_name = "FIRST-LAST",
        hide_env_values = true
    )]
    relay_ports: Option<Ports>,

    /// Secret shared with other applications that hand out TURN credentials, as coturn's static-auth-secret. Others on this machine can
    /// read a command line: better use the variable or the file
    #[arg(
        long,
        env = "CROWFLY_RELAY_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    relay_secret: Option<String>,

    /// Relay to private networks (10/8, 172.16/12, 192.168/16, fc00::/7), too: for use at home
    #[arg(
        long,
        env = "CROWFLY_RELAY_LAN",
        value_parser = clap::builder::BoolishValueParser::new(),
        hide_env_values = true
    )]
    relay_lan: bool,

    /// Relay to these addresses whatever else is said; repeatable [default: none]
    #[arg(
        long,
        env = "CROWFLY_RELAY_ALLOW",
        value_name = "CIDR",
        value_delimiter = ',',
        hide_env_values = true
    )]
    relay_allow: Vec<Network>,
}

/// Flag or variable over file over default; takes its part out of the file.
pub(super) fn settle(args: RelayArgs, file: &mut File, config: &mut Config) -> anyhow::Result<()> {
    let wanted = !args.no_stun && (file.stun.unwrap_or(true) || args.relay_listen.is_some());
    let listen = args
        .relay_listen
        .or(file.relay_listen)
        .unwrap_or(SocketAddr::new(config.listen.ip(), STUN_PORT));
    config.relay_listen = wanted.then_some(listen);
    let relay = &mut config.relay;
    relay.turn = !args.no_turn && file.turn.unwrap_or(true);
    let tls_listen = args.relay_tls_listen.or(file.relay_tls_listen);
    let certificate = args.tls_cert.or(file.tls_cert.take());
    let key = args.tls_key.or(file.tls_key.take());
    relay.tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((
            tls_listen.unwrap_or(SocketAddr::new(listen.ip(), TLS_PORT)),
            TlsFiles { certificate, key },
        )),
        (None, None) if tls_listen.is_none() => None,
        _ => bail!("TURN over TLS needs both tls-cert and tls-key"),
    };
    let addresses = given(args.relay_address, file.relay_address.take()).unwrap_or_default();
    relay.addresses = addresses.into_iter().map(|Mapped(one)| one).collect();
    let ports = args
        .relay_ports
        .or(file.relay_ports.take().map(|Parsed(ports)| ports));
    set(&mut relay.ports, ports.map(|Ports(ports)| ports));
    let secret = args.relay_secret.or(file.relay_secret.take());
    if secret.as_deref().is_some_and(str::is_empty) {
        bail!("an empty relay-secret would let everybody in");
    }
    relay.secret = secret.map(Secret::new);
    relay.lan = args.relay_lan || file.relay_lan.unwrap_or_default();
    let allow = given(args.relay_allow, file.relay_allow.take()).unwrap_or_default();
    relay.allow = allow.into_iter().map(|Network(network)| network).collect();
    apply_limits(file, relay);
    Ok(())
}

fn apply_limits(file: &File, relay: &mut RelayConfig) {
    let limits = &mut relay.limits;
    set(&mut limits.allocations, file.relay_max_allocations);
    set(
        &mut limits.allocations_per_user,
        file.relay_allocations_per_user,
    );
    set(
        &mut limits.allocations_per_source,
        file.relay_allocations_per_source,
    );
    set(
        &mut limits.permissions,
        file.relay_permissions_per_allocation,
    );
    set(&mut limits.channels, file.relay_channels_per_allocation);
    set(
        &mut limits.user_bytes_a_second,
        file.relay_bytes_per_second_per_user,
    );
    set(
        &mut limits.source_bytes_a_second,
        file.relay_bytes_per_second_per_source,
    );
    let lifetime = file
        .relay_credential_seconds
        .map(|Seconds(lifetime)| lifetime);
    set(&mut relay.credential_lifetime, lifetime);
}

/// What is open and why, before the settings go to the server.
pub(super) struct Description {
    ports: String,
    reach: String,
    told: String,
    warning: Option<String>,
}

impl Description {
    pub(super) fn of(config: &Config) -> Self {
        let relay = &config.relay;
        let mut reach = vec!["public addresses"];
        reach.extend(relay.lan.then_some("private networks (--relay-lan)"));
        let allowed = format!("{} more (--relay-allow)", relay.allow.len());
        reach.extend((!relay.allow.is_empty()).then_some(allowed.as_str()));
        let told = match &relay.secret {
            Some(_) => "peers in rooms, and whoever has the relay-secret",
            None => "peers in rooms",
        };
        Self {
            ports: format!("{}-{}", relay.ports.start(), relay.ports.end()),
            reach: reach.join(", "),
            told: told.to_owned(),
            warning: warning(config),
        }
    }

    /// Says where the relay is and how far it reaches.
    pub(super) fn print(&self, server: &Server) {
        if let Some(address) = server.stun_addr() {
            line(&format!("STUN is at UDP {address}"));
        }
        let Some(address) = server.turn_addr() else {
            return;
        };
        line(&format!("TURN is at UDP and TCP {address}"));
        if let Some(address) = server.turns_addr() {
            line(&format!("TURN is at TLS {address}"));
        }
        let Self {
            ports,
            reach,
            told,
            warning,
        } = self;
        line(&format!(
            "  open to {told}, for {reach}, never for this machine but between peers it relays; UDP ports {ports}"
        ));
        if let Some(warning) = warning {
            line(&format!("  {warning}"));
        }
    }
}

/// The commonest way to have a relay that relays nothing: an address nobody else can send to.
fn warning(config: &Config) -> Option<String> {
    let named = |RelayAddress { public, .. }: &RelayAddress| *public;
    let listening = config.relay_listen?.ip();
    let address = match config.relay.addresses.first().map(named) {
        Some(address) => address,
        None if listening.is_unspecified() => return None,
        None => listening,
    };
    let near = match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    near.then(|| {
        format!(
            "{address} is a private address: peers elsewhere need --relay-address PUBLIC/{address}"
        )
    })
}
