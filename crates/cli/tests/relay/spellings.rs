//! Internal addresses in every spelling, asked of our relay and, so that the test is known to see a hole, of coturn as it is packaged.

use std::net::{IpAddr, SocketAddr};

use crate::kit::{Coturn, Relay};
use crate::turn::Client;

/// One or more of each kind of internal address there is.
const INTERNAL: [&str; 34] = [
    "127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.1.1",
    "169.254.169.254",
    "198.18.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.0.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a01:203",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fe80::1",
    "fc00::1",
    "fd00::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
];

/// Which of them the server at this address lets an allocation reach, with what was asked.
fn granted(server: SocketAddr) -> Vec<String> {
    let mut granted = Vec::new();
    let mut client = Client::new(server, "ann");
    client.allocate(None).unwrap();
    for address in INTERNAL {
        let ip: IpAddr = address.parse().unwrap();
        let peer = SocketAddr::new(ip, 9);
        if client.permit(peer) == 0 {
            granted.push(format!("permission {address}"));
        }
        if client.bind(0x4000 + granted.len() as u16, peer) == 0 {
            granted.push(format!("channel {address}"));
        }
    }
    granted
}

#[test]
fn our_relay_reaches_none_of_them() {
    let relay = Relay::start(&[]);
    assert_eq!(granted(relay.turn), [""; 0]);
    let denied = relay.metric("crowfly_relay_denied_total");
    assert_eq!(
        denied,
        2 * INTERNAL.len() as u64,
        "each was refused for what it is"
    );
}

#[test]
fn the_same_questions_find_holes_in_a_relay_that_has_them() {
    let holes = granted(Coturn::start().turn);
    for hole in [
        "permission 192.168.1.1",
        "channel 10.1.2.3",
        "permission 169.254.169.254",
    ] {
        assert!(
            holes.iter().any(|found| found == hole),
            "{hole} is not in {holes:?}"
        );
    }
}

/// What is not asked for by name is not reached either: a socket on this machine gets nothing by Send, and hears nothing it can answer.
#[test]
fn nothing_is_sent_to_this_machine() {
    let relay = Relay::start(&[]);
    let listening = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let inside = listening.local_addr().unwrap();
    let mut client = Client::new(relay.turn, "ann");
    client.allocate(None).unwrap();
    assert_eq!(client.permit(inside), 403);
    client.send(inside, b"out");
    // Handled in order: once this is answered, the indication has been.
    assert_eq!(client.permit(inside), 403);
    listening.set_nonblocking(true).unwrap();
    let nothing = listening.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(relay.metric("crowfly_relay_dropped_total"), 1);
}
