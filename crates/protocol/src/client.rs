//! What a client says.

use std::{fmt, str::FromStr};

use serde_json::value::RawValue;

use crate::{
    ParseError, RequestId, RoomName, SessionId, Token,
    frame::{Frame, Key},
    writer::Object,
};

/// A request, `docs/protocol.md`. Borrows the payload of a `signal` from the text it was read from.
///
/// `Debug` tells its type only: what peers say to each other does not belong into logs.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientMessage<'a> {
    /// Makes a room and takes its first seat.
    Create {
        /// A chosen name; without it the server draws one.
        room: Option<RoomName>,
    },
    /// Takes the free seat of a room, or one's own seat back.
    Join {
        /// Which room.
        room: RoomName,
        /// The pairing to come, drawn by the joiner.
        session: SessionId,
        /// Issued with a seat held before.
        token: Option<Token>,
    },
    /// Something for the peer opposite.
    Signal {
        /// The pairing it belongs to.
        session: SessionId,
        /// Any JSON value, handed on byte for byte.
        payload: &'a RawValue,
    },
    /// Frees one's own seat.
    Leave,
    /// Ends a pairing and frees the other's seat.
    Reject {
        /// The pairing to end.
        session: SessionId,
        /// Told to the other peer.
        reason: RejectReason,
    },
    /// Ends a room in which nobody else sits.
    Destroy,
    /// Comes back on a new connection.
    Resume {
        /// Which room.
        room: RoomName,
        /// Issued with the seat.
        token: Token,
        /// The pairing the peer is still in, if any.
        session: Option<SessionId>,
    },
    /// Is somebody there?
    Ping,
}

/// Why a peer rejects another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// Still talking to somebody else.
    Busy,
    /// No offer came.
    NoOffer,
    /// What it sent did not verify.
    NotVerified,
    /// Anything else.
    Other,
}

impl<'a> ClientMessage<'a> {
    /// Reads one message and the id of its request.
    ///
    /// # Errors
    ///
    /// [`ParseError`] holds the answer to send: code, message, and the request's id when one could be read.
    pub fn parse(text: &'a str) -> Result<(Option<RequestId>, Self), ParseError> {
        let frame = Frame::read(text)?;
        let message = match frame.kind() {
            "signal" => Self::Signal {
                session: frame.parsed(Key::Session)?,
                payload: frame.raw(Key::Payload)?,
            },
            "create" => Self::Create {
                room: if frame.is_none(Key::Room) {
                    None
                } else {
                    Some(frame.room()?)
                },
            },
            "join" => Self::Join {
                room: frame.room()?,
                session: frame.parsed(Key::Session)?,
                token: frame.parsed_or_none(Key::Token)?,
            },
            "leave" => Self::Leave,
            "reject" => Self::Reject {
                session: frame.parsed(Key::Session)?,
                reason: frame.parsed(Key::Reason)?,
            },
            "destroy" => Self::Destroy,
            "resume" => Self::Resume {
                room: frame.room()?,
                token: frame.parsed(Key::Token)?,
                session: frame.parsed_or_none(Key::Session)?,
            },
            "ping" => Self::Ping,
            _ => return Err(frame.unknown_type()),
        };
        Ok((frame.id()?, message))
    }

    /// Its `type` on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Join { .. } => "join",
            Self::Signal { .. } => "signal",
            Self::Leave => "leave",
            Self::Reject { .. } => "reject",
            Self::Destroy => "destroy",
            Self::Resume { .. } => "resume",
            Self::Ping => "ping",
        }
    }

    /// The text of the message.
    pub fn encode(&self, id: Option<RequestId>) -> String {
        let payload = match self {
            Self::Signal { payload, .. } => payload.get().len(),
            _ => 0,
        };
        self.add_fields(Object::new(self.kind(), id, payload)).end()
    }

    fn add_fields(&self, object: Object) -> Object {
        let room_field = |object: Object, room: &RoomName| object.plain("room", room.as_str());
        match self {
            Self::Create { room } => object.optional(room.as_ref(), room_field),
            Self::Join {
                room,
                session,
                token,
            } => room_field(object, room)
                .session(session)
                .optional(token.as_ref(), Object::token),
            Self::Signal { session, payload } => object.session(session).raw("payload", payload),
            Self::Leave | Self::Destroy | Self::Ping => object,
            Self::Reject { session, reason } => {
                object.session(session).plain("reason", reason.as_str())
            }
            Self::Resume {
                room,
                token,
                session,
            } => room_field(object, room)
                .token(token)
                .optional(session.as_ref(), Object::session),
        }
    }
}

impl fmt::Debug for ClientMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientMessage({})", self.kind())
    }
}

impl RejectReason {
    const ALL: [Self; 4] = [Self::Busy, Self::NoOffer, Self::NotVerified, Self::Other];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoOffer => "no-offer",
            Self::NotVerified => "not-verified",
            Self::Other => "other",
        }
    }
}

impl FromStr for RejectReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownReason)
    }
}

/// A reason this version does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownReason;

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a reason of this version")
    }
}
