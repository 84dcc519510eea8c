//! The relay without socket or clock: STUN Binding (RFC 8489 §12) and TURN (RFC 8656).
//!
//! In the shape of all of Crowfly's state machines, with one liberty for the sake of speed: what comes in is a burst (datagrams of one
//! size from one sender, as the kernel hands them over), and what goes out is borrowed, gathered into trains of the same kind.
//! Several bursts may be taken in before the outputs are drained.
//!
//! Nothing is kept of whoever has proved nothing: challenges are computed, see [`auth`], and answers counted in constant memory, see
//! [`rate`]. Two clients of this relay reach each other within one call: what is sent to the relayed address of a living allocation is handed to that
//! allocation, which is also the only way an address of this machine is ever reached.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ipnet::IpNet;
use slab::Slab;

use crate::Secret;

mod allocation;
mod auth;
mod data;
mod framing;
mod message;
mod outbox;
mod policy;
mod quota;
mod rate;
mod requests;
#[cfg(test)]
mod tests;

use allocation::Allocation;
use auth::Challenger;
use outbox::{Outbox, Target};
use policy::Policy;
use quota::Accounts;
use rate::Rate;

pub(crate) use framing::messages;
pub use framing::{Framing, NotTurn};
pub(crate) use rate::Source;

/// The time, by both clocks: lifetimes go by the first, expiries of credentials by the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never goes back.
    pub instant: Instant,
    /// Seconds since 1970.
    pub unix: u64,
}

/// A client's 5-tuple (RFC 8656 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// The listening socket or the stream, as the driver numbers them.
    pub via: Via,
    /// The client's address.
    pub from: SocketAddr,
    /// The address of ours it sent to.
    pub to: IpAddr,
}

/// How a client speaks to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Over UDP, at this listening socket.
    Udp(u8),
    /// Over TCP or TLS. No number is used twice.
    Stream(u64),
}

/// Names an allocation to the driver. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId {
    index: u32,
    generation: u32,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Datagrams of `segment` bytes each, the last maybe shorter, from one client; over a stream one whole message.
    FromClient {
        /// The sender.
        client: Client,
        /// All of them, one behind the other.
        bytes: &'a [u8],
        /// The length of each.
        segment: usize,
    },
    /// Datagrams that came to the socket of an allocation.
    FromPeer {
        /// Whose socket.
        allocation: AllocationId,
        /// The sender.
        from: SocketAddr,
        /// All of them, one behind the other.
        bytes: &'a [u8],
        /// The length of each.
        segment: usize,
    },
    /// The answer to [`Output::Open`]: the port, or `None` if there is none to be had.
    Opened {
        /// For which allocation.
        allocation: AllocationId,
        /// The port opened.
        port: Option<u16>,
    },
    /// A client's stream has ended.
    Disconnected {
        /// Which client.
        client: Client,
    },
    /// Addresses of this machine, whatever else it has: nothing there is reached but living allocations.
    OwnAddresses(&'a [IpAddr]),
    /// The instant of [`Output::Timeout`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send to a client: datagrams of `segment` bytes, the last maybe shorter. To a stream: just the bytes.
    ToClient {
        /// The receiver.
        client: Client,
        /// All of them, one behind the other.
        bytes: &'a [u8],
        /// The length of each.
        segment: usize,
    },
    /// Send to a peer from the socket of an allocation.
    ToPeer {
        /// Whose socket.
        allocation: AllocationId,
        /// The receiver.
        to: SocketAddr,
        /// All of them, one behind the other.
        bytes: &'a [u8],
        /// The length of each.
        segment: usize,
    },
    /// Open a UDP socket at this address, at a port nobody can guess, and answer with [`Input::Opened`].
    Open {
        /// For which allocation.
        allocation: AllocationId,
        /// Where.
        address: IpAddr,
        /// Its port must be even (RFC 8656 §18.5).
        even: bool,
    },
    /// Close the socket of an allocation.
    Close {
        /// Which.
        allocation: AllocationId,
    },
    /// Nothing more now. Call with [`Input::Timeout`] at this instant.
    Timeout(Option<Instant>),
}

