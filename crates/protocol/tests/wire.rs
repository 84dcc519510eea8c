//! Holds `docs/protocol.md`, the fixtures and the types together.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crowfly_protocol::{ClientMessage, ErrorCode, RoomName, ServerMessage};
use serde_json::{Value, value::RawValue};

/// Fixtures a client sends. Those called `payload-…` or `sealed-…` travel inside a signal, the others come from the server.
const FROM_CLIENT: &[&str] = &[
    "create",
    "create-named",
    "join",
    "join-again",
    "signal",
    "leave",
    "reject",
    "destroy",
    "resume",
    "ping",
];

#[test]
fn the_document_shows_the_fixtures_and_nothing_else() {
    let shown = examples(&document());
    assert!(
        shown.len() > 25,
        "only {} examples were found in the document",
        shown.len()
    );
    assert_eq!(shown, fixtures());
}

#[test]
fn every_message_is_written_as_it_was_read() {
    for (name, text) in fixtures() {
        if name.starts_with("payload-") || name.starts_with("sealed-") {
            continue;
        }
        let written = if FROM_CLIENT.contains(&name.as_str()) {
            let (id, message) =
                ClientMessage::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            message.encode(id)
        } else {
            let (id, message) =
                ServerMessage::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            message.encode(id)
        };
        // The one name that is not yet in the server's spelling.
        assert_eq!(written, text.replace("Küche 7", "küche-7"), "{name}");
    }
}

#[test]
fn a_payload_passes_byte_for_byte() {
    let payloads = fixtures()
        .into_iter()
        .filter(|(name, _)| name.starts_with("payload-"));
    let odd = [
        r#" { "kind" : "x",  "n":1.0e+2 } "#,
        "null",
        r#""\ud800""#,
        r#"{"a":1,"a":2}"#,
    ]
    .map(|payload| ("odd".to_owned(), payload.to_owned()));
    for (name, payload) in payloads.chain(odd) {
        let text = format!(
            r#"{{"payload":{payload},"session":"AAECAwQFBgcICQoLDA0ODw","type":"signal","from":"forged"}}"#
        );
        let (_, message) =
            ClientMessage::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ClientMessage::Signal {
            session,
            payload: read,
        } = message
        else {
            panic!("{name} is no signal")
        };
        assert_eq!(read.get(), payload.trim(), "{name}");
        let from = "pQm4Zr7Yt8c".parse().unwrap();
        assert_eq!(
            ServerMessage::Signal {
                from,
                session,
                payload: read
            }
            .encode(None),
            format!(
                r#"{{"type":"signal","from":"pQm4Zr7Yt8c","session":"AAECAwQFBgcICQoLDA0ODw","payload":{}}}"#,
                payload.trim()
            ),
        );
    }
}

#[test]
fn a_relayed_signal_is_written_into_one_allocation_of_its_size() {
    let payload = RawValue::from_string(format!("\"{}\"", "x".repeat(1500))).unwrap();
    let from = "pQm4Zr7Yt8c".parse().unwrap();
    let session = "AAECAwQFBgcICQoLDA0ODw".parse().unwrap();
    let text = ServerMessage::Signal {
        from,
        session,
        payload: &payload,
    }
    .encode(None);
    assert!(
        text.capacity() - text.len() < 32,
        "{} bytes in a buffer of {}",
        text.len(),
        text.capacity()
    );
}

#[test]
fn what_is_shown_of_a_message_is_its_type() {
    for (name, text) in fixtures() {
        let shown = format!(
            "{:?} {:?}",
            ClientMessage::parse(&text),
            ServerMessage::parse(&text)
        );
        for secret in [
            "k7fq",
            "küche",
            "Q29uc2",
            "Sm9pbm",
            "end-of-candidates",
            "stun:",
        ] {
            assert!(!shown.contains(secret), "{name} is shown as {shown}");
        }
    }
}

#[test]
fn the_document_lists_the_codes_of_the_types_in_their_order() {
    let document = document();
    let table = document
        .split_once("| code | meaning |")
        .expect("the table of codes")
        .1;
    let listed = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| {
            line.split('|')
                .nth(1)
                .unwrap()
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
        })
        .collect::<Vec<_>>();
    let known = ErrorCode::ALL
        .iter()
        .map(|code| code.to_string())
        .collect::<Vec<_>>();
    assert_eq!(listed, known);
}

#[test]
fn bad_texts_get_their_codes() {
    let rows = table("bad");
    assert!(rows.len() > 60);
    for row in rows {
        let about = row["about"].as_str().unwrap();
        let Err(error) = ClientMessage::parse(row["text"].as_str().unwrap()) else {
            panic!("{about} was accepted")
        };
        assert_eq!(
            error.code.as_str(),
            row["code"],
            "{about}: {}",
            error.message
        );
        assert_eq!(
            error.id.map(u64::from),
            row["id"].as_u64(),
            "{about}: {}",
            error.message
        );
        if let Some(field) = row["field"].as_str() {
            assert!(
                error.message.contains(&format!("`{field}`")),
                "{about}: {:?} names another field",
                error.message
            );
        }
    }
}

#[test]
fn names_become_what_the_table_says() {
    let rows = table("names");
    assert!(rows.len() > 60);
    for row in rows {
        let about = row["about"].as_str().unwrap();
        let name = RoomName::parse(row["text"].as_str().unwrap());
        assert_eq!(
            name.as_ref().ok().map(RoomName::as_str),
            row["name"].as_str(),
            "{about}: {name:?}"
        );
        if let Ok(name) = name {
            assert_eq!(
                RoomName::parse(name.as_str()),
                Ok(name.clone()),
                "{about} is not in its last spelling"
            );
        }
    }
}

/// The blocks of the document that name a fixture.
fn examples(document: &str) -> BTreeMap<String, String> {
    document
        .split("```json fixture=")
        .skip(1)
        .map(|block| {
            let (name, rest) = block.split_once('\n').expect("a heading line");
            let (body, _) = rest.split_once("\n```").expect("the end of the block");
            (name.to_owned(), body.to_owned())
        })
        .collect()
}

fn fixtures() -> BTreeMap<String, String> {
    let files = fs::read_dir(directory().join("fixtures")).expect("the fixtures");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (
                name,
                fs::read_to_string(path)
                    .expect("a text")
                    .trim_end()
                    .to_owned(),
            )
        })
        .collect()
}

fn table(name: &str) -> Vec<Value> {
    let path = directory().join(format!("fixtures/tables/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).expect("the table")).expect("an array")
}

fn document() -> String {
    fs::read_to_string(directory().join("../../docs/protocol.md")).expect("docs/protocol.md")
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
