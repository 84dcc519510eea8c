//! Rows 13 and 14: the server stops, or dies, and comes back.

use std::net::Ipv4Addr;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kit::{
    Approach, Client, Event, PATIENCE, Pair, Server, alone, among_others, note, sized,
};

#[test]
fn sigterm_says_goodbye_to_all_and_ends_in_time() {
    let _turn = among_others();
    let mut server = Server::start("drain-seconds = 3.0\nclose-timeout-seconds = 86400");
    let mut pairs: Vec<_> = (0..20).map(|_| Pair::meet(server.address)).collect();
    let mut idle = Client::connect(server.address);
    let mut halfway = Client::bare(server.address);
    halfway
        .send_bytes(b"GET /ws HTTP/1.1\r\n")
        .expect("half a head is taken");
    // One will not answer the close, ever.
    let stubborn = Client::connect(server.address);
    let begun = Instant::now();
    server.terminate();
    for client in pairs
        .iter_mut()
        .flat_map(|pair| [&mut pair.creator, &mut pair.joiner])
        .chain([&mut idle])
    {
        // Nothing before it: no `peer-offline` for a partner that is only being told the same.
        assert_eq!(client.event(), Event::closed(1001, "shutting-down"));
        client.confirm_close();
        assert_eq!(client.event(), Event::Dropped);
    }
    let status = server.wait();
    note(&format!("stopped {:?} after SIGTERM", begun.elapsed()));
    assert!(status.success(), "{status}");
    assert!(
        begun.elapsed().as_secs() < 30,
        "ended after {:?}",
        begun.elapsed()
    );
    drop(stubborn);
}

#[test]
fn nobody_is_let_in_while_it_stops() {
    let _turn = among_others();
    let mut server = Server::start("drain-seconds = 5.0");
    let mut held = Client::connect(server.address);
    server.terminate();
    assert_eq!(held.event(), Event::closed(1001, "shutting-down"));
    assert!(
        Approach::default().tcp(server.address).is_err(),
        "still listening"
    );
    assert!(server.wait().success());
}

/// Killed and started again, over and over, with pairs that come back each time. The pairing stays what it was: same session, so
/// their peer connection need not notice.
#[test]
fn pairs_come_back_after_kill_9() {
    let _turn = alone();
    let mut server = Server::start("");
    let mut pairs: Vec<_> = (0..5)
        .map(|_| Member::both(Pair::meet(server.address)))
        .collect();
    let mut slowest = std::time::Duration::ZERO;
    for round in 0..sized(10, 100) {
        server.kill_and_restart();
        let begun = Instant::now();
        for (number, pair) in pairs.iter_mut().enumerate() {
            // Either may be first: then it makes the room again, and waits.
            let [first, second] = if (round + number) % 2 == 0 {
                [0, 1]
            } else {
                [1, 0]
            };
            assert_eq!(pair[first].come_back(&server)["peer"], Value::Null);
            let resumed = pair[second].come_back(&server);
            assert_eq!(resumed["peer"], pair[first].client.peer);
            assert_eq!(resumed["session"], pair[second].session);
            let joined = pair[first].client.receive_type("peer-joined");
            assert_eq!(
                (&joined["peer"], &joined["session"]),
                (&json!(pair[second].client.peer), &resumed["session"])
            );
            let ping = crate::kit::room::signal(&pair[0].session, json!("ping"));
            pair[0].client.send(&ping);
            assert_eq!(pair[1].client.receive_type("signal")["payload"], "ping");
        }
        slowest = slowest.max(begun.elapsed());
    }
    note(&format!(
        "all back {slowest:?} after the server was, at the slowest of {} times",
        sized(10, 100)
    ));
    assert!(slowest.as_secs() < 5, "all back after {slowest:?}");
    assert_eq!(server.metric("crowfly_rooms"), 5);
}

/// Fifty people in rooms of chosen names are all behind one address when they come back: the limit on names that are tried there must
/// not keep them out.
#[test]
fn fifty_people_behind_one_address_come_back_after_kill_9() {
    let _turn = alone();
    let mut server = Server::start("");
    let mut pairs: Vec<_> = (0..25_u8)
        .map(|number| {
            // They came from elsewhere, or it would take them two minutes to choose so many names.
            let creator = Approach::default()
                .from(Ipv4Addr::new(127, 0, 3, number / 15))
                .connect(server.address);
            let joiner = Client::connect(server.address);
            Member::both(Pair::named(creator, joiner, &format!("room-{number}")))
        })
        .collect();
    server.kill_and_restart();
    let begun = Instant::now();
    for side in [0, 1] {
        for pair in &mut pairs {
            let resumed = pair[side].come_back(&server);
            assert_eq!(resumed["peer"].is_null(), side == 0, "{resumed}");
        }
    }
    for pair in &mut pairs {
        pair[0].client.receive_type("peer-joined");
        let ping = crate::kit::room::signal(&pair[0].session, json!("ping"));
        pair[0].client.send(&ping);
        assert_eq!(pair[1].client.receive_type("signal")["payload"], "ping");
    }
    let took = begun.elapsed();
    note(&format!("fifty were back {took:?} after the server was"));
    assert!(took.as_secs() < 5, "all back after {took:?}");
}

/// One end of a pairing, with what it needs to come back.
struct Member {
    client: Client,
    room: String,
    session: String,
    token: String,
}

impl Member {
    fn both(pair: Pair) -> [Self; 2] {
        let Pair {
            creator,
            joiner,
            room,
            session,
            tokens: [creators, joiners],
        } = pair;
        [(creator, creators), (joiner, joiners)].map(|(client, token)| {
            let (room, session) = (room.clone(), session.clone());
            Self {
                client,
                room,
                session,
                token,
            }
        })
    }

    fn come_back(&mut self, server: &Server) -> Value {
        assert_eq!(
            self.client.end(),
            Event::Dropped,
            "a killed server says nothing, and takes no {PATIENCE:?} to say it"
        );
        self.client = Client::connect(server.address);
        let request = json!({ "type": "resume", "room": self.room, "token": self.token, "session": self.session });
        let resumed = self.client.ask(request);
        assert_eq!(resumed["type"], "resumed", "{resumed}");
        self.token = crate::kit::room::text(&resumed["token"]);
        resumed
    }
}
