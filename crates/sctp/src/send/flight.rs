//! What was sent and is not yet acknowledged for good: one entry a TSN, from the cumulative point on.
//!
//! Loss is detected in the manner of RACK (RFC 8985): a chunk is lost when one sent sufficiently later has arrived. Every step costs
//! amortised constant time whatever the window: transmissions are kept in the order they were made, and runs of acknowledged TSNs
//! are skipped by links that shorten themselves.

mod loss;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::loss::Arrived;
use super::{
    Limit,
    queue::{Fragment, MessageId},
};
use crate::{
    congestion::Snapshot,
    packet::{Data, Order, Sack},
    tsn::Tsn,
};

/// Chunks beyond this many after the cumulative point could not be acknowledged: gap blocks have 16 bits (RFC 9260 §3.3.4).
const WIDEST: usize = 65_000;

/// A list of so many gaps may be cut off: dcsctp names 20, others as many as a packet holds.
const LIST_MAY_BE_CUT: usize = 20;

/// A chunk that has a TSN.
#[derive(Debug)]
pub(super) struct Outstanding {
    message: MessageId,
    limit: Limit,
    stream: u16,
    unordered: bool,
    beginning: bool,
    ending: bool,
    ppid: u32,
    order: Order,
    payload: Bytes,
    state: State,
    retransmissions: u16,
    /// Numbers the latest transmission among all.
    transmission: u64,
    sent_at: Instant,
    snapshot: Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    /// Too old to be on the way, and beyond where the SACK's list of gaps was cut off: the peer has not said what became of it.
    Untold,
    /// Waits to be sent again.
    Lost,
    /// Acknowledged by a gap block; every TSN before `rest` is, too.
    Acked {
        rest: Tsn,
    },
}

/// What a SACK meant for one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) bytes: usize,
    pub(super) snapshot: Snapshot,
    pub(super) sent_at: Instant,
    pub(super) retransmitted: bool,
    /// The peer had no room to tell of it before: when it arrived is not known.
    pub(super) told_late: bool,
    /// It had been taken for lost and was not sent again yet: a mistake, plainly.
    pub(super) was_lost: bool,
}

/// A message of limited reliability, while parts of it are in flight.
#[derive(Debug, Default)]
struct Limited {
    outstanding: usize,
    abandoned: bool,
}

/// The flight. `base` is the first TSN not cumulatively acknowledged.
#[derive(Debug)]
pub(super) struct Flight {
    base: Tsn,
    entries: VecDeque<Outstanding>,
    /// Every transmission in the order made; some are out of date and skipped when they come to the front.
    transmissions: VecDeque<(Tsn, u64)>,
    lost: VecDeque<Tsn>,
    /// Those that became [`State::Untold`], in that order, until a SACK tells of them.
    untold: VecDeque<(Tsn, u64)>,
    in_flight: usize,
    unacknowledged: usize,
    next_transmission: u64,
    /// The latest transmission known to have arrived, and how long it took.
    newest_arrived: Option<(u64, Duration)>,
    /// The shortest round trip seen of chunks sent once.
    shortest: Option<Duration>,
    /// Chunks beyond this may have arrived without the SACK saying so: its list of gaps was cut off there.
    told_up_to: Option<Tsn>,
    /// By how much a chunk came later than one sent after it, at worst of late, and when that was.
    lateness: Option<(Duration, Instant)>,
    limited: HashMap<MessageId, Limited>,
}

impl Flight {
    pub(super) fn new(first: Tsn) -> Self {
        Self {
            base: first,
            entries: VecDeque::new(),
            transmissions: VecDeque::new(),
            lost: VecDeque::new(),
            untold: VecDeque::new(),
            in_flight: 0,
            unacknowledged: 0,
            next_transmission: 0,
            newest_arrived: None,
            shortest: None,
            told_up_to: None,
            lateness: None,
            limited: HashMap::new(),
        }
    }

    /// Payload bytes believed to be on the way.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Payload bytes the peer has not said to hold: on the way, lost and to be sent again, or untold.
    pub(super) const fn unacknowledged(&self) -> usize {
        self.unacknowledged
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= WIDEST
    }

    pub(super) fn next_tsn(&self) -> Tsn {
        self.base.plus(self.entries.len() as u32)
    }

    pub(super) const fn cumulative(&self) -> Tsn {
        self.base.previous()
    }

    /// Gives a fragment the next TSN: it is being sent for the first time.
    pub(super) fn push(&mut self, now: Instant, fragment: Fragment, snapshot: Snapshot) -> Tsn {
        let tsn = self.next_tsn();
        let transmission = self.count_transmission(tsn);
        self.in_flight += fragment.payload.len();
        self.unacknowledged += fragment.payload.len();
        if fragment.limit != Limit::None {
            self.limited
                .entry(fragment.message)
                .or_default()
                .outstanding += 1;
        }
        self.entries.push_back(Outstanding {
            message: fragment.message,
            limit: fragment.limit,
            stream: fragment.stream,
            unordered: fragment.unordered,
            beginning: fragment.beginning,
            ending: fragment.ending,
            ppid: fragment.ppid,
            order: fragment.order,
            payload: fragment.payload,
            state: State::InFlight,
            retransmissions: 0,
            transmission,
            sent_at: now,
            snapshot,
        });
        tsn
    }

