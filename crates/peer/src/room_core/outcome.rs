//! Why a room was not entered, and why one is out of it.

use crate::pairing::EndReason;

/// Why entering a room, or coming back to it, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// Nobody answers at the address.
    #[error("could not reach the server at {url}: {reason}")]
    Unreachable {
        /// The WebSocket's address.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Something answers, but says nothing, or not soon enough.
    #[error("the server gave no answer within 9 s")]
    Silent,
    /// It speaks another protocol.
    #[error("the server speaks another protocol")]
    UnsupportedProtocol,
    /// The server refused, with a code of `docs/protocol.md`.
    #[error("the server refused: {message}")]
    Refused {
        /// The stable code.
        code: String,
        /// For people.
        message: String,
    },
    /// The one who waits there rejected this one.
    #[error("the other side rejected this one: {detail}")]
    Rejected {
        /// `busy`, `no-offer`, `not-verified` or `other`.
        detail: String,
    },
    /// No socket, no addresses.
    #[error("no network to connect over: {reason}")]
    NoNetwork {
        /// What the system said.
        reason: String,
    },
    /// A sealed room's name was not drawn by the server, so that its code could be mistaken for a name; or there was no randomness.
    #[error("no code could be made for this room: {reason}")]
    NoCode {
        /// Why.
        reason: String,
    },
    /// It was left before it was entered.
    #[error("the room was left")]
    Left,
}

impl RoomError {
    /// The stable code, the same as in JavaScript.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "server-unreachable",
            Self::Silent => "server-silent",
            Self::UnsupportedProtocol => "unsupported-protocol",
            Self::Refused { code, .. } => code,
            Self::Rejected { detail } => detail,
            Self::NoNetwork { .. } => "no-network",
            Self::NoCode { .. } => "no-code",
            Self::Left => "closed",
        }
    }
}

/// Why one is out of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Own wish.
    Left,
    /// The one who waited rejected this one: `busy`, `no-offer`, `not-verified` or `other`.
    Rejected(String),
    /// The seat was taken elsewhere, with its token.
    Replaced,
    /// PEER1: no connection, or it was lost, and the other still waits there.
    Ended(EndReason),
    /// The server refused the return, with this code.
    Refused(String),
    /// Three came who did not know the secret of the room: it is gone, and its code and link with it.
    Burned,
}
