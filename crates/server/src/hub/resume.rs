//! Coming back on a new connection: `resume`.

use std::time::Instant;

use crowfly_protocol::{ErrorCode, RoomName, ServerMessage, SessionId, Token};

use super::{ConnectionId, Event, Hub, refusal::Refusal, room::SeatKey};
use crate::limits::LookUp;

impl Hub {
    pub(super) fn resume(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: RoomName,
        token: Token,
        session: Option<SessionId>,
    ) -> Result<ServerMessage<'static>, Refusal> {
        self.must_sit_nowhere(from)?;
        if let Some(key) = self.seat_by_token(&name, &token, session) {
            return Ok(self.resume_seat(key, from, token));
        }
        let (key, session) = self.another_seat(now, from, &name, session)?;
        let token = self.sit_down(from, key, session);
        let pairing = self.announce(key);
        Ok(ServerMessage::Resumed {
            room: name,
            token,
            pairing,
        })
    }

    /// A seat for one whose own is gone, and the pairing it sits down in.
    fn another_seat(
        &mut self,
        now: Instant,
        from: ConnectionId,
        name: &RoomName,
        session: Option<SessionId>,
    ) -> Result<(SeatKey, Option<SessionId>), Refusal> {
        // Who names the session that somebody waits for guesses nothing, and is let through however many others do.
        if let Some(session) = session
            && let Some(key) = self.seat_kept_for(name, session)
        {
            return Ok((key, Some(session)));
        }
        if let Err(refusal) = self.may_look_up(now, from, name) {
            let session = session.ok_or(refusal)?;
            return Ok((self.open_apart(from, name, session)?, None));
        }
        if !self.names.contains_key(name) {
            if !name.is_drawn() {
                self.count_look_up(now, self.connections[&from].source, LookUp::Made);
            }
            let key = self.open_room(from, name.clone())?;
            self.rooms[key.room].wait_for(session);
            return Ok((key, None));
        }
        let key = self.free_seat(now, from, name)?;
        let session =
            session.ok_or_else(|| self.look_up_refused(now, from, ErrorCode::BadToken))?;
        if self.rooms[key.room].was_used(&session) {
            return Err(Refusal::of(ErrorCode::SessionReused));
        }
        Ok((key, Some(session)))
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crowfly_protocol::ErrorCode;
    use serde_json::{Value, json};

    use crate::hub::tests::scene::{Scene, session, signal};

    fn resume(room: &str, token: &Value, number: u8) -> Value {
        json!({"type": "resume", "room": room, "token": token, "session": session(number)})
    }

    fn join_again(token: &Value, number: u8) -> Value {
        json!({"type": "join", "room": "kitchen", "token": token, "session": session(number)})
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lost_peer_comes_back_to_its_seat() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        scene.cut(second);
        let offline = scene.next(first);
        assert_eq!(offline["type"], "peer-offline");
        scene.pass(19 * SECOND);
        let back = scene.connect();
        let resumed = scene.ask(back, resume("kitchen", &joined["token"], 1));
        assert_eq!(
            resumed,
            json!({"type": "resumed", "room": "kitchen", "token": joined["token"], "peer": joined["peer"], "session": session(1)})
        );
        let online = scene.next(first);
        assert_eq!(
            online,
            json!({"type": "peer-online", "peer": offline["peer"]}),
            "the peer id stays"
        );
        scene.say(back, signal(1));
        assert_eq!(scene.next(first)["from"], offline["peer"]);
        scene.pass(60 * SECOND);
        scene.hears_nothing(first);
    }

    #[test]
    fn every_loss_has_its_own_twenty_seconds() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        scene.cut(second);
        scene.pass(19 * SECOND);
        let back = scene.connect();
        scene.ask(back, resume("kitchen", &joined["token"], 1));
        scene.cut(back);
        scene.pass(19 * SECOND);
        let told = [(); 3].map(|()| scene.next(first));
        let types = told.each_ref().map(|message| &message["type"]);
        assert_eq!(types, ["peer-offline", "peer-online", "peer-offline"]);
        assert!(
            told.iter()
                .all(|message| message["peer"] == told[0]["peer"]),
            "the peer id stays on every connection"
        );
        scene.hears_nothing(first);
        scene.pass(SECOND);
        assert_eq!(scene.next(first)["reason"], "lost");
    }

    #[test]
    fn a_pairing_that_was_torn_goes_on() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        scene.cut(second);
        scene.next(first);
        scene.pass(20 * SECOND);
        let left = scene.next(first);
        assert_eq!(
            (&left["type"], &left["reason"]),
            (&json!("peer-left"), &json!("lost"))
        );
        let back = scene.connect();
        let join = json!({"type": "join", "room": "kitchen", "session": session(1)});
        assert_eq!(
            scene.refused(back, join),
            "session-reused",
            "but not by a join"
        );
        let resumed = scene.ask(back, resume("kitchen", &joined["token"], 1));
        assert_eq!(
            (&resumed["peer"], &resumed["session"]),
            (&joined["peer"], &json!(session(1)))
        );
        assert_ne!(resumed["token"], joined["token"], "the seat is new");
        let told = scene.next(first);
        assert_eq!(
            (&told["type"], &told["session"]),
            (&json!("peer-joined"), &json!(session(1)))
        );
    }

    #[test]
    fn a_torn_pairing_is_over_once_the_other_has_met_somebody_else() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        scene.cut(second);
        scene.pass(20 * SECOND);
        let third = scene.connect();
        scene.ask(
            third,
            json!({"type": "join", "room": "kitchen", "session": session(2)}),
        );
        let back = scene.connect();
        let request = resume("kitchen", &joined["token"], 1);
        assert_eq!(scene.refused(back, request.clone()), "room-unavailable");
        scene.ask(third, json!({"type": "leave"}));
        assert_eq!(scene.refused(back, request), "session-reused");
        let told = [(); 4].map(|()| scene.next(first)["type"].clone());
        assert_eq!(
            told,
            ["peer-offline", "peer-left", "peer-joined", "peer-left"]
        );
        scene.hears_nothing(first);
    }

    #[test]
    fn a_torn_pairing_is_over_once_the_other_has_reloaded() {
        let mut scene = Scene::new();
        let [(first, created), (second, joined)] = scene.pair("kitchen");
        scene.cut(second);
        scene.pass(20 * SECOND);
        let reloaded = scene.connect();
        let answer = scene.ask(reloaded, join_again(&created["token"], 2));
        assert_eq!(answer["peer"], Value::Null, "it waits, alone");
        assert_eq!(scene.closed(first), Some(ErrorCode::Replaced));
        let back = scene.connect();
        let code = scene.refused(back, resume("kitchen", &joined["token"], 1));
        assert_eq!(
            code, "session-reused",
            "the page that knew the session is gone"
        );
    }

    #[test]
    fn after_a_restart_the_room_is_made_again_and_the_pair_meets_in_it() {
        let mut scene = Scene::new();
        let tokens = [session(8), session(9)];
        let [first, second] = [scene.connect(), scene.connect()];
        let alone = scene.ask(first, resume("k7fq-9xqm-2p4t", &json!(tokens[0]), 1));
        assert_eq!(
            alone,
            json!({"type": "resumed", "room": "k7fq-9xqm-2p4t", "token": alone["token"], "peer": null, "session": null})
        );
        assert_ne!(alone["token"], tokens[0]);
        let met = scene.ask(second, resume("k7fq-9xqm-2p4t", &json!(tokens[1]), 1));
        assert_eq!(met["session"], session(1));
        let told = scene.next(first);
        assert_eq!(
            (&told["type"], &told["session"]),
            (&json!("peer-joined"), &json!(session(1)))
        );
        scene.say(first, signal(1));
        assert_eq!(scene.next(second)["type"], "signal");
    }

    #[test]
    fn a_connection_that_has_not_noticed_its_death_is_replaced() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        let back = scene.connect();
        let resumed = scene.ask(back, resume("kitchen", &joined["token"], 1));
        assert_eq!(resumed["type"], "resumed");
        assert_eq!(scene.closed(second), Some(ErrorCode::Replaced));
        assert_eq!(
            scene.next(first)["type"],
            "peer-online",
            "told although it had not heard of the loss"
        );
        scene.say(first, signal(1));
        assert_eq!(scene.next(back)["type"], "signal");
        scene.hears_nothing(second);
    }

    #[test]
    fn without_its_token_nobody_takes_a_seat() {
        let mut scene = Scene::new();
        let [(first, _), (second, _)] = scene.pair("kitchen");
        let thief = scene.connect();
        let forged = json!(session(9));
        let code = scene.refused(thief, resume("kitchen", &forged, 1));
        assert_eq!(code, "room-unavailable", "like a join of a full room");
        scene.cut(second);
        scene.next(first);
        let code = scene.refused(thief, resume("kitchen", &forged, 1));
        assert_eq!(code, "room-unavailable", "a seat that is kept is taken");
        scene.pass(8 * SECOND);
        scene.hears_nothing(first);
        assert_eq!(scene.closed(first), None);
    }

    #[test]
    fn a_wrong_token_without_a_session_is_refused() {
        let mut scene = Scene::new();
        let [waiting, guest] = [scene.connect(), scene.connect()];
        scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        let request = json!({"type": "resume", "room": "kitchen", "token": session(9)});
        assert_eq!(scene.refused(guest, request), "bad-token");
        scene.hears_nothing(waiting);
    }

    #[test]
    fn a_reloaded_page_takes_its_seat_back_as_a_new_peer() {
        let mut scene = Scene::new();
        let [(first, _), (second, joined)] = scene.pair("kitchen");
        let reloaded = scene.connect();
        assert_eq!(
            scene.refused(reloaded, join_again(&joined["token"], 1)),
            "session-reused",
            "and nobody was disturbed:"
        );
        assert_eq!(scene.closed(second), None);
        let answer = scene.ask(reloaded, join_again(&joined["token"], 2));
        assert_eq!(
            (&answer["peer"], &answer["session"]),
            (&joined["peer"], &json!(session(2)))
        );
        assert_ne!(answer["token"], joined["token"]);
        assert_eq!(scene.closed(second), Some(ErrorCode::Replaced));
        let [left, new] = [scene.next(first), scene.next(first)];
        assert_eq!(
            (&left["type"], &left["reason"]),
            (&json!("peer-left"), &json!("replaced"))
        );
        assert_eq!(
            (&new["type"], &new["session"]),
            (&json!("peer-joined"), &json!(session(2)))
        );
        assert_ne!(new["peer"], left["peer"]);
        assert_eq!(
            scene.refused(first, signal(1)),
            "stale-session",
            "what belongs to the page that is gone is not for the new one"
        );
    }

    #[test]
    fn a_token_that_belongs_to_no_seat_is_ignored_by_join() {
        let mut scene = Scene::new();
        let waiting = scene.connect();
        scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        let guest = scene.connect();
        let answer = scene.ask(guest, join_again(&json!(session(9)), 1));
        assert_eq!(answer["type"], "joined");
        scene.next(waiting);
        let third = scene.connect();
        let code = scene.refused(third, join_again(&json!(session(9)), 2));
        assert_eq!(code, "room-unavailable");
    }

    #[test]
    fn a_peer_that_was_alone_resumes_and_hears_of_whoever_came_meanwhile() {
        let mut scene = Scene::new();
        let [waiting, guest] = [scene.connect(), scene.connect()];
        let created = scene.ask(waiting, json!({"type": "create", "room": "kitchen"}));
        scene.cut(waiting);
        let joined = scene.ask(
            guest,
            json!({"type": "join", "room": "kitchen", "session": session(1)}),
        );
        assert_eq!(scene.refused(guest, signal(1)), "peer-offline");
        let back = scene.connect();
        let resumed = scene.ask(
            back,
            json!({"type": "resume", "room": "kitchen", "token": created["token"]}),
        );
        assert_eq!(resumed["session"], session(1));
        let online = scene.next(guest);
        assert_eq!(
            online,
            json!({"type": "peer-online", "peer": joined["peer"]})
        );
        scene.say(guest, signal(1));
        assert_eq!(scene.next(back)["type"], "signal");
    }
}
