//! Two native peers with real sockets and a bad path between them: everything arrives, equal, and nothing stands still.
//!
//! `CROWFLY_LONG=1` makes the outage twenty seconds and the transfers larger.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crowfly_peer::manual::{self, Connection, Options};
use crowfly_peer::{Channel, ChannelOptions, Liveness, Peer, PeerEvent};
use crowfly_sim::{Impairer, Link, Loss, seed};

/// Bytes of a message.
const MESSAGE: usize = 60_001;
/// What takes longer than this stands still; the outage is within it.
const PATIENCE: Duration = Duration::from_secs(45);

fn is_long() -> bool {
    std::env::var_os("CROWFLY_LONG").is_some()
}

/// Messages each way.
fn count() -> usize {
    if is_long() { 1_500 } else { 60 }
}

/// Two who are connected by an impairer.
struct Pair {
    impairer: Impairer,
    here: Connection,
    there: Connection,
}

impl Pair {
    async fn over(link: Link) -> Self {
        let seed = seed(fastrand::u64(..));
        // Printed where the test fails.
        let _ = writeln!(io::stderr(), "CROWFLY_SEED={seed}");
        let (offer, offered) = manual::offer(Options::default()).await.expect("an offer");
        let (offer, first) = without_candidates(&offer);
        let (answer, mut there) = manual::answer(&offer, Options::default())
            .await
            .expect("an answer");
        let (answer, second) = without_candidates(&answer);
        let links = [link.clone(), link];
        let impairer = Impairer::between([first, second], links, seed).expect("two sockets");
        let [_, second] = impairer.stand_ins();
        let answer = with_candidate(&answer, second);
        let mut here = offered.answered(&answer).expect("an answer");
        here.peer.opened().await.expect("a connection");
        there.peer.opened().await.expect("a connection");
        Self {
            impairer,
            here,
            there,
        }
    }

    fn become_like(&self, link: &Link) {
        self.impairer.become_like([link.clone(), link.clone()]);
    }

    /// A channel, as both sides have it.
    async fn channel(&mut self) -> [Channel; 2] {
        let options = ChannelOptions::new("bulk");
        let ours = self.here.peer.open_channel(options).await;
        let ours = ours.expect("a channel");
        loop {
            match self.there.peer.next_event().await {
                Some(PeerEvent::Channel(theirs)) => return [ours, theirs],
                Some(PeerEvent::Closed(reason)) => panic!("closed: {reason:?}"),
                Some(_) => {}
                None => panic!("it ended"),
            }
        }
    }
}

/// A description that says nothing of where its writer is, and where that is.
fn without_candidates(description: &str) -> (String, SocketAddr) {
    let (lines, candidates): (Vec<&str>, Vec<&str>) = description
        .split_inclusive("\\r\\n")
        .partition(|line| !line.starts_with("a=candidate:"));
    let address = candidates.iter().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let ip = words.get(4)?.parse().ok()?;
        Some(SocketAddr::new(ip, words.get(5)?.parse().ok()?)).filter(SocketAddr::is_ipv4)
    });
    (lines.concat(), address.expect("an IPv4 candidate"))
}

fn with_candidate(description: &str, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let candidate =
        format!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host\\r\\na=ice-ufrag:");
    description.replacen("a=ice-ufrag:", &candidate, 1)
}

fn bytes(number: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number as u64);
    (0..MESSAGE).map(|_| random.u8(..)).collect()
}

/// Sends so many messages on one end and hears them on the other; the longest time in which nothing came.
async fn transfer([sends, mut hears]: [Channel; 2], count: usize) -> Duration {
    let sending = tokio::spawn(async move {
        for number in 0..count {
            sends.send(bytes(number)).await.expect("sent");
        }
        sends
    });
    let mut longest = Duration::ZERO;
    for number in 0..count {
        let began = Instant::now();
        let message = tokio::time::timeout(PATIENCE, hears.recv()).await;
        let message = message.unwrap_or_else(|_| panic!("it stands still at {number} of {count}"));
        assert!(
            message == Some(bytes(number).into()),
            "message {number} is another"
        );
        longest = longest.max(began.elapsed());
    }
    // Not closed before all of it is there.
    drop(sending.await);
    longest
}

