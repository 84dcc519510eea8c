//! How many 1.5 KB messages a second go through one core, both ways between many pairs, each with a window of its own.

use std::time::Duration;

use crate::{
    crowd::Crowd,
    dialect::{self, Kind, Side},
    net::{Driver, Key, Net},
    server::{Limits, Programs, Server},
};

use super::{PAYLOAD, Throughput, throughput};

const PAIRS: usize = 100;

/// Sends for so long, with `window` messages on their way in each direction of each pair.
pub fn measure(
    programs: &Programs,
    dialect: dialect::Dialect,
    window: usize,
    length: Duration,
) -> anyhow::Result<Throughput> {
    let (server, _) = Server::start(programs, dialect, Limits::Raised)?;
    let mut net = Net::new(server.address)?;
    let mut crowd = Crowd::gather(&mut net, dialect, PAIRS)?;
    let payload = dialect::description(Kind::Offer, PAYLOAD);
    let mut relay = Relay {
        frames: vec![],
        crowd: &mut crowd,
        payload,
        received: 0,
    };
    for side in [Side::Waiting, Side::Joining] {
        relay.frames.push(
            relay
                .crowd
                .pairs
                .iter()
                .map(|pair| pair.signal(side, Kind::Offer, &relay.payload))
                .collect(),
        );
        for (pair, frame) in relay.crowd.pairs.iter().zip(&relay.frames[side as usize]) {
            (0..window).for_each(|_| net.queue(pair.key(side), frame));
            net.flush(pair.key(side))?;
        }
    }
    throughput(&server, &mut net, &mut relay, length, |relay| {
        relay.received
    })
}

struct Relay<'a> {
    crowd: &'a mut Crowd,
    payload: String,
    /// The message of each side of each pair, ready.
    frames: Vec<Vec<Vec<u8>>>,
    received: u64,
}

impl Driver for Relay<'_> {
    /// One arrived, so one more may leave.
    fn text(&mut self, net: &mut Net, key: Key, text: &[u8]) -> anyhow::Result<()> {
        dialect::check_payload(text, &self.payload)?;
        self.received += 1;
        let (pair, side) = self.crowd.place(key);
        let from = side.other();
        net.queue(
            self.crowd.pairs[pair].key(from),
            &self.frames[from as usize][pair],
        );
        Ok(())
    }

    fn read(&mut self, net: &mut Net, key: Key) -> anyhow::Result<()> {
        let (pair, side) = self.crowd.place(key);
        net.flush(self.crowd.pairs[pair].key(side.other()))
    }

    fn closed(&mut self, _: &mut Net, _: Key, close: Option<(u16, String)>) -> anyhow::Result<()> {
        anyhow::bail!("a connection was closed: {close:?}")
    }
}
