//! A server under test: started on one core, watched through /proc, ended.

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::{
    process::{Resource, Rlimit},
    thread::CpuSet,
};

use crate::dialect::Dialect;

const SERVER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;
/// Ten thousand clients, and room.
const DESCRIPTORS: u64 = 11_000;

/// How each server is started.
pub struct Programs {
    pub crowfly: PathBuf,
    /// `peerjs.js` of the npm package `peer`.
    pub peerjs: PathBuf,
}

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

/// Puts this thread beside the servers, and raises the limit of open files, which servers inherit.
pub fn prepare() -> anyhow::Result<()> {
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < DESCRIPTORS) {
        let raised = Rlimit {
            current: Some(DESCRIPTORS),
            maximum,
        };
        rustix::process::setrlimit(Resource::Nofile, raised).with_context(|| {
            format!("cannot open {DESCRIPTORS} files; raise the hard limit of open files")
        })?;
    }
    on_core(GENERATOR_CORE)
}

impl Server {
    /// Starts one and waits for its first 200; how long that took from exec on is the second value.
    pub fn start(
        programs: &Programs,
        dialect: Dialect,
        limits: Limits,
    ) -> anyhow::Result<(Self, Duration)> {
        // A port that was free a moment ago.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (program, arguments) = command(programs, dialect, address, limits);
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if dialect == Dialect::PeerJs {
            command.env("NODE_ENV", "production");
        }
        on_core(SERVER_CORE)?; // inherited by the child
        let begun = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()));
        on_core(GENERATOR_CORE)?;
        let mut server = Self {
            child: child?,
            address,
        };
        server.wait_for_ok()?;
        Ok((server, begun.elapsed()))
    }

    /// Resident memory in bytes, once it has not changed for a second.
    pub fn settled_memory(&self) -> anyhow::Result<u64> {
        let (mut last, mut same) = (self.memory("VmRSS")?, 0);
        while same < 5 {
            thread::sleep(Duration::from_millis(200));
            let now = self.memory("VmRSS")?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    /// The largest resident memory since [`Server::forget_peak`], in bytes.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM")
    }

    /// Resets the peak (proc_pid_clear_refs(5)).
    pub fn forget_peak(&self) -> anyhow::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
            .context("cannot reset the memory peak")
    }

    /// Processor time used so far, all threads.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        processor_time(&self.child.id().to_string())
    }

    fn memory(&self, field: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .context("the server has ended")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .context("no such field")?;
        let kibibytes: u64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?;
        Ok(kibibytes * 1024)
    }

    fn wait_for_ok(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended by itself with {status}");
            }
            if answers_ok(self.address) {
                return Ok(());
            }
            thread::sleep(Duration::from_micros(200));
        }
        bail!("no 200 from the server within ten seconds")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the limits on messages are as shipped or out of the way of the measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    AsShipped,
    Raised,
}

fn command(
    programs: &Programs,
    dialect: Dialect,
    address: SocketAddr,
    limits: Limits,
) -> (PathBuf, Vec<OsString>) {
    let text = match dialect {
        Dialect::Crowfly => {
            let raised = if limits == Limits::Raised {
                " --messages-per-second 1000000"
            } else {
                ""
            };
            format!("serve --listen {address} --relay-listen 127.0.0.1:0{raised}")
        }
        // Its own limit, 5,000 clients, is raised too.
        Dialect::PeerJs => {
            format!(
                "{} --host {} --port {} --concurrent_limit 50000",
                programs.peerjs.display(),
                address.ip(),
                address.port()
            )
        }
    };
    let program = if dialect == Dialect::Crowfly {
        programs.crowfly.clone()
    } else {
        "node".into()
    };
    (program, text.split(' ').map(OsString::from).collect())
}

fn answers_ok(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok::<_, std::io::Error>(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Processor time of this program.
pub fn own_processor_time() -> anyhow::Result<Duration> {
    processor_time("self")
}

fn processor_time(process: &str) -> anyhow::Result<Duration> {
    let stat =
        fs::read_to_string(format!("/proc/{process}/stat")).context("the server has ended")?;
    // utime and stime are fields 14 and 15; the name, field 2, is in parentheses and may hold anything (proc_pid_stat(5)).
    let after_name = &stat[stat.rfind(')').context("no name")? + 2..];
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse().unwrap_or(0))
        .sum();
    Ok(Duration::from_secs_f64(
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
    ))
}

fn on_core(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .with_context(|| format!("cannot run on core {core}"))
}
