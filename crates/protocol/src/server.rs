//! What the server says.

use std::{borrow::Cow, fmt, str::FromStr};

use serde_json::value::RawValue;

use crate::{
    ErrorCode, PROTOCOL_VERSION, ParseError, PeerId, RejectReason, RequestId, RoomName, SessionId,
    Token,
    client::UnknownReason,
    frame::{Frame, Key},
    writer::Object,
};

/// An answer or a fact, `docs/protocol.md`.
///
/// `Debug` tells its type only: what peers say to each other does not belong into logs.
#[derive(Clone)]
#[non_exhaustive]
pub enum ServerMessage<'a> {
    /// The first message on a connection.
    Welcome {
        /// The id this peer has while it sits where this connection put it.
        peer: PeerId,
        /// An array of RTCIceServer dictionaries (W3C WebRTC §4.2.2).
        ice_servers: &'a RawValue,
    },
    /// What is to be used for connections made from now on.
    IceServers {
        /// As in `welcome`, with newer credentials.
        ice_servers: &'a RawValue,
    },
    /// The answer to `create`.
    Created {
        /// The name in use.
        room: RoomName,
        /// Proves this peer when it comes back.
        token: Token,
    },
    /// The answer to `join`.
    Joined {
        /// The name in use.
        room: RoomName,
        /// Proves this peer when it comes back.
        token: Token,
        /// Who waits; nobody when a peer took its own seat back in an otherwise empty room.
        pairing: Option<Pairing>,
    },
    /// Somebody joined.
    PeerJoined(Pairing),
    /// Something from the peer opposite.
    Signal {
        /// Who sent it, as the server knows.
        from: PeerId,
        /// The pairing it belongs to.
        session: SessionId,
        /// What was sent, byte for byte.
        payload: &'a RawValue,
    },
    /// This connection sits in no room any more.
    Left {
        /// The room left.
        room: RoomName,
        /// `leave` (an answer) or `rejected` (a fact).
        reason: LeaveReason,
        /// What the one who rejected said.
        detail: Option<RejectReason>,
    },
    /// The peer opposite has left; also the answer to `reject`.
    PeerLeft {
        /// The pairing that ended.
        pairing: Pairing,
        /// How it left.
        reason: LeaveReason,
    },
    /// The answer to `destroy`.
    Destroyed {
        /// The room that is no more.
        room: RoomName,
    },
    /// The other peer's connection is lost; its seat is kept.
    PeerOffline {
        /// Whose.
        peer: PeerId,
    },
    /// The other peer is back.
    PeerOnline {
        /// Who.
        peer: PeerId,
    },
    /// The answer to `resume`.
    Resumed {
        /// The name in use.
        room: RoomName,
        /// New when the seat is new.
        token: Token,
        /// Who is there, if anybody.
        pairing: Option<Pairing>,
    },
    /// The answer to `ping`.
    Pong,
    /// A request failed.
    Error {
        /// The stable code.
        code: ErrorCode,
        /// For people.
        message: Cow<'a, str>,
    },
}

/// Who sits opposite, and the session that names the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pairing {
    /// The other peer.
    pub peer: PeerId,
    /// The pairing's id, drawn by the joiner.
    pub session: SessionId,
}

/// How a seat became free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaveReason {
    /// Its peer left.
    Leave,
    /// The connection dropped and did not resume in time.
    Lost,
    /// The other peer rejected it.
    Rejected,
    /// Its peer came back as somebody new.
    Replaced,
}

impl<'a> ServerMessage<'a> {
    /// Reads one message and the id of the request it answers.
    ///
    /// # Errors
    ///
    /// [`ParseError`] says what is wrong with it; a client drops such a message.
    pub fn parse(text: &'a str) -> Result<(Option<RequestId>, Self), ParseError> {
        let frame = Frame::read(text)?;
        let message = match frame.kind() {
            "signal" => Self::Signal {
                from: frame.parsed(Key::From)?,
                session: frame.parsed(Key::Session)?,
                payload: frame.raw(Key::Payload)?,
            },
            "ice-servers" => Self::IceServers {
                ice_servers: frame.raw(Key::IceServers)?,
            },
            "welcome" => read_welcome(&frame)?,
            "created" => Self::Created {
                room: frame.room()?,
                token: frame.parsed(Key::Token)?,
            },
            "joined" => Self::Joined {
                room: frame.room()?,
                token: frame.parsed(Key::Token)?,
                pairing: read_pairing_or_none(&frame)?,
            },
            "peer-joined" => Self::PeerJoined(read_pairing(&frame)?),
            "left" => Self::Left {
                room: frame.room()?,
                reason: frame.parsed(Key::Reason)?,
                detail: frame.parsed_or_none(Key::Detail)?,
            },
            "peer-left" => Self::PeerLeft {
                pairing: read_pairing(&frame)?,
                reason: frame.parsed(Key::Reason)?,
            },
            "destroyed" => Self::Destroyed {
                room: frame.room()?,
            },
            "peer-offline" => Self::PeerOffline {
                peer: frame.parsed(Key::Peer)?,
            },
            "peer-online" => Self::PeerOnline {
                peer: frame.parsed(Key::Peer)?,
            },
            "resumed" => Self::Resumed {
                room: frame.room()?,
                token: frame.parsed(Key::Token)?,
                pairing: read_pairing_or_none(&frame)?,
            },
            "pong" => Self::Pong,
            "error" => read_error(&frame)?,
            _ => return Err(frame.unknown_type()),
        };
        Ok((frame.id()?, message))
    }

