//! A bottleneck in virtual time, to drive [`Congestion`] without an association: senders with endless data, one link with rate,
//! delay, queue, loss and reordering, receivers that acknowledge every second packet or after a delay.
//!
//! Simpler than the real thing on purpose: packets are numbered anew when sent again, and acknowledgements are never lost.

use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::super::{Allowance, Congestion, Snapshot};

pub(super) const PACKET: usize = 1188;

/// One direction of a path; acknowledgements come back after `delay`, unhindered.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Bits a second, and a later rate from some second on.
    pub(super) rate: f64,
    pub(super) later: Option<(f64, f64)>,
    pub(super) round_trip: Duration,
    /// Packets.
    pub(super) queue: usize,
    pub(super) loss: Loss,
    /// Share of packets that take an eighth of a round trip longer.
    pub(super) reorder: f64,
    pub(super) sack_delay: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    Random(f64),
    /// Share lost on average, in runs of so many packets on average.
    Burst(f64, f64),
    /// Everything between two seconds.
    Outage(f64, f64),
}

impl Link {
    pub(super) fn new(mbit: f64, round_trip_ms: u64, queue: usize) -> Self {
        Self {
            rate: mbit * 1e6,
            later: None,
            round_trip: Duration::from_millis(round_trip_ms),
            queue,
            loss: Loss::Random(0.0),
            reorder: 0.0,
            sack_delay: Duration::from_millis(20),
        }
    }

    pub(super) fn loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }
}

/// What a flow did, second by second and in all.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Bytes arrived in each tenth of a second.
    pub(super) tenths: Vec<usize>,
    pub(super) sent: usize,
    pub(super) dropped_by_queue: usize,
    pub(super) dropped_at_first: usize,
    /// The longest that the queue made a packet of this flow wait after the first second.
    pub(super) longest_wait: Duration,
}

impl Report {
    /// Bits a second arrived between two times in seconds.
    pub(super) fn rate(&self, from: f64, to: f64) -> f64 {
        let (from, to) = ((from * 10.0) as usize, (to * 10.0) as usize);
        self.tenths[from..to.min(self.tenths.len())]
            .iter()
            .sum::<usize>() as f64
            * 80.0
            / (to - from) as f64
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive { flow: usize, number: u64 },
    Sack { flow: usize, upto: u64 },
    Acked { flow: usize, sack: usize },
    Wake { flow: usize },
}

struct Flight {
    number: u64,
    snapshot: Snapshot,
    sent_at: u64,
    acked: bool,
}

struct Flow {
    congestion: Congestion,
    starts: u64,
    next: u64,
    flight: VecDeque<Flight>,
    in_flight: usize,
    newest_acked: u64,
    smoothed: u64,
    deadline: u64,
    waking: u64,
    // The receiver.
    received: Vec<u64>,
    expected: u64,
    sacks: Vec<Vec<u64>>,
    report: Report,
}

pub(super) struct Harness {
    base: Instant,
    now: u64,
    events: BinaryHeap<std::cmp::Reverse<(u64, u64, Event)>>,
    order: u64,
    link: Link,
    busy_until: u64,
    random: u64,
    burst: bool,
    sent_last: f64,
    flows: Vec<Flow>,
}

const SECOND: f64 = 1e9;

impl Harness {
    pub(super) fn new(link: Link, seed: u64) -> Self {
        Self {
            base: Instant::now(),
            now: 0,
            events: BinaryHeap::new(),
            order: 0,
            link,
            busy_until: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            burst: false,
            sent_last: 0.0,
            flows: Vec::new(),
        }
    }

    /// A sender that begins at some second.
    pub(super) fn flow(&mut self, at: f64, congestion: impl FnOnce(Instant) -> Congestion) {
        let starts = (at * SECOND) as u64;
        let flow = self.flows.len();
        self.flows.push(Flow {
            congestion: congestion(self.instant(starts)),
            starts,
            next: 0,
            flight: VecDeque::new(),
            in_flight: 0,
            newest_acked: 0,
            smoothed: 0,
            deadline: u64::MAX,
            waking: starts,
            received: Vec::new(),
            expected: 0,
            sacks: Vec::new(),
            report: Report::default(),
        });
        self.at(starts, Event::Wake { flow });
    }

