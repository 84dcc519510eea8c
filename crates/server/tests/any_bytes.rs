//! The hub under arbitrary bytes: what the fuzz target runs, in a size that fits every test run.

#[path = "../../../fuzz/harness/hub.rs"]
mod hub;

use proptest::{collection::vec, prelude::*};

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_history_breaks_a_promise(bytes in vec(any::<u8>(), 0..600)) {
        hub::play(&bytes);
    }
}

/// Whoever leaves last takes a room kept apart with it, and its name was counted against its source at that very moment: that is
/// remembered for a minute, and then it is forgotten.
#[test]
fn what_leaving_counts_is_forgotten_in_time() {
    hub::play(&FOUND_BY_FUZZING);
}

const FOUND_BY_FUZZING: [u8; 208] = [
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
    72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
    72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
    72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
    226, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72, 72,
    72, 72, 72, 72, 72, 72, 72, 0, 47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 139, 139, 139,
    139, 98, 0, 0, 0, 139, 139, 139, 139, 139, 139, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 139, 139, 139, 139, 139, 139, 139,
    139, 139, 5, 0, 0, 0,
];
