//! `crowfly serve`: the server, with the page built in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use anyhow::Context;
use crowfly_server::limits::Rate;
use crowfly_server::{Asset, Assets, BindError, Config, Host, IceServers, Origin, Server};
use serde_json::value::to_raw_value;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, File, Network, Parsed, set};
use crate::output::{hint, line};

mod relay;

/// Every setting can also be given by a variable, and, under the same name, in the file of --config. A flag goes before a
/// variable, a variable before the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to serve the page and signaling (HTTP and WebSocket) [default: 127.0.0.1:8080]
    #[arg(
        long,
        env = "CROWFLY_LISTEN",
        value_name = "ADDR:PORT",
        hide_env_values = true
    )]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    relay: relay::RelayArgs,

    /// Read the browser files from this folder instead of those built in
    #[arg(
        long,
        env = "CROWFLY_WEB_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    web_dir: Option<PathBuf>,

    /// Read settings from this TOML file
    #[arg(
        long,
        env = "CROWFLY_CONFIG",
        value_name = "FILE",
        hide_env_values = true
    )]
    config: Option<PathBuf>,

    /// The host name people use to reach this server, e.g. behind a proxy
    #[arg(
        long,
        env = "CROWFLY_PUBLIC_HOST",
        value_name = "HOST",
        hide_env_values = true
    )]
    public_host: Option<Host>,

    /// Let pages of this origin connect, too, e.g. https://example.com; repeatable
    #[arg(
        long,
        env = "CROWFLY_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    origin: Vec<Origin>,

    /// Believe X-Forwarded-For from these addresses, e.g. 127.0.0.1/32; repeatable [default: from nobody]
    #[arg(
        long,
        env = "CROWFLY_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        hide_env_values = true
    )]
    trusted_proxy: Vec<Network>,

    /// Answer /metrics to these addresses; repeatable [default: this machine]
    #[arg(
        long,
        env = "CROWFLY_METRICS_FROM",
        value_name = "CIDR",
        value_delimiter = ',',
        hide_env_values = true
    )]
    metrics_from: Vec<Network>,

    /// ICE servers told to browsers as a JSON array, instead of the own STUN and TURN
    #[arg(
        long,
        env = "CROWFLY_ICE_SERVERS",
        value_name = "JSON",
        hide_env_values = true
    )]
    ice_servers: Option<IceServerList>,

    /// Open connections altogether [default: 50000]
    #[arg(
        long,
        env = "CROWFLY_MAX_CONNECTIONS",
        value_name = "N",
        hide_env_values = true
    )]
    max_connections: Option<usize>,

    /// Open connections of one IPv4 address or IPv6 /64 [default: 1000]
    #[arg(
        long,
        env = "CROWFLY_MAX_CONNECTIONS_PER_SOURCE",
        value_name = "N",
        hide_env_values = true
    )]
    max_connections_per_source: Option<u32>,

    /// Rooms altogether [default: 100000]
    #[arg(
        long,
        env = "CROWFLY_MAX_ROOMS",
        value_name = "N",
        hide_env_values = true
    )]
    max_rooms: Option<usize>,

    /// Rooms made by one IPv4 address or IPv6 /64 [default: 1000]
    #[arg(
        long,
        env = "CROWFLY_MAX_ROOMS_PER_SOURCE",
        value_name = "N",
        hide_env_values = true
    )]
    max_rooms_per_source: Option<u32>,

    /// Messages a second of one connection; twice as many may come at once [default: 100]
    #[arg(long, env = "CROWFLY_MESSAGES_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), hide_env_values = true)]
    messages_per_second: Option<u32>,

    /// How long stopping waits for connections to end [default: 10]
    #[arg(
        long,
        env = "CROWFLY_DRAIN_SECONDS",
        value_name = "SECONDS",
        hide_env_values = true
    )]
    drain_seconds: Option<u64>,
}

/// A JSON array of RTCIceServer dictionaries, checked.
#[derive(Debug, Clone)]
struct IceServerList(Vec<config::IceServer>);

impl std::str::FromStr for IceServerList {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let file = match &args.config {
        Some(path) => config::read(path)?,
        None => File::default(),
    };
    let config = settle(args, file)?;
    // Ten thousand sockets do not fit under the usual soft limit. Where it cannot be raised, the server says when it is reached.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // One thread: relaying small messages is bound by the kernel, and a second thread only adds waking.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let description = relay::Description::of(&config);
    let server = Server::bind(config).await.map_err(with_hint)?;
    let (mut terminate, mut interrupt) = stop_signals().context("cannot listen for signals")?;
    line(&format!("Crowfly is at {}", url(server.local_addr())));
    description.print(&server);
    let mut stop = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server
        .run(async move {
            stop().await;
            line("Stopping; once more to stop at once");
            tokio::spawn(async move {
                stop().await;
                process::exit(1);
            });
        })
        .await;
    Ok(())
}

