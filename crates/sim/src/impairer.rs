//! A stretch of wire between two real UDP sockets: the same links as in virtual time, on the clock of the wall.
//!
//! Each side is told the impairer's address instead of the other's. It says of itself what it did ([`LinkStats`]), so that a test of
//! loss can prove that there was loss.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::link::{Link, LinkState, LinkStats, Nanos, nanos};

/// What waits in a socket for its turn: bursts of a fast path must not be lost where nobody sees it.
const SOCKET_BUFFER: usize = 4 << 20;
/// How soon the end is noticed where nothing happens.
const GLANCE: Duration = Duration::from_millis(50);
/// The largest datagram.
const DATAGRAM: usize = 1 << 16;

/// See the module. Ends when dropped.
#[derive(Debug)]
pub struct Impairer {
    /// Who stands for the first to the second, and for the second to the first.
    addresses: [SocketAddr; 2],
    directions: [Arc<Direction>; 2],
    threads: Vec<JoinHandle<()>>,
    start: Instant,
    seed: u64,
}

/// One way.
#[derive(Debug)]
struct Direction {
    now: Mutex<Now>,
    over: AtomicBool,
}

/// What it is like now.
#[derive(Debug)]
struct Now {
    link: LinkState,
    /// When it became so.
    since: Nanos,
}

impl Impairer {
    /// Between the sockets at these addresses; `links` is what the path from the first to the second is like, and the one back.
    ///
    /// # Errors
    ///
    /// Where no socket can be had beside theirs.
    pub fn between(ends: [SocketAddr; 2], links: [Link; 2], seed: u64) -> io::Result<Self> {
        let bind = |beside: SocketAddr| {
            let socket = UdpSocket::bind(SocketAddr::new(beside.ip(), 0))?;
            // As much as the system allows.
            let _ = SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER);
            Ok::<_, io::Error>(socket)
        };
        // Each at the address of the one it stands for.
        let sockets = [bind(ends[0])?, bind(ends[1])?];
        let addresses = [sockets[0].local_addr()?, sockets[1].local_addr()?];
        let directions = links.map(|link| {
            Arc::new(Direction {
                now: Mutex::new(Now {
                    link: LinkState::new(link, seed),
                    since: 0,
                }),
                over: AtomicBool::new(false),
            })
        });
        let start = Instant::now();
        let mut threads = Vec::new();
        for (from, direction) in directions.iter().enumerate() {
            let to = 1 - from;
            // What the first says comes to the socket that stands for the second, and leaves by the one that stands for the first.
            let (heard, said) = (sockets[to].try_clone()?, sockets[from].try_clone()?);
            let (direction, ends) = (Arc::clone(direction), [ends[from], ends[to]]);
            threads.push(thread::spawn(move || {
                direction.carry(start, &heard, &said, ends)
            }));
        }
        Ok(Self {
            addresses,
            directions,
            threads,
            start,
            seed,
        })
    }

    /// What the second is to be told instead of the first's address, and the first instead of the second's.
    #[must_use]
    pub fn stand_ins(&self) -> [SocketAddr; 2] {
        self.addresses
    }

    /// From here on the path is like this, with changes that the links themselves bring counted from here; what is on its way arrives.
    pub fn become_like(&self, links: [Link; 2]) {
        for (direction, link) in self.directions.iter().zip(links) {
            let mut now = direction.lock();
            let stats = now.link.stats.clone();
            now.link = LinkState::new(link, self.seed);
            now.link.stats = stats;
            now.since = nanos(self.start.elapsed());
        }
    }

    /// What it did so far, to what the first said and to what the second said.
    #[must_use]
    pub fn stats(&self) -> [LinkStats; 2] {
        [0, 1].map(|way| self.directions[way].lock().link.stats.clone())
    }
}

impl Drop for Impairer {
    fn drop(&mut self) {
        for direction in &self.directions {
            direction.over.store(true, Ordering::Relaxed);
        }
        for thread in self.threads.drain(..) {
            // It panics where a test is failing anyway.
            let _ = thread.join();
        }
    }
}

