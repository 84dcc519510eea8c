//! Row 12, and who may say what to whom: seats, sessions and names that are not one's own.

use serde_json::{Value, json};

use crate::kit::frame::{self, FIN, TEXT};
use crate::kit::{Client, Event, Pair, Server, alone, among_others, room, undisturbed};

#[test]
fn a_spoofed_sender_is_overwritten() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        let mut pair = Pair::meet(server.address);
        let mut message = pair.signal(json!({ "kind": "goodbye" }));
        message["from"] = json!(pair.creator.peer);
        pair.joiner.send(&message);
        let heard = pair.creator.receive_type("signal");
        assert_eq!(heard["from"], pair.joiner.peer);
        // Named twice, so that two readers might take two different words for it: nobody has to.
        let twice = format!(
            r#"{{"type":"signal","from":"{0}","session":"{1}","payload":{{"from":"{0}"}},"from":"{0}"}}"#,
            pair.creator.peer, pair.session
        );
        pair.joiner.send_text(&twice);
        assert_eq!(
            pair.joiner.receive_type("error")["code"],
            "malformed-message"
        );
        pair.creator.assert_undisturbed();
    });
}

#[test]
fn a_stranger_is_heard_by_nobody() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        let mut pair = Pair::meet(server.address);
        let mut stranger = Client::connect(server.address);
        let offer = pair.signal(json!({ "kind": "goodbye" }));
        let reject = json!({ "type": "reject", "session": pair.session, "reason": "busy" });
        for request in [
            offer,
            reject,
            json!({ "type": "leave" }),
            json!({ "type": "destroy" }),
        ] {
            assert_eq!(stranger.refused(request), "not-in-room");
        }
        // From a room of its own it reaches no farther.
        room::create(&mut stranger);
        assert_eq!(stranger.refused(pair.signal(json!({}))), "no-peer");
        assert_eq!(
            stranger.refused(room::join(&pair.room, &room::new_session())),
            "already-in-room"
        );
        for member in [&mut pair.creator, &mut pair.joiner] {
            member.assert_undisturbed();
        }
        pair.assert_talking();
    });
}

#[test]
fn strangers_that_come_and_go_end_nothing() {
    let _turn = among_others();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    for _ in 0..20 {
        let mut stranger = Client::connect(server.address);
        assert_eq!(
            stranger.refused(room::join(&pair.room, &room::new_session())),
            "room-full"
        );
    }
    for member in [&mut pair.creator, &mut pair.joiner] {
        member.assert_undisturbed();
        assert_eq!(
            member.refused(json!({ "type": "destroy" })),
            "room-occupied"
        );
        assert_eq!(
            member.refused(room::join(&pair.room, &room::new_session())),
            "already-in-room"
        );
    }
    pair.assert_talking();
}

#[test]
fn only_the_pairing_that_is_goes_on() {
    let _turn = among_others();
    let server = Server::start("");
    let Pair {
        mut creator,
        mut joiner,
        room,
        session,
        ..
    } = Pair::meet(server.address);
    let old = room::signal(&session, json!({ "kind": "goodbye" }));
    let invented = room::signal(&room::new_session(), json!({ "kind": "goodbye" }));
    assert_eq!(joiner.refused(invented), "stale-session");
    assert_eq!(joiner.ask(json!({ "type": "leave" }))["type"], "left");
    assert_eq!(creator.receive_type("peer-left")["session"], session);
    assert_eq!(creator.refused(old.clone()), "no-peer");
    let mut next = Client::connect(server.address);
    assert_eq!(next.refused(room::join(&room, &session)), "session-reused");
    assert_eq!(
        next.ask(room::join(&room, &room::new_session()))["type"],
        "joined"
    );
    creator.receive_type("peer-joined");
    assert_eq!(creator.refused(old), "stale-session");
    next.assert_undisturbed();
}

