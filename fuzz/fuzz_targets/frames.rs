//! `cargo fuzz run -s none frames`: the reader of WebSocket frames.
#![no_main]

#[path = "../harness/frames.rs"]
mod harness;

/// The reader is no part of the crate's door: it is compiled in from where it lies.
#[path = "../../crates/server/src/websocket/frames.rs"]
#[allow(dead_code)]
mod frames;

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::read(data));
