//! Channels by themselves, then two sides with a path between them that keeps order on each stream and nowhere else.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const STREAMS: u16 = 100;

fn up(role: Role) -> Channels {
    let mut channels = Channels::new(role, 1000);
    channels.established(STREAMS);
    assert_eq!(channels.poll_event(), Some(Event::Established));
    channels
}

fn labeled(label: &str) -> ChannelOptions {
    ChannelOptions::labeled(label)
}

fn events(channels: &mut Channels) -> Vec<Event> {
    std::iter::from_fn(|| channels.poll_event()).collect()
}

fn commands(channels: &mut Channels) -> Vec<Command> {
    std::iter::from_fn(|| channels.poll_command()).collect()
}

fn send(channels: &mut Channels, id: ChannelId, message: Message) -> Result<(), SendError> {
    channels.send(id, message, 0, 1 << 20)
}

fn text(text: &'static str) -> Message {
    Message::Text(Bytes::from_static(text.as_bytes()))
}

/// A reliable ordered channel of ours that is open, its OPEN on the way.
fn opened(channels: &mut Channels) -> ChannelId {
    let id = channels.open(labeled("a")).expect("a stream is free");
    assert!(matches!(
        events(channels)[..],
        [Event::ChannelOpened { by_peer: false, .. }]
    ));
    assert!(matches!(
        commands(channels)[..],
        [Command::Send {
            ppid: ppid::DCEP,
            ..
        }]
    ));
    id
}

/// The peer opens a channel.
fn opened_by_peer(channels: &mut Channels, stream: u16, options: &ChannelOptions) -> ChannelId {
    channels.message(stream, ppid::DCEP, Dcep::open(options));
    match events(channels)[..] {
        [
            Event::ChannelOpened {
                channel,
                ref options,
                by_peer: true,
            },
        ] => {
            assert_eq!(
                *options,
                ChannelOptions {
                    negotiated: None,
                    ..options.clone()
                }
            );
            channel
        }
        ref other => panic!("not opened: {other:?}"),
    }
}

#[test]
fn an_open_is_answered_and_both_sides_know_the_options() {
    let (mut client, mut server) = (up(Role::Client), up(Role::Server));
    let options = ChannelOptions {
        protocol: "chess".into(),
        ordered: false,
        reliability: Reliability::MaxLifetime(Duration::from_millis(300)),
        priority: 1024,
        ..labeled("game")
    };
    let ours = client.open(options.clone()).expect("free");
    assert_eq!(ours.stream(), 0);
    let Some(Command::Send {
        stream: 0,
        ppid: 50,
        payload,
        unordered: false,
        reliability,
        priority: 1024,
    }) = client.poll_command()
    else {
        panic!("OPEN")
    };
    assert_eq!(
        reliability,
        Reliability::Reliable,
        "DCEP is reliable whatever the channel is"
    );
    server.message(0, 50, payload);
    let opened = events(&mut server);
    let [
        Event::ChannelOpened {
            channel: theirs,
            options: said,
            by_peer: true,
        },
    ] = &opened[..]
    else {
        panic!("{opened:?}")
    };
    assert_eq!(*said, options);
    let ack = Command::Send {
        stream: 0,
        ppid: 50,
        payload: Bytes::from_static(&[2]),
        unordered: false,
        reliability: Reliability::Reliable,
        priority: 1024,
    };
    assert_eq!(commands(&mut server), [ack]);
    assert_eq!(server.state(*theirs), ChannelState::Open);
}

#[test]
fn unordered_messages_are_ordered_until_the_peer_knows_the_channel() {
    let unordered = ChannelOptions {
        ordered: false,
        ..labeled("")
    };
    let is_unordered = |channels: &mut Channels, id| {
        send(channels, id, text("a")).expect("open");
        match channels.poll_command() {
            Some(Command::Send { unordered, .. }) => unordered,
            other => panic!("{other:?}"),
        }
    };
    for (what, payload) in [(ppid::DCEP, Dcep::ack()), (ppid::STRING, "first".into())] {
        let mut channels = up(Role::Client);
        let id = channels.open(unordered.clone()).expect("free");
        channels.poll_command();
        assert!(!is_unordered(&mut channels, id), "it could overtake OPEN");
        channels.message(id.stream(), what, payload);
        assert!(is_unordered(&mut channels, id));
    }
    let mut channels = up(Role::Client);
    let negotiated = channels
        .open(ChannelOptions {
            negotiated: Some(7),
            ..unordered.clone()
        })
        .expect("free");
    assert!(is_unordered(&mut channels, negotiated), "there is no OPEN");
    events(&mut channels);
    let theirs = opened_by_peer(&mut channels, 9, &unordered);
    channels.poll_command();
    assert!(is_unordered(&mut channels, theirs), "they opened it");
}

