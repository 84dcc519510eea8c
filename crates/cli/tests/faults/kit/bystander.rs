//! Rooms that have nothing to do with a fault: what they feel of it is measured.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use super::process::Waited;
use super::room::Pair;
use super::{Server, note};

/// Enough for the slowest hundredth to be several of them.
const SAMPLES: usize = 400;
/// A round trip begins this often, in one room after the other: each client stays well within its message rate.
const EVERY: Duration = Duration::from_micros(1_500);
const ROOMS: usize = 8;
/// Below this a difference says more about the scheduler of two shared cores than about the server: one time slice.
const FLOOR: Duration = Duration::from_millis(4);
/// A disturbance of the server comes back in every round; one of the machine does not.
const ROUNDS: usize = 8;

/// Runs `fault`, over and over while the bystanders' round trips are measured, and holds their p99 against the quiet one: it must stay
/// under twice that.
///
/// The machine is shared and its noise must not decide: quiet and fault are measured in turn, the quietest time is what counts as
/// quiet, and one round of eight within the bound is enough. A server that a fault stalls is stalled every time.
pub(crate) fn undisturbed(server: &Server, fault: impl FnMut()) {
    Bystanders::start(server).assert_undisturbed(fault);
}

/// Pairs that talk in their own rooms, all the time.
pub(crate) struct Bystanders {
    windows: Sender<Sender<Vec<Duration>>>,
    thread: Option<JoinHandle<()>>,
}

impl Bystanders {
    pub(crate) fn start(server: &Server) -> Self {
        let (windows, requests) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let (address, process) = (server.address, server.id());
        let thread = thread::spawn(move || talk(address, process, &requests, &ready));
        started.recv().expect("the bystanders meet");
        Self {
            windows,
            thread: Some(thread),
        }
    }

    /// As [`undisturbed`], for faults that must come after the bystanders.
    pub(crate) fn assert_undisturbed(&self, fault: impl FnMut()) {
        self.assert_rounds(fault, |quiet| (2 * quiet).max(quiet + FLOOR));
    }

    /// For faults that take most of the machine: the p99 must stay under this.
    pub(crate) fn assert_served_within(&self, limit: Duration, fault: impl FnMut()) {
        self.assert_rounds(fault, |_| limit);
    }

    fn assert_rounds(&self, mut fault: impl FnMut(), limit: impl Fn(Duration) -> Duration) {
        let mut quietest = Duration::MAX;
        let mut seen = Vec::new();
        for _ in 0..ROUNDS {
            let quiet = self.p99(Enough::wait);
            let faulty = self.p99(|enough| {
                while !enough.reached() {
                    fault();
                }
            });
            seen.push(format!("{quiet:?} quiet, {faulty:?} under the fault"));
            quietest = quietest.min(quiet);
            if faulty < limit(quietest) {
                return note(&format!("bystanders' p99: {}", seen.join("; ")));
            }
        }
        panic!("bystanders disturbed in every round: {seen:#?}");
    }

    /// The 99th percentile of the round trips begun while `during` runs.
    fn p99(&self, during: impl FnOnce(&mut Enough)) -> Duration {
        let (samples, window) = mpsc::channel();
        self.windows.send(samples).expect("the bystanders live");
        let mut enough = Enough {
            window,
            samples: None,
        };
        during(&mut enough);
        enough.wait();
        let mut samples = enough.samples.expect("waited for");
        samples.sort_unstable();
        samples[samples.len() * 99 / 100]
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        (self.windows, _) = mpsc::channel();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Tells when a window holds enough samples.
struct Enough {
    window: Receiver<Vec<Duration>>,
    samples: Option<Vec<Duration>>,
}

impl Enough {
    fn reached(&mut self) -> bool {
        if self.samples.is_none() {
            self.samples = match self.window.try_recv() {
                Err(TryRecvError::Disconnected) => panic!("the bystanders' rooms broke"),
                samples => samples.ok(),
            };
        }
        self.samples.is_some()
    }

    fn wait(&mut self) {
        if self.samples.is_none() {
            self.samples = Some(self.window.recv().expect("the bystanders' rooms hold"));
        }
    }
}

fn talk(
    server: SocketAddr,
    process: u32,
    requests: &Receiver<Sender<Vec<Duration>>>,
    ready: &Sender<()>,
) {
    let mut rooms: Vec<_> = (0..ROOMS).map(|_| Pair::meet(server)).collect();
    let machine = [Waited::of(process), Waited::of_this_thread()];
    ready.send(()).expect("somebody waits for it");
    let mut turns = (0..ROOMS).cycle();
    let (mut samples, mut window) = (Vec::new(), None);
    loop {
        match requests.recv_timeout(EVERY) {
            Ok(next) => (samples, window) = (Vec::new(), Some(next)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(room) = turns.next().map(|turn| &mut rooms[turn]) else {
            return;
        };
        record(&mut samples, round_trip(room, &machine));
        if samples.len() >= SAMPLES
            && let Some(window) = window.take()
        {
            // Nobody waits for it any more when the test has failed.
            let _ = window.send(std::mem::take(&mut samples));
        }
    }
}

/// From one peer to the other and back, less the time in which the machine did not let the server or this thread run: other
/// programs are not what is tested, nor is the load that a test itself makes on the two cores it shares with the server.
fn round_trip(room: &mut Pair, machine: &[Waited]) -> Duration {
    let message = room.signal(json!({ "kind": "description", "sdp": "v=0 ".repeat(64) }));
    let waited = || machine.iter().map(Waited::so_far).sum::<Duration>();
    let (before, begun) = (waited(), Instant::now());
    room.creator.send(&message);
    room.joiner.receive_type("signal");
    room.joiner.send(&message);
    room.creator.receive_type("signal");
    begun.elapsed().saturating_sub(waited() - before)
}

/// A round trip that took longer than the pace kept others from beginning; they are counted as they would have been, or a stalled
/// server would look good by being asked less.
fn record(samples: &mut Vec<Duration>, took: Duration) {
    let mut took = Some(took);
    while let Some(sample) = took {
        samples.push(sample);
        took = sample.checked_sub(EVERY).filter(|rest| *rest >= EVERY);
    }
}
