//! Any bytes as a sealed payload, a code or a key: an error, never a panic.
#![no_main]

#[path = "../harness/sealed.rs"]
mod sealed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealed::read(data));
