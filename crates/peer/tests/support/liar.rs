//! A signaling server that lies: it sits between its two victims, reads what passes, and where it can ends a peer connection with each of
//! them and pipes between the two. For the tests of this crate, and by `examples/lying_server.rs` for those with browsers.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use crowfly_peer::manual::{self, Connection, Offered};
use crowfly_peer::{Message, Peer, PeerEvent, RoomName};
use crowfly_protocol::{RoomKey, Seal, SessionId};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{
    Message as Frame,
    handshake::server::{ErrorResponse, Request, Response},
};

/// What the server does to what it relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lie {
    /// Nothing: it only reads.
    Relay,
    /// Its own offer, with its own fingerprint, instead of PEER1's.
    Offer,
    /// Its own answer instead of PEER2's.
    Answer,
    /// Both: it is the other side of each.
    Both,
    /// Its own offer, sealed with a secret of its own.
    OtherKey,
    /// It says that the other side cannot open what is sealed.
    Downgrade,
    /// One bit of each payload turned over.
    Change,
    /// Each is sent back what it said.
    Reflect,
    /// PEER2 is told the first payload as the last, under another number.
    Renumber,
    /// A session played once more.
    Replay,
    /// Both are told that they waited, and that the other one joined.
    Roles,
    /// What PEER2 says is not handed on.
    Withhold,
}

impl Lie {
    /// All that change something.
    pub(crate) const ALL: [Self; 11] = [
        Self::Offer,
        Self::Answer,
        Self::Both,
        Self::OtherKey,
        Self::Downgrade,
        Self::Change,
        Self::Reflect,
        Self::Renumber,
        Self::Replay,
        Self::Roles,
        Self::Withhold,
    ];
}

/// What the server has come to know.
#[derive(Debug, Default)]
pub(crate) struct Loot {
    /// Every message a victim sent to it.
    pub(crate) heard: Vec<String>,
    /// Messages of the channel, where it sits in the middle.
    pub(crate) read: Vec<String>,
}

/// A lying server for as long as the runtime lives; requests that are not for the WebSocket go to `page`.
pub(crate) async fn start(lie: Lie, page: Option<SocketAddr>) -> (SocketAddr, Arc<Mutex<Loot>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let loot = Arc::new(Mutex::new(Loot::default()));
    let (events_in, mut events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            tokio::spawn(serve(stream, number, page, events_in.clone()));
        }
    });
    let mut liar = Liar {
        lie,
        loot: Arc::clone(&loot),
        victims: HashMap::new(),
        waiting: None,
        joining: None,
        session: Value::Null,
        room: Value::Null,
        said: HashMap::new(),
        replayed: false,
        offered: None,
        middle: Vec::new(),
    };
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            liar.handle(event).await;
        }
    });
    (address, loot)
}

enum Event {
    Came(u64, mpsc::UnboundedSender<Value>),
    Said(u64, String),
    Gone(u64),
}

async fn serve(
    mut stream: TcpStream,
    number: u64,
    page: Option<SocketAddr>,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut head = [0; 8];
    if stream.peek(&mut head).await.is_err() {
        return;
    }
    if let Some(page) = page.filter(|_| !head.starts_with(b"GET /ws")) {
        if let Ok(mut honest) = TcpStream::connect(page).await {
            // A browser that hangs up is no error here.
            let _ = copy_bidirectional(&mut stream, &mut honest).await;
        }
        return;
    }
    let accepted = tokio_tungstenite::accept_hdr_async(stream, subprotocol).await;
    let Ok(mut socket) = accepted else { return };
    let (outgoing, mut texts) = mpsc::unbounded_channel::<Value>();
    let _ = events.send(Event::Came(number, outgoing));
    loop {
        tokio::select! {
            text = texts.recv() => match text {
                Some(text) if socket.send(Frame::text(text.to_string())).await.is_ok() => {}
                _ => break,
            },
            frame = socket.next() => match frame {
                Some(Ok(Frame::Text(text))) => drop(events.send(Event::Said(number, text.as_str().to_owned()))),
                Some(Ok(_)) => {}
                _ => break,
            },
        }
    }
    let _ = events.send(Event::Gone(number));
}

