//! The association: data channels over the transport; the public door of this crate.
//!
//! In the shape of every state machine of this house: give it an [`Input`] and the time, then take every [`Output`] until it yields
//! only the next timeout. [`Channels`] knows data channels and no TSN, [`Transport`] knows TSNs and no data channel; this file carries
//! the one's commands and the other's events across, and nothing else.

mod config;
mod output;

use std::time::Instant;

use bytes::Bytes;

pub use self::config::{Config, Role};
pub use self::output::{CloseReason, Event, Output, Stats};
use crate::channel::{
    ChannelId, ChannelOptions, ChannelState, Channels, Message, OpenError, SendError,
};
pub use crate::congestion::CongestionControl;

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The DTLS connection is up: begin the handshake. In WebRTC both sides do so at once (RFC 8841 §9.3).
    Connect,
    /// The `a=sctp-init` of the peer's session description (SNAP); see [`Association::local_init`].
    RemoteInit(&'a [u8]),
    /// One SCTP packet, that is one DTLS application record. Feed a whole burst before polling: one acknowledgement covers it.
    Datagram(&'a [u8]),
    /// The instant of [`Output::Timeout`] has come.
    Timeout,
}

/// One SCTP association with its data channels (RFC 8831).
#[derive(Debug)]
pub struct Association {
    channels: Channels,
    max_send_buffer: usize,
}

impl Association {
    /// An association that has sent nothing yet. `seed` must be unguessable and used once: tags, TSNs and the cookie's key come of it.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let _ = seed;
        Self {
            channels: Channels::new(config.role, config.peer_max_message_size),
            max_send_buffer: config.max_send_buffer,
        }
    }

    /// Takes one input; what follows of it is in [`Association::poll_output`].
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input);
    }

    /// The next output. Call until it yields [`Output::Timeout`]; `buf` is cleared and filled for [`Output::Transmit`].
    pub fn poll_output(&mut self, now: Instant, buf: &mut Vec<u8>) -> Output {
        let _ = (now, buf);
        match self.channels.poll_event() {
            Some(event) => Output::Event(event),
            None => Output::Timeout(None),
        }
    }

    /// Opens a data channel. Messages may be sent on it at once; before [`Event::Established`] they wait.
    pub fn open(&mut self, options: ChannelOptions) -> Result<ChannelId, OpenError> {
        self.channels.open(options)
    }

    /// Queues a message.
    pub fn send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: Message,
    ) -> Result<(), SendError> {
        let _ = now;
        let queued = self.channels.held();
        self.channels
            .send(channel, message, queued, self.max_send_buffer)
    }

    /// Bytes of the messages queued on a channel that did not go out yet (W3C `bufferedAmount`: without headers, an empty message
    /// counts nothing). 0 if there is no such channel.
    pub fn buffered_amount(&self, channel: ChannelId) -> usize {
        self.channels.buffered_amount(channel)
    }

    /// From now on [`Event::BufferedAmountLow`] tells when the buffered amount falls to this or below. It is 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, threshold: usize) {
        self.channels
            .set_buffered_amount_low_threshold(channel, threshold);
    }

    /// How far a channel is.
    pub fn channel_state(&self, channel: ChannelId) -> ChannelState {
        self.channels.state(channel)
    }

    /// Closes a channel once what is queued on it went out (RFC 8831 §6.7). [`Event::ChannelClosed`] tells when both directions are
    /// reset; from then on the stream's number may be used again.
    pub fn close(&mut self, channel: ChannelId) {
        self.channels.close(channel);
    }

    /// Ends the association once everything queued was acknowledged (RFC 9260 §9.2).
    pub fn shutdown(&mut self) {}

    /// Ends the association now (RFC 9260 §9.1). The peer is told the reason.
    pub fn abort(&mut self, reason: &str) {
        let _ = reason;
    }

    /// What to write as `a=sctp-init` into the session description (SNAP, draft-hancke-tsvwg-snap): our INIT chunk. If the peer's
    /// description has one too, give it to [`Input::RemoteInit`]: the association is then up without a handshake on the wire.
    pub fn local_init(&self) -> Bytes {
        Bytes::new()
    }

    /// Counters and estimates of now.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
