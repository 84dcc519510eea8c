//! Stopping.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::kit::{PATIENCE, TestServer, config, pair};

#[test]
fn everybody_is_told_and_nobody_is_waited_for_longer_than_needed() {
    let mut server = TestServer::start(config());
    let (mut waiting, mut joining, _) = pair(&server);
    let mut kept_alive = TcpStream::connect(server.address).unwrap();
    kept_alive.set_read_timeout(Some(PATIENCE)).unwrap();
    kept_alive
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(kept_alive.read(&mut [0; 4]).unwrap(), 4);
    let (address, begun) = (server.address, Instant::now());
    server.ask_to_stop();
    for client in [&mut waiting, &mut joining] {
        assert_eq!(client.hear_close(), (1001, "shutting-down".into()));
        // Reading on sends the answer to the close.
        while client.socket.read().is_ok() {}
    }
    server.stopped();
    assert!(
        begun.elapsed() < config().http.drain / 2,
        "it did not wait for the limit"
    );
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn who_does_not_go_is_dropped_at_the_limit() {
    let mut config = config();
    config.http.drain = Duration::from_millis(300);
    config.sockets.close_timeout = PATIENCE;
    let server = TestServer::start(config);
    let (mut deaf, _) = server.greeted();
    let mut half_a_head = TcpStream::connect(server.address).unwrap();
    half_a_head.set_read_timeout(Some(PATIENCE)).unwrap();
    half_a_head.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let begun = Instant::now();
    server.stopped();
    assert!(
        begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < PATIENCE / 2,
        "{:?}",
        begun.elapsed()
    );
    // Both find their sockets ended.
    let mut rest = Vec::new();
    let _ = deaf.socket.get_mut().read_to_end(&mut rest);
    let _ = half_a_head.read_to_end(&mut rest);
}
