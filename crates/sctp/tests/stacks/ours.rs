//! Ours behind the common face.

use std::collections::VecDeque;
use std::time::Instant;

use crowfly_sctp::{
    Association, ChannelId, ChannelOptions, Config, Event as OwnEvent, Input, Message, Output,
};
use crowfly_sim::Machine;

use super::{Channel, Event, Setup, Stack};

/// An association of ours, driven as a driver would.
pub(crate) struct Ours {
    pub(crate) association: Association,
    buffer: Vec<u8>,
    /// By stream; a list, because a benchmark looks here for every message.
    channels: Vec<Option<ChannelId>>,
    events: VecDeque<Event>,
}

impl Ours {
    pub(crate) fn new(setup: Setup) -> Self {
        Self::with(Self::config(setup), setup.seed)
    }

    pub(crate) fn with(config: Config, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            association: Association::new(config, bytes),
            buffer: Vec::new(),
            channels: Vec::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn config(setup: Setup) -> Config {
        Config {
            role: setup.role,
            receive_window: setup.window as u32,
            max_message_size: setup.max_message,
            peer_max_message_size: setup.max_message,
            zero_checksum: setup.zero_checksum,
            interleaving: setup.interleaving,
            congestion: setup.congestion,
            streams: setup.streams,
            ..Config::default()
        }
    }

    fn known(&self, channel: Channel) -> Option<ChannelId> {
        self.channels.get(usize::from(channel)).copied().flatten()
    }

    fn remember(&mut self, channel: ChannelId) {
        let stream = usize::from(channel.stream());
        if self.channels.len() <= stream {
            self.channels.resize(stream + 1, None);
        }
        self.channels[stream] = Some(channel);
    }

    fn event(&mut self, event: OwnEvent) {
        let event = match event {
            OwnEvent::Established => Event::Established,
            OwnEvent::ChannelOpened {
                channel,
                options,
                by_peer,
            } => {
                self.remember(channel);
                if !by_peer {
                    return;
                }
                Event::Opened(channel.stream(), options)
            }
            OwnEvent::Message { channel, message } => Event::Message(channel.stream(), message),
            OwnEvent::ChannelClosed { channel } => {
                self.channels[usize::from(channel.stream())] = None;
                Event::ChannelClosed(channel.stream())
            }
            OwnEvent::Closed { reason } => Event::Closed(format!("{reason:?}")),
            _ => return,
        };
        self.events.push_back(event);
    }
}

impl Stack for Ours {
    fn connect(&mut self, now: Instant) {
        self.association.handle_input(now, Input::Connect);
    }

    fn open(&mut self, _now: Instant, options: &ChannelOptions) -> Channel {
        let channel = self
            .association
            .open(options.clone())
            .expect("a free stream");
        self.remember(channel);
        channel.stream()
    }

    fn send(&mut self, now: Instant, channel: Channel, message: Message) -> bool {
        let Some(channel) = self.known(channel) else {
            return false;
        };
        self.association.send(now, channel, message).is_ok()
    }

    fn buffered(&mut self, channel: Channel) -> usize {
        let channel = self.known(channel);
        channel.map_or(0, |channel| self.association.buffered_amount(channel))
    }

    fn close(&mut self, _now: Instant, channel: Channel) {
        if let Some(channel) = self.known(channel) {
            self.association.close(channel);
        }
    }

    fn pause(&mut self, paused: bool) {
        self.association.set_reading(!paused);
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn stats(&self) -> String {
        format!("{:?}", self.association.stats())
    }
}

impl Machine for Ours {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.association
            .handle_input(now, Input::Datagram(datagram));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_input(now, Input::Timeout);
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        loop {
            match self.association.poll_output(now, &mut self.buffer) {
                Output::Transmit { segment_size } => {
                    assert!(segment_size > 0 && !self.buffer.is_empty(), "an empty run");
                    self.buffer.chunks(segment_size).for_each(&mut *transmit);
                }
                Output::Event(event) => self.event(event),
                Output::Timeout(at) => return at,
                other => panic!("unknown output {other:?}"),
            }
        }
    }
}
