//! A relay, its clock, and clients that speak TURN by hand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use stun_types::attribute::{AttributeType, RawAttribute};
use stun_types::message::{
    IntegrityAlgorithm, LongTermCredentials, MessageClass, MessageType, MessageWriteVec, Method,
    TransactionId,
};
use stun_types::prelude::*;

use crate::Secret;
use crate::core::message::{Class, Message, Writer, attribute, method};
use crate::core::{AllocationId, Client, Config, Input, Limits, Now, Output, Relay, Stats, Via};

pub(super) const SECRET: &str = "north";
pub(super) const SERVER: &str = "198.51.100.1";
/// Peers on the internet.
pub(super) const PEER: &str = "93.184.216.34:5000";
pub(super) const OTHER_PEER: &str = "1.1.1.1:53";
const EPOCH: u64 = 1_700_000_000;

pub(super) struct Bed {
    pub(super) relay: Relay,
    start: Instant,
    pub(super) passed: Duration,
    next_port: u16,
    /// What went out and was not fetched.
    pub(super) sent: Vec<Sent>,
    /// Sockets that are open.
    pub(super) open: Vec<AllocationId>,
    /// The next sockets cannot be opened.
    pub(super) no_ports: bool,
    pub(super) timeout: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    Client(Client, Vec<u8>),
    Peer(AllocationId, SocketAddr, Vec<u8>),
}

/// One that has credentials and remembers its nonce.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) nonce: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0: success.
    pub(super) code: u16,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        Some(Message::parse(&self.bytes)?.attribute(kind)?.to_vec())
    }

    pub(super) fn address(&self, kind: u16) -> SocketAddr {
        let message = Message::parse(&self.bytes).unwrap();
        message.address(message.attribute(kind).unwrap()).unwrap()
    }

    pub(super) fn lifetime(&self) -> u32 {
        let value = self.attribute(attribute::LIFETIME).unwrap();
        u32::from_be_bytes(value.try_into().unwrap())
    }
}

pub(super) fn config() -> Config {
    Config {
        secret: Some(Secret::new(SECRET)),
        nonce_key: [7; 32],
        realm: "crowfly".into(),
        addresses: vec![],
        lan: false,
        allow: vec![],
        limits: Limits::default(),
    }
}

pub(super) fn client(from: &str) -> Client {
    let (via, to) = (Via::Udp(0), SERVER.parse().unwrap());
    let from: SocketAddr = from.parse().unwrap();
    let to = if from.is_ipv4() {
        to
    } else {
        "2001:db8:ffff::1".parse().unwrap()
    };
    Client { via, from, to }
}

