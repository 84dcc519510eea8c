//! The links of the table, and one flow over each.

use std::time::Duration;

use crowfly_sctp::Role;
use crowfly_sim::{Link, LinkId, LinkStats, Loss, Network, NodeId};

use super::contenders::Contender;
use super::stacks::flow::{Got, Peer, SLICE};

/// A link and what we want to reach on it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    rate: u64,
    rtt: Duration,
    link: Link,
    /// The share of its rate that ours has to fill, in percent.
    pub(crate) goal: f64,
    /// How long a small message may take beside the bulk.
    pub(crate) ping_goal: Option<Duration>,
}

/// The message size of the bulk channel.
pub(crate) const MESSAGE: usize = 16 << 10;

const MBIT: u64 = 1_000_000;

fn row(name: &'static str, mbit: u64, rtt: u64, goal: f64, link: fn(Link) -> Link) -> Row {
    let rtt = Duration::from_millis(rtt);
    Row {
        name,
        rate: mbit * MBIT,
        rtt,
        link: link(Link::new().rate(mbit * MBIT).delay(rtt / 2)),
        goal,
        ping_goal: None,
    }
}

/// Round trips and queues as the goals name them; what goes wrong does so in both directions.
pub(crate) fn rows() -> Vec<Row> {
    let second = Duration::from_secs(1);
    let wifi = |link: Link| {
        link.queue_packets(100)
            .loss(Loss::Burst {
                share: 0.03,
                length: 4.0,
            })
            .reorder(0.10, Duration::from_millis(5))
    };
    vec![
        row(
            "1 Gbit, 50 ms, no loss, queue 2000",
            1000,
            50,
            90.0,
            |link| link.queue_packets(2000),
        ),
        row("1 Gbit, 50 ms, 1 % random loss", 1000, 50, 70.0, |link| {
            link.queue_packets(2000).loss(Loss::Random(0.01))
        }),
        row("1 Gbit, 20 ms, 0.1 %", 1000, 20, 85.0, |link| {
            link.queue_packets(2000).loss(Loss::Random(0.001))
        }),
        row(
            "100 Mbit, 20 ms, queue 100 packets",
            100,
            20,
            90.0,
            |link| link.queue_packets(100),
        ),
        row("100 Mbit, 200 ms, 0.5 %", 100, 200, 70.0, |link| {
            link.queue_packets(2000).loss(Loss::Random(0.005))
        }),
        Row {
            ping_goal: Some(Duration::from_millis(100)),
            link: Link::new()
                .rate(10 * MBIT)
                .delay(Duration::from_millis(20))
                .queue_time(second),
            ..row(
                "10 Mbit, 40 ms, queue 1 s (bufferbloat)",
                10,
                40,
                90.0,
                |link| link,
            )
        },
        row(
            "20 Mbit, 30 ms, 3 % burst loss, 10 % reorder (Wi-Fi)",
            20,
            30,
            60.0,
            wifi,
        ),
    ]
}

/// What came of a run.
pub(crate) struct Measured {
    /// Percent of the link's rate after the first second.
    pub(crate) share: f64,
    /// The same of the second half of the run.
    pub(crate) late_share: f64,
    /// Of the small messages: median, 95th percentile, longest.
    pub(crate) pings: Option<[Duration; 3]>,
    window: usize,
    link: LinkStats,
    closed: Option<String>,
    wall: Duration,
}

impl Measured {
    pub(crate) fn line(&self) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let link = &self.link;
        let share = |part: u64| part as f64 * 100.0 / link.offered.max(1) as f64;
        let mut line = format!(
            "{:6.2} % ({:5.1})  window {:2} MiB  overflow {:5.2} %  lost {:4.2} %  queue {:6.1} ms, at most {:6.1}",
            self.share,
            self.late_share,
            self.window >> 20,
            share(link.overflowed),
            share(link.lost),
            ms(link.mean_queue_delay()),
            ms(link.longest_queue_delay),
        );
        if let Some(pings) = self.pings {
            let [median, most, longest] = pings.map(ms);
            line += &format!("  64 B: {median:.0} ms, 95 % {most:.0}, all {longest:.0}");
        }
        if let Some(reason) = &self.closed {
            line += &format!("  CLOSED: {reason}");
        }
        line + &format!("  ({:.1} s)", self.wall.as_secs_f64())
    }
}

