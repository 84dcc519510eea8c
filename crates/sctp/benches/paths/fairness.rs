//! Flows that share a bottleneck, and a bottleneck that changes.

use std::time::Duration;

use crowfly_sim::{Link, Network};

use super::Arguments;
use super::contenders::{CUBIC, Contender, DCSCTP, OURS};
use super::rows::{MESSAGE, pair};
use super::stacks::flow::Peer;
use super::table::{Fact, Table};

const SECOND: Duration = Duration::from_secs(1);
const RATE: u64 = 100_000_000;
const WINDOW: usize = 5 << 20;

/// 100 Mbit/s, 20 ms, a queue of one bandwidth-delay product.
fn link() -> Link {
    Link::new()
        .rate(RATE)
        .delay(Duration::from_millis(10))
        .queue_bytes(RATE as usize / 8 / 50)
}

/// Runs what the command line does not leave out.
pub(crate) fn run(arguments: &Arguments, table: &mut Table) {
    for (first, second) in [(&OURS, &OURS), (&CUBIC, &CUBIC), (&OURS, &CUBIC)] {
        let name = format!("fairness: {} and {}", first.title, second.title);
        if arguments.wants_row(8, &name)
            && arguments.wants(first.name)
            && arguments.wants(second.name)
        {
            let [a, b] = share(first, second, arguments.seed);
            let jain = (a + b).powi(2) / (2.0 * (a * a + b * b));
            let goal = (first == second).then(|| format!("≥ 0.95: {}", mark(jain >= 0.95)));
            table.fact(Fact {
                name,
                result: format!("{a:.0} and {b:.0} Mbit/s, Jain index {jain:.3}"),
                goal: goal.unwrap_or_default(),
            });
        }
    }
    for ours in [&OURS, &CUBIC] {
        let name = format!("fairness: dcsctp beside {}", ours.title);
        if arguments.wants_row(9, &name) && arguments.wants(ours.name) {
            let [rival, own] = share(&DCSCTP, ours, arguments.seed);
            let fair = rival / (RATE as f64 / 2e6);
            table.fact(Fact {
                name,
                result: format!("dcsctp {rival:.0}, ours {own:.0} Mbit/s: dcsctp keeps {:.0} % of its fair share", fair * 100.0),
                goal: format!("≥ 50 %: {}", mark(fair >= 0.5)),
            });
        }
    }
    for ours in [&OURS, &CUBIC] {
        let name = format!("the link halves under {}", ours.title);
        if arguments.wants_row(10, &name) && arguments.wants(ours.name) {
            halve(name, ours, arguments.seed, table);
        }
    }
}

/// Mbit/s of two flows over one bottleneck between 20 and 30 s after the second began; it begins 5 s after the first.
fn share(first: &Contender, second: &Contender, seed: u64) -> [f64; 2] {
    let mut network = Network::new(seed);
    let (there, back) = (network.add_link(link()), network.add_link(link()));
    let flow = |network: &mut Network<Peer>, contender, seed| {
        let (a, b) = pair(network, contender, WINDOW, seed, &[there], &[back]);
        network.update(a, |peer, now| peer.send_bulk(now, MESSAGE, 256 << 10));
        b
    };
    let a = flow(&mut network, first, seed);
    network.run_for(5 * SECOND);
    let b = flow(&mut network, second, seed + 1);
    network.run_for(30 * SECOND);
    [a, b].map(|node| network.machine(node).got.rate(25 * SECOND, 35 * SECOND) / 1e6)
}

/// What is sent into a link that halves after 5 s, from 2 s after that.
fn halve(name: String, ours: &Contender, seed: u64, table: &mut Table) {
    let mut network = Network::new(seed);
    let there = network.add_link(link().at(5 * SECOND, |link| link.rate(RATE / 2)));
    let back = network.add_link(link());
    let (a, b) = pair(&mut network, ours, WINDOW, seed, &[there], &[back]);
    network.update(a, |peer, now| peer.send_bulk(now, MESSAGE, 256 << 10));
    network.run_for(7 * SECOND);
    let before = network.stats(there).clone();
    network.run_for(3 * SECOND);
    let after = network.stats(there);
    let sent = (after.offered_bytes - before.offered_bytes) as f64 * 8.0 / 3e6;
    let dropped = after.overflowed - before.overflowed;
    let dropped = dropped as f64 * 100.0 / (after.offered - before.offered).max(1) as f64;
    let arrived = network.machine(b).got.rate(7 * SECOND, 10 * SECOND) / 1e6;
    let follows = sent <= 1.05 * RATE as f64 / 2e6;
    table.fact(Fact {
        name,
        result: format!("from 2 s on sends {sent:.1} Mbit/s into 50, {arrived:.1} arrive, {dropped:.2} % overflow"),
        goal: format!("rate has fallen within 2 s: {}", mark(follows)),
    });
}

fn mark(reached: bool) -> &'static str {
    if reached { "yes" } else { "**no**" }
}
