//! One direction of a path: a queue, a rate, a delay, and what goes wrong on the way.
//!
//! A packet waits in a drop-tail queue for its turn, takes `size / rate` to be sent, is lost or not, and arrives `delay` later. What
//! the wire loses has used its time on the link, as on a radio. The conditions that apply to a packet are those of the moment it
//! reaches the link; only its sending follows a rate that changes meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use crate::loss::{Loss, LossState};

/// Nanoseconds of virtual time since the network began.
pub(crate) type Nanos = u64;

/// What one direction of a path is like. Without any call: instant, endless, perfect.
#[derive(Clone, Debug, Default)]
pub struct Link {
    rate: Option<u64>,
    delay: Duration,
    queue_packets: Option<usize>,
    queue_bytes: Option<usize>,
    queue_time: Option<Duration>,
    mtu: Option<usize>,
    loss: Loss,
    reorder: f64,
    hold: Duration,
    duplicate: f64,
    corrupt: f64,
    later: Vec<(Duration, Link)>,
}

impl Link {
    /// A perfect link.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bits a second.
    #[must_use]
    pub fn rate(mut self, bits: u64) -> Self {
        self.rate = Some(bits);
        self
    }

    /// One way, without queueing and sending.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Packets the queue holds, the one being sent among them.
    #[must_use]
    pub fn queue_packets(mut self, packets: usize) -> Self {
        self.queue_packets = Some(packets);
        self
    }

    /// Bytes the queue holds, those being sent among them.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = Some(bytes);
        self
    }

    /// The longest a packet may wait for its turn.
    #[must_use]
    pub fn queue_time(mut self, time: Duration) -> Self {
        self.queue_time = Some(time);
        self
    }

    /// Longer packets vanish, as where fragments are dropped.
    #[must_use]
    pub fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = Some(bytes);
        self
    }

    /// What gets lost on the wire.
    #[must_use]
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// The share of packets that are held back by up to `hold`, evenly spread, while others overtake them.
    #[must_use]
    pub fn reorder(mut self, share: f64, hold: Duration) -> Self {
        self.reorder = share;
        self.hold = hold;
        self
    }

    /// The share of packets that arrive twice, the second up to a millisecond later.
    #[must_use]
    pub fn duplicate(mut self, share: f64) -> Self {
        self.duplicate = share;
        self
    }

    /// The share of packets of which one to three bits are flipped.
    #[must_use]
    pub fn corrupt(mut self, share: f64) -> Self {
        self.corrupt = share;
        self
    }

    /// From this time on the link is as `change` makes it out of what it was before. Calls go in the order of time.
    #[must_use]
    pub fn at(mut self, when: Duration, change: impl FnOnce(Link) -> Link) -> Self {
        let before = self.later.last().map_or(&self, |(_, link)| link);
        let before = Link {
            later: Vec::new(),
            ..before.clone()
        };
        self.later.push((when, change(before)));
        self
    }

    /// Nothing arrives from `from` until `until`.
    #[must_use]
    pub fn outage(self, from: Duration, until: Duration) -> Self {
        let loss = self.later.last().map_or(self.loss, |(_, link)| link.loss);
        self.at(from, |link| link.loss(Loss::All))
            .at(until, |link| link.loss(loss))
    }
}

/// What a link did to the traffic so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Packets that reached the link.
    pub offered: u64,
    /// Bytes of those.
    pub offered_bytes: u64,
    /// Packets that will arrive or have arrived, copies not counted.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Packets for which the queue had no room.
    pub overflowed: u64,
    /// Packets lost on the wire.
    pub lost: u64,
    /// Packets longer than the link's MTU.
    pub too_long: u64,
    /// Packets held back.
    pub held: u64,
    /// Packets delivered twice.
    pub duplicated: u64,
    /// Packets delivered with flipped bits.
    pub corrupted: u64,
    /// The time packets waited in the queue, in sum.
    pub queue_delay: Duration,
    /// The longest time a packet waited in the queue.
    pub longest_queue_delay: Duration,
}

impl LinkStats {
    /// Packets that did not arrive, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.overflowed + self.lost + self.too_long
    }

    /// The mean time a packet waited in the queue.
    #[must_use]
    pub fn mean_queue_delay(&self) -> Duration {
        let sent = self.offered - self.overflowed - self.too_long;
        self.queue_delay / u32::try_from(sent).unwrap_or(u32::MAX).max(1)
    }
}

/// When a packet arrives, and its copy, if it does; and whether it is damaged.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    pub(crate) arrivals: [Option<Nanos>; 2],
    pub(crate) corrupt: bool,
}

