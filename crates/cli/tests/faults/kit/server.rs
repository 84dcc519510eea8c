//! The real server, `crowfly serve`, as a child process of its own: so that its memory, its processor time and its log are its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use super::client::{Approach, PATIENCE};
use super::process;

/// The server under test.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stun: SocketAddr,
    child: Child,
    log: Log,
    config: PathBuf,
}

impl Server {
    /// Starts it on free ports of 127.0.0.1 with these lines of configuration (TOML), and all else as it is by default: but it pings
    /// only when told to, for a test that waits elsewhere answers no pings.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_by(config, Command::new(BINARY))
    }

    /// Starts it with so many descriptors to use, and no way to raise that.
    pub(crate) fn start_with_descriptors(config: &str, limit: usize) -> Self {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "ulimit -n \"$0\" && exec \"$@\"",
            &limit.to_string(),
            BINARY,
        ]);
        Self::start_by(config, shell)
    }

    fn start_by(config: &str, command: Command) -> Self {
        let path = scratch().join(format!(
            "faults-{}-{:?}.toml",
            std::process::id(),
            thread::current().id()
        ));
        let pings = if config.contains("ping-interval-seconds") {
            ""
        } else {
            "ping-interval-seconds = 86400\n"
        };
        fs::write(&path, format!("{pings}{config}")).expect("a configuration file");
        let log = Log::default();
        let child = spawn(command, &path, "127.0.0.1:0", &log);
        let mut server = Self {
            address: log.address("Crowfly is at http://"),
            stun: log.address("STUN is at UDP "),
            child,
            log,
            config: path,
        };
        server.check();
        server
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, as a service manager stops it.
    pub(crate) fn terminate(&self) {
        let status = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "SIGTERM could not be sent"
        );
    }

    /// How it ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        // Its log ends when it does; waiting for the process itself could take for ever.
        self.log.wait_until(|log| log.ended);
        self.child.wait().expect("a child")
    }

    /// SIGKILL, and another one in its place, on the same port and with the same configuration.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().expect("a child");
        self.wait();
        self.log = Log::default();
        self.child = spawn(
            Command::new(BINARY),
            &self.config,
            &self.address.to_string(),
            &self.log,
        );
        assert_eq!(self.log.address("Crowfly is at http://"), self.address);
        self.check();
    }

    /// All it has written to stderr.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// The value of one line of `/metrics`; 0 for a counter that has not begun.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.page("/metrics");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Asks for a metric until it is this.
    pub(crate) fn wait_for_metric(&self, name: &str, wanted: u64) {
        wait_for(name, || self.metric(name) == wanted);
    }

    /// Waits until so many of its descriptors are open.
    pub(crate) fn wait_for_descriptors(&self, wanted: impl Fn(usize) -> bool) {
        wait_for("descriptors", || wanted(process::descriptors(self.id())));
    }

    /// The body of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut stream = Approach::default().tcp(self.address).expect("a connection");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream
            .write_all(request.as_bytes())
            .expect("a request is taken");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("a response in UTF-8");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body.to_owned()
    }

    /// A test of a server that is not there would prove nothing.
    fn check(&mut self) {
        assert!(
            self.child.try_wait().expect("a child").is_none(),
            "the server ended: {}",
            self.log()
        );
        assert_eq!(self.page("/healthz"), "ok\n");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.config);
        let log = self.log();
        if thread::panicking() {
            super::note(&format!("the server's log:\n{log}"));
        } else {
            assert!(!log.contains("panicked"), "the server panicked: {log}");
        }
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_crowfly");

/// A folder of this build, for files that need not outlive a test.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn spawn(mut command: Command, config: &Path, listen: &str, log: &Log) -> Child {
    command
        .args([
            "serve",
            "--listen",
            listen,
            "--relay-listen",
            "127.0.0.1:0",
            "--config",
        ])
        .arg(config);
    command
        .env_remove("CROWFLY_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary of this build");
    log.follow(child.stderr.take().expect("piped"));
    child
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "still waiting for {what}");
        thread::yield_now();
    }
}

/// What a server has written so far.
#[derive(Debug, Default, Clone)]
struct Log(Arc<(Mutex<Written>, Condvar)>);

#[derive(Debug, Default)]
struct Written {
    text: String,
    ended: bool,
}

impl Log {
    fn follow(&self, stderr: ChildStderr) {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.change(|written| written.text += &format!("{line}\n"));
            }
            log.change(|written| written.ended = true);
        });
    }

    /// The address on the line that begins so.
    fn address(&self, beginning: &str) -> SocketAddr {
        let find = |text: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix(beginning)?
                    .trim_end_matches('/')
                    .parse()
                    .ok()
            })
        };
        self.wait_until(|written| written.ended || find(&written.text).is_some());
        find(&self.text()).unwrap_or_else(|| panic!("no line `{beginning}…`: {}", self.text()))
    }

    fn text(&self) -> String {
        self.0
            .0
            .lock()
            .expect("no test panics while writing")
            .text
            .clone()
    }

    fn wait_until(&self, holds: impl Fn(&Written) -> bool) {
        let (written, changed) = &*self.0;
        let written = written.lock().expect("no test panics while writing");
        let waited = changed.wait_timeout_while(written, PATIENCE, |written| !holds(written));
        let in_time = !waited.expect("no test panics while writing").1.timed_out();
        assert!(
            in_time,
            "nothing of the kind in the server's log: {}",
            self.text()
        );
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        let (written, changed) = &*self.0;
        change(&mut written.lock().expect("no test panics while writing"));
        changed.notify_all();
    }
}
