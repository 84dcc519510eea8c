//! What a client that never reads costs: its partner floods it until the server closes it, or until enough has been sent.

use std::time::Duration;

use crate::{
    crowd::Crowd,
    dialect::{self, Dialect, Kind, Side},
    net::{Driver, Key, Net},
    server::{Limits, Programs, Server},
};

use super::PAYLOAD;

/// As much is sent at most; a server that holds on till then holds on for ever.
const ENOUGH: u64 = 300 << 20;

pub struct Outcome {
    /// Bytes the server grew by at most.
    pub growth: u64,
    /// Bytes sent until it closed the reader; `None`: it never did.
    pub closed_after: Option<u64>,
    /// Code and reason the reader finds when it reads at last.
    pub close: Option<(u16, String)>,
}

pub fn measure(programs: &Programs, dialect: Dialect) -> anyhow::Result<Outcome> {
    let (server, _) = Server::start(programs, dialect, Limits::Raised)?;
    let mut net = Net::new(server.address)?;
    let crowd = Crowd::gather(&mut net, dialect, 1)?;
    let pair = &crowd.pairs[0];
    let (reader, writer) = (pair.key(Side::Waiting), pair.key(Side::Joining));
    let message = pair.signal(
        Side::Joining,
        Kind::Offer,
        &dialect::description(Kind::Offer, PAYLOAD),
    );
    let before = server.settled_memory()?;
    server.forget_peak()?;
    net.pause(reader);
    let mut flood = Flood {
        reader,
        told: false,
        close: None,
        ended: false,
    };
    let mut sent = 0;
    while !flood.told && sent < ENOUGH {
        if net.unsent(writer) < message.len() {
            (0..16).for_each(|_| net.queue(writer, &message));
            sent += 16 * message.len() as u64;
            net.flush(writer)?;
        }
        net.turn(
            &mut flood,
            Duration::from_millis(if net.unsent(writer) > 0 { 10 } else { 0 }),
        )?;
    }
    let growth = server.peak_memory()?.saturating_sub(before);
    let closed_after = flood.told.then_some(sent);
    if flood.told {
        net.resume(reader, &mut flood)?;
        net.run(&mut flood, Duration::from_secs(30), |flood| flood.ended)?;
    }
    Ok(Outcome {
        growth,
        closed_after,
        close: flood.close,
    })
}

struct Flood {
    reader: Key,
    /// The writer has heard that the reader is gone.
    told: bool,
    close: Option<(u16, String)>,
    ended: bool,
}

impl Driver for Flood {
    /// All that the writer hears is about its partner's end; the reader, once it reads, finds the flood.
    fn text(&mut self, _: &mut Net, key: Key, _: &[u8]) -> anyhow::Result<()> {
        self.told |= key != self.reader;
        Ok(())
    }

    fn closed(
        &mut self,
        _: &mut Net,
        key: Key,
        close: Option<(u16, String)>,
    ) -> anyhow::Result<()> {
        anyhow::ensure!(
            key == self.reader,
            "the flooding client was closed: {close:?}"
        );
        self.close = close;
        self.ended = true;
        Ok(())
    }
}
