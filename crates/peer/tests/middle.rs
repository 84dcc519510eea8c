//! Row 58: a signaling server in the middle, between two programs. What is sealed it can neither read, nor change, nor make up; where
//! nothing is sealed the very same server reads along, which shows that the harness can.
//!
//! `CROWFLY_LONG=1` makes a thousand attempts of it.

use std::net::SocketAddr;
use std::time::Duration;

use crowfly_peer::{
    Message, Peer, PeerEvent, Room, RoomEvent, RoomOptions, ServerUrl, create_room, join_room,
};

use liar::Lie;

#[path = "support/liar.rs"]
mod liar;

const CANARY: &str = "the canary sings";
/// Long after the last of what waits for something here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of one attempt.
#[derive(Debug, Default)]
struct Outcome {
    /// Channels that opened, of two.
    opened: usize,
    /// Messages that arrived at the two.
    arrived: usize,
    /// What the server read of the channel.
    read: Vec<String>,
    heard: Vec<String>,
    link: String,
    code: String,
}

/// Two victims at a server that lies, until both are through with each other or have said the canary to each other.
async fn attempt(lie: Lie, name: Option<&str>, join: impl FnOnce(&Room) -> String) -> Outcome {
    let (address, loot) = liar::start(lie, None).await;
    let server = url(address);
    let mut options = RoomOptions::new(server.clone());
    options.name = name.map(|name| name.parse().expect("a name"));
    let mut waiting = create_room(options).await.expect("a room");
    let place = join(&waiting);
    let mut outcome = Outcome {
        link: waiting.link(),
        code: waiting.code().expect("it was made here"),
        ..Outcome::default()
    };
    let mut joining = join_room(&place, RoomOptions::new(server))
        .await
        .expect("the room");
    let (one, two) = tokio::time::timeout(PATIENCE, async {
        tokio::join!(to_its_end(&mut waiting), to_its_end(&mut joining))
    })
    .await
    .unwrap_or_else(|_| panic!("{lie:?}: neither connected nor refused"));
    outcome.opened = usize::from(one.0) + usize::from(two.0);
    outcome.arrived = one.1 + two.1;
    let mut loot = loot.lock().expect("nobody panicked");
    outcome.read = std::mem::take(&mut loot.read);
    outcome.heard = std::mem::take(&mut loot.heard);
    outcome
}

/// Whether a channel opened and how many messages came, up to the end of the first peer or, where one connected, up to its message.
async fn to_its_end(room: &mut Room) -> (bool, usize) {
    let (mut opened, mut arrived) = (false, 0);
    let mut peer: Option<Peer> = None;
    loop {
        tokio::select! {
            event = room.next_event() => match event {
                Some(RoomEvent::Peer(somebody)) => peer = Some(somebody),
                Some(RoomEvent::PeerLeft(_) | RoomEvent::Closed(_)) | None => return (opened, arrived),
                Some(_) => {}
            },
            event = next(&mut peer) => match event {
                Some(PeerEvent::Open) => {
                    opened = true;
                    peer.as_ref().expect("it has spoken").send(CANARY).await.expect("sent");
                }
                Some(PeerEvent::Message(Message::Text(_))) => {
                    arrived += 1;
                    return (opened, arrived);
                }
                Some(_) => {}
                None => peer = None,
            },
        }
    }
}

async fn next(peer: &mut Option<Peer>) -> Option<PeerEvent> {
    match peer {
        Some(peer) => peer.next_event().await,
        None => std::future::pending().await,
    }
}

fn url(address: SocketAddr) -> ServerUrl {
    format!("http://{address}").parse().expect("an address")
}

#[tokio::test]
async fn where_nothing_is_sealed_the_server_reads_along() {
    let outcome = attempt(Lie::Both, Some("nest"), Room::link).await;
    assert_eq!((outcome.opened, outcome.arrived), (2, 2));
    assert_eq!(outcome.read, [CANARY, CANARY]);
}

#[tokio::test]
async fn where_all_is_sealed_it_relays_what_it_cannot_read() {
    let outcome = attempt(Lie::Relay, None, Room::link).await;
    assert_eq!((outcome.opened, outcome.arrived), (2, 2));
    let heard = outcome.heard.join("\n");
    assert!(heard.matches("\"sealed\"").count() >= 4, "{heard}");
    let words = outcome.code.split('-').skip(3);
    let key = outcome.link.rsplit('.').next().expect("a key");
    for secret in words.chain([key, "v=0", "candidate", "fingerprint", "sha-256", CANARY]) {
        assert!(!heard.contains(secret), "{secret} in {heard}");
    }
}

#[tokio::test]
async fn whatever_it_does_to_what_is_sealed_no_byte_comes_through() {
    let long = std::env::var_os("CROWFLY_LONG").is_some_and(|value| value == "1");
    let rounds = if long {
        1_000_usize.div_ceil(Lie::ALL.len() + 1)
    } else {
        2
    };
    for _ in 0..rounds {
        for lie in Lie::ALL {
            let outcome = attempt(lie, None, Room::link).await;
            assert_eq!((outcome.opened, outcome.arrived), (0, 0), "{lie:?}");
            assert!(outcome.read.is_empty(), "{lie:?}");
        }
        // Each victim was given another code.
        let other = |room: &Room| format!("{}.{}", room.name().as_str(), "A".repeat(43));
        let outcome = attempt(Lie::Relay, None, other).await;
        assert_eq!((outcome.opened, outcome.arrived), (0, 0), "another code");
    }
}