/// Where allocations are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// An address of this machine.
    pub bind: IpAddr,
    /// The same as others see it: another one behind a NAT that maps ports one to one.
    pub public: IpAddr,
}

/// How a relay runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Shared with whoever issues credentials; `None`: STUN only, no TURN.
    pub secret: Option<Secret>,
    /// A random secret of this process.
    pub nonce_key: [u8; 32],
    /// RFC 8489 §14.9. Short: it is part of what a stranger is answered.
    pub realm: Box<str>,
    /// Where allocations are made, at most one for each family. Without one of a family: at the address the client used.
    pub addresses: Vec<RelayAddress>,
    /// Private networks (RFC 1918, RFC 4193) may be reached.
    pub lan: bool,
    /// These may be reached whatever else is said.
    pub allow: Vec<IpNet>,
    /// How much of everything.
    pub limits: Limits,
}

/// How much of everything. A source is an IPv4 address or an IPv6 /64.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Answers a second to one source: so many Bindings, and so many refusals of those who have proved nothing.
    pub answers_a_second: u16,
    /// Allocations in all.
    pub allocations: usize,
    /// Allocations of one user. A browser makes one for each of its networks and each transport, twice when it restarts ICE.
    pub allocations_per_user: u32,
    /// Allocations of one source.
    pub allocations_per_source: u32,
    /// Peer addresses of one allocation.
    pub permissions: usize,
    /// Channels of one allocation.
    pub channels: usize,
    /// Bytes a second of one user, both ways together.
    pub user_bytes_a_second: u64,
    /// Bytes a second of one source, both ways together.
    pub source_bytes_a_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answers_a_second: 50,
            allocations: 4096,
            allocations_per_user: 32,
            allocations_per_source: 256,
            permissions: 10,
            channels: 32,
            user_bytes_a_second: 12_500_000,
            source_bytes_a_second: 50_000_000,
        }
    }
}

/// What has been counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Allocations that live.
    pub allocations: u64,
    /// Users and sources that hold them.
    pub holders: u64,
    /// Allocations made.
    pub allocated: u64,
    /// Binding requests answered.
    pub bindings: u64,
    /// Datagrams left unanswered: not STUN, not expected, or over the rate.
    pub ignored: u64,
    /// Requests refused for want of a credential that holds.
    pub unauthenticated: u64,
    /// Requests refused for what they ask: addresses that are not reached.
    pub denied: u64,
    /// Requests refused because of a limit.
    pub over_limit: u64,
    /// Datagrams relayed.
    pub relayed_datagrams: u64,
    /// Their bytes, without TURN's own.
    pub relayed_bytes: u64,
    /// Datagrams dropped: without permission, or over the rate.
    pub dropped_datagrams: u64,
}

/// The state machine.
#[derive(Debug)]
pub struct Relay {
    challenger: Option<Challenger>,
    addresses: Vec<RelayAddress>,
    limits: Limits,
    policy: Policy,
    allocations: Slab<Allocation>,
    generation: u32,
    by_client: HashMap<Client, usize>,
    /// Open allocations by the address peers see.
    by_relayed: HashMap<SocketAddr, usize>,
    /// When each allocation may have expired; a refreshed one is armed again when its old time comes.
    timers: BinaryHeap<Reverse<(Instant, AllocationId)>>,
    users: Accounts<Box<str>>,
    sources: Accounts<Source>,
    bindings: Rate,
    refusals: Rate,
    sockets: VecDeque<Socket>,
    outbox: Outbox,
    stats: Stats,
}

/// What the driver is asked to do with sockets.
#[derive(Debug, Clone, Copy)]
enum Socket {
    Open(AllocationId, IpAddr, bool),
    Close(AllocationId),
}

