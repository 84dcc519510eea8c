//! BBR, version 3 (draft-ietf-ccwg-bbr).
//!
//! The sender keeps a model of the path: the most it delivered of late and the shortest round trip of late. Their product is what
//! fits on the way; it paces at the one and keeps about twice the product in flight at most. Every few seconds it sends faster for
//! a while to see whether the path carries more ([`cycle`]), and every five seconds, unless silence did it, it empties the queue
//! to see the shortest round trip anew. Loss bounds how much may be in flight, once it is more than a few per cent ([`loss`]).

mod cycle;
mod delay;
mod filters;
mod loss;

use std::time::{Duration, Instant};

use self::cycle::Cycle;
use self::delay::Delay;
use self::filters::{Aggregation, FullPipe, RecentMax};
use self::loss::Losses;
use super::rate::{RateSample, Rounds};
use super::{Ack, Controller, Lost, Model, Sent, initial_window};

/// 4 ln 2, the least that doubles the rate every round (draft §2.5).
const STARTUP_PACING_GAIN: f64 = 2.77;
const DRAIN_PACING_GAIN: f64 = 0.5;
const WINDOW_GAIN: f64 = 2.0;
const QUEUE_WINDOW_GAIN: f64 = 1.5;
const UP_WINDOW_GAIN: f64 = 2.25;
const PROBE_RTT_WINDOW_GAIN: f64 = 0.5;
/// How long the queue is kept empty to see the shortest round trip.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);
/// A little below the bandwidth, so that queues drain (draft §2.4).
const PACING_MARGIN: f64 = 0.99;
/// What remains after a reduction at most as hard as CUBIC's (draft §2.8).
const BETA: f64 = 0.7;
/// Room left to others below the bound found by loss (draft §2.8).
const HEADROOM: f64 = 0.15;
/// Rounds after which Drain ends, however much is in flight.
const DRAIN_ROUNDS: u64 = 3;
/// Lost ranges in a round, at the least, that end Startup.
const STARTUP_LOSSES: u32 = 6;
/// No bound.
const UNBOUNDED: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain { since_round: u64 },
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt { until: Option<Instant> },
}

/// The state of one path. Bytes, and bytes a second.
#[derive(Debug)]
pub(super) struct Bbr {
    packet_size: u64,
    state: State,
    window: u64,
    /// The window before ProbeRTT or a timeout cut it.
    prior_window: u64,
    pacing_rate: u64,

    rounds: Rounds,
    round_start: bool,
    /// The most delivered in this and the last cycle, and what is made of it: bounded after congestion.
    max_bandwidth: RecentMax,
    bandwidth: u64,
    delay: Delay,
    aggregation: Aggregation,
    full_pipe: FullPipe,
    losses: Losses,
    cycle: Cycle,

    /// Bounds for the time until the next probe, from what was delivered in rounds with congestion.
    bandwidth_shortterm: u64,
    inflight_shortterm: u64,
    /// The bound that loss while probing showed.
    inflight_longterm: u64,
    /// Maxima of the present round.
    bandwidth_latest: u64,
    inflight_latest: u64,
    /// Lost ranges in the present round, as far as they can be told apart by when they left.
    lost_ranges: u32,
    last_lost_sent_at: Option<Instant>,
    /// When Startup ended, and what was lost since the last acknowledgement of what had left by then: leaving it was the response.
    startup_ended: Option<Instant>,
    excused: u64,
    /// Longterm and shortterm bounds as they were before the last reduction, in case the loss was none.
    undo: Option<Undo>,

    /// The window, not the pacing, held the sender back, in this round and in the previous.
    window_limited: bool,
    window_was_limited: bool,
    /// More might have gone in this round than did: what was delivered in it is not the most that can be.
    spare: bool,
    idle_restart: bool,
    /// The window is cut by a timeout until something sent since arrives.
    timed_out_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Undo {
    startup: bool,
    bandwidth_shortterm: u64,
    inflight_shortterm: u64,
    inflight_longterm: u64,
}

impl Bbr {
    pub(super) fn new(now: Instant, packet_size: usize) -> Self {
        let window = initial_window(packet_size) as u64;
        Self {
            packet_size: packet_size as u64,
            state: State::Startup,
            window,
            prior_window: 0,
            // Before a round trip was measured: the initial window within a millisecond (draft §5.6.2).
            pacing_rate: (STARTUP_PACING_GAIN * window as f64 * 1000.0) as u64,
            rounds: Rounds::default(),
            round_start: false,
            max_bandwidth: RecentMax::default(),
            bandwidth: 0,
            delay: Delay::new(now),
            aggregation: Aggregation::new(now),
            full_pipe: FullPipe::default(),
            losses: Losses::default(),
            cycle: Cycle::new(now),
            bandwidth_shortterm: UNBOUNDED,
            inflight_shortterm: UNBOUNDED,
            inflight_longterm: UNBOUNDED,
            bandwidth_latest: 0,
            inflight_latest: 0,
            lost_ranges: 0,
            last_lost_sent_at: None,
            startup_ended: None,
            excused: 0,
            undo: None,
            window_limited: false,
            window_was_limited: false,
            spare: false,
            idle_restart: false,
            timed_out_at: None,
        }
    }