/// Both ways at once.
async fn transfers(pair: &mut Pair, count: usize) {
    let there = pair.channel().await;
    let mut back = pair.channel().await;
    back.reverse();
    tokio::join!(transfer(there, count), transfer(back, count));
}

fn bad() -> Link {
    Link::new()
        .delay(Duration::from_millis(20))
        .loss(Loss::Random(0.1))
        .reorder(0.25, Duration::from_millis(15))
        .duplicate(0.02)
}

#[tokio::test]
async fn what_is_lost_late_doubled_and_damaged_arrives_equal() {
    let mut pair = Pair::over(bad()).await;
    // Not before the connection is secure: UDP's checksum spares a handshake that, which DTLS could not tell from an attack.
    pair.become_like(&bad().corrupt(0.01));
    transfers(&mut pair, count()).await;
    for stats in pair.impairer.stats() {
        assert!(stats.lost > stats.offered / 20, "{stats:?}");
        assert!(stats.held > stats.offered / 10, "{stats:?}");
        assert!(stats.duplicated > 0 && stats.corrupted > 0, "{stats:?}");
    }
}

/// 1,280 bytes less the headers of IPv6 and UDP, and what is longer vanishes without a word: packets stay small, nothing waits.
#[tokio::test]
async fn a_path_of_1280_bytes_is_no_hindrance() {
    let mut pair = Pair::over(
        Link::new()
            .delay(Duration::from_millis(10))
            .mtu(1_280 - 40 - 8),
    )
    .await;
    transfers(&mut pair, count()).await;
    for stats in pair.impairer.stats() {
        assert!(stats.too_long > 0, "larger packets are tried: {stats:?}");
        assert!(stats.too_long < 50, "and given up: {stats:?}");
        assert_eq!(stats.lost, 0);
    }
}

/// Silence is said within seconds; what was sent before and meanwhile arrives when the path is back.
#[tokio::test]
async fn an_outage_is_said_and_survived() {
    let outage = Duration::from_secs(if is_long() { 20 } else { 5 });
    let clean = Link::new().delay(Duration::from_millis(10));
    let mut pair = Pair::over(clean.clone()).await;
    let channel = pair.channel().await;
    pair.become_like(&clean.outage(Duration::ZERO, outage));
    let began = Instant::now();
    let transfer = tokio::spawn(transfer(channel, count()));
    for connection in [&mut pair.here, &mut pair.there] {
        until(&mut connection.peer, Liveness::Silent).await;
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    for connection in [&mut pair.here, &mut pair.there] {
        until(&mut connection.peer, Liveness::Alive).await;
    }
    assert!(began.elapsed() >= outage, "not before the path is back");
    transfer.await.expect("all of it");
    for stats in pair.impairer.stats() {
        assert!(stats.lost > 10, "{stats:?}");
    }
}

/// A path that is gone for good ends the connection, within thirty seconds (RFC 7675 §5.1).
#[tokio::test]
async fn a_path_that_does_not_come_back_is_the_end() {
    let mut pair = Pair::over(Link::new()).await;
    pair.become_like(&Link::new().loss(Loss::All));
    let began = Instant::now();
    let ends = [&mut pair.here, &mut pair.there].map(|connection| async {
        until(&mut connection.peer, Liveness::Silent).await;
        assert!(began.elapsed() < Duration::from_secs(10));
        loop {
            if let Some(PeerEvent::Closed(reason)) = connection.peer.next_event().await {
                return reason;
            }
        }
    });
    let [here, there] = ends;
    let reasons = tokio::join!(here, there);
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(
        (reasons.0.as_str(), reasons.1.as_str()),
        ("vanished", "vanished")
    );
}

async fn until(peer: &mut Peer, wanted: Liveness) {
    while peer.states().liveness != wanted {
        match peer.next_event().await {
            Some(PeerEvent::Closed(reason)) => panic!("closed: {reason:?}"),
            Some(_) => {}
            None => panic!("it ended"),
        }
    }
}
