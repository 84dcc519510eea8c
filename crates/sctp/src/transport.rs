//! The transport: the association of RFC 9260, with raw streams.
//!
//! [`Transport::handle_input`] takes packets and timeouts, [`Transport::poll_output`] yields runs of packets, events, and the next
//! timeout. The parts: [`handshake`] up to COOKIE ACK, [`link`] what exists from the peer's INIT on (both halves), [`packets`] what
//! arrives and [`run`] what leaves, [`liveness`] heartbeats and path MTU probes, [`closing`] shutdown and abort.

mod capabilities;
mod closing;
mod cookie;
mod handshake;
mod link;
mod liveness;
mod packets;
mod run;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chacha20::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use self::{link::Link, liveness::Liveness};
use crate::{
    association::{CloseReason, Config, Input, Stats},
    channel::{MESSAGE_COST, Reliability},
    packet::{Init, write_init},
    send::SendOptions,
    tsn::Tsn,
};

/// Where the association is (RFC 9260 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    CookieWait,
    CookieEchoed,
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
    /// Over; unlike `Closed` nothing can follow.
    Ended,
}

impl State {
    /// The handshake is done, and the end is not.
    const fn is_up(self) -> bool {
        !matches!(
            self,
            Self::Closed | Self::CookieWait | Self::CookieEchoed | Self::Ended
        )
    }

    /// DATA may leave on its own.
    const fn sends_data(self) -> bool {
        matches!(
            self,
            Self::Established | Self::ShutdownPending | Self::ShutdownReceived
        )
    }

    /// The user's data was all sent and acknowledged; new data is not taken any more (RFC 9260 §9.2).
    const fn is_drained(self) -> bool {
        matches!(
            self,
            Self::ShutdownSent | Self::ShutdownAckSent | Self::Ended
        )
    }
}

/// A chunk that waits to be written.
#[derive(Debug)]
enum Control {
    Init,
    InitAck {
        to: u32,
        init: Init,
        cookie: Vec<u8>,
        unrecognized: Vec<Vec<u8>>,
    },
    CookieEcho,
    CookieAck,
    Heartbeat([u8; 8]),
    HeartbeatAck(Vec<u8>),
    /// An ERROR with the cause "unrecognized chunk type".
    Unrecognized(Vec<u8>),
    InvalidStream(u16),
    StaleCookie(u32),
    Shutdown,
    ShutdownAck,
    /// With the tag and T bit it must have.
    ShutdownComplete {
        tag: u32,
        reflected: bool,
    },
    /// The last thing said, to whom, and why.
    Abort {
        tag: u32,
        cause: AbortCause,
    },
}

/// Why an ABORT is sent.
#[derive(Debug)]
enum AbortCause {
    User(String),
    Violation(String),
    /// The packet belongs to no association any more; the tag is its own, reflected (RFC 9260 §8.4).
    OutOfTheBlue,
}

/// More answers than this do not wait: a peer that asks faster than it lets us speak gets fewer.
const MOST_CONTROLS: usize = 32;

/// What the layer above hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TransportEvent {
    /// Messages may be queued.
    Established {
        /// Streams each way.
        streams: u16,
    },
    /// The peer began anew and knows nothing of what was before; `Established` follows.
    Restarted,
    Message {
        stream: u16,
        ppid: u32,
        payload: Bytes,
    },
    /// The buffered amount of a stream fell.
    Sent {
        stream: u16,
    },
    /// The outgoing stream was reset, as asked for.
    OutgoingReset {
        stream: u16,
    },
    /// The outgoing stream will never be reset.
    OutgoingResetRefused {
        stream: u16,
    },
    /// The peer reset its stream, or all of them.
    IncomingReset {
        stream: Option<u16>,
    },
    Closed {
        reason: CloseReason,
    },
}

/// What [`Transport::poll_output`] yields.
#[derive(Debug)]
pub(crate) enum TransportOutput {
    Transmit { segment_size: usize },
    Event(TransportEvent),
    Timeout(Option<Instant>),
}