/// A link at work.
#[derive(Debug)]
pub(crate) struct LinkState {
    link: Link,
    /// Rates from their time on, the first from 0.
    rates: Vec<(Nanos, Option<u64>)>,
    later: VecDeque<(Duration, Link)>,
    /// When the last bit of everything accepted so far has been sent.
    free_at: Nanos,
    /// The packets not yet sent: when the last bit of each will be, and its size.
    queue: VecDeque<(Nanos, usize)>,
    queued_bytes: usize,
    loss: LossState,
    random: Rng,
    pub(crate) stats: LinkStats,
}

impl LinkState {
    pub(crate) fn new(mut link: Link, seed: u64) -> Self {
        let later = VecDeque::from(std::mem::take(&mut link.later));
        let changes = later.iter().map(|(when, link)| (nanos(*when), link.rate));
        Self {
            rates: std::iter::once((0, link.rate)).chain(changes).collect(),
            link,
            later,
            free_at: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            loss: LossState::default(),
            random: Rng::with_seed(seed),
            stats: LinkStats::default(),
        }
    }

    /// Takes a packet and tells what becomes of it.
    pub(crate) fn carry(&mut self, now: Nanos, size: usize) -> Fate {
        self.change(now);
        self.stats.offered += 1;
        self.stats.offered_bytes += size as u64;
        if self.link.mtu.is_some_and(|mtu| size > mtu) {
            self.stats.too_long += 1;
            return Fate::default();
        }
        if !self.has_room(now, size) {
            self.stats.overflowed += 1;
            return Fate::default();
        }
        let sent = self.enqueue(now, size);
        if self.loss.lost(self.link.loss, &mut self.random) {
            self.stats.lost += 1;
            return Fate::default();
        }
        self.arrive(sent, size)
    }

    /// Brings the conditions up to date.
    fn change(&mut self, now: Nanos) {
        while let Some((_, link)) = self.later.pop_front_if(|(when, _)| nanos(*when) <= now) {
            self.link = link;
        }
    }

    fn has_room(&mut self, now: Nanos, size: usize) -> bool {
        while let Some((_, size)) = self.queue.pop_front_if(|(sent, _)| *sent <= now) {
            self.queued_bytes -= size;
        }
        let wait = Duration::from_nanos(self.free_at.saturating_sub(now));
        let fits = |limit: Option<usize>, used: usize| limit.is_none_or(|limit| used <= limit);
        fits(self.link.queue_packets, self.queue.len() + 1)
            && fits(self.link.queue_bytes, self.queued_bytes + size)
            && self.link.queue_time.is_none_or(|limit| wait <= limit)
    }

    /// Puts the packet into the queue and tells when its last bit will have been sent.
    fn enqueue(&mut self, now: Nanos, size: usize) -> Nanos {
        let start = self.free_at.max(now);
        let wait = Duration::from_nanos(start - now);
        self.stats.queue_delay += wait;
        self.stats.longest_queue_delay = self.stats.longest_queue_delay.max(wait);
        let sent = self.sent_by(start, size as u64 * 8);
        self.free_at = sent;
        if sent > now {
            self.queue.push_back((sent, size));
            self.queued_bytes += size;
        }
        sent
    }

    /// When `bits` are sent of which the first leaves at `start`, across changes of the rate.
    fn sent_by(&self, start: Nanos, bits: u64) -> Nanos {
        // Bits times 10⁹, so that nothing is rounded away where a rate changes.
        let (mut at, mut left) = (start, u128::from(bits) * 1_000_000_000);
        let first = self.rates.partition_point(|(from, _)| *from <= start) - 1;
        for (index, (_, rate)) in self.rates.iter().enumerate().skip(first) {
            let Some(rate) = *rate else { return at };
            let until = self.rates.get(index + 1).map(|(from, _)| *from);
            let takes = left.div_ceil(u128::from(rate));
            match until {
                Some(until) if u128::from(until - at) < takes => {
                    left -= u128::from(until - at) * u128::from(rate);
                    at = until;
                }
                _ => return at + u64::try_from(takes).expect("a packet is sent within centuries"),
            }
        }
        at
    }

    /// The arrivals of a packet that is not lost.
    fn arrive(&mut self, sent: Nanos, size: usize) -> Fate {
        self.stats.delivered += 1;
        self.stats.delivered_bytes += size as u64;
        let mut arrival = sent + nanos(self.link.delay);
        if self.happens(self.link.reorder) {
            self.stats.held += 1;
            arrival += self.random.u64(..=nanos(self.link.hold));
        }
        let copy = self.happens(self.link.duplicate).then(|| {
            self.stats.duplicated += 1;
            arrival + self.random.u64(..1_000_000)
        });
        let corrupt = self.happens(self.link.corrupt);
        self.stats.corrupted += u64::from(corrupt);
        Fate {
            arrivals: [Some(arrival), copy],
            corrupt,
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        // No draw for what never happens: it would cost time for every packet.
        probability > 0.0 && self.random.f64() < probability
    }

    /// Flips one to three bits.
    pub(crate) fn damage(&mut self, datagram: &mut [u8]) {
        if datagram.is_empty() {
            return;
        }
        for _ in 0..self.random.u8(1..=3) {
            let at = self.random.usize(..datagram.len());
            datagram[at] ^= 1 << self.random.u8(..8);
        }
    }
}

/// The nanoseconds of a duration.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The first arrivals of packets of 1,000 bytes sent at these times.
    fn arrivals(
        link: Link,
        times: impl IntoIterator<Item = Nanos>,
    ) -> (Vec<Option<Nanos>>, LinkStats) {
        let mut state = LinkState::new(link, 3);
        let arrivals = times
            .into_iter()
            .map(|now| state.carry(now, 1000).arrivals[0])
            .collect();
        (arrivals, state.stats)
    }

