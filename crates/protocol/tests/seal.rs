//! Sealing, keys and codes against the fixtures that JavaScript reads, too, and what must hold of any of them.

#[path = "../../../fuzz/harness/sealed.rs"]
mod sealed;

use std::{collections::HashSet, fs, path::PathBuf};

use crowfly_protocol::{InvalidCode, OpenError, RoomCode, RoomKey, RoomName, Seal, SessionId};
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde_json::Value;

/// A pairing of the table: its key, room, session and nonce.
struct Scene {
    key: RoomKey,
    room: RoomName,
    session: SessionId,
    nonce: [u8; 16],
}

impl Scene {
    fn of_the_table() -> Self {
        let pairing = &table("seal")["pairing"];
        Self {
            key: pairing["key"].as_str().unwrap().parse().unwrap(),
            room: RoomName::parse(pairing["room"].as_str().unwrap()).unwrap(),
            session: pairing["session"].as_str().unwrap().parse().unwrap(),
            nonce: bytes(&pairing["nonce"]).try_into().unwrap(),
        }
    }

    fn offerer(&self) -> Seal {
        Seal::offerer(self.key.clone(), self.room.clone(), self.session)
    }

    fn answerer(&self, nonce: [u8; 16]) -> Seal {
        Seal::answerer(self.key.clone(), self.room.clone(), self.session, nonce)
    }

    fn both(&self) -> (Seal, Seal) {
        (self.offerer(), self.answerer(self.nonce))
    }

    /// Both, when all that the table has them say is said.
    fn after_the_table(&self) -> (Seal, Seal) {
        let (mut one, mut two) = self.both();
        for record in table("seal")["pairing"]["records"].as_array().unwrap() {
            let (from, to) = match record["from"].as_str() {
                Some("PEER1") => (&mut one, &mut two),
                _ => (&mut two, &mut one),
            };
            let payload = record["payload"].as_str().unwrap();
            let sealed = from.seal(payload).unwrap();
            assert_eq!(parsed(sealed.get()), record["sealed"], "{payload}");
            assert_eq!(to.open(sealed.get()).as_deref(), Ok(payload));
        }
        (one, two)
    }
}

#[test]
fn the_fixtures_are_sealed_and_opened_as_they_are() {
    let (one, two) = Scene::of_the_table().after_the_table();
    assert!(one.is_met() && two.is_met());
}

