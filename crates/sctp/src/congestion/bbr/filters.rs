//! What the model is made of: a windowed maximum, the full pipe estimator, and the aggregation of acknowledgements.

use std::time::Instant;

/// The maximum over the present and the previous of some spans (cycles, rounds) that the owner declares over.
#[derive(Debug, Default)]
pub(super) struct RecentMax {
    previous: u64,
    present: u64,
}

impl RecentMax {
    pub(super) fn update(&mut self, value: u64) {
        self.present = self.present.max(value);
    }

    /// A span is over; what is older than one span is forgotten.
    pub(super) fn advance(&mut self) {
        if self.present > 0 {
            self.previous = std::mem::take(&mut self.present);
        }
    }

    pub(super) fn value(&self) -> u64 {
        self.previous.max(self.present)
    }
}

/// Growth below this says that sending faster brought little (draft §5.3.1.2).
const GROWTH: f64 = 1.25;
/// Rounds without growth after which the pipe is taken for full; one is enough where a queue or loss confirms it.
const STALLED_ROUNDS: u32 = 3;

/// Tells by a plateau of the delivery rate that the pipe is full.
#[derive(Debug, Default)]
pub(super) struct FullPipe {
    baseline: u64,
    stalled: u32,
    /// Since the last reset.
    pub(super) now: bool,
    /// Since ever.
    pub(super) reached: bool,
}

impl FullPipe {
    /// Watch for a plateau above `baseline` anew.
    pub(super) fn reset(&mut self, baseline: u64) {
        self.baseline = baseline;
        self.stalled = 0;
        self.now = false;
    }

    /// A round that the application did not limit ended at `rate`; `confirmed`: there was a queue, or loss, as of a full pipe.
    pub(super) fn end_round(&mut self, rate: u64, confirmed: bool) {
        if self.now {
            return;
        }
        if rate as f64 >= self.baseline as f64 * GROWTH {
            self.reset(rate);
            return;
        }
        self.stalled += 1;
        if self.stalled >= STALLED_ROUNDS || confirmed {
            self.now = true;
            self.reached = true;
        }
    }
}

/// Rounds of a span of the maximum below: it remembers five to ten (draft: ten).
const AGGREGATION_ROUNDS: u64 = 5;

/// How much more is acknowledged at once than the bandwidth explains (draft §5.5.9): Wi-Fi, delayed and lost SACKs.
#[derive(Debug)]
pub(super) struct Aggregation {
    began: Instant,
    acked: u64,
    extra: RecentMax,
    rounds: u64,
}

impl Aggregation {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            acked: 0,
            extra: RecentMax::default(),
            rounds: 0,
        }
    }

    pub(super) fn restart(&mut self, now: Instant) {
        self.began = now;
        self.acked = 0;
    }

    pub(super) fn on_ack(&mut self, now: Instant, acked: u64, bandwidth: u64, most: u64) {
        let mut expected = expected(bandwidth, self.began, now);
        if self.acked <= expected {
            self.restart(now);
            expected = 0;
        }
        self.acked += acked;
        self.extra.update((self.acked - expected).min(most));
    }

    /// In Startup only the last round is remembered, as the bandwidth it was judged by is outdated after it.
    pub(super) fn end_round(&mut self, startup: bool) {
        self.rounds += 1;
        if startup || self.rounds.is_multiple_of(AGGREGATION_ROUNDS) {
            self.extra.advance();
        }
    }

    pub(super) fn extra(&self) -> u64 {
        self.extra.value()
    }
}

fn expected(bandwidth: u64, from: Instant, to: Instant) -> u64 {
    (bandwidth as f64 * to.saturating_duration_since(from).as_secs_f64()) as u64
}
