//! What `docs/protocol.md` says, in lists.

mod names;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crowfly_protocol::{ErrorCode, RoomName, SessionId};
use crowfly_server::hub::Stats;
use serde_json::{Value, json};

use crate::{MOST_ROOMS, MOST_ROOMS_OF_A_SOURCE};

const WITHOUT_A_ROOM: Duration = Duration::from_secs(10);
const SEAT_KEPT: Duration = Duration::from_secs(20);

/// Who is told what, in order, and who is closed. The order between connections means nothing.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) messages: BTreeMap<u64, Vec<Value>>,
    pub(crate) closed: BTreeMap<u64, ErrorCode>,
}

impl Told {
    pub(crate) fn append(&mut self, more: Self) {
        for (connection, messages) in more.messages {
            self.messages
                .entry(connection)
                .or_default()
                .extend(messages);
        }
        self.closed.extend(more.closed);
    }
}

/// The session id with this number.
pub(crate) fn session(number: u8) -> String {
    SessionId::from_bytes([number; 16]).to_string()
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) told: Told,
    now: Duration,
    connections: BTreeMap<u64, Connection>,
    rooms: Vec<Room>,
    /// By source: how many look-ups were refused, how many made a room of a chosen name, and since when they count.
    look_ups: BTreeMap<u8, (u32, u32, Duration)>,
}

#[derive(Debug)]
struct Connection {
    source: u8,
    peer: Value,
    without_a_room_since: Duration,
}

#[derive(Debug)]
struct Room {
    name: String,
    /// The one session that leads here, if the name does not.
    apart: Option<String>,
    maker: u8,
    members: Vec<Member>,
    session: Option<String>,
    /// The pairing a lost connection ended, or that one who came back named; whoever names it may sit down opposite.
    torn: Option<String>,
    used: BTreeSet<String>,
}

#[derive(Debug)]
struct Member {
    peer: Value,
    token: Value,
    reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reach {
    Online(u64),
    LostSince(Duration),
}

/// An answer without its id, `None` when a signal was relayed, or an error code.
type Answer = Result<Option<Value>, &'static str>;

impl Model {
    pub(crate) fn connections(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.rooms.iter().map(|room| room.name.clone()).collect()
    }

    /// What there is of rooms that no name leads to, in the words of `WHAT_CAN_HAPPEN`.
    pub(crate) fn apart(&self) -> impl Iterator<Item = &'static str> {
        let apart = self.rooms.iter().filter(|room| room.apart.is_some());
        apart.map(|room| match room.members.len() {
            2 => "met apart",
            _ => "waits apart",
        })
    }

    pub(crate) fn is_seated(&self, connection: u64) -> bool {
        self.seat(connection).is_some()
    }

    pub(crate) fn session_of(&self, connection: u64) -> Option<String> {
        let (room, _) = self.seat(connection)?;
        self.rooms[room].session.clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        let members = self.rooms.iter().flat_map(|room| &room.members);
        let lost = members
            .clone()
            .filter(|member| matches!(member.reach, Reach::LostSince(_)))
            .count();
        let seated = members.count() - lost;
        Stats {
            connections: self.connections.len(),
            rooms: self.rooms.len(),
            pairings: self
                .rooms
                .iter()
                .filter(|room| room.members.len() == 2)
                .count(),
            timers: lost + self.connections.len() - seated,
            ..Stats::default()
        }
    }

    pub(crate) fn connect(&mut self, connection: u64, source: u8, peer: &Value) {
        assert!(
            self.connections.values().all(|other| other.peer != *peer),
            "a peer id was issued twice"
        );
        let without_a_room_since = self.now;
        self.connections.insert(
            connection,
            Connection {
                source,
                peer: peer.clone(),
                without_a_room_since,
            },
        );
        self.tell(
            connection,
            json!({"type": "welcome", "protocol": 1, "peer": peer, "iceServers": null}),
        );
    }

    pub(crate) fn cut(&mut self, connection: u64) {
        if let Some((room, member)) = self.seat(connection) {
            self.rooms[room].members[member].reach = Reach::LostSince(self.now);
            let peer = self.rooms[room].members[member].peer.clone();
            self.tell_other(room, member, json!({"type": "peer-offline", "peer": peer}));
            self.claim_name(room);
        }
        self.connections.remove(&connection);
    }

    /// Time passes, and at each instant somebody waited for, whoever waited long enough is dealt with.
    pub(crate) fn pass(&mut self, until: Duration) {
        let idle = self
            .connections
            .values()
            .map(|connection| connection.without_a_room_since + WITHOUT_A_ROOM);
        let lost =
            self.rooms
                .iter()
                .flat_map(|room| &room.members)
                .filter_map(|member| match member.reach {
                    Reach::LostSince(at) => Some(at + SEAT_KEPT),
                    Reach::Online(_) => None,
                });
        let mut due = idle
            .chain(lost)
            .filter(|&at| at > self.now && at < until)
            .collect::<BTreeSet<_>>();
        due.insert(until);
        for at in due {
            self.now = at;
            self.close_who_sits_nowhere();
            self.free_seats_of_the_lost();
        }
    }

