//! Two pairings on a network and a server in virtual time.

mod lost_signals;

use std::collections::VecDeque;

use super::*;
use crate::description::Kind as Sort;

const ADDRESSES: [&str; 2] = ["192.0.2.1:1000", "192.0.2.2:2000"];

fn address(side: usize) -> SocketAddr {
    ADDRESSES[side].parse().expect("an address")
}

/// What is on its way.
enum Carried {
    Datagram(Path, Vec<u8>),
    Signal(String),
}

/// Side 0 is PEER1.
struct Pair {
    now: Instant,
    /// One way, of datagrams and of the server.
    delay: Duration,
    sides: [Pairing; 2],
    wire: VecDeque<(Instant, usize, Carried)>,
    events: [Vec<Event>; 2],
    /// Whether datagrams arrive, and signals.
    network: bool,
    server: bool,
    /// When PEER2 had the offer.
    offered: Option<Instant>,
    /// When the channel was open.
    opened: [Option<Instant>; 2],
    /// Every description is changed on its way.
    spoil: fn(String) -> String,
}

impl Pair {
    fn new(delay: Duration) -> Self {
        let now = Instant::now();
        let side = |role, byte| {
            let config = Config {
                role,
                session: SessionId::from_bytes([9; 16]),
                label: "crowfly".to_owned(),
                certificate: Certificate::generate(),
                seed: [byte; 32],
                began: SystemTime::UNIX_EPOCH,
                trickle: true,
            };
            Pairing::new(now, config)
        };
        let sides = [side(Role::Peer1, 1), side(Role::Peer2, 2)];
        let (wire, events) = (VecDeque::new(), [Vec::new(), Vec::new()]);
        let spoil = |text| text;
        let mut pair = Self {
            now,
            delay,
            sides,
            wire,
            events,
            network: true,
            server: true,
            offered: None,
            opened: [None; 2],
            spoil,
        };
        for (index, side) in pair.sides.iter_mut().enumerate() {
            let host = is::Candidate::host(address(index), "udp").expect("a host candidate");
            side.add_local_candidate(now, host);
            side.gathering_complete(now);
            side.set_online(now, true);
        }
        pair
    }

    fn drain(&mut self) -> Option<Instant> {
        let mut next = self.wire.front().map(|(at, ..)| *at);
        for side in 0..2 {
            loop {
                let arrival = self.now + self.delay;
                match self.sides[side].poll_output(self.now) {
                    Output::Transmit => {
                        let transmit = self.sides[side].transmit();
                        let path = Path {
                            local: transmit.destination,
                            remote: transmit.source,
                        };
                        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
                        for datagram in transmit.contents.chunks(size).filter(|_| self.network) {
                            let carried = Carried::Datagram(path, datagram.to_vec());
                            self.wire.push_back((arrival, 1 - side, carried));
                        }
                    }
                    Output::Signal(payload) => {
                        if self.server {
                            let text = (self.spoil)(payload.write().get().to_owned());
                            self.wire
                                .push_back((arrival, 1 - side, Carried::Signal(text)));
                        }
                    }
                    Output::Resolve(_) => {}
                    Output::Event(event) => {
                        if is_open(&event) {
                            self.opened[side] = Some(self.now);
                        }
                        self.events[side].push(event);
                    }
                    Output::Timeout(at) => {
                        next = [next, at, self.wire.front().map(|(at, ..)| *at)]
                            .into_iter()
                            .flatten()
                            .min();
                        break;
                    }
                }
            }
        }
        next
    }

    /// Goes on to the next thing that happens; `false` when nothing ever will.
    fn step(&mut self) -> bool {
        let Some(next) = self.drain() else {
            return false;
        };
        self.now = next.max(self.now);
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, side, carried)) = self.wire.pop_front() else {
                break;
            };
            match carried {
                Carried::Datagram(path, datagram) => {
                    self.sides[side].handle_datagram(self.now, path.local, path.remote, &datagram);
                }
                Carried::Signal(text) => {
                    if side == 1 && text.contains("\"offer\"") {
                        self.offered.get_or_insert(self.now);
                    }
                    self.sides[side].receive(self.now, &text);
                }
            }
        }
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
        true
    }

    /// Until something is so, or two minutes have passed.
    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let limit = self.now + Duration::from_secs(120);
        while !done(self) {
            assert!(
                (self.step() || done(self)) && self.now < limit,
                "it never came: {:?}",
                self.events
            );
        }
    }

    fn has(&self, side: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events[side].iter().any(wanted)
    }

    fn open(delay: Duration) -> Self {
        let mut pair = Self::new(delay);
        pair.run_until(|pair| (0..2).all(|side| pair.has(side, is_open)));
        pair
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until && self.step() {}
    }
}