/// One flow of a contender over a row's link, with the better of its windows.
pub(crate) fn measure(
    row: &Row,
    contender: &Contender,
    seed: u64,
    time: Duration,
    detail: bool,
) -> Measured {
    let results = contender
        .windows
        .iter()
        .map(|window| run(row, contender, *window, seed, time, detail));
    results
        .max_by(|a, b| a.share.total_cmp(&b.share))
        .expect("a window")
}

fn run(
    row: &Row,
    contender: &Contender,
    window: usize,
    seed: u64,
    time: Duration,
    detail: bool,
) -> Measured {
    let wall = std::time::Instant::now();
    let mut network = Network::new(seed);
    let there = network.add_link(row.link.clone());
    let back = network.add_link(row.link.clone());
    let (a, b) = pair(&mut network, contender, window, seed, &[there], &[back]);
    network.update(a, |peer, now| {
        peer.send_bulk(now, MESSAGE, row.backlog(contender, window));
        if row.ping_goal.is_some() {
            peer.send_pings(now, Duration::from_millis(50));
        }
    });
    if detail {
        trace(&mut network, a, b, there, time);
    } else {
        network.run_for(time);
    }
    let second = Duration::from_secs(1);
    let got = &network.machine(b).got;
    let percent = |from| got.rate(from, time) * 100.0 / row.rate as f64;
    Measured {
        share: percent(second),
        late_share: percent(time / 2),
        pings: row.ping_goal.map(|_| latencies(got, second)),
        window,
        link: network.stats(there).clone(),
        closed: network.machine(a).closed.clone(),
        wall: wall.elapsed(),
    }
}

impl Row {
    /// What an application keeps queued: little, unless the stack counts what is in flight too.
    fn backlog(&self, contender: &Contender, window: usize) -> usize {
        let path = self.rate as f64 / 8.0 * self.rtt.as_secs_f64();
        let flight = if contender.counts_flight {
            (path * 4.0) as usize
        } else {
            0
        };
        flight.min(window) + (256 << 10)
    }
}

/// Two peers of a contender, connecting.
pub(crate) fn pair(
    network: &mut Network<Peer>,
    contender: &Contender,
    window: usize,
    seed: u64,
    there: &[LinkId],
    back: &[LinkId],
) -> (NodeId, NodeId) {
    let start = network.now() - network.elapsed();
    let mut add = |role, seed| {
        let stack = contender.make(role, window, seed);
        network.add_machine(Peer::new(stack, start))
    };
    let (a, b) = (add(Role::Client, seed), add(Role::Server, seed + 1000));
    network.connect(a, b, there, back);
    for node in [b, a] {
        network.update(node, |peer, now| peer.stack.connect(now));
    }
    (a, b)
}

/// Median, 95th percentile and maximum of the small messages sent after this time.
fn latencies(got: &Got, after: Duration) -> [Duration; 3] {
    let mut times: Vec<_> = got
        .pings
        .iter()
        .filter(|(sent, _)| *sent >= after)
        .map(|(_, took)| *took)
        .collect();
    times.sort();
    if times.is_empty() {
        return [Duration::MAX; 3];
    }
    [times.len() / 2, times.len() * 95 / 100, times.len() - 1].map(|at| times[at])
}

/// Runs and prints what happened in every slice of time.
fn trace(network: &mut Network<Peer>, a: NodeId, b: NodeId, there: LinkId, time: Duration) {
    let mut before = network.stats(there).clone();
    while network.elapsed() < time {
        network.run_for(SLICE);
        let now = network.stats(there).clone();
        let slice = (network.elapsed().as_nanos() / SLICE.as_nanos()) as usize - 1;
        let arrived = network
            .machine(b)
            .got
            .bytes
            .get(slice)
            .copied()
            .unwrap_or(0);
        let sent = now.offered - before.offered;
        println!(
            "{:5.1} s  {:7.2} Mbit/s  sent {sent}  overflow {}  lost {}  queue {:.1} ms  {}",
            network.elapsed().as_secs_f64(),
            arrived as f64 * 8.0 / SLICE.as_secs_f64() / 1e6,
            now.overflowed - before.overflowed,
            now.lost - before.lost,
            (now.queue_delay - before.queue_delay).as_secs_f64() * 1e3 / sent.max(1) as f64,
            network.machine(a).stack.stats(),
        );
        before = now;
    }
}
