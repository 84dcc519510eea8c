//! HyStart++ (RFC 9406): leave slow start when the round trip grows, before the queue overflows.

use std::time::Duration;

use super::Ack;
use super::rate::Rounds;

/// MIN_RTT_THRESH, MAX_RTT_THRESH, MIN_RTT_DIVISOR, N_RTT_SAMPLE, CSS_GROWTH_DIVISOR, CSS_ROUNDS of RFC 9406 §4.3.
const LEAST_THRESHOLD: Duration = Duration::from_millis(4);
const MOST_THRESHOLD: Duration = Duration::from_millis(16);
const THRESHOLD_DIVISOR: u32 = 8;
const SAMPLES: u32 = 8;
const CONSERVATIVE_GROWTH_DIVISOR: f64 = 4.0;
const CONSERVATIVE_ROUNDS: u32 = 5;

/// How slow start shall go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Growth {
    /// The window grows by this share of what is acknowledged.
    Share(f64),
    /// Slow start is over.
    Done,
}

/// Watches the rounds of slow start.
#[derive(Debug, Default)]
pub(super) struct HyStart {
    rounds: Rounds,
    samples: u32,
    shortest: Option<Duration>,
    previous_shortest: Option<Duration>,
    /// Conservative slow start: the shortest round trip when it began, and how many rounds it has lasted.
    conservative: Option<(Duration, u32)>,
}

impl HyStart {
    /// One SACK in slow start.
    pub(super) fn on_ack(&mut self, ack: &Ack) -> Growth {
        if ack
            .sample
            .is_some_and(|sample| self.rounds.advance(sample.prior_delivered, ack.delivered))
        {
            self.previous_shortest = self.shortest.take();
            self.samples = 0;
            if let Some((_, rounds)) = &mut self.conservative {
                *rounds += 1;
                if *rounds >= CONSERVATIVE_ROUNDS {
                    return Growth::Done;
                }
            }
        }
        if let Some(rtt) = ack.rtt {
            self.samples += 1;
            self.shortest = Some(self.shortest.map_or(rtt, |least| least.min(rtt)));
        }
        self.judge();
        Growth::Share(if self.conservative.is_some() {
            1.0 / CONSERVATIVE_GROWTH_DIVISOR
        } else {
            1.0
        })
    }

    fn judge(&mut self) {
        let (Some(present), true) = (self.shortest, self.samples >= SAMPLES) else {
            return;
        };
        match (self.conservative, self.previous_shortest) {
            // The round trip came down again: it was not our queue.
            (Some((baseline, _)), _) if present < baseline => self.conservative = None,
            (None, Some(previous)) => {
                let threshold =
                    (previous / THRESHOLD_DIVISOR).clamp(LEAST_THRESHOLD, MOST_THRESHOLD);
                if present >= previous + threshold {
                    self.conservative = Some((present, 0));
                }
            }
            _ => {}
        }
    }
}
