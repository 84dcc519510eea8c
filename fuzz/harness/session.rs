//! What must hold of a session, whatever comes from its peer's address or from a stranger's. Used by the fuzz target and by the tests of
//! the crate.
//!
//! Two sessions find each other in virtual time; the bytes say what becomes of each datagram between them: carried, lost, repeated, held
//! back, changed in places, cut off; and what a stranger sends of his own, from his address or under the name of the peer's. Nothing
//! panics, nothing keeps a session busy, and what comes out of one was put into the other.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crowfly_sctp::{self as sctp, ChannelId};
use is::{Candidate, Protocol};

use crate::session::{Certificate, Config, DtlsRole, Event, Output, Path, Remote, Session};

/// Beyond so many datagrams the wire drops.
const WIRE: usize = 300;
/// Outputs and timeouts at one instant, beyond which it spins.
const SPINS: usize = 5_000;
/// The first byte of messages sent, and their sizes' unit.
const MARK: u8 = 0xca;

/// Reads the bytes as a history and plays it; panics when a promise is broken.
pub(crate) fn play(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let settings = bytes.next().unwrap_or_default();
    let mut play = Play::new(settings);
    // Most histories begin where there is a connection to spoil.
    if settings & 3 != 0 {
        for _ in 0..40 {
            play.carry_all();
            play.pass(Duration::from_millis(5));
        }
    }
    while let Some(act) = bytes.next() {
        play.act(act, &mut bytes);
    }
    // Both come to rest.
    for _ in 0..30 {
        play.carry_all();
        play.pass(Duration::from_secs(1));
    }
    for _ in 0..20 {
        play.wires.iter_mut().for_each(VecDeque::clear);
        play.pass(Duration::from_secs(10));
    }
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, side as u8 + 1], 1000))
}

fn stranger() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 666))
}

/// Made once: keys take their time.
fn certificates() -> &'static [Certificate; 2] {
    static CERTIFICATES: OnceLock<[Certificate; 2]> = OnceLock::new();
    CERTIFICATES.get_or_init(|| [Certificate::generate(), Certificate::generate()])
}

struct Side {
    session: Session,
    wake: Option<Instant>,
    channels: Vec<ChannelId>,
}

struct Play {
    now: Instant,
    sides: [Side; 2],
    /// Datagrams to each side.
    wires: [VecDeque<Vec<u8>>; 2],
    /// The last datagrams to each side, to change and to send once more.
    seen: [VecDeque<Vec<u8>>; 2],
}

impl Play {
    fn new(settings: u8) -> Self {
        let now = Instant::now();
        let mut sides = [0, 1].map(|side: usize| Side {
            session: Session::new(Config {
                certificate: certificates()[side].clone(),
                controlling: side == 0,
                seed: [side as u8 + 1; 32],
            }),
            wake: Some(now),
            channels: Vec::new(),
        });
        let active = usize::from(settings & 4 != 0);
        for side in 0..2 {
            let own = Candidate::host(address(side), Protocol::Udp).expect("a host candidate");
            let text = sides[side].session.add_local_candidate(now, own);
            let (ours, init) = (&sides[side].session, sides[side].session.sctp_init());
            let (ufrag, pwd) = ours.credentials();
            let described = Remote {
                ufrag: ufrag.to_owned(),
                pwd: pwd.to_owned(),
                fingerprints: vec![ours.fingerprint()],
                // The other one's.
                role: if side == active {
                    DtlsRole::Server
                } else {
                    DtlsRole::Client
                },
                sctp_port: 5000,
                max_message_size: 262_144,
                sctp_init: (settings & 8 != 0).then_some(init),
            };
            let other = &mut sides[1 - side].session;
            other.set_remote(now, described);
            let theirs = Candidate::from_sdp_string(&text.expect("not redundant"));
            other.add_remote_candidate(now, theirs.expect("as it was written"));
        }
        let mut play = Self {
            now,
            sides,
            wires: Default::default(),
            seen: Default::default(),
        };
        (0..2).for_each(|side| play.drain(side));
        play
    }

    fn act(&mut self, act: u8, bytes: &mut impl Iterator<Item = u8>) {
        let side = usize::from(act & 1);
        let mut next = || bytes.next().unwrap_or_default();
        match act >> 1 & 15 {
            0 => self.pass(Duration::from_millis(u64::from(next()) * 4)),
            1 | 2 => self.carry_all(),
            3 => drop(self.wires[side].pop_front()),
            4 => {
                if let Some(datagram) = self.wires[side].pop_front() {
                    self.wires[side].push_back(datagram); // late
                }
            }
            5 => self.carry(side),
            6..=8 => {
                // On the way it is changed, and may go on as it was.
                let (from, keep) = (address(1 - side), next());
                let changed = self.wires[side].front().cloned();
                if keep & 1 == 0 {
                    self.wires[side].pop_front();
                }
                self.spoil(side, from, changed, keep >> 1, &mut next);
            }
            9 | 10 => {
                // What was said before is said again by somebody, changed.
                let (which, how) = (usize::from(next()), next());
                let count = self.seen[side].len().max(1);
                let datagram = self.seen[side].get(which % count).cloned();
                let from = if how & 1 == 0 {
                    stranger()
                } else {
                    address(1 - side)
                };
                self.spoil(side, from, datagram, how >> 1, &mut next);
            }
            11 | 12 => {
                let (how, length) = (next(), usize::from(next()));
                let from = if how & 1 == 0 {
                    stranger()
                } else {
                    address(1 - side)
                };
                let datagram: Vec<u8> = bytes.take(length).collect();
                self.feed(side, from, &datagram);
            }
            13 => self.open_and_send(side, next()),
            14 => self.pass(Duration::from_secs(u64::from(next() & 7))),
            _ => drop(self.sides[side].session.restart_ice(self.now)),
        }
        (0..2).for_each(|side| self.drain(side));
    }

