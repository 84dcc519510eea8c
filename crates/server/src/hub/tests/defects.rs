//! What code of this kind gets wrong: the defects seen in other implementations of the same system, one test each.
//!
//! Those that concern pages alone (a chat that is wiped, a send before the channel is open) are tested where the pages are.

use std::time::Duration;

use crowfly_protocol::ErrorCode;
use serde_json::json;

use super::scene::{Scene, session, signal};

fn join(room: &str, number: u8) -> serde_json::Value {
    json!({"type": "join", "room": room, "session": session(number)})
}

#[test]
fn a_strangers_disconnect_ends_other_peoples_rooms() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    let stranger = scene.connect();
    scene.refused(stranger, join("kitchen", 9));
    scene.cut(stranger);
    scene.pass(Duration::from_secs(60));
    scene.hears_nothing(first);
    scene.hears_nothing(second);
    scene.say(first, signal(1));
    assert_eq!(scene.next(second)["type"], "signal");
}

#[test]
fn rooms_leak_when_sockets_drop() {
    let mut scene = Scene::new();
    for round in 0..100 {
        let [(first, _), (second, _)] = scene.pair(&format!("room-{round}"));
        scene.cut(first);
        scene.cut(second);
    }
    scene.pass(Duration::from_secs(20));
    assert_eq!(scene.hub.stats().rooms, 0);
    // Nor is it remembered for ever who made them.
    scene.pass(Duration::from_secs(60));
    assert!(scene.is_empty(), "{:?}", scene.hub.stats());
}

#[test]
fn a_non_member_evicts_offers_or_spoofs() {
    let mut scene = Scene::new();
    let [(first, _), (second, joined)] = scene.pair("kitchen");
    let stranger = scene.connect();
    let mut spoofed = signal(1);
    spoofed["from"] = joined["peer"].clone();
    let reject = json!({"type": "reject", "session": session(1), "reason": "other"});
    for attempt in [
        signal(1),
        spoofed,
        reject,
        json!({"type": "leave"}),
        json!({"type": "destroy"}),
    ] {
        assert_eq!(scene.refused(stranger, attempt), "not-in-room");
    }
    // The member of another room has no more to say in this one.
    scene.ask(stranger, json!({"type": "create"}));
    assert_eq!(scene.refused(stranger, signal(1)), "no-peer");
    scene.hears_nothing(first);
    scene.hears_nothing(second);
}

#[test]
fn anyone_destroys_an_occupied_room() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    assert_eq!(
        scene.refused(second, json!({"type": "destroy"})),
        "room-occupied"
    );
    scene.say(first, signal(1));
    assert_eq!(scene.next(second)["type"], "signal");
}

#[test]
fn malformed_json_ends_the_process() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    for text in [
        "{",
        "[]",
        "\u{0}",
        r#"{"type":"join","room":{}}"#,
        &"[".repeat(60_000),
        &"{\"a\":".repeat(10_000),
    ] {
        scene.say_text(first, text);
        assert_eq!(scene.next(first)["type"], "error");
    }
    scene.say(first, signal(1));
    assert_eq!(scene.next(second)["type"], "signal");
}

#[test]
fn joining_ones_own_room() {
    let mut scene = Scene::new();
    let alone = scene.connect();
    let created = scene.ask(alone, json!({"type": "create", "room": "kitchen"}));
    assert_eq!(scene.refused(alone, join("kitchen", 1)), "already-in-room");
    let mut with_token = join("kitchen", 1);
    with_token["token"] = created["token"].clone();
    assert_eq!(scene.refused(alone, with_token), "already-in-room");
    assert_eq!(
        scene.refused(alone, json!({"type": "create"})),
        "already-in-room"
    );
    let resume = json!({"type": "resume", "room": "kitchen", "token": created["token"]});
    assert_eq!(scene.refused(alone, resume), "already-in-room");
    assert_eq!(scene.hub.stats().pairings, 0);
}

#[test]
fn empty_or_megabyte_room_names() {
    let mut scene = Scene::new();
    let guest = scene.connect();
    for name in [
        "",
        " ",
        "../etc",
        "a\u{0}b",
        "a\u{202e}b",
        &"a".repeat(65),
        &"a".repeat(1 << 20),
    ] {
        assert_eq!(
            scene.refused(guest, json!({"type": "create", "room": name})),
            "invalid-room-name"
        );
        assert_eq!(scene.refused(guest, join(name, 1)), "invalid-room-name");
    }
    assert_eq!(scene.hub.stats().rooms, 0);
}

#[test]
fn two_tabs_with_one_identity() {
    let mut scene = Scene::new();
    let [(first, _), (second, joined)] = scene.pair("kitchen");
    let tab = scene.connect();
    let resume = json!({"type": "resume", "room": "kitchen", "token": joined["token"], "session": session(1)});
    assert_eq!(scene.ask(tab, resume)["type"], "resumed");
    assert_eq!(
        scene.closed(second),
        Some(ErrorCode::Replaced),
        "one of them, and it is told"
    );
    scene.say(second, signal(1));
    assert_eq!(scene.next(first)["type"], "peer-online");
    scene.hears_nothing(first);
    assert_eq!(scene.hub.stats().connections, 2);
}

