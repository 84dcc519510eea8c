//! The paths between machines, and the queue of what happens next.
//!
//! A path is a list of hops that a datagram passes in turn. A hop is a link today; hosts with addresses and NATs can become hops
//! without a change to machines or links.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::link::{LinkState, Nanos};
use crate::network::{LinkId, NodeId};

/// The way that what a machine sends takes.
#[derive(Debug, Default)]
pub(crate) struct Path {
    hops: Vec<LinkId>,
    to: Option<NodeId>,
    filter: Option<Filter>,
}

impl Path {
    pub(crate) fn lead(&mut self, hops: &[LinkId], to: NodeId) {
        self.hops = hops.to_vec();
        self.to = Some(to);
    }
}

/// Tells of a datagram and the time it is sent whether it passes.
pub(crate) type Passes = dyn FnMut(Duration, &[u8]) -> bool + Send;

struct Filter(Box<Passes>);

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

/// Everything between the machines.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) links: Vec<LinkState>,
    /// By the machine that sends.
    pub(crate) paths: Vec<Path>,
    events: BinaryHeap<Reverse<Event>>,
    pushed: u64,
    /// Buffers to use again.
    pub(crate) spare: Vec<Vec<u8>>,
}

impl Wire {
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.events.peek().map(|Reverse(event)| event.at)
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop().map(|Reverse(event)| event)
    }

    pub(crate) fn filter(&mut self, from: NodeId, passes: Box<Passes>) {
        self.paths[from.0].filter = Some(Filter(passes));
    }

    /// Another datagram for this machine at this very instant.
    pub(crate) fn arrived_too(&mut self, now: Nanos, node: NodeId) -> Option<Vec<u8>> {
        let Reverse(event) = self.events.peek()?;
        if event.at != now || event.node != node || !matches!(event.what, What::Datagram(_)) {
            return None;
        }
        match self.events.pop()?.0.what {
            What::Datagram(datagram) => Some(datagram),
            _ => None,
        }
    }

    pub(crate) fn push(&mut self, at: Nanos, node: NodeId, what: What) {
        self.pushed += 1;
        let order = self.pushed;
        self.events.push(Reverse(Event {
            at,
            order,
            node,
            what,
        }));
    }

    pub(crate) fn send(&mut self, now: Nanos, from: NodeId, datagram: &[u8]) {
        if let Some(Filter(passes)) = &mut self.paths[from.0].filter
            && !passes(Duration::from_nanos(now), datagram)
        {
            return;
        }
        self.hop(now, from, 0, datagram);
    }

    /// Lets a datagram pass the next hop of its path.
    pub(crate) fn hop(&mut self, now: Nanos, from: NodeId, hop: usize, datagram: &[u8]) {
        let path = &self.paths[from.0];
        let Some(to) = path.to else { return };
        let Some(&link) = path.hops.get(hop) else {
            let copy = self.copy(datagram);
            return self.push(now, to, What::Datagram(copy));
        };
        let last = hop + 1 == path.hops.len();
        let fate = self.links[link.0].carry(now, datagram.len());
        for at in fate.arrivals.into_iter().flatten() {
            let mut copy = self.copy(datagram);
            if fate.corrupt {
                self.links[link.0].damage(&mut copy);
            }
            let what = match last {
                true => What::Datagram(copy),
                false => What::Hop(from, hop + 1, copy),
            };
            self.push(at, to, what);
        }
    }

    fn copy(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(datagram);
        copy
    }
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) at: Nanos,
    /// Events of one instant happen in the order in which they were queued.
    order: u64,
    pub(crate) node: NodeId,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Wake,
    Datagram(Vec<u8>),
    /// A datagram of this machine reaches the hop of this number.
    Hop(NodeId, usize, Vec<u8>),
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Event {}