#[test]
fn the_words_of_the_fixtures_give_their_keys() {
    for row in table("seal")["stretch"].as_array().unwrap() {
        let words: Vec<&str> = row["words"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        let text = format!("{} {}", row["room"].as_str().unwrap(), words.join(" "));
        let code = RoomCode::parse(&text).unwrap().unwrap();
        let key = code.stretch();
        assert_eq!(key.reveal(), row["key"].as_str().unwrap());
        assert_eq!(key.reveal().parse::<RoomKey>(), Ok(key));
    }
}

#[test]
fn what_must_be_refused_is() {
    let scene = Scene::of_the_table();
    let rows = table("seal");
    let rows = rows["refused"].as_array().unwrap();
    assert!(rows.len() > 25);
    for row in rows {
        let (mut one, mut two) = scene.both();
        let at = if row["at"] == "PEER1" {
            &mut one
        } else {
            &mut two
        };
        let refused = at.open(&row["payload"].to_string());
        assert_eq!(refused, Err(OpenError::NotVerified), "{}", row["about"]);
        assert!(!at.is_met());
    }
    for row in table("seal")["later"].as_array().unwrap() {
        let (mut one, mut two) = scene.after_the_table();
        let at = if row["at"] == "PEER1" {
            &mut one
        } else {
            &mut two
        };
        let error = match row["error"].as_str() {
            Some("repeated") => OpenError::Repeated,
            _ => OpenError::NotVerified,
        };
        assert_eq!(
            at.open(&row["payload"].to_string()),
            Err(error),
            "{}",
            row["about"]
        );
    }
}

#[test]
fn who_answered_before_is_not_met_by_a_recording() {
    let scene = Scene::of_the_table();
    let (mut one, mut two) = scene.both();
    let offer = one.seal("{}").unwrap();
    two.open(offer.get()).unwrap();
    one.open(two.seal("{}").unwrap().get()).unwrap();
    let later = one.seal("{}").unwrap();
    // The same session told to the same peer once more, which remembers nothing: the offer opens, what came behind it does not.
    let mut again = scene.answerer([9; 16]);
    assert!(again.open(offer.get()).is_ok());
    assert_eq!(again.open(later.get()), Err(OpenError::NotVerified));
    assert!(!again.is_met());
}

#[test]
fn what_was_lost_leaves_a_gap_and_what_overtakes_is_the_last() {
    let (mut one, mut two) = Scene::of_the_table().both();
    let sealed: Vec<_> = (0..4).map(|_| one.seal("{}").unwrap()).collect();
    assert!(two.open(sealed[1].get()).is_ok());
    assert!(two.open(sealed[3].get()).is_ok());
    for late in [0, 1, 2, 3] {
        assert_eq!(two.open(sealed[late].get()), Err(OpenError::Repeated));
    }
}

/// Row 63: of a million payloads, in thousands of pairings under one key, lost connections among them, no nonce comes twice with a key.
#[test]
fn no_nonce_comes_twice_in_a_million_payloads() {
    let scene = Scene::of_the_table();
    let mut seen = HashSet::new();
    for pairing in 0..2_000_u32 {
        let mut session = [0; 16];
        session[..4].copy_from_slice(&pairing.to_be_bytes());
        let (session, nonce) = (SessionId::from_bytes(session), session.map(|byte| !byte));
        let mut one = Seal::offerer(scene.key.clone(), scene.room.clone(), session);
        let mut two = Seal::answerer(scene.key.clone(), scene.room.clone(), session, nonce);
        for place in 0..263 {
            for (side, end) in [&mut one, &mut two].into_iter().enumerate() {
                let sealed = end.seal("0").unwrap();
                let (before, rest) = sealed.get().split_once(r#""counter":"#).unwrap();
                let counter: u32 = rest.split_once(',').unwrap().0.parse().unwrap();
                // A key is that of a session, a side, and of whether the nonce was known.
                let known = before.contains("nonce");
                assert!(seen.insert((pairing, side, known, counter)));
            }
            // All that was said before is lost; from here on both know the nonce.
            if place == 30 {
                one.open(two.seal("0").unwrap().get()).unwrap();
                two.open(one.seal("0").unwrap().get()).unwrap();
            }
        }
    }
    assert!(seen.len() >= 1 << 20, "{}", seen.len());
}

#[test]
fn codes_are_read_as_the_table_says() {
    let rows = table("codes");
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 20);
    for row in rows {
        let about = row["about"].as_str().unwrap();
        let read = RoomCode::parse(row["text"].as_str().unwrap());
        match (row["error"].as_str(), read) {
            (None, None) => assert!(row["room"].is_null(), "{about}"),
            (None, Some(Ok(code))) => {
                assert_eq!(
                    code.room().as_str(),
                    row["room"].as_str().unwrap(),
                    "{about}"
                );
                let words: Vec<_> = row["words"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|word| word.as_str().unwrap())
                    .collect();
                assert_eq!(
                    code.reveal(),
                    format!("{}-{}", code.room().as_str(), words.join("-")),
                    "{about}"
                );
            }
            (Some("word-count"), Some(Err(InvalidCode::WordCount { found }))) => {
                assert_eq!(Some(found as u64), row["found"].as_u64(), "{about}");
            }
            (Some("unknown-word"), Some(Err(InvalidCode::UnknownWord { place, suggestion }))) => {
                assert_eq!(Some(place as u64), row["place"].as_u64(), "{about}");
                assert_eq!(suggestion, row["suggestion"].as_str(), "{about}");
            }
            (_, read) => panic!("{about}: {read:?}"),
        }
    }
}

#[test]
fn no_secret_is_shown() {
    let scene = Scene::of_the_table();
    let code = RoomCode::parse("k7fq-9xqm-2p4t-acorn-nest-quill-gizmo");
    let typo = RoomCode::parse("k7fq-9xqm-2p4t-acorn-nest-quill-gizmoxyz");
    let shown = format!(
        "{:?} {:?} {code:?} {typo:?} {}",
        scene.key,
        scene.offerer(),
        typo.clone().unwrap().unwrap_err()
    );
    for secret in ["z5KH", "acorn", "gizmo", "k7fq", "207"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        sealed::read(&bytes);
    }

    /// Whatever is said, and whatever of it is lost: what arrives is what was said, by who said it, and in order.
    #[test]
    fn what_is_sealed_is_opened(said in prop::collection::vec((any::<bool>(), any::<bool>(), any::<String>()), 1..40)) {
        let (mut one, mut two) = Scene::of_the_table().both();
        for (first, lost, text) in said {
            let (from, to) = if first { (&mut one, &mut two) } else { (&mut two, &mut one) };
            let sealed = from.seal(&text).unwrap();
            if !lost {
                prop_assert_eq!(to.open(sealed.get()), Ok(text));
                prop_assert!(from.open(sealed.get()).is_err(), "reflected");
            }
        }
    }

    /// One letter of a sealed payload changed: another spelling of the same, or nothing.
    #[test]
    fn a_changed_payload_does_not_open(at in any::<prop::sample::Index>(), letter in "[ -~]") {
        let (mut one, mut two) = Scene::of_the_table().both();
        let sealed = one.seal(r#"{"kind":"goodbye"}"#).unwrap();
        let mut changed = sealed.get().to_owned();
        let at = at.index(changed.len());
        changed.replace_range(at..=at, &letter);
        let same = serde_json::from_str::<Value>(&changed).is_ok_and(|changed| changed == parsed(sealed.get()));
        prop_assert_eq!(two.open(&changed).is_ok(), same);
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn bytes(text: &Value) -> Vec<u8> {
    BASE64URL_NOPAD
        .decode(text.as_str().unwrap().as_bytes())
        .unwrap()
}

fn table(name: &str) -> Value {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/tables/{name}.json"));
    parsed(&fs::read_to_string(path).expect("the table"))
}
