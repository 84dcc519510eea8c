//! Drives a [`StunServer`] over a UDP socket.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use crate::{Event, Input, Output, StunServer};

/// No Binding request a client sends is longer; more is not read.
const LONGEST: usize = 1500;
const PAUSE: Duration = Duration::from_millis(1);

/// Answers on `socket` for as long as it is polled; `count` is told of every datagram.
pub async fn serve(socket: UdpSocket, mut server: StunServer, count: impl Fn(Event)) {
    let mut buffer = [0; LONGEST];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // Mostly an earlier answer that did not arrive (ICMP), which says nothing about this socket. Were it something
            // lasting, the pause keeps the loop from spinning.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        server.handle_input(
            Instant::now(),
            Input::Datagram {
                from,
                bytes: &buffer[..length],
            },
        );
        while let Some(output) = server.poll_output() {
            match output {
                Output::Event(event) => count(event),
                Output::Transmit { to, bytes } => send(&socket, to, &bytes).await,
            }
        }
    }
}

/// An answer that cannot be sent is lost, as any datagram may be; the client asks again (RFC 8489 §6.2.1).
async fn send(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    let _: io::Result<usize> = socket.send_to(bytes, to).await;
}
