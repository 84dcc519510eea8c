//! Row 5: messages that are too large, or never end.

use std::time::Duration;

use serde_json::json;

use crate::kit::frame::{self, CONTINUATION, FIN, PING, TEXT};
use crate::kit::{Client, Event, Pace, Pair, Server, alone, process, undisturbed};

/// The largest message taken, in bytes.
const LIMIT: usize = 65_536;
const MEBIBYTE: u64 = 1 << 20;

#[test]
fn a_message_of_64_kib_passes_and_one_byte_more_is_1009() {
    let _turn = alone();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    let message = |length: usize| {
        let empty = pair.signal(json!("")).to_string();
        pair.signal(json!("x".repeat(length - empty.len())))
            .to_string()
    };
    let (largest, larger) = (message(LIMIT), message(LIMIT + 1));
    pair.joiner.send_text(&largest);
    let heard = pair.creator.receive_type("signal");
    assert!(
        heard["payload"]
            .as_str()
            .is_some_and(|payload| payload.len() > LIMIT - 200)
    );
    undisturbed(&server, || {
        let mut client = Client::connect(server.address);
        let grown = growth(&server, || {
            // It may be cut off before all of it is taken.
            let _ = client.send_bytes(&frame::frame(FIN | TEXT, larger.as_bytes()));
            assert_eq!(client.end(), Event::closed(1009, "message-too-large"));
        });
        assert!(grown <= MEBIBYTE, "{grown} bytes more");
    });
    pair.assert_talking();
}

#[test]
fn a_frame_too_large_is_refused_by_its_header() {
    let _turn = alone();
    let server = Server::start("");
    for length in [LIMIT as u64 + 1, 1 << 24, 1 << 40, (1 << 63) - 1] {
        let mut client = Client::connect(server.address);
        let grown = growth(&server, || {
            client
                .send_bytes(&frame::head(FIN | TEXT, length))
                .expect("a header is taken");
            client.send_bytes(&[0; 4]).expect("a mask is taken");
            assert_eq!(
                client.end(),
                Event::closed(1009, "message-too-large"),
                "{length} bytes announced"
            );
        });
        assert!(
            grown <= MEBIBYTE,
            "{grown} bytes more for {length} announced"
        );
    }
}

#[test]
fn endless_fragments_end() {
    let _turn = alone();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    for (what, size) in [("a KiB each", 1024), ("a byte each", 1), ("empty", 0)] {
        undisturbed(&server, || {
            let mut client = Client::connect(server.address);
            let grown = growth(&server, || {
                client.send_frame(TEXT, &vec![b'x'; size]);
                let fragments = [
                    frame::frame(CONTINUATION, &vec![b'x'; size]),
                    frame::frame(FIN | PING, b""),
                ]
                .concat()
                .repeat(64);
                // Some ten thousand a second, the rate of row 7.
                let mut pace = Pace::every(Duration::from_millis(6));
                let end = (0..10_000).find_map(|_| {
                    pace.tick();
                    let taken = client.send_bytes(&fragments).is_ok();
                    client.event_if_any().or((!taken).then_some(Event::Dropped))
                });
                assert_eq!(
                    end,
                    Some(Event::closed(1009, "message-too-large")),
                    "{what}"
                );
            });
            assert!(grown <= MEBIBYTE, "{what}: {grown} bytes more");
        });
    }
    pair.assert_talking();
}

/// How much resident memory the server had at most while `run` ran, beyond what it had before.
fn growth(server: &Server, run: impl FnOnce()) -> u64 {
    process::reset_peak(server.id());
    let before = process::resident(server.id());
    run();
    process::peak(server.id()).saturating_sub(before)
}
