//! `cargo fuzz run -s none packet`: the reader of SCTP packets.
#![no_main]

#[path = "../harness/packet.rs"]
mod harness;

/// The reader and the writer are no part of the crate's door: they are compiled in from where they lie.
#[path = "../../crates/sctp/src"]
#[allow(dead_code, unused_imports)]
mod sctp {
    pub(crate) mod packet;
    pub(crate) mod tsn;
}
use sctp::{packet, tsn};

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::read(data));
