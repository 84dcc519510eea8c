//! What is limited, and how the client learns it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crowfly_server::Config;
use tungstenite::Message;

use crate::kit::{PATIENCE, SESSION, TestServer, config, pair, signal};

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_message_may_be_so_large_and_no_larger() {
    let server = TestServer::start(config());
    let (mut client, _) = server.greeted();
    client.say(&"x".repeat(65_536));
    assert_eq!(client.hear()["code"], "malformed-message");
    client.say(&"x".repeat(65_537));
    assert_eq!(client.hear_close(), (1009, "message-too-large".into()));
}

#[test]
fn fragments_are_counted_together() {
    let server = TestServer::start(config());
    let (mut client, _) = server.greeted();
    let stream = client.socket.get_mut();
    let masked = |first: u8, length: u16| {
        let mut frame = vec![first, 0xfe];
        frame.extend(length.to_be_bytes());
        frame.resize(frame.len() + 4 + usize::from(length), 0);
        frame
    };
    stream.write_all(&masked(0x01, 40_000)).unwrap();
    stream.write_all(&masked(0x00, 40_000)).unwrap();
    assert_eq!(client.hear_close(), (1009, "message-too-large".into()));
}

#[test]
fn a_reader_that_does_not_read_is_closed_and_told() {
    let mut config = config();
    config.sockets.max_queued = 100_000;
    config.hub.messages.burst = u32::MAX / 4;
    let server = TestServer::start(config);
    let (mut waiting, mut joining, _) = pair(&server);
    let payload = format!("\"{}\"", "x".repeat(60_000));
    // The kernel's buffers take some megabytes first. The other peer learns it when the queue behind them is full.
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "still connected");
        joining.say(&signal(&payload));
        joining.socket.get_mut().set_nonblocking(true).unwrap();
        let heard = joining.socket.read();
        joining.socket.get_mut().set_nonblocking(false).unwrap();
        match heard {
            Err(tungstenite::Error::Io(error))
                if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(Message::Text(text)) => {
                assert!(text.contains("peer-offline"), "{text}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waiting.hear_close(), (1008, "slow-reader".into()));
}

#[test]
fn a_client_that_goes_silent_is_closed_and_one_that_answers_pings_is_not() {
    let mut config = config();
    config.sockets.ping_interval = SHORT;
    config.sockets.ping_timeout = PATIENCE / 10;
    let server = TestServer::start(config);
    let (mut answering, _) = server.greeted();
    answering.say(r#"{"type":"create","id":1}"#);
    let room = answering.hear()["room"].to_string();
    let (mut silent, _) = server.greeted();
    // Reading answers pings.
    let answering = thread::spawn(move || answering.hear());
    let mut seen = Vec::new();
    let _ = silent.socket.get_mut().read_to_end(&mut seen);
    assert_eq!(seen[..2], [0x89, 0], "a ping first");
    assert!(seen.ends_with(b"\x88\x0e\x03\xf0ping-timeout"), "{seen:?}");
    // The other one has been here for longer.
    let (mut joining, _) = server.greeted();
    joining.say(&format!(
        r#"{{"type":"join","id":1,"room":{room},"session":"{SESSION}"}}"#
    ));
    assert_eq!(answering.join().unwrap()["type"], "peer-joined");
}

#[test]
fn a_connection_that_joins_no_room_is_closed() {
    let mut config = config();
    config.hub.join_timeout = SHORT;
    let server = TestServer::start(config);
    let (mut client, _) = server.greeted();
    assert_eq!(client.hear_close(), (1008, "join-timeout".into()));
}

#[test]
fn a_client_that_ignores_its_close_is_dropped() {
    let mut config = config();
    config.hub.join_timeout = SHORT;
    config.sockets.close_timeout = SHORT;
    let server = TestServer::start(config);
    let (client, _) = server.greeted();
    let stream = client.socket.get_ref();
    let mut stream = stream.try_clone().unwrap();
    // It keeps talking; only a dropped socket ends that.
    let begun = Instant::now();
    while stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "still connected");
        let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
        let _ = stream.read(&mut [0; 64]);
    }
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let mut config = config();
    config.http.header_timeout = PATIENCE / 10;
    let server = TestServer::start(config);
    let asked = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let streams = [
        "",
        "GET / HTTP/1.1\r\nhost: a",
        &format!("{asked}GET"),
        asked,
    ]
    .map(|begun| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        stream
    });
    let [nothing, some, _, kept_alive] = streams.map(|mut stream| {
        let mut seen = String::new();
        stream
            .read_to_string(&mut seen)
            .expect("the server ends it");
        seen
    });
    assert_eq!((nothing, some), (String::new(), String::new()));
    assert!(kept_alive.starts_with("HTTP/1.1 200"), "{kept_alive}");
}

#[test]
fn connections_are_counted_altogether_and_by_source() {
    let mut by_source = config();
    by_source.http.max_connections_per_source = 2;
    let server = TestServer::start(by_source);
    let (_first, _) = server.greeted();
    let (second, _) = server.greeted();
    // Naming somebody else does not help.
    let forged = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(server.connect(&forged).err(), Some(429));
    assert_eq!(server.get("/healthz").status, 429);
    drop(second);
    assert!(
        until(|| server.connect(&[]).is_ok()),
        "a place that became free is given away"
    );

    let mut altogether = config();
    altogether.http.max_connections = 1;
    let server = TestServer::start(altogether);
    let (_first, _) = server.greeted();
    assert_eq!(server.connect(&[]).err(), Some(503));
}

#[test]
fn a_trusted_proxy_is_believed_about_who_it_forwards() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let mut config = Config {
        trusted_proxies,
        ..config()
    };
    config.http.max_connections_per_source = 1;
    let server = TestServer::start(config);
    let forwarded = |by: &str| server.connect(&[("x-forwarded-for", by)]);
    let _first = forwarded("192.0.2.1").unwrap();
    let _second = forwarded("192.0.2.2").unwrap();
    assert_eq!(forwarded("192.0.2.1").err(), Some(429));
    assert_eq!(forwarded("[2001:db8::1]:4000").err(), None);
    // What the client wrote stands before what the proxy wrote, and does not count; a second proxy of ours does not either.
    assert_eq!(forwarded("198.51.100.9, 192.0.2.1").err(), Some(429));
    assert_eq!(
        forwarded("198.51.100.9, 192.0.2.1, 127.0.0.9").err(),
        Some(429)
    );
}

/// Asks until it is so, or patience ends.
fn until(mut so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if so() {
            return true;
        }
    }
    false
}
