//! `crowfly pipe LINK`: from the start of its process to the first byte on its stdout; server, other side and all on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context;

/// A process that does not outlive its handle.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Milliseconds of each of so many.
pub fn measure(program: &str, times: usize) -> anyhow::Result<Vec<f64>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let server = Command::new(program)
        .args(["serve", "--listen", &address])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let _server = Ended(server);
    while std::net::TcpStream::connect(&address).is_err() {
        std::thread::yield_now();
    }
    let url = format!("http://{address}");
    (0..times).map(|_| once(program, &url)).collect()
}

fn once(program: &str, url: &str) -> anyhow::Result<f64> {
    let mut waits = Command::new(program)
        .args(["pipe", "--server", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    waits
        .stdin
        .as_mut()
        .context("its stdin")?
        .write_all(b"caw")?;
    let told = BufReader::new(waits.stderr.take().context("its stderr")?);
    let mut waits = Ended(waits);
    let mut lines = told.lines();
    let link = loop {
        let line = lines.next().context("a line with a link")??;
        let found = line.split_whitespace().find(|word| word.contains("/#"));
        if let Some(link) = found {
            break link.to_owned();
        }
    };
    let began = Instant::now();
    let joins = Command::new(program)
        .args(["pipe", &link])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut joins = Ended(joins);
    let out = joins.0.stdout.as_mut().context("its stdout")?;
    out.read_exact(&mut [0; 1])?;
    let took = began.elapsed();
    drop(waits.0.stdin.take());
    Ok(took.as_secs_f64() * 1e3)
}
