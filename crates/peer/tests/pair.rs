//! Two native peers over a real server and real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use crowfly_peer::{
    Message, Peer, PeerEvent, Room, RoomEvent, RoomOptions, SendError, ServerUrl, create_room,
    join_room,
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

/// What browsers have only in part; `web/test/e2e/interop.test.js` has what is agreed upon with them.
async fn everything_is_agreed(peer: &Peer) {
    let agreed = peer.stats().await.and_then(|stats| stats.agreed);
    let agreed = agreed.expect("it is connected");
    assert_eq!(agreed.dtls, "1.3");
    assert!(
        agreed.snap && agreed.interleaving && agreed.zero_checksum,
        "{agreed:?}"
    );
}

#[tokio::test]
async fn two_native_peers_talk() {
    let server = server().await;
    let ((_waiting, mut waited), (joining, mut joined)) = pair(&server).await;
    joined.send("caw").await.expect("sent");
    assert_eq!(message(&mut waited).await, Message::from("caw"));
    everything_is_agreed(&joined).await;
    everything_is_agreed(&waited).await;
    let large = vec![7; 3 << 20];
    waited.send(large.clone()).await.expect("sent");
    assert_eq!(message(&mut joined).await, Message::from(large));
    joining.leave().await;
    let reason = loop {
        if let PeerEvent::Closed(reason) = waited.next_event().await.expect("an end") {
            break reason;
        }
    };
    assert_eq!(reason.as_str(), "goodbye");
    let trace = waited.trace().await;
    assert!(trace.contains("goodbye-received"), "{trace}");
}

