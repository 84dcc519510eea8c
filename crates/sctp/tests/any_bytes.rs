//! A live association under arbitrary bytes: what the fuzz target runs, in a size that fits every test run.

#[path = "../../../fuzz/harness/association.rs"]
mod association;

use proptest::{collection::vec, prelude::*};

/// Numbers that mean something to SCTP more often than not.
fn telling() -> impl Strategy<Value = u8> {
    prop_oneof![
        any::<u8>(),
        0..16_u8,
        Just(0xc0),
        Just(0x82),
        Just(0x40),
        Just(0xc1)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_peer_breaks_a_promise(bytes in vec(telling(), 0..600)) {
        association::play(&bytes);
    }
}