    /// Changed in so many places, or cut off.
    fn spoil(
        &mut self,
        side: usize,
        from: SocketAddr,
        datagram: Option<Vec<u8>>,
        changes: u8,
        next: &mut impl FnMut() -> u8,
    ) {
        let Some(mut datagram) = datagram else { return };
        for _ in 0..changes & 3 {
            let (high, low, value) = (next(), next(), next());
            // The beginning, where headers are, more often than not.
            let place = usize::from(low) | usize::from(high & 3) << 8;
            match (high >> 6, datagram.get_mut(place)) {
                (0, Some(_)) => datagram.truncate(place),
                (1, Some(byte)) => *byte ^= 1 << (value & 7),
                (_, Some(byte)) => *byte = value,
                (_, None) => datagram.push(value),
            }
        }
        self.feed(side, from, &datagram);
    }

    fn open_and_send(&mut self, side: usize, size: u8) {
        let now = self.now;
        let Side {
            session, channels, ..
        } = &mut self.sides[side];
        let Some(association) = session.association() else {
            return;
        };
        if channels.len() < 4
            && let Ok(channel) = association.open(sctp::ChannelOptions::labeled("any"))
        {
            channels.push(channel);
        }
        if let Some(channel) = channels.first() {
            let message = vec![MARK; usize::from(size) * 40];
            let _ = association.send(now, *channel, sctp::Message::Binary(message.into()));
        }
    }

    fn carry_all(&mut self) {
        for _ in 0..4 * WIRE {
            let Some(side) = (0..2).find(|&side| !self.wires[side].is_empty()) else {
                return;
            };
            self.carry(side);
        }
    }

    fn carry(&mut self, side: usize) {
        if let Some(datagram) = self.wires[side].pop_front() {
            self.feed(side, address(1 - side), &datagram);
            self.seen[side].push_back(datagram);
            if self.seen[side].len() > 16 {
                self.seen[side].pop_front();
            }
        }
    }

    fn feed(&mut self, side: usize, remote: SocketAddr, datagram: &[u8]) {
        let path = Path {
            local: address(side),
            remote,
        };
        let session = &mut self.sides[side].session;
        session.handle_datagram(self.now, path, datagram);
        self.drain(side);
    }

    /// Lets time pass, from timeout to timeout.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        while let Some((wake, side)) = (0..2)
            .filter_map(|side| Some((self.sides[side].wake?, side)))
            .min()
            .filter(|(wake, _)| *wake <= until)
        {
            at_once = if wake > self.now { 0 } else { at_once + 1 };
            assert!(at_once < SPINS, "it wants to be woken at once for ever");
            self.now = wake.max(self.now);
            self.sides[side].session.handle_timeout(self.now);
            self.drain(side);
        }
        self.now = until;
    }

    fn drain(&mut self, side: usize) {
        let now = self.now;
        for _ in 0..SPINS {
            match self.sides[side].session.poll_output(now) {
                Output::Transmit => {
                    let transmit = self.sides[side].session.transmit();
                    assert_eq!(transmit.source, address(side));
                    let size = transmit.segment_size.unwrap_or(transmit.contents.len());
                    assert!(!transmit.contents.is_empty() && size <= 1500);
                    // To a stranger nothing goes but answers to his checks, and those are thrown away here.
                    if transmit.destination == address(1 - side) {
                        let wire = &mut self.wires[1 - side];
                        wire.extend(transmit.contents.chunks(size).map(<[u8]>::to_vec));
                        wire.truncate(WIRE);
                    }
                }
                Output::Event(event) => self.hear(side, event),
                Output::Timeout(wake) => {
                    self.sides[side].wake = wake;
                    let path = self.sides[side].session.path();
                    assert!(
                        path.is_none_or(|path| path.remote != stranger()),
                        "a path to a stranger"
                    );
                    return;
                }
            }
        }
        panic!("it never comes to an end");
    }

    fn hear(&mut self, side: usize, event: Event) {
        if let Event::Sctp(sctp::Event::Message { message, .. }) = event {
            let sctp::Message::Binary(data) = message else {
                panic!("no text was sent");
            };
            let whole = data.len() % 40 == 0 && data.iter().all(|byte| *byte == MARK);
            assert!(whole, "a message that nobody sent to side {side}");
        }
    }
}
