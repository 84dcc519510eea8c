//! Two associations and a path between them, as a driver and a user see them.

mod anything;
mod bed;
mod recovery;

use std::time::Duration;

use bytes::Bytes;
use crowfly_sim::{Link, Loss};

use self::bed::{Bed, ONE, TWO, binary, text};
use super::*;
use crate::channel::Reliability;

const SECOND: Duration = Duration::from_secs(1);

fn labeled(label: &str) -> ChannelOptions {
    ChannelOptions::labeled(label)
}

/// 20 ms there, 20 ms back.
fn good() -> Link {
    Link::new().delay(Duration::from_millis(20))
}

fn bad() -> Link {
    good()
        .loss(Loss::Random(0.1))
        .reorder(0.25, Duration::from_millis(15))
        .duplicate(0.02)
}

#[test]
fn every_option_reaches_the_peer_and_every_kind_of_message_comes_through() {
    let mut bed = Bed::new(good());
    bed.connect();
    let kinds = [
        Reliability::Reliable,
        Reliability::MaxRetransmits(7),
        Reliability::MaxLifetime(Duration::from_millis(900)),
    ];
    for (count, reliability) in kinds.into_iter().cycle().take(6).enumerate() {
        let side = [ONE, TWO][count % 2];
        let options = ChannelOptions {
            protocol: format!("protocol {count}"),
            ordered: count < 3,
            reliability,
            priority: 128 << count,
            ..labeled(&format!("häh {count}"))
        };
        let ours = bed.open(side, options.clone());
        let messages = [
            text("grüß"),
            text(""),
            binary(&[0, 255]),
            binary(&[]),
            Message::Binary(vec![7; 100_000].into()),
        ];
        for message in &messages {
            bed.send(side, ours, message.clone()).expect("open");
        }
        bed.run(SECOND);
        let (theirs, said) = bed.opened_by_peer(1 - side);
        assert_eq!(said, options);
        assert_eq!(theirs.stream(), ours.stream());
        assert_eq!(bed.side(1 - side).received_on(theirs), messages);
        bed.send(1 - side, theirs, text("back")).expect("open");
        bed.run(SECOND);
        assert_eq!(bed.side(side).received_on(ours), [text("back")]);
    }
    bed.no_complaints();
}

#[test]
fn what_was_opened_and_said_before_the_handshake_arrives_after_it() {
    let mut bed = Bed::new(good());
    let ours = bed.open(ONE, labeled("early"));
    bed.send(ONE, ours, text("bird")).expect("it waits");
    assert_eq!(bed.buffered(ONE, ours), 4);
    bed.connect();
    let (theirs, _) = bed.opened_by_peer(TWO);
    assert_eq!(bed.side(TWO).received_on(theirs), [text("bird")]);
    assert_eq!(bed.buffered(ONE, ours), 0);
}

#[test]
fn agreed_channels_need_no_word_on_the_wire() {
    let mut bed = Bed::new(good());
    let options = ChannelOptions {
        negotiated: Some(500),
        ordered: false,
        ..labeled("agreed")
    };
    let (ours, theirs) = (bed.open(ONE, options.clone()), bed.open(TWO, options));
    bed.send(ONE, ours, text("a")).expect("open");
    bed.send(TWO, theirs, text("b")).expect("open");
    bed.connect();
    bed.run(SECOND);
    assert_eq!(bed.side(TWO).received_on(theirs), [text("a")]);
    assert_eq!(bed.side(ONE).received_on(ours), [text("b")]);
    assert_eq!(
        (
            bed.side(ONE).opened_by_peer.len(),
            bed.side(TWO).opened_by_peer.len()
        ),
        (0, 0)
    );
    let sent = bed.stats(ONE).messages_sent;
    assert_eq!(sent, 1, "no OPEN");
}

