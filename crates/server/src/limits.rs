//! Who asks, and how often it may: sources, rates and quotas, without a clock of their own.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// Whom a limit counts: an IPv4 address or an IPv6 /64, which is what one subscriber is given (RFC 6177).
///
/// `Debug` tells the family only: addresses do not belong into logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(Address);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Address {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl From<IpAddr> for Source {
    /// An IPv4 address in IPv6 dress (RFC 4291 §2.5.5.2) is the IPv4 address.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(Address::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Address::V6([a, b, c, d]))
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Address::V4(_) => "Source(an IPv4 address)",
            Address::V6(_) => "Source(an IPv6 /64)",
        })
    }
}

/// So many at once, then one each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: u32,
    /// How long one more takes.
    pub each: Duration,
}

/// So many within a window, which begins with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// Within how long.
    pub window: Duration,
}

/// How far a [`Rate`] is used up, as the instant at which nothing will be used any more (GCRA, ITU-T I.371).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter(Instant);

/// What a [`Meter`] says about one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    Beyond,
    /// As many again as the burst were beyond it: this one does not listen.
    FarBeyond,
}

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Counts one, also when it is beyond the rate: who goes on stays beyond.
    pub(crate) fn count(&mut self, now: Instant, rate: Rate) -> Verdict {
        self.0 = self.0.max(now) + rate.each;
        let used = self.0 - now;
        let burst = rate.each * rate.burst;
        if used <= burst {
            Verdict::Within
        } else if used <= burst * 2 {
            Verdict::Beyond
        } else {
            Verdict::FarBeyond
        }
    }
}

/// Open connections by source, for the one who accepts them.
#[derive(Debug)]
pub struct Connections {
    by_source: HashMap<Source, u32>,
    most: u32,
}

impl Connections {
    /// Admits at most so many of one source at a time.
    pub fn new(most: u32) -> Self {
        Self {
            by_source: HashMap::new(),
            most,
        }
    }

    /// Counts one more connection, or says `false`: it must be refused. Each `true` needs its [`Connections::close`].
    pub fn open(&mut self, source: Source) -> bool {
        let open = self.by_source.entry(source).or_default();
        if *open >= self.most {
            return false;
        }
        *open += 1;
        true
    }

