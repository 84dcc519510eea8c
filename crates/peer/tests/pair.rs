//! Two native peers over a real server and real sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crowfly_peer::{
    Message, Peer, PeerEvent, Room, RoomOptions, ServerUrl, create_room, join_room,
};

/// A server on a port of its own, for as long as the test runs.
async fn server() -> ServerUrl {
    let address: SocketAddr = support::start().await;
    format!("http://{address}").parse().expect("an address")
}

mod support;

async fn pair(server: &ServerUrl) -> ((Room, Peer), (Room, Peer)) {
    let mut waiting = create_room(RoomOptions::new(server.clone()))
        .await
        .expect("a room");
    let link = waiting.link();
    let mut joining = join_room(&link, RoomOptions::new(server.clone()))
        .await
        .expect("the room");
    let mut joined = joining.next_peer().await.expect("who waited");
    let mut waited = waiting.next_peer().await.expect("who joined");
    joined.opened().await.expect("open");
    waited.opened().await.expect("open");
    ((waiting, waited), (joining, joined))
}

async fn message(peer: &mut Peer) -> Message {
    loop {
        match peer.next_event().await.expect("more to come") {
            PeerEvent::Message(message) => return message,
            PeerEvent::Closed(reason) => panic!("closed: {reason:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn two_native_peers_talk() {
    let server = server().await;
    let began = Instant::now();
    let ((_waiting, mut waited), (joining, mut joined)) = pair(&server).await;
    println!("open after {:?}", began.elapsed());
    joined.send("caw").await.expect("sent");
    assert_eq!(message(&mut waited).await, Message::from("caw"));
    let large = vec![7; 3 << 20];
    waited.send(large.clone()).await.expect("sent");
    assert_eq!(message(&mut joined).await, Message::from(large));
    joining.leave().await;
    loop {
        match waited.next_event().await.expect("an end") {
            PeerEvent::Closed(reason) => break assert_eq!(reason.as_str(), "goodbye"),
            _ => {}
        }
    }
    let trace = waited.trace().await;
    assert!(trace.contains("goodbye-received"), "{trace}");
    let _ = Duration::ZERO;
}
