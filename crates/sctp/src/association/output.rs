//! What an association gives out.

use std::time::{Duration, Instant};

use crate::channel::{ChannelId, ChannelOptions, Message};

/// What the driver has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send what is in the buffer: packets of exactly this size, one after the other, the last may be shorter. One run for GSO.
    Transmit {
        /// Bytes of each packet but the last.
        segment_size: usize,
    },
    /// Something the user wants to know.
    Event(Event),
    /// Nothing more now. Call with [`Input::Timeout`](crate::Input::Timeout) at this instant, or never if there is none and nothing
    /// else happens.
    Timeout(Option<Instant>),
}

/// Something the user wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done.
    Established,
    /// A channel is open: one of ours, as soon as the association is up, or one that the peer opened.
    ChannelOpened {
        /// Its name from now on.
        channel: ChannelId,
        /// How it was opened.
        options: ChannelOptions,
        /// The peer opened it.
        by_peer: bool,
    },
    /// A message arrived.
    Message {
        /// On this channel.
        channel: ChannelId,
        /// The whole message.
        message: Message,
    },
    /// The buffered amount fell from above the threshold to it or below.
    BufferedAmountLow {
        /// On this channel.
        channel: ChannelId,
    },
    /// A channel ended, whoever ended it; nothing more is said of it.
    ChannelClosed {
        /// This channel.
        channel: ChannelId,
    },
    /// The association ended, after its channels; nothing follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why an association ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Shut down by either side; everything queued before was delivered.
    Shutdown,
    /// Aborted here, by the user.
    Aborted,
    /// Aborted by the peer.
    AbortedByPeer {
        /// The code of the first error cause (RFC 9260 §3.3.10), if one was given.
        cause: Option<u16>,
        /// What the peer wrote for a person to read, if anything.
        reason: String,
    },
    /// The peer broke the protocol and was aborted.
    ProtocolViolation {
        /// Which rule.
        what: String,
    },
    /// The handshake had no answer.
    ConnectTimeout,
    /// The peer did not acknowledge for too many retransmissions.
    PeerUnreachable,
}

/// Counters since the beginning and estimates of now. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// SCTP packets sent.
    pub packets_sent: u64,
    /// SCTP packets received that were well formed and ours.
    pub packets_received: u64,
    /// Packets received and dropped: checksum, tag, format.
    pub packets_dropped: u64,
    /// Bytes of SCTP packets sent.
    pub bytes_sent: u64,
    /// Bytes of SCTP packets received.
    pub bytes_received: u64,
    /// DATA and I-DATA chunks sent, retransmissions included.
    pub chunks_sent: u64,
    /// Chunks sent again.
    pub chunks_retransmitted: u64,
    /// Chunks sent that the peer said it had already (duplicate TSNs in its SACKs).
    pub chunks_needless: u64,
    /// DATA and I-DATA chunks received that had arrived before.
    pub chunks_duplicate: u64,
    /// Messages handed to the transport, those of the channel protocol included.
    pub messages_sent: u64,
    /// Messages received, those of the channel protocol included.
    pub messages_received: u64,
    /// Messages given up: out of retransmissions or lifetime (RFC 3758).
    pub messages_abandoned: u64,
    /// Messages received that mean nothing here and were dropped: an unknown payload protocol, a channel that is closing.
    pub messages_ignored: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Sent and not acknowledged yet.
    pub in_flight: usize,
    /// Queued and not sent yet, over all channels.
    pub buffered: usize,
    /// What the congestion control allows in flight.
    pub congestion_window: usize,
    /// What the peer allows in flight.
    pub peer_window: u32,
    /// Bytes a second, if paced.
    pub pacing_rate: Option<u64>,
    /// Bytes a second that the path was last seen to deliver.
    pub delivery_rate: Option<u64>,
    /// Smoothed round trip time (RFC 9260 §6.3.1).
    pub rtt: Option<Duration>,
    /// The shortest round trip lately.
    pub min_rtt: Option<Duration>,
    /// The size of full packets now.
    pub packet_size: usize,
    /// Interleaving was negotiated (RFC 8260).
    pub interleaving: bool,
    /// Packets we send carry no checksum (RFC 9653).
    pub zero_checksum: bool,
}
