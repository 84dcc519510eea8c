//! What waits to be written to one client: a bounded queue in front of a socket that is written to directly.
//!
//! A frame for an idle client goes to the kernel from the task that produced it; nothing waits and no other task wakes. Only when
//! the kernel takes no more does the client's own task take over.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::net::tcp::OwnedWriteHalf;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frames::{Head, close_payload};

/// Frames handed to the kernel in one call.
const BATCH: usize = 16;
/// What a waiting frame costs beside its payload: its place in the queue, which may be half empty, and the allocator's share.
/// Counted, or a queue of tiny messages would take many times its limit.
const FRAME_COST: usize = 96;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Our close frame is queued or sent; the client has until a deadline to answer (RFC 6455 §7.1.1).
    Closing {
        since: Instant,
    },
    /// The client closed; only our answer is still to be written.
    Answering {
        since: Instant,
    },
    /// Nothing more is read or written.
    Done,
}

/// The writing side of one connection.
#[derive(Debug)]
pub(super) struct Outbox {
    writer: Option<OwnedWriteHalf>,
    frames: VecDeque<(Head, Vec<u8>)>,
    /// Bytes of the first frame that the kernel has already.
    sent_of_first: usize,
    /// Memory that `frames` take, in bytes.
    queued: usize,
    limit: usize,
    phase: Phase,
    /// The kernel took no more: the task waits for the socket.
    blocked: bool,
    /// Frames were queued since the last flush.
    dirty: bool,
    task: Option<Waker>,
    /// Our ping was sent then and nothing was heard since.
    pub(super) pinged: Option<Instant>,
    /// The client has begun a message then and not ended it.
    pub(super) unfinished_since: Option<Instant>,
    /// When the last ping was sent, or the connection opened.
    pub(super) last_ping: Instant,
    /// Why we closed, as code and reason, once.
    closed_with: Option<(u16, &'static str)>,
    written: u64,
}

impl Outbox {
    pub(super) fn new(writer: OwnedWriteHalf, limit: usize, now: Instant) -> Self {
        Self {
            writer: Some(writer),
            frames: VecDeque::new(),
            sent_of_first: 0,
            queued: 0,
            limit,
            phase: Phase::Open,
            blocked: false,
            dirty: false,
            task: None,
            pinged: None,
            unfinished_since: None,
            last_ping: now,
            closed_with: None,
            written: 0,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn closed_with(&self) -> Option<(u16, &'static str)> {
        self.closed_with
    }

    /// Bytes the kernel took since the last call.
    pub(super) fn take_written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }

    /// Queues a text message. True when this is the first frame since the last flush.
    pub(super) fn text(&mut self, text: String, now: Instant) -> bool {
        self.push(OpCode::Data(Data::Text), text.into_bytes(), now)
    }

    /// Queues a binary message.
    pub(super) fn binary(&mut self, bytes: Vec<u8>, now: Instant) -> bool {
        self.push(OpCode::Data(Data::Binary), bytes, now)
    }

    pub(super) fn ping(&mut self, now: Instant) -> bool {
        self.pinged = Some(now);
        self.last_ping = now;
        self.push(OpCode::Control(Control::Ping), Vec::new(), now)
    }

    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> bool {
        self.push(OpCode::Control(Control::Pong), payload.to_vec(), now)
    }

    /// Queues a close frame behind what waits already; whatever is queued later is dropped.
    pub(super) fn close(&mut self, code: u16, reason: &'static str, now: Instant) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        let first = self.enqueue(OpCode::Control(Control::Close), close_payload(code, reason));
        self.phase = Phase::Closing { since: now };
        self.closed_with = Some((code, reason));
        self.wake();
        first
    }

    /// The client's close frame came: answers it, or takes it as the answer to ours (RFC 6455 §5.5.1, §7.1.1).
    pub(super) fn close_received(&mut self, code: Option<u16>, now: Instant) -> bool {
        if self.phase != Phase::Open {
            self.finish();
            return false;
        }
        let payload = code.map_or_else(Vec::new, |code| close_payload(code, ""));
        let first = self.enqueue(OpCode::Control(Control::Close), payload);
        self.phase = Phase::Answering { since: now };
        first
    }

    /// Ends the connection without further words.
    pub(super) fn finish(&mut self) {
        self.phase = Phase::Done;
        self.frames = VecDeque::new();
        self.queued = 0;
        if let Some(writer) = self.writer.take() {
            // The task ends and closes the socket, which says all that a FIN sent first would.
            writer.forget();
        }
        self.wake();
    }

    /// Writes what the kernel takes now.
    pub(super) fn flush(&mut self) {
        self.dirty = false;
        while !self.frames.is_empty() {
            match self.write_batch() {
                Ok(taken) => self.advance(taken),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.blocked {
                        self.blocked = true;
                        self.wake();
                    }
                    return;
                }
                Err(_) => return self.finish(),
            }
        }
        self.blocked = false;
        // No memory is kept for an idle client.
        self.frames = VecDeque::new();
        match self.phase {
            // Dropping the half sends FIN behind the close frame. The task reads on until the client's own end arrives, because
            // closing a socket with unread bytes resets it and would take our close frame along.
            Phase::Closing { .. } => self.writer = None,
            Phase::Answering { .. } => self.finish(),
            Phase::Open | Phase::Done => {}
        }
    }