fn is_open(event: &Event) -> bool {
    matches!(event, Event::Open)
}

fn ended(reason: EndReason) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Ended(ended) if *ended == reason)
}

/// From the offer received on: half a trip for the answer and for a check, which cross, and half for the check's answer; DTLS 1.3 takes
/// one and a half; SCTP none (SNAP); the channel's OPEN half a trip.
#[test]
fn three_trips_from_the_offer_to_an_open_channel() {
    let trip = Duration::from_millis(100);
    let pair = Pair::open(trip / 2);
    let offered = pair.offered.expect("an offer came");
    let took = pair
        .opened
        .map(|at| at.expect("both are open").duration_since(offered));
    assert_eq!(took, [trip * 5 / 2, trip * 3]);
}

#[test]
fn messages_of_any_size_arrive_whole_and_in_order() {
    let mut pair = Pair::open(Duration::from_millis(5));
    let sent: Vec<Message> = (0..20)
        .map(|size| Message::from("x".repeat(size * size * 1_000)))
        .collect();
    for message in &sent {
        pair.sides[0].send(pair.now, message.clone());
    }
    let count = sent.len();
    pair.run_until(|pair| {
        pair.events[1]
            .iter()
            .filter(|event| matches!(event, Event::Message(_)))
            .count()
            == count
    });
    let received = pair.events[1].iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.clone()),
        _ => None,
    });
    assert_eq!(received.collect::<Vec<_>>(), sent);
}

#[test]
fn a_goodbye_comes_behind_what_was_sent_before() {
    let mut pair = Pair::open(Duration::from_millis(20));
    pair.sides[1].send(pair.now, Message::from("last words"));
    pair.sides[1].goodbye(pair.now);
    pair.run_until(|pair| pair.has(0, ended(EndReason::Goodbye)));
    assert!(pair.has(
        0,
        |event| matches!(event, Event::Message(Message::Text(text)) if text == "last words")
    ));
}

#[test]
fn a_goodbye_waits_for_what_is_still_in_the_queue() {
    let mut pair = Pair::open(Duration::from_millis(20));
    let options = ChannelOptions::labeled("beside".to_owned());
    let beside = pair.sides[1].open_channel(pair.now, options).expect("open");
    let film = Message::from(vec![7; 3 << 20]);
    pair.sides[1].send(pair.now, film.clone());
    for _ in 0..8 {
        let message = Message::from(vec![8; 250_000]);
        pair.sides[1].send_on(pair.now, beside, message);
    }
    pair.sides[1].goodbye(pair.now);
    assert!(!pair.sides[1].is_drained());
    pair.run_until(|pair| pair.has(0, ended(EndReason::Goodbye)));
    assert!(pair.has(
        0,
        |event| matches!(event, Event::Message(message) if *message == film)
    ));
    let beside = |event: &&Event| matches!(event, Event::ChannelMessage { .. });
    assert_eq!(pair.events[0].iter().filter(beside).count(), 8);
    pair.run_until(|pair| pair.wire.is_empty());
    assert!(pair.sides[1].is_drained());
}

#[test]
fn nothing_is_sent_to_who_has_left() {
    let mut pair = Pair::open(Duration::from_millis(5));
    pair.sides[1].goodbye(pair.now);
    pair.run_until(|pair| pair.has(0, ended(EndReason::Goodbye)));
    pair.sides[1].end(pair.now, EndReason::Leave);
    while !pair.wire.is_empty() {
        pair.step();
    }
    assert_eq!(pair.drain(), None, "no timer is left");
}

#[test]
fn silence_ends_it_within_thirty_seconds_and_sooner_without_the_server() {
    let mut pair = Pair::open(Duration::from_millis(5));
    let died = pair.now;
    pair.network = false;
    pair.run_until(|pair| pair.has(0, ended(EndReason::Vanished)));
    assert!(pair.now - died < Duration::from_secs(30));

    let mut pair = Pair::open(Duration::from_millis(5));
    let died = pair.now;
    (pair.network, pair.server) = (false, false);
    pair.sides[0].set_presence(pair.now, Presence::Offline);
    pair.run_until(|pair| pair.has(0, ended(EndReason::Vanished)));
    assert!(pair.now - died < Duration::from_secs(5));
}

#[test]
fn a_network_that_comes_back_within_twenty_seconds_is_forgiven() {
    let mut pair = Pair::open(Duration::from_millis(5));
    pair.network = false;
    pair.sides[0].send(pair.now, Message::from("through the gap"));
    pair.run_for(Duration::from_secs(20));
    pair.network = true;
    pair.run_until(|pair| pair.has(1, |event| matches!(event, Event::Message(_))));
    pair.run_for(Duration::from_secs(30));
    assert!((0..2).all(|side| pair.sides[side].is_live()));
}

