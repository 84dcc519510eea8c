//! Rows 3 and 4: connections that do nothing, connections that are dead without having said so, and messages that never end.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::frame::{self, CONTINUATION, FIN, PING, TEXT};
use crate::kit::{
    Cable, Client, Event, Pace, Pair, Server, alone, among_others, assert_took, room, undisturbed,
};

#[test]
fn a_socket_that_never_joins_is_closed() {
    let _turn = alone();
    let limit = Duration::from_secs(2);
    let server = Server::start("join-timeout-seconds = 2.0");
    undisturbed(&server, || {
        let begun = Instant::now();
        let mut idle = Client::connect(server.address);
        assert_eq!(idle.end(), Event::closed(1008, "join-timeout"));
        assert_took(begun, [limit; 2]);
        // Talking is not joining.
        let begun = Instant::now();
        let mut busy = Client::connect(server.address);
        let mut pace = Pace::every(Duration::from_millis(20));
        let end = loop {
            pace.tick();
            busy.send(&json!({ "type": "leave", "id": 1 }));
            match busy.event() {
                Event::Message(answer) => assert_eq!(answer["code"], "not-in-room"),
                end => break end,
            }
        };
        assert_eq!(end, Event::closed(1008, "join-timeout"));
        assert_took(begun, [limit; 2]);
    });
}

#[test]
fn a_dead_network_is_noticed_and_the_seat_is_freed() {
    let _turn = alone();
    let [interval, timeout, kept] = [1.0, 2.0, 1.5].map(Duration::from_secs_f64);
    let server = Server::start(
        "ping-interval-seconds = 1.0\nping-timeout-seconds = 2.0\nseat-kept-seconds = 1.5",
    );
    undisturbed(&server, || {
        let cable = Cable::to(server.address);
        let mut pair = Pair::of(
            Client::connect(server.address),
            Client::connect(cable.address),
        );
        cable.cut();
        let begun = Instant::now();
        assert_eq!(
            pair.creator.receive_type("peer-offline")["peer"],
            pair.joiner.peer
        );
        // Cut right before a ping, or right after its answer.
        assert_took(begun, [timeout, interval + timeout]);
        let begun = Instant::now();
        let left = pair.creator.receive_type("peer-left");
        assert_eq!(
            (&left["reason"], &left["session"]),
            (&json!("lost"), &json!(pair.session))
        );
        assert_took(begun, [kept; 2]);
        let mut next = Client::connect(server.address);
        assert_eq!(
            next.ask(room::join(&pair.room, &room::new_session()))["type"],
            "joined"
        );
        pair.creator.receive_type("peer-joined");
    });
}

/// A client that is there and answers nothing is told why it is cut off.
#[test]
fn who_answers_no_ping_is_cut_off() {
    let _turn = alone();
    let [interval, timeout] = [1.0, 2.0].map(Duration::from_secs_f64);
    let server = Server::start("ping-interval-seconds = 1.0\nping-timeout-seconds = 2.0");
    undisturbed(&server, || {
        let begun = Instant::now();
        let mut pair = Pair::meet(server.address);
        pair.joiner.alive = false;
        assert_eq!(
            pair.creator.receive_type("peer-offline")["peer"],
            pair.joiner.peer
        );
        assert_took(begun, [interval + timeout; 2]);
        assert_eq!(pair.joiner.end(), Event::closed(1008, "ping-timeout"));
    });
}