    fn probing_bandwidth(&self) -> bool {
        matches!(self.state, State::Startup | State::Refill | State::Up)
    }

    fn in_cycle(&self) -> bool {
        matches!(
            self.state,
            State::Down | State::Cruise | State::Refill | State::Up
        )
    }

    // The model.

    /// A sample that took less than the shortest round trip is of an acknowledgement of something else.
    fn plausible(&self, sample: RateSample) -> Option<RateSample> {
        let shortest = self.delay.shortest().unwrap_or_default();
        (sample.interval >= shortest && !sample.interval.is_zero()).then_some(sample)
    }

    fn update_rounds(&mut self, ack: &Ack, sample: &RateSample) {
        self.round_start = self.rounds.advance(sample.prior_delivered, ack.delivered);
        if !self.round_start {
            return;
        }
        self.cycle.rounds_since_up += 1;
        self.window_was_limited = std::mem::take(&mut self.window_limited);
        self.aggregation.end_round(!self.full_pipe.reached);
    }

    fn update_bandwidth(&mut self, sample: &RateSample) {
        let rate = sample.rate();
        if rate >= self.max_bandwidth.value() || !sample.app_limited {
            self.max_bandwidth.update(rate);
        }
        self.bandwidth_latest = self.bandwidth_latest.max(rate);
        self.inflight_latest = self.inflight_latest.max(sample.delivered);
    }

    /// Once a round: whether what was lost in it says that less should be sent until the next probe (draft §5.5.10.3).
    fn end_loss_round(&mut self, sample: &RateSample) {
        let queue = self.delay.queue();
        let slowed = self.bandwidth_shortterm != UNBOUNDED;
        let loss = self.losses.end_round(slowed, queue);
        self.lost_ranges = 0;
        let spare = std::mem::take(&mut self.spare);
        if loss && !spare && !self.probing_bandwidth() {
            self.lower_bounds();
        }
        self.bandwidth_latest = sample.rate();
        self.inflight_latest = sample.delivered;
    }

    fn lower_bounds(&mut self) {
        self.remember_bounds();
        if self.bandwidth_shortterm == UNBOUNDED {
            self.bandwidth_shortterm = self.max_bandwidth.value();
        }
        if self.inflight_shortterm == UNBOUNDED {
            self.inflight_shortterm = self.window;
        }
        self.bandwidth_shortterm = self
            .bandwidth_latest
            .max(scaled(self.bandwidth_shortterm, BETA));
        self.inflight_shortterm = self
            .inflight_latest
            .max(scaled(self.inflight_shortterm, BETA));
    }

    fn reset_lower_bounds(&mut self) {
        self.bandwidth_shortterm = UNBOUNDED;
        self.inflight_shortterm = UNBOUNDED;
    }

    fn remember_bounds(&mut self) {
        self.undo = Some(Undo {
            startup: self.state == State::Startup,
            bandwidth_shortterm: self.bandwidth_shortterm,
            inflight_shortterm: self.inflight_shortterm,
            inflight_longterm: self.inflight_longterm,
        });
    }

    // Startup and Drain.

    fn check_full_pipe(&mut self, now: Instant, sample: &RateSample) {
        if !self.round_start
            || sample.app_limited
            || !matches!(self.state, State::Startup | State::Up)
        {
            return;
        }
        let loss =
            self.lost_ranges >= STARTUP_LOSSES && self.losses.high_so_far(self.delay.growing());
        let confirmed = self.state == State::Startup && (loss || self.delay.growing());
        self.full_pipe.end_round(sample.rate(), confirmed);
        if self.state == State::Startup && self.full_pipe.reached {
            if loss {
                self.remember_bounds();
                self.inflight_longterm = self.bdp(1.0).max(self.inflight_latest);
            }
            self.startup_ended = Some(now);
            self.state = State::Drain {
                since_round: self.rounds.count(),
            };
        }
    }