    /// Registers the task, and writes on when the kernel takes more.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        if !self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(context.waker()))
        {
            self.task = Some(context.waker().clone());
        }
        while self.blocked {
            let Some(writer) = &self.writer else { return };
            match writer.as_ref().poll_write_ready(context) {
                Poll::Ready(Ok(())) => {
                    self.blocked = false;
                    self.flush_again();
                }
                Poll::Ready(Err(_)) => return self.finish(),
                Poll::Pending => return,
            }
        }
    }

    pub(super) fn forget_task(&mut self) {
        self.task = None;
    }

    fn flush_again(&mut self) {
        // `flush` would wake the very task that is polling; it loops on `blocked` instead.
        let task = self.task.take();
        self.flush();
        self.task = task;
    }

    fn push(&mut self, opcode: OpCode, payload: Vec<u8>, now: Instant) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        if self.queued + cost(&payload) > self.limit {
            return self.overflow(now);
        }
        self.enqueue(opcode, payload)
    }

    /// The client does not read: all that it cannot be told any more is dropped, so that the close frame gets its chance.
    fn overflow(&mut self, now: Instant) -> bool {
        let keep = usize::from(self.sent_of_first > 0);
        self.frames.truncate(keep);
        self.frames.shrink_to_fit();
        self.queued = self.frames.iter().map(|(_, payload)| cost(payload)).sum();
        self.close(1008, "slow-reader", now)
    }

    fn enqueue(&mut self, opcode: OpCode, payload: Vec<u8>) -> bool {
        let head = Head::new(opcode, payload.len());
        self.queued += cost(&payload);
        self.frames.push_back((head, payload));
        !std::mem::replace(&mut self.dirty, true)
    }

    fn write_batch(&self) -> io::Result<usize> {
        let Some(writer) = &self.writer else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut slices = [IoSlice::new(&[]); 2 * BATCH];
        let mut count = 0;
        let mut sent = self.sent_of_first;
        for part in self
            .frames
            .iter()
            .take(BATCH)
            .flat_map(|(head, payload)| [head.as_slice(), payload])
        {
            let skip = sent.min(part.len());
            sent -= skip;
            if skip < part.len() {
                slices[count] = IoSlice::new(&part[skip..]);
                count += 1;
            }
        }
        writer.try_write_vectored(&slices[..count])
    }

    fn advance(&mut self, taken: usize) {
        self.written += taken as u64;
        self.sent_of_first += taken;
        while let Some((head, payload)) = self.frames.front() {
            let length = head.as_slice().len() + payload.len();
            if self.sent_of_first < length {
                break;
            }
            self.sent_of_first -= length;
            self.queued -= cost(payload);
            self.frames.pop_front();
        }
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

fn cost(payload: &Vec<u8>) -> usize {
    payload.capacity() + FRAME_COST
}
