//! Many pairs, gathered before a measure begins.

use std::time::Duration;

use crate::{
    dialect::{Dialect, Heard, Pair, Side},
    net::{Driver, Key, Net},
};

/// Pairs that have found each other.
pub struct Crowd {
    dialect: Dialect,
    pub pairs: Vec<Pair>,
    /// By key: which pair, which side.
    places: Vec<Option<(usize, Side)>>,
    wanted: usize,
    joined: usize,
}

/// So many pairs connect at a time, well within any listen queue.
const AT_ONCE: usize = 50;

impl Crowd {
    /// Connects so many pairs and waits until each has found itself.
    pub fn gather(net: &mut Net, dialect: Dialect, wanted: usize) -> anyhow::Result<Self> {
        let mut crowd = Self {
            dialect,
            pairs: vec![],
            places: vec![],
            wanted,
            joined: 0,
        };
        for _ in 0..AT_ONCE.min(wanted) {
            crowd.connect_one(net)?;
        }
        net.run(&mut crowd, Duration::from_secs(120), |crowd| {
            crowd.joined == wanted
        })?;
        Ok(crowd)
    }

    /// Whose key it is.
    pub fn place(&self, key: Key) -> (usize, Side) {
        self.places[key].expect("every key was given to a pair")
    }

    fn connect_one(&mut self, net: &mut Net) -> anyhow::Result<()> {
        let pair = Pair::connect(self.dialect, net, self.pairs.len() as u64)?;
        for side in [Side::Waiting, Side::Joining] {
            let key = pair.key(side);
            if self.places.len() <= key {
                self.places.resize(key + 1, None);
            }
            self.places[key] = Some((self.pairs.len(), side));
        }
        self.pairs.push(pair);
        Ok(())
    }
}

impl Driver for Crowd {
    fn text(&mut self, net: &mut Net, key: Key, text: &[u8]) -> anyhow::Result<()> {
        let (pair, side) = self.place(key);
        if matches!(
            self.pairs[pair].hear(net, side, text)?,
            Heard::Joined | Heard::JoinedMayOffer
        ) {
            self.joined += 1;
            if self.pairs.len() < self.wanted {
                self.connect_one(net)?;
            }
        }
        Ok(())
    }

    fn closed(&mut self, _: &mut Net, _: Key, close: Option<(u16, String)>) -> anyhow::Result<()> {
        anyhow::bail!("a connection was closed while the pairs gathered: {close:?}")
    }
}