#[test]
fn another_path_is_sought_where_the_server_says_that_nothing_is_heard() {
    let mut pair = Pair::open(Duration::from_millis(5));
    pair.network = false;
    let restarted = |pair: &Pair| pair.sides[0].trace().to_json_lines().contains("restartIce");
    pair.run_until(restarted);
    pair.network = true;
    pair.run_until(|pair| (0..2).all(|side| pair.sides[side].is_live()));
    pair.sides[1].send(pair.now, Message::from("on the new path"));
    pair.run_until(|pair| pair.has(0, |event| matches!(event, Event::Message(_))));
}

#[test]
fn a_swapped_fingerprint_ends_it_before_a_byte_is_heard() {
    for victim in [Sort::Offer, Sort::Answer] {
        let mut pair = Pair::new(Duration::from_millis(5));
        pair.spoil = match victim {
            Sort::Offer => |text| swap(text, "offer"),
            Sort::Answer => |text| swap(text, "answer"),
        };
        pair.run_until(|pair| (0..2).any(|side| pair.has(side, ended(EndReason::Failed))));
        assert!((0..2).all(|side| !pair.has(side, is_open)), "{victim:?}");
    }
}

/// Puts another certificate's fingerprint into a description of this kind.
fn swap(text: String, kind: &str) -> String {
    if !text.contains(&format!("\"{kind}\"")) {
        return text;
    }
    let Some((head, tail)) = text.split_once("sha-256 ") else {
        return text;
    };
    let stranger = crate::description::Fingerprint([7; 32]).to_string();
    format!("{head}sha-256 {stranger}{}", &tail[stranger.len()..])
}

#[test]
fn no_offer_and_no_path_have_an_end() {
    let mut pair = Pair::new(Duration::from_millis(5));
    pair.server = false;
    pair.run_until(|pair| pair.has(1, ended(EndReason::NoOffer)));

    let mut pair = Pair::new(Duration::from_millis(5));
    pair.network = false;
    pair.run_until(|pair| (0..2).all(|side| pair.has(side, ended(EndReason::Failed))));
    assert!(pair.has(0, |event| matches!(
        event,
        Event::Problem(PeerError::NoPath)
    )));
}

