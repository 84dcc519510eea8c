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

/// What the hub remembers of each source: its rooms, and the look-ups that failed.
#[derive(Debug)]
pub(crate) struct Sources {
    quota: Quota,
    rooms: HashMap<Source, u32>,
    failures: HashMap<Source, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    /// Until when they count.
    end: Instant,
}

/// Sources whose failures are remembered at a time. Whoever commands more of them is not held back by a limit for each.
const MOST_FAILING: usize = 100_000;

impl Sources {
    pub(crate) fn new(failed_look_ups: Quota) -> Self {
        Self {
            quota: failed_look_ups,
            rooms: HashMap::new(),
            failures: HashMap::new(),
        }
    }

    /// Entries kept: a source that has rooms and failures counts twice.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len() + self.failures.len()
    }

    pub(crate) fn may_look_up(&self, source: Source, now: Instant) -> bool {
        self.failures
            .get(&source)
            .is_none_or(|failures| failures.end <= now || failures.count < self.quota.count)
    }

    /// Counts a failure. True if it is the only one remembered: then [`Sources::sweep`] has to come.
    pub(crate) fn look_up_failed(&mut self, source: Source, now: Instant) -> bool {
        if self.failures.len() >= MOST_FAILING && !self.failures.contains_key(&source) {
            self.forget_one();
        }
        let first = self.failures.is_empty();
        let end = now + self.quota.window;
        let failures = self
            .failures
            .entry(source)
            .or_insert(Failures { count: 0, end });
        if failures.end <= now {
            *failures = Failures { count: 0, end };
        }
        failures.count += 1;
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

    /// Forgets failures that no longer count. True while there are some to come back for.
    pub(crate) fn sweep(&mut self, now: Instant) -> bool {
        self.failures.retain(|_, failures| failures.end > now);
        !self.failures.is_empty()
    }

    /// Makes way for another. Which one goes, nobody outside can choose.
    fn forget_one(&mut self) {
        if let Some(&source) = self.failures.keys().next() {
            self.failures.remove(&source);
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
    fn failures_count_within_their_window() {
        let quota = Quota {
            count: 2,
            window: Duration::from_secs(60),
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sources = Sources::new(quota);
        let source = source("192.0.2.1");
        assert!(sources.look_up_failed(source, at(0)), "a sweep has to come");
        assert!(sources.may_look_up(source, at(1)));
        assert!(
            !sources.look_up_failed(source, at(59)),
            "one sweep is enough"
        );
        assert!(!sources.may_look_up(source, at(59)));
        assert!(
            sources.may_look_up(source, at(60)),
            "the window began with the first"
        );
        assert!(sources.sweep(at(59)), "they still count");
        assert!(!sources.look_up_failed(source, at(61)));
        assert!(sources.may_look_up(source, at(62)), "a new window");
        sources.look_up_failed(source, at(62));
        assert!(
            !sources.may_look_up(source, at(120)),
            "as long as the first"
        );
        assert!(!sources.sweep(at(121)));
        assert_eq!(sources.len(), 0);
        assert!(
            sources.look_up_failed(source, at(122)),
            "a sweep has to come again"
        );
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
    fn the_table_of_failures_is_bounded() {
        let mut sources = Sources::new(Quota {
            count: 2,
            window: Duration::from_secs(60),
        });
        let now = Instant::now();
        for address in 0..u32::try_from(MOST_FAILING).unwrap() + 1_000 {
            sources.look_up_failed(IpAddr::from(Ipv4Addr::from(address)).into(), now);
        }
        assert_eq!(sources.len(), MOST_FAILING);
    }
}
