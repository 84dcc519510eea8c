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

/// Histories that once broke a promise.
#[test]
fn what_was_found_before_stays_mended() {
    // A message queued while SHUTDOWN was out: the pacer's time for it came at once for ever.
    association::play(&[
        0x01, 0x05, 0x00, 0x64, 0x27, 0x00, 0x23, 0x03, 0x89, 0x89, 0xff, 0x89, 0x0a, 0x89, 0x44,
        0x44, 0x00, 0x63, 0x28, 0x0a, 0x44, 0x3e, 0x00, 0x40, 0x57, 0x26, 0x57, 0x57, 0x63, 0x28,
    ]);
}
