//! The relay beside coturn: packets a second, processor time, memory for an allocation.
//!
//! ```sh
//! cargo build --release && cargo run --release --manifest-path bench/relay/Cargo.toml
//! ```
//!
//! Each server has core 0 for itself, this program has core 1. Datagrams of 1,100 bytes go as ChannelData from a client through the relay to
//! a peer, in bursts that leave in one call. What is counted is what arrived. Both are
//! asked the same, one after the other; the table has the medians. Arguments: seconds of each round (3), and how many rounds (3).

use std::fs;
use std::io::{BufRead, BufReader, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};

/// The tests' client by hand; they use more of it.
#[path = "../../../crates/cli/tests/relay/turn.rs"]
#[allow(dead_code)]
mod turn;

/// What the client by hand wants of the tests' kit.
mod kit {
    pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
    pub(crate) const SECRET: &str = "north";
}

use turn::Client;

const SIZE: usize = 1100;
/// Datagrams under way at most. Small buffers overrun by a large window, and what is lost is noticed late: each server is measured with
/// all of these and has the figures of the one that suits it best.
const WINDOWS: [u64; 3] = [32, 96, 384];
const HERTZ: f64 = 100.0;

struct Server {
    child: Child,
    turn: SocketAddr,
    _files: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn crowfly() -> Server {
    let files = tempfile::tempdir().unwrap();
    let settings = files.path().join("settings.toml");
    let many = "stun-per-second = 60000\nrelay-allocations-per-user = 5000\nrelay-allocations-per-source = 5000\nrelay-max-allocations = 5000\n\
        relay-bytes-per-second-per-user = 100000000000\nrelay-bytes-per-second-per-source = 100000000000\n";
    fs::write(&settings, many).unwrap();
    let mut child = Command::new("taskset")
        .args([
            "-c",
            "0",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/crowfly"),
            "serve",
        ])
        .args([
            "--listen",
            "127.0.0.1:0",
            "--relay-listen",
            "127.0.0.1:0",
            "--relay-secret",
            kit::SECRET,
        ])
        .args(["--relay-allow", "127.0.0.0/8", "--config"])
        .arg(&settings)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let turn = lines.find_map(|line| line.strip_prefix("TURN is at UDP and TCP ")?.parse().ok());
    thread::spawn(move || lines.for_each(drop));
    Server {
        child,
        turn: turn.unwrap(),
        _files: files,
    }
}

fn coturn() -> Server {
    let files = tempfile::tempdir().unwrap();
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let turn = free.unwrap();
    let child = Command::new("taskset")
        .args([
            "-c",
            "0",
            "turnserver",
            "-n",
            "--listening-ip",
            "127.0.0.1",
            "--relay-ip",
            "127.0.0.1",
        ])
        .args([
            "--listening-port",
            &turn.port().to_string(),
            "--realm",
            "crowfly",
            "--allow-loopback-peers",
        ])
        .args([
            "--use-auth-secret",
            "--static-auth-secret",
            kit::SECRET,
            "--relay-threads",
            "1",
        ])
        .args([
            "--no-tls",
            "--no-dtls",
            "--no-cli",
            "--log-file",
            "/dev/null",
            "--pidfile",
        ])
        .arg(files.path().join("pid"))
        .arg("--userdb")
        .arg(files.path().join("users"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    loop {
        let _ = probe.send_to(b"\x00\x01\x00\x00\x21\x12\xa4\x42transactions", turn);
        if probe.recv(&mut [0; 200]).is_ok() {
            return Server {
                child,
                turn,
                _files: files,
            };
        }
    }
}

/// A socket that takes and gives bursts.
struct Burst {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Burst {
    fn new(socket: UdpSocket) -> Self {
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).unwrap();
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), 4 << 20);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), 4 << 20);
        Self { socket, state }
    }

    fn send(&self, to: SocketAddr, contents: &[u8], segment: usize) {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: (segment < contents.len()).then_some(segment),
            src_ip: None,
        };
        while self
            .state
            .try_send(UdpSockRef::from(&self.socket), &transmit)
            .is_err()
        {
            thread::yield_now();
        }
    }

    /// How many datagrams have come.
    fn receive(&self, buffers: &mut [u8]) -> u64 {
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let mut slices: Vec<IoSliceMut<'_>> =
            buffers.chunks_mut(1 << 16).map(IoSliceMut::new).collect();
        match self
            .state
            .recv(UdpSockRef::from(&self.socket), &mut slices, &mut meta)
        {
            Ok(count) => meta[..count]
                .iter()
                .map(|meta| meta.len.div_ceil(meta.stride.max(1)) as u64)
                .sum(),
            Err(_) => 0,
        }
    }
}

/// User and system time of a process, in seconds.
fn processor(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / HERTZ
}

fn memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

struct Figures {
    packets_a_second: f64,
    seconds_a_gigabyte: f64,
    lost: f64,
}

