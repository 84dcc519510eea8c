//! From the other side to stdout: taken as it comes, within the window, written as fast as whoever reads it, told as it is written.

use std::collections::VecDeque;
use std::io;

use anyhow::{Result, anyhow};
use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::wire::{Control, WINDOW};

/// Tell what was written at least so often.
const REPORT_EVERY: u64 = WINDOW / 8;

/// One direction.
#[derive(Debug)]
pub(super) struct Inward<W> {
    out: W,
    waiting: VecDeque<Bytes>,
    /// Handed to `out` and not flushed yet.
    flushing: u64,
    /// Bytes that came, were written out, and are known over there to be; and how many there are in all.
    received: u64,
    written: u64,
    reported: u64,
    total: Option<u64>,
    /// Nobody reads here any more.
    broken: bool,
}

impl<W: AsyncWrite + Unpin> Inward<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            waiting: VecDeque::new(),
            flushing: 0,
            received: 0,
            written: 0,
            reported: 0,
            total: None,
            broken: false,
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether [`Inward::advance`] has something to do.
    pub(super) fn is_pending(&self) -> bool {
        !self.broken && (self.flushing > 0 || !self.waiting.is_empty())
    }

    /// All that there was is written out, or nobody wants it.
    pub(super) fn is_through(&self) -> bool {
        self.broken || self.total == Some(self.written)
    }

    /// And the other side has been told.
    pub(super) fn is_done(&self) -> bool {
        self.broken || (self.is_through() && self.reported == self.written)
    }

    /// Bytes of the stream.
    pub(super) fn take(&mut self, bytes: Bytes) -> Result<()> {
        self.received += bytes.len() as u64;
        if self.total.is_some() {
            return Err(anyhow!(
                "the other side sent more after the end of its stream"
            ));
        }
        if self.broken || bytes.is_empty() {
            return Ok(());
        }
        if self.received - self.written > WINDOW {
            return Err(anyhow!("the other side sent more at once than was agreed"));
        }
        self.waiting.push_back(bytes);
        Ok(())
    }

    /// The stream has ended, and had so many bytes. The channel keeps the order, so they have all come.
    pub(super) fn end(&mut self, total: u64) -> Result<Option<Control>> {
        if total != self.received {
            return Err(anyhow!(
                "bytes were lost: {} came of {total}",
                self.received
            ));
        }
        self.total = Some(total);
        Ok(self.report())
    }

    /// One step of writing, and what the other side is to be told of it. Cancel-safe.
    pub(super) async fn advance(&mut self) -> Result<Option<Control>> {
        match self.step().await {
            Ok(()) => Ok(self.report()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.broken = true;
                self.waiting.clear();
                Ok(Some(Control::Closed))
            }
            Err(error) => Err(anyhow::Error::from(error).context("could not write to stdout")),
        }
    }

    async fn step(&mut self) -> io::Result<()> {
        if self.flushing > 0 {
            self.out.flush().await?;
            self.written += std::mem::take(&mut self.flushing);
            return Ok(());
        }
        let Some(first) = self.waiting.front_mut() else {
            return std::future::pending().await;
        };
        let count = self.out.write(first).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.flushing = count as u64;
        first.advance(count);
        if first.is_empty() {
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// How much was written, when it is worth a message.
    fn report(&mut self) -> Option<Control> {
        let behind = self.written - self.reported;
        if behind == 0 || (!self.is_through() && behind < REPORT_EVERY) {
            return None;
        }
        self.reported = self.written;
        Some(Control::Read {
            total: self.written,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn drained(inward: &mut Inward<impl AsyncWrite + Unpin>) -> Vec<Control> {
        let mut said = Vec::new();
        while inward.is_pending() {
            said.extend(inward.advance().await.expect("written"));
        }
        said
    }

    #[tokio::test]
    async fn the_end_is_told_when_all_is_written() {
        let mut inward = Inward::new(Vec::new());
        inward.take(Bytes::from_static(b"ca")).expect("taken");
        inward.take(Bytes::from_static(b"w")).expect("taken");
        assert!(inward.end(3).expect("an end").is_none());
        assert!(!inward.is_through());
        assert_eq!(drained(&mut inward).await, [Control::Read { total: 3 }]);
        assert!(inward.is_done());
        assert_eq!(inward.out, b"caw");
    }

    #[tokio::test]
    async fn an_empty_stream_is_through_at_once() {
        let mut inward = Inward::new(Vec::new());
        assert!(!inward.is_done());
        assert!(inward.end(0).expect("an end").is_none());
        assert!(inward.is_done());
    }

    #[tokio::test]
    async fn what_breaks_the_rules_is_an_error() {
        let mut inward = Inward::new(Vec::new());
        inward.take(Bytes::from_static(b"caw")).expect("taken");
        assert!(inward.end(4).is_err(), "a byte was lost");
        inward.end(3).expect("an end");
        assert!(
            inward.take(Bytes::from_static(b"!")).is_err(),
            "after the end"
        );
        let mut inward = Inward::new(Vec::new());
        let block = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..8 {
            inward.take(block.clone()).expect("within the window");
        }
        assert!(inward.take(Bytes::from_static(b"!")).is_err(), "beyond it");
    }

    #[tokio::test]
    async fn where_nobody_reads_the_other_side_is_told_so() {
        let (out, reader) = tokio::io::duplex(16);
        drop(reader);
        let mut inward = Inward::new(out);
        inward.take(Bytes::from_static(b"caw")).expect("taken");
        assert_eq!(drained(&mut inward).await, [Control::Closed]);
        assert!(inward.is_done());
        inward
            .take(Bytes::from_static(b"caw"))
            .expect("passed over");
    }
}
