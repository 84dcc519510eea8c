//! Names of rooms as strangers spell them.

use serde_json::json;

use crate::kit::{Client, Event, Server, alone, among_others, room, undisturbed};

#[test]
fn names_are_names_and_nothing_else() {
    let _turn = alone();
    let server = Server::start("");
    undisturbed(&server, || {
        let rooms = server.metric("crowfly_rooms");
        let mut client = Client::connect(server.address);
        let ligature = "\u{FDFA}".repeat(64);
        let long = "x".repeat(65);
        let longest = "x".repeat(60_000);
        let invalid = [
            "",
            " ",
            "\t\n",
            &long,
            &longest,
            &ligature,
            "..",
            ".",
            "../../etc/passwd",
            "/metrics",
            "a/b",
            "a\\b",
            "C:\\x",
            "a.b",
            "%2e%2e",
            "a\0b",
            "a\u{7F}b",
            "\u{1B}[31m",
            "a\u{202E}b",
            "a\u{200B}b",
            "\u{FEFF}a",
            "<b>",
            "a\"b",
            "'; --",
            "😀",
            "a&b",
            "\u{301}",
            "room:1",
            "*",
            "#a",
            "a?b",
            "@a",
            "\u{E000}",
            "\u{FFFE}",
        ];
        for name in invalid {
            for kind in ["create", "join", "resume"] {
                let request = json!({
                    "type": kind, "room": name, "session": room::new_session(), "token": "Q29uc2VydmVkVG9rZW4xMg",
                });
                assert_eq!(
                    client.refused(request),
                    "invalid-room-name",
                    "{kind} {name:?}"
                );
            }
            client = Client::connect(server.address);
        }
        let mut huge = Client::connect(server.address);
        huge.send(&json!({ "type": "create", "room": "x".repeat(1_000_000) }));
        assert_eq!(huge.end(), Event::closed(1009, "message-too-large"));
        assert_eq!(server.metric("crowfly_rooms"), rooms);
    });
}

#[test]
fn spellings_of_one_name_are_one_room() {
    let _turn = among_others();
    let server = Server::start("");
    let spellings = [
        ["Küche 7", "ku\u{308}che-7", "küche-7"],
        ["ＡＢＣ", "abc", "abc"],
        ["ΣΊΣΥΦΟΣ", "σίσυφος", "σίσυφος"],
        ["ﬁsch \t teich", "FISCH TEICH", "fisch-teich"],
    ];
    for [made, joined, name] in spellings {
        let mut creator = Client::connect(server.address);
        let created = creator.ask(json!({ "type": "create", "room": made }));
        assert_eq!(created["room"], name, "{created}");
        let mut joiner = Client::connect(server.address);
        let answer = joiner.ask(room::join(joined, &room::new_session()));
        assert_eq!(
            (&answer["type"], &answer["room"]),
            (&json!("joined"), &json!(name)),
            "{answer}"
        );
        let mut third = Client::connect(server.address);
        assert_eq!(
            third.refused(json!({ "type": "create", "room": joined })),
            "room-taken"
        );
    }
}
