//! The association: data channels over the transport; the public door of this crate.
//!
//! In the shape of every state machine of this house: give it an [`Input`] and the time, then take every [`Output`] until it yields
//! only the next timeout. [`Channels`] knows data channels and no TSN, [`Transport`] knows TSNs and no data channel; this file carries
//! the one's actions and the other's events across, and nothing else.

mod config;
mod output;
#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;

pub use self::config::{Config, Role};
pub use self::output::{CloseReason, Event, Output, Stats};
pub use crate::congestion::CongestionControl;
use crate::{
    channel::{
        Action, ChannelId, ChannelOptions, ChannelState, Channels, Message, OpenError, SendError,
    },
    send::SendOptions,
    transport::{Transport, TransportEvent, TransportOutput},
};

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
    transport: Transport,
    channels: Channels,
    max_send_buffer: usize,
    /// The user wants it to end gracefully; carried out when the time is next known.
    shutdown: bool,
}

impl Association {
    /// An association that has sent nothing yet. `seed` must be unguessable and used once: tags, TSNs and the cookie's key come of it.
    pub fn new(mut config: Config, seed: [u8; 32]) -> Self {
        // A message is taken from the window as a whole: one that is larger would never be complete.
        let least = u32::try_from(config.max_message_size.saturating_mul(2)).unwrap_or(u32::MAX);
        config.receive_window = config.receive_window.max(least);
        Self {
            channels: Channels::new(config.role, config.peer_max_message_size),
            max_send_buffer: config.max_send_buffer,
            transport: Transport::new(config, seed),
            shutdown: false,
        }
    }

    /// Takes one input; what follows of it is in [`Association::poll_output`].
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.transport.handle_input(now, input);
    }

    /// The next output. Call until it yields [`Output::Timeout`]; `buf` is cleared, and filled for [`Output::Transmit`].
    pub fn poll_output(&mut self, now: Instant, buf: &mut Vec<u8>) -> Output {
        buf.clear();
        loop {
            self.carry_out(now);
            if let Some(event) = self.channels.poll_event() {
                return Output::Event(event);
            }
            match self.transport.poll_output(now, buf) {
                TransportOutput::Event(event) => self.hear(event),
                TransportOutput::Transmit { segment_size } => {
                    return Output::Transmit { segment_size };
                }
                TransportOutput::Timeout(at) => return Output::Timeout(at),
            }
        }
    }

    /// The next event, if there is one, and nothing is sent: what is answered before [`Association::poll_output`] is asked travels
    /// with the acknowledgement of what it answers.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            self.carry_out(now);
            if let Some(event) = self.channels.poll_event() {
                return Some(event);
            }
            let event = self.transport.poll_event()?;
            self.hear(event);
        }
    }

    /// Opens a data channel. Messages may be sent on it at once; before [`Event::Established`] they wait.
    pub fn open(&mut self, options: ChannelOptions) -> Result<ChannelId, OpenError> {
        if self.is_ending() {
            return Err(OpenError::Closed);
        }
        self.channels.open(options)
    }

    /// Queues a message. Its lifetime, if the channel has one, begins now, or once the association is up.
    pub fn send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        message: Message,
    ) -> Result<(), SendError> {
        if self.is_ending() {
            return Err(SendError::NotOpen);
        }
        let queued = self.channels.held() + self.transport.queued();
        self.channels
            .send(channel, message, queued, self.max_send_buffer)?;
        self.carry_out(now);
        Ok(())
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

    /// Whether messages are taken from the receive window; they are at first. While not, what arrives stays in the window, which closes
    /// after `receive_window` bytes, and the peer's messages wait on its side: backpressure from the application to the other end.
    pub fn set_reading(&mut self, reading: bool) {
        self.transport.set_reading(reading);
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

    /// Ends the association once everything queued was acknowledged (RFC 9260 §9.2). From now on nothing more is taken.
    pub fn shutdown(&mut self) {
        self.shutdown = true;
    }

    /// Ends the association now (RFC 9260 §9.1). The peer is told the reason.
    pub fn abort(&mut self, reason: &str) {
        self.transport.abort(reason);
    }

    /// What to write as `a=sctp-init` into the session description (SNAP, draft-hancke-tsvwg-snap): our INIT chunk. If the peer's
    /// description has one too, give it to [`Input::RemoteInit`]: the association is then up without a handshake on the wire.
    pub fn local_init(&self) -> Bytes {
        self.transport.local_init()
    }

    /// Counters and estimates of now.
    pub fn stats(&self) -> Stats {
        Stats {
            messages_ignored: self.channels.ignored(),
            ..self.transport.stats()
        }
    }

    fn is_ending(&self) -> bool {
        self.shutdown || self.transport.is_ending()
    }

    /// Hands to the transport what channels and user want of it.
    fn carry_out(&mut self, now: Instant) {
        while let Some(action) = self.channels.poll_action() {
            match action {
                Action::Send {
                    stream,
                    ppid,
                    payload,
                    unordered,
                    reliability,
                    priority,
                } => {
                    let options = SendOptions {
                        unordered,
                        reliability,
                        priority,
                    };
                    self.transport.send(now, stream, ppid, payload, &options);
                }
                Action::Reset { stream } => self.transport.reset_stream(stream),
                Action::AssumeReset { stream } => {
                    if self.transport.assume_reset(stream) {
                        self.channels.outgoing_reset(stream);
                    }
                }
            }
        }
        if std::mem::take(&mut self.shutdown) {
            self.transport.shutdown(now);
        }
    }

    fn hear(&mut self, event: TransportEvent) {
        let channels = &mut self.channels;
        match event {
            TransportEvent::Established { streams } => channels.established(streams),
            TransportEvent::Restarted => channels.restarted(),
            TransportEvent::Message {
                stream,
                ppid,
                payload,
            } => channels.message(stream, ppid, payload),
            TransportEvent::Sent { stream } => {
                channels.sent(stream, self.transport.buffered(stream))
            }
            TransportEvent::OutgoingReset { stream } => channels.outgoing_reset(stream),
            TransportEvent::OutgoingResetRefused { stream } => {
                channels.outgoing_reset_refused(stream)
            }
            TransportEvent::IncomingReset {
                stream: Some(stream),
            } => channels.incoming_reset(stream),
            TransportEvent::IncomingReset { stream: None } => channels.all_incoming_reset(),
            TransportEvent::Closed { reason } => channels.closed(reason),
        }
    }
}
