//! Delivery rate per acknowledged chunk (draft-ietf-ccwg-bbr §4.1, after draft-cheng-iccrg-delivery-rate-estimation).
//!
//! Each chunk remembers, in a [`Snapshot`], how much had been delivered when it left. When it is acknowledged, what was
//! delivered since then over the time that took is the rate at which the path delivers. Of a SACK that acknowledges many, the
//! chunk sent last counts.

use std::time::{Duration, Instant};

use super::Lost;

/// What a chunk remembers of the moment it left. Nanoseconds since the sampler began, for half the size of an `Instant`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    sent_at: u64,
    /// When the chunk left whose acknowledgement was the last before this one left.
    first_sent_at: u64,
    /// When `delivered` was reached.
    delivered_at: u64,
    delivered: u64,
    lost: u64,
    in_flight: u32,
    app_limited: bool,
}

impl Snapshot {
    pub(super) fn app_limited(&self) -> bool {
        self.app_limited
    }
}

/// The rate a SACK shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateSample {
    /// Bytes delivered while the chunk was under way, and the time that took.
    pub(super) delivered: u64,
    pub(super) interval: Duration,
    /// Bytes delivered before the chunk left: a round is over when this passes what was delivered at its start.
    pub(super) prior_delivered: u64,
    /// In flight when the chunk left, and lost since.
    pub(super) in_flight_when_sent: usize,
    pub(super) lost: u64,
    /// The chunk left while the application did not keep the path busy.
    pub(super) app_limited: bool,
}

impl RateSample {
    /// Bytes a second.
    pub(super) fn rate(&self) -> u64 {
        let nanos = self.interval.as_nanos().max(1);
        u64::try_from(u128::from(self.delivered) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// Counts what is delivered and makes rate samples of it.
#[derive(Debug)]
pub(super) struct Sampler {
    began: Instant,
    delivered: u64,
    delivered_at: u64,
    first_sent_at: u64,
    lost: u64,
    /// Samples of chunks sent before so much was delivered are limited by the application; zero when none are.
    app_limited_until: u64,
    /// The chunk sent last of those that the present SACK acknowledged.
    newest: Option<Snapshot>,
}

impl Sampler {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            delivered: 0,
            delivered_at: 0,
            first_sent_at: 0,
            lost: 0,
            app_limited_until: 0,
            newest: None,
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn on_sent(
        &mut self,
        now: Instant,
        bytes: usize,
        in_flight_before: usize,
    ) -> Snapshot {
        let now = self.nanos(now);
        if in_flight_before == 0 {
            // Idle time is not the path's: the clock of both intervals starts with this chunk.
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Snapshot {
            sent_at: now,
            first_sent_at: self.first_sent_at,
            delivered_at: self.delivered_at,
            delivered: self.delivered,
            lost: self.lost,
            in_flight: u32::try_from(in_flight_before + bytes).unwrap_or(u32::MAX),
            app_limited: self.app_limited_until > 0,
        }
    }

    pub(super) fn chunk_acked(
        &mut self,
        now: Instant,
        snapshot: &Snapshot,
        bytes: usize,
        retransmitted: bool,
    ) {
        self.delivered += bytes as u64;
        self.delivered_at = self.nanos(now);
        // Which of its transmissions arrived is not known, so a retransmitted chunk is counted, but measures nothing.
        if !retransmitted
            && self
                .newest
                .is_none_or(|newest| snapshot.sent_at >= newest.sent_at)
        {
            self.newest = Some(*snapshot);
        }
    }

    pub(super) fn chunk_lost(&mut self, snapshot: &Snapshot, bytes: usize) -> Lost {
        self.lost += bytes as u64;
        Lost {
            sent_at: self.began + Duration::from_nanos(snapshot.sent_at),
            bytes,
            in_flight_when_sent: snapshot.in_flight as usize,
            lost_since_sent: self.lost.saturating_sub(snapshot.lost),
            app_limited: snapshot.app_limited,
        }
    }

    /// The sample of the SACK just worked through.
    pub(super) fn finish(&mut self) -> Option<RateSample> {
        if self.app_limited_until > 0 && self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let newest = self.newest.take()?;
        self.first_sent_at = newest.sent_at;
        // The slower of sending and acknowledging: acknowledgements that arrive in a lump look faster than the path is.
        let sending = newest.sent_at - newest.first_sent_at;
        let acknowledging = self.delivered_at - newest.delivered_at;
        Some(RateSample {
            delivered: self.delivered - newest.delivered,
            interval: Duration::from_nanos(sending.max(acknowledging)),
            prior_delivered: newest.delivered,
            in_flight_when_sent: newest.in_flight as usize,
            lost: self.lost.saturating_sub(newest.lost),
            app_limited: newest.app_limited,
        })
    }

    /// What was counted as lost arrived after all.
    pub(super) fn spurious_loss(&mut self, bytes: usize) {
        self.lost = self.lost.saturating_sub(bytes as u64);
    }

    pub(super) fn app_limited(&mut self, in_flight: usize) {
        self.app_limited_until = (self.delivered + in_flight as u64).max(1);
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Counts round trips by what was delivered: a round is over when something sent after its start is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    end: u64,
    count: u64,
}

impl Rounds {
    /// Whether the SACK with this sample begins a new round.
    pub(super) fn advance(&mut self, prior_delivered: u64, delivered: u64) -> bool {
        let over = prior_delivered >= self.end;
        if over {
            self.restart(delivered);
            self.count += 1;
        }
        over
    }

    /// Begin a round now.
    pub(super) fn restart(&mut self, delivered: u64) {
        self.end = delivered;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}
