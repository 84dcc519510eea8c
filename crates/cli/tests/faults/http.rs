//! Rows 2, 9, 15 and 65: what happens before the upgrade, and who counts as one source.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::kit::client::timed_out;
use crate::kit::frame::{FIN, RSV1, TEXT};
use crate::kit::{
    Approach, Client, Event, LATE, Pace, Pair, Server, alone, among_others, assert_took, process,
    sized, undisturbed,
};

#[test]
fn slow_headers_are_cut_off() {
    let _turn = alone();
    let server = Server::start("header-timeout-seconds = 2.0");
    let mut pair = Pair::meet(server.address);
    let limit = Duration::from_secs(2);
    let sockets = sized(500, 900);
    undisturbed(&server, || {
        let mut slow: Vec<_> = (0..sockets)
            .map(|_| {
                let begun = Instant::now();
                let socket = Approach::default().tcp(server.address);
                (begun, socket.expect("a connection"))
            })
            .collect();
        // One byte of each in ten times, so that no gap between two bytes is long.
        let mut pace = Pace::every(Duration::from_secs(1) / 10 / sockets as u32);
        let mut bytes = b"GET / HTTP/1.1\r\nX-Slow: "
            .iter()
            .copied()
            .chain(std::iter::repeat(b'x'));
        while !slow.is_empty() {
            let byte = [bytes.next().expect("endless")];
            slow.retain_mut(|(begun, socket)| {
                pace.tick();
                let open = socket.write_all(&byte).is_ok() && !has_ended(socket);
                if open {
                    assert!(begun.elapsed() <= limit + LATE, "still open");
                } else {
                    assert_took(*begun, [limit; 2]);
                }
                open
            });
        }
    });
    pair.assert_talking();
}

#[test]
fn an_endless_head_is_refused_and_not_kept() {
    let _turn = alone();
    let server = Server::start("");
    process::reset_peak(server.id());
    let before = process::resident(server.id());
    for line in [&b"X-Long: 0123456789abcdef0123456789abcdef\r\n"[..], b"x"] {
        let mut client = Client::bare(server.address);
        client
            .send_bytes(b"GET /ws HTTP/1.1\r\n")
            .expect("a request line is taken");
        let lines = line.repeat(64 * 1024 / line.len());
        let endless = (0..1024).all(|_| client.send_bytes(&lines).is_ok());
        assert!(!endless, "64 MiB of head were taken");
    }
    let grown = process::peak(server.id()) - before;
    assert!(grown <= 1 << 20, "{grown} bytes more");
}

/// Half of them end without a goodbye (RST), as a crashed program's connections do.
#[test]
fn connections_that_come_and_go_leave_nothing() {
    let _turn = alone();
    let server = Server::start("seat-kept-seconds = 0.5");
    let descriptors = process::descriptors(server.id());
    undisturbed(&server, || {
        let mut pace = Pace::every(Duration::from_millis(2));
        for number in 0..100 {
            let client = Client::connect(server.address);
            if number % 2 == 0 {
                let socket = SockRef::from(&client.stream);
                socket
                    .set_linger(Some(Duration::ZERO))
                    .expect("a socket option");
            }
            pace.tick();
        }
    });
    server.wait_for_metric("crowfly_connections", 0);
    server.wait_for_descriptors(|open| open <= descriptors);
}

#[test]
fn foreign_origins_are_refused_before_the_upgrade() {
    let _turn = alone();
    let server = Server::start("origin = [\"https://friend.example\"]");
    undisturbed(&server, || {
        let own = format!("http://{}", server.address);
        let other_port = format!("http://127.0.0.1:{}", server.address.port() ^ 1);
        let status = |origin: &str| {
            Approach::default()
                .header("Origin", origin)
                .upgrade(server.address)
                .err()
        };
        for allowed in [own.as_str(), "https://friend.example"] {
            assert_eq!(status(allowed), None, "{allowed}");
        }
        let prefixed = format!("{own}.evil.example");
        let user = format!("http://{}@evil.example", server.address);
        for foreign in [
            other_port.as_str(),
            &prefixed,
            &user,
            "null",
            "",
            "https://evil.example",
            "https://friend.example.evil.example",
            "http://friend.example",
            "https://friend.example:8443",
            "file://",
            "http://localhost",
            "chrome-extension://abcdefgh",
        ] {
            assert_eq!(status(foreign), Some(403), "{foreign:?}");
        }
        // Two of them: neither is believed because the other is good.
        let twice = Approach::default()
            .header("Origin", "https://evil.example")
            .header("Origin", &own);
        assert_eq!(twice.upgrade(server.address).err(), Some(403));
    });
}

