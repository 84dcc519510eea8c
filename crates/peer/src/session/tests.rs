//! Two sessions on a network in virtual time.

use is::Protocol;

use super::*;

/// Two sessions, and what is on its way between them.
struct Pair {
    now: Instant,
    delay: Duration,
    sides: [Session; 2],
    wire: VecDeque<(Instant, usize, Path, Vec<u8>)>,
    events: [Vec<Event>; 2],
    datagrams: usize,
    /// A stranger on the path who sends a changed copy of each datagram right behind it.
    tamper: Option<fastrand::Rng>,
}

const ADDRESSES: [&str; 2] = ["192.0.2.1:1000", "192.0.2.2:2000"];

fn address(side: usize) -> SocketAddr {
    ADDRESSES[side].parse().expect("an address")
}

fn remote(of: &Session, role: DtlsRole) -> Remote {
    let (ufrag, pwd) = of.credentials();
    Remote {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
        fingerprints: vec![of.fingerprint()],
        role,
        sctp_port: 5000,
        max_message_size: 262_144,
        sctp_init: None,
    }
}

impl Pair {
    /// Described to each other; `roles[i]` is the DTLS role of side i. Side 0 controls.
    fn new(roles: [DtlsRole; 2], delay: Duration) -> Self {
        let now = Instant::now();
        let side = |controlling| {
            Session::new(Config {
                certificate: Certificate::generate(),
                controlling,
                seed: [u8::from(controlling); 32],
            })
        };
        let mut sides = [side(true), side(false)];
        for side in 0..2 {
            let candidate =
                Candidate::host(address(side), Protocol::Udp).expect("a host candidate");
            let text = sides[side]
                .add_local_candidate(now, candidate)
                .expect("not redundant");
            let described = remote(&sides[side], roles[1 - side]);
            sides[1 - side].set_remote(now, described);
            let candidate = Candidate::from_sdp_string(&text).expect("our own candidate");
            sides[1 - side].add_remote_candidate(now, candidate);
        }
        Self {
            now,
            delay,
            sides,
            wire: VecDeque::new(),
            events: [Vec::new(), Vec::new()],
            datagrams: 0,
            tamper: None,
        }
    }

    /// Everything both sides have to say now; the next instant at which something happens.
    fn drain(&mut self) -> Instant {
        let mut next = self.now + Duration::from_secs(60);
        for side in 0..2 {
            loop {
                match self.sides[side].poll_output(self.now) {
                    Output::Transmit => {
                        let transmit = self.sides[side].transmit();
                        let path = Path {
                            local: transmit.destination,
                            remote: transmit.source,
                        };
                        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
                        for datagram in transmit.contents.chunks(size) {
                            self.datagrams += 1;
                            self.wire.push_back((
                                self.now + self.delay,
                                1 - side,
                                path,
                                datagram.to_vec(),
                            ));
                        }
                    }
                    Output::Event(event) => self.events[side].push(event),
                    Output::Timeout(at) => {
                        next = at.map_or(next, |at| next.min(at));
                        break;
                    }
                }
            }
        }
        self.wire.front().map_or(next, |(at, ..)| next.min(*at))
    }

    fn step(&mut self) {
        let next = self.drain();
        self.now = next.max(self.now);
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, side, path, datagram)) = self.wire.pop_front() else {
                return;
            };
            self.sides[side].handle_datagram(self.now, path, &datagram);
            if let Some(random) = &mut self.tamper {
                let copy = crate::mutate::bytes(random, &datagram);
                self.sides[side].handle_datagram(self.now, path, &copy);
            }
        }
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
    }

    /// Runs until both sides have said so, or for a minute.
    fn run_until(&mut self, done: impl Fn(&Event) -> bool) -> Duration {
        let start = self.now;
        while !self.events.iter().all(|events| events.iter().any(&done)) {
            assert!(
                self.now - start < Duration::from_secs(60),
                "not within a minute: {:?}",
                self.events
            );
            self.step();
        }
        self.now - start
    }
}

fn secured(event: &Event) -> bool {
    matches!(event, Event::Secured)
}

#[test]
fn both_roles_come_to_a_secure_connection() {
    use DtlsRole::{Client, Server};
    for roles in [[Client, Server], [Server, Client]] {
        let mut pair = Pair::new(roles, Duration::from_millis(50));
        let took = pair.run_until(secured);
        assert!(
            took <= Duration::from_millis(300),
            "{roles:?} took {took:?}"
        );
    }
}

#[test]
fn a_certificate_that_is_not_the_described_one_ends_it_in_both_roles() {
    use DtlsRole::{Client, Server};
    for victim in [0, 1] {
        for roles in [[Client, Server], [Server, Client]] {
            let mut pair = Pair::new(roles, Duration::ZERO);
            let stranger = vec![Fingerprint([7; 32])];
            if let Some(tunnel) = &mut pair.sides[victim].tunnel {
                tunnel.fingerprints_for_test(stranger.clone());
            }
            if let Some(remote) = &mut pair.sides[victim].remote {
                remote.fingerprints = stranger;
            }
            for _ in 0..200 {
                pair.step();
            }
            let refused =
                |event: &Event| matches!(event, Event::Failed(HandshakeError::WrongFingerprint));
            assert!(
                pair.events[victim].iter().any(refused),
                "{victim} {roles:?}"
            );
            assert!(
                !pair.events[victim].iter().any(secured),
                "{victim} {roles:?}"
            );
            assert!(pair.sides[victim].association.is_none());
        }
    }
}

