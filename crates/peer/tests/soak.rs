//! Hours in small: mixed traffic, channels that come and go, whole connections that come and go; memory stays flat and no descriptor is
//! left behind.
//!
//! `CROWFLY_LONG=1` makes it half an hour of real time, a little at a time, and prints what it measured each minute.

use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crowfly_peer::manual::{self, Options};
use crowfly_peer::{
    Channel, ChannelOptions, Message, Peer, PeerEvent, RoomOptions, create_room, join_room,
};

mod support;

/// What the process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    /// Bytes.
    resident: u64,
}

impl Held {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("Linux says");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes
            .and_then(|text| text.parse().ok())
            .expect("a size");
        Self {
            descriptors: fs::read_dir("/proc/self/fd").expect("Linux says").count(),
            resident: kibibytes * 1024,
        }
    }
}

#[tokio::test]
async fn mixed_traffic_leaves_nothing_behind() {
    let long = std::env::var_os("CROWFLY_LONG").is_some();
    // The growth in bytes is what an allocator may keep, and less than a leak in each round would come to.
    let (whole, pace, warm_after, growth) = if long {
        let half = Duration::from_secs(15 * 60);
        (2 * half, Duration::from_millis(500), half, 2 << 20)
    } else {
        let whole = Duration::from_secs(15);
        (whole, Duration::from_millis(25), whole / 5, 4 << 20)
    };
    let server = format!("http://{}", support::start().await);
    let options = || RoomOptions::new(server.parse().expect("an address"));
    let mut waiting = create_room(options()).await.expect("a room");
    let mut joining = join_room(&waiting.link(), options()).await.expect("it");
    let mut here = joining.next_peer().await.expect("who waited");
    let mut there = waiting.next_peer().await.expect("who joined");
    here.opened().await.expect("open");
    there.opened().await.expect("open");

    fill_traces(&here, &mut there).await;
    let began = Instant::now();
    let mut turn = tokio::time::interval(pace);
    let (mut warm, mut said, mut rounds) = (None, Duration::ZERO, 0_u32);
    while began.elapsed() < whole {
        turn.tick().await;
        rounds += 1;
        talk(&here, &mut there, rounds).await;
        talk(&there, &mut here, rounds).await;
        bulk(&here, &mut there).await;
        if rounds.is_multiple_of(10) {
            come_and_go().await;
        }
        let held = Held::now();
        if began.elapsed() > warm_after {
            let warm = *warm.get_or_insert(held);
            assert_eq!(held.descriptors, warm.descriptors, "after {rounds} rounds");
        }
        if long && began.elapsed() > said {
            said += Duration::from_secs(60);
            let _ = writeln!(io::stderr(), "{:?} {rounds} {held:?}", began.elapsed());
        }
    }
    let (warm, held) = (warm.expect("time enough"), Held::now());
    let grown = held.resident.saturating_sub(warm.resident);
    let _ = writeln!(io::stderr(), "{rounds} rounds: {warm:?}, then {held:?}");
    assert!(grown < growth, "{grown} bytes in {rounds} rounds");
}

/// A trace keeps its last ten thousand records: what it takes until then is no leak.
async fn fill_traces(from: &Peer, to: &mut Peer) {
    let full = |trace: String| !trace.contains(r#""dropped":0"#);
    while !(full(from.trace().await) && full(to.trace().await)) {
        for _ in 0..250 {
            let ours = from.open_channel(ChannelOptions::new("fill")).await;
            let mut theirs = channel(to).await;
            let closing = tokio::spawn(ours.expect("a channel").close());
            assert_eq!(theirs.recv().await, None);
            closing.await.expect("closed");
        }
    }
}

async fn channel(peer: &mut Peer) -> Channel {
    loop {
        if let PeerEvent::Channel(channel) = peer.next_event().await.expect("it goes on") {
            return channel;
        }
    }
}

/// A line, a blob and a long text on the main channel.
async fn talk(from: &Peer, to: &mut Peer, number: u32) {
    let blob = Message::Blob {
        name: Some("crow.png".to_owned()),
        media_type: "image/png".to_owned(),
        data: vec![number as u8; 100_000].into(),
    };
    let messages = [
        Message::from(format!("line {number}")),
        blob,
        Message::from("k".repeat(200_000)),
    ];
    for message in messages {
        from.send(message.clone()).await.expect("sent");
        assert!(heard(to).await == message);
    }
}

async fn heard(peer: &mut Peer) -> Message {
    loop {
        match peer.next_event().await.expect("it goes on") {
            PeerEvent::Message(message) => return message,
            PeerEvent::Closed(reason) => panic!("closed: {reason:?}"),
            _ => {}
        }
    }
}

/// A channel, a megabyte through it, and its end.
async fn bulk(from: &Peer, to: &mut Peer) {
    let ours = from.open_channel(ChannelOptions::new("bulk").unordered());
    let ours = ours.await.expect("a channel");
    let mut theirs = channel(to).await;
    for number in 0..16_u8 {
        ours.send(vec![number; 64 * 1024]).await.expect("sent");
    }
    for _ in 0..16 {
        assert_eq!(theirs.recv().await.expect("all of it").len(), 64 * 1024);
    }
    let closing = tokio::spawn(ours.close());
    assert_eq!(theirs.recv().await, None);
    drop(theirs);
    closing.await.expect("closed");
}

/// Two more, who meet, talk and part.
async fn come_and_go() {
    let (offer, offered) = manual::offer(Options::default()).await.expect("an offer");
    let (answer, mut there) = manual::answer(&offer, Options::default())
        .await
        .expect("an answer");
    let mut here = offered.answered(&answer).expect("an answer");
    here.peer.opened().await.expect("open");
    there.peer.opened().await.expect("open");
    talk(&here.peer, &mut there.peer, 1).await;
    here.leave().await;
    there.leave().await;
}