    #[test]
    fn delay_and_rate_are_exact() {
        // 1,000 bytes at 8 Mbit/s: 1 ms each.
        let link = Link::new().rate(8_000_000).delay(ms(20));
        let (times, stats) = arrivals(link, [0, 0, 0, 10 * MS]);
        assert_eq!(times, [21, 22, 23, 31].map(|at| Some(at * MS)));
        assert_eq!(stats.queue_delay, ms(3));
        assert_eq!(stats.longest_queue_delay, ms(2));
    }

    #[test]
    fn each_limit_of_the_queue_drops_the_tail() {
        let link = || Link::new().rate(8_000_000);
        for (link, fit) in [
            (link().queue_packets(4), 4),
            (link().queue_bytes(3999), 3),
            (link().queue_time(ms(6)), 7),
        ] {
            let (times, stats) = arrivals(link, [0; 20]);
            assert_eq!(times.iter().flatten().count(), fit);
            assert_eq!(stats.overflowed, 20 - fit as u64);
        }
    }

    #[test]
    fn a_drained_queue_has_room_again() {
        let link = Link::new().rate(8_000_000).queue_packets(1);
        let (times, _) = arrivals(link, [0, MS / 2, MS, MS + 1]);
        assert_eq!(times, [Some(MS), None, Some(2 * MS), None]);
    }

    #[test]
    fn a_packet_on_its_way_follows_a_change_of_the_rate() {
        // Half the packet in 0.5 ms at 8 Mbit/s, the other half in 1 ms at 4 Mbit/s.
        let link = Link::new()
            .rate(8_000_000)
            .at(Duration::from_micros(500), |link| link.rate(4_000_000))
            .at(ms(100), |link| link.rate(1_000_000_000));
        let (times, _) = arrivals(link, [0, 0, 200 * MS]);
        let expected = [MS * 3 / 2, MS * 7 / 2, 200 * MS + 8000];
        assert_eq!(times, expected.map(Some));
    }

    #[test]
    fn an_outage_takes_everything_and_ends() {
        let link = Link::new().outage(ms(10), ms(20));
        let (times, stats) = arrivals(link, [9 * MS, 10 * MS, 19 * MS, 20 * MS]);
        assert_eq!(times, [Some(9 * MS), None, None, Some(20 * MS)]);
        assert_eq!((stats.lost, stats.dropped()), (2, 2));
    }

    #[test]
    fn the_mtu_lets_nothing_longer_pass() {
        let (times, stats) = arrivals(Link::new().mtu(999), [0]);
        assert_eq!((times, stats.too_long), (vec![None], 1));
        assert_eq!(arrivals(Link::new().mtu(1000), [0]).0, [Some(0)]);
    }

    #[test]
    fn held_packets_are_overtaken() {
        let link = Link::new().delay(ms(10)).reorder(0.25, ms(5));
        let (times, stats) = arrivals(link, (0..10_000).map(|n| n * MS / 10));
        assert!((2350..2650).contains(&stats.held), "{}", stats.held);
        let overtaken = times.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(overtaken > 1500, "{overtaken}");
        let late = |(n, at): (u64, &Option<Nanos>)| at.is_some_and(|at| at - n * MS / 10 > 15 * MS);
        assert_eq!((0..).zip(&times).filter(|pair| late(*pair)).count(), 0);
    }

    #[test]
    fn copies_and_damage_have_their_share() {
        let mut state = LinkState::new(Link::new().duplicate(0.02).corrupt(0.01), 5);
        let fates: Vec<Fate> = (0..100_000).map(|now| state.carry(now, 100)).collect();
        let copies = fates
            .iter()
            .filter(|fate| fate.arrivals[1].is_some())
            .count();
        let damaged = fates.iter().filter(|fate| fate.corrupt).count();
        assert!((1800..2200).contains(&copies), "{copies}");
        assert!((880..1120).contains(&damaged), "{damaged}");
        assert_eq!(state.stats.duplicated, copies as u64);
        assert_eq!(state.stats.corrupted, damaged as u64);

        let mut datagram = [0; 100];
        state.damage(&mut datagram);
        assert_ne!(datagram, [0; 100]);
    }
}
