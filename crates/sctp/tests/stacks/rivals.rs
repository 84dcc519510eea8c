//! Ours beside each rival, for tests that must hold with all of them.

use crowfly_sctp::Role;
use crowfly_sim::Link;

use super::bed::Bed;
use super::dcsctp::Dcsctp;
use super::ours::Ours;
use super::rtc::Rtc;
use super::{Setup, Stack};

pub(crate) type Rival = fn(Setup) -> Box<dyn Stack>;

pub(crate) fn dcsctp(setup: Setup) -> Box<dyn Stack> {
    Box::new(Dcsctp::new(setup))
}

pub(crate) fn rtc(setup: Setup) -> Box<dyn Stack> {
    Box::new(Rtc::new(setup))
}

/// Every rival in both roles; a name for those who read of a failure, the rival, and our role.
pub(crate) const PAIRINGS: [(&str, Rival, Role); 4] = [
    ("dcsctp, ours is client", dcsctp, Role::Client),
    ("dcsctp, ours is server", dcsctp, Role::Server),
    ("rtc-sctp, ours is client", rtc, Role::Client),
    ("rtc-sctp, ours is server", rtc, Role::Server),
];

/// Ours on side 0, the rival on side 1.
pub(crate) fn bed(
    rival: Rival,
    ours: Role,
    link: &Link,
    seeds: [u64; 2],
    change: impl Fn(Setup) -> Setup,
) -> Bed {
    let theirs = match ours {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let setup = |role, seed| {
        change(Setup {
            seed,
            ..Setup::new(role)
        })
    };
    let stacks: [Box<dyn Stack>; 2] = [
        Box::new(Ours::new(setup(ours, seeds[0]))),
        rival(setup(theirs, seeds[1])),
    ];
    Bed::new(stacks, [link.clone(), link.clone()], seeds[0])
}
