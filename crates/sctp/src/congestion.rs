//! Congestion control: how much may be in flight, and when the next packet may go.
//!
//! [`Congestion`] is what the sending half calls. It measures the delivery rate per acknowledged TSN ([`rate`]), hands what it
//! learnt to one of two [`Controller`]s ([`bbr`], the default, and [`cubic`]), and spreads what the controller allows over time
//! ([`pacer`]). Everything here is O(1) per chunk and per SACK and allocates nothing after [`Congestion::new`].
//!
//! Sizes are bytes of DATA chunks, headers included; rates are bytes a second.

mod bbr;
mod cubic;
mod hystart;
mod pacer;
mod rate;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use bbr::Bbr;
use cubic::Cubic;
use pacer::Pacer;
pub(crate) use rate::Snapshot;
use rate::{RateSample, Sampler};

/// Which congestion control an association uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// Rate based, in the manner of BBRv3 (draft-ietf-ccwg-bbr): keeps its rate under random loss and its queues short.
    #[default]
    Bbr,
    /// CUBIC (RFC 9438): backs off at every loss, as most of the Internet does.
    Cubic,
}

/// A congestion control algorithm: what [`Congestion`] tells it, and the two figures it decides.
trait Controller: Debug + Send {
    /// Something was sent.
    fn on_sent(&mut self, sent: &Sent);
    /// One chunk was declared lost. The SACK that showed it follows as [`Self::on_ack`], unless a timer did.
    fn on_lost(&mut self, lost: &Lost);
    /// One SACK was worked through, and it acknowledged or lost something.
    fn on_ack(&mut self, ack: &Ack);
    /// The retransmission timer fired: all that was in flight is lost (RFC 9260 §7.2.3).
    fn on_timeout(&mut self, now: Instant, in_flight: usize);
    /// Loss reported earlier was not loss but reordering.
    fn on_spurious_loss(&mut self, bytes: usize);
    /// The size of a full packet changed.
    fn set_packet_size(&mut self, bytes: usize);
    /// How much may be in flight, in bytes: the congestion window.
    fn window(&self) -> usize;
    /// How fast it may leave, in bytes a second; `None` for as fast as the window allows.
    fn pacing_rate(&self) -> Option<u64>;
    /// The model, for people: bandwidth in bytes a second, the shortest round trip, the name of the phase.
    fn model(&self) -> Model;
}

/// What a controller hears of a packet that left.
#[derive(Clone, Copy, Debug)]
struct Sent {
    now: Instant,
    bytes: usize,
    /// Including `bytes`.
    in_flight: usize,
    /// The application has not kept the path busy of late.
    app_limited: bool,
}

/// What a controller hears of a chunk declared lost.
#[derive(Clone, Copy, Debug)]
struct Lost {
    sent_at: Instant,
    bytes: usize,
    /// In flight when it left, itself included.
    in_flight_when_sent: usize,
    /// Lost since it left, itself included.
    lost_since_sent: u64,
    /// It left while the application did not keep the path busy.
    app_limited: bool,
}

/// What a controller hears of a SACK.
#[derive(Clone, Copy, Debug)]
struct Ack {
    now: Instant,
    /// Bytes newly acknowledged and newly lost.
    acked: usize,
    lost: usize,
    /// In flight after.
    in_flight: usize,
    /// More might have gone: the application had no more, or the peer's window was full.
    spare: bool,
    rtt: Option<Duration>,
    /// The delivery rate that the newest of the acknowledged chunks saw.
    sample: Option<RateSample>,
    /// Bytes acknowledged since the beginning, this SACK included.
    delivered: u64,
}

/// What a controller believes of the path.
#[derive(Clone, Copy, Debug)]
struct Model {
    bandwidth: Option<u64>,
    min_rtt: Option<Duration>,
    phase: &'static str,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// So many bytes in one run, at least one full packet; the last packet of a run may overshoot it.
    Bytes(usize),
    /// Nothing before this instant.
    Wait(Instant),
    /// Nothing before something is acknowledged or lost.
    WindowFull,
}

/// Figures of the congestion control, for people and programs to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CongestionStats {
    /// Bytes allowed in flight.
    pub(crate) window: usize,
    /// Bytes a second; `None` before anything was measured.
    pub(crate) pacing_rate: Option<u64>,
    /// Bytes a second that the path is believed to carry.
    pub(crate) bandwidth: Option<u64>,
    /// The shortest round trip of late.
    pub(crate) min_rtt: Option<Duration>,
    /// What the algorithm is doing, by its standard name.
    pub(crate) phase: &'static str,
}

/// The congestion control of one path: sampler, controller and pacer.
#[derive(Debug)]
pub(crate) struct Congestion {
    controller: Box<dyn Controller>,
    sampler: Sampler,
    pacer: Pacer,
    packet_size: usize,
    /// What was allowed last and has not been sent.
    unused: usize,
    /// Gathered by `chunk_acked` and `chunk_lost` until `finish`.
    acked: usize,
    lost: usize,
}

