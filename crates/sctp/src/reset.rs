//! Stream reset (RFC 6525): a request at a time, numbered, answered, retransmitted.
//!
//! Pure, as all of this crate: the transport hands in what a RE-CONFIG chunk carried and takes out what to send. Ours: [`request`]
//! names a stream whose last message has been given its TSNs; [`poll_request`] makes one request of all that were named, at most one
//! is unanswered, and the timer sends it again as it was. The peer's: a request waits ("in progress") until everything the peer sent
//! before it has arrived, which is looked at whenever the peer asks again; performing it on our own would make stacks that ask
//! again under a new number (dcsctp before 2026) reset twice, the second time perhaps a stream in new use.
//!
//! What would change our side on the peer's wish is denied: resetting our outgoing streams, resetting TSNs, adding streams. Data
//! channels need none of it (RFC 8831 §6.7); all streams there can be are asked for in INIT.
//!
//! [`request`]: Resets::request
//! [`poll_request`]: Resets::poll_request

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    packet::{ReConfig, ResetResult, Streams},
    tsn::Tsn,
};

/// Streams in one request, so that it fits a packet of the smallest size.
const MAX_STREAMS: usize = 500;

/// A RE-CONFIG chunk with one parameter is no larger: ask [`Resets::poll_request`] and [`Resets::poll_response`] only with that
/// much room.
pub(crate) const MAX_CHUNK: usize = 4 + 16 + 2 * MAX_STREAMS;

/// A chunk carries two parameters at most (RFC 6525 §3.1), so that is what an honest peer can want to have answered again.
const REMEMBERED: usize = 2;

/// After so many a request counts as refused: Association.Max.Retrans (RFC 9260 §16).
const MAX_UNANSWERED: u32 = 10;

/// The timer doubles no further (RFC 9260 §16, RTO.Max).
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    /// The peer performed our request: sequence numbers of our stream begin anew.
    Outgoing { stream: u16 },
    /// The peer refuses to reset our stream, for good.
    Refused { stream: u16 },
    /// The peer reset its stream: expect its sequence numbers to begin anew.
    Incoming { stream: u16 },
    /// The peer reset all of its streams.
    AllIncoming,
}

/// Both sides of stream reset.
#[derive(Debug)]
pub(crate) struct Resets {
    /// The peer announced RE-CONFIG.
    supported: bool,
    /// The number of our next request.
    next: u32,
    /// Streams to be reset by us.
    waiting: VecDeque<u16>,
    outstanding: Option<Outstanding>,
    /// The number of the peer's last request.
    seen: u32,
    /// How the peer's last requests were answered, by number.
    answered: VecDeque<(u32, ResetResult)>,
    responses: VecDeque<(u32, ResetResult)>,
    events: VecDeque<Reset>,
}

/// A request that has no final answer.
#[derive(Debug)]
struct Outstanding {
    number: u32,
    /// The peer's last request when ours was made (RFC 6525 §4.1).
    response: u32,
    last_tsn: Tsn,
    /// In network order.
    streams: Vec<[u8; 2]>,
    /// Those of them that the peer has shown to be reset.
    assumed: Vec<u16>,
    /// To be sent now.
    due: bool,
    deadline: Option<Instant>,
    /// The peer has it and bade us wait.
    in_progress: bool,
    /// Unanswered in a row.
    unanswered: u32,
}