    /// Signs of a full pipe that come before the rate stops growing: a growing queue, or as much loss as only overflow explains.
    fn overshot(&self) -> bool {
        self.delay.growing() || (self.lost_ranges >= STARTUP_LOSSES && self.losses.severe())
    }

    fn check_drain(&mut self, ack: &Ack) {
        if let State::Drain { since_round } = self.state
            && (ack.in_flight as u64 <= self.inflight(1.0)
                || self.rounds.count() > since_round + DRAIN_ROUNDS)
        {
            self.start_down(ack.now, ack.delivered);
        }
    }

    // ProbeRTT.

    fn check_probe_rtt(&mut self, ack: &Ack, due: bool) {
        if let State::ProbeRtt { until } = self.state {
            match until {
                None if ack.in_flight as u64 <= self.probe_rtt_window() => {
                    self.state = State::ProbeRtt {
                        until: Some(ack.now + PROBE_RTT_DURATION),
                    };
                    self.rounds.restart(ack.delivered);
                }
                Some(until) if self.round_start && ack.now > until => {
                    self.end_probe_rtt(ack.now, ack.delivered)
                }
                _ => {}
            }
        } else if due && !self.idle_restart {
            self.prior_window = self.prior_window.max(self.window);
            self.state = State::ProbeRtt { until: None };
            self.cycle.stop_sampling();
            self.rounds.restart(ack.delivered);
        }
        self.idle_restart = false;
    }

