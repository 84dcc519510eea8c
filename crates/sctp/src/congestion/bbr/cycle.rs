//! The cycle of ProbeBW (draft §5.3.3): DOWN, CRUISE, REFILL, UP.

use std::time::{Duration, Instant};

use super::super::rate::RateSample;
use super::super::{Ack, Lost};
use super::{BETA, Bbr, State, UNBOUNDED, scaled};

pub(super) const UP_PACING_GAIN: f64 = 1.25;
pub(super) const DOWN_PACING_GAIN: f64 = 0.9;
/// No more rounds between two probes than Reno would take (draft §5.3.3.5.1).
const MOST_ROUNDS: u64 = 126;
/// And no more time than this, and up to a second more by chance.
const LEAST_WAIT: Duration = Duration::from_secs(2);
/// The bound grows no faster than by 2^30 packets a round.
const MOST_GROWTH: u32 = 30;

/// Of what phase the samples are that now arrive: they lag a round trip behind the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Samples {
    Ordinary,
    Refilling,
    ProbeStarting,
    ProbeFeedback,
    ProbeStopping,
}

/// Where in the cycle the sender is.
#[derive(Debug)]
pub(super) struct Cycle {
    began: Instant,
    wait: Duration,
    pub(super) rounds_since_up: u64,
    samples: Samples,
    /// Loss may be of data sent while probing, and has not been answered.
    judging: bool,
    /// The last probe lost too much; this one stopped short of where that did.
    too_high: bool,
    precautionary: bool,
    /// Loss ended the probe; the acknowledgement that follows carries it out.
    turn_down: bool,
    /// The growth of the bound while probing.
    up_rounds: u32,
    up_acked: u64,
    up_acked_per_packet: u64,
}

impl Cycle {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            wait: LEAST_WAIT,
            rounds_since_up: 0,
            samples: Samples::Ordinary,
            judging: false,
            too_high: false,
            precautionary: false,
            turn_down: false,
            up_rounds: 0,
            up_acked: 0,
            up_acked_per_packet: UNBOUNDED,
        }
    }

    pub(super) fn stop_sampling(&mut self) {
        self.samples = Samples::ProbeStopping;
    }
}

impl Bbr {
    pub(super) fn start_down(&mut self, now: Instant, delivered: u64) {
        self.bandwidth_latest = 0;
        self.inflight_latest = 0;
        // Flows that share a bottleneck must not probe in step. Where they stand in their streams is chance enough.
        let chance = mix(delivered);
        self.cycle.rounds_since_up = chance & 1;
        self.cycle.wait = LEAST_WAIT + Duration::from_millis((chance >> 1) % 1000);
        self.cycle.began = now;
        self.cycle.up_acked_per_packet = UNBOUNDED;
        self.cycle.samples = Samples::ProbeStopping;
        self.rounds.restart(delivered);
        self.state = State::Down;
    }

    fn start_refill(&mut self, delivered: u64) {
        self.reset_lower_bounds();
        self.cycle.up_rounds = 0;
        self.cycle.up_acked = 0;
        self.cycle.precautionary = false;
        self.cycle.samples = Samples::Refilling;
        self.rounds.restart(delivered);
        self.state = State::Refill;
    }

    fn start_up(&mut self, delivered: u64, rate: u64) {
        self.cycle.samples = Samples::ProbeStarting;
        self.cycle.judging = true;
        self.rounds.restart(delivered);
        self.full_pipe.reset(rate);
        self.delay.watch_growth();
        self.state = State::Up;
        self.steepen();
    }

    /// On each acknowledgement.
    pub(super) fn advance_cycle(&mut self, ack: &Ack, sample: &RateSample) {
        if !self.full_pipe.reached {
            return;
        }
        if std::mem::take(&mut self.cycle.turn_down) && self.state == State::Up {
            self.start_down(ack.now, ack.delivered);
        }
        if self.adapt_upper_bound(ack, sample) {
            return;
        }
        match self.state {
            State::Down | State::Cruise if self.time_to_probe(ack.now) => {
                self.start_refill(ack.delivered)
            }
            State::Down if self.time_to_cruise(ack) => self.state = State::Cruise,
            State::Refill if self.round_start => self.start_up(ack.delivered, sample.rate()),
            State::Up => self.check_up(ack, sample),
            _ => {}
        }
    }

    fn check_up(&mut self, ack: &Ack, sample: &RateSample) {
        if self.time_to_go_down(ack, sample) {
            self.cycle.too_high = false;
            self.start_down(ack.now, ack.delivered);
        }
    }

