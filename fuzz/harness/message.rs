//! What must hold of any bytes that come as a message or a name. Used by the fuzz target and by the tests of the protocol.

use crowfly_protocol::{ClientMessage, ErrorCode, ParseError, RoomName, ServerMessage};
use serde_json::Value;

/// Reads the bytes as everything the wire has; panics when a promise is broken.
pub(crate) fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    name(text);
    match ClientMessage::parse(text) {
        Ok((id, message)) => {
            let written = message.encode(id);
            let (id_again, again) =
                ClientMessage::parse(&written).expect("what is written can be read");
            assert_eq!((id_again, again.encode(id)), (id, written));
        }
        Err(error) => refusal(text, &error),
    }
    match ServerMessage::parse(text) {
        Ok((id, message)) => {
            let written = message.encode(id);
            let (id_again, again) =
                ServerMessage::parse(&written).expect("what is written can be read");
            assert_eq!((id_again, again.encode(id)), (id, written));
        }
        Err(error) => refusal(text, &error),
    }
}

fn name(text: &str) {
    if let Ok(name) = RoomName::parse(text) {
        assert!((1..=RoomName::MAX_CHARS).contains(&name.as_str().chars().count()));
        assert_eq!(
            RoomName::parse(name.as_str()),
            Ok(name.clone()),
            "it is in its last spelling"
        );
        let harmful =
            |character: char| character.is_control() || "/\\.%<>&\"'`".contains(character);
        assert!(!name.as_str().contains(harmful), "{:?}", name.as_str());
    }
}

fn refusal(text: &str, error: &ParseError) {
    assert!(
        error.message.len() < 120,
        "it quotes nothing long: {}",
        error.message
    );
    let malformed = error.code == ErrorCode::MalformedMessage;
    let codes = [
        ErrorCode::UnknownType,
        ErrorCode::InvalidField,
        ErrorCode::InvalidRoomName,
    ];
    assert!(malformed || codes.contains(&error.code), "{error}");
    // Another reader of JSON agrees that a message is none, but for what it takes in silence.
    if let Ok(Value::Object(object)) = serde_json::from_str(text)
        && object.get("type").is_some_and(Value::is_string)
    {
        assert!(!malformed || error.message.contains("twice"), "{error}");
    }
}