impl Bed {
    pub(super) fn new(config: Config) -> Self {
        Self {
            relay: Relay::new(config),
            start: Instant::now(),
            passed: Duration::ZERO,
            next_port: 50_000,
            sent: Vec::new(),
            open: Vec::new(),
            no_ports: false,
            timeout: None,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            instant: self.start + self.passed,
            unix: EPOCH + self.passed.as_secs(),
        }
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        let now = self.now();
        self.relay.handle_input(now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let now = self.now();
        loop {
            match self.relay.poll_output() {
                Output::ToClient {
                    client,
                    bytes,
                    segment,
                } => {
                    let datagrams = match client.via {
                        Via::Udp(_) => bytes.chunks(segment).collect(),
                        Via::Stream(_) => vec![bytes],
                    };
                    self.sent.extend(
                        datagrams
                            .into_iter()
                            .map(|bytes| Sent::Client(client, bytes.to_vec())),
                    );
                }
                Output::ToPeer {
                    allocation,
                    to,
                    bytes,
                    segment,
                } => {
                    let datagrams = bytes.chunks(segment);
                    self.sent
                        .extend(datagrams.map(|bytes| Sent::Peer(allocation, to, bytes.to_vec())));
                }
                Output::Open {
                    allocation, even, ..
                } => {
                    let port = (!self.no_ports).then(|| {
                        self.next_port += 1 + u16::from(even && self.next_port.is_multiple_of(2));
                        self.open.push(allocation);
                        self.next_port
                    });
                    self.relay
                        .handle_input(now, Input::Opened { allocation, port });
                }
                Output::Close { allocation } => {
                    let at = self.open.iter().position(|open| *open == allocation);
                    self.open.remove(at.expect("only an open socket is closed"));
                }
                Output::Timeout(next) => {
                    self.timeout = next;
                    return;
                }
            }
        }
    }

    /// Lets time pass, waking the relay when it wants to be woken.
    pub(super) fn wait(&mut self, seconds: u64) {
        let end = self.passed + Duration::from_secs(seconds);
        while let Some(next) = self.timeout.filter(|next| *next <= self.start + end) {
            self.passed = (next - self.start).max(self.passed);
            self.input(Input::Timeout);
        }
        self.passed = end;
    }

    pub(super) fn stats(&self) -> Stats {
        self.relay.stats()
    }

    /// A datagram from a client and what it is answered.
    pub(super) fn say(&mut self, client: Client, bytes: &[u8]) -> Option<Answer> {
        self.input(Input::FromClient {
            client,
            bytes,
            segment: bytes.len(),
        });
        let at = self.sent.iter().position(
            |sent| matches!(sent, Sent::Client(to, bytes) if *to == client && bytes[0] == 1),
        )?;
        let Sent::Client(_, bytes) = self.sent.remove(at) else {
            unreachable!()
        };
        let message = Message::parse(&bytes).unwrap();
        let code = match message.class {
            Class::Success => 0,
            _ => {
                let value = message.attribute(attribute::ERROR_CODE).unwrap();
                u16::from(value[2]) * 100 + u16::from(value[3])
            }
        };
        Some(Answer { code, bytes })
    }

    /// What peers and clients got since the last call, data only.
    pub(super) fn fetch(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// A caller with a credential of five minutes, which knows its nonce.
    pub(super) fn caller(&mut self, from: &str, user: &str) -> Caller {
        let (username, password) = Secret::new(SECRET).issue(self.now().unix + 300, user);
        let mut caller = Caller {
            client: client(from),
            username,
            password,
            nonce: vec![],
        };
        self.challenge(&mut caller);
        caller
    }

    pub(super) fn challenge(&mut self, caller: &mut Caller) {
        let answer = self.say(caller.client, &bare_allocate()).unwrap();
        assert_eq!(answer.code, 401);
        caller.nonce = answer.attribute(attribute::NONCE).unwrap();
    }

    pub(super) fn request(
        &mut self,
        caller: &Caller,
        method: u16,
        attributes: &[(u16, Vec<u8>)],
    ) -> Answer {
        let bytes = caller.request(method, attributes);
        self.say(caller.client, &bytes)
            .expect("whoever proves who they are is answered")
    }

    /// Allocates; the relayed address.
    pub(super) fn allocate(&mut self, caller: &Caller) -> SocketAddr {
        let answer = self.request(caller, method::ALLOCATE, &[udp()]);
        assert_eq!(answer.code, 0);
        answer.address(attribute::XOR_RELAYED_ADDRESS)
    }

    pub(super) fn permit(&mut self, caller: &Caller, peers: &[&str]) -> u16 {
        let attributes: Vec<_> = peers.iter().map(|peer| peer_address(peer)).collect();
        self.request(caller, method::CREATE_PERMISSION, &attributes)
            .code
    }

    pub(super) fn bind(&mut self, caller: &Caller, number: u16, peer: &str) -> u16 {
        let attributes = [channel_number(number), peer_address(peer)];
        self.request(caller, method::CHANNEL_BIND, &attributes).code
    }

    pub(super) fn refresh(&mut self, caller: &Caller, lifetime: u32) -> Answer {
        let lifetime = (attribute::LIFETIME, lifetime.to_be_bytes().to_vec());
        self.request(caller, method::REFRESH, &[lifetime])
    }

    /// What a peer sends to the newest allocation.
    pub(super) fn peer_says(&mut self, from: &str, bytes: &[u8]) {
        let allocation = *self.open.last().unwrap();
        let (from, segment) = (from.parse().unwrap(), bytes.len());
        self.input(Input::FromPeer {
            allocation,
            from,
            bytes,
            segment,
        });
    }

    pub(super) fn channel_data(&mut self, caller: &Caller, number: u16, data: &[u8]) -> Vec<Sent> {
        let bytes = channel_data(number, data);
        assert_eq!(self.say(caller.client, &bytes), None);
        self.fetch()
    }

    pub(super) fn send_indication(
        &mut self,
        caller: &Caller,
        peer: &str,
        data: &[u8],
    ) -> Vec<Sent> {
        let mut bytes = Vec::new();
        let mut writer = Writer::start(&mut bytes, Class::Indication, method::SEND, TRANSACTION);
        writer.address(attribute::XOR_PEER_ADDRESS, peer.parse().unwrap());
        writer.attribute(attribute::DATA, data);
        writer.finish();
        assert_eq!(self.say(caller.client, &bytes), None);
        self.fetch()
    }
}

const TRANSACTION: [u8; 12] = *b"transactions";

impl Caller {
    /// A signed request, written by stun-types.
    pub(super) fn request(&self, method: u16, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let kind = MessageType::from_class_method(MessageClass::Request, Method::new(method));
        let transaction = TransactionId::generate();
        let mut message =
            stun_types::message::Message::builder(kind, transaction, MessageWriteVec::new());
        let mask = u128::from(transaction) | u128::from(super::super::message::COOKIE) << 96;
        for (kind, value) in attributes {
            // Addresses come with a mask of zeros: the transaction is drawn here.
            let mut value = value.clone();
            if *kind == attribute::XOR_PEER_ADDRESS {
                for (byte, mask) in value[4..].iter_mut().zip(mask.to_be_bytes()) {
                    *byte ^= mask;
                }
            }
            let raw = RawAttribute::new(AttributeType::new(*kind), &value).into_owned();
            message.push_attribute_unchecked(&raw);
        }
        for (kind, value) in [
            (attribute::USERNAME, self.username.as_bytes()),
            (attribute::REALM, b"crowfly"),
            (attribute::NONCE, &self.nonce),
        ] {
            message
                .add_attribute(&RawAttribute::new(AttributeType::new(kind), value))
                .unwrap();
        }
        let credentials = LongTermCredentials::new(self.username.clone(), self.password.clone());
        let credentials = credentials.to_key("crowfly".into()).into();
        message
            .add_message_integrity(&credentials, IntegrityAlgorithm::Sha1)
            .unwrap();
        message.finish()
    }

    pub(super) fn key(&self) -> [u8; 16] {
        Md5::digest(format!("{}:crowfly:{}", self.username, self.password)).into()
    }
}

/// 28 bytes, what every client begins with.
pub(super) fn bare_allocate() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::start(&mut bytes, Class::Request, method::ALLOCATE, TRANSACTION);
    let (kind, value) = udp();
    writer.attribute(kind, &value);
    writer.finish();
    bytes
}

pub(super) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    [
        &number.to_be_bytes()[..],
        &(data.len() as u16).to_be_bytes(),
        data,
    ]
    .concat()
}

pub(super) fn udp() -> (u16, Vec<u8>) {
    (attribute::REQUESTED_TRANSPORT, vec![17, 0, 0, 0])
}

pub(super) fn channel_number(number: u16) -> (u16, Vec<u8>) {
    let [high, low] = number.to_be_bytes();
    (attribute::CHANNEL_NUMBER, vec![high, low, 0, 0])
}

/// Xored as far as it does not depend on the transaction.
pub(super) fn peer_address(peer: &str) -> (u16, Vec<u8>) {
    let peer: SocketAddr = peer.parse().unwrap();
    let port = (peer.port() ^ 0x2112).to_be_bytes();
    let value = match peer.ip() {
        std::net::IpAddr::V4(ip) => [&[0, 1][..], &port, &ip.octets()].concat(),
        std::net::IpAddr::V6(ip) => [&[0, 2][..], &port, &ip.octets()].concat(),
    };
    (attribute::XOR_PEER_ADDRESS, value)
}
