//! `dcsctp`, the SCTP of Chromium in Rust.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use crowfly_sctp::{ChannelOptions, Message, Reliability};
use crowfly_sim::Machine;
use dcsctp::api::{
    DcSctpSocket, Message as RawMessage, Options, PpId, SendOptions, SocketEvent, SocketTime,
    StreamId, ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS,
};

use super::dcep::{self, Channels, Received};
use super::{Channel, Event, Setup, Stack};

/// A socket of dcsctp and the channels on it.
pub(crate) struct Dcsctp {
    socket: Box<dyn DcSctpSocket>,
    /// Its time begins with the first call.
    start: Option<Instant>,
    channels: Channels,
    events: VecDeque<Event>,
    paused: bool,
}

impl Dcsctp {
    pub(crate) fn new(setup: Setup) -> Self {
        // Its tags and first TSN come from the thread's generator.
        fastrand::seed(setup.seed);
        let mut options = Options {
            max_message_size: setup.max_message,
            max_receiver_window_buffer_size: setup.window,
            max_send_buffer_size: 16 << 20,
            per_stream_send_queue_limit: 16 << 20,
            enable_message_interleaving: setup.interleaving,
            ..Options::default()
        };
        if setup.zero_checksum {
            options.zero_checksum_alternate_error_detection_method =
                ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS;
        }
        Self {
            socket: dcsctp::new_socket("rival", &options),
            start: None,
            channels: Channels::new(setup.role),
            events: VecDeque::new(),
            paused: false,
        }
    }

    fn advance(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        self.socket.advance_time(SocketTime::zero() + (now - start));
    }

    fn raw_send(&mut self, id: Channel, ppid: u32, payload: &[u8], options: &SendOptions) -> bool {
        let message = RawMessage::new(StreamId(id), PpId(ppid), payload.to_vec());
        self.socket.send(message, options).is_ok()
    }

    fn messages(&mut self) {
        while !self.paused
            && let Some(message) = self.socket.get_next_message()
        {
            let (id, ppid) = (message.stream_id.0, message.ppid.0);
            match self
                .channels
                .receive(id, ppid, Bytes::from(message.payload))
            {
                Received::Event(event) => self.events.push_back(event),
                Received::Opened(id, open, answer) => {
                    self.events.push_back(Event::Opened(id, open));
                    self.raw_send(id, dcep::control(), &answer, &SendOptions::default());
                }
                Received::Nothing => {}
            }
        }
    }

    fn socket_event(&mut self, event: SocketEvent, transmit: &mut dyn FnMut(&[u8])) {
        match event {
            SocketEvent::SendPacket(packet) => transmit(&packet),
            SocketEvent::OnConnected() => self.events.push_back(Event::Established),
            SocketEvent::OnClosed() => self.events.push_back(Event::Closed("closed".to_owned())),
            SocketEvent::OnAborted(kind, text) => {
                self.events
                    .push_back(Event::Closed(format!("{kind:?} {text}")));
            }
            SocketEvent::OnIncomingStreamReset(ids) => {
                // What arrived before the reset is delivered before it.
                self.messages();
                for StreamId(id) in ids {
                    if self.channels.reset_by_peer(id) {
                        let _ = self.socket.reset_streams(&[StreamId(id)]);
                    }
                    self.events.push_back(Event::ChannelClosed(id));
                }
            }
            _ => {}
        }
    }
}

impl Stack for Dcsctp {
    fn connect(&mut self, now: Instant) {
        self.advance(now);
        self.socket.connect();
    }

    fn open(&mut self, now: Instant, open: &ChannelOptions) -> Channel {
        self.advance(now);
        let (id, message) = self.channels.open(open);
        if let Some(message) = message {
            self.raw_send(id, dcep::control(), &message, &SendOptions::default());
        }
        id
    }

    fn send(&mut self, now: Instant, channel: Channel, message: Message) -> bool {
        self.advance(now);
        let Some(open) = self.channels.options(channel) else {
            return false;
        };
        let mut options = SendOptions {
            unordered: !open.ordered,
            ..SendOptions::default()
        };
        match open.reliability {
            Reliability::Reliable => {}
            Reliability::MaxRetransmits(most) => options.max_retransmissions = Some(most),
            Reliability::MaxLifetime(time) => options.lifetime = Some(time),
        }
        let (ppid, payload) = dcep::wire(message);
        self.raw_send(channel, ppid, &payload, &options)
    }

    fn buffered(&mut self, channel: Channel) -> usize {
        self.socket.buffered_amount(StreamId(channel))
    }

    fn close(&mut self, now: Instant, channel: Channel) {
        self.advance(now);
        if self.channels.close(channel) {
            let _ = self.socket.reset_streams(&[StreamId(channel)]);
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }
}

impl Machine for Dcsctp {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.advance(now);
        self.socket.handle_input(datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        self.advance(now);
        loop {
            self.messages();
            let Some(event) = self.socket.poll_event() else {
                break;
            };
            self.socket_event(event, transmit);
        }
        let timeout = self.socket.poll_timeout();
        let sleeps = timeout < SocketTime::infinite_future();
        sleeps.then(|| self.start.expect("set by advance") + (timeout - SocketTime::zero()))
    }
}
