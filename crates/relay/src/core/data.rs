//! What is relayed: ChannelData and Send one way (RFC 8656 §11, §12), ChannelData and Data the other.

use std::net::SocketAddr;
use std::time::Instant;

use super::message::{Class, Message, Writer, attribute, method};
use super::outbox::Target;
use super::policy::Verdict;
use super::{Client, Now, Relay};

/// The first two bits of a channel number tell ChannelData from STUN. RFC 8656 §12 ends at 0x4fff, but clients made by RFC 5766 §11 use all up
/// to 0x7ffe, and nothing else comes to this port that they could be mistaken for.
pub(super) const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7ffe;

impl Relay {
    pub(super) fn hear_client(&mut self, now: Now, client: Client, bytes: &[u8], segment: usize) {
        let mut index = self.by_client.get(&client).copied();
        for datagram in bytes.chunks(segment.max(1)) {
            if datagram[0] >> 6 == 1 {
                match index {
                    Some(index) => self.channel_data(now.instant, index, datagram),
                    None => self.stats.ignored += 1,
                }
            } else {
                self.stun(now, client, index, datagram);
                index = self.by_client.get(&client).copied();
            }
        }
    }

    fn channel_data(&mut self, now: Instant, index: usize, datagram: &[u8]) {
        let [number_high, number_low, length_high, length_low, data @ ..] = datagram else {
            self.stats.ignored += 1;
            return;
        };
        let number = u16::from_be_bytes([*number_high, *number_low]);
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let peer = self.allocations[index].peer_of(now, number);
        match (peer, data.get(..length)) {
            (Some(peer), Some(data)) => self.send_on(now, index, peer, data),
            _ => self.stats.dropped_datagrams += 1,
        }
    }

    /// A Send indication; without permission it is dropped in silence (RFC 8656 §11.2).
    pub(super) fn send_indication(&mut self, now: Instant, index: usize, message: &Message<'_>) {
        let peer = message
            .attribute(attribute::XOR_PEER_ADDRESS)
            .and_then(|value| message.address(value));
        match (peer, message.attribute(attribute::DATA)) {
            (Some(peer), Some(data)) if message.not_understood().next().is_none() => {
                self.send_on(now, index, peer, data);
            }
            _ => self.stats.ignored += 1,
        }
    }

    fn send_on(&mut self, now: Instant, index: usize, peer: SocketAddr, data: &[u8]) {
        let allocation = &self.allocations[index];
        let sender = allocation.relayed;
        let permission = allocation.permission(now, peer.ip());
        if permission.is_none() || !self.spend(now, index, data.len()) {
            self.stats.dropped_datagrams += 1;
            return;
        }
        if permission == Some(Verdict::Own) {
            match self.by_relayed.get(&peer) {
                Some(other) => self.deliver(now, *other, sender, Verdict::Own, data),
                None => self.stats.dropped_datagrams += 1,
            }
            return;
        }
        let target = Target::Peer(self.id(index), peer);
        self.outbox.push(target, |out| out.extend_from_slice(data));
        self.count(data.len());
    }

    /// A datagram that came to the socket of an allocation.
    pub(super) fn hear_peer(&mut self, now: Instant, index: usize, from: SocketAddr, data: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        self.deliver(now, index, from, Verdict::Allowed, data);
    }

    /// Hands a peer's datagram to the client, if it may come from there: an own address only from within, any other only from outside.
    fn deliver(
        &mut self,
        now: Instant,
        index: usize,
        from: SocketAddr,
        whence: Verdict,
        data: &[u8],
    ) {
        let allocation = &self.allocations[index];
        if allocation.permission(now, from.ip()) != Some(whence)
            || !self.spend(now, index, data.len())
        {
            self.stats.dropped_datagrams += 1;
            return;
        }
        let allocation = &self.allocations[index];
        let client = allocation.client;
        let channel = allocation.channel_of(now, from);
        self.outbox.push(Target::Client(client), |out| {
            let Some(number) = channel else {
                return data_indication(out, from, data);
            };
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
            if client.is_stream() {
                let padding = data.len().next_multiple_of(4) - data.len();
                out.extend_from_slice(&[0; 3][..padding]);
            }
        });
        self.count(data.len());
    }

    fn spend(&mut self, now: Instant, index: usize, bytes: usize) -> bool {
        let (user, source) = (self.allocations[index].user, self.allocations[index].source);
        self.users.spend(now, user, bytes) && self.sources.spend(now, source, bytes)
    }

    fn count(&mut self, bytes: usize) {
        self.stats.relayed_datagrams += 1;
        self.stats.relayed_bytes += bytes as u64;
    }
}

fn data_indication(out: &mut Vec<u8>, from: SocketAddr, data: &[u8]) {
    // An indication's transaction id answers nothing; what matters of it is that the client can undo the xor.
    let mut writer = Writer::start(out, Class::Indication, method::DATA, [0; 12]);
    writer.address(attribute::XOR_PEER_ADDRESS, from);
    writer.attribute(attribute::DATA, data);
    writer.finish();
}
