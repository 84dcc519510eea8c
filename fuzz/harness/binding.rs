//! What must hold of the STUN Binding server, whatever datagrams come from wherever. Used by the fuzz target and by the tests of the relay.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crowfly_relay::{Event, Input, Output, StunServer};

const A_SECOND: u16 = 5;

/// The bytes as they are, and as what follows a Binding request's header. Panics when a promise is broken.
pub(crate) fn serve(data: &[u8]) {
    let Some((&from, rest)) = data.split_first() else {
        return;
    };
    let from = sender(from);
    let now = Instant::now();
    for datagram in [rest.to_vec(), request(rest)] {
        let mut server = StunServer::new(A_SECOND);
        let mut answered = 0;
        for _ in 0..3 * A_SECOND {
            answered += ask(&mut server, now, from, &datagram);
        }
        assert!(
            answered == 0 || answered == A_SECOND,
            "each second has its answers and no more, not {answered}"
        );
        let later = now + Duration::from_secs(1);
        let again = ask(&mut server, later, from, &datagram);
        assert_eq!(again > 0, answered > 0, "the next second is another");
    }
}

/// How many answers this datagram gets: none, or the one that says where it came from.
fn ask(server: &mut StunServer, now: Instant, from: SocketAddr, bytes: &[u8]) -> u16 {
    server.handle_input(now, Input::Datagram { from, bytes });
    let mut answers = 0;
    let mut events = 0;
    while let Some(output) = server.poll_output() {
        match output {
            Output::Transmit { to, bytes: answer } => {
                assert_eq!(to, from, "to nobody else");
                check(from, bytes, &answer);
                answers += 1;
            }
            Output::Event(event) => {
                assert_eq!(event == Event::Answered, answers == 1);
                events += 1;
            }
        }
    }
    assert!(answers <= 1 && events == 1);
    answers
}

/// RFC 8489 §5, §14.2, read by hand.
fn check(from: SocketAddr, request: &[u8], answer: &[u8]) {
    assert!(request.len() >= 20, "a header was there");
    assert_eq!(request[..2], [0, 1], "a Binding request");
    let family = match from.ip().to_canonical() {
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 2,
    };
    let length = if family == 1 { 8 } else { 20 };
    assert_eq!(answer.len(), 24 + length, "the shortest answer there is");
    assert_eq!(answer[..2], [1, 1], "a success response");
    assert_eq!(answer[4..20], request[4..20], "the transaction comes back");
    let header = [0, 0x20, 0, length as u8, 0, family];
    assert_eq!(answer[20..26], header, "XOR-MAPPED-ADDRESS alone");
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, from.port());
}

/// With the length its header has to have.
fn request(rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend(rest);
    bytes.resize(bytes.len().max(20).next_multiple_of(4), 0);
    let length = u16::try_from(bytes.len() - 20).unwrap_or(u16::MAX);
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn sender(number: u8) -> SocketAddr {
    let v4 = Ipv4Addr::new(192, 0, 2, number);
    let ip = match number % 3 {
        0 => IpAddr::V4(v4),
        1 => IpAddr::V6(v4.to_ipv6_mapped()),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())),
    };
    SocketAddr::new(ip, 4000 + u16::from(number))
}
