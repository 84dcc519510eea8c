//! Messages and the payload protocol that says what they are (RFC 8831 §6.6, §8).

use std::fmt;

use bytes::Bytes;

/// Payload protocol identifiers that IANA gave to data channels (RFC 8831 §8).
pub(super) mod ppid {
    pub(crate) const DCEP: u32 = 50;
    pub(crate) const STRING: u32 = 51;
    /// Deprecated, and so is [`STRING_PARTIAL`]: RFC 8831 §6.6 forbids to send them.
    pub(crate) const BINARY_PARTIAL: u32 = 52;
    pub(crate) const BINARY: u32 = 53;
    pub(crate) const STRING_PARTIAL: u32 = 54;
    pub(crate) const STRING_EMPTY: u32 = 56;
    pub(crate) const BINARY_EMPTY: u32 = 57;
}

/// A message of the user. `Debug` tells its size and leaves out what it says.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Text in UTF-8. What is received is always valid: what the peer spoiled reads U+FFFD, as a browser would show it (W3C WebRTC
    /// §6.2, "UTF-8 decode"); what is sent is refused if it is not.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Bytes of the message itself.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Nothing in it, which is a message all the same.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_utf8_or_binary(&self) -> bool {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).is_ok(),
            Self::Binary(_) => true,
        }
    }

    /// Identifier and payload on the wire. SCTP carries no empty message, so an empty one is a zero byte of its own kind.
    pub(super) fn into_wire(self) -> (u32, Bytes) {
        const ZERO: Bytes = Bytes::from_static(&[0]);
        match self {
            Self::Text(bytes) if bytes.is_empty() => (ppid::STRING_EMPTY, ZERO),
            Self::Binary(bytes) if bytes.is_empty() => (ppid::BINARY_EMPTY, ZERO),
            Self::Text(bytes) => (ppid::STRING, bytes),
            Self::Binary(bytes) => (ppid::BINARY, bytes),
        }
    }

    /// The message that came, if the identifier is one of a user's message. What the zero byte of an empty message holds is ignored.
    pub(super) fn from_wire(ppid: u32, payload: Bytes) -> Option<Self> {
        match ppid {
            ppid::STRING => Some(Self::Text(valid(payload))),
            ppid::BINARY => Some(Self::Binary(payload)),
            ppid::STRING_EMPTY => Some(Self::Text(Bytes::new())),
            ppid::BINARY_EMPTY => Some(Self::Binary(Bytes::new())),
            _ => None,
        }
    }
}

fn valid(payload: Bytes) -> Bytes {
    match std::str::from_utf8(&payload) {
        Ok(_) => payload,
        Err(_) => Bytes::from(String::from_utf8_lossy(&payload).into_owned()),
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => "Text",
            Self::Binary(_) => "Binary",
        };
        write!(f, "{kind}({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        for message in [
            Message::Text(Bytes::from_static("grüß".as_bytes())),
            Message::Text(Bytes::new()),
            Message::Binary(Bytes::from_static(&[0xff, 0, 1])),
            Message::Binary(Bytes::new()),
        ] {
            let (ppid, payload) = message.clone().into_wire();
            assert!(!payload.is_empty(), "SCTP has no empty message");
            assert_eq!(Message::from_wire(ppid, payload), Some(message));
        }
    }

    #[test]
    fn identifiers_are_those_of_iana() {
        let on_the_wire = |message: Message| message.into_wire();
        assert_eq!(
            on_the_wire(Message::Text("a".into())),
            (51, Bytes::from("a"))
        );
        assert_eq!(
            on_the_wire(Message::Binary("a".into())),
            (53, Bytes::from("a"))
        );
        assert_eq!(
            on_the_wire(Message::Text(Bytes::new())),
            (56, Bytes::from_static(&[0]))
        );
        assert_eq!(
            on_the_wire(Message::Binary(Bytes::new())),
            (57, Bytes::from_static(&[0]))
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_repaired() {
        let text = Message::from_wire(ppid::STRING, Bytes::from_static(b"a\xffb"));
        assert_eq!(text, Some(Message::Text("a\u{fffd}b".into())));
        assert!(!Message::Text(Bytes::from_static(b"\xff")).is_utf8_or_binary());
        assert!(Message::Binary(Bytes::from_static(b"\xff")).is_utf8_or_binary());
    }

    #[test]
    fn unknown_identifiers_are_no_message() {
        for ppid in [0, ppid::DCEP, 55, 58, u32::MAX] {
            assert_eq!(Message::from_wire(ppid, "a".into()), None);
        }
    }
}
