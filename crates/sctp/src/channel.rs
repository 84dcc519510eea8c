//! Data channels: DCEP (RFC 8832), stream ids by DTLS role, options, buffered amount.
//!
//! [`Channels`] is pure: what the transport tells goes in by methods, what it shall do comes out as [`Action`]s, and the user gets
//! [`Event`]s. It knows streams and payload protocols, and nothing of chunks, TSNs or time.
//!
//! A channel is the two streams of one number, one each way. Its number is free again once both are reset (RFC 8831 §6.7): until then
//! the channel is closing, also one that was refused and that the user never heard of.

mod buffered;
mod dcep;
mod message;
mod options;
mod table;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;

use self::{buffered::Buffered, dcep::Dcep, message::ppid, table::Table};
pub use self::{
    message::Message,
    options::{ChannelOptions, OpenError, Reliability, SendError},
};
use crate::association::{CloseReason, Event, Role};

/// Streams are numbered with 16 bits and an endpoint announces at most 65,535 of them, so 65,535 is no number (RFC 8832 §6).
const MAX_STREAMS: u16 = u16::MAX;

/// What a queued message costs besides its bytes, about: so that a flood of tiny messages finds its bound too.
pub(crate) const MESSAGE_COST: usize = 64;

/// A channel of one association. Numbers of streams come back, the name of a channel does not: one that closed stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    stream: u16,
    serial: u32,
}

impl ChannelId {
    /// The number of its streams (W3C `RTCDataChannel.id`).
    pub fn stream(self) -> u16 {
        self.stream
    }
}

/// How far a channel is (W3C `RTCDataChannelState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelState {
    /// The association is not up yet; messages wait.
    Connecting,
    /// Messages go and come.
    Open,
    /// One side closed it; what was queued still goes out.
    Closing,
    /// It is over.
    Closed,
}

/// What the transport shall do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Queue a message.
    Send {
        stream: u16,
        ppid: u32,
        payload: Bytes,
        unordered: bool,
        reliability: Reliability,
        priority: u16,
    },
    /// Reset the outgoing stream after what is queued on it.
    Reset { stream: u16 },
    /// The peer uses the stream anew, so it has performed the reset: go by that before its answer comes.
    AssumeReset { stream: u16 },
}

/// All data channels of one association.
#[derive(Debug)]
pub(crate) struct Channels {
    /// The largest message the peer takes.
    limit: usize,
    phase: Phase,
    table: Table,
    actions: VecDeque<Action>,
    /// What the actions hold that wait for the association.
    held: usize,
    events: VecDeque<Event>,
    ignored: u64,
}

/// What the association allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// With so many streams each way.
    Up(u16),
    Over,
}

#[derive(Debug)]
struct Channel {
    serial: u32,
    ordered: bool,
    reliability: Reliability,
    priority: u16,
    told: Told,
    /// The peer knows the channel: unordered messages cannot overtake OPEN any more (RFC 8832 §6).
    confirmed: bool,
    closing: bool,
    outgoing_reset: bool,
    incoming_reset: bool,
    /// The peer's next channel on these streams, opened before this one is known to be over.
    next: Option<Box<ChannelOptions>>,
    buffered: Buffered,
}

/// What the user knows of a channel.
#[derive(Debug)]
enum Told {
    /// The user opened it before the association is up; these are for the event.
    Waiting(Box<ChannelOptions>),
    /// It is open.
    Opened,
    /// Nothing, or nothing any more: it was refused by us, or its closing by the peer.
    Nothing,
}

impl Channel {
    fn new(serial: u32, options: &ChannelOptions) -> Self {
        Self {
            serial,
            ordered: options.ordered,
            reliability: options.reliability,
            priority: options.priority,
            told: Told::Nothing,
            confirmed: false,
            closing: false,
            outgoing_reset: false,
            incoming_reset: false,
            next: None,
            buffered: Buffered::default(),
        }
    }

