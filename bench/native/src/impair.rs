//! A path between two real sockets: a link of `crates/sim` in real time, on two UDP sockets of our own.
//!
//! Descriptions are changed on their way, so that either side takes one of these sockets for the other side.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use crowfly_sim::{Link, LinkStats, Machine, Network};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What the path is looked after at least so often.
const GRAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000,
};
/// A datagram.
const BUFFER: usize = 1 << 16;

/// Where the two are, and the sockets in between: `[offerer, answerer]`.
pub struct Path {
    sockets: [UdpSocket; 2],
    real: [Option<SocketAddr>; 2],
}

/// A path at work.
pub struct Running {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<LinkStats>>>,
}

/// One end: what it was given to send, and what has arrived for it.
#[derive(Default)]
struct End {
    leaving: VecDeque<Vec<u8>>,
    arrived: Vec<Vec<u8>>,
}

impl Machine for End {
    fn handle_datagram(&mut self, _now: Instant, datagram: &[u8]) {
        self.arrived.push(datagram.to_vec());
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll(&mut self, _now: Instant, transmit: &mut dyn FnMut(&[u8])) -> Option<Instant> {
        self.leaving
            .drain(..)
            .for_each(|datagram| transmit(&datagram));
        None
    }
}

impl Path {
    pub fn new(address: std::net::IpAddr) -> anyhow::Result<Self> {
        let bind = || -> anyhow::Result<UdpSocket> {
            let socket = UdpSocket::bind((address, 0))?;
            socket.set_nonblocking(true)?;
            let raw = socket2::SockRef::from(&socket);
            raw.set_recv_buffer_size(4 << 20)?;
            raw.set_send_buffer_size(4 << 20)?;
            Ok(socket)
        };
        Ok(Self {
            sockets: [bind()?, bind()?],
            real: [None; 2],
        })
    }

    /// The description of side `from` with our socket instead of its own.
    pub fn disguise(&mut self, description: &str, from: usize) -> anyhow::Result<String> {
        let mut description: serde_json::Value = serde_json::from_str(description)?;
        let sdp = description["sdp"].as_str().context("a description's sdp")?;
        let ours = self.sockets[from].local_addr()?;
        let mut lines = Vec::new();
        for line in sdp.lines() {
            let Some(candidate) = line.strip_prefix("a=candidate:") else {
                lines.push(line.to_owned());
                continue;
            };
            let mut fields: Vec<String> = candidate.split(' ').map(str::to_owned).collect();
            let address = format!("{}:{}", fields[4], fields[5]).parse::<SocketAddr>();
            if let (Ok(address @ SocketAddr::V4(_)), None) = (address, self.real[from]) {
                self.real[from] = Some(address);
                (fields[4], fields[5]) = (ours.ip().to_string(), ours.port().to_string());
                lines.push(format!("a=candidate:{}", fields.join(" ")));
            }
        }
        lines.push(String::new());
        description["sdp"] = lines.join("\r\n").into();
        Ok(description.to_string())
    }

    /// Lets datagrams through, both ways over a link like this.
    pub fn run(self, link: Link) -> anyhow::Result<Running> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || self.carry(link, &told));
        Ok(Running {
            over,
            thread: Some(thread),
        })
    }

    fn carry(self, link: Link, over: &AtomicBool) -> anyhow::Result<LinkStats> {
        let real = [
            self.real[0].context("the offerer's address")?,
            self.real[1].context("the answerer's address")?,
        ];
        let mut network = Network::new(7);
        let ends = [
            network.add_machine(End::default()),
            network.add_machine(End::default()),
        ];
        let links = [network.add_link(link.clone()), network.add_link(link)];
        network.connect(ends[0], ends[1], &links[..1], &links[1..]);
        let (began, mut buffer) = (Instant::now(), vec![0; BUFFER]);
        while !over.load(Ordering::Relaxed) {
            network.run_for(began.elapsed().saturating_sub(network.elapsed()));
            for from in 0..2 {
                // The offerer speaks to the answerer's socket here.
                let socket = &self.sockets[1 - from];
                let mut burst = VecDeque::new();
                loop {
                    match socket.recv_from(&mut buffer) {
                        Ok((length, _)) => burst.push_back(buffer[..length].to_vec()),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                if !burst.is_empty() {
                    network.update(ends[from], |end, _| end.leaving = burst);
                }
                let arrived = network.update(ends[from], |end, _| std::mem::take(&mut end.arrived));
                for datagram in arrived {
                    let _ = socket.send_to(&datagram, real[from]);
                }
            }
            let [one, other] = &self.sockets;
            let mut ready = [
                PollFd::new(one, PollFlags::IN),
                PollFd::new(other, PollFlags::IN),
            ];
            poll(&mut ready, Some(&GRAIN))?;
        }
        Ok(network.stats(links[0]).clone())
    }
}

impl Running {
    /// Ends it; what it did to what the offerer sent.
    pub fn stop(mut self) -> anyhow::Result<LinkStats> {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it runs")?;
        thread.join().ok().context("the path's thread")?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The paths of `docs/performance.md`.
pub fn paths() -> [(&'static str, Link); 2] {
    let ms = Duration::from_millis;
    [
        (
            "200 Mbit/s, 50 ms, 1 % loss",
            Link::new()
                .rate(200_000_000)
                .delay(ms(25))
                .loss(crowfly_sim::Loss::Random(0.01)),
        ),
        (
            "100 Mbit/s, 20 ms, queue of 100 packets",
            Link::new()
                .rate(100_000_000)
                .delay(ms(10))
                .queue_packets(100),
        ),
    ]
}
