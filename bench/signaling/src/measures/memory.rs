//! What a connected client costs: resident memory with ten thousand of them, after each has sent and received one message of 1.5 KB.

use std::time::Duration;

use crate::{
    crowd::Crowd,
    dialect::{self, Dialect, Kind, Side},
    net::{Driver, Key, Net},
    server::{Limits, Programs, Server},
};

use super::PAYLOAD;

pub const CLIENTS: usize = 10_000;

pub struct Outcome {
    /// Bytes, before anybody came.
    pub idle: u64,
    /// Bytes a client, over the idle server.
    pub per_client: f64,
}

pub fn measure(programs: &Programs, dialect: Dialect) -> anyhow::Result<Outcome> {
    let (server, _) = Server::start(programs, dialect, Limits::AsShipped)?;
    let idle = server.settled_memory()?;
    let mut net = Net::new(server.address)?;
    let crowd = Crowd::gather(&mut net, dialect, CLIENTS / 2)?;
    let payload = dialect::description(Kind::Offer, PAYLOAD);
    for side in [Side::Waiting, Side::Joining] {
        let mut round = Round {
            payload: &payload,
            received: 0,
        };
        for pair in &crowd.pairs {
            net.send(pair.key(side), &pair.signal(side, Kind::Offer, &payload))?;
            net.turn(&mut round, Duration::ZERO)?;
        }
        net.run(&mut round, Duration::from_secs(30), |round| {
            round.received == CLIENTS / 2
        })?;
    }
    let grown = server.settled_memory()?.saturating_sub(idle);
    Ok(Outcome {
        idle,
        per_client: grown as f64 / CLIENTS as f64,
    })
}

/// One message of each pair.
struct Round<'a> {
    payload: &'a str,
    received: usize,
}

impl Driver for Round<'_> {
    fn text(&mut self, _: &mut Net, _: Key, text: &[u8]) -> anyhow::Result<()> {
        dialect::check_payload(text, self.payload)?;
        self.received += 1;
        Ok(())
    }

    fn closed(&mut self, _: &mut Net, _: Key, close: Option<(u16, String)>) -> anyhow::Result<()> {
        anyhow::bail!("a connection was closed: {close:?}")
    }
}