fn stop_signals() -> io::Result<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)> {
    Ok((
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ))
}

/// Flag or variable over file over default.
fn settle(args: Args, mut file: File) -> anyhow::Result<Config> {
    let mut config = Config {
        assets: embedded(),
        ..Config::default()
    };
    config::apply_limits(&file, &mut config);
    let default_listen = config.listen;
    config.listen = args.listen.or(file.listen).unwrap_or(default_listen);
    relay::settle(args.relay, &mut file, &mut config)?;
    if let Some(folder) = args.web_dir.or(file.web_dir) {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot open the folder {}", folder.display()))?;
        config.assets = Assets::Folder(folder);
    }
    config.public_host = args
        .public_host
        .or(file.public_host.map(|Parsed(host)| host));
    set(&mut config.origins, given(args.origin, file.origin));
    let networks = |networks: Vec<Network>| {
        networks
            .into_iter()
            .map(|Network(network)| network)
            .collect()
    };
    set(
        &mut config.trusted_proxies,
        given(args.trusted_proxy, file.trusted_proxy).map(networks),
    );
    set(
        &mut config.metrics_from,
        given(args.metrics_from, file.metrics_from).map(networks),
    );
    if let Some(servers) = args
        .ice_servers
        .map(|IceServerList(servers)| servers)
        .or(file.ice_servers)
    {
        config.ice_servers = IceServers::Fixed(to_raw_value(&servers)?);
    }
    set(
        &mut config.http.max_connections,
        args.max_connections.or(file.max_connections),
    );
    set(
        &mut config.http.max_connections_per_source,
        args.max_connections_per_source
            .or(file.max_connections_per_source),
    );
    set(&mut config.hub.max_rooms, args.max_rooms.or(file.max_rooms));
    set(
        &mut config.hub.max_rooms_per_source,
        args.max_rooms_per_source.or(file.max_rooms_per_source),
    );
    if let Some(count) = args.messages_per_second.or(file.messages_per_second) {
        let count = count.max(1);
        config.hub.messages = Rate {
            burst: count.saturating_mul(2),
            each: Duration::from_secs(1) / count,
        };
    }
    set(
        &mut config.http.drain,
        args.drain_seconds
            .map(Duration::from_secs)
            .or(file.drain_seconds.map(|config::Seconds(given)| given)),
    );
    Ok(config)
}

/// What was given on the command line or by a variable, else what the file holds.
fn given<T>(args: Vec<T>, file: Option<Vec<Parsed<T>>>) -> Option<Vec<T>> {
    if args.is_empty() {
        file.map(|file| file.into_iter().map(|Parsed(value)| value).collect())
    } else {
        Some(args)
    }
}

fn embedded() -> Assets {
    let row = |asset: &crowfly_web::Asset| Asset {
        path: asset.path,
        tag: asset.tag,
        identity: asset.identity,
        gzip: asset.gzip,
        brotli: asset.brotli,
    };
    Assets::Table(crowfly_web::ASSETS.iter().map(row).collect())
}

fn with_hint(error: BindError) -> anyhow::Error {
    let (address, flag, source) = match &error {
        BindError::Listen { address, source } => (address, "--listen", source),
        BindError::Relay(relay::Error::Listen {
            transport,
            address,
            source,
        }) => match *transport {
            "TLS" => (address, "--relay-tls-listen", source),
            _ => (address, "--relay-listen", source),
        },
        BindError::Relay(relay::Error::Address { address, source }) => {
            (address, "--relay-address", source)
        }
        _ => return error.into(),
    };
    let stun = flag == "--relay-listen";
    let text = match source.kind() {
        io::ErrorKind::AddrInUse => {
            let other = SocketAddr::new(address.ip(), address.port().wrapping_add(1).max(1024));
            let or = if stun { ", or none with --no-stun" } else { "" };
            format!("another program has this port; choose another with {flag} {other}{or}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need privileges; choose a higher one with {flag}")
        }
        io::ErrorKind::AddrNotAvailable if flag == "--relay-address" => {
            format!("this machine does not have that address; behind a NAT give {flag} PUBLIC/OWN")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine does not have that address; {flag} takes one that it has")
        }
        _ => return error.into(),
    };
    hint(error, text)
}

/// Where a browser on this machine finds the server.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, address.port()))
}