#[test]
fn a_strangers_client_hello_is_not_heard() {
    let now = Instant::now();
    let mut pair = Pair::new([DtlsRole::Server, DtlsRole::Client], Duration::ZERO);
    // The attacker knows where side 0 listens and speaks first.
    let hello = {
        let mut stranger = Tunnel::new(&Certificate::generate(), DtlsRole::Client, Vec::new(), now);
        let mut record = vec![0; 2_000];
        let length = stranger.poll_record(&mut record).expect("a ClientHello");
        record.truncate(length);
        record
    };
    let path = Path {
        local: address(0),
        remote: "198.51.100.7:666".parse().expect("an address"),
    };
    pair.sides[0].handle_datagram(pair.now, path, &hello);
    pair.run_until(secured);
    assert!(
        !pair.events[0]
            .iter()
            .any(|event| matches!(event, Event::Failed(_)))
    );
}

#[test]
fn noise_from_the_peers_address_does_no_harm() {
    let mut pair = Pair::new(
        [DtlsRole::Client, DtlsRole::Server],
        Duration::from_millis(10),
    );
    let mut random = 1_u64;
    for round in 0..400 {
        for side in 0..2 {
            let path = Path {
                local: address(side),
                remote: address(1 - side),
            };
            let mut noise = vec![0; round % 90 + 1];
            for byte in &mut noise {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = (random >> 56) as u8;
            }
            noise[0] = [0, 1, 20, 21, 22, 23, 25, 44, 63][round % 9];
            pair.sides[side].handle_datagram(pair.now, path, &noise);
        }
        if round % 20 == 0 {
            pair.step();
        }
    }
    pair.run_until(secured);
}

#[test]
fn a_path_that_dies_is_noticed_within_thirty_seconds() {
    let mut pair = Pair::new(
        [DtlsRole::Client, DtlsRole::Server],
        Duration::from_millis(10),
    );
    pair.run_until(secured);
    pair.events = [Vec::new(), Vec::new()];
    let died = pair.now;
    while !pair
        .events
        .iter()
        .flatten()
        .any(|event| matches!(event, Event::Ice(IceState::Exhausted)))
    {
        pair.wire.clear();
        let next = pair.drain();
        pair.wire.clear();
        pair.now = next.max(pair.now);
        pair.sides
            .iter_mut()
            .for_each(|side| side.handle_timeout(pair.now));
        assert!(pair.now - died < Duration::from_secs(30));
    }
}

/// DTLS has no way to tell a changed record of a handshake from an honest one, so a stranger on the path may keep a connection from
/// coming about; but not crash it, nor pass for the peer.
#[test]
fn a_stranger_who_changes_the_handshake_ends_it_at_most() {
    use DtlsRole::{Client, Server};
    for seed in 0..40 {
        let roles = [[Client, Server], [Server, Client]][usize::from(seed % 2 == 0)];
        let mut pair = Pair::new(roles, Duration::from_millis(10));
        pair.tamper = Some(fastrand::Rng::with_seed(seed));
        for _ in 0..300 {
            pair.step();
        }
    }
}

#[test]
fn changed_copies_do_no_harm_once_the_connection_is_secure() {
    let mut pair = Pair::new(
        [DtlsRole::Client, DtlsRole::Server],
        Duration::from_millis(10),
    );
    pair.run_until(secured);
    pair.tamper = Some(fastrand::Rng::with_seed(7));
    let association = pair.sides[0].association.as_mut().expect("it is secure");
    let channel = association
        .open(sctp::ChannelOptions::labeled("caws".to_owned()))
        .expect("a channel");
    let opened = |event: &Event| matches!(event, Event::Sctp(sctp::Event::ChannelOpened { .. }));
    pair.run_until(opened);
    let sent: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
    let association = pair.sides[0].association.as_mut().expect("it is secure");
    association
        .send(
            pair.now,
            channel,
            sctp::Message::Binary(sent.clone().into()),
        )
        .expect("there is room");
    let arrived = |event: &Event| matches!(event, Event::Sctp(sctp::Event::Message { message: sctp::Message::Binary(data), .. }) if **data == sent[..]);
    let limit = pair.now + Duration::from_secs(60);
    while !pair.events[1].iter().any(arrived) {
        assert!(pair.now < limit, "{:?}", pair.events);
        pair.step();
    }
    let failed = |event: &Event| matches!(event, Event::Failed(_) | Event::ClosedByPeer);
    assert!(!pair.events.iter().flatten().any(failed));
}

/// RFC 8445 §7.3: a check without the right message integrity changes nothing, and is not answered with anything a path is made of.
#[test]
fn a_strangers_check_makes_no_path() {
    let mut pair = Pair::new(
        [DtlsRole::Client, DtlsRole::Server],
        Duration::from_millis(10),
    );
    // The checks of two others, who know each other's passwords and not ours.
    let mut others = Pair::new(
        [DtlsRole::Client, DtlsRole::Server],
        Duration::from_millis(10),
    );
    others.drain();
    let stranger = "198.51.100.7:666".parse().expect("an address");
    for (.., check) in &others.wire {
        let path = Path {
            local: address(0),
            remote: stranger,
        };
        pair.sides[0].handle_datagram(pair.now, path, check);
    }
    assert!(!others.wire.is_empty());
    pair.run_until(secured);
    assert!((0..2).all(|side| {
        pair.sides[side]
            .path
            .is_some_and(|path| path.remote != stranger)
    }));
    assert!(!pair.sides[0].is_validated(stranger));
}

/// What the fuzz target runs, with bytes of no other meaning than chance gives them.
#[test]
fn no_history_of_datagrams_breaks_a_promise() {
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..random.usize(0..400)).map(|_| random.u8(..)).collect();
        play::play(&bytes);
    }
}
