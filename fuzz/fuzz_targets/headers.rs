//! `cargo fuzz run -s none headers`: `Host`, `Origin` and `X-Forwarded-For`.
#![no_main]

#[path = "../harness/headers.rs"]
mod harness;

/// The readers are no part of the crate's door: they are compiled in from where they lie.
#[path = "../../crates/server/src/forwarded.rs"]
mod forwarded;
#[path = "../../crates/server/src/origin.rs"]
#[allow(dead_code)]
mod origin;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::read(data));
