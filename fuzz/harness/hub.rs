//! What must hold of the hub, whatever its connections send and whenever they end. Used by the fuzz target and by the tests
//! of the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use crowfly_protocol::{ClientMessage, ErrorCode, ServerMessage, SessionId};
use crowfly_server::hub::{Config, ConnectionId, Hub, Input, Output, Stats};
use serde_json::value::RawValue;

/// Reads the bytes as a history, plays it, and lets everybody go; panics when a promise is broken.
pub(crate) fn play(data: &[u8]) {
    let mut play = Play::new();
    let mut bytes = data.iter().copied();
    while let Some(act) = bytes.next() {
        play.act(act, &mut bytes);
    }
    for connection in play.open.clone() {
        play.input(Input::Disconnected { connection });
    }
    // Every seat that was kept is lost by then; what that counted against a source is forgotten a minute later.
    play.pass(Duration::from_secs(300));
    play.pass(MINUTE);
    assert_eq!(
        play.hub.stats(),
        Stats::default(),
        "something was left behind"
    );
}

/// What a source may find out about chosen names in a minute.
const GUESSES: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

struct Play {
    hub: Hub,
    now: Instant,
    connected: u64,
    open: BTreeSet<ConnectionId>,
    sources: BTreeMap<ConnectionId, u8>,
    /// By source: answers that told whether a chosen name is in use, and until when they count.
    guesses: BTreeMap<u8, (u32, Instant)>,
    /// Rooms and tokens the hub has told of.
    rooms: Vec<String>,
    tokens: Vec<String>,
    /// What each connection was told in answer to the last input: types of messages, or codes of errors.
    heard: BTreeMap<ConnectionId, Vec<String>>,
}

impl Play {
    fn new() -> Self {
        Self {
            hub: Hub::new(Config::default(), [3; 32]),
            now: Instant::now(),
            connected: 0,
            open: BTreeSet::new(),
            sources: BTreeMap::new(),
            guesses: BTreeMap::new(),
            rooms: vec!["kitchen".into()],
            tokens: vec![session(0)],
            heard: BTreeMap::new(),
        }
    }

    fn act(&mut self, act: u8, bytes: &mut impl Iterator<Item = u8>) {
        let mut next = || bytes.next().unwrap_or_default();
        match act % 16 {
            0 | 1 => self.connect(next()),
            2 => self.pass(Duration::from_millis(u64::from(next()) * 100)),
            3 => {
                let Some(connection) = self.pick(next()) else {
                    return;
                };
                self.input(Input::Disconnected { connection });
            }
            4 => {
                let Some(connection) = self.pick(next()) else {
                    return;
                };
                self.input(Input::Binary { connection });
            }
            5 => {
                let Some(connection) = self.pick(next()) else {
                    return;
                };
                let length = usize::from(next());
                let text = bytes.take(length).collect::<Vec<_>>();
                self.say(connection, &String::from_utf8_lossy(&text));
            }
            _ => {
                let Some(connection) = self.pick(next()) else {
                    return;
                };
                let text = self.request(act, next(), next(), next());
                self.say(connection, &text);
            }
        }
    }

