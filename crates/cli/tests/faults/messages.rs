//! Row 8: messages that are none.

use serde_json::{Value, json};

use crate::kit::frame::{BINARY, CONTINUATION, FIN, TEXT};
use crate::kit::{
    Client, Event, Pair, Server, alone, among_others, note, room, sized, undisturbed,
};

#[test]
fn what_is_no_message_is_answered_with_its_code() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        let mut client = Client::connect(server.address);
        let malformed = [
            "",
            " ",
            "{",
            "}",
            "[]",
            "null",
            "true",
            "17",
            "\"create\"",
            "{}",
            "{]",
            "{\"type\"}",
            "{\"type\":}",
            "{\"type\":1}",
            "{\"type\":null}",
            "{\"type\":[\"create\"]}",
            "{\"type\":\"create\"}}",
            "{\"type\":\"create\"}{\"type\":\"create\"}",
            "{'type':'create'}",
            "{\"type\":\"create\",}",
            "{type:\"create\"}",
            "\u{FEFF}{\"type\":\"create\"}",
            "{\"type\":\"cre\\ate\"}",
            "{\"type\":\"\\ud800\"}",
            "{\"type\":\"create\",\"id\":NaN}",
            "{\"type\":\"create\",\"id\":01}",
            "{\"type\":\"create\"}\0",
            "<create/>",
            "undefined",
        ];
        for text in malformed {
            client.send_text(text);
            assert_code(&client.receive(), "malformed-message", text);
        }
        for kind in [
            "",
            "Create",
            "CREATE",
            " create",
            "created",
            "welcome",
            "error",
            "joined",
            "__proto__",
            "weather",
        ] {
            assert_eq!(
                client.refused(json!({ "type": kind })),
                "unknown-type",
                "{kind:?}"
            );
        }
        client.send_frame(FIN | BINARY, b"{\"type\":\"create\"}");
        assert_code(&client.receive(), "binary-message", "a binary frame");
    });
}

/// No reader calls itself once a bracket.
#[test]
fn deep_nesting_breaks_nothing() {
    let _turn = among_others();
    let server = Server::start("");
    let mut pair = Pair::meet(server.address);
    let mut client = Client::connect(server.address);
    for bracket in ["[", "{\"a\":", "[[{\"b\":"] {
        let deep = bracket.repeat(60_000 / bracket.len());
        for text in [
            deep.clone(),
            format!(r#"{{"type":"signal","payload":{deep}"#),
            format!(r#"{{"type":{deep}"#),
        ] {
            client.send_text(&text);
            assert_code(&client.receive(), "malformed-message", bracket);
        }
    }
    // As a payload it is nobody's business but the peers'.
    let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let session = &pair.session;
    let message = format!(r#"{{"type":"signal","session":"{session}","payload":{nested}}}"#);
    pair.joiner.send_text(&message);
    let heard = pair.creator.receive_text();
    assert!(heard.contains(&nested), "{heard}");
    pair.assert_talking();
}

#[test]
fn wrong_types_are_answered_field_by_field() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        let rooms = server.metric("crowfly_rooms");
        let room = "k7fq-9xqm-2p4t";
        let wrong = [
            json!(null),
            json!(1),
            json!(true),
            json!([]),
            json!({}),
            json!(1.5e300),
            json!("short"),
        ];
        let good = [
            json!({ "type": "join", "room": room, "session": room::new_session() }),
            json!({ "type": "resume", "room": room, "session": room::new_session(), "token": "Q29uc2VydmVkVG9rZW4xMg" }),
            json!({ "type": "reject", "session": room::new_session(), "reason": "busy" }),
            json!({ "type": "signal", "session": room::new_session(), "payload": {} }),
        ];
        for request in good {
            let mut client = Client::connect(server.address);
            for field in request
                .as_object()
                .expect("an object")
                .keys()
                .filter(|key| *key != "type")
            {
                for value in &wrong {
                    // `resume` may leave the session out, names may be short, and a payload may be anything.
                    let allowed = match (field.as_str(), value) {
                        ("payload", _) | ("room", Value::String(_)) => true,
                        ("session", Value::Null) => request["type"] == "resume",
                        _ => false,
                    };
                    if !allowed {
                        let mut request = request.clone();
                        request[field] = value.clone();
                        assert_eq!(
                            client.refused(request.clone()),
                            "invalid-field",
                            "{request}"
                        );
                    }
                }
                if field != "session" || request["type"] != "resume" {
                    let mut request = request.clone();
                    request.as_object_mut().expect("an object").remove(field);
                    assert_eq!(
                        client.refused(request.clone()),
                        "invalid-field",
                        "{request}"
                    );
                }
            }
        }
        let mut client = Client::connect(server.address);
        for id in [
            json!(-1),
            json!(1.5),
            json!("1"),
            json!([1]),
            json!({}),
            json!(9_007_199_254_740_992_u64),
        ] {
            client.send(&json!({ "type": "create", "id": id }));
            assert_code(&client.receive(), "invalid-field", &id.to_string());
        }
        assert_eq!(server.metric("crowfly_rooms"), rooms);
    });
}

