//! CUBIC (RFC 9438) within the bounds of RFC 9260 §7, with HyStart++ (RFC 9406) to leave slow start.

use std::time::{Duration, Instant};

use super::hystart::{Growth, HyStart};
use super::{Ack, Controller, Lost, Model, Sent, initial_window};

/// RFC 9438 §5: packets a second cubed.
const C: f64 = 0.4;
/// RFC 9438 §4.6: what is left of the window after a loss.
const BETA: f64 = 0.7;

/// The state of RFC 9438 §4.1.2, in bytes.
#[derive(Debug)]
pub(super) struct Cubic {
    packet_size: usize,
    window: f64,
    slow_start_threshold: f64,
    /// The window just before the last reduction.
    w_max: f64,
    /// The window that Reno would have.
    w_est: f64,
    /// When the present stage of congestion avoidance began, and the window then.
    epoch: Option<(Instant, f64)>,
    /// Chunks sent before this and lost belong to the reduction already made.
    reduced_at: Option<Instant>,
    hystart: HyStart,
    /// Window, threshold and w_max as they were before the last reduction, in case the loss was none (RFC 9438 §4.9).
    undo: Option<(f64, f64, f64)>,
    now: Option<Instant>,
    smoothed_rtt: Option<Duration>,
    min_rtt: Option<Duration>,
}

impl Cubic {
    pub(super) fn new(packet_size: usize) -> Self {
        Self {
            packet_size,
            window: initial_window(packet_size) as f64,
            slow_start_threshold: f64::INFINITY,
            w_max: 0.0,
            w_est: 0.0,
            epoch: None,
            reduced_at: None,
            hystart: HyStart::default(),
            undo: None,
            now: None,
            smoothed_rtt: None,
            min_rtt: None,
        }
    }

    fn in_slow_start(&self) -> bool {
        self.window < self.slow_start_threshold
    }

    fn least_window(&self) -> f64 {
        // RFC 9260 §7.2.3: never below four packets but after a timeout.
        4.0 * self.packet_size as f64
    }

    fn reduce(&mut self) {
        self.undo = Some((self.window, self.slow_start_threshold, self.w_max));
        // RFC 9438 §4.7, fast convergence: who has not got back to where he was leaves room to newcomers.
        self.w_max = if self.window < self.w_max {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.slow_start_threshold = (self.window * BETA).max(self.least_window());
        self.window = self.slow_start_threshold;
        self.epoch = None;
    }

    /// RFC 9438 §4.2 to §4.5.
    fn avoid_congestion(&mut self, now: Instant, acked: f64) {
        let packet = self.packet_size as f64;
        let (began, window_then) = *self.epoch.get_or_insert_with(|| {
            self.w_est = self.window;
            (now, self.window)
        });
        let t = now.saturating_duration_since(began).as_secs_f64();
        let rtt = self.smoothed_rtt.unwrap_or_default().as_secs_f64();
        let w_max = self.w_max.max(window_then);
        let k = ((w_max - window_then) / packet / C).cbrt();
        let cubic = |t: f64| (C * (t - k).powi(3)) * packet + w_max;

        let alpha = if self.w_est < self.w_max {
            3.0 * (1.0 - BETA) / (1.0 + BETA)
        } else {
            1.0
        };
        self.w_est += alpha * packet * acked / self.window;
        if cubic(t) < self.w_est {
            self.window = self.window.max(self.w_est);
            return;
        }
        let target = cubic(t + rtt).clamp(self.window, 1.5 * self.window);
        self.window += (target - self.window) * acked / self.window;
    }

    fn measure(&mut self, rtt: Duration) {
        self.min_rtt = Some(self.min_rtt.map_or(rtt, |min| min.min(rtt)));
        self.smoothed_rtt = Some(
            self.smoothed_rtt
                .map_or(rtt, |smoothed| (smoothed * 7 + rtt) / 8),
        );
    }
}

impl Controller for Cubic {
    fn on_sent(&mut self, sent: &Sent) {
        self.now = Some(sent.now);
    }

    fn on_lost(&mut self, lost: &Lost) {
        if self.reduced_at.is_none_or(|at| lost.sent_at > at) {
            self.reduced_at = self.now;
            self.reduce();
        }
    }

    fn on_ack(&mut self, ack: &Ack) {
        self.now = Some(ack.now);
        if let Some(rtt) = ack.rtt {
            self.measure(rtt);
        }
        // RFC 9260 §7.2.1 and §7.2.2: the window grows only while it is what holds the sender back.
        if ack.sample.is_some_and(|sample| sample.app_limited) {
            return;
        }
        if self.in_slow_start() {
            match self.hystart.on_ack(ack) {
                Growth::Share(share) => self.window += ack.acked as f64 * share,
                Growth::Done => self.slow_start_threshold = self.window,
            }
        } else {
            self.avoid_congestion(ack.now, ack.acked as f64);
        }
    }

    fn on_timeout(&mut self, now: Instant, _in_flight: usize) {
        self.reduce();
        self.reduced_at = Some(now);
        self.window = self.packet_size as f64;
    }

    fn on_spurious_loss(&mut self, _bytes: usize) {
        if let Some((window, threshold, w_max)) = self.undo.take() {
            self.window = self.window.max(window);
            self.slow_start_threshold = threshold;
            self.w_max = w_max;
            self.epoch = None;
        }
    }

    fn set_packet_size(&mut self, bytes: usize) {
        self.packet_size = bytes;
    }

    fn window(&self) -> usize {
        self.window as usize
    }

    fn pacing_rate(&self) -> Option<u64> {
        let rtt = self.smoothed_rtt?.as_secs_f64().max(1e-6);
        // As Linux: twice the window's rate while it doubles every round, else a little more than it.
        let gain = if self.in_slow_start() { 2.0 } else { 1.2 };
        Some((gain * self.window / rtt) as u64)
    }

    fn model(&self) -> Model {
        let phase = if self.in_slow_start() {
            "slow start"
        } else {
            "congestion avoidance"
        };
        Model {
            bandwidth: None,
            min_rtt: self.min_rtt,
            phase,
        }
    }
}