    /// The chunk to send again next: its TSN and length. Those that arrived meanwhile are passed over; messages that may not be sent
    /// again are given up and named in `gave_up`.
    pub(super) fn next_lost(
        &mut self,
        now: Instant,
        gave_up: &mut Vec<(u16, MessageId)>,
    ) -> Option<(Tsn, usize)> {
        while let Some(&tsn) = self.lost.front() {
            let entry = self.index(tsn).map(|index| &self.entries[index]);
            if let Some(entry) = entry.filter(|entry| entry.state == State::Lost)
                && !self.is_abandoned(entry)
            {
                if !entry.limit.is_over(now, entry.retransmissions) {
                    return Some((tsn, entry.payload.len()));
                }
                gave_up.push((entry.stream, entry.message));
                self.limited.entry(entry.message).or_default().abandoned = true;
            }
            self.lost.pop_front();
        }
        None
    }

    /// A message was given up before its end was sent. This stands for the rest, is never sent, and makes sure that the peer is told to
    /// go on even if all that was sent of the message turns out to have arrived.
    pub(super) fn push_rest(&mut self, now: Instant, rest: Fragment, snapshot: Snapshot) {
        let tsn = self.push(now, rest, snapshot);
        let entry = self.entries.back_mut().expect("just pushed");
        debug_assert!(entry.payload.is_empty(), "nothing of it counts");
        entry.state = State::Lost;
        self.limited.entry(entry.message).or_default().abandoned = true;
        debug_assert_eq!(tsn.next(), self.next_tsn());
    }

    /// The chunk at the front of the lost ones is on its way again.
    pub(super) fn retransmitted(&mut self, now: Instant, tsn: Tsn, snapshot: Snapshot) {
        debug_assert_eq!(self.lost.front(), Some(&tsn), "asked for by next_lost");
        self.lost.pop_front();
        self.send_again(now, tsn, snapshot);
    }

    /// The oldest chunk is not to be probed for if its message may not be sent again: it is given up, unanswered as it is.
    pub(super) fn give_up_oldest(&mut self, now: Instant, gave_up: &mut Vec<(u16, MessageId)>) {
        let Some(entry) = self.entries.front() else {
            return;
        };
        if entry.limit.is_over(now, entry.retransmissions) && !self.is_abandoned(entry) {
            gave_up.push((entry.stream, entry.message));
            self.limited.entry(entry.message).or_default().abandoned = true;
        }
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// The first chunk not acknowledged is sent once more to learn what became of the rest; nothing counts as lost for it.
    pub(super) fn oldest(&self) -> Option<(Tsn, usize)> {
        let entry = self.entries.front()?;
        Some((self.base, entry.payload.len()))
    }

    pub(super) fn send_again(&mut self, now: Instant, tsn: Tsn, snapshot: Snapshot) {
        let transmission = self.count_transmission(tsn);
        let Some(index) = self.index(tsn) else { return };
        let entry = &mut self.entries[index];
        if entry.state != State::InFlight {
            self.in_flight += entry.payload.len();
        }
        entry.state = State::InFlight;
        entry.retransmissions = entry.retransmissions.saturating_add(1);
        entry.transmission = transmission;
        entry.sent_at = now;
        entry.snapshot = snapshot;
    }

    /// Whether a chunk is still on its way, for the first time or again.
    pub(super) fn is_under_way(&self, tsn: Tsn) -> bool {
        let state = self.index(tsn).map(|index| self.entries[index].state);
        state == Some(State::InFlight)
    }

    /// The chunk as it goes on the wire.
    pub(super) fn chunk(&self, tsn: Tsn, immediate: bool) -> Option<Data<'_>> {
        let entry = &self.entries[self.index(tsn)?];
        Some(Data {
            tsn,
            stream: entry.stream,
            unordered: entry.unordered,
            beginning: entry.beginning,
            ending: entry.ending,
            immediate,
            order: entry.order,
            ppid: entry.ppid,
            payload: &entry.payload,
        })
    }