#[test]
fn text_that_is_not_utf8_closes_1007() {
    let _turn = alone();
    // The room made below is made over and over.
    let server = Server::start("failed-look-ups-per-minute = 1000000");
    undisturbed(&server, || {
        // Overlong, a surrogate, beyond U+10FFFF, cut short, a lone continuation.
        for bytes in [
            &b"\xC0\xAF"[..],
            b"\xED\xA0\x80",
            b"\xF4\x90\x80\x80",
            b"{\"type\":\"\xE2\x82",
            b"\x80",
            b"\xFF\xFE",
        ] {
            let mut client = Client::connect(server.address);
            client.send_frame(FIN | TEXT, bytes);
            assert_eq!(client.end(), Event::closed(1007, ""), "{bytes:x?}");
        }
        // A character cut in two by fragments is whole again.
        let mut client = Client::connect(server.address);
        client.send_frame(TEXT, b"{\"type\":\"create\",\"id\":1,\"room\":\"K\xC3");
        client.send_frame(FIN | CONTINUATION, b"\xBCche\"}");
        assert_eq!(client.receive_type("created")["room"], "küche");
        assert_eq!(client.ask(json!({ "type": "leave" }))["type"], "left");
    });
}

#[test]
fn mutated_messages_are_answered_or_closed_and_rooms_survive() {
    let _turn = alone();
    // Or after twenty rooms every other message would meet the same answer.
    let server = Server::start("failed-look-ups-per-minute = 1000000");
    let mut pair = Pair::meet(server.address);
    let seed = 0x0C0F_FEE0;
    let mut random = fastrand::Rng::with_seed(seed);
    note(&format!("seed {seed}"));
    let clients = sized(40, 5_000);
    undisturbed(&server, || {
        (0..clients).for_each(|_| {
            let mut client = Client::connect(server.address);
            for _ in 0..50 {
                let bytes = mutate(&mut random, &pair);
                let text = str::from_utf8(&bytes).is_ok();
                client.send_frame(FIN | TEXT, &bytes);
                // Told apart from what the message itself may cause: each is followed by a question with a known answer.
                client.send(&json!({ "type": "?", "id": 4_000_000 }));
                match client.answer_to(4_000_000) {
                    Some(answer) => assert_code(&answer, "unknown-type", "the question"),
                    None => assert!(!text, "closed by {:?}", String::from_utf8_lossy(&bytes)),
                }
                if !text {
                    break;
                }
            }
        })
    });
    pair.assert_talking();
}

fn assert_code(answer: &Value, code: &str, sent: &str) {
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&json!("error"), &json!(code)),
        "to {sent:?}: {answer}"
    );
}

/// A valid message with some of its bytes changed, doubled, cut out or swapped for something nasty.
fn mutate(random: &mut fastrand::Rng, pair: &Pair) -> Vec<u8> {
    let sdp = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    let valid = [
        json!({ "type": "create", "id": 1, "room": "Küche 7" }),
        json!({ "type": "join", "id": 1, "room": pair.room, "session": pair.session }),
        json!({ "type": "resume", "id": 1, "room": pair.room, "token": "Q29uc2VydmVkVG9rZW4xMg", "session": pair.session }),
        json!({ "type": "signal", "session": pair.session, "payload": { "kind": "description", "description": { "type": "offer", "sdp": sdp } } }),
        json!({ "type": "reject", "id": 3, "session": pair.session, "reason": "busy" }),
        json!({ "type": "destroy", "id": 4 }),
        json!({ "type": "leave", "id": 2 }),
    ];
    let mut bytes = valid[random.usize(..valid.len())].to_string().into_bytes();
    let nasty: [&[u8]; 12] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"\0",
        b"\xFF",
        b"\xE2\x82",
        b"\\ud800",
        b"1e999",
        b"null",
        b"\"type\":\"leave\",",
        b"[[[[[[[[",
    ];
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len().max(1)).min(bytes.len());
        let end = (at + random.usize(..8)).min(bytes.len());
        match random.u8(..4) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part.repeat(random.usize(1..50)));
            }
            _ => drop(bytes.splice(at..end, nasty[random.usize(..nasty.len())].iter().copied())),
        }
    }
    bytes
}
