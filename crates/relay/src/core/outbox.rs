//! What is to be sent, gathered: datagrams of one size to one receiver become a train, which the kernel takes in one call.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::{AllocationId, Client};

/// What the kernel takes at once: UDP_MAX_SEGMENTS, and the longest datagram there is.
const MOST_DATAGRAMS: usize = 64;
const MOST_BYTES: usize = 65_000;

/// Where a datagram goes, and from which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Client(Client),
    Peer(AllocationId, SocketAddr),
}

/// Datagrams to one receiver: all of `segment` bytes but the last, which may be shorter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Train {
    pub(super) target: Target,
    start: usize,
    end: usize,
    pub(super) segment: usize,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    trains: VecDeque<Train>,
}

impl Outbox {
    /// Appends what `write` writes as one datagram to `target`; nothing if it writes nothing.
    pub(super) fn push(&mut self, target: Target, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        if self.trains.is_empty() {
            self.bytes.clear();
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        let length = end - start;
        if length == 0 {
            return 0;
        }
        if let Some(last) = self.trains.back_mut() {
            let carried = last.end - last.start;
            if last.target == target
                && length <= last.segment
                && carried.is_multiple_of(last.segment)
                && carried < last.segment * MOST_DATAGRAMS
                && carried + length <= MOST_BYTES
            {
                last.end = end;
                return length;
            }
        }
        self.trains.push_back(Train {
            target,
            start,
            end,
            segment: length,
        });
        length
    }

    /// Takes back the datagram pushed last, of `length` bytes.
    pub(super) fn take_back(&mut self, length: usize) {
        self.bytes.truncate(self.bytes.len() - length);
        if let Some(last) = self.trains.back_mut() {
            last.end -= length;
            if last.end == last.start {
                self.trains.pop_back();
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Train, &[u8])> {
        let train = self.trains.pop_front()?;
        Some((train, &self.bytes[train.start..train.end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Via;

    fn target(port: u16) -> Target {
        let from = SocketAddr::from(([192, 0, 2, 1], port));
        Target::Client(Client {
            via: Via::Udp(0),
            from,
            to: from.ip(),
        })
    }

    fn lengths(outbox: &mut Outbox) -> Vec<(usize, usize)> {
        let pop = || {
            let (train, bytes) = outbox.pop()?;
            Some((bytes.len(), train.segment))
        };
        std::iter::from_fn(pop).collect()
    }

    #[test]
    fn equal_datagrams_to_one_receiver_travel_together_and_the_last_may_be_shorter() {
        let mut outbox = Outbox::default();
        for (port, length) in [
            (1, 100),
            (1, 100),
            (1, 60),
            (1, 60),
            (2, 60),
            (1, 0),
            (2, 80),
            (2, 80),
        ] {
            outbox.push(target(port), |out| out.extend(vec![7; length]));
        }
        assert_eq!(
            lengths(&mut outbox),
            [(260, 100), (60, 60), (60, 60), (160, 80)]
        );
    }

    #[test]
    fn no_train_is_longer_than_the_kernel_takes() {
        let mut outbox = Outbox::default();
        for _ in 0..200 {
            outbox.push(target(1), |out| out.push(1));
            outbox.push(target(1), |out| out.push(1));
        }
        assert_eq!(
            lengths(&mut outbox),
            [[(64, 1); 6].as_slice(), &[(16, 1)]].concat()
        );
        for _ in 0..60 {
            outbox.push(target(1), |out| out.extend([1; 1200]));
        }
        assert_eq!(lengths(&mut outbox), [(54 * 1200, 1200), (6 * 1200, 1200)]);
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut outbox = Outbox::default();
        let length = outbox.push(target(1), |out| out.extend([1; 68]));
        outbox.take_back(length);
        assert!(outbox.pop().is_none());
    }
}
