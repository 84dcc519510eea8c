//! The sending half: stream queues, fragmentation, what is in flight, loss detection.
//!
//! A message waits in the [`queue`] as the user's own bytes. When congestion control and the peer's window have room, a fragment is
//! cut off it, given a TSN, copied once into the packet, and remembered in the [`flight`] (a reference, no copy) until the peer has
//! acknowledged it for good. A chunk counts as lost when one sent sufficiently later has arrived; a tail that stays unanswered is
//! probed, then timed out.

mod flight;
mod queue;
pub(crate) mod rtt;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::{
    flight::Flight,
    queue::{MessageId, Queue},
    rtt::RoundTrip,
};
use crate::{
    channel::Reliability,
    congestion::{Allowance, Congestion, CongestionControl, CongestionStats},
    packet::{COMMON_HEADER, Data, Order, PacketWriter, Sack},
    tsn::Tsn,
};

/// A chunk that goes out twice does so with this between, lest one burst of losses takes both.
const ECHO_AFTER: Duration = Duration::from_millis(3);
/// With less in flight a stall costs little.
const ECHO_FROM: usize = 1 << 20;
const MOST_ECHOES: usize = 256;

/// How a message is to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendOptions {
    pub(crate) unordered: bool,
    pub(crate) reliability: Reliability,
    /// Streams share by it (RFC 8831 §6.4).
    pub(crate) priority: u16,
}

/// When a message is given up (RFC 3758, RFC 7496).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    None,
    Retransmissions(u16),
    Until(Instant),
}

/// What the sending half is set up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SenderConfig {
    pub(crate) initial_tsn: Tsn,
    pub(crate) congestion: CongestionControl,
    /// Of a whole packet; a multiple of four.
    pub(crate) packet_size: usize,
    pub(crate) max_flight: usize,
}

/// A SACK that cannot be about what we sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SackBeyondSent;

/// Counters since the beginning.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SenderCounts {
    pub(crate) chunks_sent: u64,
    pub(crate) chunks_retransmitted: u64,
    pub(crate) chunks_needless: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_abandoned: u64,
    pub(crate) timeouts: u64,
}

/// What fared how, by size, for path MTU discovery.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    pub(crate) arrived: usize,
    pub(crate) lost: usize,
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Sender {
    queue: Queue,
    flight: Flight,
    congestion: Congestion,
    round_trip: RoundTrip,
    max_flight: usize,
    peer_window: u32,
    interleaving: bool,
    /// When a chunk that may only be late counts as lost.
    lost_at: Option<Instant>,
    /// Since when the peer owes us a word: the first chunk of an empty flight, or its last word.
    silent_since: Instant,
    /// Expiries of the timer since that word.
    expiries: u32,
    /// A probe is due, whatever the window.
    probe: bool,
    /// The pacer lets nothing go before.
    paced_until: Option<Instant>,
    /// The FORWARD TSN last sent, and whether one is due.
    forwarded: Option<Tsn>,
    forward_due: bool,
    /// Chunks sent again that go out once more for safety, and when.
    echoes: VecDeque<(Instant, Tsn)>,
    sizes: Sizes,
    counts: SenderCounts,
}

impl Sender {
    pub(crate) fn new(now: Instant, config: &SenderConfig) -> Self {
        Self {
            queue: Queue::new(false),
            flight: Flight::new(config.initial_tsn),
            congestion: Congestion::new(now, config.congestion, config.packet_size),
            round_trip: RoundTrip::default(),
            max_flight: config.max_flight,
            peer_window: 0,
            interleaving: false,
            lost_at: None,
            silent_since: now,
            expiries: 0,
            probe: false,
            paced_until: None,
            forwarded: None,
            forward_due: false,
            echoes: VecDeque::new(),
            sizes: Sizes::default(),
            counts: SenderCounts::default(),
        }
    }

    /// The association is up: what the peer told in its INIT, and what both can.
    pub(crate) fn start(&mut self, peer_window: u32, interleaving: bool) {
        self.peer_window = peer_window;
        self.interleaving = interleaving;
        self.queue.set_interleaving(interleaving, peer_window);
    }

    /// Queues a message. It must not be empty: DATA carries at least a byte (RFC 9260 §3.3.1).
    pub(crate) fn push(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        payload: Bytes,
        options: &SendOptions,
    ) {
        debug_assert!(
            !payload.is_empty(),
            "an empty message is sent as a byte with a PPID of its own"
        );
        self.counts.messages_sent += 1;
        self.queue.push(now, stream, ppid, payload, options);
    }

    /// Bytes of a stream's messages that are in no packet yet.
    pub(crate) fn buffered(&self, stream: u16) -> usize {
        self.queue.buffered(stream)
    }

    /// The same over all streams.
    pub(crate) fn total_buffered(&self) -> usize {
        self.queue.total_buffered()
    }

