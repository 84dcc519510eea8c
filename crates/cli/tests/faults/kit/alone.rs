//! Which tests may run beside each other: two that measure, or load the machine, would fail each other.
//!
//! A file lock, because cargo-nextest runs each test in a process of its own and `cargo test` all of them in one.

use std::fs::File;

use super::server::scratch;

/// Held while a test runs.
#[derive(Debug)]
pub(crate) struct Turn(File);

/// For a test that measures or loads the machine: no other of this suite runs meanwhile.
pub(crate) fn alone() -> Turn {
    let file = lock_file();
    file.lock().expect("the lock of this suite");
    Turn(file)
}

/// For a test that does neither.
pub(crate) fn among_others() -> Turn {
    let file = lock_file();
    file.lock_shared().expect("the lock of this suite");
    Turn(file)
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing the file unlocks it as well.
        let _ = self.0.unlock();
    }
}

fn lock_file() -> File {
    File::create(scratch().join("faults.lock")).expect("a lock file")
}
