//! The controllers on a bottleneck in virtual time; the goals of a whole association are in `benches/paths.rs`.

mod harness;

use std::time::{Duration, Instant};

use super::{Allowance, Congestion, CongestionControl};
use harness::{Harness, Link, Loss, PACKET, Report};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

fn bbr(now: Instant) -> Congestion {
    Congestion::new(now, CongestionControl::Bbr, PACKET)
}

fn cubic(now: Instant) -> Congestion {
    Congestion::new(now, CongestionControl::Cubic, PACKET)
}

/// One sender alone on a link.
fn alone(link: &Link, seed: u64, seconds: f64, sender: fn(Instant) -> Congestion) -> Report {
    let mut harness = Harness::new(link.clone(), seed);
    harness.flow(0.0, sender);
    harness.run(seconds, |_, _| ()).remove(0)
}

/// The share of the link that one sender of BBR uses between the first second and the last, at least, over some seeds.
fn share(link: &Link, seconds: f64) -> f64 {
    let shares = SEEDS.map(|seed| alone(link, seed, seconds, bbr).rate(1.0, seconds) / link.rate);
    shares.fold(f64::INFINITY, f64::min)
}

#[track_caller]
fn assert_share(link: &Link, seconds: f64, least: f64) {
    let share = share(link, seconds);
    assert!(share >= least, "{share} of {link:?}");
}

#[test]
fn bbr_fills_a_clean_path_with_a_shallow_queue() {
    assert_share(&Link::new(100.0, 20, 100), 6.0, 0.9);
}

#[test]
fn bbr_keeps_its_rate_under_random_loss() {
    assert_share(
        &Link::new(100.0, 50, 400).loss(Loss::Random(0.01)),
        6.0,
        0.85,
    );
    let reno = alone(
        &Link::new(100.0, 50, 400).loss(Loss::Random(0.01)),
        1,
        6.0,
        cubic,
    );
    assert!(
        reno.rate(1.0, 6.0) < 10e6,
        "the loss is real: CUBIC collapses"
    );
}

#[test]
fn bbr_tells_bursts_of_loss_and_reordering_from_congestion() {
    let link = Link {
        reorder: 0.1,
        ..Link::new(20.0, 30, 100).loss(Loss::Burst(0.03, 4.0))
    };
    assert_share(&link, 12.0, 0.75);
}

#[test]
fn bbr_does_not_fill_a_deep_queue() {
    let report = alone(&Link::new(10.0, 40, 1050), 1, 12.0, bbr);
    assert!(report.rate(1.0, 12.0) > 9e6);
    assert!(
        report.longest_wait < Duration::from_millis(50),
        "{:?}",
        report.longest_wait
    );
    assert!(
        alone(&Link::new(10.0, 40, 1050), 1, 12.0, cubic).longest_wait > Duration::from_millis(200),
        "the queue is there to be filled"
    );
}

#[test]
fn bbr_loses_little_when_it_meets_its_first_full_queue() {
    // 174 packets fit the path and 100 the queue.
    let report = alone(&Link::new(100.0, 20, 100), 1, 2.0, bbr);
    assert!(report.dropped_at_first < 174, "{}", report.dropped_at_first);
}

#[test]
fn bbr_follows_a_link_that_halves() {
    let link = Link {
        later: Some((5.0, 50e6)),
        ..Link::new(100.0, 20, 174)
    };
    let report = alone(&link, 1, 12.0, bbr);
    assert!(report.rate(2.0, 5.0) > 90e6);
    assert!(report.rate(7.0, 12.0) > 45e6);
    assert!(
        (report.dropped_by_queue as f64) < report.sent as f64 * 0.02,
        "{} of {}",
        report.dropped_by_queue,
        report.sent
    );
}

#[test]
fn bbr_is_back_a_second_after_an_outage() {
    let report = alone(
        &Link::new(50.0, 20, 100).loss(Loss::Outage(4.0, 4.3)),
        1,
        8.0,
        bbr,
    );
    assert!(report.rate(4.0, 4.3) < 10e6, "nothing arrives meanwhile");
    assert!(report.rate(6.0, 8.0) > 45e6);
}

