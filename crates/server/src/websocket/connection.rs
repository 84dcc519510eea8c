//! One client's task: reads, takes messages apart, hands them on, and notices the end.
//!
//! Written as a future by hand because its size is paid for every idle client.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

use crate::http::Permits;

use super::frames::{Decoder, Received};
use super::outbox::Phase;
use super::{Burst, Socket, Sockets};

/// Reads of one client before others get their turn.
const READS_A_TURN: usize = 4;
/// Read by one call at most, and so handed on in one burst. Ten ordinary messages; what a flood makes others wait for stays small.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// Bytes on their way through. One buffer a thread, not one a client: nobody keeps it across an await.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Runs one client until its connection has ended.
pub(crate) struct Connection {
    sockets: Arc<Sockets>,
    socket: Arc<Socket>,
    reader: OwnedReadHalf,
    decoder: Decoder,
    /// The message that had been begun when the bytes read last were through, as the decoder numbers it.
    unfinished: Option<u32>,
    /// The handler knows that this client is gone.
    reported: bool,
    /// What the client says no longer matters: it broke the protocol or is being closed.
    deaf: bool,
    _permits: Permits,
}

impl Connection {
    pub(super) fn new(
        sockets: Arc<Sockets>,
        socket: Arc<Socket>,
        reader: OwnedReadHalf,
        permits: Permits,
    ) -> Self {
        let decoder = Decoder::new(sockets.limits.max_message);
        Self {
            sockets,
            socket,
            reader,
            decoder,
            unfinished: None,
            reported: false,
            deaf: false,
            _permits: permits,
        }
    }

    /// Takes bytes that came in together with the upgrade request.
    pub(super) fn feed(&mut self, bytes: &mut [u8]) {
        let mut burst = Burst::default();
        self.receive(bytes, &mut burst);
        burst.flush();
    }

    fn read(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let read = ready!(Pin::new(&mut self.reader).poll_read(context, &mut buffer));
            let bytes = buffer.filled_mut();
            if read.is_err() || bytes.is_empty() {
                return Poll::Ready(false);
            }
            self.feed(bytes);
            Poll::Ready(true)
        })
    }

    fn receive(&mut self, bytes: &mut [u8], burst: &mut Burst) {
        self.socket.heard();
        self.sockets.metrics.received(bytes.len());
        let Self {
            sockets,
            socket,
            decoder,
            ..
        } = self;
        if self.deaf {
            return;
        }
        let fed = decoder.feed(bytes, |received| {
            match received {
                Received::Text(text) => sockets.handler.text(socket, text, burst),
                Received::Binary(bytes) => sockets.handler.binary(socket, bytes, burst),
                Received::Ping(payload) => {
                    burst.queue(socket, |outbox, now| outbox.pong(payload, now))
                }
                Received::Pong => {}
                Received::Close(code) => {
                    burst.queue(socket, |outbox, now| outbox.close_received(code, now));
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        if let Err(violation) = fed {
            self.deaf = true;
            burst.close(socket, violation.code, violation.reason);
        }
        self.note_unfinished();
    }

    /// A message has its time from its first byte, however many more come: the one sweep over all clients watches that.
    fn note_unfinished(&mut self) {
        let unfinished = self.decoder.unfinished();
        if unfinished != self.unfinished {
            self.unfinished = unfinished;
            self.socket.outbox().unfinished_since = unfinished.map(|_| Instant::now());
        }
    }

    fn report(&mut self) {
        if !std::mem::replace(&mut self.reported, true) {
            self.sockets.handler.closed(&self.socket);
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..READS_A_TURN {
            match this.socket.poll(context) {
                Phase::Open => {}
                Phase::Closing { .. } | Phase::Answering { .. } => this.report(),
                Phase::Done => return Poll::Ready(()),
            }
            if !ready!(this.read(context)) {
                return Poll::Ready(());
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.report();
        self.sockets.forget(&self.socket);
    }
}

/// When a phase began, as far as it has a deadline.
pub(super) fn ending_since(phase: Phase) -> Option<Instant> {
    match phase {
        Phase::Closing { since } | Phase::Answering { since } => Some(since),
        Phase::Open | Phase::Done => None,
    }
}