    /// Its `type` on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::IceServers { .. } => "ice-servers",
            Self::Created { .. } => "created",
            Self::Joined { .. } => "joined",
            Self::PeerJoined(_) => "peer-joined",
            Self::Signal { .. } => "signal",
            Self::Left { .. } => "left",
            Self::PeerLeft { .. } => "peer-left",
            Self::Destroyed { .. } => "destroyed",
            Self::PeerOffline { .. } => "peer-offline",
            Self::PeerOnline { .. } => "peer-online",
            Self::Resumed { .. } => "resumed",
            Self::Pong => "pong",
            Self::Error { .. } => "error",
        }
    }

    /// The text of the message.
    pub fn encode(&self, id: Option<RequestId>) -> String {
        let payload = match self {
            Self::Signal { payload, .. } => payload.get().len(),
            Self::Welcome { ice_servers, .. } | Self::IceServers { ice_servers } => {
                ice_servers.get().len()
            }
            _ => 0,
        };
        self.add_fields(Object::new(self.kind(), id, payload)).end()
    }

    fn add_fields(&self, object: Object) -> Object {
        match self {
            Self::Signal {
                from,
                session,
                payload,
            } => object
                .peer("from", from)
                .session(session)
                .raw("payload", payload),
            Self::Welcome { peer, ice_servers } => object
                .number("protocol", PROTOCOL_VERSION.into())
                .peer("peer", peer)
                .raw("iceServers", ice_servers),
            Self::IceServers { ice_servers } => object.raw("iceServers", ice_servers),
            Self::Created { room, token } => object.plain("room", room.as_str()).token(token),
            Self::Joined {
                room,
                token,
                pairing,
            }
            | Self::Resumed {
                room,
                token,
                pairing,
            } => {
                let object = object.plain("room", room.as_str()).token(token);
                write_pairing_or_none(object, *pairing)
            }
            Self::PeerJoined(pairing) => write_pairing(object, *pairing),
            Self::Left {
                room,
                reason,
                detail,
            } => object
                .plain("room", room.as_str())
                .plain("reason", reason.as_str())
                .optional(*detail, |object, detail| {
                    object.plain("detail", detail.as_str())
                }),
            Self::PeerLeft { pairing, reason } => {
                write_pairing(object, *pairing).plain("reason", reason.as_str())
            }
            Self::Destroyed { room } => object.plain("room", room.as_str()),
            Self::PeerOffline { peer } | Self::PeerOnline { peer } => object.peer("peer", peer),
            Self::Pong => object,
            Self::Error { code, message } => {
                object.plain("code", code.as_str()).text("message", message)
            }
        }
    }
}

impl fmt::Debug for ServerMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerMessage({})", self.kind())
    }
}

impl LeaveReason {
    const ALL: [Self; 4] = [Self::Leave, Self::Lost, Self::Rejected, Self::Replaced];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }
}

impl FromStr for LeaveReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownReason)
    }
}

fn read_welcome<'a>(frame: &Frame<'a>) -> Result<ServerMessage<'a>, ParseError> {
    if frame.number(Key::Protocol)? != u64::from(PROTOCOL_VERSION) {
        return Err(frame.invalid(Key::Protocol, "is a version this program does not speak"));
    }
    Ok(ServerMessage::Welcome {
        peer: frame.parsed(Key::Peer)?,
        ice_servers: frame.raw(Key::IceServers)?,
    })
}

fn read_error<'a>(frame: &Frame<'a>) -> Result<ServerMessage<'a>, ParseError> {
    let code = ErrorCode::from_text(frame.text(Key::Code)?)
        .ok_or_else(|| frame.invalid(Key::Code, "is not a code of this version"))?;
    Ok(ServerMessage::Error {
        code,
        message: frame.text(Key::Message)?.to_owned().into(),
    })
}

fn read_pairing(frame: &Frame<'_>) -> Result<Pairing, ParseError> {
    Ok(Pairing {
        peer: frame.parsed(Key::Peer)?,
        session: frame.parsed(Key::Session)?,
    })
}

fn read_pairing_or_none(frame: &Frame<'_>) -> Result<Option<Pairing>, ParseError> {
    if frame.is_none(Key::Peer) && frame.is_none(Key::Session) {
        Ok(None)
    } else {
        read_pairing(frame).map(Some)
    }
}

fn write_pairing(object: Object, pairing: Pairing) -> Object {
    object.peer("peer", &pairing.peer).session(&pairing.session)
}

fn write_pairing_or_none(object: Object, pairing: Option<Pairing>) -> Object {
    match pairing {
        Some(pairing) => write_pairing(object, pairing),
        None => object.null("peer").null("session"),
    }
}