    fn end_probe_rtt(&mut self, now: Instant, delivered: u64) {
        self.delay.probe_done(now);
        self.restore_window();
        self.reset_lower_bounds();
        if self.full_pipe.reached {
            self.start_down(now, delivered);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }

    fn restore_window(&mut self) {
        self.window = self.window.max(std::mem::take(&mut self.prior_window));
    }

    // What the model allows.

    /// A multiple of the bandwidth-delay product.
    fn bdp(&self, gain: f64) -> u64 {
        match self.delay.shortest() {
            Some(shortest) => (gain * self.bandwidth as f64 * shortest.as_secs_f64()) as u64,
            None => 10 * self.packet_size,
        }
    }

    /// The same, with room for what waits in offloads and for delayed SACKs.
    fn inflight(&self, gain: f64) -> u64 {
        let quantum = (self.pacing_rate / 1000).clamp(2 * self.packet_size, 64 * 1024);
        let quantized = self.bdp(gain).max(quantum).max(self.least_window());
        if self.state == State::Up {
            quantized + 2 * self.packet_size
        } else {
            quantized
        }
    }

    fn least_window(&self) -> u64 {
        4 * self.packet_size
    }

    fn probe_rtt_window(&self) -> u64 {
        self.bdp(PROBE_RTT_WINDOW_GAIN).max(self.least_window())
    }

    fn inflight_with_headroom(&self) -> u64 {
        if self.inflight_longterm == UNBOUNDED {
            return UNBOUNDED;
        }
        let headroom = scaled(self.inflight_longterm, HEADROOM).max(self.packet_size);
        self.inflight_longterm
            .saturating_sub(headroom)
            .max(self.least_window())
    }

    fn pacing_gain(&self) -> f64 {
        match self.state {
            // The round trip tells of a full pipe long before the rate does: hold until the one or the other changes its mind.
            State::Startup if self.overshot() => 1.0,
            State::Startup => STARTUP_PACING_GAIN,
            State::Drain { .. } => DRAIN_PACING_GAIN,
            State::Down => cycle::DOWN_PACING_GAIN,
            State::Up => cycle::UP_PACING_GAIN,
            State::Cruise | State::Refill | State::ProbeRtt { .. } => 1.0,
        }
    }

    fn update_pacing(&mut self, gain: f64) {
        let rate = (gain * PACING_MARGIN * self.bandwidth as f64) as u64;
        if rate > 0 && (self.full_pipe.reached || self.overshot() || rate > self.pacing_rate) {
            self.pacing_rate = rate;
        }
    }

    fn update_window(&mut self, ack: &Ack) {
        let gain = match self.state {
            State::Up => UP_WINDOW_GAIN,
            // A queue stands that pacing below the bandwidth does not drain: somebody else's, who needs the room to grow.
            State::Down | State::Cruise if self.delay.queue() => QUEUE_WINDOW_GAIN,
            _ => WINDOW_GAIN,
        };
        let most = self.inflight(gain) + self.aggregation.extra();
        let grown = self.window + ack.acked as u64;
        if self.full_pipe.reached {
            self.window = grown.min(most);
        } else if self.window < most || ack.delivered < 10 * self.packet_size {
            self.window = grown;
        }
        let bound = match self.state {
            State::Startup | State::Drain { .. } => UNBOUNDED,
            State::Down | State::Refill | State::Up => self.inflight_longterm,
            State::Cruise => self.inflight_with_headroom(),
            State::ProbeRtt { .. } => self.inflight_with_headroom().min(self.probe_rtt_window()),
        };
        self.window = self
            .window
            .min(bound.min(self.inflight_shortterm))
            .max(self.least_window());
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, sent: &Sent) {
        if sent.in_flight as u64 + self.packet_size > self.window {
            self.window_limited = true;
        }
        if sent.in_flight == sent.bytes && sent.app_limited {
            // Draft §5.4.1: back from idleness, at exactly the bandwidth.
            self.idle_restart = true;
            self.aggregation.restart(sent.now);
            if self.in_cycle() {
                self.update_pacing(1.0);
            }
        }
    }

    fn on_lost(&mut self, lost: &Lost) {
        if self.last_lost_sent_at != Some(lost.sent_at) {
            self.last_lost_sent_at = Some(lost.sent_at);
            self.lost_ranges += 1;
        }
        if self
            .startup_ended
            .is_some_and(|ended| lost.sent_at <= ended)
        {
            self.excused += lost.bytes as u64;
        } else if self.state != State::Startup {
            self.check_probe_loss(lost);
        }
    }

    fn on_ack(&mut self, ack: &Ack) {
        if let (None, Some(rtt)) = (self.delay.shortest(), ack.rtt) {
            self.pacing_rate =
                (STARTUP_PACING_GAIN * self.window as f64 / rtt.as_secs_f64().max(1e-3)) as u64;
        }
        let probe_rtt_due = self.delay.on_ack(ack.now, ack.rtt);
        let lost = (ack.lost as u64).saturating_sub(std::mem::take(&mut self.excused));
        self.losses.on_ack(ack.acked as u64, lost);
        self.spare |= ack.spare;
        self.round_start = false;
        if let Some(sample) = ack.sample.and_then(|sample| self.plausible(sample)) {
            self.update_rounds(ack, &sample);
            self.update_bandwidth(&sample);
            if self.round_start {
                self.end_loss_round(&sample);
            }
            self.aggregation
                .on_ack(ack.now, ack.acked as u64, self.bandwidth, self.window);
            self.check_full_pipe(ack.now, &sample);
            self.check_drain(ack);
            self.advance_cycle(ack, &sample);
            if self.round_start {
                self.delay.end_round();
            }
        }
        self.check_probe_rtt(ack, probe_rtt_due);
        self.bandwidth = self.max_bandwidth.value().min(self.bandwidth_shortterm);
        if ack.acked > 0 && self.timed_out_at.take().is_some() {
            self.restore_window();
        }
        self.update_pacing(self.pacing_gain());
        self.update_window(ack);
    }

    fn on_timeout(&mut self, now: Instant, in_flight: usize) {
        self.prior_window = self.prior_window.max(self.window);
        self.timed_out_at = Some(now);
        self.excused = 0;
        self.window = in_flight as u64 + self.packet_size;
    }

    fn on_spurious_loss(&mut self, bytes: usize) {
        self.losses.spurious(bytes as u64);
        let Some(undo) = self.undo.take() else { return };
        self.bandwidth_shortterm = self.bandwidth_shortterm.max(undo.bandwidth_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(undo.inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(undo.inflight_longterm);
        if undo.startup && matches!(self.state, State::Drain { .. }) {
            self.full_pipe = FullPipe::default();
            self.startup_ended = None;
            self.state = State::Startup;
        }
    }

    fn set_packet_size(&mut self, bytes: usize) {
        self.packet_size = bytes as u64;
    }

    fn window(&self) -> usize {
        usize::try_from(self.window).unwrap_or(usize::MAX)
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }

    fn model(&self) -> Model {
        let phase = match self.state {
            State::Startup => "Startup",
            State::Drain { .. } => "Drain",
            State::Down => "ProbeBW_DOWN",
            State::Cruise => "ProbeBW_CRUISE",
            State::Refill => "ProbeBW_REFILL",
            State::Up => "ProbeBW_UP",
            State::ProbeRtt { .. } => "ProbeRTT",
        };
        Model {
            bandwidth: (self.bandwidth > 0).then_some(self.bandwidth),
            min_rtt: self.delay.shortest(),
            phase,
        }
    }
}

fn scaled(value: u64, gain: f64) -> u64 {
    (value as f64 * gain) as u64
}