/// Whatever is begun has to end, also where pings are answered meanwhile.
#[test]
fn a_message_that_does_not_end_is_cut_off() {
    let _turn = alone();
    let server = Server::start(
        "message-timeout-seconds = 1.0\nping-interval-seconds = 0.3\njoin-timeout-seconds = 86400",
    );
    let whole = frame::frame(FIN | TEXT, &[b' '; 60_000]);
    let part = frame::frame(TEXT, b"{");
    let more = frame::frame(CONTINUATION, b"");
    undisturbed(&server, || {
        for (what, begin, trickle) in [
            ("one byte", &whole[..1], &[][..]),
            ("a header", &whole[..8], &[]),
            ("a byte after the other", &whole[..9], &whole[9..10]),
            ("fragments", &part, &more),
            ("one fragment", &part, &[]),
            (
                "a ping within a message",
                &part,
                &frame::frame(FIN | PING, b""),
            ),
        ] {
            let mut pair = Pair::meet(server.address);
            // A pong in the middle of a frame would be part of it.
            pair.joiner.alive = begin == part;
            pair.joiner.send_bytes(begin).expect("a beginning is taken");
            let mut pace = Pace::every(Duration::from_millis(20));
            let end = loop {
                pace.tick();
                let taken = pair.joiner.send_bytes(trickle).is_ok();
                match pair.joiner.event_if_any() {
                    Some(end) => break end,
                    None => assert!(taken, "{what}: hung up without a word"),
                }
            };
            assert_eq!(end, Event::closed(1008, "message-timeout"), "{what}");
            pair.creator.receive_type("peer-offline");
        }
    });
}

#[test]
fn a_kept_seat_is_taken_by_nobody_else_and_given_back() {
    let _turn = among_others();
    let server = Server::start("");
    let Pair {
        mut creator,
        joiner,
        room,
        session,
        tokens,
    } = Pair::meet(server.address);
    drop(joiner);
    creator.receive_type("peer-offline");
    assert_eq!(
        creator.refused(room::signal(&session, json!(1))),
        "peer-offline"
    );
    let mut next = Client::connect(server.address);
    assert_eq!(
        next.refused(room::join(&room, &room::new_session())),
        "room-full"
    );
    let resume = json!({ "type": "resume", "room": room, "token": tokens[1], "session": session });
    let resumed = next.ask(resume);
    assert_eq!(
        (&resumed["type"], &resumed["session"]),
        (&json!("resumed"), &json!(session)),
        "{resumed}"
    );
    creator.receive_type("peer-online");
    creator.send(&room::signal(&session, json!("again")));
    assert_eq!(next.receive_type("signal")["payload"], "again");
}

/// A client that says it will send no more is gone (there is no half-open WebSocket, RFC 6455 §7.1.1), and costs nothing.
#[test]
fn a_half_closed_socket_is_let_go() {
    let _turn = among_others();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    pair.joiner
        .stream
        .shutdown(Shutdown::Write)
        .expect("a socket");
    pair.creator.receive_type("peer-offline");
    assert_eq!(pair.joiner.end(), Event::Dropped);
    server.wait_for_metric("crowfly_connections", 1);
}

#[test]
fn rooms_of_dropped_sockets_do_not_stay() {
    let _turn = among_others();
    let server = Server::start("seat-kept-seconds = 0.3");
    let mut watcher = Pair::meet(server.address);
    for _ in 0..20 {
        drop(Pair::meet(server.address));
    }
    assert!(server.metric("crowfly_rooms") > 1);
    server.wait_for_metric("crowfly_rooms", 1);
    server.wait_for_metric("crowfly_connections", 2);
    watcher.assert_talking();
}

/// All at once, because each takes the ten seconds that `docs/protocol.md` promises.
#[test]
fn silence_ends_after_ten_seconds_by_default() {
    let _turn = among_others();
    let server = Server::start("");
    let begun = Instant::now();
    let mut welcomed = Client::connect(server.address);
    let mut silent = Client::bare(server.address);
    silent
        .send_bytes(b"GET /ws HTTP/1.1\r\nHost:")
        .expect("half a head is taken");
    let mut pair = Pair::meet(server.address);
    let half = frame::head(FIN | TEXT, 60_000);
    pair.joiner.send_bytes(&half).expect("a header is taken");
    assert_eq!(welcomed.end(), Event::closed(1008, "join-timeout"));
    assert_eq!(pair.joiner.end(), Event::closed(1008, "message-timeout"));
    // It may be told 408 (RFC 9110 §15.5.9) before.
    while silent.response_head().is_some() {}
    assert_took(begun, [Duration::from_secs(10); 2]);
}
