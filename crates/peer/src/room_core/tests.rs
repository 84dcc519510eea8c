//! A room against a server that says what the test wants.

use std::net::Ipv4Addr;

use super::*;
use crate::pairing::Presence;

const ROOM: &str = "k7fq-9xqm-2p4t";
const TOKENS: [&str; 2] = ["Q29uc2VydmVkVG9rZW4xMg", "TmV3VG9rZW5BZnRlckl0Lg"];
const PEERS: [&str; 3] = ["p5Wm0sTzQ2k", "pQm4Zr7Yt8c", "p9LkD3vXe1A"];

/// A room, and what it has said so far.
struct Stage {
    now: Instant,
    room: RoomCore,
    texts: Vec<serde_json::Value>,
    events: Vec<Event>,
    connects: usize,
    disconnects: usize,
    next: Option<Instant>,
}

fn session(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

fn secrets(byte: u8) -> Secrets {
    Secrets {
        certificate: Certificate::generate(),
        seed: [byte; 32],
        session: session(byte),
        nonce: [byte; 16],
        began: SystemTime::UNIX_EPOCH,
    }
}

fn create() -> Intent {
    Intent::Create {
        name: None,
        sealed: false,
    }
}

fn join() -> Intent {
    let name = RoomName::parse(ROOM).expect("a name");
    Intent::Join {
        name,
        token: None,
        key: None,
    }
}

impl Stage {
    /// Secrets of the first pairing are drawn as number 1.
    fn new(intent: Intent) -> Self {
        let now = Instant::now();
        let config = Config {
            intent,
            hosts: vec![SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1000))],
            label: "crowfly".to_owned(),
            ice_servers: None,
        };
        let mut stage = Self {
            now,
            room: RoomCore::new(now, config, secrets(1)),
            texts: Vec::new(),
            events: Vec::new(),
            connects: 0,
            disconnects: 0,
            next: None,
        };
        stage.drain();
        stage
    }

    /// In a room of its own, alone.
    fn created() -> Self {
        let mut stage = Self::new(create());
        stage.welcome(PEERS[0]);
        stage.hear(&format!(
            r#"{{"type":"created","id":1,"room":"{ROOM}","token":"{}"}}"#,
            TOKENS[0]
        ));
        stage
    }

    /// In somebody's room.
    fn joined() -> Self {
        let mut stage = Self::new(join());
        stage.welcome(PEERS[0]);
        stage.hear(&facing("joined", 1, session(1)));
        stage
    }

    fn drain(&mut self) {
        loop {
            match self.room.poll_output(self.now) {
                Output::Text(text) => self
                    .texts
                    .push(serde_json::from_str(&text).expect("what is said is JSON")),
                Output::Connect => self.connects += 1,
                Output::Disconnect => self.disconnects += 1,
                Output::Event(event) => self.events.push(event),
                Output::Timeout(at) => {
                    self.next = at;
                    return;
                }
                Output::Transmit(_) | Output::LookUp(_) | Output::Resolve(..) => {}
            }
        }
    }

    fn hear(&mut self, text: &str) {
        self.room.handle_text(self.now, text);
        self.drain();
        if self.room.needs_secrets() {
            self.room.set_secrets(secrets(2));
        }
    }

    fn welcome(&mut self, peer: &str) {
        self.hear(&format!(
            r#"{{"type":"welcome","protocol":1,"peer":"{peer}","iceServers":[]}}"#
        ));
    }

    fn somebody_joins(&mut self, session: SessionId) {
        self.hear(&format!(
            r#"{{"type":"peer-joined","peer":"{}","session":"{session}"}}"#,
            PEERS[1]
        ));
    }

    /// The connection to the server ends, and the next is there.
    fn lose(&mut self) {
        let error = RoomError::Unreachable {
            url: String::new(),
            reason: String::new(),
        };
        self.room.disconnected(self.now, error, "");
        self.drain();
        let before = self.connects;
        while self.connects == before {
            self.pass();
        }
    }

    /// The next thing that is waited for comes.
    fn pass(&mut self) {
        self.now = self.next.expect("something is waited for").max(self.now);
        self.room.handle_timeout(self.now);
        self.drain();
    }

    /// What was said last of this type.
    fn said(&self, wanted: &str) -> Option<&serde_json::Value> {
        self.texts.iter().rev().find(|text| text["type"] == wanted)
    }

    fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    fn left(&self) -> Option<EndReason> {
        self.events.iter().find_map(|event| match event {
            Event::PeerLeft(departure) => Some(departure.reason),
            _ => None,
        })
    }

    fn closed(&self) -> Option<&CloseReason> {
        self.events.iter().find_map(|event| match event {
            Event::Closed(reason) => Some(reason),
            _ => None,
        })
    }

    fn refused(&self) -> Option<&RoomError> {
        self.events.iter().find_map(|event| match event {
            Event::Refused(error) => Some(error),
            _ => None,
        })
    }
}

