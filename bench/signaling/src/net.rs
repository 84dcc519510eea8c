//! Many WebSocket clients on one thread: an epoll loop with as little as possible between the socket and the measure.

use std::{
    io::{self, ErrorKind, Read, Write},
    mem,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use slab::Slab;
use socket2::{Domain, Socket as RawSocket, Type};

use crate::frames::{self, CLOSE, PING, PONG, TEXT};

/// Names a client. Reused after [`Net::close`] has ended.
pub type Key = usize;

/// What a measure does when something happens.
pub trait Driver {
    /// A text message has come.
    fn text(&mut self, net: &mut Net, key: Key, text: &[u8]) -> anyhow::Result<()>;
    /// All that one read has brought has been handed to [`Driver::text`].
    fn read(&mut self, _net: &mut Net, _key: Key) -> anyhow::Result<()> {
        Ok(())
    }
    /// The server ended the connection, with the code and reason of its close frame if it sent one. `key` is free now.
    fn closed(
        &mut self,
        net: &mut Net,
        key: Key,
        close: Option<(u16, String)>,
    ) -> anyhow::Result<()>;
}

/// All clients of one measure, connected to one server.
pub struct Net {
    server: SocketAddr,
    poll: Poll,
    clients: Slab<Client>,
    scratch: Vec<u8>,
    opened: u32,
}

struct Client {
    stream: TcpStream,
    upgraded: bool,
    /// Received, but not yet a whole frame.
    inbox: Vec<u8>,
    /// Not yet taken by the kernel; `blocked` while it waits for the socket to become writable.
    outbox: Vec<u8>,
    blocked: bool,
    paused: bool,
    close: Option<(u16, String)>,
}

/// Clients come from this many loopback addresses in turn, as clients of a real server do from many; so limits by source stay as
/// they are, and no address runs out of ports.
const SOURCES: u32 = 250;

impl Net {
    pub fn new(server: SocketAddr) -> anyhow::Result<Self> {
        let poll = Poll::new().context("cannot make an epoll instance")?;
        Ok(Self {
            server,
            poll,
            clients: Slab::new(),
            scratch: vec![0; 256 * 1024],
            opened: 0,
        })
    }

    /// Begins to connect. The first text tells that it has worked: both servers speak first.
    pub fn connect(&mut self, path: &str) -> anyhow::Result<Key> {
        self.opened += 1;
        let source = Ipv4Addr::new(127, 0, 1, 1 + (self.opened % SOURCES) as u8);
        let raw = RawSocket::new(Domain::IPV4, Type::STREAM, None)?;
        raw.set_nonblocking(true)?;
        raw.set_tcp_nodelay(true)?;
        raw.bind(&SocketAddr::from((source, 0)).into())
            .context("cannot bind a loopback address")?;
        match raw.connect(&self.server.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error).context("cannot connect");
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(raw.into());
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        self.poll.registry().register(
            &mut stream,
            Token(key),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let outbox = frames::upgrade_request(&self.server.to_string(), path).into_bytes();
        let client = Client {
            stream,
            upgraded: false,
            inbox: vec![],
            outbox,
            blocked: true,
            paused: false,
            close: None,
        };
        entry.insert(client);
        Ok(key)
    }

    /// Sends a text message at once.
    pub fn send(&mut self, key: Key, text: &[u8]) -> anyhow::Result<()> {
        self.queue(key, text);
        self.flush(key)
    }

    /// Puts a text message behind the others; [`Net::flush`] sends them together.
    pub fn queue(&mut self, key: Key, text: &[u8]) {
        frames::encode(&mut self.clients[key].outbox, TEXT, text);
    }

    pub fn flush(&mut self, key: Key) -> anyhow::Result<()> {
        self.clients[key].flush()
    }

    /// How much the kernel has not taken yet.
    pub fn unsent(&self, key: Key) -> usize {
        self.clients[key].outbox.len()
    }

    /// Sends a close frame (1000); [`Driver::closed`] follows when the server has ended the connection (RFC 6455 §7.1.1).
    pub fn close(&mut self, key: Key) -> anyhow::Result<()> {
        frames::encode(&mut self.clients[key].outbox, CLOSE, &1000u16.to_be_bytes());
        self.flush(key)
    }

    /// From now on nothing is read from this client's socket.
    pub fn pause(&mut self, key: Key) {
        self.clients[key].paused = true;
    }

    /// Reads again, first what lies waiting.
    pub fn resume(&mut self, key: Key, driver: &mut impl Driver) -> anyhow::Result<()> {
        self.clients[key].paused = false;
        self.read(key, driver, true)
    }

    /// Works until `done`, or fails after `limit`.
    pub fn run<D: Driver>(
        &mut self,
        driver: &mut D,
        limit: Duration,
        done: impl Fn(&D) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        while !done(driver) {
            if Instant::now() >= until {
                bail!("not done after {limit:?}");
            }
            self.turn(driver, Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Works for so long.
    pub fn run_for(&mut self, driver: &mut impl Driver, length: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.turn(driver, Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Waits for events at most so long, and handles them.
    pub fn turn(&mut self, driver: &mut impl Driver, wait: Duration) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            let Token(key) = event.token();
            if event.is_writable() && self.clients.get(key).is_some_and(|client| client.blocked) {
                self.clients[key].blocked = false;
                self.flush(key)?;
            }
            if event.is_readable() && self.clients.get(key).is_some_and(|client| !client.paused) {
                self.read(key, driver, event.is_read_closed())?;
            }
        }
        Ok(())
    }

    /// Reads until the socket is empty: events come once an edge. A short read has emptied it (epoll(7)), unless it hides an end.
    fn read(&mut self, key: Key, driver: &mut impl Driver, may_end: bool) -> anyhow::Result<()> {
        loop {
            let mut scratch = mem::take(&mut self.scratch);
            let length = match self.clients[key].stream.read(&mut scratch) {
                Ok(length) => Some(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                Err(error) if is_gone(&error) => Some(0),
                Err(error) => return Err(error).context("reading"),
            };
            if let Some(length) = length {
                self.received(key, &scratch[..length], driver)?;
            }
            let emptied = length.is_none_or(|length| length < scratch.len() && !may_end);
            self.scratch = scratch;
            if length == Some(0) {
                let client = self.clients.remove(key);
                return driver.closed(self, key, client.close);
            }
            if emptied || self.clients[key].paused {
                return Ok(());
            }
        }
    }

    fn received(&mut self, key: Key, data: &[u8], driver: &mut impl Driver) -> anyhow::Result<()> {
        let mut kept = mem::take(&mut self.clients[key].inbox);
        let mut rest = if kept.is_empty() {
            data
        } else {
            kept.extend(data);
            &kept[..]
        };
        if !self.clients[key].upgraded
            && let Some(head) = frames::upgrade_response(rest)?
        {
            self.clients[key].upgraded = true;
            rest = &rest[head..];
        }
        while self.clients[key].upgraded
            && let Some((opcode, payload, length)) = frames::decode(rest)?
        {
            rest = &rest[length..];
            match opcode {
                TEXT => driver.text(self, key, payload)?,
                PING => {
                    frames::encode(&mut self.clients[key].outbox, PONG, payload);
                    self.flush(key)?;
                }
                CLOSE => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    let reason =
                        String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                    self.clients[key].close = code.map(|code| (code, reason));
                }
                PONG => {}
                other => bail!("a frame with opcode {other}"),
            }
        }
        let rest = rest.to_vec();
        self.clients[key].inbox = rest;
        driver.read(self, key)
    }
}

impl Client {
    fn flush(&mut self) -> anyhow::Result<()> {
        let mut sent = 0;
        while !self.blocked && sent < self.outbox.len() {
            match self.stream.write(&self.outbox[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                // The server has gone; the read end tells.
                Err(error) if is_gone(&error) => sent = self.outbox.len(),
                Err(error) => return Err(error).context("writing"),
            }
        }
        self.outbox.drain(..sent);
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected
    )
}
