//! Echoes every message over the WebSocket code of `/ws`, for test suites such as Autobahn's (`tests/autobahn/`). The product has
//! no such route.
//!
//! Prints its URL as the first line; takes a port, or any free one.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crowfly_server::websocket::{Arrival, Burst, Handler, Socket};
use crowfly_server::{Config, Server};

struct Echo;

impl Handler for Echo {
    fn opened(&self, _socket: &Arc<Socket>, _arrival: &Arrival, _burst: &mut Burst) {}

    fn text(&self, socket: &Arc<Socket>, text: &str, burst: &mut Burst) {
        burst.text(socket, text.to_owned());
    }

    fn binary(&self, socket: &Arc<Socket>, bytes: &[u8], burst: &mut Burst) {
        burst.binary(socket, bytes.to_owned());
    }

    fn closed(&self, _socket: &Arc<Socket>) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut config = Config {
        listen,
        ..Config::default()
    };
    // One client of the suite opens hundreds of connections.
    config.http.max_connections_per_source = 20_000;
    // A suite counts the frames it gets; pings of ours are not among those it expects.
    config.sockets.ping_interval = Duration::from_secs(3600);
    let server = Server::bind_with(config, Arc::new(Echo))?;
    writeln!(io::stdout(), "ws://{}/ws", server.local_addr())?;
    server.run(std::future::pending()).await;
    Ok(())
}
