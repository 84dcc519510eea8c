//! Connections that end and seats that become free. Every way of leaving ends in [`Hub::vacate`].

use std::time::Instant;

use crowfly_protocol::{ErrorCode, LeaveReason, PeerId, ServerMessage};

use super::{
    ConnectionId, Event, Hub, Output,
    room::{Place, Presence, SeatKey},
    timers::Timer,
};

impl Hub {
    /// Frees a seat, and tells the one who stays, except of a rejection: that is its own doing and has its own answer. Gives
    /// the connection that sat there and is now in no room.
    ///
    /// Whoever calls this either takes the seat again or ends the room with [`Hub::end_if_empty`].
    pub(super) fn vacate(
        &mut self,
        now: Instant,
        key: SeatKey,
        reason: LeaveReason,
    ) -> Option<ConnectionId> {
        let room = &mut self.rooms[key.room];
        let pairing = room.pairing(key.side.opposite());
        let seat = room.free(key.side, reason == LeaveReason::Lost);
        let connection = match seat.map(|seat| seat.presence) {
            Some(Presence::Online(connection)) if reason == LeaveReason::Replaced => {
                self.forget_replaced(connection);
                None
            }
            Some(Presence::Online(connection)) => {
                self.unseat(now, connection);
                Some(connection)
            }
            Some(Presence::Lost { until }) => {
                self.timers.disarm(until, Timer::Seat(key));
                None
            }
            None => None,
        };
        if let Some(pairing) = pairing {
            self.pairings -= 1;
            if reason != LeaveReason::Rejected {
                self.tell(key.opposite(), &ServerMessage::PeerLeft { pairing, reason });
            }
        }
        self.event(Event::Departed(reason));
        // Who stays waits for whoever comes, and can only be found by a name.
        self.claim_name(now, key.room);
        connection
    }

    /// Ends a room whose last seat is free.
    pub(super) fn end_if_empty(&mut self, room: usize) {
        if !self.rooms[room].is_empty() {
            return;
        }
        let room = self.rooms.remove(room);
        match room.apart {
            Some(session) => self.apart.remove(&(room.name, session)),
            None => self.names.remove(&room.name),
        };
        self.sources.room_closed(room.source);
        self.event(Event::RoomClosed);
    }

    /// A connection is gone: its seat is kept for a while.
    pub(super) fn disconnect(&mut self, now: Instant, connection: ConnectionId) {
        let Some(gone) = self.connections.remove(&connection) else {
            return;
        };
        let key = match gone.place {
            Place::Nowhere { until } => return self.timers.disarm(until, Timer::Join(connection)),
            Place::Seated(key) => key,
        };
        let until = now + self.config.seat_kept;
        if let Some(seat) = self.rooms[key.room].seat_mut(key.side) {
            seat.presence = Presence::Lost { until };
        }
        self.timers.arm(until, Timer::Seat(key));
        self.tell(
            key.opposite(),
            &ServerMessage::PeerOffline { peer: gone.peer },
        );
        self.event(Event::PeerOffline);
        // A page that was reloaded comes back with its token and the name, but with no session.
        self.claim_name(now, key.room);
    }

    /// Ends a connection that broke a limit. A seat it has is kept, as if it had been lost.
    pub(super) fn close(&mut self, now: Instant, connection: ConnectionId, reason: ErrorCode) {
        self.outputs.push_back(Output::Close { connection, reason });
        self.disconnect(now, connection);
    }

    pub(super) fn seat_expired(&mut self, now: Instant, key: SeatKey) {
        self.vacate(now, key, LeaveReason::Lost);
        self.end_if_empty(key.room);
    }

    /// Hands a seat to another connection of its peer. One that has it still, and has not noticed its own death, is closed.
    pub(super) fn take_over(&mut self, key: SeatKey, connection: ConnectionId) -> PeerId {
        let seat = self.rooms[key.room]
            .seat_mut(key.side)
            .expect("the seat was found by its token");
        let peer = seat.peer;
        match std::mem::replace(&mut seat.presence, Presence::Online(connection)) {
            Presence::Online(old) => self.forget_replaced(old),
            Presence::Lost { until } => self.timers.disarm(until, Timer::Seat(key)),
        }
        self.seat_connection(connection, key, peer);
        peer
    }

