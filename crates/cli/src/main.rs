//! The binary `crowfly`.
fn main() {}
