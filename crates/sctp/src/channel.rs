//! Data channels: DCEP (RFC 8832), stream ids by DTLS role, options, buffered amount.
//!
//! [`Channels`] is pure: what the transport tells goes in by methods, what it shall do comes out as [`Command`]s, and the user gets
//! [`Event`]s. It knows streams and payload protocols, and nothing of chunks, TSNs or time.
//!
//! A channel is the two streams of one number, one each way. Its number is free again once both are reset (RFC 8831 §6.7): until then
//! the channel is closing, also one that was refused and that the user never heard of.

mod buffered;
mod dcep;
mod message;
mod options;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use self::{buffered::Buffered, dcep::Dcep, message::ppid};
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
pub(crate) enum Command {
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
}

/// All data channels of one association.
#[derive(Debug)]
pub(crate) struct Channels {
    role: Role,
    /// The largest message the peer takes.
    limit: usize,
    phase: Phase,
    /// By stream. In order, so that two runs with one seed tell the same story.
    channels: BTreeMap<u16, Channel>,
    serial: u32,
    /// No stream of ours below this is free.
    first_free: u16,
    commands: VecDeque<Command>,
    /// What the commands that wait for the association hold.
    held: usize,
    events: VecDeque<Event>,
    ignored: u64,
}

/// What the association allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// With so many streams each way.
    Up {
        streams: u16,
    },
    Over,
}

#[derive(Debug)]
struct Channel {
    serial: u32,
    ordered: bool,
    reliability: Reliability,
    priority: u16,
    /// Something came back, so the peer knows the channel: unordered messages cannot overtake OPEN any more (RFC 8832 §6).
    confirmed: bool,
    /// The user knows it, or will once the association is up.
    told: Told,
    closing: bool,
    outgoing_reset: bool,
    incoming_reset: bool,
    buffered: Buffered,
}

/// What the user knows of a channel.
#[derive(Debug)]
enum Told {
    /// Opened by the user before the association is up; the options are for the event.
    Waiting(Box<ChannelOptions>),
    Opened,
    /// It was refused before anybody was told.
    Nothing,
}

impl Channels {
    pub(crate) fn new(role: Role, peer_max_message_size: usize) -> Self {
        Self {
            role,
            limit: if peer_max_message_size == 0 {
                usize::MAX
            } else {
                peer_max_message_size
            },
            phase: Phase::Connecting,
            channels: BTreeMap::new(),
            serial: 0,
            first_free: first_stream(role),
            commands: VecDeque::new(),
            held: 0,
            events: VecDeque::new(),
            ignored: 0,
        }
    }

    // What the user does.

    pub(crate) fn open(&mut self, options: ChannelOptions) -> Result<ChannelId, OpenError> {
        options.check()?;
        let stream = self.stream_for(&options)?;
        let told = match self.phase {
            Phase::Connecting => Told::Waiting(Box::new(options.clone())),
            Phase::Up { .. } | Phase::Over => Told::Opened,
        };
        let channel = self.insert(stream, &options, told);
        match options.negotiated {
            // Nobody overtakes an OPEN that is not sent.
            Some(_) => {
                self.channels
                    .get_mut(&stream)
                    .expect("inserted above")
                    .confirmed = true
            }
            None => self.push_dcep(stream, Dcep::open(&options)),
        }
        if matches!(self.phase, Phase::Up { .. }) {
            self.events.push_back(Event::ChannelOpened {
                channel,
                options,
                by_peer: false,
            });
        }
        Ok(channel)
    }

    /// `room` is what the send buffer has left; an empty one takes any message.
    pub(crate) fn send(
        &mut self,
        id: ChannelId,
        message: Message,
        queued: usize,
        max_queued: usize,
    ) -> Result<(), SendError> {
        let limit = self.limit;
        let held = matches!(self.phase, Phase::Connecting);
        let channel = find(&mut self.channels, id)
            .filter(|channel| !channel.closing)
            .ok_or(SendError::NotOpen)?;
        let size = message.len();
        if size > limit {
            return Err(SendError::TooLarge { limit, size });
        }
        if queued > 0 && queued.saturating_add(size + MESSAGE_COST) > max_queued {
            return Err(SendError::BufferFull { size });
        }
        if !message.is_utf8_or_binary() {
            return Err(SendError::NotUtf8);
        }
        let (ppid, payload) = message.into_wire();
        channel.buffered.queue(payload.len(), size);
        if held {
            self.held += payload.len() + MESSAGE_COST;
        }
        self.commands.push_back(Command::Send {
            stream: id.stream,
            ppid,
            payload,
            unordered: !channel.ordered && channel.confirmed,
            reliability: channel.reliability,
            priority: channel.priority,
        });
        Ok(())
    }

