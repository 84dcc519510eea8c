//! Machines under one virtual clock, which moves from event to event.

use std::time::{Duration, Instant};

use crate::link::{Link, LinkState, LinkStats, Nanos, nanos};
use crate::wire::{Path, What, Wire};

/// A state machine that knows no socket: takes datagrams and timeouts, and is polled for what it wants.
pub trait Machine {
    /// A datagram has arrived. Datagrams of one instant are all handled before the next `poll`.
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]);

    /// The instant that `poll` returned has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Hands over every datagram that may leave now, and returns when the machine wants to be woken.
    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant>;
}

impl<M: Machine + ?Sized> Machine for Box<M> {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        (**self).handle_datagram(now, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        (**self).poll(now, transmit)
    }
}

/// Names a machine of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) usize);

/// Names a link of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub(crate) usize);

/// The seed of a test: the variable `CROWFLY_SEED` if it is set, else `default`.
#[must_use]
pub fn seed(default: u64) -> u64 {
    let given = std::env::var("CROWFLY_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How often in a row a machine may ask to be woken at once before that counts as spinning.
const MOST_WAKES_AT_ONE_INSTANT: u32 = 10_000;

/// Machines and links under one virtual clock.
#[derive(Debug)]
pub struct Network<M: Machine> {
    seed: u64,
    start: Instant,
    now: Nanos,
    nodes: Vec<Node<M>>,
    wire: Wire,
}

impl<M: Machine> Network<M> {
    /// An empty network at time 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            start: Instant::now(),
            now: 0,
            nodes: Vec::new(),
            wire: Wire::default(),
        }
    }

    /// Adds a machine, connected to nothing yet.
    pub fn add_machine(&mut self, machine: M) -> NodeId {
        self.nodes.push(Node {
            machine,
            wanted: None,
            queued: None,
            wakes: 0,
        });
        self.wire.paths.push(Path::default());
        NodeId(self.nodes.len() - 1)
    }

    /// Adds a link; several paths may share it.
    pub fn add_link(&mut self, link: Link) -> LinkId {
        // Each link draws from a stream of its own: another link more does not change what this one does.
        let seed =
            self.seed ^ (self.wire.links.len() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.wire.links.push(LinkState::new(link, seed));
        LinkId(self.wire.links.len() - 1)
    }

    /// Joins two machines: what `a` sends passes `there`, what `b` sends passes `back`.
    pub fn connect(&mut self, a: NodeId, b: NodeId, there: &[LinkId], back: &[LinkId]) {
        self.wire.paths[a.0].lead(there, b);
        self.wire.paths[b.0].lead(back, a);
    }

    /// Asks about every datagram that `from` sends whether it shall pass. For tests that must lose one certain packet.
    pub fn filter(
        &mut self,
        from: NodeId,
        passes: impl FnMut(Duration, &[u8]) -> bool + Send + 'static,
    ) {
        self.wire.filter(from, Box::new(passes));
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    /// The virtual time since the network began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// A machine, to look at.
    #[must_use]
    pub fn machine(&self, node: NodeId) -> &M {
        &self.nodes[node.0].machine
    }

    /// Does something with a machine, then polls it.
    pub fn update<R>(&mut self, node: NodeId, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.now();
        let result = action(&mut self.nodes[node.0].machine, now);
        self.poll(node);
        result
    }

    /// What a link has done.
    #[must_use]
    pub fn stats(&self, link: LinkId) -> &LinkStats {
        &self.wire.links[link.0].stats
    }

    /// Lets virtual time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + nanos(time);
        while self.wire.next().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until `done`, at most `limit`. Tells whether it came to that.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + nanos(limit);
        loop {
            if done(self) {
                return true;
            }
            if self.wire.next().is_none_or(|at| at > end) {
                self.now = end;
                return done(self);
            }
            self.step();
        }
    }

    /// Moves on to the next event and handles it. False if nothing will ever happen.
    ///
    /// # Panics
    ///
    /// If a machine asks again and again to be woken at once.
    pub fn step(&mut self) -> bool {
        let Some(event) = self.wire.pop() else {
            return false;
        };
        self.now = event.at;
        match event.what {
            What::Wake => self.wake(event.node),
            What::Datagram(datagram) => self.arrive(event.node, datagram),
            What::Hop(from, hop, datagram) => {
                self.wire.hop(self.now, from, hop, &datagram);
                self.wire.spare.push(datagram);
            }
        }
        true
    }

    fn arrive(&mut self, node: NodeId, datagram: Vec<u8>) {
        let now = self.now();
        let mut next = Some(datagram);
        while let Some(datagram) = next {
            self.nodes[node.0].machine.handle_datagram(now, &datagram);
            self.wire.spare.push(datagram);
            next = self.wire.arrived_too(self.now, node);
        }
        self.nodes[node.0].wakes = 0;
        self.poll(node);
    }

    fn wake(&mut self, id: NodeId) {
        let now = self.now();
        let node = &mut self.nodes[id.0];
        if node.queued != Some(self.now) {
            // An earlier wake was queued after this one and has taken its place.
            return;
        }
        node.queued = None;
        match node.wanted {
            Some(at) if at <= self.now => {
                node.wakes += 1;
                assert!(
                    node.wakes <= MOST_WAKES_AT_ONE_INSTANT,
                    "machine {} spins at {:?}",
                    id.0,
                    now - self.start
                );
                node.machine.handle_timeout(now);
                self.poll(id);
            }
            // The machine has changed its mind since: it wants to sleep longer.
            Some(_) => self.arm(id),
            None => {}
        }
    }

    fn poll(&mut self, id: NodeId) {
        let now = self.now();
        let (wire, at) = (&mut self.wire, self.now);
        let node = &mut self.nodes[id.0];
        let wanted = node
            .machine
            .poll(now, &mut |datagram| wire.send(at, id, datagram));
        let wanted = wanted.map(|wanted| nanos(wanted.saturating_duration_since(self.start)));
        if wanted.is_none_or(|wanted| wanted > self.now) {
            node.wakes = 0;
        }
        node.wanted = wanted;
        self.arm(id);
    }

    /// Queues the wake that a machine wants, unless one is queued that comes no later.
    fn arm(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.0];
        let Some(wanted) = node.wanted.map(|wanted| wanted.max(self.now)) else {
            return;
        };
        if node.queued.is_none_or(|queued| wanted < queued) {
            node.queued = Some(wanted);
            self.wire.push(wanted, id, What::Wake);
        }
    }
}

