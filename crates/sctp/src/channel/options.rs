//! How a channel is opened, and what speaks against it.

use std::time::Duration;

/// How hard a message is tried (RFC 8832 §5.1, RFC 3758).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reliability {
    /// Until it arrives.
    #[default]
    Reliable,
    /// Sent again at most so often (`maxRetransmits`).
    MaxRetransmits(u16),
    /// For so long (`maxPacketLifeTime`), counted in milliseconds.
    MaxLifetime(Duration),
}

/// How a channel is opened; the W3C's `RTCDataChannelInit`, and the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelOptions {
    /// A name for the application; need not be unique. At most 65,535 bytes.
    pub label: String,
    /// The subprotocol spoken on it. At most 65,535 bytes.
    pub protocol: String,
    /// Messages arrive in the order they were sent.
    pub ordered: bool,
    /// How hard messages are tried.
    pub reliability: Reliability,
    /// The stream's number, if the application agreed on it with the peer, who opens the same; nothing is said on the wire then.
    pub negotiated: Option<u16>,
    /// A weight among the channels: 128 very low, 256 low, 512 medium, 1,024 high (RFC 8831 §6.4).
    pub priority: u16,
}

impl ChannelOptions {
    /// A reliable, ordered channel of this name.
    pub fn labeled(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        let limit = usize::from(u16::MAX);
        if self.label.len() > limit {
            return Err(OpenError::LabelTooLong {
                size: self.label.len(),
            });
        }
        if self.protocol.len() > limit {
            return Err(OpenError::ProtocolTooLong {
                size: self.protocol.len(),
            });
        }
        Ok(())
    }
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
            priority: 256,
        }
    }
}

/// Why a channel was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Every stream of our parity is in use.
    #[error("open a channel: all {limit} streams are in use or the peer's")]
    NoStream {
        /// Streams there are, the peer's included.
        limit: u16,
    },
    /// The stream agreed upon is in use, or not free again yet.
    #[error("open a channel on stream {stream}: the stream is in use")]
    StreamInUse {
        /// Its number.
        stream: u16,
    },
    /// The stream agreed upon does not exist.
    #[error("open a channel on stream {stream}: there are {limit} streams")]
    NoSuchStream {
        /// Its number.
        stream: u16,
        /// Numbers lie below this.
        limit: u16,
    },
    /// The label is longer than 65,535 bytes.
    #[error("open a channel: a label of {size} bytes, 65535 fit")]
    LabelTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// The protocol is longer than 65,535 bytes.
    #[error("open a channel: a protocol of {size} bytes, 65535 fit")]
    ProtocolTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// The association is over.
    #[error("open a channel: the association is closed")]
    Closed,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The channel is closing, closed, or never was.
    #[error("send a message: the channel is not open")]
    NotOpen,
    /// The peer does not accept messages so large.
    #[error("send a message of {size} bytes: the peer accepts {limit}")]
    TooLarge {
        /// What the peer accepts.
        limit: usize,
        /// What was to be sent.
        size: usize,
    },
    /// Too much is queued; wait for [`Event::BufferedAmountLow`](crate::Event::BufferedAmountLow). A message is always taken if
    /// nothing is queued.
    #[error("send a message of {size} bytes: the send buffer is full")]
    BufferFull {
        /// What was to be sent.
        size: usize,
    },
    /// A text that is no text.
    #[error("send a text message: not UTF-8")]
    NotUtf8,
}
