//! `rtc-sctp`, the SCTP of webrtc-rs without I/O.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crowfly_sctp::{ChannelOptions, Message, Reliability, Role};
use crowfly_sim::Machine;
use rtc_sctp::{
    Association, AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint,
    EndpointConfig, Event as RawEvent, Payload, PayloadProtocolIdentifier, ReliabilityType,
    ServerConfig, StreamEvent, TransportConfig,
};

use super::dcep::{self, Channels, Received};
use super::{Channel, Event, Setup, Stack};

/// An endpoint of rtc-sctp, its one association, and the channels on it.
pub(crate) struct Rtc {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    transport: Arc<TransportConfig>,
    role: Role,
    channels: Channels,
    /// Opened before there was an association.
    waiting: Vec<(Channel, ChannelOptions, Bytes)>,
    events: VecDeque<Event>,
    max_message: usize,
    established: bool,
    paused: bool,
    /// Readable, and not read yet.
    unread: Vec<Channel>,
}

/// The peer, wherever it may be: a datagram has one way to go.
fn somewhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 5000).into()
}

impl Rtc {
    pub(crate) fn new(setup: Setup) -> Self {
        let transport = TransportConfig::default()
            .with_max_message_size(setup.max_message as u32)
            .with_max_receive_buffer_size(setup.window as u32);
        let server = ServerConfig::new(transport.clone());
        // A client that were a server too would begin a second association on the peer's INIT.
        let server = (setup.role == Role::Server).then(|| Arc::new(server));
        let config = Arc::new(EndpointConfig::default());
        Self {
            endpoint: Endpoint::new(somewhere(), Default::default(), config, server),
            association: None,
            transport: Arc::new(transport),
            role: setup.role,
            channels: Channels::new(setup.role),
            waiting: Vec::new(),
            events: VecDeque::new(),
            max_message: setup.max_message,
            established: false,
            paused: false,
            unread: Vec::new(),
        }
    }

    fn association(&mut self) -> Option<&mut Association> {
        self.association
            .as_mut()
            .map(|(_, association)| association)
    }

    /// Makes the stream of a channel known and sends the first message on it.
    fn begin(&mut self, now: Instant, id: Channel, open: &ChannelOptions, message: &Bytes) {
        let control = PayloadProtocolIdentifier::Dcep;
        let Some(association) = self.association() else {
            return;
        };
        if association.stream(id).is_err() {
            let _ = association.open_stream(id, PayloadProtocolIdentifier::Binary);
        }
        let Ok(mut stream) = association.stream(id) else {
            return;
        };
        let (kind, value) = match open.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(most) => (ReliabilityType::Rexmit, most.into()),
            Reliability::MaxLifetime(time) => (ReliabilityType::Timed, time.as_millis() as u32),
        };
        let _ = stream.set_reliability_params(!open.ordered, kind, value);
        if !message.is_empty() {
            let _ = stream.write_chunk_with_ppi(now, message, control);
        }
    }

    fn read(&mut self, now: Instant, id: Channel) {
        let most = self.max_message;
        while let Some(association) = self.association()
            && let Ok(mut stream) = association.stream(id)
            && let Ok(Some(chunks)) = stream.read_sctp()
        {
            let payload = chunks.to_payload(most).expect("a message of allowed size");
            match self
                .channels
                .receive(id, chunks.ppi as u32, payload.freeze())
            {
                Received::Event(event) => self.events.push_back(event),
                Received::Opened(id, open, answer) => {
                    self.begin(now, id, &open, &answer);
                    self.events.push_back(Event::Opened(id, open));
                }
                Received::Nothing => {}
            }
        }
    }

    fn raw_event(&mut self, now: Instant, event: RawEvent) {
        match event {
            RawEvent::Connected => {
                self.established = true;
                self.events.push_back(Event::Established);
                for (id, open, message) in std::mem::take(&mut self.waiting) {
                    self.begin(now, id, &open, &message);
                }
            }
            RawEvent::HandshakeFailed { reason } => {
                self.events.push_back(Event::Closed(reason.to_string()));
            }
            RawEvent::AssociationLost {
                reason: AssociationError::Reset,
                id,
            } => {
                // It has answered the reset itself, once everything was read.
                self.channels.reset_by_peer(id);
                self.events.push_back(Event::ChannelClosed(id));
            }
            RawEvent::AssociationLost { reason, .. } => {
                self.events.push_back(Event::Closed(reason.to_string()));
            }
            RawEvent::Stream(StreamEvent::Readable { id } | StreamEvent::Opened { id }) => {
                self.unread.push(id);
            }
            _ => {}
        }
    }
}

impl Stack for Rtc {
    fn connect(&mut self, now: Instant) {
        // A server waits: its endpoint cannot meet an INIT halfway.
        if self.role == Role::Client {
            let config = ClientConfig {
                transport: self.transport.clone(),
            };
            let connected = self.endpoint.connect(now, config, somewhere());
            self.association = Some(connected.expect("the first association"));
        }
    }

    fn open(&mut self, now: Instant, open: &ChannelOptions) -> Channel {
        let (id, message) = self.channels.open(open);
        let message = message.unwrap_or_default();
        if self.established {
            self.begin(now, id, open, &message);
        } else {
            self.waiting.push((id, open.clone(), message));
        }
        id
    }

    fn send(&mut self, now: Instant, channel: Channel, message: Message) -> bool {
        let (ppid, payload) = dcep::wire(message);
        let ppid = PayloadProtocolIdentifier::from(ppid);
        let Some(association) = self.association() else {
            return false;
        };
        association
            .stream(channel)
            .and_then(|mut stream| stream.write_chunk_with_ppi(now, &payload, ppid))
            .is_ok()
    }

    fn buffered(&mut self, channel: Channel) -> usize {
        let stream = self.association().map(|association| {
            association
                .stream(channel)
                .and_then(|stream| stream.buffered_amount())
        });
        stream.map_or(0, |amount| amount.unwrap_or(0))
    }

    fn close(&mut self, now: Instant, channel: Channel) {
        if self.channels.close(channel)
            && let Some(association) = self.association()
            && let Ok(mut stream) = association.stream(channel)
        {
            let _ = stream.close(now);
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }
}

impl Machine for Rtc {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let datagram = Bytes::copy_from_slice(datagram);
        match self.endpoint.handle(now, somewhere(), None, datagram) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = self.association() {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(association) = self.association() {
            association.handle_timeout(now);
        }
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        loop {
            while let Some(event) = self.association()?.poll() {
                self.raw_event(now, event);
            }
            if self.paused || self.unread.is_empty() {
                break;
            }
            // What is read may set off an event: a reset that waited for it.
            for id in std::mem::take(&mut self.unread) {
                self.read(now, id);
            }
        }
        let (handle, association) = self.association.as_mut()?;
        while let Some(event) = association.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
        while let Some(out) = association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = out.message {
                packets.iter().for_each(|packet| transmit(packet));
            }
        }
        association.poll_timeout()
    }
}
