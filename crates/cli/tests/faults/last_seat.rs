//! Row 11 and other races: fifty want the last seat at once, or a room ends while somebody joins.

use serde_json::json;

use crate::kit::{Client, Server, alone, note, room, sized, undisturbed};

const JOINERS: usize = 50;

/// What else would end a thousand rounds.
const NO_LIMITS: &str = "messages-per-second = 100000\nfailed-look-ups-per-minute = 1000000000\njoin-timeout-seconds = 86400";

#[test]
fn of_fifty_joiners_exactly_one_gets_the_last_seat() {
    let _turn = alone();
    let server = Server::start(NO_LIMITS);
    let mut creator = Client::connect(server.address);
    let mut joiners: Vec<_> = (0..JOINERS)
        .map(|number| (number, Client::connect(server.address)))
        .collect();
    let mut random = fastrand::Rng::with_seed(0x5EA7);
    let mut wins = [0; JOINERS];
    let rounds = sized(1_000, 20_000);
    undisturbed(&server, || {
        (0..rounds).for_each(|_| {
            let (room, _) = room::create(&mut creator);
            // All of them have asked before the first answer is read.
            random.shuffle(&mut joiners);
            for (_, client) in &mut joiners {
                let mut request = room::join(&room, &room::new_session());
                request["id"] = json!(1);
                client.send(&request);
            }
            let mut seated = Vec::new();
            for (number, client) in &mut joiners {
                let answer = client.receive();
                if answer["type"] == "joined" {
                    wins[*number] += 1;
                    seated.push(client);
                } else {
                    assert_eq!(answer["code"], "room-full", "{answer}");
                }
            }
            assert_eq!(seated.len(), 1, "joined one room of two seats");
            creator.receive_type("peer-joined");
            assert_eq!(seated[0].ask(json!({ "type": "leave" }))["type"], "left");
            creator.receive_type("peer-left");
            assert_eq!(
                creator.ask(json!({ "type": "destroy" }))["type"],
                "destroyed"
            );
            creator.assert_undisturbed();
        })
    });
    let winners = wins.iter().filter(|wins| **wins > 0).count();
    note(&format!(
        "{winners} of {JOINERS} won at least once, one of them {} times",
        wins.iter().max().unwrap_or(&0)
    ));
    assert!(winners > JOINERS / 2, "{winners} ever won: nobody raced");
}

/// Whoever comes first: either the room is gone and the joiner is told so, or it is occupied and stays.
#[test]
fn joining_races_destroying() {
    let _turn = alone();
    let server = Server::start(NO_LIMITS);
    let [mut creator, mut joiner] = [
        Client::connect(server.address),
        Client::connect(server.address),
    ];
    let (mut joined, mut destroyed) = (0, 0);
    let rounds = sized(1_000, 100_000);
    for round in 0..rounds {
        let (room, _) = room::create(&mut creator);
        let mut join = room::join(&room, &room::new_session());
        join["id"] = json!(1);
        let destroy = json!({ "type": "destroy", "id": 1 });
        if round % 2 == 0 {
            joiner.send(&join);
            creator.send(&destroy);
        } else {
            creator.send(&destroy);
            joiner.send(&join);
        }
        let [joiners, creators] = [&mut joiner, &mut creator]
            .map(|client| client.answer_to(1).expect("every request is answered"));
        if joiners["type"] == "joined" {
            joined += 1;
            assert_eq!(creators["code"], "room-occupied", "{creators}");
            assert_eq!(joiner.ask(json!({ "type": "leave" }))["type"], "left");
            creator.ask(json!({ "type": "destroy" }));
        } else {
            destroyed += 1;
            assert_eq!(joiners["code"], "room-not-found", "{joiners}");
            assert_eq!(creators["type"], "destroyed", "{creators}");
        }
    }
    note(&format!("{joined} joined, {destroyed} came too late"));
    assert!(joined > 0 && destroyed > 0, "nobody raced");
    assert_eq!(server.metric("crowfly_rooms"), 0);
}
