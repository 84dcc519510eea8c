//! What there is once the peer's INIT or INIT ACK is known: both halves, its tag, and what both can.

use std::time::Instant;

use super::capabilities::Capabilities;
use crate::{
    association::Config,
    packet::Init,
    receive::{Receiver, ReceiverConfig},
    reset::Resets,
    send::{Sender, SenderConfig},
};

/// The association proper.
#[derive(Debug)]
pub(super) struct Link {
    /// The peer's INIT or INIT ACK.
    pub(super) peer: Init,
    pub(super) capabilities: Capabilities,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) resets: Resets,
    /// Streams to be reset once nothing waits on them.
    pub(super) to_reset: Vec<u16>,
}

impl Link {
    pub(super) fn new(
        now: Instant,
        config: &Config,
        local: &Init,
        peer: Init,
        capabilities: Capabilities,
    ) -> Self {
        let mut sender = Sender::new(
            now,
            &SenderConfig {
                initial_tsn: local.initial_tsn,
                congestion: config.congestion,
                packet_size: config.packet_size & !3,
                max_flight: config.max_flight,
            },
        );
        sender.start(peer.window, capabilities.interleaving);
        let receiver = Receiver::new(ReceiverConfig {
            peer_initial_tsn: peer.initial_tsn,
            window: config.receive_window as usize,
            interleaving: capabilities.interleaving,
            max_message_size: config.max_message_size,
            streams: local.inbound_streams.min(peer.outbound_streams),
        });
        let resets = Resets::new(
            local.initial_tsn,
            peer.initial_tsn,
            capabilities.reconfiguration,
        );
        Self {
            peer,
            capabilities,
            sender,
            receiver,
            resets,
            to_reset: Vec::new(),
        }
    }

    /// Requests the resets whose time has come.
    pub(super) fn request_resets(&mut self) {
        let Self {
            to_reset,
            sender,
            resets,
            ..
        } = self;
        to_reset.retain(|&stream| {
            let waits = sender.buffered(stream) > 0;
            if !waits {
                resets.request(stream);
            }
            waits
        });
    }

    /// Streams that both directions have.
    pub(super) fn streams(&self, local: &Init) -> u16 {
        let outgoing = local.outbound_streams.min(self.peer.inbound_streams);
        let incoming = local.inbound_streams.min(self.peer.outbound_streams);
        outgoing.min(incoming)
    }
}
