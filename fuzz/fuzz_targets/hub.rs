//! `cargo fuzz run -s none hub`: the hub, under whatever its connections send.
#![no_main]

#[path = "../harness/hub.rs"]
mod hub;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hub::play(data));
