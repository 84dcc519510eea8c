//! Which TSNs arrived: everything up to a point, and runs beyond it.
//!
//! Inside, TSNs are 64-bit positions whose lower half is the TSN, so that they never wrap and compare as numbers do.

use std::collections::VecDeque;

use crate::tsn::Tsn;

/// A TSN further ahead has no place in a gap's 16 bits (RFC 9260 §3.3.4).
const REACH: i32 = u16::MAX as i32;

/// Runs beyond the cumulative point. A SACK of a full packet tells of about 290; 14,000 packets in flight, a quarter of
/// them reordered, make 3,500.
const MAX_RUNS: usize = 4096;

/// Where a TSN lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    New(u64),
    Duplicate,
    Beyond,
}

#[derive(Debug)]
pub(super) struct Arrived {
    cumulative: u64,
    /// First and last positions, ascending, with at least one missing between two, and before the first.
    runs: VecDeque<(u64, u64)>,
}

impl Arrived {
    pub(super) fn new(initial: Tsn) -> Self {
        // The upper half begins at one, so that what lies before the beginning has a position, too.
        let cumulative = (1 << 32) | u64::from(initial.previous().0);
        Self {
            cumulative,
            runs: VecDeque::new(),
        }
    }

    pub(super) fn cumulative(&self) -> Tsn {
        tsn(self.cumulative)
    }

    pub(super) fn cumulative_position(&self) -> u64 {
        self.cumulative
    }

    pub(super) fn has_gaps(&self) -> bool {
        !self.runs.is_empty()
    }

    pub(super) fn is_next(&self, at: u64) -> bool {
        at == self.cumulative + 1
    }

    pub(super) fn place(&self, tsn: Tsn) -> Place {
        let ahead = tsn.distance_from(self.cumulative());
        if ahead > REACH {
            return Place::Beyond;
        }
        let Ok(ahead @ 1..) = u64::try_from(ahead) else {
            return Place::Duplicate;
        };
        let at = self.cumulative + ahead;
        let (index, before) = self.run_before(at);
        if before.is_some_and(|(_, last)| at <= last) {
            return Place::Duplicate;
        }
        let joins = before.is_some_and(|(_, last)| last + 1 == at)
            || self.runs.get(index).is_some_and(|run| run.0 == at + 1);
        if self.runs.len() >= MAX_RUNS && !joins && !self.is_next(at) {
            return Place::Beyond;
        }
        Place::New(at)
    }

    /// Takes note of what [`Self::place`] called new.
    pub(super) fn insert(&mut self, at: u64) {
        if self.is_next(at) {
            self.cumulative = at;
            self.absorb();
            return;
        }
        let (index, before) = self.run_before(at);
        let joins_before = before.is_some_and(|(_, last)| last + 1 == at);
        let joins_after = self.runs.get(index).is_some_and(|run| run.0 == at + 1);
        match (joins_before, joins_after) {
            (true, true) => {
                let last = self.runs.remove(index).map(|run| run.1);
                self.runs[index - 1].1 = last.unwrap_or(at);
            }
            (true, false) => self.runs[index - 1].1 = at,
            (false, true) => self.runs[index].0 = at,
            (false, false) => self.runs.insert(index, (at, at)),
        }
    }

    /// Everything up to there counts as arrived. False if it had.
    pub(super) fn forward(&mut self, cumulative: Tsn) -> bool {
        let Ok(ahead @ 1..) = u64::try_from(cumulative.distance_from(self.cumulative())) else {
            return false;
        };
        self.cumulative += ahead;
        self.absorb();
        true
    }

    /// The runs as offsets from the cumulative TSN.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let offset = |at: u64| {
            u16::try_from(at - self.cumulative).expect("place() lets in what lies within 16 bits")
        };
        self.runs
            .iter()
            .map(move |&(first, last)| (offset(first), offset(last)))
    }

    /// Runs that the cumulative point has reached are part of it.
    fn absorb(&mut self) {
        while let Some(&(first, last)) = self.runs.front()
            && first <= self.cumulative + 1
        {
            self.cumulative = self.cumulative.max(last);
            self.runs.pop_front();
        }
    }

    /// The last run that begins at the position or before it, and the index of the one after that.
    fn run_before(&self, at: u64) -> (usize, Option<(u64, u64)>) {
        // Most of what comes after a hole comes in order: the last run is looked at first.
        let index = match self.runs.back() {
            Some(last) if last.0 <= at => self.runs.len(),
            _ => self.runs.partition_point(|run| run.0 <= at),
        };
        (index, index.checked_sub(1).map(|before| self.runs[before]))
    }
}

/// The lower half.
fn tsn(position: u64) -> Tsn {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the TSN")]
    Tsn(position as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(arrived: &mut Arrived, number: u32) -> Place {
        let place = arrived.place(Tsn(number));
        if let Place::New(at) = place {
            arrived.insert(at);
        }
        place
    }

    #[test]
    fn runs_join_and_are_absorbed_over_the_wrap() {
        let mut arrived = Arrived::new(Tsn(u32::MAX - 1));
        for number in [0, 2, 3, 5, 1] {
            assert!(matches!(take(&mut arrived, number), Place::New(_)));
        }
        assert_eq!(arrived.cumulative(), Tsn(u32::MAX - 2));
        assert!(arrived.gaps().eq([(3, 6), (8, 8)]));
        for number in [0, 3, 5, u32::MAX - 2, u32::MAX - 500] {
            assert_eq!(take(&mut arrived, number), Place::Duplicate, "{number}");
        }
        assert!(matches!(take(&mut arrived, u32::MAX - 1), Place::New(_)));
        assert!(matches!(take(&mut arrived, u32::MAX), Place::New(_)));
        assert_eq!(arrived.cumulative(), Tsn(3));
        assert!(arrived.gaps().eq([(2, 2)]));
        assert!(arrived.forward(Tsn(4)));
        assert_eq!(arrived.cumulative(), Tsn(5));
        assert!(!arrived.has_gaps());
        assert!(!arrived.forward(Tsn(5)));
    }

    #[test]
    fn what_lies_too_far_ahead_is_not_taken() {
        let mut arrived = Arrived::new(Tsn(1));
        assert_eq!(arrived.place(Tsn(65_536)), Place::Beyond);
        assert!(matches!(take(&mut arrived, 65_535), Place::New(_)));
        assert!(arrived.gaps().eq([(65_535, 65_535)]));
    }

    #[test]
    fn the_number_of_runs_is_bounded_and_what_shortens_the_list_is_taken() {
        let mut arrived = Arrived::new(Tsn(1));
        let last = 2 * u32::try_from(MAX_RUNS).expect("a small number");
        for number in (2..=last).step_by(2) {
            assert!(matches!(take(&mut arrived, number), Place::New(_)));
        }
        assert_eq!(take(&mut arrived, last + 2), Place::Beyond);
        assert!(matches!(take(&mut arrived, last + 1), Place::New(_)));
        assert!(matches!(take(&mut arrived, last + 2), Place::New(_)));
        assert!(matches!(take(&mut arrived, 1), Place::New(_)));
        assert_eq!(arrived.cumulative(), Tsn(2));
    }
}
