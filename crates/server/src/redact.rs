//! Keeps addresses and names out of the log.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

/// Shows a value as a short pseudonym: the same value looks the same within one run of the program and differently in the next,
/// so a log can be followed without telling whom it is about.
#[derive(Clone, Copy)]
pub struct Redacted<T>(pub T);

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl<T: Hash> fmt::Display for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "~{:08x}", KEY.hash_one(&self.0) as u32)
    }
}

impl<T: Hash> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Redacted;

    #[test]
    fn a_pseudonym_tells_sameness_and_nothing_else() {
        let shown = Redacted("192.0.2.1").to_string();
        assert_eq!(shown, Redacted("192.0.2.1").to_string());
        assert_ne!(shown, Redacted("192.0.2.2").to_string());
        assert!(!shown.contains("192"));
    }
}