    /// Messages of which that is, over all streams.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flight.in_flight()
    }

    pub(crate) fn peer_window(&self) -> u32 {
        self.peer_window
    }

    pub(crate) fn round_trip(&self) -> &RoundTrip {
        &self.round_trip
    }

    /// A round trip that something else than data measured.
    pub(crate) fn measured(&mut self, rtt: Duration) {
        self.round_trip.update(rtt);
    }

    pub(crate) fn congestion(&self) -> CongestionStats {
        self.congestion.stats()
    }

    pub(crate) fn counts(&self) -> SenderCounts {
        let messages_abandoned = self.counts.messages_abandoned + self.queue.expired();
        SenderCounts {
            messages_abandoned,
            ..self.counts
        }
    }

    /// A stream whose buffered amount fell since this was last asked.
    pub(crate) fn poll_fell(&mut self) -> Option<u16> {
        self.queue.poll_fell()
    }

    /// Payload bytes of the largest chunks that arrived and were lost since this was last asked.
    pub(crate) fn take_sizes(&mut self) -> Sizes {
        std::mem::take(&mut self.sizes)
    }

    /// Nothing waits and everything sent was acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.flight.is_empty()
    }

    /// The last TSN given out.
    pub(crate) fn last_tsn(&self) -> Tsn {
        self.flight.next_tsn().previous()
    }

    /// A stream was reset: its sequence numbers begin anew.
    pub(crate) fn restart_stream(&mut self, stream: u16) {
        self.queue.restart(stream);
    }

    /// Path MTU discovery found another size for whole packets.
    pub(crate) fn set_packet_size(&mut self, bytes: usize) {
        self.congestion.set_packet_size(bytes);
    }

    /// For how long the peer has owed us a word, in timer expiries.
    pub(crate) const fn expiries(&self) -> u32 {
        self.expiries
    }

    /// Takes in a SACK (RFC 9260 §6.2.1).
    pub(crate) fn handle_sack(
        &mut self,
        now: Instant,
        sack: &Sack<'_>,
    ) -> Result<(), SackBeyondSent> {
        if sack.cumulative >= self.flight.next_tsn() {
            return Err(SackBeyondSent);
        }
        if sack.cumulative < self.flight.cumulative() {
            return Ok(()); // older than what we know
        }
        self.counts.chunks_needless += sack.duplicates().len() as u64;
        let moved = sack.cumulative > self.flight.cumulative();
        let mut newest: Option<Instant> = None;
        let largest = &mut self.sizes.arrived;
        let before = self.flight.unacknowledged();
        let congestion = &mut self.congestion;
        self.flight.acknowledge(now, sack, |arrival| {
            *largest = arrival.bytes.max(*largest);
            if arrival.was_lost {
                congestion.spurious_loss(arrival.bytes);
            }
            congestion.chunk_acked(now, &arrival.snapshot, arrival.bytes, arrival.retransmitted);
            if !arrival.retransmitted && !arrival.told_late {
                newest = newest.max(Some(arrival.sent_at));
            }
        });
        let rtt = newest.map(|sent_at| now.saturating_duration_since(sent_at));
        if let Some(rtt) = rtt {
            self.round_trip.update(rtt);
        }
        let held = u32::try_from(self.flight.unacknowledged()).unwrap_or(u32::MAX);
        self.peer_window = sack.window.saturating_sub(held);
        if moved || self.flight.unacknowledged() < before {
            self.heard(now);
        }
        self.detect_lost(now, rtt);
        self.forward_due |= self.flight.must_advance()
            && self.flight.advanced().map(|(point, _)| point) != self.forwarded;
        Ok(())
    }

    /// The peer said something: it is there.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.silent_since = now;
        self.expiries = 0;
        self.probe = false;
    }

    /// When [`Sender::handle_timeout`] or, if the state of the association `allows_data`, another packet is due.
    pub(crate) fn deadline(&self, allows_data: bool) -> Option<Instant> {
        let paced = self.paced_until.filter(|_| allows_data && self.has_data());
        [self.timer(), self.lost_at, paced]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks at the timers.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.lost_at.is_some_and(|at| at <= now) {
            self.detect_lost(now, None);
        }
        if self.timer().is_some_and(|at| at <= now) {
            self.expire(now);
        }
    }

    /// Bytes that may go now in one run; zero for none.
    pub(crate) fn allowance(&mut self, now: Instant) -> usize {
        self.paced_until = None;
        if self.probe {
            return 1;
        }
        if !self.has_data() {
            return 0;
        }
        match self.congestion.can_send(now, self.flight.in_flight()) {
            Allowance::Bytes(bytes) => bytes,
            Allowance::Wait(at) => {
                self.paced_until = Some(at);
                0
            }
            Allowance::WindowFull => 0,
        }
    }

    /// Bytes that the chunk which must go next needs, header included; zero if nothing must.
    pub(crate) fn needs(&mut self, now: Instant) -> usize {
        let probed = if self.probe {
            self.flight.oldest()
        } else {
            None
        };
        match probed.or_else(|| self.next_lost(now)) {
            Some((_, length)) => (self.header() + length).next_multiple_of(4),
            None => 0,
        }
    }

    /// Fills what is left of a packet with chunks, those to be sent again first. Returns the payload bytes written.
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        packet: &mut PacketWriter<'_>,
        packet_size: usize,
    ) -> usize {
        let whole = packet_size - COMMON_HEADER;
        let mut written = 0;
        if std::mem::take(&mut self.probe) {
            written += self.write_probe(now, packet);
        }
        let header = self.header();
        while let Some((tsn, length)) = self.next_lost(now) {
            if header + length > packet.room() {
                return written;
            }
            let snapshot = self
                .congestion
                .on_sent(now, length, self.flight.in_flight());
            let chunk = self.flight.chunk(tsn, true).expect("named by the flight");
            packet.data(&chunk);
            self.flight.retransmitted(now, tsn, snapshot);
            if self.may_block() {
                self.echoes.push_back((now + ECHO_AFTER, tsn));
            }
            self.counts.chunks_retransmitted += 1;
            self.counts.chunks_sent += 1;
            written += length;
        }
        self.write_echoes(now, packet);
        written + self.fill_new(now, packet, whole)
    }

    /// Whether [`Sender::write_forward_tsn`] is due.
    pub(crate) const fn forward_due(&self) -> bool {
        self.forward_due
    }

    /// Tells the peer what it need not wait for (RFC 3758 §3.5, RFC 8260 §2.3).
    pub(crate) fn write_forward_tsn(&mut self, packet: &mut PacketWriter<'_>) {
        let Some((point, skipped)) = self.flight.advanced() else {
            self.forward_due = false;
            return;
        };
        let fitted = if self.interleaving {
            let streams = skipped.iter().filter_map(|skip| match skip.order {
                Order::Interleaved { mid, .. } => Some((skip.stream, skip.unordered, mid)),
                Order::Sequence { .. } => None,
            });
            packet.i_forward_tsn(point, streams)
        } else {
            let streams =
                skipped
                    .iter()
                    .filter(|skip| !skip.unordered)
                    .filter_map(|skip| match skip.order {
                        Order::Sequence { ssn } => Some((skip.stream, ssn)),
                        Order::Interleaved { .. } => None,
                    });
            packet.forward_tsn(point, streams)
        };
        if fitted {
            self.forwarded = Some(point);
            self.forward_due = false;
        }
    }

    fn fill_new(&mut self, now: Instant, packet: &mut PacketWriter<'_>, whole: usize) -> usize {
        let (header, mut written) = (self.header(), 0);
        while let Some(room) = packet.room().checked_sub(header).filter(|&room| room > 0) {
            let window = self.new_data_window();
            if window == 0 {
                return written;
            }
            let Some(fragment) = self.queue.next(now, room.min(window), whole - header) else {
                break;
            };
            if self.flight.is_empty() {
                self.silent_since = now;
                self.expiries = 0;
            }
            let length = fragment.payload.len();
            let snapshot = self
                .congestion
                .on_sent(now, length, self.flight.in_flight());
            let tsn = self.flight.push(now, fragment, snapshot);
            // The last of what there is asks to be acknowledged at once: nothing follows that would make the peer do so.
            let chunk = self
                .flight
                .chunk(tsn, self.queue.is_empty())
                .expect("just pushed");
            packet.data(&chunk);
            self.peer_window = self
                .peer_window
                .saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
            self.counts.chunks_sent += 1;
            written += length;
        }
        if self.queue.is_empty() {
            self.congestion.app_limited(self.flight.in_flight());
        }
        written
    }

    /// Whether one more loss of a chunk sent again would fill the peer's window with what waits for it: then it goes out twice. At
    /// 1 % loss that costs 1 % of a fat path; a stall every ten thousand packets would cost more. Where the window is several times
    /// what is in flight, as on most paths, it never is.
    fn may_block(&self) -> bool {
        (self.peer_window as usize) < 2 * self.flight.in_flight()
            && self.flight.in_flight() > ECHO_FROM
            && self.echoes.len() < MOST_ECHOES
    }

    fn write_echoes(&mut self, now: Instant, packet: &mut PacketWriter<'_>) {
        while let Some(&(_, tsn)) = self.echoes.front().filter(|(at, _)| *at <= now) {
            if self.flight.is_under_way(tsn) {
                let chunk = self.flight.chunk(tsn, true).expect("under way");
                if !packet.data(&chunk) {
                    return; // in the next packet
                }
                self.counts.chunks_retransmitted += 1;
                self.counts.chunks_sent += 1;
            }
            self.echoes.pop_front();
        }
    }

    /// How much new data the peer can take. With nothing on its way, a packet goes even into a closed window (RFC 9260 §6.1, A).
    fn new_data_window(&self) -> usize {
        if self.flight.is_full() || self.flight.unacknowledged() >= self.max_flight {
            return 0;
        }
        if self.flight.is_empty() {
            return usize::MAX;
        }
        self.peer_window as usize
    }

    fn write_probe(&mut self, now: Instant, packet: &mut PacketWriter<'_>) -> usize {
        let Some((tsn, length)) = self.flight.oldest() else {
            return 0;
        };
        if self.header() + length > packet.room() {
            self.probe = true; // in a packet of its own
            return 0;
        }
        let snapshot = self
            .congestion
            .on_sent(now, length, self.flight.in_flight());
        self.flight.send_again(now, tsn, snapshot);
        let chunk = self.flight.chunk(tsn, true).expect("the oldest exists");
        packet.data(&chunk);
        self.counts.chunks_retransmitted += 1;
        self.counts.chunks_sent += 1;
        length
    }

    fn next_lost(&mut self, now: Instant) -> Option<(Tsn, usize)> {
        let mut gave_up = Vec::new();
        let next = self.flight.next_lost(now, &mut gave_up);
        self.give_up(now, gave_up);
        next
    }

    fn give_up(&mut self, now: Instant, messages: Vec<(u16, MessageId)>) {
        for (stream, message) in messages {
            self.counts.messages_abandoned += 1;
            if let Some(rest) = self.queue.abandon(stream, message) {
                let snapshot = self.congestion.on_sent(now, 0, self.flight.in_flight());
                self.flight.push_rest(now, rest, snapshot);
            }
            self.forward_due |= self.flight.must_advance();
        }
    }

    fn has_data(&self) -> bool {
        self.flight.has_lost() || (!self.queue.is_empty() && self.new_data_window() > 0)
    }

    fn detect_lost(&mut self, now: Instant, rtt: Option<Duration>) {
        let smoothed = self
            .round_trip
            .smoothed()
            .unwrap_or(Duration::from_millis(100));
        let (congestion, largest) = (&mut self.congestion, &mut self.sizes.lost);
        self.lost_at = self.flight.detect_lost(now, smoothed, |snapshot, bytes| {
            *largest = bytes.max(*largest);
            congestion.chunk_lost(snapshot, bytes);
        });
        self.congestion.finish(now, self.flight.in_flight(), rtt);
        // Give up what may be given up at once, so that the peer hears of it with the next packet.
        self.next_lost(now);
    }

    fn timer(&self) -> Option<Instant> {
        if self.flight.is_empty() {
            return None;
        }
        let after = match self.expiries {
            0 => self.round_trip.probe_timeout(),
            expiries => self.round_trip.timeout(expiries - 1),
        };
        Some(self.silent_since + after)
    }

    /// The first time the tail is probed; from then on all that was in flight is lost (RFC 9260 §6.3.3).
    fn expire(&mut self, now: Instant) {
        if self.expiries > 0 {
            let congestion = &mut self.congestion;
            let largest = &mut self.sizes.lost;
            self.flight.all_lost(|snapshot, bytes| {
                *largest = bytes.max(*largest);
                congestion.chunk_lost(snapshot, bytes);
            });
            self.congestion.on_timeout(now, 0);
            self.lost_at = None;
            self.counts.timeouts += 1;
            self.next_lost(now);
        }
        let mut gave_up = Vec::new();
        self.flight.give_up_oldest(now, &mut gave_up);
        self.give_up(now, gave_up);
        self.probe = !self.flight.must_advance();
        self.forward_due |= self.flight.must_advance();
        self.silent_since = now;
        self.expiries += 1;
    }

    const fn header(&self) -> usize {
        if self.interleaving {
            Data::INTERLEAVED_HEADER
        } else {
            Data::HEADER
        }
    }
}

impl Limit {
    fn new(now: Instant, reliability: Reliability) -> Self {
        match reliability {
            Reliability::Reliable => Self::None,
            Reliability::MaxRetransmits(count) => Self::Retransmissions(count),
            Reliability::MaxLifetime(time) => now.checked_add(time).map_or(Self::None, Self::Until),
        }
    }

    /// Whether a message is given up, parts of which were lost and sent again `retransmissions` times.
    fn is_over(self, now: Instant, retransmissions: u16) -> bool {
        matches!(self, Self::Retransmissions(most) if retransmissions >= most)
            || self.has_expired(now)
    }

    fn has_expired(self, now: Instant) -> bool {
        matches!(self, Self::Until(end) if now >= end)
    }
}