#[test]
fn closing_delivers_what_was_sent_and_frees_the_number_for_the_next() {
    for (name, link) in [("good", good()), ("bad", bad())] {
        let mut bed = Bed::with(link, |config| config.streams = 4);
        bed.connect();
        for round in 0..40_u32 {
            let (side, by) = (
                [ONE, TWO][round as usize % 2],
                [ONE, TWO][round as usize / 2 % 2],
            );
            let ours = bed.open(side, labeled(&round.to_string()));
            assert!(
                ours.stream() < 4,
                "{name}: a number is used every fourth time"
            );
            let messages: Vec<Message> = (0..20)
                .map(|_| Message::Binary(vec![round as u8; 3000].into()))
                .collect();
            for message in &messages {
                bed.send(side, ours, message.clone()).expect("open");
            }
            if by == side {
                bed.close(side, ours); // at once: all of it is still queued
            }
            bed.run_until(|bed| bed.side(1 - side).messages.len() == 20);
            let (theirs, options) = bed.opened_by_peer(1 - side);
            assert_eq!(options.label, round.to_string());
            assert_eq!(bed.side(1 - side).received_on(theirs), messages);
            if by != side {
                bed.close(1 - side, theirs);
            }
            bed.run_until(|bed| bed.side(ONE).closed.len() == 1 && bed.side(TWO).closed.len() == 1);
            assert_eq!(bed.side(side).closed, [ours]);
            assert_eq!(bed.side(1 - side).closed, [theirs]);
            bed.forget();
        }
        bed.no_complaints();
        assert_eq!(bed.lossy(), name == "bad", "the path did what it was told");
    }
}

#[test]
fn both_may_close_at_once() {
    let mut bed = Bed::new(bad());
    bed.connect();
    for _ in 0..20 {
        let ours = bed.open(ONE, labeled("a"));
        bed.run_until(|bed| bed.side(TWO).opened_by_peer.len() == 1);
        let (theirs, _) = bed.opened_by_peer(TWO);
        bed.close(ONE, ours);
        bed.close(TWO, theirs);
        bed.run_until(|bed| bed.side(ONE).closed == [ours] && bed.side(TWO).closed == [theirs]);
        bed.forget();
    }
    bed.no_complaints();
}

#[test]
fn many_channels_close_in_few_requests() {
    let mut bed = Bed::new(bad());
    bed.connect();
    let channels: Vec<ChannelId> = (0..600).map(|_| bed.open(ONE, labeled(""))).collect();
    bed.run_until(|bed| bed.side(TWO).opened_by_peer.len() == 600);
    channels.iter().for_each(|&id| bed.close(ONE, id));
    bed.run_until(|bed| bed.side(ONE).closed.len() == 600 && bed.side(TWO).closed.len() == 600);
    bed.no_complaints();
}

#[test]
fn the_buffered_amount_is_what_the_network_has_not_seen() {
    let mut bed = Bed::new(good().rate(8_000_000)); // a byte a microsecond
    bed.connect();
    let ours = bed.open(ONE, labeled("file"));
    bed.update(ONE, |association, _| {
        association.set_buffered_amount_low_threshold(ours, 100_000)
    });
    for _ in 0..10 {
        bed.send(ONE, ours, Message::Binary(vec![0; 50_000].into()))
            .expect("room");
    }
    bed.send(ONE, ours, text("")).expect("room");
    let at_first = bed.buffered(ONE, ours);
    assert!(
        (400_000..500_000).contains(&at_first),
        "a window of it is on its way: {at_first}"
    );
    bed.run_until(|bed| !bed.side(ONE).low.is_empty());
    let at_last = bed.buffered(ONE, ours);
    assert!(
        (90_000..=100_000).contains(&at_last),
        "told as soon as it is so: {at_last}"
    );
    bed.run(SECOND);
    assert_eq!(bed.side(ONE).low, [ours], "told once");
    assert_eq!(bed.buffered(ONE, ours), 0);
    assert_eq!(bed.side(TWO).messages.len(), 11);
}

