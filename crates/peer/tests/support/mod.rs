//! A server for a test.

use std::net::{Ipv4Addr, SocketAddr};

use crowfly_server::{Config, Server};

/// Starts a server on a free port of this machine; it ends with the test's runtime.
pub(crate) async fn start() -> SocketAddr {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config {
        listen: loopback,
        ..Config::default()
    };
    config.relay_listen = Some(loopback);
    let server = Server::bind(config).await.expect("a free port");
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    address
}
