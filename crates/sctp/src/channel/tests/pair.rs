//! Two sides, with a path between them that keeps order on each stream and nowhere else.

use proptest::prelude::*;

use super::super::*;
use super::{actions, events, labeled, send};

/// The client, and the server.
const ONE: usize = 0;
const TWO: usize = 1;

/// So few that numbers are soon used again.
const STREAMS: u16 = 6;

/// Something one of two users does, or a step of the path.
#[derive(Debug, Clone, Copy)]
enum Act {
    Open { side: usize },
    Send { side: usize, channel: usize },
    Close { side: usize, channel: usize },
    Carry { side: usize, stream: u16 },
}

fn act() -> impl Strategy<Value = Act> {
    let side = || 0..2_usize;
    prop_oneof![
        1 => side().prop_map(|side| Act::Open { side }),
        3 => (side(), 0..8_usize).prop_map(|(side, channel)| Act::Send { side, channel }),
        1 => (side(), 0..8_usize).prop_map(|(side, channel)| Act::Close { side, channel }),
        8 => (side(), 0..6_u16).prop_map(|(side, stream)| Act::Carry { side, stream }),
    ]
}

/// What is on the way from one side: what it did, and its word that it performed the other's reset.
#[derive(Debug)]
enum Way {
    Does(Action),
    Performed { stream: u16 },
}

/// One side, what it has sent that is on its way, and what its user saw.
#[derive(Debug)]
struct Side {
    channels: Channels,
    on_the_way: Vec<Way>,
    open: Vec<ChannelId>,
    closed: Vec<ChannelId>,
    /// What arrived, by number of the message.
    received: Vec<u32>,
    /// It closed channels itself, so what was on the way to it may be dropped.
    closes: bool,
}

#[derive(Debug)]
struct Pair {
    sides: [Side; 2],
    sent: [Vec<u32>; 2],
    next: u32,
}

impl Pair {
    fn new() -> Self {
        let up = |role| {
            let mut channels = Channels::new(role, 0);
            channels.established(STREAMS);
            events(&mut channels);
            channels
        };
        let side = |role| Side {
            channels: up(role),
            on_the_way: vec![],
            open: vec![],
            closed: vec![],
            received: vec![],
            closes: false,
        };
        Self {
            sides: [side(Role::Client), side(Role::Server)],
            sent: [vec![], vec![]],
            next: 0,
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Open { side } => {
                // Or there is no stream just now.
                let _ = self.sides[side].channels.open(labeled(""));
            }
            Act::Send { side, channel } => {
                if let Some(&id) = self.sides[side].open.get(channel) {
                    let message = Message::Binary(self.next.to_be_bytes().to_vec().into());
                    if send(&mut self.sides[side].channels, id, message).is_ok() {
                        self.sent[side].push(self.next);
                        self.next += 1;
                    }
                }
            }
            Act::Close { side, channel } => {
                if let Some(&id) = self.sides[side].open.get(channel) {
                    self.sides[side].closes = true;
                    self.sides[side].channels.close(id);
                }
            }
            Act::Carry { side, stream } => {
                self.carry(side, |of| of == stream);
            }
        }
        self.look();
    }

    /// Brings the next of a stream across. A reset arrives after what was sent before it; the answer comes when it comes.
    fn carry(&mut self, side: usize, is_wanted: impl Fn(u16) -> bool) -> bool {
        let way = &mut self.sides[side].on_the_way;
        let next = way.iter().position(|on_the_way| match on_the_way {
            Way::Does(Action::Send { stream, .. } | Action::Reset { stream }) => is_wanted(*stream),
            Way::Does(Action::AssumeReset { .. }) => false,
            Way::Performed { stream } => is_wanted(*stream),
        });
        let Some(next) = next else { return false };
        let other = 1 - side;
        match way.remove(next) {
            Way::Does(Action::Send {
                stream,
                ppid,
                payload,
                ..
            }) => {
                self.sides[other].channels.message(stream, ppid, payload);
            }
            Way::Does(Action::Reset { stream }) => {
                self.sides[other].channels.incoming_reset(stream);
                // In front or behind what the other side has on the way: it may overtake, and be overtaken.
                let at = usize::from(stream) % (self.sides[other].on_the_way.len() + 1);
                self.sides[other]
                    .on_the_way
                    .insert(at, Way::Performed { stream });
            }
            Way::Performed { stream } => self.sides[other].channels.outgoing_reset(stream),
            Way::Does(Action::AssumeReset { .. }) => unreachable!("done at once"),
        }
        true
    }

