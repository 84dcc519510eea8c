//! The hub and the model, side by side.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use crowfly_protocol::RoomName;
use crowfly_server::{
    hub::{Config, ConnectionId, Hub, Input, Output, Stats},
    limits::{Quota, Rate},
};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json, value::RawValue};

use crate::{
    MOST_FAILURES, MOST_ROOMS, MOST_ROOMS_OF_A_SOURCE,
    act::{Act, Wish},
    model::{self, Model, Told},
};

/// How often each kind of thing was seen.
pub(crate) type Seen = RefCell<BTreeMap<String, u64>>;

/// What a peer remembers of a seat, to come back with.
struct Ticket {
    room: String,
    token: String,
    session: Option<String>,
}

/// One history being played.
pub(crate) struct History<'s> {
    seen: &'s Seen,
    hub: Hub,
    model: Model,
    start: Instant,
    now: Duration,
    connected: u64,
    asked: u64,
    names: Vec<String>,
    tickets: Vec<Ticket>,
}

impl<'s> History<'s> {
    pub(crate) fn new(seed: u64, seen: &'s Seen) -> Self {
        let config = Config {
            // How often one may speak has its own tests.
            messages: Rate {
                burst: 1_000_000,
                each: Duration::from_nanos(1),
            },
            failed_look_ups: Quota {
                count: MOST_FAILURES,
                window: Duration::from_secs(60),
            },
            max_rooms: MOST_ROOMS,
            max_rooms_per_source: MOST_ROOMS_OF_A_SOURCE,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            seen,
            hub: Hub::new(config, bytes),
            model: Model::default(),
            start: Instant::now(),
            now: Duration::ZERO,
            connected: 0,
            asked: 0,
            names: vec!["kitchen".into(), "cellar".into(), "k7fq-9xqm-2p4t".into()],
            tickets: Vec::new(),
        }
    }

    pub(crate) fn play(mut self, acts: &[Act]) -> Result<(), TestCaseError> {
        for act in acts {
            self.act(act)?;
            self.nothing_leaks()?;
            for kind in self.model.apart() {
                *self.seen.borrow_mut().entry(kind.to_owned()).or_default() += 1;
            }
        }
        for connection in self.model.connections() {
            self.cut(connection)?;
        }
        self.pass(Duration::from_secs(200), false)?;
        prop_assert_eq!(
            self.hub.stats(),
            Stats::default(),
            "something was left behind"
        );
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match *act {
            Act::Connect { source } => self.connect(source),
            Act::Pass { milliseconds, late } => {
                self.pass(Duration::from_millis(milliseconds), late)
            }
            Act::Cut { who } => self.with(Wish::Anybody, who, Self::cut),
            Act::Garbage { who } => self.with(Wish::Anybody, who, Self::say_garbage),
            Act::Binary { who } => self.with(Wish::Anybody, who, Self::say_binary),
            Act::Create { who, name } => self.with(Wish::Standing, who, |this, from| {
                let name = name.map(|name| this.names[name].clone());
                this.ask(from, json!({"type": "create", "room": name}))
            }),
            Act::Join { who, .. } => {
                self.with(Wish::Standing, who, |this, from| this.join(from, act))
            }
            Act::Resume { who, .. } => {
                self.with(Wish::Standing, who, |this, from| this.resume(from, act))
            }
            Act::BothResume { who, ticket } => {
                let Some(ticket) = self.ticket(ticket) else {
                    return Ok(());
                };
                let (room, token, session) = (&ticket.room, &ticket.token, &ticket.session);
                let request =
                    json!({"type": "resume", "room": room, "token": token, "session": session});
                for _ in 0..2 {
                    let request = request.clone();
                    self.with(Wish::Standing, who, |this, from| this.ask(from, request))?;
                }
                Ok(())
            }
            Act::Signal { who, session } => self.with(Wish::Seated, who, |this, from| {
                let session = this.session(from, session);
                this.signal(from, &session)
            }),
            Act::Reject { who, session, busy } => self.with(Wish::Seated, who, |this, from| {
                let session = this.session(from, session);
                let reason = if busy { "busy" } else { "no-offer" };
                let request = json!({"type": "reject", "session": session, "reason": reason});
                this.ask(from, request)
            }),
            Act::Leave { who } => self.with(Wish::Seated, who, |this, from| {
                this.ask(from, json!({"type": "leave"}))
            }),
            Act::Ping { who } => self.with(Wish::Anybody, who, |this, from| {
                this.ask(from, json!({"type": "ping"}))
            }),
            Act::Destroy { who } => self.with(Wish::Seated, who, |this, from| {
                this.ask(from, json!({"type": "destroy"}))
            }),
        }
    }

