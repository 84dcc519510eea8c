//! Serial numbers that wrap: transmission and stream sequence numbers (RFC 9260 §1.6, RFC 1982).

use std::{cmp::Ordering, fmt};

/// A transmission sequence number. Ordered by serial arithmetic, which holds as long as numbers compared lie within 2³¹ of each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tsn(pub(crate) u32);

impl Tsn {
    /// The number `count` after this one.
    pub(crate) const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The one after this.
    pub(crate) const fn next(self) -> Self {
        self.plus(1)
    }

    /// The one before this.
    pub(crate) const fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// How far this lies after `earlier`; negative if before it.
    pub(crate) const fn distance_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

impl PartialOrd for Tsn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.distance_from(*other).cmp(&0))
    }
}

impl fmt::Debug for Tsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tsn {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        let last = Tsn(u32::MAX);
        assert!(last < last.next());
        assert_eq!(last.next(), Tsn(0));
        assert_eq!(Tsn(3).distance_from(Tsn(u32::MAX - 1)), 5);
        assert_eq!(Tsn(0).previous(), last);
        assert!(last.previous() < last.plus(7));
    }
}