/// One association, from before the handshake to after the end.
#[derive(Debug)]
pub(crate) struct Transport {
    config: Config,
    random: ChaCha20Rng,
    cookie_key: [u8; 32],
    /// Times in cookies and heartbeats count from here: the first time anything was heard of a clock.
    epoch: Option<Instant>,
    state: State,
    local: Init,
    link: Option<Link>,
    control: VecDeque<Control>,
    events: VecDeque<TransportEvent>,
    /// Events that come once so many messages were handed on.
    after_messages: VecDeque<(u64, TransportEvent)>,
    /// The peer's cookie, while it is being echoed.
    cookie: Vec<u8>,
    /// T1 and T2 (RFC 9260 §4): the next time a packet of handshake or shutdown is sent again, and how often it was.
    handshake_due: Option<Instant>,
    shutdown_due: Option<Instant>,
    attempts: u32,
    liveness: Liveness,
    /// Whether the user takes messages.
    reading: bool,
    counts: Stats,
}

impl Transport {
    pub(crate) fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut cookie_key = [0; 32];
        random.fill_bytes(&mut cookie_key);
        let liveness = Liveness::new(&config);
        let mut transport = Self {
            config,
            random,
            cookie_key,
            epoch: None,
            state: State::Closed,
            local: Init {
                tag: 0,
                window: 0,
                outbound_streams: 0,
                inbound_streams: 0,
                initial_tsn: Tsn(0),
            },
            link: None,
            control: VecDeque::new(),
            events: VecDeque::new(),
            after_messages: VecDeque::new(),
            cookie: Vec::new(),
            handshake_due: None,
            shutdown_due: None,
            attempts: 0,
            liveness,
            reading: true,
            counts: Stats::default(),
        };
        transport.local = transport.draw_init();
        transport
    }

    pub(crate) fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.epoch.get_or_insert(now);
        match input {
            Input::Datagram(bytes) if self.state == State::Ended => {
                self.handle_out_of_the_blue(bytes)
            }
            _ if self.state == State::Ended => {}
            Input::Connect => self.connect(now),
            Input::RemoteInit(init) => self.remote_init(now, init),
            Input::Datagram(bytes) => self.handle_packet(now, bytes),
            Input::Timeout => self.handle_timeout(now),
        }
        if self.state.is_up() {
            self.liveness.start(now);
        }
    }

    pub(crate) fn poll_output(&mut self, now: Instant, buf: &mut Vec<u8>) -> TransportOutput {
        buf.clear();
        if let Some(event) = self.poll_event() {
            return TransportOutput::Event(event);
        }
        match self.write_run(now, buf) {
            Some(segment_size) => TransportOutput::Transmit { segment_size },
            // Writing may have found that something was given up, or the end.
            None => match self.poll_event() {
                Some(event) => TransportOutput::Event(event),
                None => TransportOutput::Timeout(self.deadline()),
            },
        }
    }

    pub(crate) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// Whether either side has begun to end the association: the user's messages are not taken any more (RFC 9260 §9.2).
    pub(crate) const fn is_ending(&self) -> bool {
        matches!(
            self.state,
            State::ShutdownPending
                | State::ShutdownSent
                | State::ShutdownReceived
                | State::ShutdownAckSent
        )
    }

    /// Queues a message that is not empty. Before `Established` and after the end it goes nowhere.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        payload: Bytes,
        options: &SendOptions,
    ) {
        if let Some(link) = self.link.as_mut().filter(|_| !self.state.is_drained()) {
            // A peer that FORWARD TSN says nothing to would wait for ever for what was given up (RFC 3758 §3.3.1).
            let reliability = match link.capabilities.forward_tsn {
                true => options.reliability,
                false => Reliability::Reliable,
            };
            let options = SendOptions {
                reliability,
                ..*options
            };
            link.sender.push(now, stream, ppid, payload, &options);
        }
    }

    /// Bytes of a stream's messages that are in no packet yet.
    pub(crate) fn buffered(&self, stream: u16) -> usize {
        self.link
            .as_ref()
            .map_or(0, |link| link.sender.buffered(stream))
    }

    /// What waits over all streams, with what keeping each message costs: no flood of tiny ones passes for nothing.
    pub(crate) fn queued(&self) -> usize {
        self.link.as_ref().map_or(0, |link| {
            link.sender.total_buffered() + link.sender.waiting() * MESSAGE_COST
        })
    }

    /// Resets the outgoing stream once everything queued on it went out.
    pub(crate) fn reset_stream(&mut self, stream: u16) {
        if let Some(link) = &mut self.link {
            link.to_reset.push(stream);
        }
    }

    /// The peer used a stream anew while its answer to our reset of it is still out. Whether that answer can only be "performed".
    pub(crate) fn assume_reset(&mut self, stream: u16) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        let performed = link.resets.assume(stream);
        if performed {
            link.sender.restart_stream(stream);
        }
        performed
    }

    /// Our INIT chunk, as SNAP puts it into the session description.
    pub(crate) fn local_init(&self) -> Bytes {
        let mut chunk = Vec::new();
        self.own_capabilities()
            .with_parameters(|parameters| write_init(&mut chunk, &self.local, parameters));
        chunk.into()
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counts;
        let Some(link) = &self.link else { return stats };
        let (counts, congestion) = (link.sender.counts(), link.sender.congestion());
        stats.chunks_sent = counts.chunks_sent;
        stats.chunks_retransmitted = counts.chunks_retransmitted;
        stats.chunks_duplicate = link.receiver.duplicates();
        stats.chunks_needless = counts.chunks_needless;
        stats.messages_sent = counts.messages_sent;
        stats.messages_abandoned = counts.messages_abandoned;
        stats.timeouts = counts.timeouts;
        stats.in_flight = link.sender.in_flight();
        stats.buffered = link.sender.total_buffered();
        stats.congestion_window = congestion.window;
        stats.peer_window = link.sender.peer_window();
        stats.pacing_rate = congestion.pacing_rate;
        stats.delivery_rate = congestion.bandwidth;
        stats.rtt = link.sender.round_trip().smoothed();
        stats.min_rtt = congestion.min_rtt;
        stats.packet_size = self.liveness.packet_size();
        stats.interleaving = link.capabilities.interleaving;
        stats.zero_checksum = link.capabilities.zero_checksum;
        stats
    }

    pub(crate) fn poll_event(&mut self) -> Option<TransportEvent> {
        self.collect_resets();
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        // What arrived before a stream's reset is handed on before it, and stays in the receive window until then.
        if let Some((_, event)) = self
            .after_messages
            .pop_front_if(|(messages, _)| *messages <= self.counts.messages_received)
        {
            return Some(event);
        }
        let link = self.link.as_mut()?;
        if self.reading
            && let Some(message) = link.receiver.poll_message()
        {
            self.counts.messages_received += 1;
            return Some(TransportEvent::Message {
                stream: message.stream,
                ppid: message.ppid,
                payload: message.payload,
            });
        }
        link.sender
            .poll_fell()
            .map(|stream| TransportEvent::Sent { stream })
    }

    fn handle_timeout(&mut self, now: Instant) {
        let is_due = |due: Option<Instant>| due.is_some_and(|at| at <= now);
        if is_due(self.handshake_due) {
            self.handshake_timeout(now);
        }
        if is_due(self.shutdown_due) {
            self.shutdown_timeout(now);
        }
        self.check_liveness(now);
        if let Some(link) = &mut self.link {
            link.sender.handle_timeout(now);
            link.resets.timeout(now);
            if link.sender.expiries() > self.config.max_retransmissions {
                self.close(CloseReason::PeerUnreachable);
            }
            self.check_sizes(now);
        }
    }

    /// The earliest of all timers.
    fn deadline(&self) -> Option<Instant> {
        if self.state == State::Ended {
            return None;
        }
        let mut deadline = [self.handshake_due, self.shutdown_due]
            .into_iter()
            .flatten()
            .min();
        let mut consider = |at: Option<Instant>| deadline = deadline.into_iter().chain(at).min();
        if let Some(link) = &self.link {
            consider(link.sender.deadline(self.state.sends_data()));
            consider(link.receiver.sack_deadline());
            consider(link.resets.deadline());
        }
        if self.state.is_up() {
            consider(self.liveness.deadline());
        }
        deadline
    }

    /// Lets a chunk wait to be written, unless too many do.
    fn answer(&mut self, control: Control) {
        if self.control.len() < MOST_CONTROLS {
            self.control.push_back(control);
        }
    }

    /// Milliseconds since the beginning.
    fn elapsed(&self, now: Instant) -> u64 {
        let elapsed = self
            .epoch
            .map_or(Duration::ZERO, |epoch| now.saturating_duration_since(epoch));
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}
