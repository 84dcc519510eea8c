//! What clients ask for. Each request gives its one answer or a refusal; [`Hub::message`] sends it.

use std::{borrow::Cow, time::Instant};

use crowfly_protocol::{
    ClientMessage, ErrorCode, LeaveReason, Pairing, ParseError, RejectReason, RoomName,
    ServerMessage, SessionId, Token,
};
use serde_json::value::RawValue;

use super::{
    ConnectionId, Event, Hub, Output,
    room::{Place, Presence, Room, Seat, SeatKey, Side},
    timers::Timer,
};

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
}

/// `None` for a relayed signal, the one thing that is not answered.
type Answer = Result<Option<ServerMessage<'static>>, Refusal>;

impl Hub {
    pub(super) fn request(
        &mut self,
        now: Instant,
        from: ConnectionId,
        message: ClientMessage<'_>,
    ) -> Answer {
        match message {
            ClientMessage::Signal { session, payload } => {
                self.signal(from, session, payload).map(|()| None)
            }
            ClientMessage::Create { room } => self.create(now, from, room).map(Some),
            ClientMessage::Join {
                room,
                session,
                token,
            } => self.join(now, from, room, session, token).map(Some),
            ClientMessage::Leave => self.leave(now, from).map(Some),
            ClientMessage::Reject { session, reason } => {
                self.reject(now, from, session, reason).map(Some)
            }
            ClientMessage::Destroy => self.destroy(now, from).map(Some),
            ClientMessage::Resume {
                room,
                token,
                session,
            } => self.resume(now, from, room, token, session).map(Some),
            _ => Err(Refusal::of(ErrorCode::UnknownType)),
        }
    }

    /// The hot path: two look-ups, one string.
    fn signal(
        &mut self,
        from: ConnectionId,
        session: SessionId,
        payload: &RawValue,
    ) -> Result<(), Refusal> {
        let key = self.seat_of(from)?;
        let room = &self.rooms[key.room];
        let (Some(sender), Some(other)) = (room.seat(key.side), room.seat(key.side.opposite()))
        else {
            return Err(Refusal::of(ErrorCode::NoPeer));
        };
        if room.session() != Some(session) {
            return Err(Refusal::of(ErrorCode::StaleSession));
        }
        let Presence::Online(to) = other.presence else {
            return Err(Refusal::of(ErrorCode::PeerOffline));
        };
        let text = ServerMessage::Signal {
            from: sender.peer,
            session,
            payload,
        }
        .encode(None);
        let bytes = text.len();
        self.outputs.push_back(Output::Transmit {
            connection: to,
            text,
        });
        self.event(Event::SignalRelayed { bytes });
        Ok(())
    }

