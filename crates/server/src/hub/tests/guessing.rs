//! Somebody tries names of rooms: how many tell it something.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hub::{
    Config,
    tests::scene::{Scene, session},
};

fn join(room: &str, number: u8) -> Value {
    json!({"type": "join", "room": room, "session": session(number)})
}

#[test]
fn guessing_stops_at_twenty_a_minute() {
    let mut scene = Scene::new();
    let mut codes = Vec::new();
    for guess in 0..10_000 {
        // A new connection for every guess, all from one IPv6 /64.
        let guesser = scene.connect_from(format!("2001:db8::{guess:x}").parse().unwrap());
        scene.next(guesser);
        codes.push(scene.refused(guesser, join(&format!("room-{guess}"), 1)));
    }
    let looked_up = codes
        .iter()
        .filter(|code| *code == "room-unavailable")
        .count();
    assert_eq!(looked_up, 20);
    assert!(codes[20..].iter().all(|code| code == "rate-limited"));

    let neighbour = scene.connect_from("2001:db8:0:1::1".parse().unwrap());
    scene.next(neighbour);
    assert_eq!(
        scene.refused(neighbour, join("kitchen", 1)),
        "room-unavailable",
        "another /64"
    );
    scene.pass(Duration::from_secs(60));
    let later = scene.connect_from("2001:db8::1".parse().unwrap());
    scene.next(later);
    assert_eq!(
        scene.refused(later, join("kitchen", 1)),
        "room-unavailable",
        "a minute later"
    );
    scene.pass(Duration::from_secs(120));
    assert!(scene.is_empty(), "sources are forgotten");
}

#[test]
fn making_rooms_of_guessed_names_stops_at_twenty_a_minute() {
    let mut scene = Scene::new();
    scene.pair("kitchen");
    let mut guesser = scene.connect();
    let mut made = 0;
    for guess in 0..10_000 {
        // A new connection for every guess, all from one address.
        guesser = scene.connect_from([192, 0, 2, 1].into());
        scene.next(guesser);
        let name = format!("room-{guess}");
        let answer = scene.ask(guesser, json!({"type": "create", "room": name}));
        if answer["type"] == "created" {
            made += 1;
            scene.ask(guesser, json!({"type": "leave"}));
        } else {
            assert_eq!(answer["code"], "rate-limited");
        }
    }
    assert_eq!(made, 20);
    // What is in use looks no different now, nor may it be tried in another way.
    let create = json!({"type": "create", "room": "kitchen"});
    assert_eq!(scene.refused(guesser, create), "rate-limited");
    assert_eq!(scene.refused(guesser, join("kitchen", 9)), "rate-limited");
    let created = scene.ask(guesser, json!({"type": "create"}));
    assert_eq!(created["type"], "created", "a drawn name looks nothing up");
    let created = created["room"].as_str().unwrap().to_owned();
    scene.ask(guesser, json!({"type": "leave"}));
    assert_eq!(
        scene.refused(guesser, join(&created, 9)),
        "room-not-found",
        "nor can one be guessed"
    );
}

#[test]
fn a_full_source_learns_no_more_about_names_than_others() {
    let config = Config {
        max_rooms_per_source: 1,
        ..Config::default()
    };
    let mut scene = Scene::with(config);
    let address = "192.0.2.1".parse().unwrap();
    let [full, guesser] = [(); 2].map(|()| {
        let connection = scene.connect_from(address);
        scene.next(connection);
        connection
    });
    scene.ask(full, json!({"type": "create"}));
    for guess in 0..20 {
        let create = json!({"type": "create", "room": format!("room-{guess}")});
        assert_eq!(scene.refused(guesser, create), "too-many-rooms");
    }
    let create = json!({"type": "create", "room": "kitchen"});
    assert_eq!(scene.refused(guesser, create), "rate-limited");
}

#[test]
fn every_way_to_ask_for_a_name_counts_as_a_look_up() {
    for request in [
        json!({"type": "create", "room": "kitchen"}),
        join("kitchen", 9),
        json!({"type": "resume", "room": "kitchen", "token": session(9)}),
        json!({"type": "resume", "room": "kitchen", "token": session(9), "session": session(9)}),
    ] {
        let mut scene = Scene::new();
        let [_, (second, joined)] = scene.pair("kitchen");
        let guesser = scene.connect();
        for _ in 0..20 {
            assert_ne!(scene.refused(guesser, request.clone()), "rate-limited");
        }
        if request["type"] == "resume" && request["session"].is_string() {
            let apart = scene.ask(guesser, request.clone());
            assert_eq!(apart["peer"], json!(null), "a room apart: {apart}");
            scene.ask(guesser, json!({"type": "leave"}));
        } else {
            assert_eq!(scene.refused(guesser, request.clone()), "rate-limited");
        }
        let answer = scene.ask(guesser, json!({"type": "create"}));
        assert_eq!(answer["type"], "created", "a drawn name looks nothing up");
        scene.ask(guesser, json!({"type": "leave"}));
        scene.cut(second);
        let answer = scene.ask(
            guesser,
            json!({"type": "resume", "room": "kitchen", "token": joined["token"]}),
        );
        assert_eq!(
            answer["type"], "resumed",
            "who proves a seat guesses nothing"
        );
    }
}