#[test]
fn the_send_buffer_is_bounded_and_opens_again() {
    let mut bed = Bed::with(good(), |config| config.max_send_buffer = 1 << 20);
    bed.connect();
    let ours = bed.open(ONE, labeled(""));
    let flood = |bed: &mut Bed, message: &Message| {
        let mut taken = 0;
        while taken < 100_000
            && bed
                .update(ONE, |association, now| {
                    association.send(now, ours, message.clone())
                })
                .is_ok()
        {
            taken += 1;
        }
        taken
    };
    let tiny = flood(&mut bed, &text("a"));
    assert!(
        (10_000..30_000).contains(&tiny),
        "tiny messages have their cost: {tiny}"
    );
    bed.run(5 * SECOND);
    let small = flood(&mut bed, &Message::Binary(vec![0; 10_000].into()));
    assert!((100..300).contains(&small), "{small}");
    bed.run(10 * SECOND);
    assert_eq!(bed.side(TWO).messages.len(), tiny + small);
    let size = 200_000;
    bed.send(ONE, ours, Message::Binary(vec![0; size].into()))
        .expect("there is room again");
}

#[test]
fn sizes_are_honoured_both_ways() {
    let mut bed = Bed::with(good(), |config| {
        (config.max_message_size, config.peer_max_message_size) = (1000, 2000);
    });
    bed.connect();
    let ours = bed.open(ONE, labeled(""));
    let of = |size: usize| Message::Binary(vec![0; size].into());
    assert_eq!(
        bed.send(ONE, ours, of(2001)),
        Err(SendError::TooLarge {
            limit: 2000,
            size: 2001
        })
    );
    bed.send(ONE, ours, of(1000)).expect("fits both");
    bed.run(SECOND);
    assert_eq!(bed.side(TWO).messages.len(), 1);
    bed.send(ONE, ours, of(1001))
        .expect("the peer's description was wrong");
    bed.run(SECOND);
    assert!(
        matches!(
            bed.side(TWO).over,
            Some(CloseReason::ProtocolViolation { .. })
        ),
        "{:?}",
        bed.side(TWO).over
    );
    assert!(
        matches!(bed.side(ONE).over, Some(CloseReason::AbortedByPeer { .. })),
        "{:?}",
        bed.side(ONE).over
    );
}

#[test]
fn messages_larger_than_the_receive_window_come_through() {
    let mut bed = Bed::with(good(), |config| {
        (config.max_message_size, config.peer_max_message_size) = (8 << 20, 0);
        config.receive_window = 1 << 20;
    });
    bed.connect();
    let ours = bed.open(ONE, labeled(""));
    let message = Message::Binary(
        (0..5_000_000_u32)
            .map(|at| (at % 251) as u8)
            .collect::<Vec<_>>()
            .into(),
    );
    bed.send(ONE, ours, message.clone())
        .expect("an empty buffer takes any message");
    bed.run(20 * SECOND);
    let (theirs, _) = bed.opened_by_peer(TWO);
    assert!(
        bed.side(TWO).received_on(theirs) == [message],
        "{:?}",
        bed.side(TWO).messages
    );
}

#[test]
fn many_large_messages_at_once_do_not_stop_each_other() {
    let mut bed = Bed::with(good(), |config| config.receive_window = 1 << 20);
    bed.connect();
    assert!(bed.stats(ONE).interleaving);
    let channels: Vec<ChannelId> = (0..20).map(|_| bed.open(ONE, labeled(""))).collect();
    for &channel in &channels {
        bed.send(ONE, channel, Message::Binary(vec![0; 200_000].into()))
            .expect("room");
    }
    let chat = bed.open(ONE, labeled("chat"));
    bed.send(ONE, chat, text("a small one passes them by"))
        .expect("room");
    bed.run_until(|bed| bed.side(TWO).messages.len() == 21);
    assert!(bed.side(TWO).messages[0].1.len() < 100, "first of all");
}