impl Relay {
    /// A relay without allocations.
    pub fn new(config: Config) -> Self {
        let Config {
            secret,
            nonce_key,
            realm,
            addresses,
            lan,
            allow,
            limits,
        } = config;
        let mut policy = Policy::new(allow, lan);
        for address in &addresses {
            policy.add_own(address.bind);
            policy.add_own(address.public);
        }
        Self {
            challenger: secret.map(|secret| Challenger::new(realm, secret, nonce_key)),
            addresses,
            policy,
            allocations: Slab::new(),
            generation: 0,
            by_client: HashMap::new(),
            by_relayed: HashMap::new(),
            timers: BinaryHeap::new(),
            users: Accounts::new(limits.allocations_per_user, limits.user_bytes_a_second),
            sources: Accounts::new(limits.allocations_per_source, limits.source_bytes_a_second),
            bindings: Rate::new(limits.answers_a_second),
            refusals: Rate::new(limits.answers_a_second),
            sockets: VecDeque::new(),
            outbox: Outbox::default(),
            stats: Stats::default(),
            limits,
        }
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.expire(now.instant);
        match input {
            Input::FromClient {
                client,
                bytes,
                segment,
            } => self.hear_client(now, client, bytes, segment),
            Input::FromPeer {
                allocation,
                from,
                bytes,
                segment,
            } => {
                if let Some(index) = self.index(allocation) {
                    for datagram in bytes.chunks(segment.max(1)) {
                        self.hear_peer(now.instant, index, from, datagram);
                    }
                }
            }
            Input::Opened { allocation, port } => self.opened(allocation, port),
            Input::Disconnected { client } => {
                if let Some(index) = self.by_client.get(&client) {
                    self.remove(*index);
                }
            }
            Input::OwnAddresses(addresses) => {
                for address in addresses {
                    self.policy.add_own(*address);
                }
            }
            Input::Timeout => {}
        }
    }

    /// The next thing to do; [`Output::Timeout`] comes last.
    pub fn poll_output(&mut self) -> Output<'_> {
        if let Some(socket) = self.sockets.pop_front() {
            return match socket {
                Socket::Open(allocation, address, even) => Output::Open {
                    allocation,
                    address,
                    even,
                },
                Socket::Close(allocation) => Output::Close { allocation },
            };
        }
        match self.outbox.pop() {
            Some((train, bytes)) => match train.target {
                Target::Client(client) => Output::ToClient {
                    client,
                    bytes,
                    segment: train.segment,
                },
                Target::Peer(allocation, to) => Output::ToPeer {
                    allocation,
                    to,
                    bytes,
                    segment: train.segment,
                },
            },
            None => Output::Timeout(self.timers.peek().map(|Reverse((next, _))| *next)),
        }
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        Stats {
            allocations: self.allocations.len() as u64,
            holders: (self.users.len() + self.sources.len()) as u64,
            ..self.stats
        }
    }

    /// Whether this client has an allocation: a stream without one is not worth keeping.
    pub fn has_allocation(&self, client: &Client) -> bool {
        self.by_client.contains_key(client)
    }

    fn id(&self, index: usize) -> AllocationId {
        AllocationId {
            index: index as u32,
            generation: self.allocations[index].generation,
        }
    }

    fn index(&self, id: AllocationId) -> Option<usize> {
        let allocation = self.allocations.get(id.index as usize)?;
        (allocation.generation == id.generation).then_some(id.index as usize)
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((due, id))) = self.timers.peek().copied() {
            if due > now {
                return;
            }
            self.timers.pop();
            let Some(index) = self.index(id) else {
                continue;
            };
            if self.allocations[index].expires <= now {
                self.remove(index);
            } else {
                self.arm(index);
            }
        }
    }

    fn arm(&mut self, index: usize) {
        let expires = self.allocations[index].expires;
        self.allocations[index].armed = expires;
        self.timers.push(Reverse((expires, self.id(index))));
    }

    /// The one way an allocation ends: expired, given up, without a socket, or its stream gone.
    fn remove(&mut self, index: usize) {
        let id = self.id(index);
        let allocation = self.allocations.remove(index);
        self.by_client.remove(&allocation.client);
        if allocation.is_open() {
            self.by_relayed.remove(&allocation.relayed);
            self.sockets.push_back(Socket::Close(id));
        }
        self.users.release(allocation.user);
        self.sources.release(allocation.source);
    }
}

impl Client {
    fn is_stream(&self) -> bool {
        matches!(self.via, Via::Stream(_))
    }

    /// The address as it is written in messages: an IPv4 client of a dual-stack socket is an IPv4 client.
    fn reflexive(&self) -> SocketAddr {
        SocketAddr::new(self.from.ip().to_canonical(), self.from.port())
    }
}