    fn send(&mut self, stream: u16, message: Message) -> Action {
        let size = message.len();
        let (ppid, payload) = message.into_wire();
        self.buffered.queue(payload.len(), size);
        let unordered = !self.ordered && self.confirmed;
        Action::Send {
            stream,
            ppid,
            payload,
            unordered,
            reliability: self.reliability,
            priority: self.priority,
        }
    }

    /// "All DCEP messages MUST be sent using ordered delivery and reliable transmission" (RFC 8832 §6).
    fn send_dcep(&mut self, stream: u16, payload: Bytes) -> Action {
        self.buffered.queue(payload.len(), 0);
        let reliability = Reliability::Reliable;
        Action::Send {
            stream,
            ppid: ppid::DCEP,
            payload,
            unordered: false,
            reliability,
            priority: self.priority,
        }
    }
}

/// What the user does.
impl Channels {
    /// A peer that takes messages of 0 bytes takes any (RFC 8841 §6.1).
    pub(crate) fn new(role: Role, peer_max_message_size: usize) -> Self {
        Self {
            limit: if peer_max_message_size == 0 {
                usize::MAX
            } else {
                peer_max_message_size
            },
            phase: Phase::Connecting,
            table: Table::new(role),
            actions: VecDeque::new(),
            held: 0,
            events: VecDeque::new(),
            ignored: 0,
        }
    }

    pub(crate) fn open(&mut self, options: ChannelOptions) -> Result<ChannelId, OpenError> {
        options.check()?;
        let limit = match self.phase {
            Phase::Connecting => MAX_STREAMS,
            Phase::Up(streams) => streams,
            Phase::Over => return Err(OpenError::Closed),
        };
        let stream = self.table.stream_for(options.negotiated, limit)?;
        let (id, channel) = self.table.insert(stream, &options);
        if options.negotiated.is_some() {
            channel.confirmed = true; // there is no OPEN to be overtaken
        } else {
            self.actions
                .push_back(channel.send_dcep(stream, Dcep::open(&options)));
        }
        if self.phase == Phase::Connecting {
            channel.told = Told::Waiting(Box::new(options));
        } else {
            channel.told = Told::Opened;
            self.events.push_back(Event::ChannelOpened {
                channel: id,
                options,
                by_peer: false,
            });
        }
        Ok(id)
    }

    /// `queued` bytes are in the send buffer, over all channels, and `max_queued` fit; an empty one takes any message.
    pub(crate) fn send(
        &mut self,
        id: ChannelId,
        message: Message,
        queued: usize,
        max_queued: usize,
    ) -> Result<(), SendError> {
        let channel = self
            .table
            .find_mut(id)
            .filter(|channel| !channel.closing)
            .ok_or(SendError::NotOpen)?;
        let (size, limit) = (message.len(), self.limit);
        if size > limit {
            return Err(SendError::TooLarge { limit, size });
        }
        if queued > 0 && queued.saturating_add(size + MESSAGE_COST) > max_queued {
            return Err(SendError::BufferFull { size });
        }
        if !message.is_utf8_or_binary() {
            return Err(SendError::NotUtf8);
        }
        if self.phase == Phase::Connecting {
            self.held += size + MESSAGE_COST;
        }
        self.actions.push_back(channel.send(id.stream, message));
        Ok(())
    }

    pub(crate) fn close(&mut self, id: ChannelId) {
        match self.table.find(id) {
            // The peer never heard of it.
            Some(_) if self.phase == Phase::Connecting => self.take_back(id.stream),
            Some(_) => self.begin_closing(id.stream),
            None => {}
        }
    }

    pub(crate) fn state(&self, id: ChannelId) -> ChannelState {
        match self.table.find(id) {
            None => ChannelState::Closed,
            Some(Channel {
                told: Told::Nothing,
                ..
            }) => ChannelState::Closed,
            Some(Channel { closing: true, .. }) => ChannelState::Closing,
            Some(Channel {
                told: Told::Waiting(_),
                ..
            }) => ChannelState::Connecting,
            Some(Channel {
                told: Told::Opened, ..
            }) => ChannelState::Open,
        }
    }

    pub(crate) fn buffered_amount(&self, id: ChannelId) -> usize {
        self.table
            .find(id)
            .map_or(0, |channel| channel.buffered.amount())
    }