    fn time_to_probe(&self, now: Instant) -> bool {
        let rounds = self.bdp(1.0).min(self.window) / self.packet_size;
        now > self.cycle.began + self.cycle.wait
            || self.cycle.rounds_since_up >= rounds.min(MOST_ROUNDS)
    }

    fn time_to_cruise(&self, ack: &Ack) -> bool {
        let in_flight = ack.in_flight as u64;
        in_flight <= self.inflight_with_headroom() && in_flight <= self.inflight(1.0)
    }

    fn time_to_go_down(&mut self, ack: &Ack, sample: &RateSample) -> bool {
        // Where the last probe lost too much, this one turns before the bound, to see first that it holds (draft §5.3.3.4.2).
        if self.cycle.too_high && ack.in_flight as u64 >= self.inflight_longterm {
            self.cycle.precautionary = true;
            return true;
        }
        if self.held_by_window() && self.window >= self.inflight_longterm {
            // The bound, not the path, limits the rate: no plateau can be seen.
            self.full_pipe.reset(sample.rate());
            return false;
        }
        self.full_pipe.now || self.built_queue()
    }

    /// A whole round trip has shown what faster sending brings, and it brought a queue.
    fn built_queue(&self) -> bool {
        self.cycle.samples == Samples::ProbeFeedback && self.delay.growing()
    }

    fn held_by_window(&self) -> bool {
        self.window_limited || self.window_was_limited
    }

    /// Returns whether it decided a transition.
    fn adapt_upper_bound(&mut self, ack: &Ack, sample: &RateSample) -> bool {
        if self.round_start && self.cycle.samples == Samples::ProbeStarting {
            self.cycle.samples = Samples::ProbeFeedback;
        }
        if self.round_start && self.cycle.samples == Samples::ProbeStopping {
            self.cycle.judging = false;
            self.cycle.samples = Samples::Ordinary;
            if self.in_cycle() && !sample.app_limited {
                self.max_bandwidth.advance();
            }
            if self.in_cycle() && self.cycle.precautionary && !self.cycle.too_high {
                self.start_refill(ack.delivered);
                return true;
            }
        }
        let in_flight = sample.in_flight_when_sent as u64;
        if self.inflight_longterm != UNBOUNDED
            && !self
                .losses
                .too_high(sample.lost, in_flight, self.delay.queue())
        {
            self.inflight_longterm = self.inflight_longterm.max(in_flight);
            if self.state == State::Up {
                self.grow_upper_bound(ack);
            }
        }
        false
    }

    fn grow_upper_bound(&mut self, ack: &Ack) {
        if !self.held_by_window() || self.window < self.inflight_longterm {
            return;
        }
        self.cycle.up_acked += ack.acked as u64;
        let packets = self.cycle.up_acked / self.cycle.up_acked_per_packet;
        self.cycle.up_acked -= packets * self.cycle.up_acked_per_packet;
        self.inflight_longterm += packets * self.packet_size;
        if self.round_start {
            self.steepen();
        }
    }

    /// The bound grows by 1, 2, 4, … packets a round.
    fn steepen(&mut self) {
        let growth = 1 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(MOST_GROWTH);
        self.cycle.up_acked_per_packet = (self.window / growth).max(self.packet_size);
    }

    /// Loss of something sent while probing may show that too much was in flight (draft §5.5.10.2).
    pub(super) fn check_probe_loss(&mut self, lost: &Lost) {
        let in_flight = lost.in_flight_when_sent as u64;
        let queue = self.delay.queue();
        if !self.cycle.judging || !self.losses.too_high(lost.lost_since_sent, in_flight, queue) {
            return;
        }
        self.remember_bounds();
        self.cycle.judging = false;
        self.cycle.too_high = true;
        if !lost.app_limited {
            let at_loss = inflight_at_loss(lost, self.losses.tolerated(queue));
            self.inflight_longterm = at_loss.max(scaled(self.bdp(1.0).min(self.window), BETA));
        }
        self.cycle.turn_down = self.state == State::Up;
    }
}

/// How much was in flight when loss passed what is tolerated: the chunk itself may be what tipped it.
fn inflight_at_loss(lost: &Lost, tolerated: f64) -> u64 {
    let before = lost.in_flight_when_sent.saturating_sub(lost.bytes) as f64;
    let lost_before = lost.lost_since_sent.saturating_sub(lost.bytes as u64) as f64;
    let share = (tolerated * before - lost_before) / (1.0 - tolerated);
    (before + share).max(0.0) as u64
}

/// SplitMix64's finalizer.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