    fn create(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: Option<RoomName>,
    ) -> Result<ServerMessage<'static>, Refusal> {
        self.must_sit_nowhere(from)?;
        let name = match name {
            Some(name) => {
                if name.is_drawn() {
                    return Err(Refusal::DRAWN_SHAPE);
                }
                self.may_look_up(now, from)?;
                if self.names.contains_key(&name) {
                    return Err(self.look_up_failed(now, from, ErrorCode::RoomTaken));
                }
                name
            }
            None => self.draw_name(),
        };
        let key = self.open_room(from, name.clone())?;
        let token = self.sit_down(from, key, None);
        Ok(ServerMessage::Created { room: name, token })
    }

    fn join(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: RoomName,
        session: SessionId,
        token: Option<Token>,
    ) -> Result<ServerMessage<'static>, Refusal> {
        self.must_sit_nowhere(from)?;
        // Who proves a seat guesses nothing, and may look it up however often others of its source guessed.
        let own = token.and_then(|token| self.seat_by_token(&name, &token));
        let key = match own {
            Some(key) => key,
            None => self.free_seat(now, from, &name)?,
        };
        if self.rooms[key.room].was_used(&session) {
            return Err(Refusal::of(ErrorCode::SessionReused));
        }
        if own.is_some() {
            // A page that was reloaded knows nothing of its pairing: what comes now is a new peer.
            self.vacate(now, key, LeaveReason::Replaced);
        }
        let session = self.rooms[key.room]
            .seat(key.side.opposite())
            .map(|_| session);
        let token = self.sit_down(from, key, session);
        let pairing = self.announce(key);
        Ok(ServerMessage::Joined {
            room: name,
            token,
            pairing,
        })
    }

    fn leave(
        &mut self,
        now: Instant,
        from: ConnectionId,
    ) -> Result<ServerMessage<'static>, Refusal> {
        let key = self.seat_of(from)?;
        let room = self.rooms[key.room].name.clone();
        self.vacate(now, key, LeaveReason::Leave);
        self.end_if_empty(key.room);
        Ok(ServerMessage::Left {
            room,
            reason: LeaveReason::Leave,
            detail: None,
        })
    }

    fn reject(
        &mut self,
        now: Instant,
        from: ConnectionId,
        session: SessionId,
        detail: RejectReason,
    ) -> Result<ServerMessage<'static>, Refusal> {
        let key = self.seat_of(from)?;
        let room = &self.rooms[key.room];
        let pairing = room
            .pairing(key.side)
            .ok_or(Refusal::of(ErrorCode::NoPeer))?;
        if pairing.session != session {
            return Err(Refusal::of(ErrorCode::StaleSession));
        }
        let name = room.name.clone();
        let reason = LeaveReason::Rejected;
        if let Some(rejected) = self.vacate(now, key.opposite(), reason) {
            self.send(
                rejected,
                &ServerMessage::Left {
                    room: name,
                    reason,
                    detail: Some(detail),
                },
                None,
            );
        }
        Ok(ServerMessage::PeerLeft { pairing, reason })
    }

    fn destroy(
        &mut self,
        now: Instant,
        from: ConnectionId,
    ) -> Result<ServerMessage<'static>, Refusal> {
        let key = self.seat_of(from)?;
        let room = &self.rooms[key.room];
        let name = room.name.clone();
        match room.seat(key.side.opposite()).map(|seat| seat.presence) {
            Some(Presence::Online(_)) => return Err(Refusal::of(ErrorCode::RoomOccupied)),
            Some(Presence::Lost { .. }) => {
                self.vacate(now, key.opposite(), LeaveReason::Lost);
            }
            None => {}
        }
        self.vacate(now, key, LeaveReason::Leave);
        self.end_if_empty(key.room);
        Ok(ServerMessage::Destroyed { room: name })
    }

    fn resume(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: RoomName,
        token: Token,
        session: Option<SessionId>,
    ) -> Result<ServerMessage<'static>, Refusal> {
        self.must_sit_nowhere(from)?;
        if let Some(key) = self.seat_by_token(&name, &token) {
            return Ok(self.resume_seat(key, from, token));
        }
        if !self.names.contains_key(&name) {
            self.may_look_up(now, from)?;
            let key = self.open_room(from, name.clone())?;
            let token = self.sit_down(from, key, None);
            return Ok(ServerMessage::Resumed {
                room: name,
                token,
                pairing: None,
            });
        }
        let key = self.free_seat(now, from, &name)?;
        let Some(session) = session else {
            return Err(self.look_up_failed(now, from, ErrorCode::BadToken));
        };
        let room = &self.rooms[key.room];
        if room.was_used(&session) && !room.was_torn(&session) {
            return Err(Refusal::of(ErrorCode::SessionReused));
        }
        let token = self.sit_down(from, key, Some(session));
        let pairing = self.announce(key);
        Ok(ServerMessage::Resumed {
            room: name,
            token,
            pairing,
        })
    }

    /// The seat is still there: its peer is the same as before, on another connection.
    fn resume_seat(
        &mut self,
        key: SeatKey,
        from: ConnectionId,
        token: Token,
    ) -> ServerMessage<'static> {
        let peer = self.take_over(key, from);
        let room = &self.rooms[key.room];
        let (name, pairing) = (room.name.clone(), room.pairing(key.side));
        // Told also when it had not heard of the loss: what it sent meanwhile may have gone to a dead connection.
        self.tell(key.opposite(), &ServerMessage::PeerOnline { peer });
        self.event(Event::PeerOnline);
        ServerMessage::Resumed {
            room: name,
            token,
            pairing,
        }
    }

    /// A seat to take in a room of this name. Absent and full look the same to who may only have guessed the name.
    fn free_seat(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: &RoomName,
    ) -> Result<SeatKey, Refusal> {
        self.may_look_up(now, from)?;
        let code = match self.names.get(name) {
            Some(&room) => match self.rooms[room].free_side() {
                Some(side) => return Ok(SeatKey { room, side }),
                None if name.is_drawn() => ErrorCode::RoomFull,
                None => ErrorCode::RoomUnavailable,
            },
            None if name.is_drawn() => ErrorCode::RoomNotFound,
            None => ErrorCode::RoomUnavailable,
        };
        Err(self.look_up_failed(now, from, code))
    }

    fn seat_by_token(&self, name: &RoomName, token: &Token) -> Option<SeatKey> {
        let &room = self.names.get(name)?;
        let side = self.rooms[room].side_of(token)?;
        Some(SeatKey { room, side })
    }

    fn open_room(&mut self, from: ConnectionId, name: RoomName) -> Result<SeatKey, Refusal> {
        let source = self.connections[&from].source;
        if self.rooms.len() >= self.config.max_rooms
            || self.sources.rooms(source) >= self.config.max_rooms_per_source
        {
            return Err(Refusal::of(ErrorCode::TooManyRooms));
        }
        let room = self.rooms.insert(Room::new(name.clone(), source));
        self.names.insert(name, room);
        self.sources.room_opened(source);
        self.event(Event::RoomOpened);
        Ok(SeatKey {
            room,
            side: Side::First,
        })
    }

    /// Takes a free seat. `session` names the pairing with whoever has the other.
    fn sit_down(&mut self, from: ConnectionId, key: SeatKey, session: Option<SessionId>) -> Token {
        let token = Token::from_bytes(self.draw());
        let peer = self.connections[&from].peer;
        let seat = Seat {
            peer,
            token,
            presence: Presence::Online(from),
        };
        self.rooms[key.room].fill(key.side, seat, session);
        self.seat_connection(from, key, peer);
        if session.is_some() {
            self.pairings += 1;
            self.event(Event::Paired);
        }
        token
    }

    /// Tells the one who waits who has joined, and gives the joiner's view of the pairing.
    fn announce(&mut self, key: SeatKey) -> Option<Pairing> {
        let room = &self.rooms[key.room];
        let pairing = room.pairing(key.side);
        if let Some(joined) = room.pairing(key.side.opposite()) {
            self.tell(key.opposite(), &ServerMessage::PeerJoined(joined));
        }
        pairing
    }

    fn seat_of(&self, connection: ConnectionId) -> Result<SeatKey, Refusal> {
        match self
            .connections
            .get(&connection)
            .map(|connection| connection.place)
        {
            Some(Place::Seated(key)) => Ok(key),
            _ => Err(Refusal::of(ErrorCode::NotInRoom)),
        }
    }

    fn must_sit_nowhere(&self, connection: ConnectionId) -> Result<(), Refusal> {
        match self.seat_of(connection) {
            Ok(_) => Err(Refusal::of(ErrorCode::AlreadyInRoom)),
            Err(_) => Ok(()),
        }
    }

    fn may_look_up(&self, now: Instant, from: ConnectionId) -> Result<(), Refusal> {
        if self
            .sources
            .may_look_up(self.connections[&from].source, now)
        {
            Ok(())
        } else {
            Err(Refusal::TOO_MANY_LOOK_UPS)
        }
    }

    fn look_up_failed(&mut self, now: Instant, from: ConnectionId, code: ErrorCode) -> Refusal {
        if self
            .sources
            .look_up_failed(self.connections[&from].source, now)
        {
            self.timers
                .arm(now + self.config.failed_look_ups.window, Timer::Sweep);
        }
        Refusal::of(code)
    }

    fn draw_name(&mut self) -> RoomName {
        loop {
            let name = RoomName::drawn(u64::from_le_bytes(self.draw()));
            if !self.names.contains_key(&name) {
                return name;
            }
        }
    }
}

