//! When a chunk counts as lost, and when merely as untold.

use std::time::{Duration, Instant};

use super::{Flight, Outstanding, State};
use crate::{congestion::Snapshot, tsn::Tsn};

/// How long reordering, once seen, is expected again.
const LATENESS_HOLDS: Duration = Duration::from_secs(10);

/// A chunk that so many have passed is lost, unless chunks are known to come late (RFC 9260 §7.2.4, RFC 8985 §6.2).
const PASSED_BY: u64 = 3;

/// How long after it was sent a chunk counts as lost.
struct Patience {
    told: Duration,
    /// Of what the SACK had no room to tell, only time says that it is no more on the way.
    untold: Duration,
    /// Nothing came late of late: being passed by is enough.
    in_order: bool,
}

impl Flight {
    /// Marks what is lost by now; returns when the next may have to be. On a path that keeps the order, a chunk is lost when three
    /// sent after it have gone and one of them arrived. Else it has time to come late: a quarter of the shortest round trip seen, or
    /// as much as was seen, at most `smoothed` (RFC 8985 §6.2, steps 4 and 5).
    pub(in crate::send) fn detect_lost(
        &mut self,
        now: Instant,
        smoothed: Duration,
        mut lost: impl FnMut(&Snapshot, usize),
    ) -> Option<Instant> {
        self.judge_untold(&mut lost);
        let (newest, _) = self.newest_arrived?;
        let patience = self.patience(now, smoothed)?;
        while let Some(&(tsn, transmission)) = self.transmissions.front() {
            let untold = self.is_untold(tsn);
            if transmission >= newest && !untold {
                return None;
            }
            if let Some(index) = self.current(tsn, transmission, State::InFlight) {
                let entry = &mut self.entries[index];
                let passed = !untold && patience.in_order && transmission + PASSED_BY <= newest;
                let deadline = entry.sent_at
                    + if untold {
                        patience.untold
                    } else {
                        patience.told
                    };
                if deadline > now && !passed {
                    return Some(deadline);
                }
                self.in_flight -= entry.payload.len();
                if untold {
                    entry.state = State::Untold;
                    self.untold.push_back((tsn, transmission));
                } else {
                    entry.state = State::Lost;
                    lost(&entry.snapshot, entry.payload.len());
                    self.lost.push_back(tsn);
                }
            }
            self.transmissions.pop_front();
        }
        None
    }

    fn patience(&self, now: Instant, smoothed: Duration) -> Option<Patience> {
        let (_, took) = self.newest_arrived?;
        let least = self.shortest.unwrap_or(smoothed) / 4;
        let late = self.lateness.filter(|&(_, at)| now <= at + LATENESS_HOLDS);
        let seen = late.map_or(Duration::ZERO, |(late, _)| late + late / 4);
        let told = took + least.max(seen).min(smoothed);
        Some(Patience {
            told,
            untold: told.max(smoothed + least),
            in_order: late.is_none(),
        })
    }

    /// The entry of this transmission, if it is still in this state.
    fn current(&self, tsn: Tsn, transmission: u64, state: State) -> Option<usize> {
        self.index(tsn).filter(|&index| {
            let entry = &self.entries[index];
            entry.transmission == transmission && entry.state == state
        })
    }

    /// What the peer did not tell of, and now does not count among what it has, is lost.
    fn judge_untold(&mut self, mut lost: impl FnMut(&Snapshot, usize)) {
        while let Some(&(tsn, transmission)) = self.untold.front() {
            if self.is_untold(tsn) {
                return;
            }
            if let Some(index) = self.current(tsn, transmission, State::Untold) {
                let entry = &mut self.entries[index];
                entry.state = State::Lost;
                lost(&entry.snapshot, entry.payload.len());
                self.lost.push_back(tsn);
            }
            self.untold.pop_front();
        }
    }

    /// Whether the latest SACK leaves open if this arrived.
    fn is_untold(&self, tsn: Tsn) -> bool {
        self.told_up_to.is_some_and(|told| tsn > told)
    }

    /// Takes everything on the way for lost, oldest first (RFC 9260 §6.3.3).
    pub(in crate::send) fn all_lost(&mut self, mut lost: impl FnMut(&Snapshot, usize)) {
        self.lost.clear();
        self.untold.clear();
        self.transmissions.clear();
        let mut tsn = self.base;
        for entry in &mut self.entries {
            if matches!(entry.state, State::InFlight | State::Untold) {
                entry.state = State::Lost;
                lost(&entry.snapshot, entry.payload.len());
            }
            if entry.state == State::Lost {
                self.lost.push_back(tsn);
            }
            tsn = tsn.next();
        }
        self.in_flight = 0;
    }

    pub(super) fn note_arrival(&mut self, now: Instant, entry: &Arrived) {
        self.unacknowledged -= entry.bytes;
        if entry.in_flight {
            self.in_flight -= entry.bytes;
        }
        let took = now.saturating_duration_since(entry.sent_at);
        if entry.retransmitted {
            // It may be the first transmission that arrived; one that came impossibly fast was (RFC 8985 §6.2, step 2).
            let shortest = self.shortest.unwrap_or(took);
            if took < shortest {
                self.came_late(now, shortest / 4);
                return;
            }
        } else {
            self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
            if let Some((newest, newest_took)) = self.newest_arrived
                && entry.transmission < newest
                && !entry.told_late
            {
                self.came_late(now, took.saturating_sub(newest_took));
            }
        }
        let (newest, newest_took) = self.newest_arrived.unwrap_or((0, took));
        if entry.transmission > newest {
            let took = match entry.told_late {
                true => newest_took.min(took),
                false => took,
            };
            self.newest_arrived = Some((entry.transmission, took));
        }
    }

    fn came_late(&mut self, now: Instant, by: Duration) {
        let is_worst = |(worst, at)| by >= worst || now > at + LATENESS_HOLDS;
        if self.lateness.is_none_or(is_worst) {
            self.lateness = Some((by, now));
        }
    }
}

/// The part of a chunk that its arrival is counted by.
pub(super) struct Arrived {
    bytes: usize,
    in_flight: bool,
    retransmitted: bool,
    told_late: bool,
    transmission: u64,
    sent_at: Instant,
}

impl Arrived {
    pub(super) fn of(entry: &Outstanding, told_late: bool) -> Self {
        Self {
            bytes: entry.payload.len(),
            in_flight: entry.state == State::InFlight,
            retransmitted: entry.retransmissions > 0,
            told_late,
            transmission: entry.transmission,
            sent_at: entry.sent_at,
        }
    }
}