    pub(crate) fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, threshold: usize) {
        if let Some(channel) = self.table.find_mut(id) {
            channel.buffered.set_threshold(threshold);
        }
    }
}

/// What the transport tells.
impl Channels {
    /// The association is up with `streams` each way.
    pub(crate) fn established(&mut self, streams: u16) {
        self.events.push_back(Event::Established);
        for stream in self.table.streams_from(streams) {
            self.take_back(stream);
        }
        self.phase = Phase::Up(streams);
        self.held = 0;
        for (stream, channel) in self.table.iter_mut() {
            if let Told::Waiting(options) = std::mem::replace(&mut channel.told, Told::Opened) {
                let channel = ChannelId {
                    stream,
                    serial: channel.serial,
                };
                self.events.push_back(Event::ChannelOpened {
                    channel,
                    options: *options,
                    by_peer: false,
                });
            }
        }
    }

    /// The peer began anew and has forgotten every channel; [`Channels::established`] follows.
    pub(crate) fn restarted(&mut self) {
        self.phase = Phase::Connecting;
        self.forget_all();
    }

    /// The association is over, and its channels are.
    pub(crate) fn closed(&mut self, reason: CloseReason) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.forget_all();
            self.events.push_back(Event::Closed { reason });
        }
    }

    /// A message arrived on a stream.
    pub(crate) fn message(&mut self, stream: u16, ppid: u32, payload: Bytes) {
        if ppid == ppid::DCEP {
            return self.dcep(stream, &payload);
        }
        let Some(channel) = self.table.on_mut(stream) else {
            // "Receiving a message containing user data on an unused stream indicates an error" (RFC 8832 §6): the channel is closed.
            return self.refuse(stream);
        };
        if channel.closing {
            self.ignored += 1; // W3C WebRTC §6.2: dropped unless the state is open
            return;
        }
        channel.confirmed = true;
        let channel = ChannelId {
            stream,
            serial: channel.serial,
        };
        match Message::from_wire(ppid, payload) {
            Some(message) => self.events.push_back(Event::Message { channel, message }),
            // Parts of a message, deprecated since 2014 and sent by nobody. To collect them would take memory beside the receive
            // window, to leave them out would make half messages of whole ones: the channel is closed.
            None if matches!(ppid, ppid::BINARY_PARTIAL | ppid::STRING_PARTIAL) => {
                self.refuse(stream)
            }
            None => self.ignored += 1,
        }
    }

    /// Bytes went out: `queued` are left on a stream.
    pub(crate) fn sent(&mut self, stream: u16, queued: usize) {
        if let Some(channel) = self.table.on_mut(stream)
            && channel.buffered.left(queued)
        {
            let channel = ChannelId {
                stream,
                serial: channel.serial,
            };
            self.events.push_back(Event::BufferedAmountLow { channel });
        }
    }

    /// The peer performed the reset of our stream.
    pub(crate) fn outgoing_reset(&mut self, stream: u16) {
        if let Some(channel) = self.table.on_mut(stream) {
            channel.outgoing_reset = true;
            self.forget_if_reset(stream);
        }
    }

    /// The peer does not reset our stream, ever: the channel is over for the user, and its number stays used.
    pub(crate) fn outgoing_reset_refused(&mut self, stream: u16) {
        if let Some(channel) = self.table.on_mut(stream)
            && matches!(
                std::mem::replace(&mut channel.told, Told::Nothing),
                Told::Opened
            )
        {
            let channel = ChannelId {
                stream,
                serial: channel.serial,
            };
            self.events.push_back(Event::ChannelClosed { channel });
        }
    }

    /// The peer reset its stream: it closed the channel, or answers our closing.
    pub(crate) fn incoming_reset(&mut self, stream: u16) {
        if let Some(channel) = self.table.on_mut(stream) {
            channel.incoming_reset = true;
            self.begin_closing(stream);
            self.forget_if_reset(stream);
        }
    }

    /// The peer reset all of its streams.
    pub(crate) fn all_incoming_reset(&mut self) {
        for stream in self.table.streams_from(0) {
            self.incoming_reset(stream);
        }
    }
}

