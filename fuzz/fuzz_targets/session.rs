//! `cargo fuzz run -s none session`: a connection from its first check on, whatever arrives: STUN, DTLS, what is neither.
#![no_main]

#[path = "../harness/session.rs"]
mod harness;

/// The session is no part of the crate's door: it is compiled in from where it lies.
#[path = "../../crates/peer/src"]
#[allow(dead_code, unused_imports)]
mod peer {
    pub(crate) mod description;
    pub(crate) mod session;
}
use peer::{description, session};

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::play(data));