#[test]
fn fewer_streams_than_asked_for_close_what_lies_beyond() {
    let mut bed = Bed::with(good(), |config| {
        if config.role == Role::Server {
            config.streams = 10;
        }
    });
    let beyond = bed.open(
        ONE,
        ChannelOptions {
            negotiated: Some(10),
            ..labeled("beyond")
        },
    );
    let within = bed.open(
        ONE,
        ChannelOptions {
            negotiated: Some(9),
            ..labeled("within")
        },
    );
    bed.connect();
    assert_eq!(bed.side(ONE).closed, [beyond]);
    assert_eq!(bed.state(ONE, within), ChannelState::Open);
    let open = |bed: &mut Bed| bed.update(ONE, |association, _| association.open(labeled("")));
    for stream in [0, 2, 4, 6, 8] {
        assert_eq!(open(&mut bed).map(ChannelId::stream), Ok(stream));
    }
    assert_eq!(open(&mut bed), Err(OpenError::NoStream { limit: 10 }));
}

#[test]
fn data_on_a_stream_that_nobody_opened_closes_it() {
    let mut bed = Bed::new(good());
    bed.connect();
    let alone = bed.open(
        ONE,
        ChannelOptions {
            negotiated: Some(40),
            ..labeled("only here")
        },
    );
    bed.send(ONE, alone, text("hello?")).expect("open");
    bed.run(SECOND);
    assert_eq!(bed.side(ONE).closed, [alone]);
    assert_eq!(
        (bed.side(TWO).messages.len(), bed.side(TWO).closed.len()),
        (0, 0)
    );
    assert_eq!(bed.stats(TWO).messages_ignored, 1);
    bed.open(
        TWO,
        ChannelOptions {
            negotiated: Some(40),
            ..labeled("the number is free")
        },
    );
}

#[test]
fn shutdown_delivers_everything_then_closes_channels_then_itself() {
    let mut bed = Bed::new(bad());
    bed.connect();
    let ours = bed.open(ONE, labeled("a"));
    for _ in 0..50 {
        bed.send(ONE, ours, Message::Binary(vec![1; 10_000].into()))
            .expect("open");
    }
    bed.update(ONE, |association, _| association.shutdown());
    assert_eq!(bed.send(ONE, ours, text("late")), Err(SendError::NotOpen));
    bed.run_until(|bed| bed.side(ONE).over.is_some() && bed.side(TWO).over.is_some());
    assert_eq!(bed.side(TWO).messages.len(), 50);
    for side in [ONE, TWO] {
        assert_eq!(bed.side(side).over, Some(CloseReason::Shutdown));
        assert_eq!(bed.side(side).closed.len(), 1);
    }
    let late = bed.update(ONE, |association, _| association.open(labeled("late")));
    assert_eq!(late, Err(OpenError::Closed));
    assert_eq!(bed.send(ONE, ours, text("late")), Err(SendError::NotOpen));
}

#[test]
fn abort_tells_the_peer_why() {
    let mut bed = Bed::new(good());
    bed.connect();
    let ours = bed.open(ONE, labeled("a"));
    bed.run(SECOND);
    bed.update(ONE, |association, _| association.abort("enough"));
    bed.run(SECOND);
    assert_eq!(bed.side(ONE).over, Some(CloseReason::Aborted));
    assert_eq!(bed.side(ONE).closed, [ours]);
    let reason = "enough".to_owned();
    assert_eq!(
        bed.side(TWO).over,
        Some(CloseReason::AbortedByPeer {
            cause: Some(12),
            reason
        })
    );
    assert_eq!(bed.side(TWO).closed.len(), 1);
}

#[test]
fn a_peer_that_vanishes_is_noticed_and_every_channel_closed() {
    let mut bed = Bed::with(good().outage(5 * SECOND, 100_000 * SECOND), |_| {});
    bed.connect();
    let ours = bed.open(ONE, labeled("a"));
    bed.run(5 * SECOND);
    bed.send(ONE, ours, text("anybody?")).expect("open");
    bed.run(600 * SECOND);
    for side in [ONE, TWO] {
        assert_eq!(bed.side(side).over, Some(CloseReason::PeerUnreachable));
        assert_eq!(bed.side(side).closed.len(), 1);
    }
}

