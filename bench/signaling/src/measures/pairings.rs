//! How many whole pairings a second one core serves: two clients connect, find each other, exchange an offer, an answer and six
//! candidates each way, take their leave as their protocol has it, and close. Fourteen relayed messages for either server.

use std::{collections::HashMap, time::Duration};

use anyhow::bail;

use crate::{
    dialect::{self, Dialect, Heard, Kind, Pair, Side},
    net::{Driver, Key, Net},
    server::{Limits, Programs, Server},
};

use super::{PAYLOAD, Throughput, throughput};

/// Pairings on their way at any time.
const AT_ONCE: usize = 64;
const CANDIDATES: usize = 6;

pub fn measure(
    programs: &Programs,
    dialect: Dialect,
    length: Duration,
) -> anyhow::Result<Throughput> {
    let (server, _) = Server::start(programs, dialect, Limits::AsShipped)?;
    let mut net = Net::new(server.address)?;
    let mut driver = Pairings {
        dialect,
        offer: dialect::description(Kind::Offer, PAYLOAD),
        answer: dialect::description(Kind::Answer, PAYLOAD),
        candidate: dialect::candidate(),
        going: HashMap::new(),
        by_key: HashMap::new(),
        begun: 0,
        done: 0,
    };
    for _ in 0..AT_ONCE {
        driver.begin(&mut net)?;
    }
    throughput(&server, &mut net, &mut driver, length, |pairings| {
        pairings.done
    })
}

struct Pairings {
    dialect: Dialect,
    offer: String,
    answer: String,
    candidate: String,
    going: HashMap<u64, Going>,
    by_key: HashMap<Key, (u64, Side)>,
    begun: u64,
    done: u64,
}

struct Going {
    pair: Pair,
    /// Relayed messages each side has received; all of them are one description and the candidates.
    received: [usize; 2],
    /// Connections that have ended.
    ended: usize,
}

impl Pairings {
    fn begin(&mut self, net: &mut Net) -> anyhow::Result<()> {
        let number = self.begun;
        self.begun += 1;
        let pair = Pair::connect(self.dialect, net, number)?;
        for side in [Side::Waiting, Side::Joining] {
            self.by_key.insert(pair.key(side), (number, side));
        }
        self.going.insert(
            number,
            Going {
                pair,
                received: [0; 2],
                ended: 0,
            },
        );
        Ok(())
    }

    /// A description, and behind it the candidates in one burst, as a browser finds those of its interfaces.
    fn signal(&self, net: &mut Net, pair: &Pair, side: Side) -> anyhow::Result<()> {
        let (kind, description) = match side {
            Side::Joining => (Kind::Offer, &self.offer),
            Side::Waiting => (Kind::Answer, &self.answer),
        };
        net.send(pair.key(side), &pair.signal(side, kind, description))?;
        let candidate = pair.signal(side, Kind::Candidate, &self.candidate);
        (0..CANDIDATES).for_each(|_| net.queue(pair.key(side), &candidate));
        net.flush(pair.key(side))
    }

    fn relayed(
        &mut self,
        net: &mut Net,
        number: u64,
        side: Side,
        text: &[u8],
    ) -> anyhow::Result<()> {
        let going = self.going.get_mut(&number).expect("its connection is open");
        let received = &mut going.received[side as usize];
        *received += 1;
        let expected = match (*received, side) {
            (1, Side::Waiting) => &self.offer,
            (1, Side::Joining) => &self.answer,
            _ => &self.candidate,
        };
        dialect::check_payload(text, expected)?;
        let (first, all) = (*received == 1, going.received == [1 + CANDIDATES; 2]);
        let pair = &self.going[&number].pair;
        if first && side == Side::Waiting {
            self.signal(net, pair, side)?;
        }
        if all && !pair.leave(net, Side::Joining)? {
            net.close(pair.key(Side::Joining))?;
            net.close(pair.key(Side::Waiting))?;
        }
        Ok(())
    }
}

impl Driver for Pairings {
    fn text(&mut self, net: &mut Net, key: Key, text: &[u8]) -> anyhow::Result<()> {
        let (number, side) = self.by_key[&key];
        let going = self.going.get_mut(&number).expect("its connection is open");
        match going.pair.hear(net, side, text)? {
            Heard::Step | Heard::Joined => {}
            Heard::MayOffer | Heard::JoinedMayOffer => {
                self.signal(net, &self.going[&number].pair, Side::Joining)?
            }
            Heard::Relayed => self.relayed(net, number, side, text)?,
            Heard::PeerLeft => {
                going.pair.leave(net, side)?;
            }
            Heard::Left => net.close(key)?,
        }
        Ok(())
    }

    fn closed(
        &mut self,
        net: &mut Net,
        key: Key,
        close: Option<(u16, String)>,
    ) -> anyhow::Result<()> {
        let (number, _) = self.by_key.remove(&key).expect("it was opened here");
        let going = self.going.get_mut(&number).expect("not both have ended");
        if going.received != [1 + CANDIDATES; 2] {
            bail!(
                "a connection was closed in the middle of a pairing: {close:?}, received {:?}",
                going.received
            );
        }
        going.ended += 1;
        if going.ended == 2 {
            self.going.remove(&number);
            self.done += 1;
            self.begin(net)?;
        }
        Ok(())
    }
}