#[tokio::test]
async fn what_was_sent_before_leaving_arrives() {
    let server = server().await;
    for _ in 0..20 {
        let ((_waiting, mut waited), (joining, joined)) = pair(&server).await;
        joined.send("first").await.expect("sent");
        joined.send(vec![7; 100_000]).await.expect("sent");
        joined.send("last").await.expect("sent");
        joining.leave().await;
        assert_eq!(message(&mut waited).await, Message::from("first"));
        assert_eq!(message(&mut waited).await.len(), 100_000);
        assert_eq!(message(&mut waited).await, Message::from("last"));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let server = server().await;
    let mut options = RoomOptions::new(server.clone());
    options.label = "ü".repeat(100_000);
    let mut waiting = create_room(options.clone()).await.expect("a room");
    let joining = join_room(&waiting.link(), options).await;
    let mut joining = joining.expect("the room");
    let mut joined = joining.next_peer().await.expect("who waited");
    assert_eq!(joined.send("caw").await, Err(SendError::NotOpen));
    joined.opened().await.expect("open in spite of the label");
    let blob = Message::Blob {
        name: Some("x".repeat(256)),
        media_type: String::new(),
        data: Vec::new().into(),
    };
    assert_eq!(joined.send(blob).await, Err(SendError::LongName));
    let waited = waiting.next_peer().await.expect("who joined");
    waiting.leave().await;
    assert_eq!(waited.send("caw").await, Err(SendError::Closed));
    assert_eq!(waited.states().connection.as_str(), "closed");
    assert!(waited.trace().await.contains("\"ended\""));
    while joined.next_event().await.is_some() {}
    assert_eq!(joined.send("caw").await, Err(SendError::Closed));
}

#[tokio::test]
async fn two_native_peers_need_no_server() {
    use crowfly_peer::manual;
    let (offer, offered) = manual::offer(manual::Options::default())
        .await
        .expect("an offer");
    assert!(offer.contains("sctp-init"), "SNAP is offered: {offer}");
    let (answer, mut there) = manual::answer(&offer, manual::Options::default())
        .await
        .expect("an answer");
    let mut here = offered.answered(&answer).expect("an answer");
    here.peer.opened().await.expect("open");
    there.peer.opened().await.expect("open");
    here.peer.send("caw").await.expect("sent");
    assert_eq!(message(&mut there.peer).await, Message::from("caw"));
    for peer in [&here.peer, &there.peer] {
        everything_is_agreed(peer).await;
    }
    there.leave().await;
    let reason = loop {
        if let PeerEvent::Closed(reason) = here.peer.next_event().await.expect("an end") {
            break reason;
        }
    };
    assert_eq!(reason.as_str(), "goodbye");
    assert!(
        manual::answer("hello", manual::Options::default())
            .await
            .is_err()
    );
    assert!(
        manual::answer(&answer, manual::Options::default())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn further_channels_carry_what_they_promise_and_close_behind_it() {
    use crowfly_peer::ChannelOptions;
    let server = server().await;
    let ((_waiting, mut waited), (_joining, joined)) = pair(&server).await;
    let mut ours = joined
        .open_channel(ChannelOptions::new("log").unordered().protocol("lines"))
        .await
        .expect("a channel");
    let mut theirs = loop {
        if let PeerEvent::Channel(channel) = waited.next_event().await.expect("a channel") {
            break channel;
        }
    };
    assert_eq!(
        (theirs.label(), theirs.options().ordered, theirs.id()),
        ("log", false, ours.id())
    );
    let limit = joined.sender().max_message_size();
    let (size, message) = (limit + 1, vec![0; limit + 1]);
    let refused = Err(SendError::TooLarge { size, limit });
    assert_eq!(ours.send(message).await, refused);
    for number in 0..200_u32 {
        ours.send(number.to_be_bytes().to_vec())
            .await
            .expect("sent");
    }
    theirs.send("thanks").await.expect("sent");
    assert_eq!(ours.recv().await, Some(Message::from("thanks")));
    let closing = tokio::spawn(ours.close());
    let mut seen = 0;
    while let Some(message) = theirs.recv().await {
        assert_eq!(message.len(), 4);
        seen += 1;
    }
    assert_eq!(seen, 200);
    assert_eq!(theirs.send("too late").await, Err(SendError::Closed));
    drop(theirs);
    closing.await.expect("closed");
}

#[tokio::test]
async fn who_does_not_read_holds_the_other_side_back() {
    use crowfly_peer::ChannelOptions;
    let server = server().await;
    let ((_waiting, mut waited), (_joining, joined)) = pair(&server).await;
    let bulk = joined
        .open_channel(ChannelOptions::new("bulk"))
        .await
        .expect("a channel");
    let mut theirs = loop {
        if let PeerEvent::Channel(channel) = waited.next_event().await.expect("a channel") {
            break channel;
        }
    };
    const TOTAL: usize = 2_000;
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while sent < TOTAL
            && tokio::time::timeout(Duration::from_secs(2), bulk.send(vec![0; 64 * 1024]))
                .await
                .is_ok()
        {
            sent += 1;
        }
        (bulk, sent)
    });
    let (bulk, before) = sending.await.expect("a count");
    assert!(
        before < TOTAL / 2,
        "{before} of {TOTAL} messages of 64 KiB were taken though nobody reads"
    );
    let rest = tokio::spawn(async move {
        for _ in before..TOTAL {
            bulk.send(vec![0; 64 * 1024]).await.expect("sent");
        }
        bulk
    });
    // One send was given up while it waited, and was not taken.
    for _ in 0..TOTAL {
        theirs.recv().await.expect("more");
    }
    rest.await.expect("sent");
}

#[tokio::test]
async fn a_code_leads_into_a_sealed_room_and_another_one_does_not() {
    use crowfly_peer::{CloseReason, EndReason, Verified};
    let server = server().await;
    let mut waiting = create_room(RoomOptions::new(server.clone()))
        .await
        .expect("a room");
    let code = waiting.code().expect("it was made here");
    let (name, _) = code.rsplit_once('-').expect("words");
    let last = if code.ends_with("-acorn") {
        "gizmo"
    } else {
        "acorn"
    };
    for strike in 1..=3 {
        let mut stranger = join_room(&format!("{name}-{last}"), RoomOptions::new(server.clone()))
            .await
            .expect("a room");
        let reason = loop {
            match stranger.next_event().await {
                Some(RoomEvent::Closed(reason)) => break reason,
                Some(_) => {}
                None => panic!("no reason"),
            }
        };
        assert_eq!(reason, CloseReason::Rejected("not-verified".to_owned()));
        let left = loop {
            match waiting.next_event().await {
                Some(RoomEvent::PeerLeft(reason)) => break reason,
                Some(_) => {}
                None => panic!("no reason"),
            }
        };
        assert_eq!(left, EndReason::NotVerified);
        if strike == 2 {
            // The friend comes, by the code as it was read out, and goes.
            let spoken = code.to_uppercase().replace('-', " ");
            let mut friend = join_room(&spoken, RoomOptions::new(server.clone()))
                .await
                .expect("the room");
            assert_eq!(friend.code().as_deref(), Some(code.as_str()));
            assert_eq!(friend.link(), waiting.link());
            let mut joined = friend.next_peer().await.expect("who waited");
            let mut waited = waiting.next_peer().await.expect("who joined");
            joined.opened().await.expect("open");
            waited.opened().await.expect("open");
            assert_eq!(joined.verified(), Some(Verified::Code));
            assert_eq!(waited.verified(), Some(Verified::Code));
            friend.leave().await;
            while !matches!(waiting.next_event().await, Some(RoomEvent::PeerLeft(_))) {}
        }
    }
    let burned = waiting.next_event().await;
    assert!(
        matches!(burned, Some(RoomEvent::Closed(CloseReason::Burned))),
        "{burned:?}"
    );
}

#[tokio::test]
async fn an_open_room_is_not_verified_and_a_sealed_one_has_no_chosen_name() {
    let server = server().await;
    let mut options = RoomOptions::new(server.clone());
    options.name = Some("nest".parse().expect("a name"));
    let mut waiting = create_room(options.clone()).await.expect("a room");
    assert_eq!(waiting.code().as_deref(), Some("nest"));
    let mut joining = join_room("nest", RoomOptions::new(server))
        .await
        .expect("the room");
    let mut joined = joining.next_peer().await.expect("who waited");
    joined.opened().await.expect("open");
    let waited = waiting.next_peer().await.expect("who joined");
    assert_eq!((joined.verified(), waited.verified()), (None, None));
    options.open = Some(false);
    let refused = create_room(options.clone())
        .await
        .expect_err("a chosen name");
    assert_eq!(refused.code(), "no-code");
    options.open = None;
    options.name = Some("k7fq-9xqm-2p4t-x".parse().expect("a name"));
    let refused = create_room(options).await.expect_err("like a code");
    assert_eq!(refused.code(), "no-code");
}
