//! Any path, any settings, anything two users do: what was promised holds.

use std::{collections::BTreeMap, time::Duration};

use crowfly_sim::{Link, Loss};
use proptest::prelude::*;

use super::bed::{Bed, ONE, TWO};
use super::*;

/// What a user does.
#[derive(Debug, Clone)]
enum Act {
    Open {
        side: usize,
        options: ChannelOptions,
    },
    Send {
        channel: usize,
        from_opener: bool,
        size: usize,
    },
    Close {
        channel: usize,
        by_opener: bool,
    },
    Wait(Duration),
}

fn act() -> impl Strategy<Value = Act> {
    let sizes = prop_oneof![4_usize..200, 1000_usize..1300, 4_usize..100_000];
    prop_oneof![
        2 => (0..2_usize, options()).prop_map(|(side, options)| Act::Open { side, options }),
        10 => (0..6_usize, any::<bool>(), sizes)
            .prop_map(|(channel, from_opener, size)| Act::Send { channel, from_opener, size }),
        1 => (0..6_usize, any::<bool>()).prop_map(|(channel, by_opener)| Act::Close { channel, by_opener }),
        4 => (0..300_u64).prop_map(|time| Act::Wait(Duration::from_millis(time))),
    ]
}

fn options() -> impl Strategy<Value = ChannelOptions> {
    let reliability = prop_oneof![
        3 => Just(Reliability::Reliable),
        1 => (0..3_u16).prop_map(Reliability::MaxRetransmits),
        1 => (0..400_u64).prop_map(|time| Reliability::MaxLifetime(Duration::from_millis(time))),
    ];
    (any::<bool>(), reliability, 1..2000_u16).prop_map(|(ordered, reliability, priority)| {
        ChannelOptions {
            ordered,
            reliability,
            priority,
            ..labeled("any")
        }
    })
}

fn link() -> impl Strategy<Value = Link> {
    let loss = prop_oneof![Just(0.0), 0.0..0.2];
    (loss, 0.0..0.3, 0.0..0.1, 0.0..0.02, 1..100_u64, 1..100_u64).prop_map(
        |(loss, reorder, duplicate, corrupt, delay, rate)| {
            Link::new()
                .rate(rate * 1_000_000)
                .queue_packets(200)
                .delay(Duration::from_millis(delay))
                .loss(Loss::Random(loss))
                .reorder(reorder, Duration::from_millis(delay))
                .duplicate(duplicate)
                .corrupt(corrupt)
        },
    )
}

/// Interleaving or not, CUBIC or not, and the receive window.
fn settings() -> impl Strategy<Value = (bool, bool, u32)> {
    (
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(1_u32 << 18), Just(4 << 20)],
    )
}

fn set_up(config: &mut Config, (interleaving, cubic, window): (bool, bool, u32)) {
    config.zero_checksum = false; // the path corrupts
    config.interleaving = interleaving;
    config.receive_window = window;
    config.streams = if cubic { 6 } else { 65_535 };
    (config.max_message_size, config.peer_max_message_size) = (100_000, 100_000);
    if cubic {
        config.congestion = CongestionControl::Cubic;
    }
}

/// One channel as its two users know it: the opener first.
#[derive(Debug)]
struct Known {
    opener: usize,
    options: ChannelOptions,
    ids: [Option<ChannelId>; 2],
    /// Numbers of the messages that each sent, in order.
    sent: [Vec<u32>; 2],
    closed_by: [bool; 2],
}

#[derive(Debug)]
struct Story {
    bed: Bed,
    channels: Vec<Known>,
    next: u32,
}

impl Story {
    fn act(&mut self, act: Act) {
        match act {
            Act::Open { side, options } => {
                // Labels tell the channels apart on the other side.
                let options = ChannelOptions {
                    label: self.channels.len().to_string(),
                    ..options
                };
                let id = self
                    .bed
                    .update(side, |association, _| association.open(options.clone()));
                let Ok(id) = id else { return }; // no stream is free just now
                let (ids, sent, closed_by) = ([Some(id), None], [vec![], vec![]], [false; 2]);
                self.channels.push(Known {
                    opener: side,
                    options,
                    ids,
                    sent,
                    closed_by,
                });
            }
            Act::Send {
                channel,
                from_opener,
                size,
            } => self.send(channel, from_opener, size),
            Act::Close { channel, by_opener } => {
                let user = usize::from(!by_opener);
                if let Some(known) = self.channels.get_mut(channel)
                    && let Some(id) = known.ids[user]
                {
                    known.closed_by[user] = true;
                    self.bed.close(known.opener ^ user, id);
                }
            }
            Act::Wait(time) => self.bed.run(time),
        }
        self.learn();
    }