impl<M: Machine> Drop for Network<M> {
    #[expect(clippy::print_stderr, reason = "a failing test tells how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("crowfly-sim: seed {} at {:?}", self.seed, self.elapsed());
        }
    }
}

#[derive(Debug)]
struct Node<M> {
    machine: M,
    /// When the machine wants to be woken.
    wanted: Option<Nanos>,
    /// The earliest wake in the queue of events.
    queued: Option<Nanos>,
    /// Wakes since time last moved on for this machine.
    wakes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loss;

    const MS: Duration = Duration::from_millis(1);

    /// Sends a numbered datagram every `interval` and keeps what arrives.
    #[derive(Debug, Default)]
    struct Ticker {
        interval: Option<Duration>,
        size: usize,
        next: Option<Instant>,
        sent: u32,
        received: Vec<(Instant, Vec<u8>)>,
        bursts: Vec<usize>,
        since_poll: usize,
    }

    impl Ticker {
        fn every(interval: Duration, size: usize) -> Self {
            Self {
                interval: Some(interval),
                size,
                ..Self::default()
            }
        }

        fn numbers(&self) -> Vec<u32> {
            let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four"));
            self.received
                .iter()
                .map(|(_, bytes)| number(bytes))
                .collect()
        }
    }

    impl Machine for Ticker {
        fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
            self.received.push((now, datagram.to_vec()));
            self.since_poll += 1;
        }

        fn handle_timeout(&mut self, now: Instant) {
            assert!(self.next.is_some_and(|next| next <= now), "woken too early");
        }

        fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
            self.bursts.push(std::mem::take(&mut self.since_poll));
            let interval = self.interval?;
            let next = self.next.get_or_insert(now);
            while *next <= now {
                let mut datagram = vec![0; self.size];
                datagram[..4].copy_from_slice(&self.sent.to_be_bytes());
                transmit(&datagram);
                self.sent += 1;
                *next += interval;
            }
            self.next
        }
    }

    /// A ticker, a listener, and one link between them.
    fn pair(ticker: Ticker, link: Link, seed: u64) -> (Network<Ticker>, NodeId, NodeId, LinkId) {
        let mut network = Network::new(seed);
        let (a, b) = (
            network.add_machine(ticker),
            network.add_machine(Ticker::default()),
        );
        let link = network.add_link(link);
        network.connect(a, b, &[link], &[]);
        network.update(a, |_, _| ());
        (network, a, b, link)
    }

    #[test]
    fn datagrams_arrive_after_the_delay_and_time_moves_on_without_any() {
        let (mut network, a, b, _) =
            pair(Ticker::every(10 * MS, 100), Link::new().delay(7 * MS), 1);
        let start = network.now();
        network.run_for(35 * MS);
        let times: Vec<_> = network
            .machine(b)
            .received
            .iter()
            .map(|(at, _)| *at - start)
            .collect();
        assert_eq!(times, [7, 17, 27].map(|ms| ms * MS));
        assert_eq!(network.machine(a).sent, 4);
        assert_eq!(network.elapsed(), 35 * MS);
    }

    #[test]
    fn hops_add_up() {
        let mut network = Network::new(1);
        let a = network.add_machine(Ticker::every(1000 * MS, 1000));
        let b = network.add_machine(Ticker::default());
        // 1 ms to send, 5 ms on the way; 2 ms to send, 7 ms on the way.
        let near = network.add_link(Link::new().rate(8_000_000).delay(5 * MS));
        let far = network.add_link(Link::new().rate(4_000_000).delay(7 * MS));
        network.connect(a, b, &[near, far], &[]);
        network.update(a, |_, _| ());
        let start = network.now();
        assert!(network.run_until(1000 * MS, |network| !network.machine(b).received.is_empty()));
        assert_eq!(network.machine(b).received[0].0 - start, 15 * MS);
    }

    #[test]
    fn two_flows_share_what_one_link_carries() {
        let mut network = Network::new(2);
        // 8 Mbit/s is a packet of 1,000 bytes a millisecond; both together send two.
        let shared = network.add_link(Link::new().rate(8_000_000).queue_packets(20));
        let flows = [(); 2].map(|()| {
            let a = network.add_machine(Ticker::every(MS, 1000));
            let b = network.add_machine(Ticker::default());
            network.connect(a, b, &[shared], &[]);
            network.update(a, |_, _| ());
            b
        });
        network.run_for(1000 * MS);
        let received: usize = flows
            .map(|b| network.machine(b).received.len())
            .iter()
            .sum();
        assert_eq!(received, 1000);
        let stats = network.stats(shared);
        assert_eq!(stats.longest_queue_delay, 19 * MS);
        assert!((975..=985).contains(&stats.overflowed), "{stats:?}");
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let run = |seed| {
            let link = Link::new()
                .delay(5 * MS)
                .loss(Loss::Random(0.1))
                .reorder(0.25, 20 * MS);
            let (mut network, _, b, link) = pair(Ticker::every(MS, 60), link, seed);
            network.run_for(2000 * MS);
            (network.machine(b).numbers(), network.stats(link).clone())
        };
        let (numbers, stats) = run(11);
        assert_eq!((&numbers, &stats), (&run(11).0, &run(11).1));
        assert_ne!(numbers, run(12).0);
        assert!((150..250).contains(&stats.lost), "{stats:?}");
        assert!(!numbers.is_sorted(), "nothing was overtaken");
    }

    #[test]
    fn damaged_datagrams_differ_in_a_few_bits() {
        let (mut network, _, b, link) = pair(Ticker::every(MS, 60), Link::new().corrupt(1.0), 4);
        network.run_for(99 * MS);
        assert_eq!(network.stats(link).corrupted, 100);
        let ones = |bytes: &[u8]| bytes[4..].iter().map(|byte| byte.count_ones()).sum::<u32>();
        let flipped = network
            .machine(b)
            .received
            .iter()
            .map(|(_, bytes)| ones(bytes));
        assert!(flipped.clone().all(|bits| bits <= 3));
        assert!(flipped.filter(|bits| *bits > 0).count() > 80);
    }

    #[test]
    fn datagrams_of_one_instant_are_one_burst() {
        let (mut network, a, b, _) = pair(Ticker::every(10 * MS, 60), Link::new(), 1);
        network.update(a, |ticker, now| ticker.next = Some(now - 50 * MS));
        network.run_for(Duration::ZERO);
        // The first of the pair, the burst of six that was overdue, and nothing between.
        assert_eq!(network.machine(b).bursts, [7]);
        network.run_for(10 * MS);
        assert_eq!(network.machine(b).bursts, [7, 1]);
    }

    #[test]
    fn wakes_that_are_out_of_date_die_out() {
        /// Wants to be woken ever earlier, then late.
        struct Fickle(u64);
        impl Machine for Fickle {
            fn handle_datagram(&mut self, _: Instant, _: &[u8]) {}
            fn handle_timeout(&mut self, _: Instant) {}
            fn poll(&mut self, now: Instant, _: &mut dyn FnMut(&[u8])) -> Option<Instant> {
                self.0 += 1;
                Some(now + Duration::from_millis(100 - self.0 % 90))
            }
        }
        let mut network = Network::new(1);
        let fickle = network.add_machine(Fickle(0));
        for _ in 0..1000 {
            network.update(fickle, |_, _| ());
            network.run_for(MS / 10);
        }
        assert!(network.wire.waiting() < 400, "{}", network.wire.waiting());
        network.run_for(1000 * MS);
        assert_eq!(network.wire.waiting(), 1);
    }

    #[test]
    fn a_filter_takes_the_packet_it_names() {
        let (mut network, a, b, _) = pair(Ticker::every(MS, 60), Link::new(), 1);
        network.filter(a, |_, datagram| datagram[3] != 3);
        network.run_for(5 * MS);
        assert_eq!(network.machine(b).numbers(), [0, 1, 2, 4, 5]);
    }

    #[test]
    #[should_panic(expected = "machine 0 spins")]
    fn a_machine_that_asks_for_now_for_ever_is_found() {
        struct Spin;
        impl Machine for Spin {
            fn handle_datagram(&mut self, _: Instant, _: &[u8]) {}
            fn handle_timeout(&mut self, _: Instant) {}
            fn poll(&mut self, now: Instant, _: &mut dyn FnMut(&[u8])) -> Option<Instant> {
                Some(now)
            }
        }
        let mut network = Network::new(1);
        let spin = network.add_machine(Spin);
        network.update(spin, |_, _| ());
        network.run_for(MS);
    }
}