impl Refusal {
    pub(super) const TOO_MANY_MESSAGES: Self = Self {
        code: ErrorCode::RateLimited,
        message: Cow::Borrowed("this connection sends too many messages"),
    };

    const TOO_MANY_LOOK_UPS: Self = Self {
        code: ErrorCode::RateLimited,
        message: Cow::Borrowed("too many rooms were asked for in vain; wait a minute"),
    };

    const DRAWN_SHAPE: Self = Self {
        code: ErrorCode::InvalidRoomName,
        message: Cow::Borrowed("names of this shape are drawn by the server, not chosen"),
    };

    pub(super) fn of(code: ErrorCode) -> Self {
        Self {
            code,
            message: Cow::Borrowed(describe(code)),
        }
    }
}

impl From<ParseError> for Refusal {
    fn from(ParseError { code, message, .. }: ParseError) -> Self {
        Self { code, message }
    }
}

/// What people are told; `docs/protocol.md` has the code's meaning.
fn describe(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BinaryMessage => "only text messages are spoken here",
        ErrorCode::UnknownType => "this version has no such type",
        ErrorCode::RoomTaken => "a room of this name exists already",
        ErrorCode::RoomFull => "both seats of this room are taken",
        ErrorCode::RoomNotFound => "there is no such room",
        ErrorCode::RoomUnavailable => "there is no such room, or it is full",
        ErrorCode::AlreadyInRoom => "this connection sits in a room already; leave it first",
        ErrorCode::NotInRoom => "this connection sits in no room",
        ErrorCode::NoPeer => "nobody sits opposite",
        ErrorCode::PeerOffline => "the other peer's connection is lost; send again when it is back",
        ErrorCode::StaleSession => "this session is not the current pairing",
        ErrorCode::SessionReused => "this session id was used before in this room",
        ErrorCode::BadToken => "no seat of this room belongs to this token",
        ErrorCode::RoomOccupied => "somebody else is in the room",
        ErrorCode::TooManyRooms => "there are as many rooms as there may be",
        _ => "refused",
    }
}
