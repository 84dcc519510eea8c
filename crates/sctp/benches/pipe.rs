//! What an association costs in processor time: ours and the rivals over the same pipe in memory, in one run.
//!
//! ```sh
//! cargo bench -p crowfly-sctp --bench pipe
//! cargo bench -p crowfly-sctp --bench pipe -- --only ours --size 64 --seconds 5   # for a profiler
//! ```
//!
//! One thread drains both ends in turn; the pipe loses and delays nothing. The clock is the processor time of this process, so that a
//! busy machine changes little; when neither end has anything to do it jumps to the next timeout. MB/s are over that clock, so that
//! waiting for pacing or for a delayed acknowledgement counts; CPU-s/GB are over processor time alone.

#![allow(clippy::print_stdout, reason = "a table for people")]

#[path = "../tests/stacks/mod.rs"]
mod stacks;

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use crowfly_sctp::Role;
use crowfly_sim::Machine;

use stacks::dcsctp::Dcsctp;
use stacks::flow::Peer;
use stacks::ours::Ours;
use stacks::rtc::Rtc;
use stacks::{Setup, Stack};

struct Contender {
    name: &'static str,
    title: &'static str,
    rival: bool,
    make: fn(Setup) -> Box<dyn Stack>,
}

/// Each with its own default window.
const CONTENDERS: [Contender; 6] = [
    Contender {
        name: "ours",
        title: "ours",
        rival: false,
        make: |setup| {
            Box::new(Ours::new(Setup {
                zero_checksum: true,
                interleaving: true,
                ..setup
            }))
        },
    },
    Contender {
        name: "ours-crc",
        title: "ours, with checksum",
        rival: false,
        make: |setup| {
            Box::new(Ours::new(Setup {
                interleaving: true,
                ..setup
            }))
        },
    },
    Contender {
        name: "ours-1191",
        title: "ours, with checksum, no packet above 1,191 bytes, no I-DATA: as towards the rivals",
        rival: false,
        make: |setup| {
            let config = crowfly_sctp::Config {
                max_packet_size: 1191,
                ..Ours::config(setup)
            };
            Box::new(Ours::with(config, setup.seed))
        },
    },
    Contender {
        name: "dcsctp",
        title: "dcsctp, zero checksum",
        rival: true,
        make: |setup| {
            Box::new(Dcsctp::new(Setup {
                window: 5 << 20,
                zero_checksum: true,
                ..setup
            }))
        },
    },
    Contender {
        name: "dcsctp-crc",
        title: "dcsctp, with checksum",
        rival: true,
        make: |setup| {
            Box::new(Dcsctp::new(Setup {
                window: 5 << 20,
                ..setup
            }))
        },
    },
    Contender {
        name: "rtc",
        title: "rtc-sctp (has no zero checksum)",
        rival: true,
        make: |setup| {
            Box::new(Rtc::new(Setup {
                window: 1 << 20,
                ..setup
            }))
        },
    },
];

/// Message sizes. One byte more than 64, for small messages of 64 mean something else to the application on top.
const SIZES: [usize; 4] = [65, 1 << 10, 16 << 10, 1 << 20];

#[derive(Clone, Copy)]
struct Cost {
    megabytes: f64,
    cpu_per_gigabyte: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut only, mut size, mut seconds, mut runs) = (None, None, 0.5, 5);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value after the option");
        match argument.as_str() {
            "--only" => only = Some(value()),
            "--size" => size = Some(value().parse::<usize>().expect("a number")),
            "--seconds" => seconds = value().parse().expect("a number"),
            "--runs" => runs = value().parse().expect("a number"),
            // Cargo says so to every benchmark.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    println!("{}", machine());
    for size in SIZES
        .into_iter()
        .filter(|each| size.is_none_or(|size| size == *each))
    {
        let chosen = |contender: &&Contender| {
            only.as_ref()
                .is_none_or(|only| only.split(',').any(|name| name == contender.name))
        };
        let contenders: Vec<_> = CONTENDERS.iter().filter(chosen).collect();
        let mut costs = vec![Vec::new(); contenders.len()];
        for _ in 0..runs {
            // In turn, so that a busy minute of the machine befalls all alike.
            for (costs, contender) in costs.iter_mut().zip(&contenders) {
                costs.push(run(contender, size, Duration::from_secs_f64(seconds)));
            }
        }
        let medians: Vec<_> = costs.iter().map(|costs| median(costs)).collect();
        print(size, &contenders, &medians);
    }
}

fn print(size: usize, contenders: &[&Contender], costs: &[Cost]) {
    let rivals = contenders
        .iter()
        .zip(costs)
        .filter(|(contender, _)| contender.rival);
    let best = rivals
        .map(|(_, cost)| cost.megabytes)
        .fold(f64::NAN, f64::max);
    println!(
        "\n| messages of {size} bytes | MB/s | CPU-s/GB | of the best rival |\n|---|---|---|---|"
    );
    for (contender, cost) in contenders.iter().zip(costs) {
        let (rate, cpu) = (cost.megabytes, cost.cpu_per_gigabyte);
        println!(
            "| {} | {rate:.0} | {cpu:.2} | {:.2}× |",
            contender.title,
            rate / best
        );
    }
}