#[test]
fn programs_without_an_origin_name_the_protocol() {
    let _turn = among_others();
    let server = Server::start("");
    assert!(Approach::default().upgrade(server.address).is_ok());
    let mut stumbling = Client::bare(server.address);
    let request = Approach::default()
        .request(server.address)
        .replace("crowfly.1", "chat");
    stumbling
        .send_bytes(request.as_bytes())
        .expect("a request is taken");
    assert_eq!(
        stumbling.response_head().map(|(status, _)| status),
        Some(403)
    );
}

/// Compression would let a few bytes become many (NATS CVE-2026-27571), so none is agreed on.
#[test]
fn no_extension_is_agreed_on() {
    let _turn = among_others();
    let server = Server::start("");
    let offer = "permessage-deflate; client_max_window_bits";
    let mut client = Approach::default()
        .header("Sec-WebSocket-Extensions", offer)
        .knock(server.address);
    let (status, head) = client.response_head().expect("an answer");
    assert_eq!(status, 101);
    let head = head.to_ascii_lowercase();
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    client.receive_type("welcome");
    // A compressed frame all the same: its reserved bit has no meaning (RFC 6455 §5.2).
    client.send_frame(FIN | RSV1 | TEXT, b"\xAA\x56\x2A\xA9\x2C\x48");
    assert_eq!(client.end(), Event::closed(1002, ""));
}

#[test]
fn a_forged_forwarded_for_moves_no_limit() {
    let _turn = among_others();
    let server = Server::start("max-connections-per-source = 3");
    let forged = |number: u8| {
        let approach = Approach::default().from(Ipv4Addr::new(127, 0, 0, 9));
        approach
            .header("X-Forwarded-For", format!("198.51.100.{number}"))
            .header("Forwarded", format!("for=198.51.100.{number}"))
    };
    let held: Vec<_> = (1..=3)
        .map(|number| forged(number).connect(server.address))
        .collect();
    for number in 4..20 {
        assert_eq!(forged(number).upgrade(server.address).err(), Some(429));
    }
    // Nor does it take anybody else's share.
    let victim = Approach::default()
        .from(Ipv4Addr::new(127, 0, 0, 10))
        .header("X-Forwarded-For", "127.0.0.9");
    victim.connect(server.address);
    drop(held);
}

#[test]
fn a_trusted_proxy_is_believed_and_an_ipv6_network_is_one_source() {
    let _turn = among_others();
    let server =
        Server::start("max-connections-per-source = 2\ntrusted-proxy = [\"127.0.0.1/32\"]");
    let through = |forwarded: &str| {
        Approach::default()
            .header("X-Forwarded-For", forwarded)
            .upgrade(server.address)
    };
    let held = [through("2001:db8:1:2::1"), through("2001:db8:1:2:ffff::2")];
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(
        through("2001:db8:1:2:3:4:5:6").err(),
        Some(429),
        "the same /64"
    );
    assert!(through("2001:db8:1:3::1").is_ok(), "another /64");
    // What the client itself wrote stands before what the proxy added, and counts for nothing.
    assert_eq!(through("198.51.100.1, 2001:db8:1:2::7").err(), Some(429));
    assert_eq!(
        through("2001:db8:1:3::1,[2001:db8:1:2::8]:443").err(),
        Some(429)
    );
    let mapped = [through("::ffff:203.0.113.5"), through("203.0.113.5")];
    assert!(mapped.iter().all(Result::is_ok));
    assert_eq!(
        through("203.0.113.5").err(),
        Some(429),
        "IPv4 in IPv6 dress is the same source"
    );
    // From anywhere else than the proxy the header is a forgery.
    let direct = |forwarded: &str| {
        let approach = Approach::default()
            .from(Ipv4Addr::new(127, 0, 0, 2))
            .header("X-Forwarded-For", forwarded);
        approach.upgrade(server.address)
    };
    let direct_ones = [direct("192.0.2.1"), direct("192.0.2.2")];
    assert!(direct_ones.iter().all(Result::is_ok));
    assert_eq!(direct("192.0.2.3").err(), Some(429));
}

#[test]
fn every_address_has_its_own_share() {
    let _turn = among_others();
    let server = Server::start("max-connections-per-source = 2");
    let from = |host: u8| Approach::default().from(Ipv4Addr::new(127, 0, 1, host));
    let mut held = Vec::new();
    for host in 1..=50 {
        held.extend([
            from(host).connect(server.address),
            from(host).connect(server.address),
        ]);
        assert_eq!(from(host).upgrade(server.address).err(), Some(429));
    }
    // A place is free again when its connection is gone.
    drop(held.swap_remove(0));
    server.wait_for_metric("crowfly_connections", 99);
    from(1).connect(server.address);
}

/// Whether the server has ended this connection; what it said before is read away.
fn has_ended(socket: &mut TcpStream) -> bool {
    socket.set_nonblocking(true).expect("a socket");
    let ended = loop {
        match socket.read(&mut [0; 512]) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break !timed_out(&error),
        }
    };
    socket.set_nonblocking(false).expect("a socket");
    ended
}