#[test]
fn before_the_association_is_up_everything_waits_in_order() {
    let mut channels = Channels::new(Role::Server, 0);
    let first = channels.open(labeled("first")).expect("free");
    let dropped = channels.open(labeled("dropped")).expect("free");
    let beyond = channels
        .open(ChannelOptions {
            negotiated: Some(STREAMS),
            ..labeled("beyond")
        })
        .expect("free");
    for (id, message) in [
        (first, text("one")),
        (dropped, text("no")),
        (beyond, text("no")),
        (first, text("two")),
    ] {
        send(&mut channels, id, message).expect("it waits");
        assert_eq!(channels.state(id), ChannelState::Connecting);
    }
    assert_eq!(channels.buffered_amount(first), 6);
    assert_eq!(channels.held(), 10 + 4 * MESSAGE_COST);
    channels.close(dropped);
    assert_eq!(channels.held(), 8 + 3 * MESSAGE_COST);
    assert_eq!(
        (channels.poll_command(), events(&mut channels)),
        (None, vec![Event::ChannelClosed { channel: dropped }])
    );

    channels.established(STREAMS);
    let opened = Event::ChannelOpened {
        channel: first,
        options: labeled("first"),
        by_peer: false,
    };
    let expected = [
        Event::Established,
        Event::ChannelClosed { channel: beyond },
        opened,
    ];
    assert_eq!(events(&mut channels), expected);
    let said: Vec<_> = commands(&mut channels)
        .into_iter()
        .map(|command| match command {
            Command::Send {
                stream: 1,
                ppid,
                payload,
                ..
            } => (ppid, payload),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said[1..], [(51, "one".into()), (51, "two".into())]);
    assert_eq!(said[0].0, 50);
    assert_eq!(channels.held(), 0);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let mut channels = up(Role::Client);
    let long = "x".repeat(65_536);
    let open = |channels: &mut Channels, options| channels.open(options).map(ChannelId::stream);
    assert_eq!(
        open(&mut channels, labeled(&long)),
        Err(OpenError::LabelTooLong { size: 65_536 })
    );
    let protocol = ChannelOptions {
        protocol: long,
        ..labeled("")
    };
    assert_eq!(
        open(&mut channels, protocol),
        Err(OpenError::ProtocolTooLong { size: 65_536 })
    );
    let on = |stream| ChannelOptions {
        negotiated: Some(stream),
        ..labeled("")
    };
    let limit = STREAMS;
    assert_eq!(
        open(&mut channels, on(100)),
        Err(OpenError::NoSuchStream { stream: 100, limit })
    );
    assert_eq!(open(&mut channels, on(0)), Ok(0));
    assert_eq!(
        open(&mut channels, on(0)),
        Err(OpenError::StreamInUse { stream: 0 })
    );
    for stream in 1..STREAMS / 2 {
        assert_eq!(open(&mut channels, labeled("")), Ok(2 * stream));
    }
    assert_eq!(
        open(&mut channels, labeled("")),
        Err(OpenError::NoStream { limit })
    );
    channels.closed(CloseReason::Aborted);
    assert_eq!(open(&mut channels, labeled("")), Err(OpenError::Closed));
}

#[test]
fn what_cannot_be_sent_says_why_and_leaves_nothing_behind() {
    let mut channels = up(Role::Client);
    let id = opened(&mut channels);
    let bytes = |size: usize| Message::Binary(vec![0; size].into());
    assert_eq!(
        send(&mut channels, id, bytes(1001)),
        Err(SendError::TooLarge {
            limit: 1000,
            size: 1001
        })
    );
    let invalid = Message::Text(Bytes::from_static(b"\xff"));
    assert_eq!(send(&mut channels, id, invalid), Err(SendError::NotUtf8));
    assert_eq!(
        channels.send(id, bytes(100), 1, 100 + MESSAGE_COST),
        Err(SendError::BufferFull { size: 100 })
    );
    assert_eq!(
        (channels.buffered_amount(id), commands(&mut channels)),
        (0, vec![])
    );
    assert_eq!(
        channels.send(id, bytes(100), 0, 1),
        Ok(()),
        "an empty buffer takes any message"
    );
    assert_eq!(channels.send(id, bytes(100), 1, 101 + MESSAGE_COST), Ok(()));
    channels.close(id);
    assert_eq!(send(&mut channels, id, bytes(1)), Err(SendError::NotOpen));
}

#[test]
fn a_peer_that_names_no_limit_takes_any_message() {
    let mut channels = Channels::new(Role::Client, 0);
    let id = channels.open(labeled("")).expect("free");
    assert_eq!(
        send(
            &mut channels,
            id,
            Message::Binary(vec![0; 3_000_000].into())
        ),
        Ok(())
    );
}

#[test]
fn a_channel_closes_after_what_was_queued_and_is_over_once_both_sides_are_reset() {
    for outgoing_first in [true, false] {
        let mut channels = up(Role::Client);
        let id = opened(&mut channels);
        send(&mut channels, id, text("last")).expect("open");
        channels.close(id);
        channels.close(id);
        assert_eq!(channels.state(id), ChannelState::Closing);
        let commands = commands(&mut channels);
        assert!(
            matches!(
                commands[..],
                [Command::Send { .. }, Command::Reset { stream: 0 }]
            ),
            "{commands:?}"
        );
        channels.message(0, ppid::STRING, "dropped, as a browser does".into());
        if outgoing_first {
            channels.outgoing_reset(0)
        } else {
            channels.incoming_reset(0)
        }
        assert_eq!(events(&mut channels), [], "half closed");
        let in_use = channels.open(ChannelOptions {
            negotiated: Some(0),
            ..labeled("")
        });
        assert_eq!(in_use, Err(OpenError::StreamInUse { stream: 0 }));
        if outgoing_first {
            channels.incoming_reset(0)
        } else {
            channels.outgoing_reset(0)
        }
        assert_eq!(
            events(&mut channels),
            [Event::ChannelClosed { channel: id }]
        );
        assert_eq!(channels.state(id), ChannelState::Closed);
        let again = opened(&mut channels);
        assert_eq!(again.stream(), 0, "the number is free again");
        assert_eq!(channels.state(id), ChannelState::Closed, "the name is not");
        assert_eq!(send(&mut channels, id, text("a")), Err(SendError::NotOpen));
    }
}

#[test]
fn the_peers_reset_is_answered_with_ours() {
    let mut channels = up(Role::Client);
    let id = opened_by_peer(&mut channels, 1, &labeled(""));
    commands(&mut channels);
    channels.incoming_reset(1);
    assert_eq!(commands(&mut channels), [Command::Reset { stream: 1 }]);
    assert_eq!(channels.state(id), ChannelState::Closing);
    channels.outgoing_reset(1);
    assert_eq!(
        events(&mut channels),
        [Event::ChannelClosed { channel: id }]
    );

    let (first, second) = (opened(&mut channels), opened(&mut channels));
    channels.all_incoming_reset();
    assert_eq!(
        commands(&mut channels),
        [first, second].map(|id| Command::Reset {
            stream: id.stream()
        })
    );
}

#[test]
fn a_reset_that_is_refused_ends_the_channel_and_keeps_its_number() {
    let mut channels = up(Role::Client);
    let id = opened(&mut channels);
    channels.close(id);
    assert_eq!(commands(&mut channels), [Command::Reset { stream: 0 }]);
    channels.outgoing_reset_refused(0);
    assert_eq!(
        events(&mut channels),
        [Event::ChannelClosed { channel: id }]
    );
    assert_eq!(channels.state(id), ChannelState::Closed);
    channels.incoming_reset(0);
    assert_eq!(events(&mut channels), [], "told once");
    assert_eq!(opened(&mut channels).stream(), 2);
}

#[test]
fn what_a_peer_may_not_do_closes_the_channel_and_is_not_acknowledged() {
    let open = || (ppid::DCEP, Dcep::open(&labeled("")));
    for (why, stream, (ppid, payload)) in [
        ("the number is ours to give", 4, open()),
        ("data where no channel is", 3, (ppid::BINARY, "a".into())),
        ("an ACK of nothing", 2, (ppid::DCEP, Dcep::ack())),
        ("malformed", 5, (ppid::DCEP, "\u{3}".into())),
        ("no such message", 5, (ppid::DCEP, "\u{1}".into())),
        ("an empty one", 5, (ppid::DCEP, Bytes::new())),
    ] {
        let mut channels = up(Role::Client);
        channels.message(stream, ppid, payload.clone());
        channels.message(stream, ppid, payload);
        assert_eq!(
            commands(&mut channels),
            [Command::Reset { stream }],
            "{why}"
        );
        channels.outgoing_reset(stream);
        channels.incoming_reset(stream);
        assert_eq!(events(&mut channels), [], "{why}: nobody hears of it");
        assert!(channels.ignored() > 0);
        assert!(
            channels.table.on(stream).is_none(),
            "{why}: the number is free"
        );
    }
}

#[test]
fn a_second_open_and_parts_of_messages_close_the_channel_that_is_there() {
    for (ppid, payload) in [
        (ppid::DCEP, Dcep::open(&labeled(""))),
        (ppid::BINARY_PARTIAL, "half".into()),
        (ppid::STRING_PARTIAL, "half".into()),
    ] {
        let mut channels = up(Role::Server);
        let id = opened_by_peer(&mut channels, 0, &labeled(""));
        commands(&mut channels);
        channels.message(0, ppid, payload);
        assert_eq!(commands(&mut channels), [Command::Reset { stream: 0 }]);
        assert_eq!(channels.state(id), ChannelState::Closing);
    }
}

#[test]
fn a_stream_that_we_have_not_is_left_alone() {
    let mut channels = up(Role::Server);
    channels.message(STREAMS, ppid::DCEP, Dcep::open(&labeled("")));
    channels.message(STREAMS, ppid::STRING, "a".into());
    assert_eq!(
        (commands(&mut channels), events(&mut channels)),
        (vec![], vec![])
    );
    assert!(channels.table.on(STREAMS).is_none());
}

#[test]
fn messages_of_unknown_protocols_are_dropped() {
    let mut channels = up(Role::Server);
    opened_by_peer(&mut channels, 0, &labeled(""));
    commands(&mut channels);
    channels.message(0, 99, "a".into());
    assert_eq!(
        (
            commands(&mut channels),
            events(&mut channels),
            channels.ignored()
        ),
        (vec![], vec![], 1)
    );
}

#[test]
fn low_is_told_when_the_amount_falls_to_the_threshold() {
    let mut channels = up(Role::Client);
    let id = opened(&mut channels);
    channels.set_buffered_amount_low_threshold(id, 10);
    for _ in 0..3 {
        send(&mut channels, id, text("0123456789")).expect("open");
    }
    let open = 13; // OPEN went in front and does not count
    channels.sent(0, open + 30);
    channels.sent(0, 11);
    assert_eq!(
        (channels.buffered_amount(id), events(&mut channels)),
        (11, vec![])
    );
    channels.sent(0, 10);
    channels.sent(0, 0);
    assert_eq!(
        events(&mut channels),
        [Event::BufferedAmountLow { channel: id }]
    );
}

#[test]
fn the_end_closes_every_channel_once_and_then_itself() {
    let mut channels = up(Role::Client);
    let (first, second) = (opened(&mut channels), opened(&mut channels));
    let theirs = opened_by_peer(&mut channels, 1, &labeled(""));
    channels.message(3, ppid::STRING, "refused".into());
    channels.close(second);
    for _ in 0..2 {
        channels.closed(CloseReason::Shutdown);
    }
    let closed = |channel| Event::ChannelClosed { channel };
    let over = Event::Closed {
        reason: CloseReason::Shutdown,
    };
    assert_eq!(
        events(&mut channels),
        [closed(first), closed(theirs), closed(second), over]
    );
    assert_eq!(commands(&mut channels), []);
}

#[test]
fn a_peer_that_began_anew_knows_no_channel() {
    let mut channels = up(Role::Client);
    let old = opened(&mut channels);
    send(&mut channels, old, text("lost")).expect("open");
    channels.restarted();
    channels.established(STREAMS);
    assert_eq!(
        events(&mut channels),
        [Event::ChannelClosed { channel: old }, Event::Established]
    );
    assert_eq!(commands(&mut channels), []);
    assert_eq!(opened(&mut channels).stream(), 0);
}

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
    on_the_way: Vec<Command>,
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
        let next = way.iter().position(|command| match command {
            Command::Send { stream, .. } | Command::Reset { stream } => is_wanted(*stream),
        });
        let Some(next) = next else { return false };
        match way.remove(next) {
            Command::Send {
                stream,
                ppid,
                payload,
                ..
            } => self.sides[1 - side].channels.message(stream, ppid, payload),
            Command::Reset { stream } => {
                self.sides[1 - side].channels.incoming_reset(stream);
                self.sides[side].channels.outgoing_reset(stream);
            }
        }
        true
    }

    fn look(&mut self) {
        for side in &mut self.sides {
            side.on_the_way.extend(commands(&mut side.channels));
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
            side.on_the_way.extend(commands(&mut side.channels));
        }
        while pair.carry(0, |_| true) || pair.carry(1, |_| true) {
            for side in &mut pair.sides {
                side.on_the_way.extend(commands(&mut side.channels));
            }
        }
        for side in &pair.sides {
            prop_assert_eq!(side.channels.table.streams_from(0), Vec::<u16>::new());
        }
    }
}
