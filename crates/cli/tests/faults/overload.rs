//! Rows 6 and 7: a client that does not read, and a client that does not stop.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::frame::{self, FIN, PING, TEXT};
use crate::kit::{
    Approach, Client, Event, PATIENCE, Pace, Pair, Server, alone, note, process, sized, undisturbed,
};

/// Beside the mebibyte that may be queued: one message, and what the allocator rounds up.
const SLACK: u64 = 512 * 1024;
const MEBIBYTE: u64 = 1 << 20;
/// Messages of 60 kB for one who reads none: the kernel takes some fifty, the server's queue seventeen, and nobody this many.
const ENDLESS: usize = 1_000;

#[test]
fn a_reader_that_never_reads_is_cut_off() {
    let _turn = alone();
    let server = Server::start("");
    let mut peak = 0;
    undisturbed(&server, || {
        let deaf = Approach::default()
            .small_receive_buffer()
            .connect(server.address);
        let mut pair = Pair::of(Client::connect(server.address), deaf);
        let flood = pair.signal(json!("x".repeat(60_000))).to_string();
        process::reset_peak(server.id());
        let before = process::resident(server.id());
        // Within the message rate, so that nothing but the reader is at fault.
        let mut pace = Pace::every(Duration::from_millis(12));
        let event = (0..ENDLESS).find_map(|_| {
            pair.creator.send_text(&flood);
            pace.tick();
            pair.creator.event_if_any()
        });
        peak = process::peak(server.id()).saturating_sub(before).max(peak);
        assert_offline(event);
        // What the kernel held comes first, then the reason.
        assert_eq!(pair.joiner.end(), Event::closed(1008, "slow-reader"));
    });
    note(&format!("{peak} bytes more at most"));
    assert!(peak <= MEBIBYTE + SLACK, "{peak} bytes more");
}

/// The queue is bounded however many there are.
#[test]
fn many_deaf_readers_cost_a_mebibyte_each_at_most() {
    let _turn = alone();
    let server = Server::start("messages-per-second = 100000");
    let count = sized(10, 100) as u64;
    let mut pairs: Vec<_> = (0..count)
        .map(|_| {
            let deaf = Approach::default()
                .small_receive_buffer()
                .connect(server.address);
            let pair = Pair::of(Client::connect(server.address), deaf);
            let flood = pair.signal(json!("x".repeat(60_000))).to_string();
            (pair, flood)
        })
        .collect();
    process::reset_peak(server.id());
    let before = process::resident(server.id());
    for _ in 0..ENDLESS {
        pairs.retain_mut(|(pair, flood)| {
            pair.creator.send_text(flood);
            let event = pair.creator.event_if_any();
            if event.is_some() {
                assert_offline(event);
                return false;
            }
            true
        });
    }
    assert!(pairs.is_empty(), "{} are still borne with", pairs.len());
    let grown = process::peak(server.id()) - before;
    note(&format!("{} bytes more for each of {count}", grown / count));
    assert!(
        grown <= count * (MEBIBYTE + SLACK),
        "{grown} bytes more for {count}"
    );
}

/// A pong is owed for every ping (RFC 6455 §5.5.2), so they can be used like messages.
#[test]
fn pings_whose_answers_nobody_reads_are_cut_off() {
    let _turn = alone();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    process::reset_peak(server.id());
    let before = process::resident(server.id());
    let mut deaf = Approach::default()
        .small_receive_buffer()
        .connect(server.address);
    let pings = frame::frame(FIN | PING, &[b'x'; 125]).repeat(500);
    let begun = Instant::now();
    while deaf.send_bytes(&pings).is_ok() {
        assert!(
            begun.elapsed() < PATIENCE,
            "no answer is read and it is still open"
        );
    }
    let grown = process::peak(server.id()) - before;
    assert!(grown <= MEBIBYTE + SLACK, "{grown} bytes more");
    pair.assert_talking();
}

/// Nor do pings at the rate of row 7 harm anybody when their answers are read.
#[test]
fn a_ping_flood_is_not_felt() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        let mut pair = Pair::meet(server.address);
        let pings = frame::frame(FIN | PING, b"still there?").repeat(100);
        let mut pace = Pace::every(Duration::from_millis(10));
        for _ in 0..50 {
            let open = pair.joiner.send_bytes(&pings).is_ok() && !pair.joiner.has_ended();
            assert!(open, "ended for asking whether anybody is there");
            pace.tick();
        }
        pair.assert_talking();
    });
}

#[test]
fn a_message_flood_is_limited_and_then_closed() {
    let _turn = alone();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    undisturbed(&server, || {
        let mut victims = Pair::meet(server.address);
        let message = victims.signal(json!({ "kind": "weather" })).to_string();
        let ended = flood(&mut victims.joiner, &message);
        // The partner got what was within the limit and is told of the end.
        let mut relayed = 0;
        let offline = loop {
            match victims.creator.receive() {
                message if message["type"] == "signal" => relayed += 1,
                other => break other,
            }
        };
        assert_eq!(offline["type"], "peer-offline");
        // 200 at once, `join` among them, and 100 a second, for the second or so that the flood was borne.
        assert!((190..=600).contains(&relayed), "{relayed} relayed");
        assert_eq!(ended, Event::closed(1008, "rate-limited"));
    });
    // Told before it was closed.
    assert!(server.metric("crowfly_refusals_total{code=\"rate-limited\"}") > 0);
    pair.assert_talking();
}

/// Nonsense counts like messages do.
#[test]
fn a_flood_of_nonsense_is_limited_and_then_closed() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        for nonsense in ["{", "", "{\"type\":\"leave\"}"] {
            let mut client = Client::connect(server.address);
            assert_eq!(
                flood(&mut client, nonsense),
                Event::closed(1008, "rate-limited"),
                "{nonsense:?}"
            );
        }
    });
}

/// Ten thousand a second, until the server ends it.
fn flood(client: &mut Client, text: &str) -> Event {
    let burst = frame::frame(FIN | TEXT, text.as_bytes()).repeat(100);
    let mut pace = Pace::every(Duration::from_millis(10));
    for _ in 0..1_000 {
        let taken = client.send_bytes(&burst).is_ok();
        while let Some(event) = client.event_if_any() {
            if !matches!(event, Event::Message(_)) {
                return event;
            }
        }
        assert!(taken, "cut off without a close");
        pace.tick();
    }
    panic!("100,000 messages in ten seconds and still open");
}

fn assert_offline(event: Option<Event>) {
    let Some(Event::Message(message)) = &event else {
        panic!("{event:?} where the partner should be cut off");
    };
    assert_eq!(message["type"], "peer-offline", "{message}");
}
