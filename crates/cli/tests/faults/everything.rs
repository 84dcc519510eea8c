//! Row 66: slow headers, message floods and a STUN flood at once, on two cores.

use std::io::Write;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::kit::frame::{self, FIN, TEXT};
use crate::kit::{Approach, Bystanders, Pace, Pair, Server, alone, note, process};

/// What a log may grow by under attack, in bytes.
const LOG: usize = 64 * 1024;
const MEBIBYTE: u64 = 1 << 20;

#[test]
fn everything_at_once_leaves_the_others_served() {
    let _turn = alone();
    let server = Server::start("seat-kept-seconds = 0.5");
    let descriptors = process::descriptors(server.id());
    let bystanders = Bystanders::start(&server);
    let (before, log) = (process::resident(server.id()), server.log().len());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| drip(&server, &stop));
        scope.spawn(|| babble(&server, &stop));
        scope.spawn(|| reflect(&server, &stop));
        let mut pace = Pace::every(Duration::from_millis(100));
        // Whatever comes of it, the attackers stop.
        let _stop = Stop(&stop);
        bystanders.assert_served_within(Duration::from_millis(500), || pace.tick());
    });
    let (grown, logged) = (
        process::resident(server.id()).saturating_sub(before),
        server.log().len() - log,
    );
    note(&format!("{grown} bytes more, {logged} bytes of log"));
    // The attacks were felt where they should be.
    for refused in [
        "crowfly_refusals_total{code=\"rate-limited\"}",
        "crowfly_stun_ignored_total",
    ] {
        assert!(server.metric(refused) > 1_000, "{refused}");
    }
    assert!(logged <= LOG, "{logged} bytes of log: {}", server.log());
    assert!(grown <= 32 * MEBIBYTE, "{grown} bytes more");
    Pair::meet(server.address).assert_talking();
    // All of it is given back.
    drop(bystanders);
    server.wait_for_metric("crowfly_connections", 0);
    server.wait_for_metric("crowfly_rooms", 0);
    server.wait_for_descriptors(|open| open <= descriptors);
}

/// Row 2: five hundred heads that never end.
fn drip(server: &Server, stop: &AtomicBool) {
    let connect = || {
        Approach::default()
            .tcp(server.address)
            .expect("a connection")
    };
    let mut sockets: Vec<_> = (0..500).map(|_| connect()).collect();
    let mut pace = Pace::every(Duration::from_millis(2));
    while !stop.load(Ordering::Relaxed) {
        for socket in &mut sockets {
            if socket.write_all(b"x").is_err() {
                *socket = connect();
            }
            pace.tick();
        }
    }
}

/// Row 7: ten thousand messages a second, over as many connections as it takes.
fn babble(server: &Server, stop: &AtomicBool) {
    let mut pace = Pace::every(Duration::from_millis(10));
    while !stop.load(Ordering::Relaxed) {
        let mut pair = Pair::meet(server.address);
        let message = pair.signal(json!({ "kind": "weather" })).to_string();
        let burst = frame::frame(FIN | TEXT, message.as_bytes()).repeat(100);
        while !stop.load(Ordering::Relaxed)
            && pair.joiner.send_bytes(&burst).is_ok()
            && !pair.joiner.has_ended()
        {
            pace.tick();
        }
    }
}

/// Row 28: Binding requests (RFC 8489 §14), as a reflector is asked for them, ten thousand a second.
fn reflect(server: &Server, stop: &AtomicBool) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], b"crowfly-test"].concat();
    let mut pace = Pace::every(Duration::from_millis(10));
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..100 {
            // A full buffer drops it, as the network would.
            let _ = socket.send_to(&request, server.stun);
        }
        pace.tick();
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