    pub(crate) fn close(&mut self, id: ChannelId) {
        if find(&mut self.channels, id).is_none() {
            return;
        }
        match self.phase {
            // The peer never heard of it.
            Phase::Connecting => self.forget_unsent(id.stream),
            Phase::Up { .. } | Phase::Over => self.begin_closing(id.stream),
        }
    }

    pub(crate) fn state(&self, id: ChannelId) -> ChannelState {
        match self.channels.get(&id.stream) {
            Some(channel) if channel.serial != id.serial => ChannelState::Closed,
            None => ChannelState::Closed,
            Some(channel) if channel.closing => ChannelState::Closing,
            Some(channel) => match channel.told {
                Told::Waiting(_) => ChannelState::Connecting,
                Told::Opened | Told::Nothing => ChannelState::Open,
            },
        }
    }

    pub(crate) fn buffered_amount(&self, id: ChannelId) -> usize {
        let channel = self
            .channels
            .get(&id.stream)
            .filter(|channel| channel.serial == id.serial);
        channel.map_or(0, |channel| channel.buffered.amount())
    }

    pub(crate) fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, threshold: usize) {
        if let Some(channel) = find(&mut self.channels, id) {
            channel.buffered.set_threshold(threshold);
        }
    }

    // What the transport tells.

    /// The association is up with `streams` each way.
    pub(crate) fn established(&mut self, streams: u16) {
        self.phase = Phase::Up { streams };
        self.held = 0;
        self.events.push_back(Event::Established);
        let beyond: Vec<u16> = self
            .channels
            .range(streams..)
            .map(|(&stream, _)| stream)
            .collect();
        for stream in beyond {
            self.forget_unsent(stream);
        }
        for (&stream, channel) in &mut self.channels {
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

    /// A message arrived on a stream.
    pub(crate) fn message(&mut self, stream: u16, ppid: u32, payload: Bytes) {
        if ppid == ppid::DCEP {
            return self.dcep(stream, &payload);
        }
        let Some(channel) = self.channels.get_mut(&stream) else {
            // "Receiving a message containing user data on an unused stream indicates an error" (RFC 8832 §6): the channel is closed.
            self.ignored += 1;
            return self.refuse(stream);
        };
        if channel.closing {
            // W3C WebRTC §6.2: what arrives when the state is not open is dropped.
            self.ignored += 1;
            return;
        }
        channel.confirmed = true;
        let channel = ChannelId {
            stream,
            serial: channel.serial,
        };
        match Message::from_wire(ppid, payload) {
            Some(message) => self.events.push_back(Event::Message { channel, message }),
            // Parts of a message, deprecated since 2014 and sent by nobody: collecting them would need memory beside the receive
            // window. Their channel is closed, for what follows would be half a message.
            None if matches!(ppid, ppid::BINARY_PARTIAL | ppid::STRING_PARTIAL) => {
                self.ignored += 1;
                self.begin_closing(stream);
            }
            None => self.ignored += 1,
        }
    }

    /// Bytes went out: `queued` are left on a stream.
    pub(crate) fn sent(&mut self, stream: u16, queued: usize) {
        if let Some(channel) = self.channels.get_mut(&stream)
            && channel.buffered.left(queued)
            && matches!(channel.told, Told::Opened)
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
        if let Some(channel) = self.channels.get_mut(&stream) {
            channel.outgoing_reset = true;
            self.forget_if_reset(stream);
        }
    }

    /// The peer reset its stream: it closed the channel, or answers our closing.
    pub(crate) fn incoming_reset(&mut self, stream: u16) {
        if let Some(channel) = self.channels.get_mut(&stream) {
            channel.incoming_reset = true;
            self.begin_closing(stream);
            self.forget_if_reset(stream);
        }
    }

    /// The association is over: so are its channels.
    pub(crate) fn closed(&mut self, reason: CloseReason) {
        if self.phase == Phase::Over {
            return;
        }
        self.phase = Phase::Over;
        self.commands.clear();
        self.held = 0;
        while let Some((stream, channel)) = self.channels.pop_first() {
            self.tell_closed(stream, &channel);
        }
        self.events.push_back(Event::Closed { reason });
    }

    // What comes of it.

    /// What the transport shall do next; nothing before the association is up.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        if matches!(self.phase, Phase::Up { .. }) {
            self.commands.pop_front()
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

    /// Messages that were dropped because they mean nothing here.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored
    }

    fn dcep(&mut self, stream: u16, bytes: &[u8]) {
        let may_be_opened = self.may_be_opened_by_peer(stream);
        match (Dcep::parse(bytes), self.channels.get_mut(&stream)) {
            (Some(Dcep::Ack), Some(channel)) => channel.confirmed = true,
            (Some(Dcep::Open(options)), None) if may_be_opened => {
                let channel = self.insert(stream, &options, Told::Opened);
                self.channels
                    .get_mut(&stream)
                    .expect("inserted above")
                    .confirmed = true;
                self.push_dcep(stream, Dcep::ack());
                self.events.push_back(Event::ChannelOpened {
                    channel,
                    options,
                    by_peer: true,
                });
            }
            // Malformed, of the wrong parity, or on a stream in use: the channel is closed and nothing acknowledged (RFC 8832 §6).
            _ => {
                self.ignored += 1;
                self.refuse(stream);
            }
        }
    }

    /// The peer gives the numbers we do not, and those that we can answer on.
    fn may_be_opened_by_peer(&self, stream: u16) -> bool {
        stream % 2 != first_stream(self.role) && stream < self.streams()
    }

    fn streams(&self) -> u16 {
        match self.phase {
            Phase::Up { streams } => streams,
            Phase::Connecting | Phase::Over => MAX_STREAMS,
        }
    }

    fn stream_for(&mut self, options: &ChannelOptions) -> Result<u16, OpenError> {
        let limit = self.streams();
        match options.negotiated {
            _ if self.phase == Phase::Over => Err(OpenError::Closed),
            Some(stream) if stream >= limit => Err(OpenError::NoSuchStream { stream, limit }),
            Some(stream) if self.channels.contains_key(&stream) => {
                Err(OpenError::StreamInUse { stream })
            }
            Some(stream) => Ok(stream),
            None => {
                let free = (self.first_free..limit)
                    .step_by(2)
                    .find(|stream| !self.channels.contains_key(stream));
                self.first_free = free.unwrap_or(limit | first_stream(self.role));
                free.ok_or(OpenError::NoStream { limit })
            }
        }
    }

    fn insert(&mut self, stream: u16, options: &ChannelOptions, told: Told) -> ChannelId {
        self.serial = self.serial.wrapping_add(1);
        let channel = Channel {
            serial: self.serial,
            ordered: options.ordered,
            reliability: options.reliability,
            priority: options.priority,
            confirmed: false,
            told,
            closing: false,
            outgoing_reset: false,
            incoming_reset: false,
            buffered: Buffered::default(),
        };
        self.channels.insert(stream, channel);
        ChannelId {
            stream,
            serial: self.serial,
        }
    }

    fn push_dcep(&mut self, stream: u16, payload: Bytes) {
        let channel = self
            .channels
            .get_mut(&stream)
            .expect("a channel speaks only after it was inserted");
        channel.buffered.queue(payload.len(), 0);
        let priority = channel.priority;
        // "All DCEP messages MUST be sent using ordered delivery and reliable transmission" (RFC 8832 §6).
        let (unordered, reliability) = (false, Reliability::Reliable);
        self.commands.push_back(Command::Send {
            stream,
            ppid: ppid::DCEP,
            payload,
            unordered,
            reliability,
            priority,
        });
    }

    fn begin_closing(&mut self, stream: u16) {
        if let Some(channel) = self.channels.get_mut(&stream)
            && !channel.closing
        {
            channel.closing = true;
            self.commands.push_back(Command::Reset { stream });
        }
    }

    /// Closes what the peer spoke on without right. A stream that we cannot send on cannot be reset either.
    fn refuse(&mut self, stream: u16) {
        if stream >= self.streams() {
            return;
        }
        if !self.channels.contains_key(&stream) {
            self.insert(stream, &ChannelOptions::default(), Told::Nothing);
        }
        self.begin_closing(stream);
    }

    fn forget_if_reset(&mut self, stream: u16) {
        if self
            .channels
            .get(&stream)
            .is_some_and(|channel| channel.outgoing_reset && channel.incoming_reset)
        {
            self.forget(stream);
        }
    }

    /// Takes back a channel of which nothing went out.
    fn forget_unsent(&mut self, stream: u16) {
        let held = &mut self.held;
        self.commands.retain(|command| match command {
            Command::Send {
                stream: of,
                payload,
                ppid,
                ..
            } if *of == stream => {
                if *ppid != ppid::DCEP {
                    *held = held.saturating_sub(payload.len() + MESSAGE_COST);
                }
                false
            }
            Command::Send { .. } | Command::Reset { .. } => true,
        });
        self.forget(stream);
    }

    fn forget(&mut self, stream: u16) {
        if let Some(channel) = self.channels.remove(&stream) {
            if stream % 2 == first_stream(self.role) {
                self.first_free = self.first_free.min(stream);
            }
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

/// The DTLS client gives even numbers, the server odd ones (RFC 8832 §6).
fn first_stream(role: Role) -> u16 {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

fn find(channels: &mut BTreeMap<u16, Channel>, id: ChannelId) -> Option<&mut Channel> {
    channels
        .get_mut(&id.stream)
        .filter(|channel| channel.serial == id.serial)
}
