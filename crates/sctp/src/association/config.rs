//! How an association is set up.

use std::time::Duration;

use crate::{congestion::CongestionControl, path::BASE};

/// Who of the two this side is: the DTLS role decides which stream ids it gives to its channels (RFC 8832 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// DTLS client: even ids.
    Client,
    /// DTLS server: odd ids.
    Server,
}

/// How an association is set up. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The DTLS role.
    pub role: Role,
    /// Our SCTP port (`a=sctp-port` of our description, RFC 8841). 5000.
    pub local_port: u16,
    /// The peer's SCTP port. 5000.
    pub remote_port: u16,
    /// The largest message we accept (our `a=max-message-size`); a peer that sends a larger one is aborted. 256 KiB.
    pub max_message_size: usize,
    /// The largest message the peer accepts (its `a=max-message-size`); 0 means any. 256 KiB; a description without the attribute
    /// means 65,536 (RFC 8841 §6.1).
    pub peer_max_message_size: usize,
    /// How much the peer may have sent that was not taken from [`poll_output`](crate::Association::poll_output) yet; at least twice
    /// `max_message_size`, else that counts. 4 MiB.
    pub receive_window: u32,
    /// How much may be sent that was not acknowledged yet, whatever peer and path would allow. 16 MiB.
    pub max_flight: usize,
    /// How much may wait to be sent, over all channels, each message with a fixed cost on top. 16 MiB.
    pub max_send_buffer: usize,
    /// Streams each way that are asked for and granted; channel ids lie below what both sides agree on. 65,535.
    pub streams: u16,
    /// Congestion control. BBR.
    pub congestion: CongestionControl,
    /// The size of SCTP packets before the path was probed. 1,188: the multiple of four below the 1,191
    /// that pass a path of 1,280 bytes with DTLS and IPv6 (RFC 8831 §5).
    pub packet_size: usize,
    /// Probes for larger packets go up to this (RFC 8899). 1,432; equal to `packet_size` or less turns probing off.
    pub max_packet_size: usize,
    /// Offer to do without checksums, DTLS guards the bytes (RFC 9653). On.
    pub zero_checksum: bool,
    /// Offer interleaving of messages (I-DATA, RFC 8260). On.
    pub interleaving: bool,
    /// How long a path is idle before a heartbeat (RFC 9260 §8.3). 30 s; zero turns them off.
    pub heartbeat_interval: Duration,
    /// How often in a row the retransmission timer may expire before the peer counts as lost (RFC 9260 §8.1). 20, which outlasts an
    /// outage of half a minute.
    pub max_retransmissions: u32,
    /// The same for the packets of the handshake (RFC 9260 §16, Max.Init.Retransmits). 8.
    pub max_init_retransmissions: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Role::Client,
            local_port: 5000,
            remote_port: 5000,
            max_message_size: 256 * 1024,
            peer_max_message_size: 256 * 1024,
            receive_window: 4 * 1024 * 1024,
            max_flight: 16 * 1024 * 1024,
            max_send_buffer: 16 * 1024 * 1024,
            streams: 65_535,
            congestion: CongestionControl::default(),
            packet_size: BASE,
            max_packet_size: 1432,
            zero_checksum: true,
            interleaving: true,
            heartbeat_interval: Duration::from_secs(30),
            max_retransmissions: 20,
            max_init_retransmissions: 8,
        }
    }
}
