//! A relay under arbitrary datagrams, streams and time, from strangers and from a client that has logged in. Panics when a promise is broken.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crowfly_relay::Secret;
use crowfly_relay::core::{
    AllocationId, Client, Config, Framing, Input, Limits, Now, Output, Relay, Via,
};
use hmac::{Hmac, Mac};
use md5::{Digest, Md5};

const START: u64 = 1_000_000;
const ALLOCATE: u8 = 3;

struct World {
    relay: Relay,
    now: Now,
    open: Vec<AllocationId>,
    nonce: Vec<u8>,
    next_port: u16,
    no_port: bool,
}

/// Each instruction is a byte: what, and of whom; then a length and so many bytes. How many allocations were made.
pub(crate) fn play(data: &[u8]) -> u64 {
    let config = Config {
        secret: Some(Secret::new("secret")),
        nonce_key: [1; 32],
        realm: "crowfly".into(),
        addresses: vec![],
        lan: false,
        allow: vec![],
        limits: Limits {
            allocations: 8,
            allocations_per_user: 3,
            ..Limits::default()
        },
    };
    let instant = Instant::now();
    let mut world = World {
        relay: Relay::new(config),
        now: Now {
            instant,
            unix: START,
        },
        open: vec![],
        nonce: vec![],
        next_port: 50_000,
        no_port: false,
    };
    let mut framing = Framing::default();
    let mut rest = data;
    while let [what, who, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at((*length as usize).min(tail.len()));
        rest = tail;
        let client = client(*who);
        match what % 8 {
            0 => world.say(client, bytes, bytes.len()),
            1 => world.say(client, bytes, usize::from(*what >> 3)),
            2 => {
                let request = world.signed(*what >> 3, bytes);
                world.say(client, &request, request.len());
            }
            3 => {
                let allocation = world.open.get(usize::from(*who) % world.open.len().max(1));
                if let Some(allocation) = allocation.copied() {
                    world.input(Input::FromPeer {
                        allocation,
                        from: SocketAddr::from(([8, 8, 8, *what >> 3], 53)),
                        bytes,
                        segment: bytes.len(),
                    });
                }
            }
            4 => {
                framing.space().extend_from_slice(bytes);
                while let Ok(Some(message)) = framing.next() {
                    let (message, segment) = (message.to_vec(), message.len());
                    world.say(client, &message, segment);
                }
            }
            5 => {
                world.now.instant += Duration::from_secs(u64::from(*who));
                world.now.unix += u64::from(*who);
                world.input(Input::Timeout);
            }
            6 => world.input(Input::Disconnected { client }),
            _ => world.no_port = !world.no_port,
        }
    }
    world.now.instant += Duration::from_secs(3600);
    world.input(Input::Timeout);
    assert!(world.open.is_empty(), "every socket is given back");
    let stats = world.relay.stats();
    assert_eq!(
        (stats.allocations, stats.holders),
        (0, 0),
        "nothing is left"
    );
    stats.allocated
}

impl World {
    fn say(&mut self, client: Client, bytes: &[u8], segment: usize) {
        self.input(Input::FromClient {
            client,
            bytes,
            segment,
        });
    }

    fn input(&mut self, input: Input<'_>) {
        self.relay.handle_input(self.now, input);
        loop {
            match self.relay.poll_output() {
                Output::Open { allocation, .. } => {
                    self.next_port += 1;
                    let port = (!self.no_port).then_some(self.next_port);
                    if port.is_some() {
                        self.open.push(allocation);
                    }
                    let input = Input::Opened { allocation, port };
                    self.relay.handle_input(self.now, input);
                }
                Output::Close { allocation } => {
                    let at = self.open.iter().position(|open| *open == allocation);
                    self.open.swap_remove(at.expect("it is open"));
                }
                Output::ToClient { bytes, segment, .. } => {
                    assert!(!bytes.is_empty() && segment > 0);
                    // The nonce of a challenge, for what is signed later.
                    if let Some(at) = bytes.windows(4).position(|four| four == [0, 0x15, 0, 24]) {
                        self.nonce = bytes[at + 4..][..24].to_vec();
                    }
                }
                Output::ToPeer {
                    allocation,
                    to,
                    bytes,
                    ..
                } => {
                    assert!(self.open.contains(&allocation) && !bytes.is_empty());
                    let ip = to.ip();
                    let inside = match ip {
                        std::net::IpAddr::V4(ip) => {
                            ip.is_private()
                                || ip.is_loopback()
                                || ip.is_link_local()
                                || ip.is_multicast()
                        }
                        std::net::IpAddr::V6(ip) => ip.segments()[0] >> 13 != 1,
                    };
                    assert!(!inside, "{ip} was reached");
                }
                Output::Timeout(next) => {
                    assert!(next.is_none_or(|next| next > self.now.instant), "it waits");
                    assert!(self.open.len() <= 8);
                    return;
                }
            }
        }
    }

    /// A request of the method with these attributes and a right signature.
    fn signed(&self, method: u8, attributes: &[u8]) -> Vec<u8> {
        let method = if method == 0 { ALLOCATE } else { method % 16 };
        let user = format!("{}:{}", START + 300, attributes.len() % 2);
        let (_, password) = Secret::new("secret").issue(START + 300, &user[user.len() - 1..]);
        let key = Md5::digest(format!("{user}:crowfly:{password}"));
        let mut bytes = vec![0, method, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes.extend(&attributes[..attributes.len() / 4 * 4]);
        for (kind, value) in [
            (6, user.as_bytes()),
            (0x14, b"crowfly"),
            (0x15, &self.nonce),
        ] {
            bytes.extend([0, kind, 0, value.len() as u8]);
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = (bytes.len() + 24 - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let mut hmac = Hmac::<sha1::Sha1>::new_from_slice(&key).expect("any length");
        hmac.update(&bytes);
        bytes.extend([0, 8, 0, 20]);
        bytes.extend(hmac.finalize().into_bytes());
        bytes
    }
}

fn client(who: u8) -> Client {
    let from = SocketAddr::from(([192, 0, 2, who % 4], 4000));
    let via = if who & 0x80 == 0 {
        Via::Udp(0)
    } else {
        Via::Stream(u64::from(who % 4))
    };
    Client {
        via,
        from,
        to: [198, 51, 100, 1].into(),
    }
}
