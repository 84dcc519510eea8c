//! Every timer of the hub in one ordered set.

use std::{collections::BTreeSet, time::Instant};

use super::{ConnectionId, room::SeatKey};

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// This connection has sat in no room for too long.
    Join(ConnectionId),
    /// This seat was kept long enough.
    Seat(SeatKey),
    /// Sources whose failures no longer count can be forgotten.
    Sweep,
}

/// Who arms a timer remembers its instant, and disarms it with that: nothing stale stays behind.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(super) fn arm(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    /// Harmless for one that has fired.
    pub(super) fn disarm(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, _) = self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_fire_in_order_once_and_not_before_their_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let timer = |number| Timer::Join(ConnectionId(number));
        let mut timers = Timers::default();
        for (seconds, number) in [(3, 1), (1, 2), (2, 3), (1, 4)] {
            timers.arm(at(seconds), timer(number));
        }
        timers.disarm(at(2), timer(3));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop_due(at(0)), None);
        assert_eq!(timers.pop_due(at(2)), Some(timer(2)));
        assert_eq!(timers.pop_due(at(2)), Some(timer(4)));
        assert_eq!(timers.pop_due(at(2)), None);
        timers.disarm(at(1), timer(2));
        assert_eq!((timers.len(), timers.next()), (1, Some(at(3))));
    }
}