#[test]
fn two_of_ours_share_alike() {
    for seed in SEEDS {
        let mut harness = Harness::new(Link::new(50.0, 20, 87), seed);
        harness.flow(0.0, bbr);
        harness.flow(2.0 + seed as f64 * 0.1, bbr);
        let reports = harness.run(30.0, |_, _| ());
        let (a, b) = (reports[0].rate(20.0, 30.0), reports[1].rate(20.0, 30.0));
        let jain = (a + b).powi(2) / (2.0 * (a * a + b * b));
        assert!(jain >= 0.95 && a + b > 45e6, "{a} and {b}");
    }
}

#[test]
fn cubic_keeps_half_its_share_beside_bbr() {
    for seed in SEEDS {
        let mut harness = Harness::new(Link::new(50.0, 20, 87), seed);
        harness.flow(0.0, bbr);
        harness.flow(seed as f64 * 0.5, cubic);
        let reports = harness.run(25.0, |_, _| ());
        assert!(
            reports[1].rate(10.0, 25.0) > 12.5e6,
            "{}",
            reports[1].rate(10.0, 25.0)
        );
        assert!(
            reports[0].rate(10.0, 25.0) > 12.5e6,
            "{}",
            reports[0].rate(10.0, 25.0)
        );
    }
}

#[test]
fn cubic_fills_a_clean_path() {
    let report = alone(&Link::new(50.0, 20, 100), 1, 6.0, cubic);
    assert!(report.rate(1.0, 6.0) > 45e6, "{}", report.rate(1.0, 6.0));
}

#[test]
fn delayed_acknowledgements_do_not_stall_a_sender() {
    let link = Link {
        sack_delay: Duration::from_millis(200),
        ..Link::new(20.0, 40, 100)
    };
    assert_share(&link, 6.0, 0.9);
}

#[test]
fn a_run_is_a_millisecond_long_and_a_pause_is_not_made_up_for() {
    let (mut now, mut sent) = (Instant::now(), Vec::new());
    let mut congestion = Congestion::new(now, CongestionControl::Cubic, PACKET);
    let rtt = Duration::from_millis(20);
    // 12.5 MB/s: a window of 208 packets in 20 ms, as CUBIC paces at 1.2 times that outside of slow start.
    let snapshot = congestion.on_sent(now, PACKET, 0);
    now += rtt;
    congestion.chunk_acked(now, &snapshot, PACKET, false);
    congestion.finish(now, 0, Some(rtt));
    let rate = congestion
        .stats()
        .pacing_rate
        .expect("a round trip was measured") as f64;
    let began = now;
    let mut in_flight = 0;
    while in_flight < congestion.stats().window {
        match congestion.can_send(now, in_flight) {
            Allowance::Bytes(bytes) => {
                congestion.on_sent(now, bytes, in_flight);
                in_flight += bytes;
                sent.push(bytes);
            }
            Allowance::Wait(at) => {
                assert!(
                    at >= now + Duration::from_micros(900),
                    "no timer finer than a millisecond: {:?}",
                    at - now
                );
                now = at;
            }
            Allowance::WindowFull => break,
        }
    }
    let took = (now - began).as_secs_f64();
    assert!(
        sent.iter()
            .all(|bytes| *bytes as f64 <= (rate * 0.003).max(2.0 * PACKET as f64)),
        "{sent:?}"
    );
    assert!((in_flight as f64) < rate * (took + 0.004) + 2.0 * PACKET as f64);
    // A long pause earns no long burst.
    assert_eq!(
        congestion.can_send(now + Duration::from_secs(5), congestion.stats().window),
        Allowance::WindowFull
    );
    let Allowance::Bytes(burst) = congestion.can_send(now + Duration::from_secs(5), 0) else {
        panic!("a pause is credit")
    };
    assert!(
        burst as f64 <= (rate * 0.003).max(2.0 * PACKET as f64),
        "{burst}"
    );
}

#[test]
fn what_a_chunk_remembers_is_small() {
    assert!(size_of::<super::Snapshot>() <= 48);
}
