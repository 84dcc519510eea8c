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