    fn send(&mut self, channel: usize, from_opener: bool, size: usize) {
        let user = usize::from(!from_opener);
        let Some(known) = self.channels.get_mut(channel) else {
            return;
        };
        let Some(id) = known.ids[user] else { return };
        let mut payload = vec![self.next as u8; size];
        payload[..4].copy_from_slice(&self.next.to_be_bytes());
        if self
            .bed
            .send(known.opener ^ user, id, Message::Binary(payload.into()))
            .is_ok()
        {
            known.sent[user].push(self.next);
            self.next += 1;
        }
    }

    /// Which channels the peers opened.
    fn learn(&mut self) {
        for side in [ONE, TWO] {
            for (id, options) in &self.bed.side(side).opened_by_peer {
                let known = &mut self.channels[options.label.parse::<usize>().expect("a number")];
                assert_eq!((options, known.opener), (&known.options, 1 - side));
                known.ids[1] = Some(*id);
            }
        }
    }

    /// Whether all that must come has come.
    fn is_settled(&self) -> bool {
        self.channels.iter().all(|known| {
            let arrived = |user: usize| {
                let messages = &self.bed.side(known.opener ^ user ^ 1).messages;
                known.ids[1 - user]
                    .map_or(0, |id| messages.iter().filter(|(on, _)| *on == id).count())
            };
            let is_over = |user: usize| {
                // Closed before the association was up, or beyond its streams: the peer never hears of it.
                known.ids[user].is_none_or(|id| {
                    self.bed.state(known.opener ^ user, id) == ChannelState::Closed
                })
            };
            let closed = known.closed_by != [false; 2] || (known.ids[1].is_none() && is_over(0));
            match closed {
                true => is_over(0) && is_over(1),
                false => {
                    known.ids[1].is_some()
                        && (known.options.reliability != Reliability::Reliable
                            || (0..2).all(|user| arrived(user) == known.sent[user].len()))
                }
            }
        })
    }

    fn received(&self, side: usize, id: ChannelId) -> Vec<u32> {
        let messages = self
            .bed
            .side(side)
            .messages
            .iter()
            .filter(|(on, _)| *on == id);
        let number = |message: &Message| {
            let Message::Binary(bytes) = message else {
                panic!("only binary was sent")
            };
            let number = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
            assert!(
                bytes[4..].iter().all(|&byte| byte == number as u8),
                "another message's bytes"
            );
            number
        };
        messages.map(|(_, message)| number(message)).collect()
    }

    fn check(&self) {
        for known in &self.channels {
            for user in 0..2 {
                let Some(id) = known.ids[1 - user] else {
                    continue;
                };
                let sent: BTreeMap<u32, usize> = known.sent[user]
                    .iter()
                    .enumerate()
                    .map(|(at, &number)| (number, at))
                    .collect();
                let received = self.received(known.opener ^ user ^ 1, id);
                let places: Vec<usize> = received.iter().map(|number| sent[number]).collect();
                let mut sorted = places.clone();
                sorted.sort_unstable();
                assert!(
                    sorted.windows(2).all(|pair| pair[0] < pair[1]),
                    "a message twice: {known:?}"
                );
                if known.options.ordered {
                    assert_eq!(places, sorted, "out of order: {known:?}");
                }
                if known.options.reliability == Reliability::Reliable && !known.closed_by[1 - user]
                {
                    assert_eq!(places.len(), sent.len(), "a message lost: {known:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn what_was_promised_holds(link in link(), settings in settings(), acts in proptest::collection::vec(act(), 1..80)) {
        let mut story = Story { bed: Bed::with(link, |config| set_up(config, settings)), channels: vec![], next: 0 };
        for side in [ONE, TWO] {
            story.bed.update(side, |association, now| association.handle_input(now, Input::Connect));
        }
        acts.into_iter().for_each(|act| story.act(act));
        for _ in 0..600 {
            story.bed.run(SECOND / 2);
            story.learn();
            if story.is_settled() {
                break;
            }
        }
        prop_assert!(story.is_settled(), "stalled: {:?} {:?} {:?}", story.channels, story.bed.stats(ONE), story.bed.stats(TWO));
        story.bed.run(5 * SECOND);
        story.check();
        for side in [ONE, TWO] {
            prop_assert_eq!(&story.bed.side(side).over, &None);
        }
    }
}
