//! The receiving half: which TSNs arrived, what to acknowledge, messages put together.
//!
//! A chunk goes through three rooms: [`arrived`] knows every TSN and answers whether this one is new; [`assembly`] makes
//! messages of fragments; [`delivery`] holds whole messages until their turn in the stream has come. [`acknowledgement`]
//! decides when a SACK is due. All of it is O(log n) at worst and O(1) for what comes in order: nothing walks the window.
//!
//! What is held is charged against the window: its bytes and a fixed overhead for each piece that has memory of its own, so
//! that the smallest chunks cannot cost more than they are charged. What was acknowledged is never dropped again: the
//! receiver does not renege (RFC 9260 §6.2 would let it).

mod acknowledgement;
mod arrived;
mod assembly;
mod delivery;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;
use thiserror::Error;

use self::{
    acknowledgement::Acknowledgement,
    arrived::{Arrived, Place},
    assembly::Assembly,
    delivery::Delivery,
};
use crate::{
    packet::{Data, ForwardTsn, IForwardTsn, Order, PacketWriter},
    tsn::Tsn,
};

/// What a piece of data costs beside its bytes: its place in a map and the allocator's own.
const OVERHEAD: usize = 128;

/// What both sides agreed on, and what we can hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiverConfig {
    pub(crate) peer_initial_tsn: Tsn,
    /// Bytes held before the peer is told to wait.
    pub(crate) window: usize,
    /// I-DATA instead of DATA (RFC 8260).
    pub(crate) interleaving: bool,
    pub(crate) max_message_size: usize,
    /// Inbound streams; ids lie below.
    pub(crate) streams: u16,
}

/// A whole message, whose turn has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) stream: u16,
    pub(crate) ppid: u32,
    pub(crate) payload: Bytes,
    pub(crate) unordered: bool,
}

/// What became of a chunk that broke no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    New,
    /// It had arrived before; the SACK will say so.
    Duplicate,
    /// There is no room for it. It was not acknowledged and will come again.
    Dropped,
    /// Acknowledged, and thrown away: the ERROR to send is "invalid stream identifier" (RFC 9260 §6.5).
    InvalidStream,
}

/// What a well-behaved peer never sends; the association is to be aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum Violation {
    /// "No user data" is the cause to give (RFC 9260 §6.2).
    #[error("a chunk without user data")]
    NoUserData(Tsn),
    /// DATA or FORWARD-TSN where I-DATA was agreed, or the other way around (RFC 8260 §2.2.2).
    #[error("a chunk of the other kind than was agreed")]
    WrongKind,
    /// A fragment that does not belong to the message it continues (RFC 9260 §6.9), or came under two TSNs.
    #[error("a fragment that does not fit its message")]
    Fragment,
    /// Longer than our `a=max-message-size`.
    #[error("a message longer than we said we accept")]
    TooLong,
    /// More than twice the window is held, nothing of which can be delivered.
    #[error("data that never becomes a message")]
    Hoarding,
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Receiver {
    config: ReceiverConfig,
    arrived: Arrived,
    assembly: Assembly,
    delivery: Delivery,
    acknowledgement: Acknowledgement,
    duplicates: u64,
}

impl Receiver {
    pub(crate) fn new(config: ReceiverConfig) -> Self {
        Self {
            config,
            arrived: Arrived::new(config.peer_initial_tsn),
            assembly: Assembly::new(config.max_message_size),
            delivery: Delivery::default(),
            acknowledgement: Acknowledgement::new(config.window),
            duplicates: 0,
        }
    }

    /// Takes a DATA or I-DATA chunk.
    pub(crate) fn handle_data(&mut self, data: &Data<'_>) -> Result<Arrival, Violation> {
        self.acknowledgement.data(data.immediate);
        if data.payload.is_empty() {
            return Err(Violation::NoUserData(data.tsn));
        }
        let interleaved = matches!(data.order, Order::Interleaved { .. });
        if interleaved != self.config.interleaving {
            return Err(Violation::WrongKind);
        }
        let at = match self.arrived.place(data.tsn) {
            Place::New(at) if self.has_room(at, data.payload.len()) => at,
            Place::Duplicate => {
                self.duplicates += 1;
                self.acknowledgement.duplicate(data.tsn);
                return Ok(Arrival::Duplicate);
            }
            Place::New(_) | Place::Beyond => {
                // The SACK to come tells the peer how much room there is.
                self.acknowledgement.at_once();
                return Ok(Arrival::Dropped);
            }
        };
        let had_gaps = self.arrived.has_gaps();
        self.arrived.insert(at);
        if had_gaps || self.arrived.has_gaps() {
            self.acknowledgement.at_once();
        }
        if data.stream >= self.config.streams {
            return Ok(Arrival::InvalidStream);
        }
        if !self.is_over(data)
            && let Some(message) = self.assembly.add(at, data)?
        {
            self.delivery.add(message);
        }
        self.after_advance()?;
        Ok(Arrival::New)
    }

