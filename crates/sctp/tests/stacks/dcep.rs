//! The data channel protocol for stacks that have none (RFC 8831, RFC 8832).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use crowfly_sctp::{ChannelOptions, Message, Reliability, Role};

use super::{Channel, Event};

/// Payload protocol identifiers (RFC 8831 §8).
const CONTROL: u32 = 50;
const STRING: u32 = 51;
const BINARY: u32 = 53;
const EMPTY_STRING: u32 = 56;
const EMPTY_BINARY: u32 = 57;

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;

/// The channels of one association.
#[derive(Debug)]
pub(crate) struct Channels {
    next: Channel,
    open: HashMap<Channel, ChannelOptions>,
    /// Those we reset and wait for the peer to reset.
    closing: HashSet<Channel>,
}

/// What a message of the peer asks for.
#[derive(Debug)]
pub(crate) enum Received {
    Event(Event),
    /// Open the channel on our side and send this back.
    Opened(Channel, ChannelOptions, Bytes),
    Nothing,
}

impl Channels {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            next: Channel::from(role == Role::Server),
            open: HashMap::new(),
            closing: HashSet::new(),
        }
    }

    /// A stream id for a channel of ours, and the message that opens it unless it is negotiated.
    pub(crate) fn open(&mut self, open: &ChannelOptions) -> (Channel, Option<Bytes>) {
        if let Some(id) = open.negotiated {
            self.open.insert(id, open.clone());
            return (id, None);
        }
        // The lowest free id, so that a test sees ids used again.
        let mut id = self.next;
        while self.open.contains_key(&id) {
            id += 2;
        }
        self.open.insert(id, open.clone());
        (id, Some(write_open(open)))
    }

    pub(crate) fn options(&self, id: Channel) -> Option<&ChannelOptions> {
        self.open.get(&id)
    }

    /// Notes that we close a channel. False if it is closing already.
    pub(crate) fn close(&mut self, id: Channel) -> bool {
        self.open.contains_key(&id) && self.closing.insert(id)
    }

    /// The peer reset its side of a channel. True if ours is still to be reset.
    pub(crate) fn reset_by_peer(&mut self, id: Channel) -> bool {
        self.open.remove(&id).is_some() && !self.closing.remove(&id)
    }

    pub(crate) fn receive(&mut self, id: Channel, ppid: u32, payload: Bytes) -> Received {
        let message = match ppid {
            CONTROL if payload.first() == Some(&OPEN) => {
                let open = read_open(&payload).expect("the peer writes a whole DATA_CHANNEL_OPEN");
                self.open.insert(id, open.clone());
                return Received::Opened(id, open, Bytes::from_static(&[ACK]));
            }
            STRING => Message::Text(payload),
            BINARY => Message::Binary(payload),
            EMPTY_STRING => Message::Text(Bytes::new()),
            EMPTY_BINARY => Message::Binary(Bytes::new()),
            _ => return Received::Nothing,
        };
        Received::Event(Event::Message(id, message))
    }
}

/// The payload protocol identifier of control messages.
pub(crate) const fn control() -> u32 {
    CONTROL
}

/// What a message is on the wire: an empty one is one byte of zero (RFC 8831 §6.6).
pub(crate) fn wire(message: Message) -> (u32, Bytes) {
    let one = Bytes::from_static(&[0]);
    match message {
        Message::Text(bytes) if bytes.is_empty() => (EMPTY_STRING, one),
        Message::Binary(bytes) if bytes.is_empty() => (EMPTY_BINARY, one),
        Message::Text(bytes) => (STRING, bytes),
        Message::Binary(bytes) => (BINARY, bytes),
    }
}

/// RFC 8832 §5.1.
fn write_open(open: &ChannelOptions) -> Bytes {
    let (kind, parameter) = match open.reliability {
        Reliability::Reliable => (0x00, 0),
        Reliability::MaxRetransmits(most) => (0x01, u32::from(most)),
        Reliability::MaxLifetime(time) => (0x02, time.as_millis() as u32),
    };
    let mut bytes = vec![OPEN, kind | if open.ordered { 0 } else { 0x80 }];
    bytes.extend(open.priority.to_be_bytes());
    bytes.extend(parameter.to_be_bytes());
    bytes.extend((open.label.len() as u16).to_be_bytes());
    bytes.extend((open.protocol.len() as u16).to_be_bytes());
    bytes.extend(open.label.as_bytes());
    bytes.extend(open.protocol.as_bytes());
    bytes.into()
}

fn read_open(bytes: &[u8]) -> Option<ChannelOptions> {
    let parameter = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
    let length = usize::from(u16::from_be_bytes(bytes.get(8..10)?.try_into().ok()?));
    let reliability = match bytes.get(1)? & 0x7f {
        0x01 => Reliability::MaxRetransmits(u16::try_from(parameter).ok()?),
        0x02 => Reliability::MaxLifetime(Duration::from_millis(parameter.into())),
        _ => Reliability::Reliable,
    };
    let text = |range: std::ops::Range<usize>| String::from_utf8(bytes.get(range)?.to_vec()).ok();
    Some(ChannelOptions {
        label: text(12..12 + length)?,
        protocol: text(12 + length..bytes.len())?,
        ordered: bytes[1] & 0x80 == 0,
        reliability,
        negotiated: None,
        priority: u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?),
    })
}
