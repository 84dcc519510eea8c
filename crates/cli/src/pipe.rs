//! `crowfly pipe`: stdin to the other side's stdout, and back.
//!
//! One data channel carries both directions, `docs/protocol.md`, "The pipe channel": binary messages are bytes of the stream, text messages
//! say how much was written out there and where the stream ends. So the sender knows what arrived in the other side's stdout, not
//! merely in its memory, and never runs further ahead than a window.

mod progress;
mod wire;

use std::io;

use anyhow::{Result, anyhow};
use crowfly_peer::{Channel, ChannelOptions, Message, Peer, PeerEvent, Role, Room, RoomEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Stdin, Stdout};

use self::progress::Progress;
use self::wire::Control;
use crate::meet::{self, closed, farewell};
use crate::output::line;

/// Bytes that may be on their way and not written out over there.
const WINDOW: u64 = 8 << 20;
/// Bytes of a message.
const BLOCK: usize = 64 * 1024;
/// Tell what was written at least so often.
const REPORT_EVERY: u64 = WINDOW / 8;

pub(crate) fn run(args: meet::Args) -> Result<()> {
    meet::run(pipe(args))
}

async fn pipe(args: meet::Args) -> Result<()> {
    let interrupted = meet::interrupted();
    tokio::pin!(interrupted);
    let mut room = tokio::select! {
        room = args.enter() => room?,
        _ = &mut interrupted => return Err(anyhow!("interrupted")),
    };
    let result = tokio::select! {
        result = through(&mut room) => result,
        _ = &mut interrupted => Err(anyhow!("interrupted")),
    };
    room.leave().await;
    result
}

/// From the first peer that connects to the end of both streams.
async fn through(room: &mut Room) -> Result<()> {
    let mut peer = meet_somebody(room).await?;
    let channel = open(room, &mut peer).await?;
    let mut flow = Flow::new(channel);
    loop {
        if flow.is_done() {
            flow.close().await;
            return Ok(());
        }
        tokio::select! {
            biased;
            message = flow.channel.recv() => match message {
                Some(message) => flow.receive(message).await?,
                None => return flow.ended(room, &mut peer).await,
            },
            read = flow.stdin.read(&mut flow.block[..]), if flow.may_read() => flow.send(read).await?,
            () = flow.progress.tick() => flow.progress.show(flow.sent, flow.written),
        }
    }
}

/// Waits for somebody with whom a connection comes about.
async fn meet_somebody(room: &mut Room) -> Result<Peer> {
    let mut peer: Option<Peer> = None;
    loop {
        tokio::select! {
            event = room.next_event() => match event {
                Some(RoomEvent::Peer(somebody)) => peer = Some(somebody),
                Some(RoomEvent::PeerLeft(reason)) => {
                    line(farewell(reason));
                    peer = None;
                }
                Some(RoomEvent::Closed(reason)) => {
                    closed(&reason)?;
                    return Err(anyhow!("the room was closed"));
                }
                Some(RoomEvent::Problem(error)) => line(&error.to_string()),
                Some(_) => {}
                None => return Err(anyhow!("the room was closed")),
            },
            event = next(&mut peer) => if let Some(PeerEvent::Open) = event
                && let Some(peer) = peer.take() {
                    line(&meet::describe(&peer).await);
                    return Ok(peer);
                },
        }
    }
}

async fn next(peer: &mut Option<Peer>) -> Option<PeerEvent> {
    match peer {
        Some(somebody) => {
            let event = somebody.next_event().await;
            if event.is_none() {
                *peer = None;
            }
            event
        }
        None => std::future::pending().await,
    }
}

/// PEER1 opens the channel, PEER2 awaits it.
async fn open(room: &mut Room, peer: &mut Peer) -> Result<Channel> {
    if peer.role() == Role::Peer1 {
        let options = ChannelOptions::new(wire::LABEL).protocol(wire::PROTOCOL);
        return Ok(peer.open_channel(options).await?);
    }
    loop {
        tokio::select! {
            event = peer.next_event() => match event {
                Some(PeerEvent::Channel(channel)) if channel.options().protocol == wire::PROTOCOL => return Ok(channel),
                Some(PeerEvent::Closed(reason)) => return Err(anyhow!("{}", farewell(reason))),
                Some(PeerEvent::Message(_)) => return Err(anyhow!("the other side chats; it runs no `crowfly pipe`")),
                Some(_) => {}
                None => return Err(anyhow!("the other side vanished")),
            },
            event = room.next_event() => if let Some(RoomEvent::Closed(reason)) = event {
                closed(&reason)?;
            },
        }
    }
}