#[test]
fn third_parties_are_told_nothing() {
    let _turn = among_others();
    let server = Server::start("");
    let mut others = [Pair::meet(server.address), Pair::meet(server.address)];
    let mut alone = Client::connect(server.address);
    room::create(&mut alone);
    let mut idle = Client::connect(server.address);
    let mut pair = Pair::meet(server.address);
    for _ in 0..20 {
        pair.assert_talking();
    }
    pair.creator
        .ask(json!({ "type": "reject", "session": pair.session, "reason": "other" }));
    drop(pair);
    let pairs = others
        .iter_mut()
        .flat_map(|pair| [&mut pair.creator, &mut pair.joiner]);
    for client in pairs.chain([&mut alone, &mut idle]) {
        client.assert_undisturbed();
    }
}

#[test]
fn a_seat_is_taken_back_by_its_token_only() {
    let _turn = alone();
    let server = Server::start("failed-look-ups-per-minute = 1000000");
    undisturbed(&server, || {
        let mut pair = Pair::meet(server.address);
        let mut thief = Client::connect(server.address);
        let (_, thiefs_token) = room::create(&mut thief);
        assert_eq!(thief.ask(json!({ "type": "destroy" }))["type"], "destroyed");
        let (room, session) = (pair.room.clone(), pair.session.clone());
        let resume = |token: Value| json!({ "type": "resume", "room": room, "token": token, "session": session });
        let attempts = [
            (
                json!({ "type": "resume", "room": pair.room, "session": pair.session }),
                "invalid-field",
            ),
            (
                json!({ "type": "resume", "room": pair.room, "peer": pair.creator.peer, "from": pair.creator.peer }),
                "invalid-field",
            ),
            (resume(Value::Null), "invalid-field"),
            (resume(json!("")), "invalid-field"),
            (resume(json!(pair.creator.peer)), "invalid-field"),
            (resume(json!(pair.session)), "room-full"),
            (resume(json!(thiefs_token)), "room-full"),
        ];
        for (attempt, code) in attempts {
            assert_eq!(thief.refused(attempt.clone()), code, "{attempt}");
        }
        let mut join = room::join(&pair.room, &room::new_session());
        join["token"] = json!(thiefs_token);
        assert_eq!(thief.refused(join), "room-full");
        for owner in [&mut pair.creator, &mut pair.joiner] {
            owner.assert_undisturbed();
        }
        pair.assert_talking();
        // The positive control: with the right token the seat changes hands, and the old connection is told why.
        let back = thief.ask(resume(json!(pair.tokens[0])));
        assert_eq!(
            (&back["type"], &back["peer"]),
            (&json!("resumed"), &json!(pair.joiner.peer)),
            "{back}"
        );
        assert_eq!(pair.creator.end(), Event::closed(1008, "replaced"));
    });
}

/// Two tabs with one identity: the last one has the seat, the other is told, and the partner is with one of them all the time.
#[test]
fn of_two_with_one_token_the_last_has_the_seat() {
    let _turn = among_others();
    let server = Server::start("");
    let Pair {
        creator,
        mut joiner,
        room,
        session,
        tokens: [token, _],
    } = Pair::meet(server.address);
    let resume = json!({ "type": "resume", "room": room, "token": token, "session": session });
    let mut tab = creator;
    for number in 0..20 {
        let mut other = Client::connect(server.address);
        assert_eq!(other.ask(resume.clone())["type"], "resumed");
        assert_eq!(tab.end(), Event::closed(1008, "replaced"));
        assert_eq!(joiner.receive_type("peer-online")["type"], "peer-online");
        joiner.send(&room::signal(&session, json!(number)));
        assert_eq!(other.receive_type("signal")["payload"], number);
        // What the one that was replaced still says reaches nobody.
        let _ = tab.send_bytes(&text_frame(&room::signal(&session, json!("ghost"))));
        tab = other;
    }
    joiner.assert_undisturbed();
    drop(tab);
    joiner.receive_type("peer-offline");
}

fn text_frame(message: &Value) -> Vec<u8> {
    frame::frame(FIN | TEXT, message.to_string().as_bytes())
}
