//! Names on the network: `.local` ones by multicast DNS, those of STUN servers by the system; each with a deadline.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns_sd::{HostnameResolutionEvent, ServiceDaemon};

use crate::gather::MAX_SERVERS;

/// The answer comes at once or not at all: the other side sits in the same network.
const MDNS_PATIENCE: Duration = Duration::from_secs(3);
const DNS_PATIENCE: Duration = Duration::from_secs(3);
const STUN_PORT: u16 = 3478;

/// Asks the local network for `.local` names.
#[derive(Clone)]
pub(crate) struct Multicast {
    daemon: ServiceDaemon,
}

impl Multicast {
    /// `None` where multicast DNS cannot be had; the other side's checks then show its address anyway.
    pub(crate) fn start() -> Option<Self> {
        ServiceDaemon::new().ok().map(|daemon| Self { daemon })
    }

    /// The address behind a name.
    pub(crate) async fn resolve(&self, name: &str) -> Option<IpAddr> {
        let patience = u64::try_from(MDNS_PATIENCE.as_millis()).ok();
        let events = self
            .daemon
            .resolve_hostname(&format!("{name}."), patience)
            .ok()?;
        let first = async {
            while let Ok(event) = events.recv_async().await {
                if let HostnameResolutionEvent::AddressesFound(_, addresses) = event {
                    let mut addresses = addresses.into_iter().map(|address| address.to_ip_addr());
                    if let Some(address) = addresses.find(|address| !is_link_local(*address)) {
                        return Some(address);
                    }
                }
            }
            None
        };
        tokio::time::timeout(MDNS_PATIENCE, first)
            .await
            .ok()
            .flatten()
    }

    pub(crate) fn stop(&self) {
        let _ = self.daemon.shutdown();
    }
}

/// The addresses of STUN servers, each `host` or `host:port`.
pub(crate) async fn look_up(servers: Vec<String>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for server in servers.into_iter().take(MAX_SERVERS) {
        let host = server.split('?').next().unwrap_or_default();
        let has_port = host.rsplit_once(':').is_some_and(|(front, port)| {
            port.parse::<u16>().is_ok() && (!front.contains(':') || front.ends_with(']'))
        });
        let host = if has_port {
            host.to_owned()
        } else {
            format!("{host}:{STUN_PORT}")
        };
        let looked_up = tokio::time::timeout(DNS_PATIENCE, tokio::net::lookup_host(host)).await;
        if let Ok(Ok(found)) = looked_up {
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }
    addresses.truncate(MAX_SERVERS);
    addresses
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_name_that_nobody_answers_to_is_given_up() {
        let multicast = Multicast::start().expect("a network");
        let began = Instant::now();
        let name = "5c2f9a52-0b8e-4a4d-9a53-1f6c3d0f7e21.local";
        assert_eq!(multicast.resolve(name).await, None);
        assert!(began.elapsed() < MDNS_PATIENCE * 2);
        multicast.stop();
    }

    #[tokio::test]
    async fn servers_have_ports_or_the_usual_one() {
        let servers = [
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]:2",
            "127.0.0.1?transport=udp",
            "[::1]",
        ];
        let servers = servers.map(str::to_owned).to_vec();
        let found = look_up(servers).await;
        let wanted = ["127.0.0.1:3478", "127.0.0.1:1", "[::1]:2", "[::1]:3478"];
        let wanted = wanted.map(|text| text.parse().expect("an address"));
        assert_eq!(found, wanted[..3]);
        assert_eq!(look_up(vec!["[::1]".to_owned()]).await, wanted[3..]);
    }
}
