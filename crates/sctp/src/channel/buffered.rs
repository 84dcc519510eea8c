//! The buffered amount of a channel, as the W3C counts it.

use std::collections::VecDeque;

/// How much of a channel's messages waits. The transport counts every byte queued on the stream; the W3C's `bufferedAmount` counts
/// the user's only: not DCEP, not the zero byte of an empty message. As a stream's queue is first in, first out, it is enough to
/// remember where those others lie.
#[derive(Debug, Default)]
pub(super) struct Buffered {
    /// Bytes ever queued, the others' included.
    end: u64,
    /// Bytes queued and not sent, the others' included.
    left: usize,
    /// Of these, the others'.
    others: usize,
    /// Where the others end that are not wholly sent, and their length; in order.
    marks: VecDeque<(u64, usize)>,
    threshold: usize,
}

impl Buffered {
    /// `bytes` were queued, `counted` of them the user's: all or none.
    pub(super) fn queue(&mut self, bytes: usize, counted: usize) {
        self.end += bytes as u64;
        self.left += bytes;
        if counted == 0 {
            self.others += bytes;
            self.marks.push_back((self.end, bytes));
        }
    }

    /// `left` bytes are queued still. Whether the amount fell from above the threshold to it or below.
    pub(super) fn left(&mut self, left: usize) -> bool {
        let before = self.amount();
        self.left = left.min(self.left);
        let sent = self.sent();
        while let Some(&(end, bytes)) = self.marks.front()
            && end <= sent
        {
            self.others -= bytes;
            self.marks.pop_front();
        }
        before > self.threshold && self.amount() <= self.threshold
    }

    /// The W3C's `bufferedAmount`.
    pub(super) fn amount(&self) -> usize {
        let partly_sent = self.marks.front().map_or(0, |&(end, bytes)| {
            bytes.saturating_sub((end - self.sent()) as usize)
        });
        self.left.saturating_sub(self.others - partly_sent)
    }

    pub(super) fn set_threshold(&mut self, threshold: usize) {
        self.threshold = threshold;
    }

    fn sent(&self) -> u64 {
        self.end - self.left as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_empty_messages_count_nothing() {
        let mut buffered = Buffered::default();
        buffered.queue(20, 0); // OPEN
        buffered.queue(100, 100);
        buffered.queue(1, 0); // an empty message
        buffered.queue(50, 50);
        assert_eq!(buffered.amount(), 150);
        for (left, amount) in [
            (160, 150),
            (151, 150),
            (150, 149),
            (51, 50),
            (50, 50),
            (10, 10),
            (0, 0),
        ] {
            buffered.left(left);
            assert_eq!(buffered.amount(), amount, "{left} left");
        }
    }

    #[test]
    fn low_is_told_once_when_it_falls_to_the_threshold() {
        let mut buffered = Buffered::default();
        buffered.set_threshold(10);
        buffered.queue(10, 10);
        assert!(!buffered.left(0), "it was never above");
        buffered.queue(30, 30);
        assert!(!buffered.left(11));
        assert!(buffered.left(10));
        assert!(!buffered.left(0), "told once");
    }

    #[test]
    fn a_threshold_of_nothing_is_met_by_nothing_left() {
        let mut buffered = Buffered::default();
        buffered.queue(5, 5);
        assert!(!buffered.left(1));
        assert!(buffered.left(0));
    }
}
