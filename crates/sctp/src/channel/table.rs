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
    /// No stream of ours below this is free.
    first_free: u16,
}

impl Table {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            channels: BTreeMap::new(),
            serial: 0,
            first_free: parity(role),
        }
    }

    /// The stream that was agreed upon, or the lowest of ours that is free; below `limit`.
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
                let free = (self.first_free..limit)
                    .step_by(2)
                    .find(|stream| !self.channels.contains_key(stream));
                // The range stays empty until a stream is given back.
                self.first_free = free.unwrap_or(limit);
                free.ok_or(OpenError::NoStream { limit })
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
        let channel = self.channels.remove(&stream)?;
        if !self.is_peers(stream) {
            self.first_free = self.first_free.min(stream);
        }
        Some(channel)
    }

    pub(super) fn pop_first(&mut self) -> Option<(u16, Channel)> {
        let stream = *self.channels.first_key_value()?.0;
        Some((stream, self.remove(stream)?))
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
    fn the_lowest_free_number_is_given_and_none_twice() {
        let mut table = Table::new(Role::Server);
        assert_eq!(
            open(&mut table, Some(3), 8),
            Ok(3),
            "what was agreed upon may be anything"
        );
        assert_eq!(
            open(&mut table, Some(3), 8),
            Err(OpenError::StreamInUse { stream: 3 })
        );
        assert_eq!(
            open(&mut table, Some(8), 8),
            Err(OpenError::NoSuchStream {
                stream: 8,
                limit: 8
            })
        );
        for number in [1, 5, 7] {
            assert_eq!(open(&mut table, None, 8), Ok(number));
        }
        for _ in 0..2 {
            assert_eq!(
                open(&mut table, None, 8),
                Err(OpenError::NoStream { limit: 8 })
            );
        }
        table.remove(5);
        table.remove(3);
        assert_eq!(open(&mut table, None, 8), Ok(3));
        assert_eq!(open(&mut table, None, 8), Ok(5));
        assert_eq!(
            open(&mut table, None, 8),
            Err(OpenError::NoStream { limit: 8 })
        );
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