    /// Takes what a side does. What it assumes is true if the other's word for it is on the way.
    fn collect(&mut self, side: usize) {
        for action in actions(&mut self.sides[side].channels) {
            let Action::AssumeReset { stream } = action else {
                self.sides[side].on_the_way.push(Way::Does(action));
                continue;
            };
            let words = &mut self.sides[1 - side].on_the_way;
            let word = words.iter().position(
                |on_the_way| matches!(on_the_way, Way::Performed { stream: of } if *of == stream),
            );
            words.remove(word.expect("the peer performed it, or it could not use the stream anew"));
            self.sides[side].channels.outgoing_reset(stream);
            self.collect(side);
        }
    }

    fn look(&mut self) {
        self.collect(ONE);
        self.collect(TWO);
        for side in &mut self.sides {
            for event in events(&mut side.channels) {
                match event {
                    Event::ChannelOpened { channel, .. } => side.open.push(channel),
                    Event::Message {
                        channel,
                        message: Message::Binary(bytes),
                    } => {
                        assert!(
                            side.open.contains(&channel),
                            "a message of a channel that is not open"
                        );
                        side.received.push(u32::from_be_bytes(
                            bytes[..].try_into().expect("four bytes"),
                        ));
                    }
                    Event::ChannelClosed { channel } => {
                        assert!(
                            side.open.contains(&channel) && !side.closed.contains(&channel),
                            "closed once"
                        );
                        side.open.retain(|id| *id != channel);
                        side.closed.push(channel);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

proptest! {
    /// Whatever two users do and however streams overtake each other: both see the same channels, each closed once, what one sent the
    /// other gets unless it closed a channel itself, and in the end every number is free.
    #[test]
    fn two_sides_agree(acts in proptest::collection::vec(act(), 0..200)) {
        let mut pair = Pair::new();
        acts.into_iter().for_each(|act| pair.act(act));
        while pair.carry(ONE, |_| true) || pair.carry(TWO, |_| true) {
            pair.look();
        }
        for side in [ONE, TWO] {
            let (sender, receiver) = (&pair.sides[side], &pair.sides[1 - side]);
            prop_assert_eq!(sender.open.len(), receiver.open.len());
            prop_assert_eq!(sender.closed.len(), receiver.closed.len());
            prop_assert_eq!(sender.channels.ignored() > 0 && !sender.closes, false, "dropped without a reason");
            let (mut sent, mut received) = (pair.sent[side].clone(), receiver.received.clone());
            sent.sort_unstable();
            received.sort_unstable();
            if receiver.closes {
                prop_assert!(received.iter().all(|number| sent.binary_search(number).is_ok()));
                prop_assert!(received.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
            } else {
                prop_assert_eq!(received, sent);
            }
        }
        for side in [ONE, TWO] {
            let open = std::mem::take(&mut pair.sides[side].open);
            open.into_iter().for_each(|id| pair.sides[side].channels.close(id));
            pair.sides[side].open = vec![];
        }
        pair.collect(ONE);
        pair.collect(TWO);
        while pair.carry(ONE, |_| true) || pair.carry(TWO, |_| true) {
            pair.collect(ONE);
            pair.collect(TWO);
        }
        for side in &pair.sides {
            prop_assert_eq!(side.channels.table.streams_from(0), Vec::<u16>::new());
        }
    }
}