impl Direction {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the end: what comes from `from` is sent on to `to` when its time has come.
    fn carry(
        &self,
        start: Instant,
        heard: &UdpSocket,
        said: &UdpSocket,
        [from, to]: [SocketAddr; 2],
    ) {
        let mut order = 0_u64;
        let mut waiting: BinaryHeap<Reverse<(Nanos, u64, Vec<u8>)>> = BinaryHeap::new();
        let mut buffer = vec![0; DATAGRAM];
        while !self.over.load(Ordering::Relaxed) {
            let now = nanos(start.elapsed());
            while let Some(Reverse((due, ..))) = waiting.peek()
                && *due <= now
            {
                if let Some(Reverse((.., datagram))) = waiting.pop() {
                    // Where the other side is gone, nobody hears it.
                    let _ = said.send_to(&datagram, to);
                }
            }
            let next = waiting.peek().map_or(GLANCE, |Reverse((due, ..))| {
                Duration::from_nanos(due - now).min(GLANCE)
            });
            // Zero would be for ever.
            let patience = next.max(Duration::from_micros(100));
            let _ = heard.set_read_timeout(Some(patience));
            let length = match heard.recv_from(&mut buffer) {
                Ok((length, source)) if source == from => length,
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::WouldBlock
                            | ErrorKind::TimedOut
                            | ErrorKind::ConnectionRefused
                            | ErrorKind::Interrupted
                    ) =>
                {
                    return;
                }
                Ok(_) | Err(_) => continue,
            };
            let mut lock = self.lock();
            let Now { link, since } = &mut *lock;
            let fate = link.carry(nanos(start.elapsed()).saturating_sub(*since), length);
            for arrival in fate.arrivals.into_iter().flatten() {
                let mut datagram = buffer[..length].to_vec();
                if fate.corrupt {
                    link.damage(&mut datagram);
                }
                order += 1;
                waiting.push(Reverse((*since + arrival, order, datagram)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::Loss;

    const COUNT: u32 = 5_000;

    /// What arrives of so many numbered datagrams, in the order of arrival, and what the impairer says it did.
    fn send(link: Link) -> (Vec<u32>, LinkStats) {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let end = Some(Duration::from_secs(2));
            socket.set_read_timeout(end).expect("not zero");
            socket
        };
        let ends = [socket(), socket()];
        let addresses = ends
            .each_ref()
            .map(|end| end.local_addr().expect("it is bound"));
        let links = [link, Link::new()];
        let impairer = Impairer::between(addresses, links, 7).expect("two more ports");
        let [first, second] = impairer.stand_ins();
        let [sender, receiver] = ends;
        let heard = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&heard);
        let receiving = thread::spawn(move || {
            let (mut arrived, mut buffer) = (Vec::new(), [0; 4]);
            while let Ok((length, from)) = receiver.recv_from(&mut buffer) {
                assert_eq!((length, from), (4, first));
                arrived.push(u32::from_be_bytes(buffer));
                counter.fetch_add(1, Ordering::Relaxed);
            }
            arrived
        });
        for number in 1..=COUNT {
            let datagram = (number - 1).to_be_bytes();
            sender.send_to(&datagram, second).expect("it is sent");
            // Each hundred is through before the next: the sockets, which lose what they cannot hold, are not what is tried here.
            let through = || {
                let [stats, _] = impairer.stats();
                stats.offered == u64::from(number)
                    && heard.load(Ordering::Relaxed) >= stats.delivered
            };
            while number % 100 == 0 && !through() {
                thread::yield_now();
            }
        }
        let arrived = receiving.join().expect("only these arrive");
        let [there, back] = impairer.stats();
        assert_eq!(back, LinkStats::default());
        (arrived, there)
    }

    /// The share of what was offered.
    fn share(part: u64, stats: &LinkStats) -> f64 {
        part as f64 / stats.offered as f64
    }

    #[test]
    fn nothing_is_lost_on_a_perfect_link() {
        let (arrived, stats) = send(Link::new().delay(Duration::from_millis(5)));
        assert_eq!(arrived, (0..COUNT).collect::<Vec<_>>());
        assert_eq!((stats.lost, stats.held, stats.duplicated), (0, 0, 0));
    }

    #[test]
    fn what_it_says_it_did_has_happened() {
        let link = Link::new()
            .loss(Loss::Random(0.1))
            .reorder(0.25, Duration::from_millis(20))
            .duplicate(0.02)
            .corrupt(0.01);
        let (arrived, stats) = send(link);
        for (part, wanted) in [
            (stats.lost, 0.1),
            (stats.held, 0.9 * 0.25),
            (stats.duplicated, 0.9 * 0.02),
            (stats.corrupted, 0.9 * 0.01),
        ] {
            let share = share(part, &stats);
            assert!((share / wanted - 1.0).abs() < 0.5, "{share} for {wanted}");
        }
        let late = arrived.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!(late > COUNT as usize / 20, "{late} came late");
        let intact: Vec<u32> = arrived
            .iter()
            .copied()
            .filter(|number| *number < COUNT)
            .collect();
        let mut different = intact.clone();
        different.sort_unstable();
        different.dedup();
        let missing = COUNT as usize - different.len();
        assert!(
            missing > COUNT as usize / 20,
            "{missing} are missing of {COUNT}"
        );
        assert!(intact.len() > different.len(), "some came twice");
    }

    #[test]
    fn what_is_too_long_vanishes() {
        let (arrived, stats) = send(Link::new().mtu(3));
        assert!(arrived.is_empty());
        assert_eq!(stats.too_long, u64::from(COUNT));
    }
}