/// Programs ask for it, and pages do not.
#[allow(clippy::result_large_err, reason = "the type is that of the library")]
fn subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    const NAME: &str = "Sec-WebSocket-Protocol";
    if let Some(asked) = request.headers().get(NAME) {
        response.headers_mut().insert(NAME, asked.clone());
    }
    Ok(response)
}

struct Liar {
    lie: Lie,
    loot: Arc<Mutex<Loot>>,
    victims: HashMap<u64, mpsc::UnboundedSender<Value>>,
    waiting: Option<u64>,
    joining: Option<u64>,
    session: Value,
    room: Value,
    /// Payloads of each, in their order.
    said: HashMap<u64, Vec<Value>>,
    replayed: bool,
    /// To who waits, unanswered.
    offered: Option<Offered>,
    /// Its own connections to the two.
    middle: Vec<Connection>,
}

impl Liar {
    async fn handle(&mut self, event: Event) {
        match event {
            Event::Came(number, outgoing) => {
                self.victims.insert(number, outgoing);
                let peer = peer(number);
                self.tell(
                    number,
                    json!({"type": "welcome", "protocol": 1, "peer": peer, "iceServers": []}),
                );
            }
            Event::Gone(number) => {
                self.victims.remove(&number);
            }
            Event::Said(number, text) => {
                let message: Value = serde_json::from_str(&text).expect("victims speak JSON");
                self.loot.lock().expect("nobody panicked").heard.push(text);
                self.request(number, &message).await;
            }
        }
    }

    async fn request(&mut self, number: u64, message: &Value) {
        let answer = |kind: &str| json!({"type": kind, "id": message["id"], "room": message["room"], "token": "Q29uc2VydmVkVG9rZW4xMg"});
        match message["type"].as_str().unwrap_or_default() {
            "create" => {
                self.waiting = Some(number);
                self.room = match &message["room"] {
                    Value::Null => RoomName::drawn(7).as_str().into(),
                    name => name.clone(),
                };
                let mut created = answer("created");
                created["room"] = self.room.clone();
                self.tell(number, created);
            }
            "join" => {
                self.joining = Some(number);
                self.session = message["session"].clone();
                let waiting = self.waiting.unwrap_or(number);
                let mut joined = answer("joined");
                joined["peer"] = peer(waiting).into();
                joined["session"] = self.session.clone();
                self.tell(number, joined);
                self.tell_joined(waiting);
                if self.lie == Lie::Roles {
                    let other = json!({"type": "peer-joined", "peer": peer(waiting), "session": "EBESExQVFhcYGRobHB0eHw"});
                    self.tell(number, other);
                }
            }
            "signal" => self.signal(number, message["payload"].clone()).await,
            "ping" => self.tell(number, json!({"type": "pong", "id": message["id"]})),
            "leave" => {
                self.tell(number, json!({"type": "left", "id": message["id"], "room": self.room, "reason": "leave"}));
                self.part(self.opposite(number), "leave");
            }
            "reject" => {
                if let Some(other) = self.opposite(number) {
                    self.tell(other, json!({"type": "left", "room": self.room, "reason": "rejected", "detail": message["reason"]}));
                    self.part(Some(number), "rejected");
                }
            }
            _ => {}
        }
    }

    fn tell_joined(&self, waiting: u64) {
        let joining = peer(self.joining.unwrap_or_default());
        self.tell(
            waiting,
            json!({"type": "peer-joined", "peer": joining, "session": self.session}),
        );
    }

    fn part(&self, who: Option<u64>, reason: &str) {
        if let (Some(who), Some(other)) = (who, who.and_then(|who| self.opposite(who))) {
            self.tell(who, json!({"type": "peer-left", "peer": peer(other), "session": self.session, "reason": reason}));
        }
    }

    /// Both leave, as far as each of them is told.
    fn part_both(&self) {
        for who in [self.waiting, self.joining] {
            self.part(who, "leave");
        }
    }

    fn opposite(&self, number: u64) -> Option<u64> {
        if self.waiting == Some(number) {
            self.joining
        } else {
            self.waiting
        }
    }

