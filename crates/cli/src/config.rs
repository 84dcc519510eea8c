//! The configuration file of `serve`: the same settings as its flags, under the same names.

use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use crowfly_server::relay::RelayAddress;
use crowfly_server::{Config, Host, Origin};
use ipnet::IpNet;
use serde::Deserialize;

use crate::output::hint;

/// What a file may hold. A key that is not here is an error, not a setting silently without effect.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct File {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) relay_listen: Option<SocketAddr>,
    pub(crate) stun: Option<bool>,
    pub(crate) turn: Option<bool>,
    pub(crate) relay_tls_listen: Option<SocketAddr>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) relay_address: Option<Vec<Parsed<Mapped>>>,
    pub(crate) relay_ports: Option<Parsed<Ports>>,
    pub(crate) relay_secret: Option<String>,
    pub(crate) relay_lan: Option<bool>,
    pub(crate) relay_allow: Option<Vec<Parsed<Network>>>,
    pub(crate) web_dir: Option<PathBuf>,
    pub(crate) public_host: Option<Parsed<Host>>,
    pub(crate) origin: Option<Vec<Parsed<Origin>>>,
    pub(crate) trusted_proxy: Option<Vec<Parsed<Network>>>,
    pub(crate) metrics_from: Option<Vec<Parsed<Network>>>,
    pub(crate) ice_servers: Option<Vec<IceServer>>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_connections_per_source: Option<u32>,
    pub(crate) max_rooms: Option<usize>,
    pub(crate) max_rooms_per_source: Option<u32>,
    pub(crate) messages_per_second: Option<u32>,
    pub(crate) drain_seconds: Option<Seconds>,
    // The rest of the limits, `docs/protocol.md`; nobody needs them on a command line.
    pub(crate) max_message_bytes: Option<usize>,
    pub(crate) max_queued_bytes: Option<usize>,
    pub(crate) header_timeout_seconds: Option<Seconds>,
    pub(crate) join_timeout_seconds: Option<Seconds>,
    pub(crate) message_timeout_seconds: Option<Seconds>,
    pub(crate) ping_interval_seconds: Option<Seconds>,
    pub(crate) ping_timeout_seconds: Option<Seconds>,
    pub(crate) close_timeout_seconds: Option<Seconds>,
    pub(crate) seat_kept_seconds: Option<Seconds>,
    pub(crate) failed_look_ups_per_minute: Option<u32>,
    pub(crate) stun_per_second: Option<u16>,
    pub(crate) relay_credential_seconds: Option<Seconds>,
    pub(crate) relay_max_allocations: Option<usize>,
    pub(crate) relay_allocations_per_user: Option<u32>,
    pub(crate) relay_allocations_per_source: Option<u32>,
    pub(crate) relay_permissions_per_allocation: Option<usize>,
    pub(crate) relay_channels_per_allocation: Option<usize>,
    pub(crate) relay_bytes_per_second_per_user: Option<u64>,
    pub(crate) relay_bytes_per_second_per_source: Option<u64>,
}

/// A value written as text, in the same way as on the command line.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String", bound = "T: FromStr<Err: Display>")]
pub(crate) struct Parsed<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> TryFrom<String> for Parsed<T> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error| format!("`{text}`: {error}"))
    }
}

/// A network, or an address as the network of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network(pub(crate) IpNet);

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| address());
        network
            .map(Self)
            .map_err(|_| "expected an address or a network like 192.0.2.0/24")
    }
}

/// Where allocations are made: an address of this machine, or the public address and behind a slash the machine's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped(pub(crate) RelayAddress);

impl FromStr for Mapped {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (public, bind) = text.split_once('/').unwrap_or((text, text));
        let address = |text: &str| {
            text.parse()
                .map_err(|_| "expected an address, or PUBLIC/OWN like 203.0.113.5/10.0.0.5")
        };
        let (public, bind): (IpAddr, IpAddr) = (address(public)?, address(bind)?);
        if public.is_ipv4() != bind.is_ipv4() {
            return Err("both addresses must be of one family");
        }
        if public.is_unspecified() || bind.is_unspecified() {
            return Err("expected an address that others can send to");
        }
        Ok(Self(RelayAddress { bind, public }))
    }
}

/// A range of ports, `FIRST-LAST`.
#[derive(Debug, Clone)]
pub(crate) struct Ports(pub(crate) RangeInclusive<u16>);

impl FromStr for Ports {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (0 < first && first <= last).then_some(first..=last)
        });
        range
            .map(Self)
            .ok_or("expected a range of ports like 49152-65535")
    }
}

/// A time, in seconds and parts of seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) Duration);

impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    /// Within what can be added to any instant.
    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if (0.001..=1e9).contains(&seconds) {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err("a time is between 0.001 and 1000000000 seconds")
        }
    }
}

/// Sets the limits that only a file sets.
pub(crate) fn apply_limits(file: &File, config: &mut Config) {
    set(&mut config.sockets.max_message, file.max_message_bytes);
    set(&mut config.sockets.max_queued, file.max_queued_bytes);
    set(&mut config.stun_rate, file.stun_per_second);
    set(
        &mut config.hub.failed_look_ups.count,
        file.failed_look_ups_per_minute,
    );
    for (setting, given) in [
        (&mut config.http.header_timeout, file.header_timeout_seconds),
        (&mut config.hub.join_timeout, file.join_timeout_seconds),
        (&mut config.hub.seat_kept, file.seat_kept_seconds),
        (
            &mut config.sockets.ping_interval,
            file.ping_interval_seconds,
        ),
        (&mut config.sockets.ping_timeout, file.ping_timeout_seconds),
        (
            &mut config.sockets.message_timeout,
            file.message_timeout_seconds,
        ),
        (
            &mut config.sockets.close_timeout,
            file.close_timeout_seconds,
        ),
    ] {
        set(setting, given.map(|Seconds(given)| given));
    }
}

/// Replaces a setting when another one is given.
pub(crate) fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

/// RTCIceServer (W3C WebRTC §4.2.2).
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IceServer {
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// Reads a TOML file.
pub(crate) fn read(path: &Path) -> anyhow::Result<File> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let error = anyhow::Error::msg(error.to_string().trim_end().to_owned());
        let error = error.context(format!("the configuration {} is not valid", path.display()));
        hint(
            error,
            "`crowfly serve --help` lists the settings; a file uses the same names",
        )
    })
}