    /// Counts one less.
    pub fn close(&mut self, source: Source) {
        if let Some(open) = self.by_source.get_mut(&source) {
            *open -= 1;
            if *open == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

/// What the hub remembers of each source: its rooms, and the look-ups that found no seat.
#[derive(Debug)]
pub(crate) struct Sources {
    quota: Quota,
    rooms: HashMap<Source, u32>,
    look_ups: HashMap<Source, LookUps>,
}

#[derive(Debug, Clone)]
struct LookUps {
    refused: u32,
    made: u32,
    /// Until when they count.
    end: Instant,
}

/// How a look-up ended that found no seat to take: either way it told whether there is a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUp {
    /// The request was refused.
    Refused,
    /// Nobody had this chosen name, and a room was made of it.
    Made,
}

/// Sources whose look-ups are remembered at a time. Whoever commands more of them is not held back by a limit for each.
const MOST_LOOKING: usize = 100_000;

impl Sources {
    pub(crate) fn new(failed_look_ups: Quota) -> Self {
        Self {
            quota: failed_look_ups,
            rooms: HashMap::new(),
            look_ups: HashMap::new(),
        }
    }

    /// Entries kept: a source that has rooms and look-ups counts twice.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len() + self.look_ups.len()
    }

    /// Whether one more name may be looked up. A drawn name cannot be guessed: rooms made under chosen ones do not count against it,
    /// so that whoever makes them behind one address locks nobody there out of a link.
    pub(crate) fn may_look_up(&self, source: Source, now: Instant, chosen: bool) -> bool {
        self.look_ups.get(&source).is_none_or(|look_ups| {
            let made = if chosen { look_ups.made } else { 0 };
            look_ups.end <= now || look_ups.refused.saturating_add(made) < self.quota.count
        })
    }

    /// Counts a look-up. True if it is the only one remembered: then [`Sources::sweep`] has to come.
    pub(crate) fn looked_up(&mut self, source: Source, now: Instant, outcome: LookUp) -> bool {
        if self.look_ups.len() >= MOST_LOOKING && !self.look_ups.contains_key(&source) {
            self.forget_one();
        }
        let first = self.look_ups.is_empty();
        let none = LookUps {
            refused: 0,
            made: 0,
            end: now + self.quota.window,
        };
        let look_ups = self.look_ups.entry(source).or_insert_with(|| none.clone());
        if look_ups.end <= now {
            *look_ups = none;
        }
        match outcome {
            LookUp::Refused => look_ups.refused += 1,
            LookUp::Made => look_ups.made += 1,
        }
        first
    }

    pub(crate) fn rooms(&self, source: Source) -> u32 {
        self.rooms.get(&source).copied().unwrap_or_default()
    }

    pub(crate) fn room_opened(&mut self, source: Source) {
        *self.rooms.entry(source).or_default() += 1;
    }

    pub(crate) fn room_closed(&mut self, source: Source) {
        if let Some(rooms) = self.rooms.get_mut(&source) {
            *rooms -= 1;
            if *rooms == 0 {
                self.rooms.remove(&source);
            }
        }
    }

    /// Forgets look-ups that no longer count. True while there are some to come back for.
    pub(crate) fn sweep(&mut self, now: Instant) -> bool {
        self.look_ups.retain(|_, look_ups| look_ups.end > now);
        !self.look_ups.is_empty()
    }

    /// Makes way for another. Which one goes, nobody outside can choose.
    fn forget_one(&mut self) {
        if let Some(&source) = self.look_ups.keys().next() {
            self.look_ups.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_source_is_an_address_or_what_a_subscriber_is_given() {
        assert_eq!(
            source("2001:db8:1:2::1"),
            source("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_ne!(source("::ffff:192.0.2.1"), source("::ffff:192.0.2.2"));
    }

    #[test]
    fn an_address_is_not_shown() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let shown = format!("{:?}", source(address));
            assert!(!shown.contains("192") && !shown.contains("db8"), "{shown}");
        }
    }

    #[test]
    fn a_meter_lets_a_burst_through_then_the_rate() {
        let rate = Rate {
            burst: 3,
            each: Duration::from_secs(1),
        };
        let start = Instant::now();
        let mut meter = Meter::new(start);
        let mut count = |seconds| meter.count(start + Duration::from_secs(seconds), rate);
        assert_eq!([(); 3].map(|()| count(0)), [Verdict::Within; 3]);
        assert_eq!(count(0), Verdict::Beyond);
        assert_eq!(
            count(2),
            Verdict::Within,
            "two seconds later: one was repaid, one is free"
        );
        assert_eq!([(); 3].map(|()| count(2)), [Verdict::Beyond; 3]);
        assert_eq!(count(2), Verdict::FarBeyond);
        assert_eq!(
            count(1_000),
            Verdict::Within,
            "time heals, but saves up no more than the burst"
        );
        assert_eq!(
            [(); 3].map(|()| count(1_000)),
            [Verdict::Within, Verdict::Within, Verdict::Beyond]
        );
    }

    #[test]
    fn connections_of_a_source_are_counted_and_forgotten() {
        let mut connections = Connections::new(2);
        let [one, two] = [source("192.0.2.1"), source("192.0.2.2")];
        assert!(connections.open(one) && connections.open(one));
        assert!(!connections.open(one));
        assert!(connections.open(two), "another source");
        connections.close(one);
        assert!(connections.open(one));
        for closed in [one, one, two, two] {
            connections.close(closed);
        }
        assert!(connections.by_source.is_empty());
    }

    #[test]
    fn look_ups_count_within_their_window() {
        let quota = Quota {
            count: 2,
            window: Duration::from_secs(60),
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sources = Sources::new(quota);
        let source = source("192.0.2.1");
        assert!(
            sources.looked_up(source, at(0), LookUp::Refused),
            "a sweep has to come"
        );
        assert!(sources.may_look_up(source, at(1), true));
        assert!(
            !sources.looked_up(source, at(59), LookUp::Refused),
            "one sweep is enough"
        );
        assert!(!sources.may_look_up(source, at(59), true));
        assert!(
            sources.may_look_up(source, at(60), true),
            "the window began with the first"
        );
        assert!(sources.sweep(at(59)), "they still count");
        assert!(!sources.looked_up(source, at(61), LookUp::Refused));
        assert!(sources.may_look_up(source, at(62), true), "a new window");
        sources.looked_up(source, at(62), LookUp::Refused);
        assert!(
            !sources.may_look_up(source, at(120), true),
            "as long as the first"
        );
        assert!(!sources.sweep(at(121)));
        assert_eq!(sources.len(), 0);
        assert!(
            sources.looked_up(source, at(122), LookUp::Refused),
            "a sweep has to come again"
        );
    }

    #[test]
    fn rooms_made_of_chosen_names_count_for_chosen_names_only() {
        let quota = Quota {
            count: 3,
            window: Duration::from_secs(60),
        };
        let now = Instant::now();
        let mut sources = Sources::new(quota);
        let source = source("192.0.2.1");
        for outcome in [LookUp::Made, LookUp::Refused, LookUp::Made] {
            assert!(sources.may_look_up(source, now, true));
            sources.looked_up(source, now, outcome);
        }
        assert!(!sources.may_look_up(source, now, true), "three in all");
        assert!(sources.may_look_up(source, now, false), "one refusal");
        sources.looked_up(source, now, LookUp::Refused);
        sources.looked_up(source, now, LookUp::Refused);
        assert!(!sources.may_look_up(source, now, false), "three refusals");
    }

    #[test]
    fn rooms_of_a_source_are_counted_and_forgotten() {
        let mut sources = Sources::new(Quota {
            count: 2,
            window: Duration::from_secs(60),
        });
        let [one, two] = [source("192.0.2.1"), source("192.0.2.2")];
        for maker in [one, one, two] {
            sources.room_opened(maker);
        }
        assert_eq!([sources.rooms(one), sources.rooms(two)], [2, 1]);
        for maker in [one, two, one] {
            sources.room_closed(maker);
        }
        assert_eq!([sources.rooms(one), sources.len() as u32], [0, 0]);
    }

    #[test]
    fn the_table_of_look_ups_is_bounded() {
        let mut sources = Sources::new(Quota {
            count: 2,
            window: Duration::from_secs(60),
        });
        let now = Instant::now();
        for address in 0..u32::try_from(MOST_LOOKING).unwrap() + 1_000 {
            sources.looked_up(
                IpAddr::from(Ipv4Addr::from(address)).into(),
                now,
                LookUp::Refused,
            );
        }
        assert_eq!(sources.len(), MOST_LOOKING);
    }
}
