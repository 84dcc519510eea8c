//! Finding rooms and sitting down in them.

use std::time::Instant;

use crowfly_protocol::{ErrorCode, Pairing, RoomName, ServerMessage, SessionId, Token};

use super::{
    ConnectionId, Event, Hub,
    refusal::Refusal,
    room::{Place, Presence, Room, Seat, SeatKey, Side},
    timers::Timer,
};
use crate::limits::{LookUp, Source};

impl Hub {
    pub(super) fn seat_of(&self, connection: ConnectionId) -> Result<SeatKey, Refusal> {
        match self
            .connections
            .get(&connection)
            .map(|connection| connection.place)
        {
            Some(Place::Seated(key)) => Ok(key),
            _ => Err(Refusal::of(ErrorCode::NotInRoom)),
        }
    }

    pub(super) fn must_sit_nowhere(&self, connection: ConnectionId) -> Result<(), Refusal> {
        match self.seat_of(connection) {
            Ok(_) => Err(Refusal::of(ErrorCode::AlreadyInRoom)),
            Err(_) => Ok(()),
        }
    }

    /// A seat to take in a room of this name. Absent and full look the same to who may only have guessed the name.
    pub(super) fn free_seat(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: &RoomName,
    ) -> Result<SeatKey, Refusal> {
        self.may_look_up(now, from, name)?;
        let code = match self.names.get(name) {
            Some(&room) => match self.rooms[room].free_side() {
                Some(side) => return Ok(SeatKey { room, side }),
                None if name.is_drawn() => ErrorCode::RoomFull,
                None => ErrorCode::RoomUnavailable,
            },
            None if name.is_drawn() => ErrorCode::RoomNotFound,
            None => ErrorCode::RoomUnavailable,
        };
        Err(self.look_up_refused(now, from, code))
    }

    /// The seat of a token, in the room of this name or the one that was kept apart for this session.
    pub(super) fn seat_by_token(
        &self,
        name: &RoomName,
        token: &Token,
        session: Option<SessionId>,
    ) -> Option<SeatKey> {
        self.rooms_of(name, session)
            .into_iter()
            .flatten()
            .find_map(|room| {
                let side = self.rooms[room].side_of(token)?;
                Some(SeatKey { room, side })
            })
    }

    /// The free seat opposite a peer that waits for this very session.
    pub(super) fn seat_kept_for(&self, name: &RoomName, session: SessionId) -> Option<SeatKey> {
        self.rooms_of(name, Some(session))
            .into_iter()
            .flatten()
            .find_map(|room| {
                let side = self.rooms[room].free_side()?;
                (self.rooms[room].torn() == Some(session)).then_some(SeatKey { room, side })
            })
    }

    fn rooms_of(&self, name: &RoomName, session: Option<SessionId>) -> [Option<usize>; 2] {
        let apart = session.and_then(|session| self.apart.get(&(name.clone(), session)));
        [self.names.get(name).copied(), apart.copied()]
    }

    pub(super) fn open_room(
        &mut self,
        from: ConnectionId,
        name: RoomName,
    ) -> Result<SeatKey, Refusal> {
        let key = self.new_room(from, name.clone())?;
        self.names.insert(name, key.room);
        Ok(key)
    }

    /// A room that nothing leads to yet.
    pub(super) fn new_room(
        &mut self,
        from: ConnectionId,
        name: RoomName,
    ) -> Result<SeatKey, Refusal> {
        let source = self.connections[&from].source;
        if self.rooms.len() >= self.config.max_rooms
            || self.sources.rooms(source) >= self.config.max_rooms_per_source
        {
            return Err(Refusal::of(ErrorCode::TooManyRooms));
        }
        let room = self.rooms.insert(Room::new(name, source));
        self.sources.room_opened(source);
        self.event(Event::RoomOpened);
        Ok(SeatKey {
            room,
            side: Side::First,
        })
    }

    /// Takes a free seat. `session` names the pairing with whoever has the other.
    pub(super) fn sit_down(
        &mut self,
        from: ConnectionId,
        key: SeatKey,
        session: Option<SessionId>,
    ) -> Token {
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
    pub(super) fn announce(&mut self, key: SeatKey) -> Option<Pairing> {
        let room = &self.rooms[key.room];
        let pairing = room.pairing(key.side);
        if let Some(joined) = room.pairing(key.side.opposite()) {
            self.tell(key.opposite(), &ServerMessage::PeerJoined(joined));
        }
        pairing
    }

    pub(super) fn may_look_up(
        &self,
        now: Instant,
        from: ConnectionId,
        name: &RoomName,
    ) -> Result<(), Refusal> {
        let source = self.connections[&from].source;
        if self.sources.may_look_up(source, now, !name.is_drawn()) {
            Ok(())
        } else {
            Err(Refusal::TOO_MANY_LOOK_UPS)
        }
    }

    pub(super) fn look_up_refused(
        &mut self,
        now: Instant,
        from: ConnectionId,
        code: ErrorCode,
    ) -> Refusal {
        self.count_look_up(now, self.connections[&from].source, LookUp::Refused);
        Refusal::of(code)
    }

    pub(super) fn count_look_up(&mut self, now: Instant, source: Source, outcome: LookUp) {
        if self.sources.looked_up(source, now, outcome) {
            self.timers
                .arm(now + self.config.failed_look_ups.window, Timer::Sweep);
        }
    }

    pub(super) fn draw_name(&mut self) -> RoomName {
        loop {
            let name = RoomName::drawn(u64::from_le_bytes(self.draw()));
            if !self.names.contains_key(&name) {
                return name;
            }
        }
    }
}