/// `pairs`: the peer is another client of the same relay.
fn measure(
    server: &Server,
    time: Duration,
    window: u64,
    allocations: usize,
    burst: usize,
    pairs: bool,
) -> Figures {
    let mut peer = Client::new(server.turn, "peer");
    let own = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = if pairs {
        peer.allocate(None).unwrap()
    } else {
        own.local_addr().unwrap()
    };
    let mut senders = Vec::new();
    for number in 0..allocations {
        let mut client = Client::new(server.turn, "ann");
        let relayed = client.allocate(None).unwrap();
        assert_eq!(client.bind(0x4000, at), 0);
        if pairs {
            assert_eq!(peer.bind(0x4000 + number as u16, relayed), 0);
        }
        senders.push(client);
    }
    let sink = Burst::new(if pairs {
        peer.socket.try_clone().unwrap()
    } else {
        own
    });
    let senders: Vec<Burst> = senders
        .into_iter()
        .map(|client| Burst::new(client.socket))
        .collect();
    let message = [&[0x40, 0, 4, 76][..], &[7; SIZE]].concat();
    let train = message.repeat(burst);
    let (mut sent, mut received) = (0, 0);
    let mut buffers = vec![0; BATCH_SIZE << 16];
    let (before, start) = (processor(server.child.id()), Instant::now());
    let mut progress = (0, Instant::now());
    let mut lost = 0;
    let mut next = 0;
    while start.elapsed() < time {
        if sent < received + lost + window {
            senders[next % senders.len()].send(server.turn, &train, message.len());
            next += 1;
            sent += burst as u64;
        }
        received += sink.receive(&mut buffers);
        if received != progress.0 {
            progress = (received, Instant::now());
        } else if progress.1.elapsed() > Duration::from_millis(20) {
            // What has not come by now was dropped.
            lost = sent - received;
            progress.1 = Instant::now();
        }
    }
    let (elapsed, used) = (
        start.elapsed().as_secs_f64(),
        processor(server.child.id()) - before,
    );
    let got = received as f64;
    Figures {
        packets_a_second: got / elapsed,
        seconds_a_gigabyte: used / (got * SIZE as f64 / 1e9),
        lost: lost as f64 / sent as f64,
    }
}

/// KiB of resident memory for one of a thousand allocations, each with a channel.
fn footprint(server: &Server) -> f64 {
    let at = "127.0.0.1:9".parse().unwrap();
    let allocate = || {
        let mut client = Client::new(server.turn, "ann");
        client.allocate(None).unwrap();
        assert_eq!(client.bind(0x4000, at), 0);
        client
    };
    let _first: Vec<Client> = (0..20).map(|_| allocate()).collect();
    let before = memory(server.child.id());
    let _all: Vec<Client> = (0..1000).map(|_| allocate()).collect();
    (memory(server.child.id()) - before) / 1000.0
}

fn best(measure: impl Fn(u64) -> Figures) -> Figures {
    let all = WINDOWS.into_iter().map(measure);
    all.max_by(|one, other| one.packets_a_second.total_cmp(&other.packets_a_second))
        .unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let argument = |at| {
        std::env::args()
            .nth(at)
            .and_then(|text| text.parse::<f64>().ok())
    };
    let time = Duration::from_secs_f64(argument(1).unwrap_or(3.0));
    let rounds = argument(2).unwrap_or(3.0) as usize;
    // Threads of this program stay on its core.
    let own = std::process::id().to_string();
    Command::new("taskset")
        .args(["-acp", "1", &own])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    println!(
        "| 1,100 bytes | crowfly k packets/s | coturn | times | crowfly CPU-s/GB | coturn | lost |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, allocations, burst, pairs) in [
        ("1 allocation, one at a time", 1, 1, false),
        ("1 allocation, bursts of 8", 1, 8, false),
        ("1 allocation, bursts of 32", 1, 32, false),
        ("100 allocations, bursts of 8", 100, 8, false),
        ("two clients of the relay, bursts of 8", 1, 8, true),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(best(|window| {
                measure(&crowfly(), time, window, allocations, burst, pairs)
            }));
            theirs.push(best(|window| {
                measure(&coturn(), time, window, allocations, burst, pairs)
            }));
        }
        let speed = |all: &[Figures]| {
            median(
                all.iter()
                    .map(|one| one.packets_a_second / 1000.0)
                    .collect(),
            )
        };
        let cost = |all: &[Figures]| median(all.iter().map(|one| one.seconds_a_gigabyte).collect());
        let lost = |all: &[Figures]| median(all.iter().map(|one| one.lost * 100.0).collect());
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} % / {:.2} % |",
            speed(&ours),
            speed(&theirs),
            speed(&ours) / speed(&theirs),
            cost(&ours),
            cost(&theirs),
            lost(&ours),
            lost(&theirs)
        );
    }
    println!(
        "KiB an allocation: crowfly {:.1}, coturn {:.1}",
        footprint(&crowfly()),
        footprint(&coturn())
    );
}
