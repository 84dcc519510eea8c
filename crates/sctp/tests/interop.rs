//! Ours with `dcsctp` and with `rtc-sctp`, both roles, over paths that lose, reorder, repeat and spoil packets.

#![allow(
    clippy::print_stdout,
    reason = "which path a failed test was on; shown with the failure"
)]

mod stacks;

use std::time::Duration;

use crowfly_sctp::{ChannelOptions, Message, Reliability, Role};
use crowfly_sim::{Link, Loss, seed};

use stacks::bed::{Bed, check, numbered};
use stacks::rivals::{self, Rival, dcsctp, rtc};

/// With nothing new for so long, a transfer has stalled: it is more than the rivals' backed-off timeouts come to at these losses.
const PATIENCE: Duration = Duration::from_secs(60);

fn bed(rival: Rival, ours: Role, link: &Link) -> Bed {
    let seed = seed(5);
    rivals::bed(rival, ours, link, [seed, seed + 1], |setup| setup)
}

fn path() -> Link {
    Link::new()
        .rate(50_000_000)
        .delay(Duration::from_millis(10))
        .queue_packets(500)
}

fn paths() -> Vec<(&'static str, Link)> {
    let reorder = |link: Link| link.reorder(0.25, Duration::from_millis(8));
    vec![
        ("0 %", path()),
        ("1 %", path().loss(Loss::Random(0.01))),
        ("5 %", path().loss(Loss::Random(0.05))),
        ("10 %", path().loss(Loss::Random(0.10))),
        ("25 % reordered", reorder(path())),
        ("2 % twice", path().duplicate(0.02)),
        ("1 % damaged", path().corrupt(0.01)),
        (
            "all of it",
            reorder(path())
                .loss(Loss::Random(0.05))
                .duplicate(0.02)
                .corrupt(0.01),
        ),
    ]
}

/// Every kind of channel.
fn kinds() -> Vec<ChannelOptions> {
    let reliabilities = [
        Reliability::Reliable,
        Reliability::MaxRetransmits(0),
        Reliability::MaxRetransmits(3),
        Reliability::MaxLifetime(Duration::from_millis(300)),
    ];
    let kind = |(ordered, reliability)| ChannelOptions {
        ordered,
        reliability,
        protocol: format!("p{ordered}"),
        ..ChannelOptions::labeled(format!("{reliability:?} ü"))
    };
    let both = [true, false].into_iter();
    let mut kinds: Vec<_> = both
        .flat_map(|ordered| reliabilities.map(|each| kind((ordered, each))))
        .collect();
    kinds.push(ChannelOptions {
        negotiated: Some(1000),
        ..ChannelOptions::labeled("agreed")
    });
    kinds
}

/// Empty, tiny, a packet or two, many packets.
fn messages() -> Vec<Message> {
    let sizes = [
        0, 0, 1, 2, 100, 1159, 1160, 1161, 3000, 16_384, 300, 300, 0, 7,
    ];
    let sizes = sizes.into_iter().enumerate();
    sizes.map(|(number, size)| numbered(number, size)).collect()
}

/// Opens every kind of channel from both sides, sends everything both ways on each, and checks what each kind promises.
fn talk(rival: Rival, ours: Role) {
    for (name, link) in paths() {
        println!("path: {name}");
        let mut bed = bed(rival, ours, &link);
        let mut channels = Vec::new();
        for options in kinds() {
            if options.negotiated.is_some() {
                let channel = [0, 1].map(|side| bed.open(side, &options))[0];
                channels.push((channel, options));
                continue;
            }
            for side in 0..2 {
                channels.push((bed.open(side, &options), options.clone()));
            }
        }
        let ids: Vec<_> = channels.iter().map(|(channel, _)| *channel).collect();
        bed.until(PATIENCE, "the channels are open", |bed| {
            (0..2).all(|side| bed.side(side).opened.len() == (ids.len() - 1) / 2)
        });
        for side in 0..2 {
            let opened = &bed.side(side).opened;
            for (channel, options) in &channels {
                let told = opened
                    .iter()
                    .find(|(id, _)| id == channel)
                    .map(|(_, options)| options);
                assert!(
                    told.is_none_or(|told| told == options),
                    "{told:?} is not {options:?}"
                );
            }
            for id in &ids {
                bed.send(side, *id, messages());
            }
        }
        let reliable: Vec<_> = channels
            .iter()
            .filter(|(_, options)| options.reliability == Reliability::Reliable)
            .collect();
        let total = messages().len();
        bed.until(PATIENCE, "everything reliable has arrived", |bed| {
            (0..2).all(|side| {
                reliable
                    .iter()
                    .all(|(id, _)| bed.side(side).count(*id) == total)
            })
        });
        // What may still come of the others, comes.
        bed.network.run_for(Duration::from_secs(30));
        for side in 0..2 {
            let mut arrived = 0;
            for (id, options) in &channels {
                let none = Vec::new();
                let received = bed.side(side).received.get(id).unwrap_or(&none);
                check(options, &messages(), received);
                arrived += received.len();
            }
            assert!(arrived >= reliable.len() * total);
            assert_eq!(bed.side(side).ended, None);
        }
        went_wrong(name, &bed);
    }
}

/// The path did what its name says.
fn went_wrong(name: &str, bed: &Bed) {
    let stats = bed.link(0);
    let all = name == "all of it";
    assert_eq!(
        stats.lost > 0,
        all || ["1 %", "5 %", "10 %"].contains(&name),
        "{name} {stats:?}"
    );
    assert_eq!(
        stats.held > 0,
        all || name == "25 % reordered",
        "{name} {stats:?}"
    );
    assert_eq!(
        stats.duplicated > 0,
        all || name == "2 % twice",
        "{name} {stats:?}"
    );
    assert_eq!(
        stats.corrupted > 0,
        all || name == "1 % damaged",
        "{name} {stats:?}"
    );
}

#[test]
fn every_channel_with_dcsctp_as_client() {
    talk(dcsctp, Role::Client);
}

#[test]
fn every_channel_with_dcsctp_as_server() {
    talk(dcsctp, Role::Server);
}

#[test]
fn every_channel_with_rtc_as_client() {
    talk(rtc, Role::Client);
}

#[test]
fn every_channel_with_rtc_as_server() {
    talk(rtc, Role::Server);
}

/// A FORWARD TSN never ends inside an unordered message of which more is to come: receivers drop every unordered fragment before it.
#[test]
fn large_unordered_messages_survive_what_is_given_up_around_them() {
    for rival in [dcsctp, rtc] {
        for ours in [Role::Client, Role::Server] {
            let mut bed = bed(rival, ours, &path().loss(Loss::Random(0.10)));
            let unordered = ChannelOptions {
                ordered: false,
                ..ChannelOptions::labeled("whole")
            };
            let fleeting = ChannelOptions {
                reliability: Reliability::MaxRetransmits(0),
                ..unordered.clone()
            };
            let [whole, given_up] = [&unordered, &fleeting].map(|options| bed.open(0, options));
            let large: Vec<_> = (0..20).map(|number| numbered(number, 250_000)).collect();
            for message in &large {
                bed.send(0, whole, [message.clone()]);
                bed.send(0, given_up, (0..5).map(|number| numbered(number, 3000)));
            }
            bed.until(PATIENCE, "the large ones have arrived", |bed| {
                bed.side(1).count(whole) == 20
            });
            check(&unordered, &large, &bed.side(1).received[&whole]);
            assert!(bed.side(1).count(given_up) < 90, "nothing was given up");
        }
    }
}