    async fn signal(&mut self, from: u64, payload: Value) {
        let said = self.said.entry(from).or_default();
        said.push(payload.clone());
        let first = said.len() == 1;
        let joins = self.joining == Some(from);
        match self.lie {
            Lie::Relay => self.relay(from, payload),
            Lie::Offer if joins => {
                if first {
                    self.offer().await;
                }
            }
            Lie::Answer if !joins => {
                if first {
                    self.answer(Value::Null).await;
                }
            }
            Lie::Both if payload["kind"] == "sealed" => {
                if first && joins {
                    self.offer().await;
                    self.answer(Value::Null).await;
                }
            }
            Lie::Both => {
                if let Some(description) = self.whole(from) {
                    if joins {
                        self.offer().await;
                        self.answer(description).await;
                    } else {
                        self.answered(&description);
                    }
                }
            }
            Lie::Offer | Lie::Answer => self.relay(from, payload),
            Lie::OtherKey => {
                if first && joins {
                    let (offer, _) = manual::offer(manual::Options::default())
                        .await
                        .expect("an offer");
                    self.relay(from, self.seal_wrongly(&described(&offer)));
                }
            }
            Lie::Downgrade => {
                let refusal = json!({"kind": "problem", "code": "unknown-kind", "about": "sealed"});
                self.relay(self.opposite(from).unwrap_or(from), refusal);
            }
            Lie::Change => self.relay(from, changed(payload)),
            Lie::Reflect => self.relay(self.opposite(from).unwrap_or(from), payload),
            Lie::Renumber => self.relay(from, renumbered(payload)),
            Lie::Replay => self.replay(from, payload),
            Lie::Roles => self.swap_roles(from, payload),
            Lie::Withhold => {
                if joins {
                    self.relay(from, payload);
                } else {
                    self.part_both();
                }
            }
        }
    }

    /// As if `from` had said it.
    fn relay(&self, from: u64, payload: Value) {
        let message = json!({"type": "signal", "from": peer(from), "session": self.session, "payload": payload});
        if let Some(to) = self.opposite(from) {
            self.tell(to, message);
        }
    }

    /// The first time to the answer, which is withheld; then the same once more.
    fn replay(&mut self, from: u64, payload: Value) {
        if self.joining == Some(from) {
            return self.relay(from, payload);
        }
        let Some((waiting, joining)) = self.waiting.zip(self.joining) else {
            return;
        };
        if std::mem::replace(&mut self.replayed, true) {
            return self.part_both();
        }
        self.part(Some(waiting), "leave");
        self.tell_joined(waiting);
        for payload in self.said[&joining].clone() {
            self.relay(joining, payload);
        }
    }

    /// Who joined is spoken to as if it had waited, in a session that nobody drew.
    fn swap_roles(&self, from: u64, payload: Value) {
        if let Some(to) = self.opposite(from) {
            for session in [json!("EBESExQVFhcYGRobHB0eHw"), self.session.clone()] {
                self.tell(to, json!({"type": "signal", "from": peer(from), "session": session, "payload": payload}));
            }
        }
    }

    fn seal_wrongly(&self, payload: &Value) -> Value {
        let room = RoomName::parse(self.room.as_str().unwrap_or_default()).expect("a name");
        let session: SessionId = self
            .session
            .as_str()
            .unwrap_or_default()
            .parse()
            .expect("an id");
        let mut seal = Seal::offerer(RoomKey::from_bytes([7; 32]), room, session);
        let sealed = seal.seal(&payload.to_string()).expect("the first");
        serde_json::from_str(sealed.get()).expect("JSON")
    }

    // In the middle

    /// The description that somebody gave, with the candidates behind it, once these are complete.
    fn whole(&self, from: u64) -> Option<Value> {
        let said = self.said.get(&from)?;
        let ends =
            |payload: &Value| payload["complete"] == true || payload["kind"] == "end-of-candidates";
        if said.iter().filter(|payload| ends(payload)).count() != 1 || !ends(said.last()?) {
            return None;
        }
        let first = said.iter().find(|payload| payload["kind"] == "description");
        let mut description = first?["description"].clone();
        let candidates = said.iter().flat_map(|payload| {
            let several = payload["candidates"].as_array().cloned();
            several.unwrap_or_else(|| vec![payload["candidate"].clone()])
        });
        let lines = candidates.filter_map(|candidate| {
            let line = candidate["candidate"]
                .as_str()
                .filter(|line| !line.is_empty());
            line.map(|line| format!("a={line}\r\n"))
        });
        let sdp = description["sdp"].as_str().unwrap_or_default().to_owned();
        description["sdp"] = (sdp + &lines.collect::<String>()).into();
        Some(description)
    }

