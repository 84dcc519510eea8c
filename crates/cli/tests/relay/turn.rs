//! A TURN client by hand, over UDP, written with `stun-types`.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use crowfly_server::relay::Secret;
use stun_types::attribute::{AttributeType, ErrorCode, Nonce, RawAttribute, Realm, XorSocketAddr};
use stun_types::message::{
    IntegrityAlgorithm, LongTermCredentials, Message, MessageClass, MessageType, MessageWriteVec,
    Method, TransactionId,
};
use stun_types::prelude::*;

use crate::kit::{PATIENCE, SECRET};

const ALLOCATE: u16 = 0x003;
const REFRESH: u16 = 0x004;
const SEND: u16 = 0x006;
const CREATE_PERMISSION: u16 = 0x008;
const CHANNEL_BIND: u16 = 0x009;

pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    username: String,
    password: String,
    nonce: String,
    realm: String,
}

/// 0: granted.
pub(crate) type Code = u16;

impl Client {
    pub(crate) fn new(server: SocketAddr, user: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let (username, password) = Secret::new(SECRET).issue(now.as_secs() + 300, user);
        Self {
            socket,
            username,
            password,
            nonce: String::new(),
            realm: String::new(),
        }
    }

    /// The relayed address, or the code of the refusal.
    pub(crate) fn allocate(&mut self, family: Option<u8>) -> Result<SocketAddr, Code> {
        let mut attributes = vec![(0x0019, vec![17, 0, 0, 0])];
        attributes.extend(family.map(|family| (0x0017, vec![family, 0, 0, 0])));
        let bytes = self.request(ALLOCATE, &attributes);
        let answer = Message::from_bytes(&bytes).unwrap();
        match code(&answer) {
            0 => {
                let relayed = answer.raw_attribute(AttributeType::new(0x0016)).unwrap();
                let relayed = XorSocketAddr::from_raw(&relayed).unwrap();
                Ok(relayed.addr(answer.transaction_id()))
            }
            code => Err(code),
        }
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) -> Code {
        let bytes = self.request(CREATE_PERMISSION, &[address(peer)]);
        code(&Message::from_bytes(&bytes).unwrap())
    }

    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr) -> Code {
        let [high, low] = number.to_be_bytes();
        let bytes = self.request(
            CHANNEL_BIND,
            &[(0x000c, vec![high, low, 0, 0]), address(peer)],
        );
        code(&Message::from_bytes(&bytes).unwrap())
    }

    /// Ends the allocation.
    pub(crate) fn release(&mut self) -> Code {
        let bytes = self.request(REFRESH, &[(0x000d, vec![0; 4])]);
        code(&Message::from_bytes(&bytes).unwrap())
    }

    pub(crate) fn send(&self, peer: SocketAddr, data: &[u8]) {
        let kind = MessageType::from_class_method(MessageClass::Indication, Method::new(SEND));
        let mut message = Message::builder(kind, TransactionId::generate(), MessageWriteVec::new());
        for (kind, value) in [address(peer), (0x0013, data.to_vec())] {
            self.add(&mut message, kind, value);
        }
        self.socket.send(&message.finish()).unwrap();
    }

    pub(crate) fn channel_data(&self, number: u16, data: &[u8]) {
        let length = (data.len() as u16).to_be_bytes();
        let bytes = [&number.to_be_bytes()[..], &length, data].concat();
        self.socket.send(&bytes).unwrap();
    }

    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 2000];
        let length = self.socket.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    /// Sends a request, with credentials as soon as a nonce is known; the answer.
    fn request(&mut self, method: u16, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        loop {
            let kind = MessageType::from_class_method(MessageClass::Request, Method::new(method));
            let transaction = TransactionId::generate();
            let mut message = Message::builder(kind, transaction, MessageWriteVec::new());
            for (kind, value) in attributes {
                self.add(&mut message, *kind, value.clone());
            }
            let proved = !self.nonce.is_empty();
            if proved {
                self.prove(&mut message);
            }
            self.socket.send(&message.finish()).unwrap();
            let bytes = loop {
                let bytes = self.receive();
                if Message::from_bytes(&bytes)
                    .is_ok_and(|answer| answer.transaction_id() == transaction)
                {
                    break bytes;
                }
            };
            let answer = Message::from_bytes(&bytes).unwrap();
            if proved || code(&answer) != 401 {
                return bytes;
            }
            self.nonce = answer.attribute::<Nonce>().unwrap().nonce().to_owned();
            self.realm = answer.attribute::<Realm>().unwrap().realm().to_owned();
        }
    }

    fn prove(&self, message: &mut MessageWriteVec) {
        for (kind, value) in [
            (0x0006, &self.username),
            (0x0014, &self.realm),
            (0x0015, &self.nonce),
        ] {
            self.add(message, kind, value.as_bytes().to_vec());
        }
        let credentials = LongTermCredentials::new(self.username.clone(), self.password.clone());
        let credentials = credentials.to_key(self.realm.clone()).into();
        message
            .add_message_integrity(&credentials, IntegrityAlgorithm::Sha1)
            .unwrap();
    }

    /// Addresses are written plainly and xored here, as soon as the transaction is known.
    fn add(&self, message: &mut MessageWriteVec, kind: u16, mut value: Vec<u8>) {
        if kind == 0x0012 {
            let mask = 0x2112_a442_u128 << 96 | u128::from(message.transaction_id());
            for (byte, mask) in value[4..].iter_mut().zip(mask.to_be_bytes()) {
                *byte ^= mask;
            }
        }
        let attribute = RawAttribute::new(AttributeType::new(kind), &value).into_owned();
        message.push_attribute_unchecked(&attribute);
    }
}

fn code(answer: &Message<'_>) -> Code {
    if answer.class() == MessageClass::Success {
        return 0;
    }
    answer.attribute::<ErrorCode>().unwrap().code()
}

/// XOR-PEER-ADDRESS in exactly this family, its address not yet xored.
fn address(peer: SocketAddr) -> (u16, Vec<u8>) {
    let port = (peer.port() ^ 0x2112).to_be_bytes();
    let value = match peer.ip() {
        IpAddr::V4(ip) => [&[0, 1][..], &port, &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2][..], &port, &ip.octets()].concat(),
    };
    (0x0012, value)
}
