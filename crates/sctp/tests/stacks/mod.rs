//! One face for ours and the rivals: an association with data channels that a simulated network can carry.
//!
//! The rivals are plain SCTP; their adapters speak the data channel protocol for them ([`dcep`]).

#![allow(dead_code, reason = "no test and no benchmark uses all of it")]

pub(crate) mod bed;
pub(crate) mod dcep;
pub(crate) mod dcsctp;
pub(crate) mod flow;
pub(crate) mod ours;
pub(crate) mod rivals;
pub(crate) mod rtc;

use std::time::Instant;

use crowfly_sctp::{ChannelOptions, CongestionControl, Message, Role};
use crowfly_sim::Machine;

/// A data channel by its stream id.
pub(crate) type Channel = u16;

/// An association with data channels.
pub(crate) trait Stack: Machine {
    /// Begins the handshake.
    fn connect(&mut self, now: Instant);

    /// Opens a channel.
    fn open(&mut self, now: Instant, options: &ChannelOptions) -> Channel;

    /// Queues a message; false if there is no room for it now.
    fn send(&mut self, now: Instant, channel: Channel, message: Message) -> bool;

    /// Bytes queued on a channel.
    fn buffered(&mut self, channel: Channel) -> usize;

    /// Closes a channel once everything on it is sent.
    fn close(&mut self, now: Instant, channel: Channel);

    /// The next of what happened.
    fn next_event(&mut self) -> Option<Event>;

    /// Leaves what arrives unread from now on, or reads again.
    fn pause(&mut self, _paused: bool) {
        panic!("this stack always reads");
    }

    /// What it counts and estimates, for a person to read.
    fn stats(&self) -> String {
        String::new()
    }
}

/// How to set a stack up; what a stack cannot do it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) role: Role,
    /// The receive window.
    pub(crate) window: usize,
    /// The largest message.
    pub(crate) max_message: usize,
    /// Do without checksums (RFC 9653).
    pub(crate) zero_checksum: bool,
    /// Offer I-DATA (RFC 8260).
    pub(crate) interleaving: bool,
    pub(crate) congestion: CongestionControl,
    /// Streams each way.
    pub(crate) streams: u16,
    /// Decides what is random.
    pub(crate) seed: u64,
}

impl Setup {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            window: 4 << 20,
            max_message: 256 << 10,
            zero_checksum: false,
            interleaving: false,
            congestion: CongestionControl::Bbr,
            streams: 65_535,
            seed: 1,
        }
    }
}

/// What happened to a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Established,
    /// The peer opened a channel.
    Opened(Channel, ChannelOptions),
    Message(Channel, Message),
    ChannelClosed(Channel),
    /// The association ended.
    Closed(String),
}
