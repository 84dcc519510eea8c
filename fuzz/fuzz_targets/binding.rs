//! `cargo fuzz run -s none binding`: the STUN Binding server.
#![no_main]

#[path = "../harness/binding.rs"]
mod binding;

libfuzzer_sys::fuzz_target!(|data: &[u8]| binding::serve(data));
