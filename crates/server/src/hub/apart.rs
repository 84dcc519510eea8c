//! Rooms kept apart from all names, for pairs that come back where too many names were tried.
//!
//! After a restart of the server, or an outage longer than a seat is kept, everybody behind one address comes back at once and makes
//! its room again. So many rooms made of names look like somebody guessing, and a guesser could send the same requests: only the
//! session says who has been here, for nobody but its two peers knows it. So beyond the limit the name is not looked up. The room is
//! made apart, and leads nowhere but to the other peer of the session; whether the name is in use is told to nobody.

use std::time::Instant;

use crowfly_protocol::{RoomName, SessionId};

use super::{ConnectionId, Hub, refusal::Refusal, room::SeatKey};
use crate::limits::LookUp;

impl Hub {
    /// A room that only the other peer of this session finds.
    pub(super) fn open_apart(
        &mut self,
        from: ConnectionId,
        name: &RoomName,
        session: SessionId,
    ) -> Result<SeatKey, Refusal> {
        let place = (name.clone(), session);
        if self.apart.contains_key(&place) {
            // Both seats of this very session are taken: a third that knows it is no guesser, but has nothing to come back to.
            return Err(Refusal::TOO_MANY_LOOK_UPS);
        }
        let key = self.new_room(from, name.clone())?;
        self.apart.insert(place, key.room);
        let room = &mut self.rooms[key.room];
        room.apart = Some(session);
        room.wait_for(Some(session));
        Ok(key)
    }

