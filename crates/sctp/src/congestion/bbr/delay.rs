//! The shortest round trip, when to look for it anew, and whether a queue stands.

use std::time::{Duration, Instant};

/// The shortest round trip is remembered so long (draft §2.14.1).
const MEMORY: Duration = Duration::from_secs(10);
/// Without a new shortest round trip for so long, the queue is emptied to measure one (draft §2.14.2).
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// A round trip this much above the shortest shows a queue: a quarter, and more than timers and delayed SACKs bring about.
const QUEUE_SHARE: u32 = 4;
const QUEUE_LEAST: Duration = Duration::from_millis(4);

/// So many samples in a row, each longer by an eighth within these bounds, show early that a queue grows (RFC 9406 §4.3).
const GROWING_SAMPLES: u32 = 8;
const GROWING_LEAST: Duration = Duration::from_millis(4);
const GROWING_MOST: Duration = Duration::from_millis(16);

/// Round trip times as the model needs them.
#[derive(Debug)]
pub(super) struct Delay {
    shortest: Option<Duration>,
    shortest_at: Instant,
    /// The shortest since the last probe, which takes the other's place when that is too old.
    probed: Option<Duration>,
    probed_at: Instant,
    /// Shortest of the present and of the previous round.
    round: Option<Duration>,
    previous_round: Option<Duration>,
    /// Samples in a row that were longer than this.
    usual: Option<Duration>,
    longer: u32,
}

impl Delay {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            shortest: None,
            shortest_at: now,
            probed: None,
            probed_at: now,
            round: None,
            previous_round: None,
            usual: None,
            longer: 0,
        }
    }

    /// Returns whether it is time to probe for the shortest round trip.
    pub(super) fn on_ack(&mut self, now: Instant, rtt: Option<Duration>) -> bool {
        let expired = now > self.probed_at + PROBE_INTERVAL;
        if let Some(rtt) = rtt {
            self.round = Some(self.round.map_or(rtt, |least| least.min(rtt)));
            let usual = self.usual.or(self.shortest);
            let longer = usual
                .is_some_and(|usual| rtt > usual + (usual / 8).clamp(GROWING_LEAST, GROWING_MOST));
            self.longer = if longer { self.longer + 1 } else { 0 };
            if expired || self.probed.is_none_or(|least| rtt < least) {
                self.probed = Some(rtt);
                self.probed_at = now;
            }
        }
        let outdated = now > self.shortest_at + MEMORY;
        if let Some(probed) = self.probed
            && (outdated || self.shortest.is_none_or(|least| probed < least))
        {
            self.shortest = Some(probed);
            self.shortest_at = self.probed_at;
        }
        expired
    }

    pub(super) fn end_round(&mut self) {
        if self.round.is_some() {
            self.previous_round = self.round.take();
        }
    }

    /// A probe ended: the next is due an interval from now.
    pub(super) fn probe_done(&mut self, now: Instant) {
        self.probed_at = now;
    }

    pub(super) fn shortest(&self) -> Option<Duration> {
        self.shortest
    }

    /// Whatever queue stands now is not of our making: watch for one that grows beyond it.
    pub(super) fn watch_growth(&mut self) {
        self.usual = self.previous_round.max(self.shortest);
        self.longer = 0;
    }

    /// Whether a queue has begun to grow.
    pub(super) fn growing(&self) -> bool {
        self.longer >= GROWING_SAMPLES
    }

    /// Whether every round trip of this and the previous round was longer than an empty queue explains.
    pub(super) fn queue(&self) -> bool {
        let least = match (self.round, self.previous_round) {
            (Some(present), Some(previous)) => present.min(previous),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return false,
        };
        self.shortest
            .is_some_and(|shortest| least > shortest + (shortest / QUEUE_SHARE).max(QUEUE_LEAST))
    }
}
