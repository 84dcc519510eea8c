//! `cargo fuzz run -s none message`: the readers of the signaling wire.
#![no_main]

#[path = "../harness/message.rs"]
mod message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| message::read(data));