#[test]
fn what_is_out_of_turn_is_refused_and_changes_nothing() {
    let mut pair = Pair::open(Duration::from_millis(5));
    let offer = Payload::Description {
        kind: Sort::Offer,
        sdp: "v=0".to_owned(),
    };
    pair.sides[0].receive(pair.now, offer.write().get());
    pair.sides[0].receive(pair.now, r#"{"kind":"weather"}"#);
    pair.sides[0].receive(pair.now, "not even JSON");
    let answer = Payload::Description {
        kind: Sort::Answer,
        sdp: "v=0".to_owned(),
    };
    pair.sides[1].receive(pair.now, answer.write().get());
    pair.run_for(Duration::from_secs(20));
    assert!((0..2).all(|side| pair.sides[side].is_live()));
    let trace = pair.sides[0].trace().to_json_lines();
    for code in ["rejected-description", "unknown-kind", "malformed-payload"] {
        assert!(trace.contains(code), "{code}");
    }
    assert!(
        pair.sides[1]
            .trace()
            .to_json_lines()
            .contains("unexpected-answer")
    );
}

const CANDIDATES: [&str; 4] = [
    "candidate:1 1 udp 2130706431 198.51.100.1 50001 typ host",
    "candidate:2 1 udp 2130706430 198.51.100.2 50002 typ host",
    "candidate:3 1 udp 2130706429 198.51.100.3 50003 typ host",
    "candidate:4 1 udp 1694498815 198.51.100.4 50004 typ srflx raddr 0.0.0.0 rport 0",
];

fn candidate(text: &str) -> String {
    format!(
        r#"{{"kind":"candidate","candidate":{{"candidate":"{text}","sdpMid":"0","sdpMLineIndex":0}}}}"#
    )
}

/// The answer to this side's offer, without a candidate in it, and who gave it.
fn answered(pair: &mut Pair) -> String {
    pair.drain();
    let offer = pair
        .wire
        .iter()
        .find_map(|(_, side, carried)| match carried {
            Carried::Signal(text) if *side == 1 && text.contains("\"offer\"") => Some(text.clone()),
            _ => None,
        });
    pair.wire.clear();
    pair.sides[1].receive(pair.now, &offer.expect("an offer was sent"));
    pair.drain();
    let answer = pair
        .wire
        .iter()
        .find_map(|(_, side, carried)| match carried {
            Carried::Signal(text) if *side == 0 && text.contains("\"answer\"") => {
                Some(text.clone())
            }
            _ => None,
        });
    let answer = answer.expect("an answer was sent");
    pair.wire.clear();
    let Ok(Payload::Description { kind, sdp }) = Payload::read(&answer) else {
        panic!("not a description: {answer}");
    };
    let lines = sdp.lines().filter(|line| !line.starts_with("a=candidate"));
    let sdp = lines.map(|line| format!("{line}\r\n")).collect();
    Payload::Description { kind, sdp }.write().get().to_owned()
}

#[test]
fn candidates_and_answer_may_come_in_any_order_and_each_is_added_once() {
    for order in 0..120 {
        let mut pair = Pair::new(Duration::from_millis(5));
        let mut signals = vec![answered(&mut pair)];
        signals.extend(CANDIDATES.iter().map(|text| candidate(text)));
        // Each of the 5! orders, by its number in the factorial system.
        let (mut rest, mut arrived) = (order, Vec::new());
        for left in (1..=signals.len()).rev() {
            arrived.push(signals.remove(rest % left));
            rest /= left;
        }
        for signal in &arrived {
            pair.sides[0].receive(pair.now, signal);
            pair.sides[0].receive(pair.now, signal);
        }
        let trace = pair.sides[0].trace().to_json_lines();
        let described = trace.find("setRemoteDescription").expect("an answer");
        let added: Vec<usize> = CANDIDATES
            .iter()
            .map(|text| {
                let record = format!("\"name\":\"addIceCandidate\",\"ms\":0.0,\"detail\":{{\"candidate\":\"{text}\"}}");
                assert_eq!(trace.matches(&record).count(), 1, "order {order}: {text}");
                trace.find(&record).unwrap_or_default()
            })
            .collect();
        assert!(added.iter().all(|at| *at > described), "order {order}");
        assert!(pair.sides[0].negotiation.is_described() && trace.contains("repeated-answer"));
    }
}

#[test]
fn a_flood_of_what_is_refused_is_not_answered_by_a_flood() {
    let mut pair = Pair::open(Duration::from_millis(5));
    let bad: Vec<String> = (0..100)
        .map(|number| format!(r#"{{"candidate":"candidate:{number} nonsense"}}"#))
        .collect();
    let batch = format!(
        r#"{{"kind":"candidates","candidates":[{}]}}"#,
        bad.join(",")
    );
    let mut answers = 0;
    for _ in 0..50 {
        pair.sides[0].receive(pair.now, &batch);
        pair.sides[0].receive(pair.now, r#"{"kind":"weather"}"#);
    }
    while let Output::Signal(_) = pair.sides[0].poll_output(pair.now) {
        answers += 1;
    }
    assert_eq!(answers, 100);
    assert!(pair.sides[0].is_live());
}

#[test]
fn no_more_candidates_and_names_are_kept_than_an_honest_peer_has() {
    let mut pair = Pair::open(Duration::from_millis(5));
    let mut look_ups = 0;
    for number in 0..2_000 {
        let address = if number % 2 == 0 {
            format!("{number}.local")
        } else {
            format!("10.0.{}.{}", number / 250, number % 250)
        };
        let text = format!("candidate:{number} 1 udp 1 {address} 50000 typ host");
        pair.sides[0].receive(pair.now, &candidate(&text));
        while let Some(queued) = pair.sides[0].outputs.pop_front() {
            look_ups += usize::from(matches!(queued, Queued::Resolve(_)));
        }
    }
    assert!((1..=8).contains(&look_ups), "{look_ups}");
    assert!(
        pair.sides[0]
            .trace()
            .to_json_lines()
            .contains("candidate-too-many")
    );
    pair.run_for(Duration::from_secs(5));
    assert!((0..2).all(|side| pair.sides[side].is_live()));
}

/// Frames of the main channel that nobody honest sends: named a hundred times, then it is over.
#[test]
fn a_side_that_breaks_the_framing_is_not_listened_to_for_ever() {
    let mut pair = Pair::open(Duration::from_millis(5));
    let main = pair.sides[1]
        .main
        .as_ref()
        .map(MainChannel::id)
        .expect("it is open");
    for _ in 0..200 {
        let association = pair.sides[1].session.association().expect("it is open");
        let nonsense = sctp::Message::Binary(vec![0x0f; 5].into());
        association
            .send(pair.now, main, nonsense)
            .expect("there is room");
    }
    pair.run_until(|pair| pair.has(0, ended(EndReason::Failed)));
    let named = |event: &&Event| matches!(event, Event::Problem(PeerError::Violation { .. }));
    assert_eq!(pair.events[0].iter().filter(named).count(), 100);
}
