//! When to try a lost server again: exponential backoff with full jitter.
//!
//! Full jitter spreads ten thousand clients of a restarted server over the whole interval. A pair that talks wants its signaling back
//! within five seconds of the server's return; one who waits alone may take longer once the server stays away.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const BRISK_CAP: Duration = Duration::from_secs(4);
const PATIENT_CAP: Duration = Duration::from_secs(30);
/// How long a lone client tries as often as a pair.
const BRISK: Duration = Duration::from_secs(60);

/// `attempt` is 0 for the first, `away` how long the server has been lost.
pub(crate) fn retry_delay(attempt: u32, urgent: bool, away: Duration) -> Duration {
    let cap = if urgent || away < BRISK {
        BRISK_CAP
    } else {
        PATIENT_CAP
    };
    let most = cap.min(FIRST * 2_u32.pow(attempt.min(16)));
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_cap_that_depends_on_who_waits() {
        let longest = |attempt, urgent, away| {
            let draws = (0..200).map(|_| retry_delay(attempt, urgent, Duration::from_secs(away)));
            draws.max().unwrap_or_default()
        };
        assert!(longest(0, false, 0) <= FIRST);
        assert!(longest(40, true, 3_600) <= BRISK_CAP);
        let lone = longest(40, false, 3_600);
        assert!(lone > BRISK_CAP && lone <= PATIENT_CAP);
    }
}
