//! Pacing: spreads what may be sent over time, in runs long enough for segmentation offload and coarse timers.
//!
//! An account of bytes fills at the pacing rate and empties with what is sent; a packet may go while it is above zero. It is
//! worth waiting for a millisecond's worth at a time, which is what ordinary timers can do; what a late timer missed is made up
//! for, up to [`HOLDS`], and nothing beyond, so that a queue behind us sees at most that in one burst.

use std::time::{Duration, Instant};

/// How long a timer sleeps at least on a fast path.
const QUANTUM: Duration = Duration::from_millis(1);
/// How much unused allowance is kept.
const HOLDS: Duration = Duration::from_millis(3);
/// The longest run: what one segmentation offload call takes.
const LONGEST_RUN: usize = 64 * 1024;
/// A path not yet measured, and a slow one, may send this many packets at once.
const LEAST_PACKETS: usize = 2;

/// The account; `credit` is below zero while what was sent is not yet earned.
#[derive(Debug)]
pub(super) struct Pacer {
    credit: i64,
    filled_at: Instant,
    packet_size: usize,
}

impl Pacer {
    pub(super) fn new(now: Instant, packet_size: usize) -> Self {
        Self {
            credit: bytes(LEAST_PACKETS * packet_size),
            filled_at: now,
            packet_size,
        }
    }

    /// How many bytes may go now in one run, or when to ask again.
    pub(super) fn allowance(&mut self, now: Instant, rate: Option<u64>) -> Result<usize, Instant> {
        let Some(rate) = rate else {
            return Ok(LONGEST_RUN);
        };
        let rate = rate.max(1);
        self.fill(now, rate);
        if self.credit > 0 {
            return Ok(usize::try_from(self.credit)
                .unwrap_or(LONGEST_RUN)
                .min(LONGEST_RUN));
        }
        let missing = 1 + u64::try_from(-self.credit).unwrap_or(0) + worth(rate, QUANTUM);
        Err(now + time_for(missing, rate))
    }

    pub(super) fn spend(&mut self, sent: usize) {
        self.credit -= bytes(sent);
    }

    pub(super) fn set_packet_size(&mut self, packet_size: usize) {
        self.packet_size = packet_size;
    }

    fn fill(&mut self, now: Instant, rate: u64) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let earned = worth(rate, elapsed);
        let most = worth(rate, HOLDS).max((LEAST_PACKETS * self.packet_size) as u64);
        self.credit = self
            .credit
            .saturating_add_unsigned(earned)
            .min(i64::try_from(most).unwrap_or(i64::MAX));
        // What was earned in whole bytes is paid for; the rest of the time stays on the account.
        self.filled_at = (self.filled_at + time_for(earned, rate)).min(now);
    }
}

fn bytes(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn worth(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    Duration::from_nanos(
        u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX),
    )
}
