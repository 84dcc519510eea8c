//! The relay under arbitrary bytes: what the fuzz target runs, in a size that fits every test run.

#[path = "../../../fuzz/harness/relay.rs"]
mod relay;

use proptest::{collection::vec, prelude::*};

/// A first request, and one that is signed: what leads to an allocation.
fn login(who: u8) -> Vec<u8> {
    let mut bytes = vec![0, who, 28, 0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend([7; 12]);
    bytes.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    bytes.extend([2, who, 8, 0, 0x19, 0, 4, 17, 0, 0, 0]);
    bytes
}

/// An instruction of the harness, its bytes more often than not an attribute that means something.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let address = (any::<u8>(), any::<[u8; 4]>())
        .prop_map(|(port, ip)| [&[0, 0x12, 0, 8, 0, 1, port, 1][..], &ip].concat());
    let channel = Just(vec![0, 0x0c, 0, 4, 0x40, 1, 0, 0]);
    let lifetime = any::<u8>().prop_map(|low| vec![0, 0x0d, 0, 4, 0, 0, 0, low]);
    let data = Just(vec![0x40, 1, 0, 4, 1, 2, 3, 4]);
    let content = prop_oneof![
        vec(prop_oneof![address, channel, lifetime, data], 1..3).prop_map(|parts| parts.concat()),
        vec(any::<u8>(), 0..40),
    ];
    (any::<u8>(), any::<u8>(), content)
        .prop_map(|(what, who, content)| [&[what, who, content.len() as u8][..], &content].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn nobody_breaks_a_promise(instructions in vec(instruction(), 0..60)) {
        let logins: Vec<u8> = (0..4).flat_map(login).collect();
        relay::play(&[logins, instructions.concat()].concat());
    }
}

/// What every history begins with leads inside: otherwise nothing behind the door is ever tried.
#[test]
fn the_harness_logs_in() {
    assert_eq!(relay::play(&login(0)), 1);
    let all: Vec<u8> = (0..4).flat_map(login).collect();
    assert_eq!(relay::play(&all), 3, "as many as one user may have");
}