    /// From now on this connection speaks for the peer of this seat.
    pub(super) fn seat_connection(&mut self, connection: ConnectionId, key: SeatKey, peer: PeerId) {
        let Some(seated) = self.connections.get_mut(&connection) else {
            return;
        };
        seated.peer = peer;
        if let Place::Nowhere { until } = std::mem::replace(&mut seated.place, Place::Seated(key)) {
            self.timers.disarm(until, Timer::Join(connection));
        }
    }

    /// A connection that sits in no room has a while to find one.
    pub(super) fn wait_for_a_room(&mut self, now: Instant, connection: ConnectionId) -> Place {
        let until = now + self.config.join_timeout;
        self.timers.arm(until, Timer::Join(connection));
        Place::Nowhere { until }
    }

    /// Says something to the peer of a seat, if it is there and can be reached.
    pub(super) fn tell(&mut self, key: SeatKey, message: &ServerMessage<'_>) {
        if let Some(Presence::Online(connection)) = self.rooms[key.room]
            .seat(key.side)
            .map(|seat| seat.presence)
        {
            self.send(connection, message, None);
        }
    }

    fn forget_replaced(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.outputs.push_back(Output::Close {
            connection,
            reason: ErrorCode::Replaced,
        });
    }

    fn unseat(&mut self, now: Instant, connection: ConnectionId) {
        let place = self.wait_for_a_room(now, connection);
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.place = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use crate::hub::{
        Event,
        tests::scene::{Scene, session},
    };

    #[test]
    fn a_room_that_lost_both_its_peers_ends_when_the_last_seat_is_free() {
        let mut scene = Scene::new();
        let [(first, _), (second, _)] = scene.pair("kitchen");
        scene.cut(first);
        scene.pass(Duration::from_secs(10));
        scene.cut(second);
        scene.pass(Duration::from_secs(10));
        assert_eq!(scene.hub.stats().rooms, 1);
        assert_eq!(scene.hub.stats().pairings, 0, "the first seat is free");
        scene.pass(Duration::from_secs(10));
        assert_eq!(scene.count(Event::RoomClosed), 1);
        scene.pass(Duration::from_secs(60));
        assert!(scene.is_empty(), "{:?}", scene.hub.stats());
    }

    #[test]
    fn a_connection_may_end_twice() {
        let mut scene = Scene::new();
        let [(first, _), (second, _)] = scene.pair("kitchen");
        scene.cut(second);
        scene.cut(second);
        assert_eq!(scene.next(first)["type"], "peer-offline");
        scene.hears_nothing(first);
    }

    #[test]
    fn every_way_of_leaving_tells_the_other_once_and_leaves_nothing_behind() {
        let reject = json!({"type": "reject", "session": session(1), "reason": "other"});
        for (way, reason) in [
            (json!({"type": "leave"}), "leave"),
            (reject, "rejected"),
            (json!("cut"), "lost"),
        ] {
            let mut scene = Scene::new();
            let [(first, _), (second, _)] = scene.pair("kitchen");
            if way == "cut" {
                scene.cut(second);
                assert_eq!(scene.next(first)["type"], "peer-offline");
                scene.pass(Duration::from_secs(20));
            } else if reason == "rejected" {
                scene.say(first, way);
            } else {
                scene.say(second, way);
            }
            let left = scene.next(first);
            assert_eq!(
                (&left["type"], &left["reason"]),
                (&json!("peer-left"), &json!(reason))
            );
            scene.hears_nothing(first);
            scene.say(first, json!({"type": "leave"}));
            assert_eq!(scene.hub.stats().rooms, 0);
            scene.pass(Duration::from_secs(60));
            assert!(scene.is_empty(), "after {reason}: {:?}", scene.hub.stats());
        }
    }
}
