//! `crowfly serve` as a service manager and a shell meet it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(10);

fn crowfly(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowfly"));
    command
        .args(["serve", "--relay-listen", "127.0.0.1:0"])
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running server and where it is.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = crowfly(&[&["--listen", "127.0.0.1:0"], arguments].concat())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        // Goes on reading, so that the server never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let address = first
            .strip_prefix("Crowfly is at http://")
            .and_then(|rest| rest.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("{first}")).to_owned();
        Self { child, address }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status();
        assert!(sent.unwrap().success());
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ended(self) -> Output {
        self.child.wait_with_output().unwrap()
    }
}

#[test]
fn a_busy_port_is_a_clear_error_with_a_hint() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let output = crowfly(&["--listen", &address]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.starts_with(&format!("error: cannot listen on {address}\n  cause: ")),
        "{stderr}"
    );
    assert!(
        stderr.contains(
            "\nhint: another program has this port; choose another with --listen 127.0.0.1:"
        ),
        "{stderr}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn the_page_is_built_in() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("<!doctype html>"),
        "{answer}"
    );
    server.signal("TERM");
    server.ended();
}

#[test]
fn sigterm_and_sigint_end_it_well() {
    for signal in ["TERM", "INT"] {
        let server = Server::start(&[]);
        server.signal(signal);
        let output = server.ended();
        assert_eq!(output.status.code(), Some(0), "{signal}");
        assert!(output.stdout.is_empty(), "stdout is for data only");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // A connection that asks for nothing would hold it for an hour.
    let server = Server::start(&["--drain-seconds", "3600"]);
    let mut held = server.connect();
    held.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // Served in order: when a later connection has its answer, the earlier one was accepted.
    let mut other = server.connect();
    other
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    other.read_to_end(&mut Vec::new()).unwrap();
    server.signal("TERM");
    // It stops listening when it has taken the signal in.
    while TcpStream::connect(&server.address).is_ok() {}
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(1));
}