/// Both directions.
struct Flow {
    channel: Channel,
    stdin: Stdin,
    stdout: Stdout,
    block: Vec<u8>,
    /// Bytes sent, and how many of them were written out over there.
    sent: u64,
    acknowledged: u64,
    /// Our stdin has ended.
    ended: bool,
    /// The other side wants no more.
    refused: bool,
    /// Bytes written out here, how many of them the other side knows of, and how many there are in all.
    written: u64,
    reported: u64,
    expected: Option<u64>,
    /// Nobody reads our stdout any more.
    broken: bool,
    progress: Progress,
}

impl Flow {
    fn new(channel: Channel) -> Self {
        Self {
            channel,
            stdin: tokio::io::stdin(),
            stdout: tokio::io::stdout(),
            block: vec![0; BLOCK],
            sent: 0,
            acknowledged: 0,
            ended: false,
            refused: false,
            written: 0,
            reported: 0,
            expected: None,
            broken: false,
            progress: Progress::start(),
        }
    }

    fn may_read(&self) -> bool {
        !self.ended && !self.refused && self.sent - self.acknowledged < WINDOW
    }

    /// Both streams are through, as far as anybody wants them.
    fn is_done(&self) -> bool {
        let outward = self.refused || (self.ended && self.acknowledged == self.sent);
        let inward =
            self.broken || (self.expected == Some(self.written) && self.reported == self.written);
        outward && inward
    }

    /// What was read of stdin.
    async fn send(&mut self, read: io::Result<usize>) -> Result<()> {
        let count = read?;
        if count == 0 {
            self.ended = true;
            return self.say(Control::End { total: self.sent }).await;
        }
        self.sent += count as u64;
        let bytes = self.block[..count].to_vec();
        Ok(self.channel.send(bytes).await?)
    }

    async fn receive(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Binary(bytes) => self.write(&bytes).await,
            Message::Text(text) => match Control::read(&text) {
                Some(Control::Read { total }) if total <= self.sent => {
                    self.acknowledged = self.acknowledged.max(total);
                    Ok(())
                }
                Some(Control::End { total }) => {
                    self.expected = Some(total);
                    self.report(true).await
                }
                Some(Control::Closed) => {
                    self.refused = true;
                    Ok(())
                }
                _ => Err(anyhow!(
                    "the other side said something that is no part of a pipe"
                )),
            },
            _ => Ok(()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.broken {
            return Ok(());
        }
        let mut result = self.stdout.write_all(bytes).await;
        if result.is_ok() {
            result = self.stdout.flush().await;
        }
        match result {
            Ok(()) => {
                self.written += bytes.len() as u64;
                self.report(false).await
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.broken = true;
                self.say(Control::Closed).await
            }
            Err(error) => Err(anyhow::Error::from(error).context("could not write to stdout")),
        }
    }

    /// Tells how much was written, when it is worth a message.
    async fn report(&mut self, now: bool) -> Result<()> {
        let through = self.expected == Some(self.written);
        if !now && !through && self.written - self.reported < REPORT_EVERY {
            return Ok(());
        }
        self.reported = self.written;
        self.say(Control::Read {
            total: self.written,
        })
        .await
    }

    async fn say(&mut self, control: Control) -> Result<()> {
        Ok(self.channel.send(control.write()).await?)
    }

    /// All is through; the other side has our last word when the channel has closed.
    async fn close(self) {
        self.progress.end(self.sent, self.written);
        let _ = tokio::time::timeout(wire::CLOSING, self.channel.close()).await;
    }

    /// The channel ended. That is well if all was through.
    async fn ended(self, room: &mut Room, peer: &mut Peer) -> Result<()> {
        self.progress.end(self.sent, self.written);
        if self.is_done() {
            return Ok(());
        }
        let reason = loop {
            tokio::select! {
                event = peer.next_event() => match event {
                    Some(PeerEvent::Closed(reason)) => break farewell(reason),
                    Some(_) => {}
                    None => break "the other side vanished",
                },
                event = room.next_event() => match event {
                    Some(RoomEvent::PeerLeft(reason)) => break farewell(reason),
                    Some(_) => {}
                    None => break "the other side vanished",
                },
            }
        };
        Err(anyhow!("{reason} before everything was through"))
    }
}
