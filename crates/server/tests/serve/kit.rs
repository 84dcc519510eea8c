//! A server on free ports and blocking clients for it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crowfly_server::{Config, SUBPROTOCOL, Server};
use serde_json::Value;
use tokio::sync::oneshot;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::{Message, WebSocket};

/// Nothing in these tests takes a tenth of it; whatever takes longer has gone wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The session of every pairing here.
pub(crate) const SESSION: &str = "AAECAwQFBgcICQoLDA0ODw";

/// A server in a thread of its own, which ends with it.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) stun: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Free ports, everything else as it is by default.
pub(crate) fn config() -> Config {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Config {
        listen: any,
        relay_listen: Some(any),
        ..Config::default()
    }
}

impl TestServer {
    pub(crate) fn start(config: Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Server::bind(config).await.unwrap();
                ready
                    .send((server.local_addr(), server.stun_addr()))
                    .unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let (address, stun) = bound.recv_timeout(PATIENCE).unwrap();
        Self {
            address,
            stun,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Asks it to stop, as a signal would.
    pub(crate) fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) fn stopped(mut self) {
        self.ask_to_stop();
        self.thread.take().unwrap().join().unwrap();
    }

    /// A WebSocket of a program, greeted; and the greeting.
    pub(crate) fn greeted(&self) -> (Client, Value) {
        let mut client = self.connect(&[]).unwrap();
        let welcome = client.hear();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        (client, welcome)
    }

    /// A WebSocket of a program, or the status it was refused with.
    pub(crate) fn connect(&self, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
        let headers = [&[("sec-websocket-protocol", SUBPROTOCOL)], headers].concat();
        self.upgrade(&headers)
    }

    /// A WebSocket with exactly these headers beside what RFC 6455 wants; `host` replaces the usual one.
    pub(crate) fn upgrade(&self, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
        let mut request: Request = format!("ws://{}/ws", self.address)
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Client { socket }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The answer to a GET.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    /// The answer to any request; `host` among the headers replaces the usual one.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if headers.iter().all(|(name, _)| *name != "host") {
            text += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.raw(&format!("{text}\r\n"))
    }

    /// The answer to these bytes.
    pub(crate) fn raw(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            // A failed server has told why on stderr; the test is failing already.
            let _ = thread.join();
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            status,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A WebSocket.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Client {
    pub(crate) fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next text message, as it came.
    pub(crate) fn hear_text(&mut self) -> String {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next text message.
    pub(crate) fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).unwrap()
    }

    /// Code and reason the server closes with; whatever comes before is skipped.
    pub(crate) fn hear_close(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.socket.read().unwrap() {
                let frame = frame.expect("a code and a reason");
                return (frame.code.into(), frame.reason.as_str().to_owned());
            }
        }
    }
}

/// Two peers in one room of this server: who waits, who joined, and the room's name.
pub(crate) fn pair(server: &TestServer) -> (Client, Client, String) {
    let (mut waiting, _) = server.greeted();
    waiting.say(r#"{"type":"create","id":1}"#);
    let created = waiting.hear();
    let room = created["room"].as_str().expect("a room").to_owned();
    let (mut joining, _) = server.greeted();
    joining.say(&format!(
        r#"{{"type":"join","id":1,"room":"{room}","session":"{SESSION}"}}"#
    ));
    assert_eq!(joining.hear()["type"], "joined");
    assert_eq!(waiting.hear()["type"], "peer-joined");
    (waiting, joining, room)
}

/// A `signal` with this payload.
pub(crate) fn signal(payload: &str) -> String {
    format!(r#"{{"type":"signal","session":"{SESSION}","payload":{payload}}}"#)
}
