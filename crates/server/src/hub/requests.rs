//! What clients ask for. Each request gives its one answer or a refusal; [`Hub::message`] sends it.

use std::time::Instant;

use crowfly_protocol::{
    ClientMessage, ErrorCode, LeaveReason, RejectReason, RoomName, ServerMessage, SessionId, Token,
};
use serde_json::value::RawValue;

use super::{ConnectionId, Event, Hub, Output, refusal::Refusal, room::Presence};
use crate::limits::LookUp;

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
            ClientMessage::Ping => Ok(Some(ServerMessage::Pong)),
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
                self.may_look_up(now, from, &name)?;
                if self.names.contains_key(&name) {
                    return Err(self.look_up_refused(now, from, ErrorCode::RoomTaken));
                }
                // That nobody has it is an answer, too, and so is `too-many-rooms` in its place.
                self.count_look_up(now, self.connections[&from].source, LookUp::Made);
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
        let own = token.and_then(|token| self.seat_by_token(&name, &token, None));
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
        let (name, torn) = (room.name.clone(), room.torn());
        let reason = LeaveReason::Rejected;
        let rejected = self.vacate(now, key.opposite(), reason);
        if detail == RejectReason::Busy {
            // It was no partner: whoever was lost before it is still awaited.
            self.rooms[key.room].wait_for(torn);
        }
        if let Some(rejected) = rejected {
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
        let other = room.seat(key.side.opposite()).map(|seat| seat.presence);
        if let Some(Presence::Online(_)) = other {
            return Err(Refusal::of(ErrorCode::RoomOccupied));
        }
        self.vacate(now, key, LeaveReason::Leave);
        if other.is_some() {
            self.vacate(now, key.opposite(), LeaveReason::Lost);
        }
        self.end_if_empty(key.room);
        Ok(ServerMessage::Destroyed { room: name })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crowfly_protocol::ErrorCode;
    use serde_json::{Value, json};

    use crate::hub::{
        Config, Event,
        tests::scene::{Scene, session, signal},
    };

    fn join(room: &str, number: u8) -> Value {
        json!({"type": "join", "room": room, "session": session(number)})
    }

    #[test]
    fn a_room_is_named_by_its_maker_or_by_the_server() {
        let mut scene = Scene::new();
        let [named, drawn] = [scene.connect(), scene.connect()];
        let created = scene.ask(
            named,
            json!({"type": "create", "id": 1, "room": " Küche\t7 "}),
        );
        assert_eq!(
            (&created["type"], &created["id"], &created["room"]),
            (&json!("created"), &json!(1), &json!("küche-7"))
        );
        let created = scene.ask(drawn, json!({"type": "create", "id": 2, "room": null}));
        let name = created["room"].as_str().unwrap();
        assert!(
            crowfly_protocol::RoomName::parse(name).unwrap().is_drawn(),
            "{name}"
        );
        assert_eq!(scene.count(Event::RoomOpened), 2);
    }

    #[test]
    fn a_name_in_use_is_taken_in_every_spelling() {
        let mut scene = Scene::new();
        let [first, second] = [scene.connect(), scene.connect()];
        scene.ask(first, json!({"type": "create", "room": "straße"}));
        let code = scene.refused(second, json!({"type": "create", "room": "STRA\u{1e9e}E"}));
        assert_eq!(code, "room-taken");
        scene.ask(first, json!({"type": "leave"}));
        let created = scene.ask(second, json!({"type": "create", "room": "straße"}));
        assert_eq!(created["type"], "created", "free again");
    }

    #[test]
    fn the_shape_of_a_drawn_name_cannot_be_chosen() {
        let mut scene = Scene::new();
        let guest = scene.connect();
        let code = scene.refused(guest, json!({"type": "create", "room": "k7fq-9xqm-2p4t"}));
        assert_eq!(code, "invalid-room-name");
    }

    #[test]
    fn rooms_are_limited_by_source_and_in_all() {
        let config = Config {
            max_rooms: 3,
            max_rooms_per_source: 2,
            ..Config::default()
        };
        let mut scene = Scene::with(config);
        let mut from = |last: u8| {
            let connection = scene.connect_from([192, 0, 2, last].into());
            scene.next(connection);
            let answer = scene.ask(connection, json!({"type": "create"}));
            (connection, answer["code"].clone())
        };
        let (first, _) = from(1);
        assert_eq!(from(1).1, Value::Null);
        assert_eq!(from(1).1, "too-many-rooms", "the third of this source");
        assert_eq!(from(2).1, Value::Null);
        assert_eq!(from(2).1, "too-many-rooms", "the fourth in all");
        scene.ask(first, json!({"type": "leave"}));
        let again = scene.ask(first, json!({"type": "create"}));
        assert_eq!(again["type"], "created", "a room that ended makes way");
    }

    #[test]
    fn joining_pairs_two_and_tells_both_who_the_other_is() {
        let mut scene = Scene::new();
        let waiting = scene.connect_from([192, 0, 2, 1].into());
        let joining = scene.connect_from([192, 0, 2, 2].into());
        let [waiting_id, joining_id] =
            [waiting, joining].map(|connection| scene.next(connection)["peer"].clone());
        let created = scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        let mut request = join("kitchen", 1);
        request["id"] = json!(5);
        let joined = scene.ask(joining, request);
        assert_eq!(
            joined,
            json!({"type": "joined", "id": 5, "room": "kitchen", "token": joined["token"], "peer": waiting_id, "session": session(1)})
        );
        assert_ne!(joined["token"], created["token"]);
        let told = scene.next(waiting);
        assert_eq!(
            told,
            json!({"type": "peer-joined", "peer": joining_id, "session": session(1)})
        );
        assert_eq!(scene.count(Event::Paired), 1);
    }

    #[test]
    fn join_and_offer_may_come_back_to_back() {
        let mut scene = Scene::new();
        let [waiting, joining] = [scene.connect(), scene.connect()];
        scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        scene.say(joining, join("kitchen", 1));
        scene.say(joining, signal(1));
        assert_eq!(scene.next(joining)["type"], "joined");
        scene.hears_nothing(joining);
        let told =
            [scene.next(waiting), scene.next(waiting)].map(|message| message["type"].clone());
        assert_eq!(told, ["peer-joined", "signal"]);
    }

    #[test]
    fn signals_behind_a_refused_join_are_refused() {
        let mut scene = Scene::new();
        let guest = scene.connect();
        assert_eq!(scene.refused(guest, join("kitchen", 1)), "room-unavailable");
        assert_eq!(scene.refused(guest, signal(1)), "not-in-room");
    }

    #[test]
    fn absent_and_full_look_the_same_under_a_chosen_name() {
        let mut scene = Scene::new();
        scene.pair("kitchen");
        let stranger = scene.connect();
        let full = scene.ask(stranger, join("kitchen", 9));
        let absent = scene.ask(stranger, join("cellar", 9));
        assert_eq!(full["code"], "room-unavailable");
        assert_eq!(full, absent);
    }

    #[test]
    fn absent_and_full_are_told_apart_under_a_drawn_name() {
        let mut scene = Scene::new();
        let [first, second, third] = [scene.connect(), scene.connect(), scene.connect()];
        let created = scene.ask(first, json!({"type": "create"}));
        let name = created["room"].as_str().unwrap();
        scene.ask(second, join(name, 1));
        assert_eq!(scene.refused(third, join(name, 2)), "room-full");
        assert_eq!(
            scene.refused(third, join("0000-0000-0000", 2)),
            "room-not-found"
        );
    }

    #[test]
    fn a_session_id_is_taken_once() {
        let mut scene = Scene::new();
        let [(_, _), (second, _)] = scene.pair("kitchen");
        scene.ask(second, json!({"type": "leave"}));
        assert_eq!(scene.refused(second, join("kitchen", 1)), "session-reused");
        assert_eq!(scene.ask(second, join("kitchen", 2))["type"], "joined");
    }

    #[test]
    fn a_signal_goes_to_the_other_seat_byte_for_byte() {
        let mut scene = Scene::new();
        let [(first, created), (second, joined)] = scene.pair("kitchen");
        let [(third, _), (fourth, _)] = scene.pair("cellar");
        let waiting = joined["peer"].clone();
        let text = format!(
            r#"{{"payload": [1.50, "\u00e9" ] ,"from":"forged","session":"{}","type":"signal"}}"#,
            session(1)
        );
        scene.say_text(first, &text);
        let relayed = scene.next(second);
        assert_eq!(relayed["from"], waiting, "stamped by the server");
        assert_eq!(relayed["payload"].to_string(), r#"[1.5,"é"]"#);
        for connection in [first, third, fourth] {
            scene.hears_nothing(connection);
        }
        assert!(created["token"].is_string());
    }

    #[test]
    fn a_signal_that_cannot_be_relayed_is_answered() {
        let mut scene = Scene::new();
        let alone = scene.connect();
        assert_eq!(scene.refused(alone, signal(1)), "not-in-room");
        scene.ask(alone, json!({"type": "create"}));
        assert_eq!(scene.refused(alone, signal(1)), "no-peer");
        let [(first, _), (second, _)] = scene.pair("kitchen");
        assert_eq!(scene.refused(first, signal(2)), "stale-session");
        scene.cut(second);
        scene.next(first);
        assert_eq!(scene.refused(first, signal(1)), "peer-offline");
    }

    #[test]
    fn who_stays_keeps_the_room_and_may_be_joined_again() {
        let mut scene = Scene::new();
        let [(first, created), (second, joined)] = scene.pair("kitchen");
        let left = scene.ask(first, json!({"type": "leave", "id": 3}));
        assert_eq!(
            left,
            json!({"type": "left", "id": 3, "room": "kitchen", "reason": "leave"})
        );
        let told = scene.next(second);
        assert_eq!(
            told,
            json!({"type": "peer-left", "peer": joined["peer"], "session": session(1), "reason": "leave"})
        );
        assert_eq!(
            scene.refused(first, json!({"type": "leave"})),
            "not-in-room"
        );
        let third = scene.connect();
        assert_eq!(scene.ask(third, join("kitchen", 2))["type"], "joined");
        assert_eq!(scene.next(second)["session"], session(2));
        scene.ask(second, json!({"type": "leave"}));
        assert_eq!(scene.next(third)["type"], "peer-left");
        scene.ask(third, json!({"type": "leave"}));
        assert_eq!(scene.hub.stats().rooms, 0, "its last seat is free");
        assert_eq!(scene.count(Event::RoomClosed), 1);
        assert!(created["token"].is_string());
    }

    #[test]
    fn rejecting_frees_the_others_seat() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        let reject = |number| json!({"type": "reject", "id": 4, "session": session(number), "reason": "busy"});
        assert_eq!(scene.refused(first, reject(2)), "stale-session");
        let answer = scene.ask(second, reject(1));
        assert_eq!(
            answer,
            json!({"type": "peer-left", "id": 4, "peer": joined["peer"], "session": session(1), "reason": "rejected"})
        );
        let told = scene.next(first);
        assert_eq!(
            told,
            json!({"type": "left", "room": "kitchen", "reason": "rejected", "detail": "busy"})
        );
        assert_eq!(scene.refused(second, reject(1)), "no-peer");
        assert_eq!(scene.refused(first, reject(1)), "not-in-room");
        assert_eq!(
            scene.ask(first, join("kitchen", 2))["type"],
            "joined",
            "it may try again"
        );
    }

    #[test]
    fn a_lost_peer_can_be_rejected() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        scene.cut(second);
        scene.next(first);
        let reject = json!({"type": "reject", "session": session(1), "reason": "no-offer"});
        assert_eq!(scene.ask(first, reject)["reason"], "rejected");
        let back = scene.connect();
        let resume = json!({"type": "resume", "room": "kitchen", "token": joined["token"], "session": session(1)});
        assert_eq!(
            scene.refused(back, resume),
            "session-reused",
            "a rejected pairing is over"
        );
        scene.pass(Duration::from_secs(60));
        scene.hears_nothing(first);
    }

    #[test]
    fn a_ping_is_answered_and_keeps_no_connection_without_a_room() {
        let mut scene = Scene::new();
        let [(first, _), _] = scene.pair("kitchen");
        let answer = scene.ask(first, json!({"type": "ping", "id": 7}));
        assert_eq!(answer, json!({"type": "pong", "id": 7}));
        let idle = scene.connect();
        scene.pass(Duration::from_secs(9));
        assert_eq!(scene.ask(idle, json!({"type": "ping"}))["type"], "pong");
        scene.pass(Duration::from_secs(1));
        assert_eq!(scene.closed(idle), Some(ErrorCode::JoinTimeout));
    }

    #[test]
    fn who_is_awaited_comes_back_though_a_stranger_was_rejected_meanwhile() {
        for (reason, comes_back) in [("busy", true), ("no-offer", false)] {
            let mut scene = Scene::new();
            let [(first, _), (second, joined)] = scene.pair("kitchen");
            scene.cut(second);
            scene.pass(Duration::from_secs(20));
            let stranger = scene.connect();
            assert_eq!(scene.ask(stranger, join("kitchen", 2))["type"], "joined");
            // Still talking to the second over their channel.
            scene.say(
                first,
                json!({"type": "reject", "session": session(2), "reason": reason}),
            );
            assert_eq!(scene.next(stranger)["detail"], reason);
            let told = [(); 4].map(|()| scene.next(first)["type"].clone());
            assert_eq!(
                told,
                ["peer-offline", "peer-left", "peer-joined", "peer-left"]
            );
            let back = scene.connect();
            let resume = json!({"type": "resume", "room": "kitchen", "token": joined["token"], "session": session(1)});
            let answer = scene.ask(back, resume);
            if comes_back {
                assert_eq!(answer["session"], session(1), "{answer}");
                assert_eq!(scene.next(first)["session"], session(1));
            } else {
                assert_eq!(answer["code"], "session-reused", "{answer}");
            }
        }
    }

    #[test]
    fn only_a_member_destroys_a_room_and_only_alone() {
        let mut scene = Scene::new();
        let destroy = json!({"type": "destroy", "id": 4});
        let [(first, _), (second, _)] = scene.pair("kitchen");
        let stranger = scene.connect();
        assert_eq!(scene.refused(stranger, destroy.clone()), "not-in-room");
        assert_eq!(scene.refused(first, destroy.clone()), "room-occupied");
        scene.cut(second);
        scene.next(first);
        let answer = scene.ask(first, destroy);
        assert_eq!(
            answer,
            json!({"type": "destroyed", "id": 4, "room": "kitchen"})
        );
        assert_eq!(
            scene.hub.stats().rooms,
            0,
            "a seat kept for a lost peer does not count"
        );
        assert_eq!(
            scene.refused(first, json!({"type": "leave"})),
            "not-in-room"
        );
    }
}