    pub(crate) fn refused(&mut self, from: u64, id: Option<&Value>, code: &'static str) {
        let mut error = json!({"type": "error", "code": code});
        if let Some(id) = id {
            error["id"] = id.clone();
        }
        self.tell(from, error);
    }

    /// `drawn` is the hub's answer; of it, only what was drawn at random is looked at.
    pub(crate) fn request(&mut self, from: u64, request: &Value, drawn: &Value) {
        let answer = match request["type"].as_str().expect("a type") {
            "create" => self.create(from, request, drawn),
            "join" => self.join(from, request, drawn),
            "resume" => self.resume(from, request, drawn),
            "signal" => self.signal(from, request),
            "leave" => self.leave(from),
            "reject" => self.reject(from, request),
            "destroy" => self.destroy(from),
            "ping" => Ok(Some(json!({"type": "pong"}))),
            other => unreachable!("{other} is never asked"),
        };
        match answer {
            Ok(Some(mut answer)) => {
                answer["id"] = request["id"].clone();
                self.tell(from, answer);
            }
            Ok(None) => {}
            Err(code) => self.refused(from, Some(&request["id"]), code),
        }
    }

    fn create(&mut self, from: u64, request: &Value, drawn: &Value) -> Answer {
        self.nowhere(from)?;
        let name = match request["room"].as_str() {
            Some(name) if is_drawn(name) => return Err("invalid-room-name"),
            Some(name) => {
                self.may_look_up(from, name)?;
                if self.room(name).is_some() {
                    return self.failed(from, "room-taken");
                }
                self.count(self.connections[&from].source, [0, 1]);
                name
            }
            None => drawn["room"].as_str().unwrap_or("a drawn name"),
        };
        let room = self.open(from, name, None)?;
        self.sit(room, from, drawn);
        Ok(Some(
            json!({"type": "created", "room": name, "token": drawn["token"]}),
        ))
    }

    fn join(&mut self, from: u64, request: &Value, drawn: &Value) -> Answer {
        self.nowhere(from)?;
        let name = request["room"].as_str().expect("a name");
        let session = request["session"].as_str().expect("a session");
        let own = self.seat_of_token(name, None, &request["token"]);
        let room = match own {
            Some((room, _)) => room,
            None => self.find_a_seat(from, name)?,
        };
        if self.rooms[room].used.contains(session) {
            return Err("session-reused");
        }
        if let Some((room, member)) = own {
            self.replace(room, member);
            self.free(room, member, "replaced");
        }
        let (peer, session) = self.pair_or_wait(room, from, session, drawn);
        Ok(Some(
            json!({"type": "joined", "room": name, "token": drawn["token"], "peer": peer, "session": session}),
        ))
    }

    fn resume(&mut self, from: u64, request: &Value, drawn: &Value) -> Answer {
        self.nowhere(from)?;
        let name = request["room"].as_str().expect("a name");
        let session = request["session"].as_str();
        if let Some((room, member)) = self.seat_of_token(name, session, &request["token"]) {
            return Ok(Some(self.resume_seat(room, member, from)));
        }
        let (room, session) = self.another_seat(from, name, session)?;
        let (peer, session) = match session {
            Some(session) => self.pair_or_wait(room, from, &session, drawn),
            None => {
                self.sit(room, from, drawn);
                (Value::Null, Value::Null)
            }
        };
        let token = &drawn["token"];
        Ok(Some(
            json!({"type": "resumed", "room": name, "token": token, "peer": peer, "session": session}),
        ))
    }

