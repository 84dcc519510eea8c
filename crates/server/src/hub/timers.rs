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
