//! How a pairing ends, and what goes wrong on the way: what its user is told.

/// Why a pairing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The other side said goodbye in the channel.
    Goodbye,
    /// This side left, or the server says that the other did.
    Leave,
    /// The server lost the other side before a channel was open.
    Lost,
    /// The other side's seat was taken by somebody new with its token.
    Replaced,
    /// The other side rejected this one, or was rejected.
    Rejected,
    /// Silence, or the channel ended without a goodbye.
    Vanished,
    /// No connection came about.
    Failed,
    /// It joined and then said nothing.
    NoOffer,
    /// It does not share the secret of the room, or somebody in between changed what it said.
    NotVerified,
}

impl EndReason {
    /// The stable text, the same as in JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Leave => "leave",
            Self::Lost => "lost",
            Self::Replaced => "replaced",
            Self::Rejected => "rejected",
            Self::Vanished => "vanished",
            Self::Failed => "failed",
            Self::NoOffer => "no-offer",
            Self::NotVerified => "not-verified",
        }
    }
}

/// What goes wrong with a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No way was found between the two.
    #[error("no way was found between the two peers")]
    NoPath,
    /// The secure connection failed.
    #[error(transparent)]
    Handshake(#[from] crate::session::HandshakeError),
    /// The other side's description cannot be used.
    #[error("the other side's description cannot be used")]
    Description(#[from] crate::description::DescriptionError),
    /// A payload was not sealed by who shares the secret of the room.
    #[error("what the other side said was not sealed with the secret of the room")]
    NotVerified,
    /// No answer to the offer within 15 s.
    #[error("no answer to the offer within 15 s")]
    NoAnswer,
    /// The other side sent what the main channel does not allow.
    #[error("the other side sent what the main channel does not allow: {code}")]
    Violation {
        /// A `problem` code of `docs/protocol.md`.
        code: String,
    },
    /// The other side refused a message.
    #[error("the other side refused a message: {code}")]
    Refused {
        /// A `problem` code of `docs/protocol.md`.
        code: String,
    },
}

impl PeerError {
    /// The stable code, the same as in JavaScript where JavaScript has it.
    pub fn code(&self) -> &str {
        match self {
            Self::NoPath => "connection-failed",
            Self::Handshake(_) => "handshake-failed",
            Self::Description(_) => "rejected-description",
            Self::NotVerified => "not-verified",
            Self::NoAnswer => "no-answer",
            Self::Violation { code } | Self::Refused { code } => code,
        }
    }
}
