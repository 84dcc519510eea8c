//! The configuration file of `serve`: the same settings as its flags, under the same names.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
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
    pub(crate) web_dir: Option<PathBuf>,
    pub(crate) public_host: Option<String>,
    pub(crate) origin: Option<Vec<String>>,
    pub(crate) trusted_proxy: Option<Vec<IpNet>>,
    pub(crate) metrics_from: Option<Vec<IpNet>>,
    pub(crate) ice_servers: Option<Vec<IceServer>>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_connections_per_source: Option<u32>,
    pub(crate) max_rooms: Option<usize>,
    pub(crate) max_rooms_per_source: Option<u32>,
    pub(crate) messages_per_second: Option<u32>,
    pub(crate) drain_seconds: Option<u64>,
}

/// RTCIceServer (W3C WebRTC §4.2.2).
#[derive(Debug, Deserialize, serde::Serialize)]
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
