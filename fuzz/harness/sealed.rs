//! What must hold of any bytes that come as a sealed payload, a code or a key. Used by the fuzz target and by the tests of the protocol.

use std::cell::RefCell;

use crowfly_protocol::{RoomCode, RoomKey, RoomName, Seal, SessionId};

thread_local! {
    /// Both ends of one pairing; what strangers send must leave them as they were.
    static ENDS: RefCell<[Seal; 2]> = RefCell::new(ends());
}

fn ends() -> [Seal; 2] {
    let (key, session) = (RoomKey::from_bytes([7; 32]), SessionId::from_bytes([1; 16]));
    let room = RoomName::drawn(7);
    [
        Seal::offerer(key.clone(), room.clone(), session),
        Seal::answerer(key, room, session, [2; 16]),
    ]
}

/// Reads the bytes as everything; panics when a promise is broken.
pub(crate) fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(Ok(code)) = RoomCode::parse(text) {
        let shown = code.reveal();
        assert_eq!(
            RoomCode::parse(&shown),
            Some(Ok(code.clone())),
            "it is in its last spelling"
        );
        assert!(code.room().is_drawn());
        // Whoever reads less of it than we do finds no name of an open room that we would make.
        assert!(RoomCode::parse(&format!("{shown}-more")).is_some_and(|read| read.is_err()));
    }
    if let Ok(key) = text.parse::<RoomKey>() {
        assert_eq!(key.reveal(), text, "a key has one spelling");
    }
    ENDS.with_borrow_mut(|ends| {
        for end in ends.iter_mut() {
            assert!(end.open(text).is_err(), "nobody here knows the key");
            // The same as the data of a payload that is well-formed otherwise.
            let data = text.replace(['"', '\\'], "").replace(char::is_control, "");
            for nonce in [
                "",
                r#""nonce":"AgICAgICAgICAgICAgICAg","#,
                r#""nonce":"AAAAAAAAAAAAAAAAAAAAAA","#,
            ] {
                let payload = format!(r#"{{"kind":"sealed",{nonce}"counter":0,"data":"{data}"}}"#);
                assert!(end.open(&payload).is_err());
            }
            assert!(!end.is_met());
        }
    });
}
