//! `cargo fuzz run -s none relay`: the relay, with a client that has logged in.
#![no_main]

#[path = "../harness/relay.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    harness::play(data);
});