#[test]
fn snap_opens_channels_without_a_handshake() {
    let mut bed = Bed::new(good());
    let ours = bed.open(ONE, labeled("a"));
    bed.send(ONE, ours, text("first packet")).expect("it waits");
    let inits = [ONE, TWO].map(|side| bed.update(side, |association, _| association.local_init()));
    for side in [ONE, TWO] {
        let theirs = inits[1 - side].clone();
        bed.update(side, |association, now| {
            association.handle_input(now, Input::RemoteInit(&theirs))
        });
        assert!(bed.side(side).established, "nothing had to be sent");
    }
    bed.run(Duration::from_millis(21)); // one way
    let (theirs, _) = bed.opened_by_peer(TWO);
    assert_eq!(bed.side(TWO).received_on(theirs), [text("first packet")]);
}

#[test]
fn a_peer_that_has_no_extension_is_sent_everything_and_channels_just_end() {
    let mut bed = Bed::new(bad());
    let inits = [ONE, TWO].map(|side| bed.update(side, |association, _| association.local_init()));
    for side in [ONE, TWO] {
        // Only the fixed part of INIT, without a parameter.
        let mut theirs = inits[1 - side][..20].to_vec();
        theirs[2..4].copy_from_slice(&20_u16.to_be_bytes());
        bed.update(side, |association, now| {
            association.handle_input(now, Input::RemoteInit(&theirs));
        });
    }
    assert!(!bed.stats(ONE).interleaving && !bed.stats(ONE).zero_checksum);
    let reliability = Reliability::MaxRetransmits(0);
    let ours = bed.open(
        ONE,
        ChannelOptions {
            reliability,
            ..labeled("a")
        },
    );
    for _ in 0..200 {
        bed.send(ONE, ours, binary(&[0; 1000])).expect("open");
    }
    // Giving up a message needs FORWARD TSN, without which the peer would wait for ever.
    bed.run_until(|bed| bed.side(TWO).messages.len() == 200);
    bed.close(ONE, ours);
    bed.run(SECOND);
    assert_eq!(
        (bed.side(ONE).closed.len(), bed.side(TWO).closed.len()),
        (1, 0)
    );
    assert_eq!(
        bed.open(ONE, labeled("b")).stream(),
        2,
        "its number stays used"
    );
}

#[test]
fn a_peer_that_begins_anew_finds_no_old_channel() {
    let mut bed = Bed::new(good());
    bed.connect();
    let old = bed.open(ONE, labeled("old"));
    bed.run(SECOND);
    bed.replace(TWO);
    bed.connect();
    assert_eq!(bed.side(ONE).closed, [old]);
    let new = bed.open(ONE, labeled("new"));
    bed.send(ONE, new, text("hello again")).expect("open");
    bed.run(SECOND);
    let (theirs, options) = bed.opened_by_peer(TWO);
    assert_eq!(
        (options.label.as_str(), bed.side(TWO).received_on(theirs)),
        ("new", vec![text("hello again")])
    );
}

#[test]
fn one_seed_tells_one_story() {
    let story = || {
        let mut bed = Bed::new(bad());
        bed.connect();
        for count in 0..10 {
            let ours = bed.open(count % 2, labeled("a"));
            bed.send(
                count % 2,
                ours,
                Message::Binary(Bytes::from(vec![0; 20_000])),
            )
            .expect("open");
            bed.close(count % 2, ours);
        }
        bed.run(10 * SECOND);
        (bed.stats(ONE), bed.stats(TWO), bed.side(ONE).closed.clone())
    };
    assert_eq!(story(), story());
}

#[test]
fn an_association_can_be_given_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Association>();
}