impl Resets {
    /// Requests are numbered from the initial TSNs on (RFC 6525 §4.1). `supported`: the peer announced RE-CONFIG (RFC 5061 §4.2.7).
    pub(crate) fn new(our_initial: Tsn, peer_initial: Tsn, supported: bool) -> Self {
        Self {
            supported,
            next: our_initial.0,
            waiting: VecDeque::new(),
            outstanding: None,
            seen: peer_initial.previous().0,
            answered: VecDeque::new(),
            responses: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Resets our stream. Nothing may be queued on it, or sent on it until [`Reset::Outgoing`].
    pub(crate) fn request(&mut self, stream: u16) {
        if self.supported {
            self.waiting.push_back(stream);
        } else {
            self.events.push_back(Reset::Refused { stream });
        }
    }

    /// The peer used a stream anew, which it does only after it has performed our request for it: its answer is late. Whether there was
    /// such a request; if so, the stream counts as reset.
    pub(crate) fn assume(&mut self, stream: u16) -> bool {
        match &mut self.outstanding {
            Some(request) if request.is_for(stream) => {
                request.assumed.push(stream);
                true
            }
            _ => false,
        }
    }

    /// One parameter of a RE-CONFIG chunk. `cumulative` is the last TSN up to which everything arrived.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        rto: Duration,
        parameter: &ReConfig<'_>,
        cumulative: Tsn,
    ) {
        match *parameter {
            ReConfig::OutgoingReset {
                request,
                last_tsn,
                streams,
                ..
            } => {
                if self.is_to_be_performed(request) {
                    let result = self.perform(streams, last_tsn, cumulative);
                    self.answer(request, result);
                }
            }
            ReConfig::IncomingReset { request, .. }
            | ReConfig::TsnReset { request }
            | ReConfig::AddOutgoing { request, .. }
            | ReConfig::AddIncoming { request, .. } => {
                if self.is_to_be_performed(request) {
                    self.answer(request, ResetResult::Denied);
                }
            }
            ReConfig::Response {
                response, result, ..
            } => self.handle_response(now, rto, response, result),
            ReConfig::Unknown(_) => {}
        }
    }

    /// The request to send now, if one is to be sent: new or again. `last_tsn` is the last that was given out.
    pub(crate) fn poll_request(
        &mut self,
        now: Instant,
        rto: Duration,
        last_tsn: Tsn,
    ) -> Option<ReConfig<'_>> {
        if self.outstanding.is_none() && !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_STREAMS);
            self.outstanding = Some(Outstanding {
                number: self.next,
                response: self.seen,
                last_tsn,
                streams: self.waiting.drain(..count).map(u16::to_be_bytes).collect(),
                assumed: Vec::new(),
                due: true,
                deadline: None,
                in_progress: false,
                unanswered: 0,
            });
            self.next = self.next.wrapping_add(1);
        }
        let request = self.outstanding.as_mut().filter(|request| request.due)?;
        request.due = false;
        request.in_progress = false;
        let backoff = rto
            .saturating_mul(1 << request.unanswered.min(16))
            .min(MAX_BACKOFF);
        request.deadline = Some(now + backoff);
        Some(ReConfig::OutgoingReset {
            request: request.number,
            response: request.response,
            last_tsn: request.last_tsn,
            streams: Streams(&request.streams),
        })
    }

    /// Whether [`Resets::poll_request`] or [`Resets::poll_response`] has something.
    pub(crate) fn has_output(&self) -> bool {
        !self.responses.is_empty()
            || self
                .outstanding
                .as_ref()
                .map_or(!self.waiting.is_empty(), |request| request.due)
    }

    /// The next answer to send.
    pub(crate) fn poll_response(&mut self) -> Option<ReConfig<'static>> {
        let (response, result) = self.responses.pop_front()?;
        Some(ReConfig::Response {
            response,
            result,
            next_tsns: None,
        })
    }

    /// What became of streams.
    pub(crate) fn poll_event(&mut self) -> Option<Reset> {
        self.events.pop_front()
    }

    /// When [`Resets::timeout`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.outstanding
            .as_ref()
            .and_then(|request| request.deadline)
    }

    /// Time has passed. A request that nobody answers is given up at last: data and heartbeats tell a dead path, so the failures need
    /// not be added to the path's (RFC 6525 §5.1.1 would), and a peer that merely ignores requests keeps its other channels.
    pub(crate) fn timeout(&mut self, now: Instant) {
        let Some(request) = self.outstanding.as_mut() else {
            return;
        };
        if request.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        request.deadline = None;
        request.due = true;
        if !request.in_progress {
            request.unanswered += 1;
        }
        if request.unanswered > MAX_UNANSWERED {
            self.settle(|stream| Reset::Refused { stream });
        }
    }

    /// Whether a request of this number is new, or was put off. Others are answered here: the last ones as before, any else as out of
    /// sequence (RFC 6525 §5.2.1).
    fn is_to_be_performed(&mut self, number: u32) -> bool {
        if number == self.seen.wrapping_add(1) {
            return true;
        }
        match self.answered.iter().find(|(of, _)| *of == number) {
            Some((_, ResetResult::InProgress)) => true,
            Some(&(_, result)) => {
                self.respond(number, result);
                false
            }
            None => {
                self.respond(number, ResetResult::BadSequenceNumber);
                false
            }
        }
    }

    fn perform(&mut self, streams: Streams<'_>, last_tsn: Tsn, cumulative: Tsn) -> ResetResult {
        if last_tsn > cumulative {
            return ResetResult::InProgress;
        }
        if streams.is_empty() {
            self.events.push_back(Reset::AllIncoming);
        }
        self.events
            .extend(streams.iter().map(|stream| Reset::Incoming { stream }));
        ResetResult::Performed
    }

    fn answer(&mut self, number: u32, result: ResetResult) {
        if let Some(answered) = self.answered.iter_mut().find(|(of, _)| *of == number) {
            answered.1 = result;
        } else {
            self.seen = number;
            if self.answered.len() == REMEMBERED {
                self.answered.pop_front();
            }
            self.answered.push_back((number, result));
        }
        self.respond(number, result);
    }

    /// A peer that asks for more answers in one burst than a chunk can want gets the first ones.
    fn respond(&mut self, number: u32, result: ResetResult) {
        if self.responses.len() < 2 * REMEMBERED {
            self.responses.push_back((number, result));
        }
    }

    fn handle_response(&mut self, now: Instant, rto: Duration, number: u32, result: ResetResult) {
        let Some(request) = self
            .outstanding
            .as_mut()
            .filter(|request| request.number == number)
        else {
            return;
        };
        match result {
            ResetResult::InProgress => {
                request.in_progress = true;
                request.unanswered = 0;
                request.due = false;
                request.deadline = Some(now + rto);
            }
            ResetResult::NothingToDo | ResetResult::Performed => {
                self.settle(|stream| Reset::Outgoing { stream });
            }
            ResetResult::Denied
            | ResetResult::WrongSsn
            | ResetResult::InProgressAlready
            | ResetResult::BadSequenceNumber
            | ResetResult::Unknown(_) => self.settle(|stream| Reset::Refused { stream }),
        }
    }

    fn settle(&mut self, event: impl Fn(u16) -> Reset) {
        if let Some(request) = self.outstanding.take() {
            let streams = request
                .streams
                .iter()
                .map(|&stream| u16::from_be_bytes(stream));
            let streams = streams.filter(|stream| !request.assumed.contains(stream));
            self.events.extend(streams.map(event));
        }
    }
}

impl Outstanding {
    fn is_for(&self, stream: u16) -> bool {
        self.streams.contains(&stream.to_be_bytes()) && !self.assumed.contains(&stream)
    }
}
