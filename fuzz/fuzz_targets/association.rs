//! `cargo fuzz run -s none association`: a live association, whatever its peer sends.
#![no_main]

#[path = "../harness/association.rs"]
mod association;

libfuzzer_sys::fuzz_target!(|data: &[u8]| association::play(data));
