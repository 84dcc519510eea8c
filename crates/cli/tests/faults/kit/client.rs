//! One client of the server: well-behaved by default, and able to misbehave in every way.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::frame::{self, Frame};

/// Nothing in this suite takes as long on the slowest machine; a test that waits longer has found something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a client comes to the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Approach {
    source: Option<IpAddr>,
    headers: Vec<(String, String)>,
    receive_buffer: Option<usize>,
}

impl Approach {
    /// From this local address: all of `127.0.0.0/8` is at hand, and each is a source of its own.
    pub(crate) fn from(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With one more header in the upgrade request.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With as little kernel memory for what it does not read as the kernel allows.
    pub(crate) fn small_receive_buffer(mut self) -> Self {
        self.receive_buffer = Some(4096);
        self
    }

    /// A bare TCP connection.
    pub(crate) fn tcp(&self, server: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        socket.connect(&server.into())?;
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// The upgrade request, as a program that is no browser page sends it (`docs/protocol.md`, Transport).
    pub(crate) fn request(&self, server: SocketAddr) -> String {
        let mut request = format!(
            "GET /ws HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        if !self.headers.iter().any(|(name, _)| name == "Origin") {
            request += "Sec-WebSocket-Protocol: crowfly.1\r\n";
        }
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        request + "\r\n"
    }

    /// Asks for a WebSocket and does not wait for the answer.
    pub(crate) fn knock(&self, server: SocketAddr) -> Client {
        let mut client = Client::new(self.tcp(server).expect("a TCP connection"));
        let request = self.request(server);
        client
            .send_bytes(request.as_bytes())
            .expect("the upgrade request is taken");
        client
    }

    /// A WebSocket, or the HTTP status it was refused with.
    pub(crate) fn upgrade(&self, server: SocketAddr) -> Result<Client, u16> {
        let mut client = self.knock(server);
        match client.response_head() {
            Some((101, _)) => Ok(client),
            Some((status, _)) => Err(status),
            None => panic!("the server hung up on an upgrade request"),
        }
    }

    /// A client that was welcomed.
    pub(crate) fn connect(&self, server: SocketAddr) -> Client {
        let mut client = self
            .upgrade(server)
            .unwrap_or_else(|status| panic!("upgrade refused with {status}"));
        let welcome = client.receive();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        client.peer = welcome["peer"].as_str().expect("a peer id").to_owned();
        client
    }
}

/// What may come next on a connection.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Message(Value),
    /// The server's close frame.
    Closed {
        code: u16,
        reason: String,
    },
    /// The connection ended without one.
    Dropped,
}

impl Event {
    pub(crate) fn closed(code: u16, reason: &str) -> Self {
        Self::Closed {
            code,
            reason: reason.to_owned(),
        }
    }
}

/// A client on its own connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// The id the server gave it.
    pub(crate) peer: String,
    /// Whether it answers pings.
    pub(crate) alive: bool,
    received: Vec<u8>,
    scratch: Vec<u8>,
    last_id: u64,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            peer: String::new(),
            alive: true,
            received: Vec::new(),
            scratch: vec![0; 16 * 1024],
            last_id: 0,
        }
    }

    /// An honest client from 127.0.0.1.
    pub(crate) fn connect(server: SocketAddr) -> Self {
        Approach::default().connect(server)
    }

    /// A TCP connection on which nothing was said yet.
    pub(crate) fn bare(server: SocketAddr) -> Self {
        Self::new(Approach::default().tcp(server).expect("a TCP connection"))
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send_frame(frame::FIN | frame::TEXT, text.as_bytes());
    }

    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send_bytes(&frame::frame(first, payload))
            .expect("the server takes a frame");
    }

    /// An error is the server's having hung up, which some tests wait for.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// What comes next; pings are answered on the way.
    pub(crate) fn event(&mut self) -> Event {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "nothing but pings");
            match self.next_frame() {
                None => return Event::Dropped,
                Some(frame) => {
                    if let Some(event) = self.understand(frame) {
                        return event;
                    }
                }
            }
        }
    }

    /// What has come by now, if anything.
    pub(crate) fn event_if_any(&mut self) -> Option<Event> {
        loop {
            while let Some(frame) = frame::take(&mut self.received) {
                if let Some(event) = self.understand(frame) {
                    return Some(event);
                }
            }
            self.stream.set_nonblocking(true).expect("a socket");
            let more = self.stream.read(&mut self.scratch);
            self.stream.set_nonblocking(false).expect("a socket");
            match more {
                Ok(length @ 1..) => self.received.extend_from_slice(&self.scratch[..length]),
                Err(error) if timed_out(&error) => return None,
                Ok(_) | Err(_) => return Some(Event::Dropped),
            }
        }
    }

    /// Whether the server has ended this connection; messages are lost.
    pub(crate) fn has_ended(&mut self) -> bool {
        while let Some(event) = self.event_if_any() {
            if !matches!(event, Event::Message(_)) {
                return true;
            }
        }
        false
    }

    /// Answers the server's close frame (RFC 6455 §7.1.2).
    pub(crate) fn confirm_close(&mut self) {
        // The server may have given up waiting.
        let _ = self.send_bytes(&frame::frame(
            frame::FIN | frame::CLOSE,
            &1000_u16.to_be_bytes(),
        ));
    }

    /// The next message.
    pub(crate) fn receive(&mut self) -> Value {
        match self.event() {
            Event::Message(message) => message,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// The next text message as it came, for one that a JSON reader would refuse to nest so deep.
    pub(crate) fn receive_text(&mut self) -> String {
        match self.next_frame() {
            Some(Frame { opcode, payload }) if opcode == frame::TEXT => {
                String::from_utf8(payload).expect("text in UTF-8")
            }
            other => panic!("{other:?} instead of a text message"),
        }
    }

    /// The next message, of this type.
    pub(crate) fn receive_type(&mut self, kind: &str) -> Value {
        let message = self.receive();
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Sends a request and returns its answer; facts that come in between are lost.
    pub(crate) fn ask(&mut self, mut request: Value) -> Value {
        self.last_id += 1;
        request["id"] = json!(self.last_id);
        self.send(&request);
        self.answer_to(self.last_id)
            .unwrap_or_else(|| panic!("no answer to {request}"))
    }

    /// The next message that carries this id, or `None` when the connection ends first.
    pub(crate) fn answer_to(&mut self, id: u64) -> Option<Value> {
        loop {
            match self.event() {
                Event::Message(message) if message["id"] == id => return Some(message),
                Event::Message(_) => {}
                _ => return None,
            }
        }
    }

    /// The stable code a request is refused with.
    pub(crate) fn refused(&mut self, request: Value) -> String {
        let answer = self.ask(request);
        assert_eq!(answer["type"], "error", "{answer}");
        answer["code"].as_str().expect("a code").to_owned()
    }

    /// Reads until the connection is closed, and says how.
    pub(crate) fn end(&mut self) -> Event {
        loop {
            match self.event() {
                Event::Message(_) => {}
                end => return end,
            }
        }
    }

    /// Proves that nothing was told to this client and that it is still served: the next thing it hears answers a request
    /// sent now.
    pub(crate) fn assert_undisturbed(&mut self) {
        self.last_id += 1;
        self.send(&json!({ "type": "no-such-type", "id": self.last_id }));
        let answer = self.receive();
        assert_eq!(answer["id"], self.last_id, "told something: {answer}");
    }

    /// Status and head of an HTTP response; `None` when the server hung up.
    pub(crate) fn response_head(&mut self) -> Option<(u16, String)> {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.received.drain(..end + 4).collect();
                let head = String::from_utf8(head).expect("a head in ASCII");
                let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                return Some((status.expect("a status line"), head));
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// `None` for a frame below the messages.
    fn understand(&mut self, Frame { opcode, payload }: Frame) -> Option<Event> {
        match opcode {
            frame::TEXT => {
                let message = serde_json::from_slice(&payload);
                Some(Event::Message(message.expect("the server speaks JSON")))
            }
            frame::CLOSE => Some(closed(&payload)),
            frame::PING if self.alive => {
                // It may have hung up meanwhile: the next read says so.
                let _ = self.send_bytes(&frame::frame(frame::FIN | frame::PONG, &payload));
                None
            }
            _ => None,
        }
    }

    fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = frame::take(&mut self.received) {
                return Some(frame);
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// False when the connection has ended.
    fn read_more(&mut self) -> bool {
        match self.stream.read(&mut self.scratch) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend_from_slice(&self.scratch[..length]);
                true
            }
            Err(error) if timed_out(&error) => panic!("nothing came for {PATIENCE:?}"),
            Err(_) => false,
        }
    }
}

/// The error of a read or write that reached its time limit.
pub(crate) fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn closed(payload: &[u8]) -> Event {
    match payload {
        [high, low, reason @ ..] => Event::Closed {
            code: u16::from_be_bytes([*high, *low]),
            reason: String::from_utf8(reason.to_vec()).expect("a reason in UTF-8"),
        },
        // RFC 6455 §7.1.5: no code was present.
        _ => Event::closed(1005, ""),
    }
}
