//! A further data channel: any options, messages as they are.

use std::sync::Arc;
use std::time::Duration;

use crowfly_sctp as sctp;
use tokio::sync::mpsc;

use crate::burst::BurstReceiver;
use crate::inflow::Held;
use crate::message::Message;
use crate::peer::{Command, Outgoing, SendError, Shared, Target};

/// How a channel is opened: RTCDataChannelInit (W3C WebRTC §6.1) and the label.
///
/// ```
/// use crowfly_peer::ChannelOptions;
///
/// let options = ChannelOptions::new("positions").unordered().max_retransmits(0);
/// assert_eq!(options.label, "positions");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelOptions {
    /// A name; it need not be unique. At most 65,535 bytes (RFC 8832 §5.1).
    pub label: String,
    /// The subprotocol spoken on it, possibly empty; at most 65,535 bytes. `crowfly.1` is the main channel's.
    pub protocol: String,
    /// Messages arrive in the order they were sent (RFC 8831 §6.6).
    pub ordered: bool,
    /// How hard messages are tried.
    pub reliability: Reliability,
    /// An id that both sides agreed on, below 65,535; nothing is said on the wire then (RFC 8831 §6.4).
    pub negotiated: Option<u16>,
}

/// How hard a message is tried (RFC 8832 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Reliability {
    /// Until it arrives.
    #[default]
    Reliable,
    /// Sent again at most so often.
    MaxRetransmits(u16),
    /// For so long, to the millisecond.
    MaxLifetime(Duration),
}

/// Why a channel was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The peer has left, or its channel is not open yet.
    #[error("open a channel: the peer is not connected")]
    NotConnected,
    /// The options make no sense, or no id is free.
    #[error("{reason}")]
    Refused {
        /// What speaks against it.
        reason: String,
    },
}

/// A data channel beside the main one. Closed when dropped.
#[derive(Debug)]
pub struct Channel {
    id: sctp::ChannelId,
    options: ChannelOptions,
    incoming: BurstReceiver<(Message, Held)>,
    outgoing: mpsc::Sender<Outgoing>,
    control: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl ChannelOptions {
    /// Reliable and ordered.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
        }
    }

    /// With a subprotocol.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = protocol.into();
        self
    }

    /// Messages may overtake each other.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// Messages are sent again at most so often.
    #[must_use]
    pub fn max_retransmits(mut self, count: u16) -> Self {
        self.reliability = Reliability::MaxRetransmits(count);
        self
    }

    /// Messages are tried for so long.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.reliability = Reliability::MaxLifetime(lifetime);
        self
    }

    /// Both sides open the channel with this id.
    #[must_use]
    pub fn negotiated(mut self, id: u16) -> Self {
        self.negotiated = Some(id);
        self
    }
}

impl Channel {
    pub(crate) fn new(
        id: sctp::ChannelId,
        options: ChannelOptions,
        incoming: BurstReceiver<(Message, Held)>,
        outgoing: mpsc::Sender<Outgoing>,
        control: mpsc::UnboundedSender<Command>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            id,
            options,
            incoming,
            outgoing,
            control,
            shared,
        }
    }

    /// What it was opened with, here or there.
    pub fn options(&self) -> &ChannelOptions {
        &self.options
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.options.label
    }

    /// Its SCTP stream id (RFC 8831 §6.4).
    pub fn id(&self) -> u16 {
        self.id.stream()
    }

    /// Sends one message, whole; waits while too much is queued. A [`Message::Blob`] goes as its bytes. A message that was taken is
    /// delivered as [`ChannelOptions::reliability`] has it, unless the channel ends.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the channel or the peer is gone, [`SendError::TooLarge`] when the other side takes no message of
    /// that size.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let (size, limit) = (message.len(), self.shared.max_message_size());
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        if self.incoming.is_ended() {
            return Err(SendError::Closed);
        }
        let outgoing = Outgoing {
            target: Target::Channel(self.id),
            message,
        };
        self.outgoing
            .send(outgoing)
            .await
            .map_err(|_| SendError::Closed)
    }

    /// The next message; `None` when the channel has ended. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Message> {
        self.incoming.recv().await.map(|(message, _)| message)
    }

    /// Closes it behind what was sent on it, and waits until the other side has all of that (RFC 8831 §6.7). Messages that still
    /// arrive are dropped.
    pub async fn close(mut self) {
        // Behind what is queued for sending: a close that overtakes messages would lose them.
        let closing = Outgoing {
            target: Target::CloseChannel(self.id),
            message: Message::Text(String::new()),
        };
        if self.outgoing.send(closing).await.is_ok() {
            while self.recv().await.is_some() {}
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // The driver is gone where this fails, and the channel with it.
        let _ = self.control.send(Command::CloseChannel(self.id));
    }
}

impl From<ChannelOptions> for sctp::ChannelOptions {
    fn from(options: ChannelOptions) -> Self {
        Self {
            label: options.label,
            protocol: options.protocol,
            ordered: options.ordered,
            reliability: match options.reliability {
                Reliability::Reliable => sctp::Reliability::Reliable,
                Reliability::MaxRetransmits(count) => sctp::Reliability::MaxRetransmits(count),
                Reliability::MaxLifetime(lifetime) => sctp::Reliability::MaxLifetime(lifetime),
            },
            negotiated: options.negotiated,
            ..Self::default()
        }
    }
}

impl From<sctp::ChannelOptions> for ChannelOptions {
    fn from(options: sctp::ChannelOptions) -> Self {
        Self {
            label: options.label,
            protocol: options.protocol,
            ordered: options.ordered,
            reliability: match options.reliability {
                sctp::Reliability::Reliable => Reliability::Reliable,
                sctp::Reliability::MaxRetransmits(count) => Reliability::MaxRetransmits(count),
                sctp::Reliability::MaxLifetime(lifetime) => Reliability::MaxLifetime(lifetime),
            },
            negotiated: options.negotiated,
        }
    }
}
