//! A hub for tests: a clock that stands still until told otherwise, and an inbox for every connection.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use crowfly_protocol::{ErrorCode, SessionId};
use serde_json::{Value, json, value::RawValue};

use crate::hub::{Config, ConnectionId, Event, Hub, Input, Output, Stats};

pub(crate) struct Scene {
    pub(crate) hub: Hub,
    now: Instant,
    connected: u64,
    inboxes: BTreeMap<ConnectionId, VecDeque<Value>>,
    closed: BTreeMap<ConnectionId, ErrorCode>,
    events: Vec<Event>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            hub: Hub::new(config, [1; 32]),
            now: Instant::now(),
            connected: 0,
            inboxes: BTreeMap::new(),
            closed: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// A connection that has been greeted, from a source of its own.
    pub(crate) fn connect(&mut self) -> ConnectionId {
        let address = Ipv4Addr::from(0x0a00_0000 + u32::try_from(self.connected).unwrap());
        let connection = self.connect_from(address.into());
        assert_eq!(self.next(connection)["type"], "welcome");
        connection
    }

    /// A connection whose `welcome` is still in its inbox.
    pub(crate) fn connect_from(&mut self, address: IpAddr) -> ConnectionId {
        self.connected += 1;
        let connection = ConnectionId(self.connected);
        let ice_servers = RawValue::from_string(r#"[{"urls":["stun:test:3478"]}]"#.into()).unwrap();
        self.input(Input::Connected {
            connection,
            source: address.into(),
            ice_servers: &ice_servers,
        });
        connection
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.hub.handle_input(self.now, input);
        loop {
            match self.hub.poll_output() {
                Output::Transmit { connection, text } => {
                    let message = serde_json::from_str(&text).expect("what the hub says is JSON");
                    self.inboxes
                        .entry(connection)
                        .or_default()
                        .push_back(message);
                }
                Output::Close { connection, reason } => {
                    let before = self.closed.insert(connection, reason);
                    assert_eq!(before, None, "closed twice");
                }
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => return,
            }
        }
    }

    pub(crate) fn say_text(&mut self, connection: ConnectionId, text: &str) {
        self.input(Input::Message { connection, text });
    }

    pub(crate) fn say(&mut self, connection: ConnectionId, message: Value) {
        self.say_text(connection, &message.to_string());
    }

    /// Says something and takes the one answer; nothing else may have been waiting.
    pub(crate) fn ask(&mut self, connection: ConnectionId, message: Value) -> Value {
        self.hears_nothing(connection);
        self.say(connection, message);
        let answer = self.next(connection);
        self.hears_nothing(connection);
        answer
    }

    /// Says something that must fail, and takes the code.
    pub(crate) fn refused(&mut self, connection: ConnectionId, mut message: Value) -> String {
        message["id"] = json!(77);
        let answer = self.ask(connection, message);
        assert_eq!(
            (&answer["type"], &answer["id"]),
            (&json!("error"), &json!(77)),
            "{answer}"
        );
        answer["code"].as_str().expect("a code").to_owned()
    }

    pub(crate) fn next(&mut self, connection: ConnectionId) -> Value {
        let inbox = self.inboxes.entry(connection).or_default();
        inbox
            .pop_front()
            .unwrap_or_else(|| panic!("nothing was said to {connection:?}"))
    }

    pub(crate) fn hears_nothing(&self, connection: ConnectionId) {
        let inbox = self.inboxes.get(&connection);
        assert!(
            inbox.is_none_or(VecDeque::is_empty),
            "{connection:?} was told {inbox:?}"
        );
    }

    pub(crate) fn closed(&self, connection: ConnectionId) -> Option<ErrorCode> {
        self.closed.get(&connection).copied()
    }

    pub(crate) fn count(&self, event: Event) -> usize {
        self.events
            .iter()
            .filter(|&&happened| happened == event)
            .count()
    }

    /// The connection drops.
    pub(crate) fn cut(&mut self, connection: ConnectionId) {
        self.input(Input::Disconnected { connection });
    }

    /// Lets time pass, as a driver does: from timeout to timeout.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Output::Timeout(Some(at)) = self.hub.poll_output()
            && at <= end
        {
            self.now = self.now.max(at);
            self.input(Input::Timeout);
        }
        self.now = end;
        self.input(Input::Timeout);
    }

    /// Two peers in a room of this name, in the session `session(1)`: who waited, who joined, and their answers.
    pub(crate) fn pair(&mut self, room: &str) -> [(ConnectionId, Value); 2] {
        let first = self.connect();
        let created = self.ask(first, json!({"type": "create", "room": room}));
        assert_eq!(created["type"], "created", "{created}");
        let second = self.connect();
        let joined = self.ask(
            second,
            json!({"type": "join", "room": room, "session": session(1)}),
        );
        assert_eq!(joined["type"], "joined", "{joined}");
        assert_eq!(self.next(first)["type"], "peer-joined");
        [(first, created), (second, joined)]
    }

    /// Nothing is left of anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.hub.stats() == Stats::default()
    }
}

/// A session id, by number.
pub(crate) fn session(number: u8) -> String {
    SessionId::from_bytes([number; 16]).to_string()
}

/// An opaque signal in the session of this number.
pub(crate) fn signal(number: u8) -> Value {
    json!({"type": "signal", "session": session(number), "payload": {"kind": "test"}})
}
