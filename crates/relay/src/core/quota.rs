//! Who holds how much: allocations and bytes a second, by user and by source.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use slab::Slab;

/// A row for everybody who holds an allocation, and for nobody else: strangers leave nothing here.
#[derive(Debug)]
pub(super) struct Accounts<K> {
    rows: Slab<Account<K>>,
    names: HashMap<K, usize>,
    most: u32,
    /// Bytes a second; as many may come at once.
    rate: u64,
}

#[derive(Debug)]
struct Account<K> {
    name: K,
    allocations: u32,
    left: u64,
    filled: Instant,
}

impl<K: Clone + Eq + Hash> Accounts<K> {
    pub(super) fn new(most: u32, rate: u64) -> Self {
        Self {
            rows: Slab::new(),
            names: HashMap::new(),
            most,
            rate,
        }
    }

    /// Whether `name` may have one more allocation.
    pub(super) fn has_room(&self, name: &K) -> bool {
        let held = self
            .names
            .get(name)
            .map_or(0, |row| self.rows[*row].allocations);
        held < self.most
    }

    /// Counts an allocation; whose row is returned must be given back with [`release`](Self::release).
    pub(super) fn hold(&mut self, now: Instant, name: &K) -> usize {
        let row = *self.names.entry(name.clone()).or_insert_with(|| {
            self.rows.insert(Account {
                name: name.clone(),
                allocations: 0,
                left: self.rate,
                filled: now,
            })
        });
        self.rows[row].allocations += 1;
        row
    }

    pub(super) fn release(&mut self, row: usize) {
        self.rows[row].allocations -= 1;
        if self.rows[row].allocations == 0 {
            let account = self.rows.remove(row);
            self.names.remove(&account.name);
        }
    }

    /// Takes `bytes` from what the row may still send this second; false if there is not enough.
    pub(super) fn spend(&mut self, now: Instant, row: usize, bytes: usize) -> bool {
        let account = &mut self.rows[row];
        let bytes = bytes as u64;
        if account.left < bytes {
            let idle = now
                .saturating_duration_since(account.filled)
                .min(Duration::from_secs(1));
            let earned = self.rate.saturating_mul(idle.as_micros() as u64) / 1_000_000;
            // Only what makes a difference moves the clock, or a fast flow would never earn anything.
            if earned > 0 {
                account.left = account.left.saturating_add(earned).min(self.rate);
                account.filled = now;
            }
        }
        let enough = account.left >= bytes;
        if enough {
            account.left -= bytes;
        }
        enough
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted_by_name_and_nothing_is_left_of_who_has_none() {
        let mut accounts = Accounts::new(2, 1000);
        let now = Instant::now();
        let row = accounts.hold(now, &"ann");
        assert!(accounts.has_room(&"ann"));
        accounts.hold(now, &"ann");
        assert!(!accounts.has_room(&"ann"));
        assert!(accounts.has_room(&"bob"));
        assert_eq!(accounts.len(), 1);
        accounts.release(row);
        accounts.release(row);
        assert_eq!(accounts.len(), 0);
    }

    #[test]
    fn bytes_come_back_with_time_and_never_more_than_a_seconds_worth() {
        let mut accounts = Accounts::new(1, 1000);
        let start = Instant::now();
        let row = accounts.hold(start, &());
        assert!(accounts.spend(start, row, 600) && accounts.spend(start, row, 400));
        assert!(!accounts.spend(start, row, 1));
        let later = start + Duration::from_millis(500);
        assert!(accounts.spend(later, row, 500) && !accounts.spend(later, row, 1));
        let much_later = start + Duration::from_secs(3600);
        assert!(accounts.spend(much_later, row, 1000) && !accounts.spend(much_later, row, 1));
        // A flow that asks all the time earns what it would have earned at rest.
        let passed = (0..10_000u32)
            .filter(|step| accounts.spend(much_later + Duration::from_micros(100) * *step, row, 10))
            .count();
        assert!(
            (99..=100).contains(&passed),
            "{passed} of 100 times 10 bytes a second"
        );
    }
}
