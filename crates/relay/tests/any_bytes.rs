//! The Binding server under arbitrary datagrams: what the fuzz target runs, in a size that fits every test run.

#[path = "../../../fuzz/harness/binding.rs"]
mod binding;

use proptest::{collection::vec, prelude::*};

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_datagram_breaks_a_promise(bytes in vec(any::<u8>(), 0..200)) {
        binding::serve(&bytes);
    }
}
