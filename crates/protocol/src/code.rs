//! Error codes: stable strings shared by Rust, JavaScript and `docs/protocol.md`.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a request was refused or a connection closed. The string is stable; the list is in `docs/protocol.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable string.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// Not one JSON object with a string `type`.
    MalformedMessage = "malformed-message",
    /// A binary frame.
    BinaryMessage = "binary-message",
    /// Over the size limit.
    MessageTooLarge = "message-too-large",
    /// A `type` this version does not have.
    UnknownType = "unknown-type",
    /// A field is missing, of the wrong type or out of range.
    InvalidField = "invalid-field",
    /// Not a name a room can have.
    InvalidRoomName = "invalid-room-name",
    /// `create` with a name in use.
    RoomTaken = "room-taken",
    /// Both seats are taken (drawn names only).
    RoomFull = "room-full",
    /// No such room (drawn names only).
    RoomNotFound = "room-not-found",
    /// No such room, or it is full (chosen names).
    RoomUnavailable = "room-unavailable",
    /// This connection sits in a room already.
    AlreadyInRoom = "already-in-room",
    /// This connection sits in no room.
    NotInRoom = "not-in-room",
    /// Nobody sits opposite.
    NoPeer = "no-peer",
    /// The other peer's connection is lost, its seat is kept.
    PeerOffline = "peer-offline",
    /// The session named is not the current pairing.
    StaleSession = "stale-session",
    /// This session id was used before in this room.
    SessionReused = "session-reused",
    /// No seat belongs to this token.
    BadToken = "bad-token",
    /// `destroy` while somebody else is in the room.
    RoomOccupied = "room-occupied",
    /// Too fast.
    RateLimited = "rate-limited",
    /// The server or this source has as many rooms as it may.
    TooManyRooms = "too-many-rooms",
    /// A connection sat in no room for too long.
    JoinTimeout = "join-timeout",
    /// A ping was not answered.
    PingTimeout = "ping-timeout",
    /// A message that was begun did not end in time.
    MessageTimeout = "message-timeout",
    /// A reader that does not read.
    SlowReader = "slow-reader",
    /// Its seat was taken back over a newer connection.
    Replaced = "replaced",
    /// The server stops.
    ShuttingDown = "shutting-down",
}

impl ErrorCode {
    /// The WebSocket close code (RFC 6455 §7.4.1) of a connection that is closed for this reason.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::ShuttingDown => 1001,
            Self::MessageTooLarge => 1009,
            _ => 1008,
        }
    }

    /// The code with this string.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_string() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_text(code.as_str()), Some(*code));
        }
        assert_eq!(ErrorCode::from_text("no-such-code"), None);
    }

    #[test]
    fn a_close_has_the_code_that_rfc_6455_gives_its_reason() {
        assert_eq!(ErrorCode::ShuttingDown.close_code(), 1001);
        assert_eq!(ErrorCode::MessageTooLarge.close_code(), 1009);
        assert_eq!(ErrorCode::SlowReader.close_code(), 1008);
        // RFC 6455 §5.5: a reason has at most 123 bytes.
        assert!(ErrorCode::ALL.iter().all(|code| code.as_str().len() <= 123));
    }
}