impl Congestion {
    /// A fresh path; `packet_size` is that of a full packet.
    pub(crate) fn new(now: Instant, kind: CongestionControl, packet_size: usize) -> Self {
        let controller: Box<dyn Controller> = match kind {
            CongestionControl::Bbr => Box::new(Bbr::new(now, packet_size)),
            CongestionControl::Cubic => Box::new(Cubic::new(packet_size)),
        };
        Self {
            controller,
            sampler: Sampler::new(now),
            pacer: Pacer::new(now, packet_size),
            packet_size,
            unused: 0,
            acked: 0,
            lost: 0,
        }
    }

    /// What may be sent now, with `in_flight` bytes unacknowledged. Ask again after each run.
    pub(crate) fn can_send(&mut self, now: Instant, in_flight: usize) -> Allowance {
        self.unused = 0;
        let window = self.controller.window();
        if in_flight >= window {
            return Allowance::WindowFull;
        }
        match self.pacer.allowance(now, self.controller.pacing_rate()) {
            Ok(bytes) => {
                self.unused = bytes.min(window - in_flight).max(self.packet_size);
                Allowance::Bytes(self.unused)
            }
            Err(at) => Allowance::Wait(at),
        }
    }

    /// A chunk of `bytes` leaves, for the first time or again. The flight keeps what is returned until its fate is known.
    pub(crate) fn on_sent(
        &mut self,
        now: Instant,
        bytes: usize,
        in_flight_before: usize,
    ) -> Snapshot {
        let snapshot = self.sampler.on_sent(now, bytes, in_flight_before);
        self.pacer.spend(bytes);
        self.unused = self.unused.saturating_sub(bytes);
        self.controller.on_sent(&Sent {
            now,
            bytes,
            in_flight: in_flight_before + bytes,
            app_limited: snapshot.app_limited(),
        });
        snapshot
    }

    /// A SACK newly acknowledged this chunk. Call [`Self::finish`] once the whole SACK is worked through.
    pub(crate) fn chunk_acked(
        &mut self,
        now: Instant,
        snapshot: &Snapshot,
        bytes: usize,
        retransmitted: bool,
    ) {
        self.acked += bytes;
        self.sampler
            .chunk_acked(now, snapshot, bytes, retransmitted);
    }

    /// This chunk is taken for lost and no longer counted as in flight. [`Self::finish`] follows, as for an acknowledgement.
    pub(crate) fn chunk_lost(&mut self, snapshot: &Snapshot, bytes: usize) {
        self.lost += bytes;
        let lost = self.sampler.chunk_lost(snapshot, bytes);
        self.controller.on_lost(&lost);
    }

    /// The SACK is worked through; `in_flight` is what remains, `rtt` a round trip measured with it (Karn's rule kept).
    pub(crate) fn finish(&mut self, now: Instant, in_flight: usize, rtt: Option<Duration>) {
        let (acked, lost) = (
            std::mem::take(&mut self.acked),
            std::mem::take(&mut self.lost),
        );
        if acked + lost == 0 {
            return;
        }
        let ack = Ack {
            now,
            acked,
            lost,
            in_flight,
            spare: self.unused >= self.packet_size,
            rtt,
            sample: self.sampler.finish(),
            delivered: self.sampler.delivered(),
        };
        self.controller.on_ack(&ack);
    }

    /// The retransmission timer fired. Chunks that are thereby lost are reported before with [`Self::chunk_lost`].
    pub(crate) fn on_timeout(&mut self, now: Instant, in_flight: usize) {
        self.acked = 0;
        self.lost = 0;
        self.controller.on_timeout(now, in_flight);
    }

    /// So many bytes taken for lost had arrived after all: reordering, or a duplicate TSN reported by the peer.
    pub(crate) fn spurious_loss(&mut self, bytes: usize) {
        self.sampler.spurious_loss(bytes);
        self.controller.on_spurious_loss(bytes);
    }

    /// There was room to send and nothing to send: what is measured until `in_flight` has arrived says nothing of the path.
    pub(crate) fn app_limited(&mut self, in_flight: usize) {
        if in_flight < self.controller.window() {
            self.sampler.app_limited(in_flight);
        }
    }

    /// Path MTU discovery found another size for full packets.
    pub(crate) fn set_packet_size(&mut self, bytes: usize) {
        self.packet_size = bytes;
        self.pacer.set_packet_size(bytes);
        self.controller.set_packet_size(bytes);
    }

    /// Figures to show.
    pub(crate) fn stats(&self) -> CongestionStats {
        let Model {
            bandwidth,
            min_rtt,
            phase,
        } = self.controller.model();
        CongestionStats {
            window: self.controller.window(),
            pacing_rate: self.controller.pacing_rate(),
            bandwidth,
            min_rtt,
            phase,
        }
    }
}

/// RFC 6928's initial window: ten packets. RFC 9260 §7.2.1 has four, from before pacing; what is paced harms no queue.
fn initial_window(packet_size: usize) -> usize {
    10 * packet_size
}
