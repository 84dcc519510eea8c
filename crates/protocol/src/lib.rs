//! The signaling wire of Crowfly as types: messages, names, ids and error codes.
//!
//! `docs/protocol.md` is normative; its examples are the files in `fixtures/`. Everything is parsed once, at the edge: who
//! holds a [`RoomName`] or a [`SessionId`] holds a valid one. What the server merely passes on, the payload of a `signal`,
//! stays the text it was. What two peers keep from the server is here too: codes, keys and the sealing of payloads.
//!
//! ```
//! use crowfly_protocol::{ClientMessage, ErrorCode};
//!
//! let (id, message) = ClientMessage::parse(r#"{"type":"leave","id":2}"#).unwrap();
//! assert!(matches!(message, ClientMessage::Leave));
//! assert_eq!(message.encode(id), r#"{"type":"leave","id":2}"#);
//!
//! let error = ClientMessage::parse(r#"{"type":"weather","id":3}"#).unwrap_err();
//! assert_eq!((error.code, error.id.map(u64::from)), (ErrorCode::UnknownType, Some(3)));
//! ```

mod client;
mod code;
mod frame;
mod id;
mod name;
mod room_code;
mod seal;
mod secret;
mod server;
mod writer;

pub use client::{ClientMessage, RejectReason};
pub use code::ErrorCode;
pub use frame::ParseError;
pub use id::{InvalidId, PeerId, RequestId, SessionId, Token};
pub use name::{InvalidRoomName, RoomName};
pub use room_code::{InvalidCode, RoomCode, WORDS_IN_CODE};
pub use seal::{OpenError, Seal, SealNonce};
pub use secret::RoomKey;
pub use server::{LeaveReason, Pairing, ServerMessage};

/// The version of the protocol this crate speaks, as `welcome` tells it.
pub const PROTOCOL_VERSION: u32 = 1;