    /// A request that is well formed, so that histories get further than random bytes would.
    fn request(&self, act: u8, room: u8, number: u8, token: u8) -> String {
        let room = &self.rooms[usize::from(room) % self.rooms.len()];
        let token = &self.tokens[usize::from(token) % self.tokens.len()];
        let session = session(number % 16);
        match act % 16 {
            6 => r#"{"type":"create","id":1}"#.into(),
            7 => format!(r#"{{"type":"create","id":1,"room":"{room}"}}"#),
            8 | 9 => format!(r#"{{"type":"join","id":1,"room":"{room}","session":"{session}"}}"#),
            10 => format!(
                r#"{{"type":"join","id":1,"room":"{room}","session":"{session}","token":"{token}"}}"#
            ),
            11 => format!(
                r#"{{"type":"resume","id":1,"room":"{room}","session":"{session}","token":"{token}"}}"#
            ),
            12 => {
                format!(r#"{{"type":"signal","id":1,"session":"{session}","payload":[{number}]}}"#)
            }
            13 => format!(r#"{{"type":"reject","id":1,"session":"{session}","reason":"other"}}"#),
            14 => r#"{"type":"leave","id":1}"#.into(),
            _ => r#"{"type":"destroy","id":1}"#.into(),
        }
    }

    fn connect(&mut self, source: u8) {
        self.connected += 1;
        let connection = ConnectionId(self.connected);
        self.open.insert(connection);
        self.sources.insert(connection, source % 4);
        let source = IpAddr::from(Ipv6Addr::new(
            0x2001,
            0xdb8,
            0,
            u16::from(source % 4),
            0,
            0,
            0,
            1,
        ))
        .into();
        self.input(Input::Connected {
            connection,
            source,
            ice_servers: RawValue::NULL,
        });
    }

    fn say(&mut self, connection: ConnectionId, text: &str) {
        self.input(Input::Message { connection, text });
        let heard = self.heard.remove(&connection).unwrap_or_default();
        assert!(heard.len() <= 1, "one answer to a request, not {heard:?}");
        if let Some(answer) = heard.first() {
            self.count_guess(connection, text, answer);
        }
    }

    /// Whatever a source asks and however, no more than so many answers tell it of a chosen name that it has found no seat under.
    fn count_guess(&mut self, connection: ConnectionId, text: &str, answer: &str) {
        let name = match ClientMessage::parse(text) {
            Ok((_, ClientMessage::Create { room: Some(room) })) => room,
            Ok((_, ClientMessage::Join { room, .. } | ClientMessage::Resume { room, .. })) => room,
            _ => return,
        };
        let told = [
            "created",
            ErrorCode::RoomTaken.as_str(),
            ErrorCode::RoomUnavailable.as_str(),
            ErrorCode::BadToken.as_str(),
        ];
        if name.is_drawn() || !told.contains(&answer) {
            return;
        }
        let source = self.sources[&connection];
        let end = self.now + MINUTE;
        let (count, until) = self.guesses.entry(source).or_insert((0, end));
        if *until <= self.now {
            (*count, *until) = (0, end);
        }
        *count += 1;
        assert!(*count <= GUESSES, "{count} guesses within a minute");
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.input(Input::Timeout);
    }

    fn pick(&self, number: u8) -> Option<ConnectionId> {
        let open = self.open.len().max(1);
        self.open.iter().copied().nth(usize::from(number) % open)
    }

    fn input(&mut self, input: Input<'_>) {
        if let Input::Disconnected { connection } = input {
            self.open.remove(&connection);
        }
        self.heard.clear();
        self.hub.handle_input(self.now, input);
        loop {
            match self.hub.poll_output() {
                Output::Transmit { connection, text } => {
                    assert!(
                        self.open.contains(&connection),
                        "it is told nothing after its end"
                    );
                    let kind = self.listen(&text);
                    self.heard.entry(connection).or_default().push(kind);
                }
                Output::Close { connection, .. } => {
                    assert!(self.open.remove(&connection), "it is closed once")
                }
                Output::Event(_) => {}
                Output::Timeout(next) => {
                    assert!(
                        next.is_none_or(|next| next > self.now),
                        "what is due was dealt with"
                    );
                    break;
                }
            }
        }
        let stats = self.hub.stats();
        assert_eq!(stats.connections, self.open.len());
        assert!(stats.pairings <= stats.rooms);
    }

    fn listen(&mut self, text: &str) -> String {
        let (_, message) = ServerMessage::parse(text).expect("what the hub says can be read");
        if let ServerMessage::Created { room, .. } = &message {
            self.rooms.push(room.as_str().to_owned());
        }
        if let ServerMessage::Created { .. }
        | ServerMessage::Joined { .. }
        | ServerMessage::Resumed { .. } = message
        {
            let token = text
                .split("\"token\":\"")
                .nth(1)
                .and_then(|rest| rest.get(..22));
            self.tokens
                .push(token.expect("a token of 22 characters").to_owned());
        }
        match message {
            ServerMessage::Error { code, .. } => code.as_str().to_owned(),
            other => other.kind().to_owned(),
        }
    }
}

fn session(number: u8) -> String {
    SessionId::from_bytes([number; 16]).to_string()
}