    /// Offers to who waits.
    async fn offer(&mut self) {
        let (offer, offered) = manual::offer(manual::Options::default())
            .await
            .expect("an offer");
        self.offered = Some(offered);
        if let Some(joining) = self.joining {
            self.relay(joining, described(&offer));
        }
    }

    /// Answers who joins; an offer that cannot be read is answered as if it were another.
    async fn answer(&mut self, offer: Value) {
        let answered = manual::answer(&offer.to_string(), manual::Options::default()).await;
        let (answer, connection) = match answered {
            Ok(answered) => answered,
            Err(_) => {
                let (own, _) = manual::offer(manual::Options::default())
                    .await
                    .expect("an offer");
                manual::answer(&own, manual::Options::default())
                    .await
                    .expect("an answer")
            }
        };
        self.middle.push(connection);
        if let Some(waiting) = self.waiting {
            self.relay(waiting, described(&answer));
        }
        self.pipe();
    }

    /// Who waits has answered.
    fn answered(&mut self, answer: &Value) {
        if let Some(offered) = self.offered.take() {
            let connection = offered.answered(&answer.to_string());
            self.middle.extend(connection);
            self.pipe();
        }
    }

    /// Reads what each says, and hands it on to the other.
    fn pipe(&mut self) {
        if self.middle.len() < 2 {
            return;
        }
        let loot = Arc::clone(&self.loot);
        let both = self.middle.pop().zip(self.middle.pop());
        tokio::spawn(async move {
            // Whole, not their peers alone: a connection that is dropped ends.
            let Some((mut one, mut two)) = both else {
                return;
            };
            let _ = one.peer.opened().await;
            let _ = two.peer.opened().await;
            loop {
                tokio::select! {
                    event = one.peer.next_event() => if !passed(event, &two.peer, &loot).await { return },
                    event = two.peer.next_event() => if !passed(event, &one.peer, &loot).await { return },
                }
            }
        });
    }

    fn tell(&self, number: u64, message: Value) {
        if let Some(victim) = self.victims.get(&number) {
            let mut message = message;
            if let Some(object) = message.as_object_mut() {
                object.retain(|name, value| name != "id" || !value.is_null());
            }
            let _ = victim.send(message);
        }
    }
}

async fn passed(event: Option<PeerEvent>, to: &Peer, loot: &Mutex<Loot>) -> bool {
    match event {
        None => return false,
        Some(PeerEvent::Message(Message::Text(text))) => {
            loot.lock()
                .expect("nobody panicked")
                .read
                .push(text.clone());
            let _ = to.send(text).await;
        }
        Some(_) => {}
    }
    true
}

fn peer(number: u64) -> String {
    crowfly_protocol::PeerId::from_bytes(number.to_be_bytes()).to_string()
}

fn described(description: &str) -> Value {
    let description: Value = serde_json::from_str(description).expect("JSON");
    json!({"kind": "description", "description": description})
}

/// A bit of the ciphertext, or where nothing is sealed, of the fingerprint.
fn changed(mut payload: Value) -> Value {
    if let Some(data) = payload["data"].as_str() {
        let (first, rest) = data.split_at(1);
        payload["data"] = format!("{}{rest}", if first == "A" { "B" } else { "A" }).into();
    } else if let Some(sdp) = payload["description"]["sdp"].as_str() {
        let (before, after) = sdp.split_once("sha-256 ").expect("a fingerprint");
        let turned = if after.starts_with('0') { "1" } else { "0" };
        payload["description"]["sdp"] = format!("{before}sha-256 {turned}{}", &after[1..]).into();
    }
    payload
}

fn renumbered(mut payload: Value) -> Value {
    if let Some(counter) = payload["counter"].as_u64() {
        payload["counter"] = (counter + 1).into();
    }
    payload
}
