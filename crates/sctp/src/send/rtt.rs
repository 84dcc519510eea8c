//! The round trip as smoothed, and the timers that follow from it (RFC 9260 §6.3).

use std::time::Duration;

/// Before anything was measured (RFC 9260 §16: RTO.Initial).
const INITIAL: Duration = Duration::from_secs(1);

/// Data that is on its way for so long without a word may be held back by the peer's delayed acknowledgement: 200 ms is customary
/// (RFC 9260 §6.2 allows 500). RTO.Min of one second, in effect, is too long for a person to wait.
const LEAST_VARIATION: Duration = Duration::from_millis(220);

/// The last chunk of a burst asks to be acknowledged at once, so its probe need not allow for a delay, only for scheduling.
const LEAST_PROBE_VARIATION: Duration = Duration::from_millis(20);

/// A path that was gone is tried this often, however long it was gone (RTO.Max; RFC 9260 §16 suggests a minute, which no one waits for).
const LONGEST: Duration = Duration::from_secs(3);

/// SRTT, RTTVAR and RTO.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RoundTrip {
    smoothed: Option<(Duration, Duration)>,
}

impl RoundTrip {
    /// A measurement on a chunk that was sent once (Karn's rule; RFC 9260 §6.3.1, C2 to C4).
    pub(crate) fn update(&mut self, measured: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => (measured, measured / 2),
            Some((smoothed, variation)) => {
                let difference = smoothed.abs_diff(measured);
                (
                    (smoothed * 7 + measured) / 8,
                    (variation * 3 + difference) / 4,
                )
            }
        });
    }

    /// SRTT, once measured.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(smoothed, _)| smoothed)
    }

    /// The retransmission timeout, doubled `backoff` times.
    pub(crate) fn timeout(&self, backoff: u32) -> Duration {
        let once = self.smoothed.map_or(INITIAL, |(smoothed, variation)| {
            smoothed + (variation * 4).max(LEAST_VARIATION)
        });
        once.saturating_mul(1 << backoff.min(16))
            .min(LONGEST.max(once))
    }

    /// How long the tail of a flight may stay unanswered before it is probed (RFC 8985 §7.2).
    pub(crate) fn probe_timeout(&self) -> Duration {
        self.smoothed.map_or(INITIAL / 2, |(smoothed, variation)| {
            smoothed + (variation * 4).max(LEAST_PROBE_VARIATION)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_rfc_9260_and_is_bounded() {
        let mut rtt = RoundTrip::default();
        assert_eq!(rtt.timeout(0), INITIAL);
        rtt.update(Duration::from_millis(100));
        assert_eq!(rtt.smoothed(), Some(Duration::from_millis(100)));
        assert_eq!(rtt.timeout(0), Duration::from_millis(320));
        for _ in 0..50 {
            rtt.update(Duration::from_millis(100));
        }
        assert_eq!(rtt.probe_timeout(), Duration::from_millis(120));
        assert_eq!(rtt.timeout(30), LONGEST);
        rtt.update(Duration::from_secs(60));
        assert!(
            rtt.timeout(3) > LONGEST,
            "never shorter than the path itself"
        );
    }
}