/// What comes of it.
impl Channels {
    /// What the transport shall do next; nothing before the association is up.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        if matches!(self.phase, Phase::Up(_)) {
            self.actions.pop_front()
        } else {
            None
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What messages hold that wait for the association.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Messages dropped because they mean nothing here.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored
    }

    fn dcep(&mut self, stream: u16, bytes: &[u8]) {
        let is_right = self.table.is_peers(stream) && self.has_stream(stream);
        match (Dcep::parse(bytes), self.table.on_mut(stream)) {
            (Some(Dcep::Ack), Some(channel)) => channel.confirmed = true,
            (Some(Dcep::Open(options)), None) if is_right => self.opened_by_peer(stream, options),
            // The peer has reset both streams, or it would not use them anew; it only lacks our knowing: its answer was lost or late.
            (Some(Dcep::Open(options)), Some(channel)) if is_right && channel.incoming_reset => {
                channel.next = Some(Box::new(options));
                self.actions.push_back(Action::AssumeReset { stream });
            }
            // Malformed, of the wrong parity, or on a stream in use: the channel is closed, nothing acknowledged (RFC 8832 §6).
            _ => self.refuse(stream),
        }
    }

    fn opened_by_peer(&mut self, stream: u16, options: ChannelOptions) {
        let (id, channel) = self.table.insert(stream, &options);
        channel.told = Told::Opened;
        channel.confirmed = true;
        self.actions
            .push_back(channel.send_dcep(stream, Dcep::ack()));
        self.events.push_back(Event::ChannelOpened {
            channel: id,
            options,
            by_peer: true,
        });
    }

    fn has_stream(&self, stream: u16) -> bool {
        matches!(self.phase, Phase::Up(streams) if stream < streams)
    }

    /// Closes what the peer spoke on without right. A stream that we have not is none we could reset.
    fn refuse(&mut self, stream: u16) {
        self.ignored += 1;
        if self.table.on(stream).is_none() && self.has_stream(stream) {
            self.table.insert(stream, &ChannelOptions::default());
        }
        self.begin_closing(stream);
    }

    /// Our stream is reset after what is queued on it: "all the messages are delivered (or abandoned) before" (RFC 8831 §6.7).
    fn begin_closing(&mut self, stream: u16) {
        if let Some(channel) = self.table.on_mut(stream)
            && !channel.closing
        {
            channel.closing = true;
            self.actions.push_back(Action::Reset { stream });
        }
    }

    fn forget_if_reset(&mut self, stream: u16) {
        let Some(channel) = self.table.on_mut(stream) else {
            return;
        };
        if channel.outgoing_reset && channel.incoming_reset {
            let next = channel.next.take();
            self.forget(stream);
            if let Some(options) = next {
                self.opened_by_peer(stream, *options);
            }
        }
    }

    /// Forgets a channel of which nothing went out.
    fn take_back(&mut self, stream: u16) {
        self.actions.retain(|action| match action {
            Action::Send { stream: of, .. }
            | Action::Reset { stream: of }
            | Action::AssumeReset { stream: of } => *of != stream,
        });
        let held = self.actions.iter().map(|action| match action {
            Action::Send { payload, ppid, .. } if *ppid != ppid::DCEP => {
                payload.len() + MESSAGE_COST
            }
            _ => 0,
        });
        self.held = held.sum();
        self.forget(stream);
    }

    fn forget_all(&mut self) {
        self.actions.clear();
        self.held = 0;
        while let Some((stream, channel)) = self.table.pop_first() {
            self.tell_closed(stream, &channel);
        }
    }

    fn forget(&mut self, stream: u16) {
        if let Some(channel) = self.table.remove(stream) {
            self.tell_closed(stream, &channel);
        }
    }

    fn tell_closed(&mut self, stream: u16, channel: &Channel) {
        if !matches!(channel.told, Told::Nothing) {
            self.events.push_back(Event::ChannelClosed {
                channel: ChannelId {
                    stream,
                    serial: channel.serial,
                },
            });
        }
    }
}
