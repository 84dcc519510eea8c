//! The hub as a whole: connections and their limits. Rules of single requests are tested where they stand.

mod defects;
mod guessing;
pub(super) mod scene;

use std::{net::Ipv4Addr, time::Duration};

use serde_json::json;

use self::scene::{Scene, session, signal};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_server_speaks_first() {
    let mut scene = Scene::new();
    let first = scene.connect_from(Ipv4Addr::LOCALHOST.into());
    let welcome = scene.next(first);
    assert_eq!(
        (&welcome["type"], &welcome["protocol"]),
        (&json!("welcome"), &json!(1))
    );
    assert_eq!(welcome["iceServers"], json!([{"urls": ["stun:test:3478"]}]));
    let second = scene.connect_from(Ipv4Addr::LOCALHOST.into());
    assert_ne!(
        scene.next(second)["peer"],
        welcome["peer"],
        "a peer id of its own"
    );
}

#[test]
fn what_is_no_message_is_answered_and_harms_nobody() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    for (text, code) in [
        ("", "malformed-message"),
        ("{", "malformed-message"),
        (r#"{"type":"weather","id":1}"#, "unknown-type"),
        (r#"{"type":"signal","id":1}"#, "invalid-field"),
    ] {
        scene.say_text(first, text);
        let answer = scene.next(first);
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(code))
        );
    }
    scene.input(Input::Binary { connection: first });
    assert_eq!(scene.next(first)["code"], "binary-message");
    scene.hears_nothing(second);
    scene.say(first, signal(1));
    assert_eq!(scene.next(second)["type"], "signal");
}

#[test]
fn too_many_messages_are_refused_then_the_connection_is_closed() {
    let mut scene = Scene::new();
    let [(first, created), (second, _)] = scene.pair("kitchen");
    // The first has used one message of its burst for `create`.
    for _ in 0..199 {
        scene.say(first, signal(1));
        scene.next(second);
    }
    assert_eq!(scene.refused(first, signal(1)), "rate-limited");
    scene.say_text(first, r#"{"type":"weather"}"#);
    assert_eq!(
        scene.next(first)["code"],
        "unknown-type",
        "it says what is wrong all the same"
    );
    scene.pass(2 * SECOND);
    scene.say(first, signal(1));
    assert_eq!(scene.next(second)["type"], "signal", "who pauses may go on");

    scene.pass(5 * SECOND);
    for _ in 0..400 {
        assert_eq!(scene.closed(first), None);
        scene.say(first, signal(1));
    }
    scene.say(first, signal(1));
    assert_eq!(scene.closed(first), Some(ErrorCode::RateLimited));
    for _ in 0..200 {
        assert_eq!(scene.next(second)["type"], "signal");
        assert_eq!(scene.next(first)["code"], "rate-limited");
    }
    let offline = scene.next(second);
    assert_eq!(
        offline["type"], "peer-offline",
        "its seat is kept, as if it had been lost"
    );
    assert!(created["token"].is_string());
}

#[test]
fn a_steady_hundred_a_second_is_never_refused() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    for _ in 0..3_000 {
        scene.pass(Duration::from_millis(10));
        scene.say(first, signal(1));
        assert_eq!(scene.next(second)["type"], "signal");
    }
    scene.hears_nothing(first);
}

#[test]
fn a_connection_without_a_room_has_ten_seconds() {
    let mut scene = Scene::new();
    let idle = scene.connect();
    scene.pass(9 * SECOND);
    assert_eq!(scene.closed(idle), None);
    scene.refused(
        idle,
        json!({"type": "join", "room": "nowhere", "session": session(1)}),
    );
    scene.pass(SECOND);
    assert_eq!(
        scene.closed(idle),
        Some(ErrorCode::JoinTimeout),
        "asking in vain gives no more time"
    );

    let guest = scene.connect();
    scene.ask(guest, json!({"type": "create"}));
    scene.pass(60 * SECOND);
    assert_eq!(scene.closed(guest), None, "who waits in a room may wait");
    scene.ask(guest, json!({"type": "leave"}));
    scene.pass(9 * SECOND);
    assert_eq!(scene.closed(guest), None);
    scene.pass(SECOND);
    assert_eq!(
        scene.closed(guest),
        Some(ErrorCode::JoinTimeout),
        "and has ten more when it left"
    );
    scene.pass(60 * SECOND);
    assert!(scene.is_empty());
}

#[test]
fn what_was_read_from_a_closed_connection_is_ignored() {
    let mut scene = Scene::new();
    let idle = scene.connect();
    scene.pass(10 * SECOND);
    assert_eq!(scene.closed(idle), Some(ErrorCode::JoinTimeout));
    scene.say(idle, json!({"type": "create"}));
    scene.cut(idle);
    scene.hears_nothing(idle);
    assert!(scene.is_empty());
}

#[test]
fn a_server_that_stops_closes_everything_and_lets_nobody_in() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    let lost = scene.connect();
    scene.ask(lost, json!({"type": "create"}));
    scene.cut(lost);
    let waiting = scene.connect();
    scene.input(Input::Shutdown);
    for connection in [first, second, waiting] {
        assert_eq!(scene.closed(connection), Some(ErrorCode::ShuttingDown));
    }
    assert!(scene.is_empty());
    let late = scene.connect_from(Ipv4Addr::LOCALHOST.into());
    assert_eq!(scene.closed(late), Some(ErrorCode::ShuttingDown));
    scene.hears_nothing(late);
    assert!(scene.is_empty());
}

#[test]
fn connections_are_closed_in_an_order_that_can_be_repeated() {
    let mut scene = Scene::new();
    let connections = (0..32).map(|_| scene.connect()).collect::<Vec<_>>();
    scene.hub.handle_input(Instant::now(), Input::Shutdown);
    let mut closed = Vec::new();
    while let Output::Close { connection, .. } = scene.hub.poll_output() {
        closed.push(connection);
    }
    assert_eq!(closed, connections);
}

#[test]
fn the_seed_decides_what_is_drawn() {
    let names = [[1; 32], [1; 32], [2; 32]].map(|seed| {
        let mut scene = Scene::new();
        scene.hub = Hub::new(Config::default(), seed);
        let connection = scene.connect();
        scene.ask(connection, json!({"type": "create"})).to_string()
    });
    assert_eq!(names[0], names[1]);
    assert_ne!(names[0], names[2]);
}

#[test]
fn a_hub_shows_no_names_tokens_addresses_or_payloads() {
    let mut scene = Scene::new();
    let [(first, created), (second, _)] = scene.pair("kitchen");
    let token = created["token"].as_str().unwrap();
    let text = r#"{"type":"signal","payload":"canary"}"#;
    let source = std::net::IpAddr::from(Ipv4Addr::new(192, 0, 2, 77)).into();
    let shown = format!(
        "{:?} {:?} {:?}",
        Input::Message {
            connection: first,
            text
        },
        Input::Connected {
            connection: second,
            source,
            ice_servers: RawValue::NULL
        },
        Output::Transmit {
            connection: first,
            text: text.to_owned()
        },
    );
    scene.hub.handle_input(
        Instant::now(),
        Input::Message {
            connection: first,
            text,
        },
    );
    let shown = format!("{shown} {:?}", scene.hub);
    for secret in ["kitchen", token, "canary", "192.0.2", "10.0.0"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}
