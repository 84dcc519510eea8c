//! Arbitrary bytes and damaged messages: what the fuzz target runs, in a size that fits every test run.

#[path = "../../../fuzz/harness/message.rs"]
mod message;

use std::fs;

use proptest::{collection::vec, prelude::*, sample::Index};

/// What is done to a good message.
#[derive(Debug, Clone)]
enum Damage {
    Remove(Index),
    Insert(Index, u8),
    Replace(Index, u8),
    Swap(Index, Index),
    CutOff(Index),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        message::read(&bytes);
    }

    #[test]
    fn any_text(text in any::<String>()) {
        message::read(text.as_bytes());
    }

    #[test]
    fn damaged_messages(which in any::<Index>(), damages in vec(damage(), 1..6)) {
        let mut bytes = which.get(&messages()).clone();
        for damage in damages {
            apply(&mut bytes, &damage);
        }
        message::read(&bytes);
    }

    /// Fields of every message with values of every shape, in any order.
    #[test]
    fn objects(fields in vec((field(), value()), 0..8)) {
        let fields = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect::<Vec<_>>();
        message::read(format!("{{{}}}", fields.join(",")).as_bytes());
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    // Mostly what JSON is made of.
    let byte = || {
        prop_oneof![
            prop::sample::select(&b"{}[]\",:\\u0123-e. tnf"[..]),
            any::<u8>()
        ]
    };
    prop_oneof![
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Damage::Swap(one, other)),
        any::<Index>().prop_map(Damage::CutOff),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Remove(at) => {
            bytes.remove(at.index(length));
        }
        Damage::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Damage::Replace(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Swap(one, other) => bytes.swap(one.index(length), other.index(length)),
        Damage::CutOff(at) => bytes.truncate(at.index(length)),
    }
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "type",
        "type",
        "id",
        "room",
        "session",
        "token",
        "payload",
        "reason",
        "peer",
        "from",
        "detail",
        "code",
        "message",
        "protocol",
        "iceServers",
        "unknown",
    ])
}

fn value() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        r#""create""#,
        r#""join""#,
        r#""signal""#,
        r#""leave""#,
        r#""reject""#,
        r#""destroy""#,
        r#""resume""#,
        r#""ping""#,
        r#""welcome""#,
        r#""ice-servers""#,
        r#""joined""#,
        r#""left""#,
        r#""peer-left""#,
        r#""error""#,
        r#""room-full""#,
        r#""busy""#,
        r#""kitchen""#,
        r#""AAECAwQFBgcICQoLDA0ODw""#,
        r#""p5Wm0sTzQ2k""#,
        r#""\u00e9\ud83d\ude00""#,
        r#""\ud800""#,
        "null",
        "true",
        "[]",
        "{}",
        r#"[{"a":[1,{}]}]"#,
        "1",
        "-1",
        "1.5",
        "1e999",
        "9007199254740991",
        "9007199254740992",
        "18446744073709551616",
    ]);
    prop_oneof![4 => words.prop_map(str::to_owned), 1 => any::<String>().prop_map(|text| format!("{text:?}"))]
}

fn messages() -> Vec<Vec<u8>> {
    let files =
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).expect("the fixtures");
    let mut paths = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.is_file())
        .collect::<Vec<_>>();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a text"))
        .collect()
}
