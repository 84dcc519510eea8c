//! The channels of an association by stream, and which stream is free.

use std::collections::BTreeMap;

use super::{
    Channel, ChannelId,
    options::{ChannelOptions, OpenError},
};
use crate::association::Role;

/// Channels by stream. In order, so that two runs with one seed tell the same story.
#[derive(Debug)]
pub(super) struct Table {
    role: Role,
    channels: BTreeMap<u16, Channel>,
    serial: u32,
    /// Numbers of ours are given in turn, from here on: one that was given back comes late, when nothing of its last use is on its way
    /// any more that the peer might take for the new one.
    turn: u16,
}

impl Table {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            channels: BTreeMap::new(),
            serial: 0,
            turn: parity(role),
        }
    }

    /// The stream that was agreed upon, or the next of ours that is free; below `limit`.
    pub(super) fn stream_for(
        &mut self,
        negotiated: Option<u16>,
        limit: u16,
    ) -> Result<u16, OpenError> {
        match negotiated {
            Some(stream) if stream >= limit => Err(OpenError::NoSuchStream { stream, limit }),
            Some(stream) if self.channels.contains_key(&stream) => {
                Err(OpenError::StreamInUse { stream })
            }
            Some(stream) => Ok(stream),
            None => {
                let from = |first: u16, end: u16| (first..end).step_by(2);
                let free = from(self.turn, limit)
                    .chain(from(parity(self.role), self.turn.min(limit)))
                    .find(|stream| !self.channels.contains_key(stream))
                    .ok_or(OpenError::NoStream { limit })?;
                self.turn = free.saturating_add(2);
                Ok(free)
            }
        }
    }

    /// The peer gives the numbers that we do not.
    pub(super) fn is_peers(&self, stream: u16) -> bool {
        stream % 2 != parity(self.role)
    }

    /// A new channel on a free stream.
    pub(super) fn insert(
        &mut self,
        stream: u16,
        options: &ChannelOptions,
    ) -> (ChannelId, &mut Channel) {
        self.serial = self.serial.wrapping_add(1);
        let channel = self
            .channels
            .entry(stream)
            .insert_entry(Channel::new(self.serial, options))
            .into_mut();
        (
            ChannelId {
                stream,
                serial: self.serial,
            },
            channel,
        )
    }

    pub(super) fn remove(&mut self, stream: u16) -> Option<Channel> {
        self.channels.remove(&stream)
    }

    pub(super) fn pop_first(&mut self) -> Option<(u16, Channel)> {
        self.channels.pop_first()
    }

    /// What is on a stream now.
    pub(super) fn on(&self, stream: u16) -> Option<&Channel> {
        self.channels.get(&stream)
    }

    pub(super) fn on_mut(&mut self, stream: u16) -> Option<&mut Channel> {
        self.channels.get_mut(&stream)
    }

    /// This channel, unless its stream has another by now.
    pub(super) fn find(&self, id: ChannelId) -> Option<&Channel> {
        self.channels
            .get(&id.stream)
            .filter(|channel| channel.serial == id.serial)
    }

    pub(super) fn find_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels
            .get_mut(&id.stream)
            .filter(|channel| channel.serial == id.serial)
    }

    /// Streams in use, from this one on.
    pub(super) fn streams_from(&self, first: u16) -> Vec<u16> {
        self.channels
            .range(first..)
            .map(|(&stream, _)| stream)
            .collect()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut Channel)> {
        self.channels
            .iter_mut()
            .map(|(&stream, channel)| (stream, channel))
    }
}

/// The DTLS client gives even numbers, the server odd ones (RFC 8832 §6).
fn parity(role: Role) -> u16 {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(table: &mut Table, negotiated: Option<u16>, limit: u16) -> Result<u16, OpenError> {
        let stream = table.stream_for(negotiated, limit)?;
        table.insert(stream, &ChannelOptions::default());
        Ok(stream)
    }

    #[test]
    fn the_client_gives_even_numbers_and_the_server_odd_ones() {
        let (mut client, mut server) = (Table::new(Role::Client), Table::new(Role::Server));
        for number in [0, 2, 4] {
            assert_eq!(open(&mut client, None, 10), Ok(number));
            assert_eq!(open(&mut server, None, 10), Ok(number + 1));
        }
        assert!(client.is_peers(1) && !client.is_peers(2));
        assert!(server.is_peers(2) && !server.is_peers(1));
    }

    #[test]
    fn numbers_are_given_in_turn_and_none_twice() {
        let mut table = Table::new(Role::Server);
        let in_use = Err(OpenError::StreamInUse { stream: 3 });
        let beyond = Err(OpenError::NoSuchStream {
            stream: 8,
            limit: 8,
        });
        let none = Err(OpenError::NoStream { limit: 8 });
        assert_eq!(
            open(&mut table, Some(3), 8),
            Ok(3),
            "what was agreed upon may be anything"
        );
        assert_eq!(open(&mut table, Some(3), 8), in_use);
        assert_eq!(open(&mut table, Some(8), 8), beyond);
        assert_eq!(open(&mut table, None, 8), Ok(1));
        table.remove(1);
        assert_eq!(open(&mut table, None, 8), Ok(5), "not 1 again so soon");
        assert_eq!(open(&mut table, None, 8), Ok(7));
        table.remove(5);
        assert_eq!(open(&mut table, None, 8), Ok(1), "round again");
        assert_eq!(open(&mut table, None, 8), Ok(5));
        assert_eq!(open(&mut table, None, 8), none);
        table.remove(3);
        assert_eq!(open(&mut table, None, 8), Ok(3));
        assert_eq!(open(&mut table, None, 8), none);
    }

    #[test]
    fn all_streams_of_one_side_can_be_given() {
        for (role, last) in [(Role::Client, 65_534), (Role::Server, 65_533)] {
            let mut table = Table::new(role);
            let given: Vec<u16> =
                std::iter::from_fn(|| open(&mut table, None, u16::MAX).ok()).collect();
            assert_eq!(given.last(), Some(&last));
            assert!(given.windows(2).all(|pair| pair[1] == pair[0] + 2));
        }
    }

    #[test]
    fn a_name_does_not_outlive_its_channel() {
        let mut table = Table::new(Role::Client);
        let (old, _) = table.insert(0, &ChannelOptions::default());
        table.remove(0);
        let (new, _) = table.insert(0, &ChannelOptions::default());
        assert!(table.find(old).is_none());
        assert!(table.find(new).is_some());
    }
}