fn median(costs: &[Cost]) -> Cost {
    let middle = |value: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        megabytes: middle(|cost| cost.megabytes),
        cpu_per_gigabyte: middle(|cost| cost.cpu_per_gigabyte),
    }
}

/// Packets on their way to one end, in one buffer.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Pipe {
    fn push(&mut self, packet: &[u8]) {
        self.bytes.extend_from_slice(packet);
        self.ends.push(self.bytes.len());
    }

    /// Hands everything over as one burst.
    fn deliver(&mut self, now: Instant, to: &mut Peer) -> bool {
        let mut start = 0;
        for end in &self.ends {
            to.handle_datagram(now, &self.bytes[start..*end]);
            start = *end;
        }
        self.bytes.clear();
        self.ends.clear();
        start > 0
    }
}

/// Processor time, and what was jumped over.
struct Clock {
    start: Instant,
    begun: ProcessTime,
    jumped: Duration,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: Instant::now(),
            begun: ProcessTime::now(),
            jumped: Duration::ZERO,
        }
    }

    fn passed(&self) -> Duration {
        self.begun.elapsed() + self.jumped
    }

    fn now(&self) -> Instant {
        self.start + self.passed()
    }
}

/// One contender for this much processor time, after a tenth of a second to warm up; less if it only waits.
fn run(contender: &Contender, size: usize, time: Duration) -> Cost {
    let mut ends = Ends::new(contender, size);
    let warm = Duration::from_millis(100);
    while ends.clock.begun.elapsed() < warm && ends.clock.passed() < 10 * warm {
        ends.step();
    }
    let (passed, cpu, total) = (ends.clock.passed(), ProcessTime::now(), ends.b.got.total());
    while cpu.elapsed() < time && ends.clock.passed() - passed < 20 * time {
        ends.step();
    }
    let reasons = (&ends.a.closed, &ends.b.closed);
    assert_eq!(reasons, (&None, &None), "{}", contender.title);
    let gigabytes = (ends.b.got.total() - total) as f64 / 1e9;
    Cost {
        megabytes: gigabytes * 1e3 / (ends.clock.passed() - passed).as_secs_f64(),
        cpu_per_gigabyte: cpu.elapsed().as_secs_f64() / gigabytes,
    }
}

/// Two ends and the pipe between them.
struct Ends {
    clock: Clock,
    a: Peer,
    b: Peer,
    to_a: Pipe,
    to_b: Pipe,
    wakes: [Option<Instant>; 2],
}

impl Ends {
    fn new(contender: &Contender, size: usize) -> Self {
        let clock = Clock::start();
        let [mut a, mut b] = [Role::Client, Role::Server].map(|role| {
            let setup = Setup {
                max_message: size.max(256 << 10),
                seed: 7 + u64::from(role == Role::Server),
                ..Setup::new(role)
            };
            Peer::new((contender.make)(setup), clock.start)
        });
        b.stack.connect(clock.start);
        a.stack.connect(clock.start);
        a.send_bulk(clock.start, size, size.max(256 << 10));
        Self {
            clock,
            a,
            b,
            to_a: Pipe::default(),
            to_b: Pipe::default(),
            wakes: [None; 2],
        }
    }

    /// Both ends in turn; if neither had anything to do, on to the next timeout.
    fn step(&mut self) {
        let (to_a, to_b) = (&mut self.to_a, &mut self.to_b);
        let [wake_a, wake_b] = &mut self.wakes;
        let busy = turn(self.clock.now(), &mut self.b, to_b, to_a, wake_b)
            | turn(self.clock.now(), &mut self.a, to_a, to_b, wake_a);
        if !busy && self.to_a.ends.is_empty() && self.to_b.ends.is_empty() {
            let next = self.wakes.into_iter().flatten().min();
            let next = next.expect("somebody waits for something");
            self.clock.jumped += next.saturating_duration_since(self.clock.now());
        }
    }
}

/// One end takes its burst and its timeout and is polled. True if it had anything to do.
fn turn(
    now: Instant,
    peer: &mut Peer,
    from: &mut Pipe,
    to: &mut Pipe,
    wake: &mut Option<Instant>,
) -> bool {
    let mut busy = from.deliver(now, peer);
    if wake.is_some_and(|wake| wake <= now) {
        peer.handle_timeout(now);
        busy = true;
    }
    *wake = peer.poll(now, &mut |packet| to.push(packet));
    busy
}

/// What the figures belong to.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name| {
        info.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split(": ").nth(1))
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores, medians, one thread for both ends",
        field("model name").unwrap_or("unknown processor")
    )
}