    /// Where one that comes back sits down when its own seat is gone, and in which pairing.
    fn another_seat(
        &mut self,
        from: u64,
        name: &str,
        session: Option<&str>,
    ) -> Result<(usize, Option<String>), &'static str> {
        if let Some(session) = session {
            let awaits = |&room: &usize| {
                let room = &self.rooms[room];
                room.members.len() == 1 && room.torn.as_deref() == Some(session)
            };
            let there = [self.room(name), self.room_apart(name, session)];
            if let Some(room) = there.into_iter().flatten().find(awaits) {
                return Ok((room, Some(session.to_owned())));
            }
        }
        if let Err(code) = self.may_look_up(from, name) {
            let session = session.ok_or(code)?;
            if self.room_apart(name, session).is_some() {
                return Err(code);
            }
            let room = self.open(from, name, Some(session))?;
            self.rooms[room].torn = Some(session.to_owned());
            return Ok((room, None));
        }
        if self.room(name).is_none() {
            if !is_drawn(name) {
                self.count(self.connections[&from].source, [0, 1]);
            }
            let room = self.open(from, name, None)?;
            self.rooms[room].torn = session.map(str::to_owned);
            return Ok((room, None));
        }
        let room = self.find_a_seat(from, name)?;
        let Some(session) = session else {
            return self.failed(from, "bad-token");
        };
        if self.rooms[room].used.contains(session) {
            return Err("session-reused");
        }
        Ok((room, Some(session.to_owned())))
    }

    fn resume_seat(&mut self, room: usize, member: usize, from: u64) -> Value {
        self.replace(room, member);
        let seat = &mut self.rooms[room].members[member];
        seat.reach = Reach::Online(from);
        let (own, token) = (seat.peer.clone(), seat.token.clone());
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.peer = own.clone();
        }
        self.tell_other(room, member, json!({"type": "peer-online", "peer": own}));
        let room = &self.rooms[room];
        let peer = room
            .members
            .iter()
            .find(|member| member.peer != own)
            .map(|member| &member.peer);
        json!({"type": "resumed", "room": room.name, "token": token, "peer": peer, "session": room.session})
    }

    fn signal(&mut self, from: u64, request: &Value) -> Answer {
        let (room, member) = self.paired(from, request)?;
        let other = &self.rooms[room].members[1 - member];
        let Reach::Online(to) = other.reach else {
            return Err("peer-offline");
        };
        let sender = &self.rooms[room].members[member].peer;
        let message = json!({"type": "signal", "from": sender, "session": request["session"], "payload": request["payload"]});
        self.tell(to, message);
        Ok(None)
    }

    fn leave(&mut self, from: u64) -> Answer {
        let (room, member) = self.seat(from).ok_or("not-in-room")?;
        let name = self.rooms[room].name.clone();
        self.free(room, member, "leave");
        self.end_if_empty(room);
        Ok(Some(
            json!({"type": "left", "room": name, "reason": "leave"}),
        ))
    }

    fn reject(&mut self, from: u64, request: &Value) -> Answer {
        let (room, member) = self.paired(from, request)?;
        let other = &self.rooms[room].members[1 - member];
        let (peer, reach, name) = (
            other.peer.clone(),
            other.reach,
            self.rooms[room].name.clone(),
        );
        let torn = self.rooms[room].torn.clone();
        self.free(room, 1 - member, "rejected");
        if request["reason"] == "busy" {
            self.rooms[room].torn = torn;
        }
        if let Reach::Online(rejected) = reach {
            let left = json!({"type": "left", "room": name, "reason": "rejected", "detail": request["reason"]});
            self.tell(rejected, left);
        }
        let session = &request["session"];
        Ok(Some(
            json!({"type": "peer-left", "peer": peer, "session": session, "reason": "rejected"}),
        ))
    }

    fn destroy(&mut self, from: u64) -> Answer {
        let (room, member) = self.seat(from).ok_or("not-in-room")?;
        let others = self.rooms[room]
            .members
            .iter()
            .filter(|member| member.reach != Reach::Online(from));
        if others
            .clone()
            .any(|other| matches!(other.reach, Reach::Online(_)))
        {
            return Err("room-occupied");
        }
        let name = self.rooms[room].name.clone();
        self.free(room, member, "leave");
        self.rooms.remove(room);
        Ok(Some(json!({"type": "destroyed", "room": name})))
    }

    /// The seat of a connection that has somebody opposite and named their session.
    fn paired(&self, from: u64, request: &Value) -> Result<(usize, usize), &'static str> {
        let (room, member) = self.seat(from).ok_or("not-in-room")?;
        match &self.rooms[room].session {
            None => Err("no-peer"),
            Some(session) if *session != request["session"] => Err("stale-session"),
            Some(_) => Ok((room, member)),
        }
    }

    fn find_a_seat(&mut self, from: u64, name: &str) -> Result<usize, &'static str> {
        self.may_look_up(from, name)?;
        let code = match self.room(name) {
            Some(room) if self.rooms[room].members.len() < 2 => return Ok(room),
            _ if !is_drawn(name) => "room-unavailable",
            Some(_) => "room-full",
            None => "room-not-found",
        };
        self.failed(from, code)
    }

    fn open(&mut self, from: u64, name: &str, apart: Option<&str>) -> Result<usize, &'static str> {
        let maker = self.connections[&from].source;
        let made = self.rooms.iter().filter(|room| room.maker == maker).count();
        if self.rooms.len() == MOST_ROOMS || made == MOST_ROOMS_OF_A_SOURCE as usize {
            return Err("too-many-rooms");
        }
        self.rooms.push(Room {
            name: name.to_owned(),
            apart: apart.map(str::to_owned),
            maker,
            members: Vec::new(),
            session: None,
            torn: None,
            used: BTreeSet::new(),
        });
        Ok(self.rooms.len() - 1)
    }

    fn sit(&mut self, room: usize, from: u64, drawn: &Value) {
        let peer = self.connections[&from].peer.clone();
        let token = drawn["token"].clone();
        self.rooms[room].members.push(Member {
            peer,
            token,
            reach: Reach::Online(from),
        });
        assert!(self.rooms[room].members.len() <= 2, "never three seats");
    }

    /// Sits down; opposite somebody, that is a pairing of which both are told.
    fn pair_or_wait(
        &mut self,
        room: usize,
        from: u64,
        session: &str,
        drawn: &Value,
    ) -> (Value, Value) {
        self.sit(room, from, drawn);
        if self.rooms[room].members.len() == 1 {
            return (Value::Null, Value::Null);
        }
        let joined = &mut self.rooms[room];
        joined.used.insert(session.to_owned());
        joined.session = Some(session.to_owned());
        joined.torn = joined.torn.take().filter(|torn| torn != session);
        let [other, own] = [
            joined.members[0].peer.clone(),
            joined.members[1].peer.clone(),
        ];
        self.tell_other(
            room,
            1,
            json!({"type": "peer-joined", "peer": own, "session": session}),
        );
        (other, json!(session))
    }

    /// A seat becomes free, and the other is told unless it did that itself.
    fn free(&mut self, room: usize, member: usize, reason: &str) {
        let session = self.rooms[room].session.take();
        let peer = self.rooms[room].members[member].peer.clone();
        if let Some(session) = &session
            && reason != "rejected"
        {
            let left =
                json!({"type": "peer-left", "peer": peer, "session": session, "reason": reason});
            self.tell_other(room, member, left);
        }
        let gone = self.rooms[room].members.remove(member);
        self.rooms[room].torn = session.filter(|_| reason == "lost");
        if let Reach::Online(connection) = gone.reach
            && let Some(connection) = self.connections.get_mut(&connection)
        {
            connection.without_a_room_since = self.now;
        }
        self.claim_name(room);
    }

    /// Closes the connection that still has a seat somebody else proved to be its own.
    fn replace(&mut self, room: usize, member: usize) {
        if let Reach::Online(old) = self.rooms[room].members[member].reach {
            self.connections.remove(&old);
            self.told.closed.insert(old, ErrorCode::Replaced);
        }
    }

    fn end_if_empty(&mut self, room: usize) {
        if self.rooms[room].members.is_empty() {
            self.rooms.remove(room);
        }
    }

    fn close_who_sits_nowhere(&mut self) {
        for connection in self.connections() {
            let since = self.connections[&connection].without_a_room_since;
            if self.seat(connection).is_none() && self.now >= since + WITHOUT_A_ROOM {
                self.connections.remove(&connection);
                self.told.closed.insert(connection, ErrorCode::JoinTimeout);
            }
        }
    }

    fn free_seats_of_the_lost(&mut self) {
        let now = self.now;
        let expired =
            |member: &Member| matches!(member.reach, Reach::LostSince(at) if now >= at + SEAT_KEPT);
        for room in (0..self.rooms.len()).rev() {
            while let Some(member) = self.rooms[room].members.iter().position(expired) {
                self.free(room, member, "lost");
            }
            self.end_if_empty(room);
        }
    }

    fn nowhere(&self, from: u64) -> Result<(), &'static str> {
        if self.seat(from).is_some() {
            Err("already-in-room")
        } else {
            Ok(())
        }
    }

    /// Room and member of a connection.
    fn seat(&self, connection: u64) -> Option<(usize, usize)> {
        self.rooms.iter().enumerate().find_map(|(number, room)| {
            let member = room
                .members
                .iter()
                .position(|member| member.reach == Reach::Online(connection))?;
            Some((number, member))
        })
    }

    fn tell_other(&mut self, room: usize, member: usize, message: Value) {
        let other = self.rooms[room]
            .members
            .iter()
            .enumerate()
            .find(|(number, _)| *number != member);
        if let Some((
            _,
            Member {
                reach: Reach::Online(connection),
                ..
            },
        )) = other
        {
            let connection = *connection;
            self.tell(connection, message);
        }
    }

    fn tell(&mut self, connection: u64, message: Value) {
        self.told
            .messages
            .entry(connection)
            .or_default()
            .push(message);
    }
}

fn is_drawn(name: &str) -> bool {
    RoomName::parse(name).is_ok_and(|name| name.is_drawn())
}