#[test]
fn relay_to_an_absent_peer_is_silent() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    scene.cut(second);
    scene.next(first);
    assert_eq!(scene.refused(first, signal(1)), "peer-offline");
    scene.pass(Duration::from_secs(20));
    scene.next(first);
    assert_eq!(scene.refused(first, signal(1)), "no-peer");
}

#[test]
fn a_second_session_replays_stale_candidates() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    scene.ask(second, json!({"type": "leave"}));
    assert_eq!(
        scene.ask(second, join("kitchen", 2))["type"],
        "joined",
        "on the same connection"
    );
    let told = [(); 2].map(|()| scene.next(first)["type"].clone());
    assert_eq!(told, ["peer-left", "peer-joined"]);
    for connection in [first, second] {
        assert_eq!(scene.refused(connection, signal(1)), "stale-session");
    }
    scene.say(first, signal(2));
    assert_eq!(scene.next(second)["session"], session(2));
}

#[test]
fn half_open_sockets_hold_seats() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    // The driver's ping found it dead.
    scene.cut(second);
    scene.pass(Duration::from_secs(20));
    let third = scene.connect();
    assert_eq!(scene.ask(third, join("kitchen", 2))["type"], "joined");
    let told = [(); 3].map(|()| scene.next(first)["type"].clone());
    assert_eq!(told, ["peer-offline", "peer-left", "peer-joined"]);
}

#[test]
fn the_peer_leaves_between_offer_and_answer() {
    let mut scene = Scene::new();
    let [(first, _), (second, _)] = scene.pair("kitchen");
    scene.say(second, signal(1));
    assert_eq!(scene.next(first)["type"], "signal");
    scene.ask(second, json!({"type": "leave"}));
    assert_eq!(scene.next(first)["type"], "peer-left");
    assert_eq!(scene.refused(first, signal(1)), "no-peer");
    let third = scene.connect();
    scene.ask(third, join("kitchen", 2));
    assert_eq!(scene.next(first)["type"], "peer-joined");
    assert_eq!(
        scene.refused(first, signal(1)),
        "stale-session",
        "the answer is not for the next one"
    );
    scene.hears_nothing(third);
}

#[test]
fn reload_in_mid_chat() {
    let mut scene = Scene::new();
    let [(first, _), (second, joined)] = scene.pair("kitchen");
    scene.cut(second);
    let reloaded = scene.connect();
    let mut request = join("kitchen", 2);
    request["token"] = joined["token"].clone();
    assert_eq!(
        scene.ask(reloaded, request)["peer"],
        joined["peer"],
        "no third person, and no waiting"
    );
    let told = [(); 3].map(|()| scene.next(first)["type"].clone());
    assert_eq!(told, ["peer-offline", "peer-left", "peer-joined"]);
    scene.pass(Duration::from_secs(60));
    scene.hears_nothing(first);
}

#[test]
fn simultaneous_joins_to_the_last_seat() {
    for round in 0..1_000 {
        let mut scene = Scene::new();
        let waiting = scene.connect();
        scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        let joiners = (0..50).map(|_| scene.connect()).collect::<Vec<_>>();
        // Somebody else is first each time.
        for place in 0..50 {
            scene.say(
                joiners[(place + round) % 50],
                join("kitchen", u8::try_from(place).unwrap()),
            );
        }
        let mut joined = 0;
        for joiner in joiners {
            let answer = scene.next(joiner);
            joined += usize::from(answer["type"] == "joined");
            assert!(
                answer["type"] == "joined" || answer["code"] == "room-unavailable",
                "{answer}"
            );
            scene.hears_nothing(joiner);
        }
        assert_eq!(joined, 1, "round {round}");
        assert_eq!(scene.next(waiting)["type"], "peer-joined");
        scene.hears_nothing(waiting);
    }
}

#[test]
fn join_racing_destroy() {
    for join_first in [true, false] {
        let mut scene = Scene::new();
        let [member, joiner] = [scene.connect(), scene.connect()];
        let created = scene.ask(member, json!({"type": "create"}));
        let join = join(created["room"].as_str().unwrap(), 1);
        let destroy = json!({"type": "destroy"});
        if join_first {
            assert_eq!(scene.ask(joiner, join)["type"], "joined");
            assert_eq!(scene.next(member)["type"], "peer-joined");
            assert_eq!(scene.refused(member, destroy), "room-occupied");
            scene.say(joiner, signal(1));
            assert_eq!(scene.next(member)["type"], "signal");
        } else {
            assert_eq!(scene.ask(member, destroy)["type"], "destroyed");
            assert_eq!(scene.refused(joiner, join), "room-not-found");
            assert_eq!(scene.refused(joiner, signal(1)), "not-in-room");
            assert_eq!(scene.hub.stats().rooms, 0);
        }
    }
}