/// `joined` or `resumed`, with somebody opposite.
fn facing(answer: &str, id: u64, session: SessionId) -> String {
    let (token, peer) = (TOKENS[0], PEERS[2]);
    format!(
        r#"{{"type":"{answer}","id":{id},"room":"{ROOM}","token":"{token}","peer":"{peer}","session":"{session}"}}"#
    )
}

fn signal(session: SessionId, payload: &str) -> String {
    let from = PEERS[1];
    format!(r#"{{"type":"signal","from":"{from}","session":"{session}","payload":{payload}}}"#)
}

#[test]
fn the_offer_leaves_right_behind_the_join() {
    let mut stage = Stage::new(join());
    stage.welcome(PEERS[0]);
    let said: Vec<_> = stage.texts.iter().map(|text| &text["type"]).collect();
    assert_eq!(said, ["join", "signal", "signal"]);
    assert_eq!(stage.texts[0]["session"], stage.texts[1]["session"]);
    assert_eq!(
        stage.texts[1]["payload"]["description"]["type"], "offer",
        "{:?}",
        stage.texts
    );
    stage.hear(&facing("joined", 1, session(1)));
    assert!(stage.has(|event| matches!(
        event,
        Event::Peer {
            role: Role::Peer1,
            ..
        }
    )));
}

#[test]
fn another_session_than_the_one_asked_for_is_no_answer() {
    let mut stage = Stage::new(join());
    stage.welcome(PEERS[0]);
    stage.hear(&facing("joined", 1, session(9)));
    assert_eq!(stage.refused(), Some(&RoomError::UnsupportedProtocol));
    assert!(stage.room.is_closed());
}

#[test]
fn what_belongs_to_an_old_pairing_is_dropped() {
    let mut stage = Stage::created();
    stage.somebody_joins(session(7));
    stage.hear(&signal(session(7), r#"{"kind":"goodbye"}"#));
    assert_eq!(stage.left(), Some(EndReason::Goodbye));
    stage.somebody_joins(session(8));
    let count = stage.events.len();
    stage.hear(&signal(session(7), r#"{"kind":"goodbye"}"#));
    stage.hear(&signal(session(6), r#"{"kind":"goodbye"}"#));
    assert_eq!(stage.events.len(), count);
    assert!(stage.room.pairing().is_some());
    let pairing = stage.room.pairing().expect("somebody is there");
    let trace = pairing.trace().to_json_lines();
    assert_eq!(trace.matches("stale-signal").count(), 2);
    // And a pairing that is over does not begin again.
    stage.somebody_joins(session(7));
    let rejected = stage.said("reject").expect("a rejection");
    assert_eq!(rejected["session"], session(7).to_string());
    assert!(stage.room.pairing().is_some());
}

#[test]
fn a_goodbye_of_who_cannot_reach_the_server_frees_its_seat() {
    let offline = format!(r#"{{"type":"peer-offline","peer":"{}"}}"#, PEERS[1]);
    for known in [true, false] {
        let mut stage = Stage::created();
        stage.somebody_joins(session(7));
        if known {
            stage.hear(&offline);
        }
        let now = stage.now;
        let pairing = stage.room.pairing().expect("somebody is there");
        pairing.end(now, EndReason::Goodbye); // as from the channel
        stage.drain();
        if !known {
            assert_eq!(stage.said("reject"), None, "it is leaving by itself");
            stage.hear(&offline);
        }
        let rejected = stage.said("reject").expect("a rejection");
        assert_eq!(rejected["session"], session(7).to_string());
    }
}

#[test]
fn who_has_left_keeps_its_own_trace_and_states_when_the_next_comes() {
    let mut stage = Stage::created();
    stage.somebody_joins(session(7));
    stage.somebody_joins(session(8));
    let departure = stage.events.iter().find_map(|event| match event {
        Event::PeerLeft(departure) => Some(departure),
        _ => None,
    });
    let departure = departure.expect("the first made room for the second");
    assert!(departure.trace.contains(&session(7).to_string()));
    assert_eq!(departure.states.connection.as_str(), "closed");
}

#[test]
fn a_lost_server_is_returned_to_with_token_and_session() {
    let mut stage = Stage::joined();
    stage.lose();
    assert!(stage.has(|event| matches!(event, Event::Signaling { online: false })));
    stage.welcome(PEERS[1]);
    let resume = stage.said("resume").expect("a resume").clone();
    assert_eq!(resume["room"], ROOM);
    assert_eq!(resume["token"], TOKENS[0]);
    assert_eq!(resume["session"], session(1).to_string());
    let id = resume["id"].as_u64().expect("an id");
    stage.hear(&facing("resumed", id, session(1)));
    assert!(stage.has(|event| matches!(event, Event::Signaling { online: true })));
    // The same seat: the id that it had.
    let own = stage.room.id().map(|id| id.to_string());
    assert_eq!(own.as_deref(), Some(PEERS[0]));
    assert!(stage.room.pairing().is_some());
}

#[test]
fn who_was_back_first_is_not_taken_for_away() {
    let mut stage = Stage::created();
    stage.somebody_joins(session(7));
    stage.hear(&format!(
        r#"{{"type":"peer-offline","peer":"{}"}}"#,
        PEERS[1]
    ));
    stage.lose();
    stage.welcome(PEERS[1]);
    let id = stage.said("resume").expect("a resume")["id"].as_u64();
    stage.hear(&facing("resumed", id.expect("an id"), session(7)));
    let pairing = stage.room.pairing().expect("somebody is there");
    assert_eq!(pairing.presence(), Presence::Online);
}

#[test]
fn a_restarted_server_that_is_back_before_the_other_side_ends_no_handshake() {
    for comes_back in [true, false] {
        let mut stage = Stage::joined();
        stage.lose();
        stage.welcome(PEERS[1]);
        let id = stage.said("resume").expect("a resume")["id"].clone();
        stage.hear(&format!(
            r#"{{"type":"resumed","id":{id},"room":"{ROOM}","token":"{}","peer":null,"session":null}}"#,
            TOKENS[1]
        ));
        let returned = stage.now;
        if comes_back {
            stage.somebody_joins(session(1));
        }
        let patience = Duration::from_secs(20);
        while stage.left().is_none() && stage.next.is_some_and(|at| at <= returned + patience) {
            stage.pass();
        }
        let left = stage.left();
        assert_eq!(left, (!comes_back).then_some(EndReason::Lost));
        if !comes_back {
            assert_eq!(stage.now - returned, patience);
        }
    }
}

#[test]
fn a_new_seat_has_a_new_token_and_a_new_id() {
    let mut stage = Stage::created();
    stage.lose();
    stage.welcome(PEERS[1]);
    let id = stage.said("resume").expect("a resume")["id"].clone();
    stage.hear(&format!(
        r#"{{"type":"resumed","id":{id},"room":"{ROOM}","token":"{}","peer":null,"session":null}}"#,
        TOKENS[1]
    ));
    let own = stage.room.id().map(|id| id.to_string());
    assert_eq!(own.as_deref(), Some(PEERS[1]));
    assert_eq!(stage.room.token(), TOKENS[1].parse().ok());
}

#[test]
fn a_return_that_is_refused_is_the_end_of_a_room_where_nobody_is() {
    let mut stage = Stage::created();
    stage.lose();
    stage.welcome(PEERS[1]);
    let id = stage.said("resume").expect("a resume")["id"].clone();
    stage.hear(&format!(
        r#"{{"type":"error","id":{id},"code":"bad-token","message":"no"}}"#
    ));
    assert_eq!(
        stage.closed(),
        Some(&CloseReason::Refused("bad-token".to_owned()))
    );
    // But not one for a while: it is tried again.
    let mut stage = Stage::created();
    stage.lose();
    stage.welcome(PEERS[1]);
    let id = stage.said("resume").expect("a resume")["id"].clone();
    stage.hear(&format!(
        r#"{{"type":"error","id":{id},"code":"rate-limited","message":"no"}}"#
    ));
    assert_eq!(stage.closed(), None);
}

#[test]
fn a_seat_taken_elsewhere_is_left_for_good() {
    let mut stage = Stage::created();
    let error = RoomError::Left;
    stage.room.disconnected(stage.now, error, "replaced");
    stage.drain();
    assert_eq!(stage.closed(), Some(&CloseReason::Replaced));
    assert_eq!(stage.next, None, "nothing is waited for any more");
}

#[test]
fn a_server_that_says_nothing_is_an_error_within_ten_seconds() {
    let mut stage = Stage::new(create());
    let began = stage.now;
    while stage.refused().is_none() {
        stage.pass();
    }
    assert_eq!(stage.refused(), Some(&RoomError::Silent));
    assert!(stage.now - began <= PATIENCE);
    // Nor one that welcomes, at the last moment, and then says nothing.
    let mut stage = Stage::new(join());
    let began = stage.now;
    stage.now += PATIENCE - Duration::from_millis(1);
    stage.welcome(PEERS[0]);
    while stage.refused().is_none() {
        stage.pass();
    }
    assert!(stage.now - began <= PATIENCE);
}

#[test]
fn leaving_is_said_once_and_leaves_nothing_behind() {
    let mut stage = Stage::joined();
    stage.room.leave(stage.now);
    stage.room.leave(stage.now);
    stage.drain();
    assert_eq!(stage.closed(), Some(&CloseReason::Left));
    assert_eq!(stage.disconnects, 1);
    let leaves = stage.texts.iter().filter(|text| text["type"] == "leave");
    assert_eq!(leaves.count(), 1);
    assert_eq!(stage.next, None, "nothing is waited for any more");
}

#[test]
fn who_joins_without_an_offer_is_rejected_after_a_while() {
    let mut stage = Stage::created();
    stage.somebody_joins(session(7));
    while stage.said("reject").is_none() {
        stage.pass();
    }
    assert_eq!(stage.said("reject").expect("it is")["reason"], "no-offer");
    assert_eq!(stage.left(), Some(EndReason::NoOffer));
    assert!(!stage.room.is_closed());
}

#[test]
fn only_stun_servers_are_taken_of_what_the_server_tells() {
    let told = r#"[{"urls":"stun:a.example"},{"urls":["turn:b.example","stun:c.example:1"]},{"urls":7},7,
        {"urls":["stun:d","stun:e","stun:f","stun:g"]}]"#;
    assert_eq!(
        entering::stun_urls(told),
        ["a.example", "c.example:1", "d", "e"]
    );
    assert!(entering::stun_urls("7").is_empty());
}

/// Whatever a server says, and whenever: no panic, and what is said back stays within what one turn can say.
#[test]
fn no_server_message_is_too_strange() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fixtures");
    let mut texts: Vec<String> = std::fs::read_dir(folder)
        .expect("the fixtures")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .map(|text| text.replace("AAECAwQFBgcICQoLDA0ODw", &session(1).to_string()))
        .collect();
    texts.sort();
    let stages: [fn() -> Stage; 4] = [
        || Stage::new(create()),
        || Stage::new(join()),
        Stage::created,
        Stage::joined,
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for begin in stages {
        for _ in 0..4 {
            let mut stage = begin();
            random.shuffle(&mut texts);
            for text in &texts {
                stage.hear(text);
                stage.hear(&crate::mutate::text(&mut random, text));
                let payload = format!(r#"{{"kind":{}}}"#, random.u32(..));
                stage.hear(&signal(session(1), &payload));
            }
            assert!(stage.texts.len() < 10 * texts.len());
        }
    }
}

/// Two rooms of which one made, and the other joined, a sealed room; the server hands payloads over as the test wants.
fn sealed() -> (Stage, Stage) {
    let key = RoomKey::from_bytes([7; RoomKey::BYTES]);
    let mut waiting = Stage::new(Intent::Create {
        name: None,
        sealed: true,
    });
    waiting.welcome(PEERS[0]);
    waiting.hear(&format!(
        r#"{{"type":"created","id":1,"room":"{ROOM}","token":"{}"}}"#,
        TOKENS[0]
    ));
    let mut joining = Stage::new(Intent::Join {
        name: RoomName::parse(ROOM).expect("a name"),
        token: None,
        key: Some(key.clone()),
    });
    joining.welcome(PEERS[1]);
    // Whoever comes before there is a key cannot have been given it.
    waiting.somebody_joins(session(9));
    assert_eq!(waiting.said("reject").expect("it is")["reason"], "other");
    waiting.room.set_key(key);
    waiting.somebody_joins(session(1));
    (waiting, joining)
}

/// The payloads somebody has said.
fn payloads(stage: &Stage) -> Vec<String> {
    let signals = stage.texts.iter().filter(|text| text["type"] == "signal");
    signals.map(|text| text["payload"].to_string()).collect()
}

#[test]
fn what_is_said_in_a_sealed_room_is_sealed_and_comes_through() {
    let (mut waiting, joining) = sealed();
    for payload in payloads(&joining) {
        assert!(payload.contains("sealed") && !payload.contains("v=0"));
        waiting.hear(&signal(session(1), &payload));
    }
    let said = payloads(&waiting);
    assert!(!said.is_empty());
    assert!(said.iter().all(|payload| payload.contains("nonce")));
    // Again, out of its order, and from oneself.
    waiting.hear(&signal(session(1), &payloads(&joining)[0]));
    assert!(waiting.left().is_none(), "a repetition does no harm");
    waiting.hear(&signal(session(1), &said[0]));
    assert!(waiting.left().is_none(), "nor does a number that was there");
}

#[test]
fn what_is_not_sealed_ends_the_pairing_and_the_third_time_the_room() {
    let (mut waiting, _) = sealed();
    for strike in 1..=3 {
        waiting.events.clear();
        waiting.hear(&signal(
            session(strike),
            r#"{"kind":"description","description":{"type":"offer","sdp":"v=0\r\n"}}"#,
        ));
        assert_eq!(waiting.left(), Some(EndReason::NotVerified));
        let rejected = waiting.said("reject").expect("a rejection");
        assert_eq!(rejected["reason"], "not-verified");
        assert_eq!(rejected["session"], session(strike).to_string());
        if strike < 3 {
            assert!(!waiting.room.is_closed());
            waiting.somebody_joins(session(strike + 1));
        }
    }
    assert_eq!(waiting.closed(), Some(&CloseReason::Burned));
    assert!(waiting.said("leave").is_some());
}
