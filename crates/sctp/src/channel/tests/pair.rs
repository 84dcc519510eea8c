//! Two sides, with a path between them that keeps order on each stream and nowhere else.

use proptest::prelude::*;

use super::super::*;
use super::{actions, events, labeled, send, up};

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

/// One side, what it has sent that is on its way, and what its user saw.
#[derive(Debug)]
struct Side {
    channels: Channels,
    on_the_way: Vec<Action>,
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
                self.sides[side]
                    .channels
                    .open(labeled(""))
                    .expect("there are streams");
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

    /// Brings the next of a stream across. A reset arrives after what was sent before it, and is confirmed.
    fn carry(&mut self, side: usize, is_wanted: impl Fn(u16) -> bool) -> bool {
        let way = &mut self.sides[side].on_the_way;
        let next = way.iter().position(|action| match action {
            Action::Send { stream, .. } | Action::Reset { stream } => is_wanted(*stream),
        });
        let Some(next) = next else { return false };
        match way.remove(next) {
            Action::Send {
                stream,
                ppid,
                payload,
                ..
            } => self.sides[1 - side].channels.message(stream, ppid, payload),
            Action::Reset { stream } => {
                self.sides[1 - side].channels.incoming_reset(stream);
                self.sides[side].channels.outgoing_reset(stream);
            }
        }
        true
    }

    fn look(&mut self) {
        for side in &mut self.sides {
            side.on_the_way.extend(actions(&mut side.channels));
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
        while pair.carry(0, |_| true) || pair.carry(1, |_| true) {
            pair.look();
        }
        for side in [0, 1] {
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
        for side in [0, 1] {
            let open = std::mem::take(&mut pair.sides[side].open);
            open.into_iter().for_each(|id| pair.sides[side].channels.close(id));
            pair.sides[side].open = vec![];
        }
        for side in &mut pair.sides {
            side.on_the_way.extend(actions(&mut side.channels));
        }
        while pair.carry(0, |_| true) || pair.carry(1, |_| true) {
            for side in &mut pair.sides {
                side.on_the_way.extend(actions(&mut side.channels));
            }
        }
        for side in &pair.sides {
            prop_assert_eq!(side.channels.table.streams_from(0), Vec::<u16>::new());
        }
    }
}
