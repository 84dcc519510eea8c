//! Two honest clients in a room, as most tests need them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::client::Client;

/// A pairing: who waited, and who joined.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) creator: Client,
    pub(crate) joiner: Client,
    pub(crate) room: String,
    pub(crate) session: String,
    /// What proves either peer when it comes back.
    pub(crate) tokens: [String; 2],
}

impl Pair {
    /// In a room of a drawn name.
    pub(crate) fn meet(server: SocketAddr) -> Self {
        Self::of(Client::connect(server), Client::connect(server))
    }

    pub(crate) fn of(mut creator: Client, joiner: Client) -> Self {
        let made = create(&mut creator);
        Self::in_room(made, creator, joiner)
    }

    /// In a room of a chosen name.
    pub(crate) fn named(mut creator: Client, joiner: Client, name: &str) -> Self {
        let created = creator.ask(json!({ "type": "create", "room": name }));
        assert_eq!(created["type"], "created", "{created}");
        let made = (text(&created["room"]), text(&created["token"]));
        Self::in_room(made, creator, joiner)
    }

    fn in_room(
        (room, creators): (String, String),
        mut creator: Client,
        mut joiner: Client,
    ) -> Self {
        let session = new_session();
        let joined = joiner.ask(join(&room, &session));
        assert_eq!(joined["type"], "joined", "{joined}");
        assert_eq!(creator.receive_type("peer-joined")["session"], session);
        let tokens = [creators, text(&joined["token"])];
        Self {
            creator,
            joiner,
            room,
            session,
            tokens,
        }
    }

    /// A signal of this pairing.
    pub(crate) fn signal(&self, payload: Value) -> Value {
        signal(&self.session, payload)
    }

    /// Proves that both are connected through the server, and that nothing else came to them.
    pub(crate) fn assert_talking(&mut self) {
        let message = self.signal(json!({ "kind": "still-there?" }));
        self.creator.send(&message);
        let heard = self.joiner.receive_type("signal");
        assert_eq!(heard["payload"], message["payload"]);
        assert_eq!(heard["from"], self.creator.peer);
        self.joiner.send(&message);
        let heard = self.creator.receive_type("signal");
        assert_eq!(heard["payload"], message["payload"]);
        assert_eq!(heard["from"], self.joiner.peer);
    }
}

/// Makes a room of a drawn name; returns it and the creator's token.
pub(crate) fn create(client: &mut Client) -> (String, String) {
    let created = client.ask(json!({ "type": "create" }));
    assert_eq!(created["type"], "created", "{created}");
    (text(&created["room"]), text(&created["token"]))
}

pub(crate) fn join(room: &str, session: &str) -> Value {
    json!({ "type": "join", "room": room, "session": session })
}

pub(crate) fn signal(session: &str, payload: Value) -> Value {
    json!({ "type": "signal", "session": session, "payload": payload })
}

/// A session id nobody used before: 128 bits as 22 characters of base64url, of which a count is enough here.
pub(crate) fn new_session() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:0>21}A", COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