    /// Run for so many seconds.
    pub(super) fn run(
        mut self,
        seconds: f64,
        mut watch: impl FnMut(f64, &[&Congestion]),
    ) -> Vec<Report> {
        let end = (seconds * SECOND) as u64;
        let mut watched = 0;
        while let Some(std::cmp::Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = at;
            if at >= watched {
                watched += 10_000_000;
                let all: Vec<_> = self.flows.iter().map(|flow| &flow.congestion).collect();
                watch(at as f64 / SECOND, &all);
            }
            self.handle(event);
        }
        let tenths = (seconds * 10.0) as usize;
        self.flows
            .into_iter()
            .map(|mut flow| {
                flow.report.tenths.resize(tenths, 0);
                flow.report
            })
            .collect()
    }

    fn instant(&self, nanos: u64) -> Instant {
        self.base + Duration::from_nanos(nanos)
    }

    fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(std::cmp::Reverse((at, self.order, event)));
    }

    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake { flow } => {
                if self.flows[flow].waking <= self.now {
                    self.flows[flow].waking = u64::MAX;
                    self.check_losses(flow);
                    self.send(flow);
                }
            }
            Event::Arrive { flow, number } => self.arrive(flow, number),
            Event::Sack { flow, upto } => {
                if self.flows[flow]
                    .received
                    .first()
                    .is_some_and(|first| *first <= upto)
                {
                    self.sack(flow);
                }
            }
            Event::Acked { flow, sack } => self.acked(flow, sack),
        }
    }

    fn send(&mut self, flow: usize) {
        let now = self.instant(self.now);
        loop {
            let in_flight = self.flows[flow].in_flight;
            match self.flows[flow].congestion.can_send(now, in_flight) {
                Allowance::WindowFull => break,
                Allowance::Wait(at) => {
                    let at = u64::try_from((at - self.base).as_nanos()).expect("short runs");
                    return self.wake(flow, at);
                }
                Allowance::Bytes(bytes) => {
                    for _ in 0..bytes.div_ceil(PACKET) {
                        self.send_packet(flow, now);
                    }
                }
            }
        }
    }

    fn wake(&mut self, flow: usize, at: u64) {
        if at < self.flows[flow].waking {
            self.flows[flow].waking = at;
            self.at(at, Event::Wake { flow });
        }
    }

    fn send_packet(&mut self, flow: usize, now: Instant) {
        let sender = &mut self.flows[flow];
        let number = sender.next;
        sender.next += 1;
        let snapshot = sender.congestion.on_sent(now, PACKET, sender.in_flight);
        sender.in_flight += PACKET;
        sender.flight.push_back(Flight {
            number,
            snapshot,
            sent_at: self.now,
            acked: false,
        });
        sender.report.sent += 1;
        sender.deadline = self.now + (4 * sender.smoothed).max(1_000_000_000);
        let deadline = sender.deadline;
        self.wake(flow, deadline);
        self.transmit(flow, number);
    }

    fn transmit(&mut self, flow: usize, number: u64) {
        let seconds = self.now as f64 / SECOND;
        let rate = self
            .link
            .later
            .filter(|(from, _)| seconds >= *from)
            .map_or(self.link.rate, |(_, rate)| rate);
        let wait = self.busy_until.saturating_sub(self.now);
        let size = PACKET as f64 * 8.0;
        if wait as f64 / SECOND * rate / size > self.link.queue as f64 {
            self.flows[flow].report.dropped_by_queue += 1;
            self.flows[flow].report.dropped_at_first += usize::from(seconds < 1.0);
            return;
        }
        if seconds >= 1.0 {
            let longest = &mut self.flows[flow].report.longest_wait;
            *longest = (*longest).max(Duration::from_nanos(wait));
        }
        self.busy_until = self.now.max(self.busy_until) + (size / rate * SECOND) as u64;
        if self.lost(seconds) {
            return;
        }
        let trip = self.link.round_trip.as_nanos() as u64;
        let late = if self.chance() < self.link.reorder {
            trip / 8
        } else {
            0
        };
        self.at(
            self.busy_until + trip / 2 + late,
            Event::Arrive { flow, number },
        );
    }

    fn lost(&mut self, seconds: f64) -> bool {
        match self.link.loss {
            Loss::Random(share) => self.chance() < share,
            Loss::Outage(from, to) => (from..to).contains(&seconds),
            Loss::Burst(share, length) => {
                // A burst is a matter of milliseconds; a lone probe a second later does not meet it again.
                self.burst &= seconds - self.sent_last < 0.02;
                self.sent_last = seconds;
                let turn = if self.burst {
                    1.0 / length
                } else {
                    share / (1.0 - share) / length
                };
                if self.chance() < turn {
                    self.burst = !self.burst;
                }
                self.burst
            }
        }
    }

    fn arrive(&mut self, flow: usize, number: u64) {
        let tenth = (self.now / 100_000_000) as usize;
        let delay = self.link.sack_delay.as_nanos() as u64;
        let receiver = &mut self.flows[flow];
        if receiver.report.tenths.len() <= tenth {
            receiver.report.tenths.resize(tenth + 1, 0);
        }
        receiver.report.tenths[tenth] += PACKET;
        let in_order = number == receiver.expected;
        receiver.expected = receiver.expected.max(number + 1);
        receiver.received.push(number);
        if !in_order || receiver.received.len() >= 2 {
            self.sack(flow);
        } else {
            self.at(self.now + delay, Event::Sack { flow, upto: number });
        }
    }

    fn sack(&mut self, flow: usize) {
        let receiver = &mut self.flows[flow];
        let received = std::mem::take(&mut receiver.received);
        receiver.sacks.push(received);
        let sack = receiver.sacks.len() - 1;
        self.at(
            self.now + self.link.round_trip.as_nanos() as u64 / 2,
            Event::Acked { flow, sack },
        );
    }

    fn acked(&mut self, flow: usize, sack: usize) {
        let now = self.instant(self.now);
        let sender = &mut self.flows[flow];
        let numbers = std::mem::take(&mut sender.sacks[sack]);
        let mut rtt = None;
        for number in numbers {
            let Some(first) = sender.flight.front().map(|first| first.number) else {
                continue;
            };
            let Some(index) = number.checked_sub(first) else {
                sender.congestion.spurious_loss(PACKET);
                continue;
            };
            let packet = &mut sender.flight[index as usize];
            packet.acked = true;
            sender.in_flight -= PACKET;
            if packet.sent_at >= sender.newest_acked {
                sender.newest_acked = packet.sent_at;
                rtt = Some(self.now - packet.sent_at);
            }
            sender
                .congestion
                .chunk_acked(now, &packet.snapshot, PACKET, false);
        }
        if let Some(rtt) = rtt {
            sender.smoothed = if sender.smoothed == 0 {
                rtt
            } else {
                (7 * sender.smoothed + rtt) / 8
            };
        }
        sender.deadline = self.now + (4 * sender.smoothed).max(1_000_000_000);
        self.find_losses(flow);
        let sender = &mut self.flows[flow];
        let rtt = rtt.map(Duration::from_nanos);
        sender.congestion.finish(now, sender.in_flight, rtt);
        self.send(flow);
    }

    /// As RACK: what left before something that arrived, and is overdue by a quarter of a round trip, is lost.
    fn find_losses(&mut self, flow: usize) {
        let sender = &mut self.flows[flow];
        let mut check = None;
        while let Some(packet) = sender.flight.front() {
            if packet.acked {
                sender.flight.pop_front();
            } else if packet.sent_at < sender.newest_acked {
                let overdue = packet.sent_at + sender.smoothed * 5 / 4;
                if overdue > self.now {
                    check = Some(overdue);
                    break;
                }
                sender.congestion.chunk_lost(&packet.snapshot, PACKET);
                sender.in_flight -= PACKET;
                sender.flight.pop_front();
            } else {
                break;
            }
        }
        if let Some(at) = check {
            self.wake(flow, at);
        }
    }

    fn check_losses(&mut self, flow: usize) {
        let now = self.instant(self.now);
        self.find_losses(flow);
        let sender = &mut self.flows[flow];
        if self.now >= sender.deadline && sender.in_flight > 0 {
            while let Some(packet) = sender.flight.pop_front() {
                if !packet.acked {
                    sender.congestion.chunk_lost(&packet.snapshot, PACKET);
                }
            }
            sender.in_flight = 0;
            sender.congestion.on_timeout(now, 0);
        } else {
            sender.congestion.finish(now, sender.in_flight, None);
        }
        if self.now >= sender.starts {
            let deadline = sender.deadline;
            self.wake(flow, deadline.max(self.now + 1));
        }
    }
}
