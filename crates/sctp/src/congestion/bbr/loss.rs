//! Tells the loss that congestion makes from the loss that the path has anyhow.
//!
//! BBRv3 tolerates 2 % while it probes. Wi-Fi with bursts of 3 % on average loses a sixth of one round and nothing of the next,
//! which by that rule is congestion every time. But congestion shows itself otherwise too: it queues before it drops, or it
//! ends when the sender slows down to what came through. So what is still lost, without a queue, by a sender that has slowed
//! down is the path's own, and as much is tolerated beyond the 2 % while no queue stands. A shallow queue or a policer, which
//! drop without delay, stop dropping when the sender slows, and earn no such tolerance.

/// Loss in a round trip beyond which too much is in flight (draft §2.7).
const THRESHOLD: f64 = 0.02;
/// However lossy the path, more is never taken for its own.
const MOST: f64 = 0.2;
/// Loss of a sender that has overshot.
const SEVERE: f64 = 0.15;
/// A round keeps this much of the memory of the worst.
const KEEP: f64 = 63.0 / 64.0;
/// What is acknowledged in a round left in the round before: so many rounds after slowing down the effect is seen.
const EFFECT_ROUNDS: u32 = 2;

/// The rounds' loss, and what of it is the path's own.
#[derive(Debug, Default)]
pub(super) struct Losses {
    acked: u64,
    lost: u64,
    slow_rounds: u32,
    own: f64,
}

impl Losses {
    pub(super) fn on_ack(&mut self, acked: u64, lost: u64) {
        self.acked += acked;
        self.lost += lost;
    }

    pub(super) fn spurious(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_sub(bytes);
    }

    /// A round is over. `slowed`: the sender holds back to what came through. Returns whether the loss calls for a response.
    pub(super) fn end_round(&mut self, slowed: bool, queue: bool) -> bool {
        let rate = self.lost as f64 / (self.acked + self.lost).max(1) as f64;
        self.acked = 0;
        self.lost = 0;
        let response = if queue {
            rate > 0.0
        } else {
            rate > self.tolerated(queue)
        };

        self.slow_rounds = if slowed { self.slow_rounds + 1 } else { 0 };
        let most = if self.slow_rounds >= EFFECT_ROUNDS {
            MOST
        } else {
            self.own
        };
        if !queue {
            self.own = (self.own * KEEP).max(rate.min(most));
        }
        response
    }

    /// Whether the present round has lost too much already.
    pub(super) fn high_so_far(&self, queue: bool) -> bool {
        self.too_high(self.lost, self.acked + self.lost, queue)
    }

    /// Whether the present round has lost a good part.
    pub(super) fn severe(&self) -> bool {
        self.lost as f64 > (self.acked + self.lost) as f64 * SEVERE
    }

    /// Whether `lost` of `in_flight` is more than a path takes that is not congested.
    pub(super) fn too_high(&self, lost: u64, in_flight: u64, queue: bool) -> bool {
        lost as f64 > in_flight as f64 * self.tolerated(queue)
    }

    /// The share of a round that may be lost.
    pub(super) fn tolerated(&self, queue: bool) -> f64 {
        if queue {
            THRESHOLD
        } else {
            THRESHOLD + self.own
        }
    }
}
