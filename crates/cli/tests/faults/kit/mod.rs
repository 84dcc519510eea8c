//! What the fault tests share: the server as a child process, clients that can misbehave, and bystanders that are measured.

pub(crate) mod alone;
pub(crate) mod bystander;
pub(crate) mod cable;
pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod process;
pub(crate) mod room;
pub(crate) mod server;

use std::io::Write;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

pub(crate) use alone::{alone, among_others};
pub(crate) use bystander::{Bystanders, undisturbed};
pub(crate) use cable::Cable;
pub(crate) use client::{Approach, Client, Event, PATIENCE};
pub(crate) use room::Pair;
pub(crate) use server::Server;

/// `small`, or the size asked for by `CROWFLY_LONG=1`: long runs do the same, more often.
pub(crate) fn sized(small: usize, long: usize) -> usize {
    if std::env::var_os("CROWFLY_LONG").is_some_and(|value| value == "1") {
        long
    } else {
        small
    }
}

/// How much later than configured something may happen because this machine let others run. A limit that does not hold is missed by
/// far more, for the tests are ended by nothing else.
pub(crate) const LATE: Duration = Duration::from_secs(5);

/// Asserts that what begun then took at least so long and at most so long, as configured. The server looks at its clients a few times
/// in the shortest of its limits, and rather early than late.
pub(crate) fn assert_took(begun: Instant, [least, most]: [Duration; 2]) {
    let took = begun.elapsed();
    assert!(
        took >= least.mul_f64(0.9) && took <= most + LATE,
        "took {took:?} where {least:?} to {most:?} are configured"
    );
}

/// Tells a figure, for whoever runs the test with its output shown.
pub(crate) fn note(figure: &str) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{name}: {figure}");
}

/// Lets things happen at a rate: the load of a test is part of what it says.
pub(crate) struct Pace {
    next: Instant,
    each: Duration,
    never: Receiver<()>,
    _sender: mpsc::Sender<()>,
}

impl Pace {
    pub(crate) fn every(each: Duration) -> Self {
        let (_sender, never) = mpsc::channel();
        Self {
            next: Instant::now(),
            each,
            never,
            _sender,
        }
    }

    /// Returns when it is time for the next one. What was missed is not made up for.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        let wait = self.next.saturating_duration_since(now);
        self.next = self.next.max(now) + self.each;
        let _ = self.never.recv_timeout(wait);
    }
}