    /// Lets its name lead to a room that was kept apart, if nobody else has it and its source may try one more.
    pub(super) fn claim_name(&mut self, now: Instant, room: usize) {
        let room_apart = &self.rooms[room];
        let (source, Some(session)) = (room_apart.source, room_apart.apart) else {
            return;
        };
        let name = room_apart.name.clone();
        if room_apart.is_empty() || !self.sources.may_look_up(source, now, !name.is_drawn()) {
            return;
        }
        // Counted also when the name is taken: what is left of a limit must not tell.
        self.count_look_up(now, source, LookUp::Made);
        if !self.names.contains_key(&name) {
            self.apart.remove(&(name.clone(), session));
            self.names.insert(name, room);
            self.rooms[room].apart = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use serde_json::{Value, json};

    use crate::hub::{
        ConnectionId,
        tests::scene::{Scene, session, signal},
    };

    /// A connection behind the one address that many share.
    fn behind_one_address(scene: &mut Scene) -> ConnectionId {
        let connection = scene.connect_from(IpAddr::from([192, 0, 2, 1]));
        scene.next(connection);
        connection
    }

    fn resume(room: &str, number: u8) -> Value {
        json!({"type": "resume", "room": room, "token": session(200), "session": session(number)})
    }

    /// One of that address who has tried as many names as it may.
    fn use_up(scene: &mut Scene) -> ConnectionId {
        let guesser = behind_one_address(scene);
        for guess in 0..20 {
            let name = format!("guess-{guess}");
            scene.refused(
                guesser,
                json!({"type": "join", "room": name, "session": session(0)}),
            );
        }
        guesser
    }

    #[test]
    fn after_a_restart_fifty_pairs_behind_one_address_come_back_at_once() {
        let mut scene = Scene::new();
        let waiting = (0..50_u8)
            .map(|pair| {
                let connection = behind_one_address(&mut scene);
                let resumed = scene.ask(connection, resume(&format!("room-{pair}"), pair));
                assert_eq!(resumed["peer"], Value::Null, "{resumed}");
                connection
            })
            .collect::<Vec<_>>();
        for (pair, other) in (0..50_u8).zip(waiting) {
            let connection = behind_one_address(&mut scene);
            let resumed = scene.ask(connection, resume(&format!("room-{pair}"), pair));
            assert_eq!(resumed["session"], session(pair), "{resumed}");
            assert_eq!(scene.next(other)["type"], "peer-joined");
            scene.say(other, signal(pair));
            assert_eq!(scene.next(connection)["type"], "signal");
        }
    }

    #[test]
    fn whoever_guesses_by_resuming_meets_nobody_and_learns_nothing() {
        let mut scene = Scene::new();
        let waiting = scene.connect();
        scene.ask(waiting, json!({"type": "create", "room": "waiting"}));
        scene.pair("full");
        let guesser = use_up(&mut scene);
        let mut answers = ["waiting", "full", "absent"].map(|name| {
            let mut answer = scene.ask(guesser, resume(name, 9));
            assert_eq!(answer["room"], name);
            // Another of the guesser's finds out no more by way of the room just made.
            let second = behind_one_address(&mut scene);
            for request in [
                json!({"type": "join", "room": name, "session": session(8)}),
                json!({"type": "create", "room": name}),
                json!({"type": "resume", "room": name, "token": session(201)}),
            ] {
                assert_eq!(scene.refused(second, request), "rate-limited", "{name}");
            }
            assert_eq!(scene.ask(second, resume(name, 9))["session"], session(9));
            assert_eq!(scene.next(guesser)["type"], "peer-joined");
            scene.ask(second, json!({"type": "leave"}));
            assert_eq!(scene.next(guesser)["type"], "peer-left");
            scene.ask(guesser, json!({"type": "leave"}));
            answer["room"] = Value::Null;
            answer["token"] = Value::Null;
            answer
        });
        answers.sort_by_key(Value::to_string);
        assert_eq!(answers[0], answers[2]);
        scene.hears_nothing(waiting);
    }

    #[test]
    fn a_pair_apart_is_let_in_by_the_session_alone() {
        let mut scene = Scene::new();
        use_up(&mut scene);
        let first = behind_one_address(&mut scene);
        scene.ask(first, resume("kitchen", 1));
        // The other peer is behind another address, where nobody guesses.
        let stranger = scene.connect();
        let made = scene.ask(stranger, json!({"type": "create", "room": "kitchen"}));
        assert_eq!(made["type"], "created", "the name is free");
        let second = scene.connect();
        let resumed = scene.ask(second, resume("kitchen", 1));
        assert_eq!(resumed["session"], session(1), "past the stranger's room");
        assert_eq!(scene.next(first)["type"], "peer-joined");
        scene.hears_nothing(stranger);
        // Its own seat it finds again.
        scene.cut(second);
        assert_eq!(scene.next(first)["type"], "peer-offline");
        let back = scene.connect();
        let again = json!({"type": "resume", "room": "kitchen", "token": resumed["token"], "session": session(1)});
        assert_eq!(scene.ask(back, again)["session"], session(1));
        assert_eq!(scene.next(first)["type"], "peer-online");
        // A third that knows the session finds both seats taken.
        let third = behind_one_address(&mut scene);
        assert_eq!(scene.refused(third, resume("kitchen", 1)), "rate-limited");
    }

    #[test]
    fn who_stays_alone_is_found_by_name_once_its_source_may_try_one() {
        for minute_is_over in [true, false] {
            let mut scene = Scene::new();
            use_up(&mut scene);
            let [first, second] = [(); 2].map(|()| {
                let connection = behind_one_address(&mut scene);
                scene.ask(connection, resume("kitchen", 1));
                connection
            });
            scene.next(first);
            if minute_is_over {
                scene.pass(Duration::from_secs(60));
            }
            scene.ask(second, json!({"type": "leave"}));
            scene.next(first);
            let guest = scene.connect();
            let join = json!({"type": "join", "room": "kitchen", "session": session(2)});
            let answer = scene.ask(guest, join);
            if minute_is_over {
                assert_eq!(answer["type"], "joined", "{answer}");
                assert_eq!(scene.next(first)["type"], "peer-joined");
            } else {
                assert_eq!(answer["code"], "room-unavailable", "{answer}");
            }
            for connection in [first, guest] {
                scene.cut(connection);
            }
            scene.pass(Duration::from_secs(200));
            assert!(scene.is_empty(), "{:?}", scene.hub.stats());
        }
    }

    #[test]
    fn a_name_in_use_is_not_claimed_and_the_try_is_counted() {
        let mut scene = Scene::new();
        use_up(&mut scene);
        let apart = (0..21_u8)
            .map(|number| {
                let connection = behind_one_address(&mut scene);
                scene.ask(connection, resume("kitchen", number));
                connection
            })
            .collect::<Vec<_>>();
        let waiting = scene.connect();
        scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        scene.pass(Duration::from_secs(60));
        for connection in apart {
            scene.cut(connection);
        }
        let guesser = behind_one_address(&mut scene);
        let join = json!({"type": "join", "room": "cellar", "session": session(9)});
        assert_eq!(scene.refused(guesser, join), "rate-limited");
        scene.hears_nothing(waiting);
    }
}
