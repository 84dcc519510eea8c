//! Two associations as machines of a simulated network, and what their users saw.

use std::time::{Duration, Instant};

use bytes::Bytes;
use crowfly_sim::{Link, LinkId, Machine, Network, NodeId};

use super::super::*;

/// The DTLS client of the two, and the server.
pub(super) const ONE: usize = 0;
pub(super) const TWO: usize = 1;

/// Longer than anything waits for; reached only by a stall.
const STALLED: Duration = Duration::from_secs(120);

pub(super) fn text(text: &str) -> Message {
    Message::Text(Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) fn binary(bytes: &[u8]) -> Message {
    Message::Binary(Bytes::copy_from_slice(bytes))
}

/// One side: the association, and the events its user has not forgotten.
#[derive(Debug)]
pub(super) struct Side {
    association: Association,
    buffer: Vec<u8>,
    pub(super) established: bool,
    pub(super) opened_by_peer: Vec<(ChannelId, ChannelOptions)>,
    pub(super) messages: Vec<(ChannelId, Message)>,
    pub(super) low: Vec<ChannelId>,
    pub(super) closed: Vec<ChannelId>,
    pub(super) over: Option<CloseReason>,
}

impl Side {
    fn new(config: Config, seed: u8) -> Self {
        Self {
            association: Association::new(config, [seed; 32]),
            buffer: vec![],
            established: false,
            opened_by_peer: vec![],
            messages: vec![],
            low: vec![],
            closed: vec![],
            over: None,
        }
    }

    pub(super) fn received_on(&self, channel: ChannelId) -> Vec<Message> {
        self.messages
            .iter()
            .filter(|(on, _)| *on == channel)
            .map(|(_, message)| message.clone())
            .collect()
    }

    fn hear(&mut self, event: Event) {
        assert_eq!(self.over, None, "nothing follows the end: {event:?}");
        match event {
            Event::Established => self.established = true,
            Event::ChannelOpened {
                channel,
                options,
                by_peer: true,
            } => self.opened_by_peer.push((channel, options)),
            Event::ChannelOpened { by_peer: false, .. } => {}
            Event::Message { channel, message } => self.messages.push((channel, message)),
            Event::BufferedAmountLow { channel } => self.low.push(channel),
            Event::ChannelClosed { channel } => {
                assert!(!self.closed.contains(&channel), "closed once");
                assert_eq!(
                    self.association.channel_state(channel),
                    ChannelState::Closed
                );
                self.closed.push(channel);
            }
            Event::Closed { reason } => self.over = Some(reason),
        }
    }
}

impl Machine for Side {
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
                    self.buffer.chunks(segment_size).for_each(&mut *transmit)
                }
                Output::Event(event) => self.hear(event),
                Output::Timeout(at) => return at,
            }
        }
    }
}

/// Both sides and the path.
#[derive(Debug)]
pub(super) struct Bed {
    network: Network<Side>,
    nodes: [NodeId; 2],
    links: [LinkId; 2],
    configs: [Config; 2],
}

impl Bed {
    pub(super) fn new(link: Link) -> Self {
        Self::with(link, |_| {})
    }

    pub(super) fn with(link: Link, change: impl Fn(&mut Config)) -> Self {
        let configs = [Role::Client, Role::Server].map(|role| {
            let mut config = Config {
                role,
                ..Config::default()
            };
            change(&mut config);
            config
        });
        let mut network = Network::new(crowfly_sim::seed(1));
        let [one, two] = configs.clone();
        let nodes = [
            network.add_machine(Side::new(one, 1)),
            network.add_machine(Side::new(two, 2)),
        ];
        let links = [network.add_link(link.clone()), network.add_link(link)];
        network.connect(nodes[ONE], nodes[TWO], &links[..1], &links[1..]);
        Self {
            network,
            nodes,
            links,
            configs,
        }
    }

    /// Both connect at once, as WebRTC does.
    pub(super) fn connect(&mut self) {
        for side in [ONE, TWO] {
            self.update(side, |association, now| {
                association.handle_input(now, Input::Connect)
            });
        }
        self.run_until(|bed| bed.side(ONE).established && bed.side(TWO).established);
        self.run(Duration::from_secs(1));
    }

    /// Something new takes a side's place, as after a crash.
    pub(super) fn replace(&mut self, side: usize) {
        let config = self.configs[side].clone();
        self.network.update(self.nodes[side], |machine, _| {
            *machine = Side::new(config, 99)
        });
    }

    pub(super) fn update<R>(
        &mut self,
        side: usize,
        action: impl FnOnce(&mut Association, Instant) -> R,
    ) -> R {
        self.network.update(self.nodes[side], |machine, now| {
            action(&mut machine.association, now)
        })
    }

    pub(super) fn open(&mut self, side: usize, options: ChannelOptions) -> ChannelId {
        self.update(side, |association, _| association.open(options))
            .expect("a stream is free")
    }

    pub(super) fn send(
        &mut self,
        side: usize,
        channel: ChannelId,
        message: Message,
    ) -> Result<(), SendError> {
        self.update(side, |association, now| {
            association.send(now, channel, message)
        })
    }

    pub(super) fn close(&mut self, side: usize, channel: ChannelId) {
        self.update(side, |association, _| association.close(channel));
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.network.run_for(time);
    }

    pub(super) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = self.network.elapsed() + STALLED;
        while !done(self) {
            assert!(self.network.elapsed() < end, "stalled: {self:#?}");
            assert!(self.network.step(), "nothing will ever happen: {self:#?}");
        }
    }

    pub(super) fn side(&self, side: usize) -> &Side {
        self.network.machine(self.nodes[side])
    }

    /// The last channel that the peer opened here.
    pub(super) fn opened_by_peer(&self, side: usize) -> (ChannelId, ChannelOptions) {
        self.side(side)
            .opened_by_peer
            .last()
            .cloned()
            .expect("the peer opened one")
    }

    pub(super) fn state(&self, side: usize, channel: ChannelId) -> ChannelState {
        self.side(side).association.channel_state(channel)
    }

    pub(super) fn buffered(&self, side: usize, channel: ChannelId) -> usize {
        self.side(side).association.buffered_amount(channel)
    }

    pub(super) fn stats(&self, side: usize) -> Stats {
        self.side(side).association.stats()
    }

    /// Both users forget what they saw.
    pub(super) fn forget(&mut self) {
        for node in self.nodes {
            self.network.update(node, |side, _| {
                side.opened_by_peer.clear();
                side.messages.clear();
                side.low.clear();
                side.closed.clear();
            });
        }
    }

    /// Neither side dropped a message as senseless.
    pub(super) fn no_complaints(&self) {
        for side in [ONE, TWO] {
            assert_eq!(self.stats(side).messages_ignored, 0);
            assert_eq!(self.side(side).over, None);
        }
    }

    /// Whether the path lost anything.
    pub(super) fn lossy(&self) -> bool {
        self.links
            .iter()
            .any(|&link| self.network.stats(link).dropped() > 0)
    }
}
