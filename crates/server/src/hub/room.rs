//! A room and its two seats: what is where, and nothing that acts.

use std::{collections::VecDeque, time::Instant};

use crowfly_protocol::{Pairing, PeerId, RoomName, SessionId, Token};

use super::ConnectionId;
use crate::limits::Source;

/// One of the two seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    First,
    Second,
}

/// A seat, by its room's place in the slab. Valid as long as the seat is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeatKey {
    pub(super) room: usize,
    pub(super) side: Side,
}

/// Where a connection is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In no room; closed at this instant, for which a timer is armed.
    Nowhere {
        until: Instant,
    },
    Seated(SeatKey),
}

/// Whether the peer of a seat can be reached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Presence {
    Online(ConnectionId),
    /// Its connection was lost; the seat is kept until this instant, for which a timer is armed.
    Lost {
        until: Instant,
    },
}

/// A taken seat.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) peer: PeerId,
    pub(super) token: Token,
    pub(super) presence: Presence,
}

/// A room. One or both seats are taken, or it is about to end.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: RoomName,
    /// Who made it: its source has one room more.
    pub(super) source: Source,
    seats: [Option<Seat>; 2],
    /// The pairing; there is one exactly when both seats are taken.
    session: Option<SessionId>,
    /// The session under which the room is kept apart from all names, `apart.rs`.
    pub(super) apart: Option<SessionId>,
    /// The pairing that whoever waits here may still be in: one of its seats was lost, or the whole room with the server.
    torn: Option<SessionId>,
    used: UsedSessions,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(super) fn opposite(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl SeatKey {
    pub(super) fn opposite(self) -> Self {
        Self {
            side: self.side.opposite(),
            ..self
        }
    }
}

impl Room {
    pub(super) fn new(name: RoomName, source: Source) -> Self {
        Self {
            name,
            source,
            seats: [None, None],
            session: None,
            apart: None,
            torn: None,
            used: UsedSessions::default(),
        }
    }

    pub(super) fn seat(&self, side: Side) -> Option<&Seat> {
        self.seats[side as usize].as_ref()
    }

    pub(super) fn seat_mut(&mut self, side: Side) -> Option<&mut Seat> {
        self.seats[side as usize].as_mut()
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.session
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.iter().all(Option::is_none)
    }

    pub(super) fn free_side(&self) -> Option<Side> {
        match &self.seats {
            [None, _] => Some(Side::First),
            [_, None] => Some(Side::Second),
            [Some(_), Some(_)] => None,
        }
    }

    /// The seat a token belongs to. Looks at both, so that how long it takes tells nothing.
    pub(super) fn side_of(&self, token: &Token) -> Option<Side> {
        let [first, second] =
            Side::BOTH.map(|side| self.seat(side).is_some_and(|seat| seat.token == *token));
        if first {
            Some(Side::First)
        } else if second {
            Some(Side::Second)
        } else {
            None
        }
    }

    /// Who sits opposite this side, and the session that names the two.
    pub(super) fn pairing(&self, side: Side) -> Option<Pairing> {
        let peer = self.seat(side.opposite())?.peer;
        Some(Pairing {
            peer,
            session: self.session?,
        })
    }

    /// Fills a free seat. With the other taken, `session` names the pairing.
    pub(super) fn fill(&mut self, side: Side, seat: Seat, session: Option<SessionId>) {
        debug_assert!(self.seat(side).is_none());
        self.seats[side as usize] = Some(seat);
        self.session = session;
        if let Some(session) = session {
            self.used.insert(session);
            self.torn = self.torn.filter(|torn| *torn != session);
        }
    }

    /// Frees a seat, which ends the pairing; `torn` says that its peers may still be in it.
    pub(super) fn free(&mut self, side: Side, torn: bool) -> Option<Seat> {
        self.torn = self.session.take().filter(|_| torn);
        self.seats[side as usize].take()
    }

    pub(super) fn was_used(&self, session: &SessionId) -> bool {
        self.used.contains(session)
    }

    /// The pairing that was torn, and that may go on.
    pub(super) fn torn(&self) -> Option<SessionId> {
        self.torn
    }

    /// Whoever waits here may be in this pairing.
    pub(super) fn wait_for(&mut self, torn: Option<SessionId>) {
        self.torn = torn;
    }
}

/// The sessions a room has seen: the last [`UsedSessions::MOST`], 1 KiB at most. An older id could be taken again, by two
/// peers that both want it; peers hold on to their own rule, to take no session twice.
#[derive(Debug, Default)]
struct UsedSessions(VecDeque<SessionId>);

impl UsedSessions {
    const MOST: usize = 64;

    fn insert(&mut self, session: SessionId) {
        if self.contains(&session) {
            return;
        }
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(session);
    }

    fn contains(&self, session: &SessionId) -> bool {
        self.0.contains(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_remembers_so_many_sessions_and_no_more() {
        let mut used = UsedSessions::default();
        let session = |number: usize| SessionId::from_bytes([u8::try_from(number).unwrap(); 16]);
        for number in 0..UsedSessions::MOST {
            used.insert(session(number));
            used.insert(session(number));
        }
        assert!((0..UsedSessions::MOST).all(|number| used.contains(&session(number))));
        used.insert(session(UsedSessions::MOST));
        assert!(!used.contains(&session(0)), "the oldest makes way");
        assert!(used.contains(&session(1)));
        assert_eq!(used.0.len(), UsedSessions::MOST);
    }
}
