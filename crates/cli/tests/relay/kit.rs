//! Servers in processes of their own: ours, and coturn for comparison.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// What has not come by then does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Shared by server and clients.
pub(crate) const SECRET: &str = "north";

pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended by itself where this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `crowfly serve` with TURN over UDP, TCP and TLS at free ports.
pub(crate) struct Relay {
    pub(crate) process: Process,
    pub(crate) http: String,
    pub(crate) turn: SocketAddr,
    pub(crate) tls: SocketAddr,
    _files: TempDir,
}

impl Relay {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::at("127.0.0.1:0", arguments)
    }

    /// STUN and TURN over UDP and TCP at this address.
    pub(crate) fn at(listen: &str, arguments: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let (certificate, key) = certificate(&files);
        let mut child = Command::new(env!("CARGO_BIN_EXE_crowfly"))
            .args(["serve", "--listen", "127.0.0.1:0", "--relay-listen", listen])
            .args([
                "--relay-tls-listen",
                "127.0.0.1:0",
                "--relay-secret",
                SECRET,
            ])
            .arg("--tls-cert")
            .arg(certificate)
            .arg("--tls-key")
            .arg(key)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (say, said) = mpsc::channel();
        // Goes on reading, so that the server never waits for us.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        let after = |start: &str| {
            loop {
                let line = said.recv_timeout(PATIENCE).expect("it says where it is");
                if let Some(rest) = line.strip_prefix(start) {
                    return rest.to_owned();
                }
            }
        };
        Self {
            http: after("Crowfly is at http://")
                .trim_end_matches('/')
                .to_owned(),
            turn: after("TURN is at UDP and TCP ")
                .parse()
                .expect("an address"),
            tls: after("TURN is at TLS ").parse().expect("an address"),
            process: Process(child),
            _files: files,
        }
    }

    /// A count of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(&self.http).expect("it serves");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .expect("it takes requests");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .expect("a number")
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a number").parse().expect("a number")
    }
}

fn certificate(files: &TempDir) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]);
    let made = made.expect("a certificate");
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| files.path().join(name));
    fs::write(&certificate, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    (certificate, key)
}

/// coturn's server as Debian packs it, with nothing configured but the way in.
pub(crate) struct Coturn {
    _process: Process,
    _files: TempDir,
    pub(crate) turn: SocketAddr,
}

impl Coturn {
    pub(crate) fn start() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        // It takes no port 0: one that was free a moment ago.
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let turn = free.expect("a port");
        let child = Command::new("turnserver")
            .args([
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
            ])
            .args(["--use-auth-secret", "--static-auth-secret", SECRET])
            .args(["--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout"])
            .arg("--pidfile")
            .arg(files.path().join("pid"))
            .arg("--userdb")
            .arg(files.path().join("users"))
            .current_dir(files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`cargo xtask setup` installs coturn");
        let process = Process(child);
        await_stun(turn);
        Self {
            _process: process,
            _files: files,
            turn,
        }
    }
}

/// It says nowhere that it is there, but answers when it is.
fn await_stun(server: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let moment = Duration::from_millis(50);
    socket.set_read_timeout(Some(moment)).expect("a time");
    let answered = (0..PATIENCE.as_millis() / moment.as_millis()).any(|_| {
        // A port that is not yet open is an error of the next call.
        let _ = socket.send_to(b"\x00\x01\x00\x00\x21\x12\xa4\x42transactions", server);
        socket.recv(&mut [0; 200]).is_ok()
    });
    assert!(answered, "coturn did not start");
}