    /// Does something with one of the connections, if there is any; mostly with one that the act makes sense for.
    fn with(
        &mut self,
        wish: Wish,
        who: usize,
        does: impl FnOnce(&mut Self, u64) -> Result<(), TestCaseError>,
    ) -> Result<(), TestCaseError> {
        let all = self.model.connections();
        let sensible = |&connection: &u64| match wish {
            Wish::Anybody => true,
            Wish::Standing => !self.model.is_seated(connection),
            Wish::Seated => self.model.is_seated(connection),
        };
        let some = all.iter().copied().filter(sensible).collect::<Vec<_>>();
        let chosen = if who.is_multiple_of(8) { all } else { some };
        match chosen.len() {
            0 => Ok(()),
            choices => does(self, chosen[who / 8 % choices]),
        }
    }

    fn join(&mut self, from: u64, act: &Act) -> Result<(), TestCaseError> {
        let &Act::Join {
            name,
            session,
            ticket,
            then_signal,
            ..
        } = act
        else {
            return Ok(());
        };
        let ticket = ticket.and_then(|ticket| self.ticket(ticket));
        let token = ticket.map(|ticket| ticket.token.clone());
        let room = match ticket {
            Some(ticket) => ticket.room.clone(),
            None => self.name(name),
        };
        let session = model::session(session);
        let request = json!({"type": "join", "room": room, "session": session, "token": token});
        self.ask(from, request)?;
        if then_signal {
            self.signal(from, &session)?;
        }
        Ok(())
    }

    fn resume(&mut self, from: u64, act: &Act) -> Result<(), TestCaseError> {
        let &Act::Resume {
            ticket,
            name,
            with_session,
            ..
        } = act
        else {
            return Ok(());
        };
        let Some(ticket) = self.ticket(ticket) else {
            return Ok(());
        };
        let room = name.map_or_else(|| ticket.room.clone(), |name| self.name(name));
        let session = ticket.session.as_ref().filter(|_| with_session);
        let token = &ticket.token;
        let request = json!({"type": "resume", "room": room, "token": token, "session": session});
        self.ask(from, request)
    }

    fn signal(&mut self, from: u64, session: &str) -> Result<(), TestCaseError> {
        let payload = self.asked;
        self.ask(
            from,
            json!({"type": "signal", "session": session, "payload": payload}),
        )
    }

    /// Mostly one of the newest.
    fn ticket(&self, number: usize) -> Option<&Ticket> {
        let newest = if number.is_multiple_of(8) {
            self.tickets.len()
        } else {
            self.tickets.len().min(4)
        };
        self.tickets.iter().rev().nth(number / 8 % newest.max(1))
    }

    /// Mostly the name of a room there is.
    fn name(&self, number: usize) -> String {
        let names = match self.model.names() {
            there if !number.is_multiple_of(8) && !there.is_empty() => there,
            _ => self.names.clone(),
        };
        names[number / 8 % names.len()].clone()
    }

    fn connect(&mut self, source: u8) -> Result<(), TestCaseError> {
        self.connected += 1;
        let connection = self.connected;
        let told = self.input(Input::Connected {
            connection: ConnectionId(connection),
            source: IpAddr::from(Ipv4Addr::new(192, 0, 2, source)).into(),
            ice_servers: RawValue::NULL,
        });
        let peer = told.messages[&connection][0]["peer"].clone();
        self.model.connect(connection, source, &peer);
        self.compare(told)
    }

    fn cut(&mut self, connection: u64) -> Result<(), TestCaseError> {
        let told = self.input(Input::Disconnected {
            connection: ConnectionId(connection),
        });
        self.model.cut(connection);
        self.compare(told)
    }

    fn pass(&mut self, time: Duration, late: bool) -> Result<(), TestCaseError> {
        let end = self.now + time;
        let mut told = Told::default();
        while !late
            && let Output::Timeout(Some(at)) = self.hub.poll_output()
            && at <= self.start + end
        {
            self.now = self.now.max(at - self.start);
            told.append(self.input(Input::Timeout));
        }
        self.now = end;
        told.append(self.input(Input::Timeout));
        self.model.pass(end);
        self.compare(told)
    }

    /// A request with an id of its own; the model is told what was drawn for the answer.
    fn ask(&mut self, from: u64, mut request: Value) -> Result<(), TestCaseError> {
        self.asked += 1;
        request["id"] = json!(self.asked);
        let told = self.input(Input::Message {
            connection: ConnectionId(from),
            text: &request.to_string(),
        });
        let answer = told
            .messages
            .get(&from)
            .and_then(|messages| messages.last())
            .cloned()
            .unwrap_or_default();
        self.remember(&request, &answer)?;
        self.model.request(from, &request, &answer);
        self.compare(told)
    }

