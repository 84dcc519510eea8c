//! Channels by themselves; [`pair`] sets two against each other.

mod pair;

use std::time::Duration;

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

fn actions(channels: &mut Channels) -> Vec<Action> {
    std::iter::from_fn(|| channels.poll_action()).collect()
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
        actions(channels)[..],
        [Action::Send {
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
    let Some(Action::Send {
        stream: 0,
        ppid: 50,
        payload,
        unordered: false,
        reliability,
        priority: 1024,
    }) = client.poll_action()
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
    let ack = Action::Send {
        stream: 0,
        ppid: 50,
        payload: Bytes::from_static(&[2]),
        unordered: false,
        reliability: Reliability::Reliable,
        priority: 1024,
    };
    assert_eq!(actions(&mut server), [ack]);
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
        match channels.poll_action() {
            Some(Action::Send { unordered, .. }) => unordered,
            other => panic!("{other:?}"),
        }
    };
    for (what, payload) in [(ppid::DCEP, Dcep::ack()), (ppid::STRING, "first".into())] {
        let mut channels = up(Role::Client);
        let id = channels.open(unordered.clone()).expect("free");
        channels.poll_action();
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
    channels.poll_action();
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
        (channels.poll_action(), events(&mut channels)),
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
    let said: Vec<_> = actions(&mut channels)
        .into_iter()
        .map(|action| match action {
            Action::Send {
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
        (channels.buffered_amount(id), actions(&mut channels)),
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
        let actions = actions(&mut channels);
        assert!(
            matches!(
                actions[..],
                [Action::Send { .. }, Action::Reset { stream: 0 }]
            ),
            "{actions:?}"
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
        let options = ChannelOptions {
            negotiated: Some(0),
            ..labeled("")
        };
        assert!(channels.open(options).is_ok(), "the number is free again");
        assert_eq!(channels.state(id), ChannelState::Closed, "the name is not");
        assert_eq!(send(&mut channels, id, text("a")), Err(SendError::NotOpen));
    }
}

#[test]
fn the_peers_reset_is_answered_with_ours() {
    let mut channels = up(Role::Client);
    let id = opened_by_peer(&mut channels, 1, &labeled(""));
    actions(&mut channels);
    channels.incoming_reset(1);
    assert_eq!(actions(&mut channels), [Action::Reset { stream: 1 }]);
    assert_eq!(channels.state(id), ChannelState::Closing);
    channels.outgoing_reset(1);
    assert_eq!(
        events(&mut channels),
        [Event::ChannelClosed { channel: id }]
    );

    let (first, second) = (opened(&mut channels), opened(&mut channels));
    channels.all_incoming_reset();
    assert_eq!(
        actions(&mut channels),
        [first, second].map(|id| Action::Reset {
            stream: id.stream()
        })
    );
}

#[test]
fn a_reset_that_is_refused_ends_the_channel_and_keeps_its_number() {
    let mut channels = up(Role::Client);
    let id = opened(&mut channels);
    channels.close(id);
    assert_eq!(actions(&mut channels), [Action::Reset { stream: 0 }]);
    channels.outgoing_reset_refused(0);
    assert_eq!(
        events(&mut channels),
        [Event::ChannelClosed { channel: id }]
    );
    assert_eq!(channels.state(id), ChannelState::Closed);
    channels.incoming_reset(0);
    assert_eq!(events(&mut channels), [], "told once");
    let on_it = channels.open(ChannelOptions {
        negotiated: Some(0),
        ..labeled("")
    });
    assert_eq!(on_it, Err(OpenError::StreamInUse { stream: 0 }));
}

#[test]
fn a_number_used_anew_shows_that_our_reset_was_performed() {
    let mut channels = up(Role::Server);
    let old = opened_by_peer(&mut channels, 0, &labeled("old"));
    actions(&mut channels);
    let open = |label| (0, ppid::DCEP, Dcep::open(&labeled(label)));
    channels.incoming_reset(0);
    assert_eq!(actions(&mut channels), [Action::Reset { stream: 0 }]);
    // The answer to our request is lost, and the peer has its own: to it the number is free.
    let (stream, ppid, payload) = open("new");
    channels.message(stream, ppid, payload);
    assert_eq!(actions(&mut channels), [Action::AssumeReset { stream: 0 }]);
    channels.outgoing_reset(0);
    let events = events(&mut channels);
    let [
        Event::ChannelClosed { channel: closed },
        Event::ChannelOpened {
            channel: new,
            options,
            by_peer: true,
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*closed, options.label.as_str()), (old, "new"));
    assert_eq!(channels.state(*new), ChannelState::Open);
    assert!(matches!(
        actions(&mut channels)[..],
        [Action::Send {
            ppid: ppid::DCEP,
            ..
        }]
    ));
    assert_eq!(channels.ignored(), 0);
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
        assert_eq!(actions(&mut channels), [Action::Reset { stream }], "{why}");
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
        actions(&mut channels);
        channels.message(0, ppid, payload);
        assert_eq!(actions(&mut channels), [Action::Reset { stream: 0 }]);
        assert_eq!(channels.state(id), ChannelState::Closing);
    }
}

#[test]
fn a_stream_that_we_have_not_is_left_alone() {
    let mut channels = up(Role::Server);
    channels.message(STREAMS, ppid::DCEP, Dcep::open(&labeled("")));
    channels.message(STREAMS, ppid::STRING, "a".into());
    assert_eq!(
        (actions(&mut channels), events(&mut channels)),
        (vec![], vec![])
    );
    assert!(channels.table.on(STREAMS).is_none());
}

#[test]
fn messages_of_unknown_protocols_are_dropped() {
    let mut channels = up(Role::Server);
    opened_by_peer(&mut channels, 0, &labeled(""));
    actions(&mut channels);
    channels.message(0, 99, "a".into());
    assert_eq!(
        (
            actions(&mut channels),
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
    assert_eq!(actions(&mut channels), []);
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
    assert_eq!(actions(&mut channels), []);
    assert!(channels.table.on(0).is_none());
}
