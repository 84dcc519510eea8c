//! The rivals against themselves: what the simulated network and the adapters are worth before ours comes into it.

mod stacks;

use std::time::Duration;

use crowfly_sctp::Role;
use crowfly_sim::{Link, Loss, Network, seed};

use stacks::dcsctp::Dcsctp;
use stacks::flow::Peer;
use stacks::rtc::Rtc;
use stacks::{Setup, Stack};

type Make = fn(Setup) -> Box<dyn Stack>;

/// Megabytes a second of one bulk channel on this link, without the first second.
fn measure(make: Make, link: Link, backlog: usize) -> f64 {
    let seed = seed(1);
    let mut network = Network::new(seed);
    let start = network.now();
    let [a, b] = [Role::Client, Role::Server].map(|role| {
        let setup = Setup {
            seed,
            ..Setup::new(role)
        };
        network.add_machine(Peer::new(make(setup), start))
    });
    let (there, back) = (network.add_link(link.clone()), network.add_link(link));
    network.connect(a, b, &[there], &[back]);
    network.update(b, |peer, now| peer.stack.connect(now));
    network.update(a, |peer, now| {
        peer.stack.connect(now);
        peer.send_bulk(now, 16 << 10, backlog);
    });
    network.run_for(Duration::from_secs(6));
    assert_eq!(network.machine(a).closed, None);
    let got = &network.machine(b).got;
    got.rate(Duration::from_secs(1), Duration::from_secs(6)) / 8e6
}

/// A gigabit path with a round trip of 50 ms and 1 % loss.
fn lossy() -> Link {
    Link::new()
        .rate(1_000_000_000)
        .delay(Duration::from_millis(25))
        .queue_packets(2000)
        .loss(Loss::Random(0.01))
}

#[test]
fn dcsctp_is_as_slow_under_loss_as_on_an_emulated_path() {
    // 0.22 MB/s between two processes.
    let rate = measure(|setup| Box::new(Dcsctp::new(setup)), lossy(), 1 << 20);
    assert!((0.1..0.5).contains(&rate), "{rate} MB/s");
}

#[test]
fn rtc_is_as_slow_under_loss_as_the_others() {
    let rate = measure(|setup| Box::new(Rtc::new(setup)), lossy(), 4 << 20);
    assert!((0.05..0.5).contains(&rate), "{rate} MB/s");
}
