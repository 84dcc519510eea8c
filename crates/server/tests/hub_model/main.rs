//! Random histories of the hub, held against a model that is as simple as `docs/protocol.md` reads.
//!
//! The model keeps lists and searches them; it predicts, for every input, exactly who is told what and who is closed. So a
//! third party that hears something, a request without its one answer, a third seat, a session taken twice, each shows as a
//! difference. At the end everybody goes away, time passes, and nothing may be left.
//!
//! `CROWFLY_SEED=<number> cargo nextest run -p crowfly-server --test hub_model` repeats a run, `CROWFLY_CASES` makes it longer.

mod act;
mod history;
mod model;

use std::{cell::RefCell, collections::BTreeMap};

use history::{History, Seen};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Small limits, so that histories run into them.
const MOST_ROOMS: usize = 3;
const MOST_ROOMS_OF_A_SOURCE: u32 = 2;
const MOST_FAILURES: u32 = 4;

#[test]
fn histories_agree_with_the_model() {
    let seed = variable("CROWFLY_SEED").unwrap_or_else(any_seed);
    let cases = variable("CROWFLY_CASES").unwrap_or(300);
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        ..Default::default()
    };
    let seen: Seen = RefCell::new(BTreeMap::new());
    // Rare things are waited for: the same histories each time would find no fault that those have not found.
    for batch in 0..PATIENCE {
        let mut bytes = [batch; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        if let Err(error) = runner.run(&act::histories(), |acts| {
            History::new(seed, &seen).play(&acts)
        }) {
            panic!("CROWFLY_SEED={seed}: {error}");
        }
        let seen = seen.borrow();
        if WHAT_CAN_HAPPEN.iter().all(|kind| seen.contains_key(*kind)) {
            break;
        }
    }
    let seen = seen.into_inner();
    let unseen = WHAT_CAN_HAPPEN
        .iter()
        .filter(|kind| !seen.contains_key(**kind))
        .collect::<Vec<_>>();
    assert!(
        unseen.is_empty(),
        "CROWFLY_SEED={seed}: {PATIENCE} times {cases} histories never saw {unseen:?}"
    );
}

/// Batches of histories until all that can happen has been seen.
const PATIENCE: u8 = 20;

/// Messages, error codes and closes that some history has to run into, or the histories are worth little.
const WHAT_CAN_HAPPEN: &[&str] = &[
    "welcome",
    "created",
    "joined",
    "peer-joined",
    "signal",
    "left",
    "peer-left",
    "destroyed",
    "peer-offline",
    "peer-online",
    "resumed",
    "malformed-message",
    "binary-message",
    "invalid-room-name",
    "room-taken",
    "room-full",
    "room-not-found",
    "room-unavailable",
    "already-in-room",
    "not-in-room",
    "no-peer",
    "peer-offline",
    "stale-session",
    "session-reused",
    "bad-token",
    "room-occupied",
    "rate-limited",
    "too-many-rooms",
    "leave",
    "lost",
    "rejected",
    "replaced",
    "join-timeout",
    "joined alone",
    "resumed alone",
    "resumed its seat",
    "resumed its session",
    "waits apart",
    "met apart",
];

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

fn any_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
