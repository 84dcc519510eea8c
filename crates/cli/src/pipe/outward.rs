//! From stdin to the other side: no further ahead of its stdout than the window.

use std::io;

use anyhow::{Context, Result, anyhow};
use crowfly_peer::Message;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::wire::{Control, WINDOW};

/// Bytes of a message.
const BLOCK: usize = 64 * 1024;

/// One direction.
#[derive(Debug)]
pub(super) struct Outward<R> {
    input: R,
    block: Vec<u8>,
    /// Bytes sent, and how many of them were written out over there.
    sent: u64,
    acknowledged: u64,
    /// The stream has ended here.
    ended: bool,
    /// The other side wants no more.
    refused: bool,
}

impl<R: AsyncRead + Unpin> Outward<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            block: vec![0; BLOCK],
            sent: 0,
            acknowledged: 0,
            ended: false,
            refused: false,
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the window has room for a block.
    pub(super) fn may_read(&self) -> bool {
        let ahead = self.sent - self.acknowledged;
        !self.ended && !self.refused && ahead + BLOCK as u64 <= WINDOW
    }

    /// All is written out over there, as far as anybody wants it.
    pub(super) fn is_done(&self) -> bool {
        self.refused || (self.ended && self.acknowledged == self.sent)
    }

    /// Reads a block; [`Outward::message`] makes of it what is to be sent. Cancel-safe.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        self.input.read(&mut self.block).await
    }

    /// The message that carries what was read.
    pub(super) fn message(&mut self, read: io::Result<usize>) -> Result<Message> {
        let count = read.context("could not read stdin")?;
        if count == 0 {
            self.ended = true;
            return Ok(Control::End { total: self.sent }.write().into());
        }
        self.sent += count as u64;
        Ok(self.block[..count].to_vec().into())
    }

    /// So many bytes were written out over there.
    pub(super) fn acknowledge(&mut self, total: u64) -> Result<()> {
        if total > self.sent {
            return Err(anyhow!("the other side has read more than was sent"));
        }
        self.acknowledged = self.acknowledged.max(total);
        Ok(())
    }

    /// Nobody reads over there any more.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_runs_further_ahead_than_the_window() {
        let mut outward = Outward::new(tokio::io::repeat(7));
        while outward.may_read() {
            let read = outward.read().await;
            outward.message(read).expect("a block");
        }
        assert_eq!(outward.sent(), WINDOW);
        outward.acknowledge(1).expect("it was sent");
        assert!(!outward.may_read(), "not a whole block");
        outward.acknowledge(BLOCK as u64).expect("it was sent");
        assert!(outward.may_read());
        assert!(outward.acknowledge(WINDOW + 1).is_err());
        outward.refuse();
        assert!(outward.is_done() && !outward.may_read());
    }

    #[tokio::test]
    async fn is_done_when_the_last_byte_is_written_out_there() {
        let mut outward = Outward::new(&b"caw"[..]);
        for message in [
            Message::from(b"caw".to_vec()),
            Control::End { total: 3 }.write().into(),
        ] {
            let read = outward.read().await;
            assert_eq!(outward.message(read).expect("read"), message);
        }
        assert!(!outward.is_done());
        outward.acknowledge(3).expect("it was sent");
        assert!(outward.is_done());
    }
}
