//! Two stacks, a path, what each sends and what it got; and a detector of stalls in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crowfly_sctp::{ChannelOptions, Message, Reliability};
use crowfly_sim::{Link, LinkId, LinkStats, Machine, Network, NodeId};
use sha2::{Digest, Sha256};

use super::{Channel, Event, Stack};

/// A stack that sends what it is told to as soon as it takes it, and keeps what arrives.
pub(crate) struct Side {
    pub(crate) stack: Box<dyn Stack>,
    outbox: VecDeque<(Channel, Message)>,
    pub(crate) received: BTreeMap<Channel, Vec<Message>>,
    pub(crate) opened: Vec<(Channel, ChannelOptions)>,
    pub(crate) closed: Vec<Channel>,
    pub(crate) established: bool,
    /// Why the association ended.
    pub(crate) ended: Option<String>,
    /// Grows with everything that happens.
    progress: usize,
}

impl Side {
    fn new(stack: Box<dyn Stack>) -> Self {
        Self {
            stack,
            outbox: VecDeque::new(),
            received: BTreeMap::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            established: false,
            ended: None,
            progress: 0,
        }
    }

    fn flush(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some((channel, message)) = self.outbox.front() {
            if !self.stack.send(now, *channel, message.clone()) {
                break;
            }
            self.outbox.pop_front();
            any = true;
        }
        any
    }

    fn event(&mut self, event: Event) {
        self.progress += 1;
        match event {
            Event::Established => self.established = true,
            Event::Opened(channel, options) => self.opened.push((channel, options)),
            Event::Message(channel, message) => {
                self.received.entry(channel).or_default().push(message);
            }
            Event::ChannelClosed(channel) => self.closed.push(channel),
            Event::Closed(reason) => self.ended = Some(reason),
        }
    }

    /// Messages received on a channel so far.
    pub(crate) fn count(&self, channel: Channel) -> usize {
        self.received.get(&channel).map_or(0, Vec::len)
    }
}

impl Machine for Side {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.stack.handle_datagram(now, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        self.flush(now);
        loop {
            let wake = self.stack.poll(now, transmit);
            let mut any = false;
            while let Some(event) = self.stack.next_event() {
                self.event(event);
                any = true;
            }
            if !any & !self.flush(now) {
                return wake;
            }
        }
    }
}

/// Two sides and the path between them.
pub(crate) struct Bed {
    pub(crate) network: Network<Side>,
    pub(crate) sides: [NodeId; 2],
    links: [LinkId; 2],
}

impl Bed {
    /// Both begin to connect.
    pub(crate) fn new(stacks: [Box<dyn Stack>; 2], links: [Link; 2], seed: u64) -> Self {
        let mut network = Network::new(seed);
        let sides = stacks.map(|stack| network.add_machine(Side::new(stack)));
        let links = links.map(|link| network.add_link(link));
        network.connect(sides[0], sides[1], &[links[0]], &[links[1]]);
        let mut bed = Self {
            network,
            sides,
            links,
        };
        for side in [1, 0] {
            bed.update(side, |side, now| side.stack.connect(now));
        }
        bed
    }

    pub(crate) fn side(&self, side: usize) -> &Side {
        self.network.machine(self.sides[side])
    }

    pub(crate) fn update<R>(
        &mut self,
        side: usize,
        action: impl FnOnce(&mut Side, Instant) -> R,
    ) -> R {
        self.network.update(self.sides[side], action)
    }

    pub(crate) fn open(&mut self, side: usize, options: &ChannelOptions) -> Channel {
        self.update(side, |side, now| side.stack.open(now, options))
    }

    pub(crate) fn send(
        &mut self,
        side: usize,
        channel: Channel,
        messages: impl IntoIterator<Item = Message>,
    ) {
        self.update(side, |side, _| {
            side.outbox
                .extend(messages.into_iter().map(|message| (channel, message)));
        });
    }

    pub(crate) fn close(&mut self, side: usize, channel: Channel) {
        self.update(side, |side, now| side.stack.close(now, channel));
    }

    /// What the link from this side did.
    pub(crate) fn link(&self, from: usize) -> &LinkStats {
        self.network.stats(self.links[from])
    }

    /// Lets time pass until `done`. Fails if nothing at all reaches either user for as long as `patience`.
    pub(crate) fn until(&mut self, patience: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let before = self.progress();
            let moved = |network: &Network<Side>, sides: &[NodeId; 2]| {
                sides
                    .iter()
                    .map(|side| network.machine(*side).progress)
                    .sum::<usize>()
                    > before
            };
            let sides = self.sides;
            let moved = self
                .network
                .run_until(patience, |network| moved(network, &sides));
            assert!(
                moved,
                "stalled before {what}: nothing for {patience:?} at {:?}\n{}",
                self.network.elapsed(),
                self.report()
            );
        }
    }

    fn progress(&self) -> usize {
        (0..2).map(|side| self.side(side).progress).sum()
    }

    fn report(&self) -> String {
        let side = |index: usize| {
            let side = self.side(index);
            let received: Vec<_> = side
                .received
                .iter()
                .map(|(id, list)| (id, list.len()))
                .collect();
            format!(
                "side {index}: established {}, ended {:?}, outbox {}, received {received:?}, closed {:?}\n  {:?}\n  {}",
                side.established,
                side.ended,
                side.outbox.len(),
                side.closed,
                self.link(index),
                side.stack.stats(),
            )
        };
        format!("{}\n{}", side(0), side(1))
    }
}

/// A message of this size that carries its number, and text every second time.
pub(crate) fn numbered(number: usize, size: usize) -> Message {
    let digits = format!("{number:08}");
    let bytes: Bytes = digits.bytes().cycle().take(size).collect();
    if number.is_multiple_of(2) {
        Message::Text(bytes)
    } else {
        Message::Binary(bytes)
    }
}

/// One hash over all messages, their kinds and lengths.
pub(crate) fn hash<'a>(messages: impl IntoIterator<Item = &'a Message>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for message in messages {
        let (kind, bytes) = match message {
            Message::Text(bytes) => (1, bytes),
            Message::Binary(bytes) => (2, bytes),
        };
        hash.update([kind]);
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// Holds what arrived on a channel against what was sent on it and what the channel promises.
pub(crate) fn check(options: &ChannelOptions, sent: &[Message], received: &[Message]) {
    let what = format!("{options:?}: {} of {}", received.len(), sent.len());
    let mut received: Vec<&Message> = received.iter().collect();
    let mut sent: Vec<&Message> = sent.iter().collect();
    if !options.ordered {
        let key = |message: &&Message| {
            (
                message.len(),
                matches!(message, Message::Text(_)),
                message_bytes(message).clone(),
            )
        };
        received.sort_by_key(key);
        sent.sort_by_key(key);
    }
    if options.reliability == Reliability::Reliable {
        assert_eq!(hash(received), hash(sent), "{what}");
        return;
    }
    // Each at most once, and in order where ordered: a subsequence of what was sent.
    let mut left = sent.iter();
    for message in received {
        assert!(
            left.any(|sent| *sent == message),
            "{what}: {} bytes twice or out of order",
            message.len()
        );
    }
}

fn message_bytes(message: &Message) -> &Bytes {
    match message {
        Message::Text(bytes) | Message::Binary(bytes) => bytes,
    }
}
