//! Is the other side still there? Pings while nothing is heard, and what silence means. Time comes in with each tick.
//!
//! Silence is counted in ticks seen, not on the clock: a process that was itself stopped must not blame the other side for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often to tick.
pub(crate) const TICK: Duration = Duration::from_millis(500);
const PING_EVERY: Duration = Duration::from_millis(1_000);
/// Nothing heard for this long: silent. Three pings went unanswered.
const SILENT_AFTER: Duration = Duration::from_millis(3_500);
/// Nothing heard for this long: gone. Longer than a train is in a tunnel, and what a new path over the server takes; no longer than
/// the consent to send is good for (RFC 7675 §5.1: 30 s). Pages wait 15 s, for browsers have given their path up by then.
const GONE_AFTER: Duration = Duration::from_secs(28);
/// After so much silence PEER2 says so by way of the server, and again and again: a path may be gone for good.
const CRY_AFTER: Duration = Duration::from_secs(7);
const CRY_EVERY: Duration = Duration::from_secs(4);
/// A longer gap between ticks than this was our own sleep.
const LONGEST_TICK: Duration = Duration::from_millis(1_500);
/// Pings remembered for their round trip.
const MAX_OUTSTANDING: usize = 32;

/// What the silence so far means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Alive,
    Silent,
    Gone,
}

/// One direction's watch over the other.
#[derive(Debug)]
pub(crate) struct Liveness {
    last_tick: Instant,
    last_ping: Option<Instant>,
    silence: Duration,
    cry_at: Duration,
    next_ping: u32,
    outstanding: VecDeque<(u32, Instant)>,
    round_trip: Option<Duration>,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            last_tick: now,
            last_ping: None,
            silence: Duration::ZERO,
            cry_at: CRY_AFTER,
            next_ping: 1,
            outstanding: VecDeque::new(),
            round_trip: None,
        }
    }

    /// Over the channel, smoothed; `None` until measured.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.silence {
            silence if silence >= GONE_AFTER => Verdict::Gone,
            silence if silence >= SILENT_AFTER => Verdict::Silent,
            _ => Verdict::Alive,
        }
    }

    /// Anything at all arrived.
    pub(crate) fn heard(&mut self) {
        self.silence = Duration::ZERO;
        self.cry_at = CRY_AFTER;
    }

    /// Whether it is time to say that nothing is heard.
    pub(crate) fn cry(&mut self) -> bool {
        let due = self.silence >= self.cry_at;
        if due {
            self.cry_at += CRY_EVERY;
        }
        due
    }

    /// Time passes; the id of a ping to send, if one is due.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<u32> {
        self.silence += now.duration_since(self.last_tick).min(LONGEST_TICK);
        self.last_tick = now;
        let due = |last: Instant| now.duration_since(last) + TICK / 10 >= PING_EVERY;
        if !self.last_ping.is_none_or(due) {
            return None;
        }
        self.last_ping = Some(now);
        let id = self.next_ping;
        self.next_ping = self.next_ping.wrapping_add(1);
        if self.outstanding.len() == MAX_OUTSTANDING {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back((id, now));
        Some(id)
    }

    pub(crate) fn pong(&mut self, id: u32, now: Instant) {
        let Some(at) = self.outstanding.iter().position(|(ping, _)| *ping == id) else {
            return; // not ours, or long ago
        };
        let Some((_, sent)) = self.outstanding.remove(at) else {
            return;
        };
        let sample = now.duration_since(sent);
        // RFC 6298's weight for a smoothed round trip.
        self.round_trip = Some(match self.round_trip {
            Some(smoothed) => (smoothed * 7 + sample) / 8,
            None => sample,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_noticed_and_forgiven() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        let mut now = start;
        let mut pings = 0;
        let mut wait = |liveness: &mut Liveness, seconds: f32| {
            let until = now + Duration::from_secs_f32(seconds);
            while now < until {
                now += TICK;
                pings += u32::from(liveness.tick(now).is_some());
            }
        };
        wait(&mut liveness, 3.0);
        assert_eq!(liveness.verdict(), Verdict::Alive);
        wait(&mut liveness, 0.5);
        assert_eq!(liveness.verdict(), Verdict::Silent);
        assert!(!liveness.cry());
        wait(&mut liveness, 3.5);
        assert!(liveness.cry() && !liveness.cry());
        liveness.heard();
        assert_eq!(liveness.verdict(), Verdict::Alive);
        wait(&mut liveness, 27.5);
        assert_eq!(liveness.verdict(), Verdict::Silent);
        wait(&mut liveness, 0.5);
        assert_eq!(liveness.verdict(), Verdict::Gone);
        assert_eq!(pings, 35);
    }

    #[test]
    fn own_sleep_is_not_the_others_silence() {
        let now = Instant::now();
        let mut liveness = Liveness::new(now);
        liveness.tick(now + Duration::from_secs(3600));
        assert_eq!(liveness.verdict(), Verdict::Alive);
    }

    #[test]
    fn round_trips_are_measured_from_own_pings_only() {
        let now = Instant::now();
        let mut liveness = Liveness::new(now);
        let id = liveness.tick(now).expect("the first ping");
        liveness.pong(id + 7, now);
        assert_eq!(liveness.round_trip(), None);
        liveness.pong(id, now + Duration::from_millis(20));
        assert_eq!(liveness.round_trip(), Some(Duration::from_millis(20)));
    }
}
