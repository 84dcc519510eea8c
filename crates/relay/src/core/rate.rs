//! How often each source was answered this second, in constant memory.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Slots sources are hashed into. Two sources in one slot share its allowance; that is the price for memory that forged senders
/// cannot fill.
const SLOTS: usize = 1 << 14;
const WINDOW: Duration = Duration::from_secs(1);

/// Whom limits count: an IPv4 address, or an IPv6 /64, for an IPv6 host owns the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(bool, u64);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(true, u64::from(address.to_bits())),
            IpAddr::V6(address) => Self(false, (address.to_bits() >> 64) as u64),
        }
    }
}

/// Counts answers by source within windows of one second.
#[derive(Debug)]
pub(super) struct Rate {
    limit: u16,
    /// Keyed anew in every process, so that nobody can choose addresses that share a slot with a victim.
    hasher: RandomState,
    counts: Box<[u16]>,
    window: Option<Instant>,
}

impl Rate {
    pub(super) fn new(limit: u16) -> Self {
        Self {
            limit,
            hasher: RandomState::new(),
            counts: vec![0; SLOTS].into(),
            window: None,
        }
    }

    /// Counts one request; false when the source has used up its allowance.
    pub(super) fn allow(&mut self, now: Instant, source: IpAddr) -> bool {
        if self
            .window
            .is_none_or(|begun| now.duration_since(begun) >= WINDOW)
        {
            self.counts.fill(0);
            self.window = Some(now);
        }
        let slot = self.hasher.hash_one(Source::of(source)) as usize % SLOTS;
        let count = &mut self.counts[slot];
        let allowed = *count < self.limit;
        *count = count.saturating_add(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_own_allowance_each_second() {
        let mut rate = Rate::new(2);
        let now = Instant::now();
        let [a, b, same_network] =
            ["2001:db8::1", "192.0.2.1", "2001:db8::2"].map(|text| text.parse().unwrap());
        assert!(rate.allow(now, a) && rate.allow(now, same_network));
        assert!(!rate.allow(now, a) && !rate.allow(now, same_network));
        assert!(rate.allow(now, b));
        assert!(!rate.allow(now + WINDOW / 2, a));
        assert!(rate.allow(now + WINDOW, a));
    }
}