    /// Takes in a SACK whose cumulative point is not older than ours nor beyond what was sent. Tells of each chunk that newly arrived.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        sack: &Sack<'_>,
        mut arrived: impl FnMut(Arrival),
    ) {
        let told_before = self.told_up_to.take();
        let told_late = |tsn: Tsn| told_before.is_some_and(|told| tsn > told);
        while self.base <= sack.cumulative {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            let late = told_late(self.base);
            self.base = self.base.next();
            if !matches!(entry.state, State::Acked { .. }) {
                let given_up = entry.state == State::Lost && self.is_abandoned(&entry);
                self.note_arrival(now, &Arrived::of(&entry, late));
                if !given_up {
                    arrived(Arrival::of(&entry, late));
                }
            }
            self.forget(&entry);
        }
        let cut_off = sack.gaps().len() >= LIST_MAY_BE_CUT;
        for (start, end) in sack.gaps() {
            let (start, end) = (
                sack.cumulative.plus(u32::from(start)),
                sack.cumulative.plus(u32::from(end)),
            );
            if start > end || end >= self.next_tsn() || start < self.base {
                continue; // nonsense, or older than what we know
            }
            let mut tsn = self.next_unacknowledged(start);
            while tsn <= end {
                let index = self.index(tsn).expect("between base and next");
                let entry = &mut self.entries[index];
                arrived(Arrival::of(entry, told_late(tsn)));
                let was = Arrived::of(entry, told_late(tsn));
                entry.state = State::Acked { rest: tsn.next() };
                self.note_arrival(now, &was);
                tsn = self.next_unacknowledged(tsn.next());
            }
            let index = self.index(start).expect("between base and next");
            self.entries[index].state = State::Acked { rest: tsn };
            if cut_off && self.told_up_to.is_none_or(|told| end > told) {
                self.told_up_to = Some(end);
            }
        }
        if matches!(
            self.entries.front(),
            Some(Outstanding {
                state: State::Acked { .. },
                ..
            })
        ) {
            self.renege();
        }
    }

    /// How far the peer should move on because what lies between was given up (RFC 3758 §3.5, C2), and what it skips of each stream.
    pub(super) fn advanced(&self) -> Option<(Tsn, Vec<Skipped>)> {
        let mut point = None;
        let mut skipped: Vec<Skipped> = Vec::new();
        let mut tsn = self.base;
        for entry in &self.entries {
            let abandoned = self.is_abandoned(entry);
            if !abandoned && !matches!(entry.state, State::Acked { .. }) {
                break;
            }
            if abandoned {
                skip(&mut skipped, entry);
                // Not past what arrived behind it: that may be half of an unordered message, and of those a receiver drops every
                // fragment up to the point (RFC 3758 §3.6; dcsctp and rtc-sctp do).
                point = Some(tsn);
            }
            tsn = tsn.next();
        }
        point.map(|point| (point, skipped))
    }

    /// Whether the first entry was given up, so that the peer has to be told to go on.
    pub(super) fn must_advance(&self) -> bool {
        self.entries
            .front()
            .is_some_and(|entry| self.is_abandoned(entry))
    }

    fn is_abandoned(&self, entry: &Outstanding) -> bool {
        entry.limit != Limit::None
            && self
                .limited
                .get(&entry.message)
                .is_some_and(|limited| limited.abandoned)
    }

    fn next_unacknowledged(&mut self, from: Tsn) -> Tsn {
        let mut tsn = from;
        let mut before: Option<usize> = None;
        while let Some(index) = self.index(tsn) {
            let State::Acked { rest } = self.entries[index].state else {
                break;
            };
            // Halve the path for whoever comes next.
            if let Some(before) = before {
                self.entries[before].state = State::Acked { rest };
            }
            before = Some(index);
            tsn = rest;
        }
        tsn
    }

    /// The peer had told of chunks that it has dropped again: they are to be sent once more (RFC 9260 §6.2.1, iv).
    fn renege(&mut self) {
        let mut tsn = self.base;
        for entry in &mut self.entries {
            if matches!(entry.state, State::Acked { .. }) {
                entry.state = State::Lost;
                self.unacknowledged += entry.payload.len();
                self.lost.push_back(tsn);
            }
            tsn = tsn.next();
        }
    }

    fn forget(&mut self, entry: &Outstanding) {
        if entry.limit == Limit::None {
            return;
        }
        if let Some(limited) = self.limited.get_mut(&entry.message) {
            limited.outstanding -= 1;
            if limited.outstanding == 0 {
                self.limited.remove(&entry.message);
            }
        }
    }

    fn count_transmission(&mut self, tsn: Tsn) -> u64 {
        self.next_transmission += 1;
        self.transmissions.push_back((tsn, self.next_transmission));
        self.next_transmission
    }

    fn index(&self, tsn: Tsn) -> Option<usize> {
        let index = usize::try_from(tsn.distance_from(self.base)).ok()?;
        (index < self.entries.len()).then_some(index)
    }
}

impl Arrival {
    fn of(entry: &Outstanding, told_late: bool) -> Self {
        Self {
            bytes: entry.payload.len(),
            snapshot: entry.snapshot,
            sent_at: entry.sent_at,
            retransmitted: entry.retransmissions > 0,
            told_late,
            was_lost: entry.state == State::Lost,
        }
    }
}

/// The last of a stream's messages that the peer must not wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) stream: u16,
    pub(super) unordered: bool,
    pub(super) order: Order,
}

fn skip(skipped: &mut Vec<Skipped>, entry: &Outstanding) {
    let new = Skipped {
        stream: entry.stream,
        unordered: entry.unordered,
        order: entry.order,
    };
    match skipped
        .iter_mut()
        .find(|old| old.stream == new.stream && old.unordered == new.unordered)
    {
        Some(old) => *old = new, // later TSNs carry later numbers
        None => skipped.push(new),
    }
}
