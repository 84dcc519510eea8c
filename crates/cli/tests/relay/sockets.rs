//! What only real sockets show: datagrams through the kernel, ports that come back, memory, streams that say nothing.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Instant;

use crate::kit::{PATIENCE, Relay};
use crate::turn::Client;

/// Tells the relay that this machine may be reached, which nobody else should.
const REACH_THIS_MACHINE: [&str; 2] = ["--relay-allow", "127.0.0.0/8"];

#[test]
fn a_peer_outside_is_reached_and_answers_by_indication_and_by_channel() {
    let relay = Relay::start(&REACH_THIS_MACHINE);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = peer.local_addr().unwrap();
    let mut client = Client::new(relay.turn, "ann");
    let relayed = client.allocate(None).unwrap();
    assert_eq!(client.permit(at), 0);
    client.send(at, b"hello");
    let mut bytes = [0; 100];
    let (length, from) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..length], from), (&b"hello"[..], relayed));
    peer.send_to(b"back", relayed).unwrap();
    let indication = client.receive();
    assert!(indication.starts_with(&[0, 0x17]) && indication.ends_with(b"back"));
    assert_eq!(client.bind(0x4001, at), 0);
    for number in 0..100_u8 {
        client.channel_data(0x4001, &[number; 1100]);
        let mut bytes = [0; 2000];
        let (length, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from), (&[number; 1100][..], relayed));
        peer.send_to(&bytes[..length], relayed).unwrap();
        assert_eq!(
            client.receive(),
            [&[0x40, 1, 4, 76][..], &[number; 1100]].concat()
        );
    }
    // Another port of the same address may be sent to without asking again; another address may not send in.
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"in", relayed).unwrap();
    peer.send_to(b"last", relayed).unwrap();
    assert_eq!(client.receive(), b"\x40\x01\x00\x04last");
}

#[test]
fn two_clients_of_the_relay_reach_each_other_without_leaving_it() {
    let relay = Relay::start(&[]);
    let (mut ann, mut bob) = (
        Client::new(relay.turn, "ann"),
        Client::new(relay.turn, "bob"),
    );
    let (at_ann, at_bob) = (ann.allocate(None).unwrap(), bob.allocate(None).unwrap());
    assert_eq!((ann.bind(0x4001, at_bob), bob.bind(0x4002, at_ann)), (0, 0));
    ann.channel_data(0x4001, b"hello");
    assert_eq!(bob.receive(), b"\x40\x02\x00\x05hello");
    bob.channel_data(0x4002, b"back");
    assert_eq!(ann.receive(), b"\x40\x01\x00\x04back");
}

#[test]
fn a_thousand_greedy_allocations_meet_the_cap_and_every_port_comes_back() {
    // All of them come from one address, which is otherwise challenged fifty times a second.
    let settings = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(&settings, "stun-per-second = 10000\n").unwrap();
    let settings = settings.path().to_str().unwrap();
    let relay = Relay::start(&["--config", settings]);
    for _ in 0..2 {
        let mut held = Vec::new();
        for _ in 0..500 {
            let mut client = Client::new(relay.turn, "greedy");
            match client.allocate(None) {
                Ok(relayed) => held.push((client, relayed)),
                Err(code) => assert_eq!(code, 486),
            }
        }
        assert_eq!(held.len(), 32);
        for (client, relayed) in &mut held {
            assert!(UdpSocket::bind(*relayed).is_err(), "the port is open");
            assert_eq!(client.release(), 0);
            let back = Instant::now();
            while UdpSocket::bind(*relayed).is_err() {
                assert!(back.elapsed() < PATIENCE, "the port does not come back");
            }
        }
        assert_eq!(relay.metric("crowfly_relay_allocations"), 0);
    }
}

#[test]
fn streams_that_are_no_turn_or_say_nothing_are_closed() {
    let relay = Relay::start(&[]);
    let mut wrong = TcpStream::connect(relay.turn).unwrap();
    wrong.set_read_timeout(Some(PATIENCE)).unwrap();
    wrong.write_all(b"\x16\x03\x01\x02\x00").unwrap();
    let mut silent = [relay.turn, relay.tls].map(|at| TcpStream::connect(at).unwrap());
    // An end or a reset: it had not read everything.
    assert!(matches!(wrong.read(&mut [0; 10]), Ok(0) | Err(_)));
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0, "after ten seconds");
    }
}

#[test]
fn a_crowd_that_only_begins_a_tls_handshake_keeps_nobody_out() {
    let relay = Relay::start(&[]);
    // More than one source may have; those beyond are closed, and all of them after ten seconds.
    let crowd: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(relay.tls).unwrap())
        .collect();
    for mut stream in &crowd {
        // The first five bytes of a ClientHello. Whoever is refused may have been reset.
        let _ = stream.write_all(b"\x16\x03\x01\x02\x00");
    }
    let mut client = Client::new(relay.turn, "ann");
    client.allocate(None).unwrap();
    // Another source is not held up.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: std::net::SocketAddr = "127.0.0.9:0".parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&relay.turn.into()).unwrap();
    let mut other = TcpStream::from(socket);
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    other
        .write_all(b"\x00\x01\x00\x00\x21\x12\xa4\x42transactions")
        .unwrap();
    let mut answer = [0; 32];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..2], [1, 1]);
}

/// Twenty thousand first requests, from as many sources as this machine can have.
#[test]
fn a_flood_of_first_requests_costs_no_memory_and_a_real_client_is_served_meanwhile() {
    let relay = Relay::start(&[]);
    let mut client = Client::new(relay.turn, "ann");
    client.allocate(None).unwrap();
    let before = relay.memory();
    let request = *b"\x00\x03\x00\x08\x21\x12\xa4\x42transactions\x00\x19\x00\x04\x11\x00\x00\x00";
    for source in 0..200_u8 {
        let address = format!("127.0.{}.{}:0", 1 + source / 100, 1 + source % 100);
        let socket = UdpSocket::bind(address).unwrap();
        for _ in 0..100 {
            socket.send_to(&request, relay.turn).unwrap();
        }
        assert_eq!(client.release(), 0);
        client.allocate(None).unwrap();
    }
    let grown = relay.memory().saturating_sub(before);
    assert!(grown <= 5 * 1024, "{grown} KiB");
    assert!(relay.metric("crowfly_relay_unauthenticated_total") > 10_000);
    assert_eq!(relay.metric("crowfly_relay_allocations"), 1);
}