    fn say_garbage(&mut self, from: u64) -> Result<(), TestCaseError> {
        let told = self.input(Input::Message {
            connection: ConnectionId(from),
            text: "{",
        });
        self.model.refused(from, None, "malformed-message");
        self.compare(told)
    }

    fn say_binary(&mut self, from: u64) -> Result<(), TestCaseError> {
        let told = self.input(Input::Binary {
            connection: ConnectionId(from),
        });
        self.model.refused(from, None, "binary-message");
        self.compare(told)
    }

    /// Keeps what a client would keep, and checks what the server drew.
    fn remember(&mut self, request: &Value, answer: &Value) -> Result<(), TestCaseError> {
        let (Some(room), Some(token)) = (answer["room"].as_str(), answer["token"].as_str()) else {
            return Ok(());
        };
        let room = room.to_owned();
        if answer["type"] == "created" && request["room"].is_null() {
            prop_assert!(
                RoomName::parse(&room).is_ok_and(|name| name.is_drawn()),
                "{} is not drawn",
                room
            );
            prop_assert!(!self.names.contains(&room), "{} was drawn twice", room);
            self.names.push(room.clone());
        }
        let session = answer["session"].as_str().map(str::to_owned);
        let same = answer["type"] == "resumed" && request["token"] == answer["token"];
        let known = self.tickets.iter().any(|ticket| ticket.token == token);
        prop_assert_eq!(known, same, "a token is new unless the seat is the old one");
        if answer["type"] == "resumed" && session.is_some() {
            let how = if same {
                "resumed its seat"
            } else {
                "resumed its session"
            };
            *self.seen.borrow_mut().entry(how.to_owned()).or_default() += 1;
        }
        self.tickets.push(Ticket {
            room,
            token: token.to_owned(),
            session,
        });
        Ok(())
    }

    /// The session this peer is in, or another.
    fn session(&self, from: u64, other: Option<u8>) -> String {
        other
            .map(model::session)
            .or_else(|| self.model.session_of(from))
            .unwrap_or_else(|| model::session(0))
    }

    fn input(&mut self, input: Input<'_>) -> Told {
        self.hub.handle_input(self.start + self.now, input);
        let mut told = Told::default();
        loop {
            match self.hub.poll_output() {
                Output::Transmit { connection, text } => {
                    let mut message: Value =
                        serde_json::from_str(&text).expect("what the hub says is JSON");
                    if message["type"] == "error" {
                        message
                            .as_object_mut()
                            .expect("an object")
                            .remove("message");
                    }
                    told.messages.entry(connection.0).or_default().push(message);
                }
                Output::Close { connection, reason } => {
                    assert_eq!(
                        told.closed.insert(connection.0, reason),
                        None,
                        "closed twice"
                    );
                }
                Output::Event(_) => {}
                Output::Timeout(_) => return told,
            }
        }
    }

    fn compare(&mut self, told: Told) -> Result<(), TestCaseError> {
        let mut seen = self.seen.borrow_mut();
        for kind in told
            .messages
            .values()
            .flatten()
            .flat_map(kinds)
            .chain(told.closed.values().map(ToString::to_string))
        {
            *seen.entry(kind).or_default() += 1;
        }
        prop_assert_eq!(told, std::mem::take(&mut self.model.told));
        Ok(())
    }

    /// As many of everything as the model has; each that waits has its timer, and the sources have at most one for all.
    fn nothing_leaks(&self) -> Result<(), TestCaseError> {
        let stats = self.hub.stats();
        let model = self.model.stats();
        prop_assert_eq!(
            (stats.connections, stats.rooms, stats.pairings),
            (model.connections, model.rooms, model.pairings)
        );
        prop_assert!(
            (model.timers..=model.timers + 1).contains(&stats.timers),
            "{} timers for {} that wait",
            stats.timers,
            model.timers
        );
        prop_assert!(stats.rooms <= MOST_ROOMS);
        Ok(())
    }
}

/// What a message is, in the words of `WHAT_CAN_HAPPEN`.
fn kinds(message: &Value) -> Vec<String> {
    let kind = message["type"].as_str().unwrap_or_default();
    let alone = message.get("peer").is_some_and(Value::is_null);
    let words = [
        message["code"].as_str(),
        message["reason"].as_str(),
        Some(kind),
    ];
    let mut kinds = words
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    if alone {
        kinds.push(format!("{kind} alone"));
    }
    kinds
}
