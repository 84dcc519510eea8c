//! Why a request is refused, in a code for programs and a sentence for people.

use std::borrow::Cow;

use crowfly_protocol::{ErrorCode, ParseError};

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
}

impl Refusal {
    pub(super) const TOO_MANY_MESSAGES: Self = Self {
        code: ErrorCode::RateLimited,
        message: Cow::Borrowed("this connection sends too many messages"),
    };

    pub(super) const TOO_MANY_LOOK_UPS: Self = Self {
        code: ErrorCode::RateLimited,
        message: Cow::Borrowed("too many names of rooms were tried; wait a minute"),
    };

    pub(super) const DRAWN_SHAPE: Self = Self {
        code: ErrorCode::InvalidRoomName,
        message: Cow::Borrowed("names of this shape are drawn by the server, not chosen"),
    };

    pub(super) fn of(code: ErrorCode) -> Self {
        Self {
            code,
            message: Cow::Borrowed(describe(code)),
        }
    }
}

impl From<ParseError> for Refusal {
    fn from(ParseError { code, message, .. }: ParseError) -> Self {
        Self { code, message }
    }
}

/// What people are told; `docs/protocol.md` has the code's meaning.
fn describe(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BinaryMessage => "only text messages are spoken here",
        ErrorCode::UnknownType => "this version has no such type",
        ErrorCode::RoomTaken => "a room of this name exists already",
        ErrorCode::RoomFull => "both seats of this room are taken",
        ErrorCode::RoomNotFound => "there is no such room",
        ErrorCode::RoomUnavailable => "there is no such room, or it is full",
        ErrorCode::AlreadyInRoom => "this connection sits in a room already; leave it first",
        ErrorCode::NotInRoom => "this connection sits in no room",
        ErrorCode::NoPeer => "nobody sits opposite",
        ErrorCode::PeerOffline => "the other peer's connection is lost; send again when it is back",
        ErrorCode::StaleSession => "this session is not the current pairing",
        ErrorCode::SessionReused => "this session id was used before in this room",
        ErrorCode::BadToken => "no seat of this room belongs to this token",
        ErrorCode::RoomOccupied => "somebody else is in the room",
        ErrorCode::TooManyRooms => "there are as many rooms as there may be",
        _ => "refused",
    }
}