    /// The peer gave up everything to a TSN; ordered streams go on behind the messages named (RFC 3758 §3.6).
    pub(crate) fn handle_forward_tsn(&mut self, forward: &ForwardTsn<'_>) -> Result<(), Violation> {
        if self.config.interleaving {
            return Err(Violation::WrongKind);
        }
        if self.forward(forward.cumulative) {
            for (stream, ssn) in forward.streams() {
                self.delivery.skip(stream, Order::Sequence { ssn });
            }
            self.after_advance()?;
        }
        Ok(())
    }

    /// The same where messages interleave (RFC 8260 §2.3.1).
    pub(crate) fn handle_i_forward_tsn(
        &mut self,
        forward: &IForwardTsn<'_>,
    ) -> Result<(), Violation> {
        if !self.config.interleaving {
            return Err(Violation::WrongKind);
        }
        if self.forward(forward.cumulative) {
            for (stream, unordered, mid) in forward.streams() {
                self.assembly.skip(stream, unordered, mid);
                if unordered {
                    self.delivery.give_up_unordered(stream, mid);
                } else {
                    let last = Order::Interleaved { mid, fsn: 0 };
                    self.delivery.skip(stream, last);
                }
            }
            self.after_advance()?;
        }
        Ok(())
    }

    /// The next message; it leaves the window.
    pub(crate) fn poll_message(&mut self) -> Option<Received> {
        let message = self.delivery.poll()?;
        self.acknowledgement.window_is(self.window());
        Some(message)
    }

    /// How many messages wait to be polled.
    pub(crate) fn ready(&self) -> usize {
        self.delivery.ready()
    }

    /// A packet ended that carried DATA, or that moved us forward: every second one is answered at once, the other soon
    /// (RFC 9260 §6.2). Does nothing after other packets.
    pub(crate) fn packet_done(&mut self, now: Instant) {
        self.acknowledgement.packet_done(now);
    }

    /// A SACK is due.
    pub(crate) fn sack_now(&self, now: Instant) -> bool {
        self.acknowledgement.is_due(now)
    }

    /// When one will be due, if nothing else arrives.
    pub(crate) fn sack_deadline(&self) -> Option<Instant> {
        self.acknowledgement.deadline()
    }

    /// Writes a SACK, with as many gaps as the packet has room for. False, and still due, if it has none for a SACK at all.
    pub(crate) fn write_sack(&mut self, writer: &mut PacketWriter<'_>) -> bool {
        let window = self.window();
        let written = writer.sack(
            self.arrived.cumulative(),
            u32::try_from(window).unwrap_or(u32::MAX),
            self.arrived.gaps(),
            self.acknowledgement.duplicates(),
        );
        if written {
            self.acknowledgement.sent(window);
        }
        written
    }

    /// The last TSN up to which nothing is missing.
    pub(crate) fn cumulative(&self) -> Tsn {
        self.arrived.cumulative()
    }

    /// The peer reset a stream: it begins anew at zero (RFC 6525 §5.2.2). Only once everything sent before has arrived.
    pub(crate) fn reset_stream(&mut self, stream: u16) {
        // With DATA, fragments go by their TSNs, which go on.
        if self.config.interleaving {
            self.assembly.reset(stream);
        }
        self.delivery.reset(stream);
    }

    /// The peer reset all of them.
    pub(crate) fn reset_all_streams(&mut self) {
        if self.config.interleaving {
            self.assembly.reset_all();
        }
        self.delivery.reset_all();
    }

    /// Chunks that had arrived before.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Bytes held, overhead included.
    pub(crate) fn held(&self) -> usize {
        self.assembly.held() + self.delivery.held()
    }

    /// The window to advertise.
    fn window(&self) -> usize {
        self.config.window.saturating_sub(self.held())
    }

    /// A quarter more than the window is taken: the peer counts bytes only, and what it sent before it knew is no fault of
    /// its own. Beyond that only the TSN that all others wait for, or a full window would stay full for ever; not if nothing
    /// waits for it and messages are ready, for then room will come (RFC 9260 §6.2).
    fn has_room(&self, at: u64, length: usize) -> bool {
        let limit = self.config.window + self.config.window / 4;
        let is_awaited = || self.arrived.has_gaps() || !self.delivery.has_ready();
        self.held() + length + OVERHEAD <= limit
            || (self.arrived.is_next(at) && is_awaited() && !self.is_hoarding())
    }

    /// No peer that heeds the window gets here.
    fn is_hoarding(&self) -> bool {
        self.held() > 2 * self.config.window + self.config.max_message_size
    }

    /// Nobody waits for it. With DATA the TSN alone tells, see [`Assembly::sweep`].
    fn is_over(&mut self, data: &Data<'_>) -> bool {
        match data.order {
            Order::Sequence { .. } => false,
            Order::Interleaved { mid, .. } => {
                self.delivery.is_over(data.stream, data.unordered, mid)
            }
        }
    }

    /// True if it moves us.
    fn forward(&mut self, cumulative: Tsn) -> bool {
        // Old news means that the peer has not heard where we are (RFC 3758 §3.6).
        self.acknowledgement.at_once();
        self.arrived.forward(cumulative)
    }

    fn after_advance(&mut self) -> Result<(), Violation> {
        if !self.config.interleaving {
            self.assembly.sweep(self.arrived.cumulative_position());
        }
        if self.is_hoarding() && !self.delivery.has_ready() {
            return Err(Violation::Hoarding);
        }
        Ok(())
    }
}
