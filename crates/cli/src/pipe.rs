//! `crowfly pipe`: stdin to the other side's stdout, and back.
//!
//! One data channel carries both directions, `docs/protocol.md`, "The pipe channel": binary messages are bytes of the stream, text messages
//! say how much was written out there and where the stream ends. So the sender knows what arrived in the other side's stdout, not
//! merely in its memory, and never runs further ahead than a window.

mod inward;
mod outward;
mod progress;
mod wire;

use anyhow::{Result, anyhow};
use crowfly_peer::{
    Channel, ChannelOptions, Message, Peer, PeerEvent, Role, Room, RoomEvent, SendError,
};
use tokio::io::{Stdin, Stdout};

use self::inward::Inward;
use self::outward::Outward;
use self::progress::Progress;
use self::wire::Control;
use crate::meet::{self, closed, farewell};
use crate::output::line;

pub(crate) fn run(args: meet::Args) -> Result<()> {
    meet::run(pipe(args))
}

async fn pipe(args: meet::Args) -> Result<()> {
    let interrupted = meet::interrupted();
    tokio::pin!(interrupted);
    let mut room = tokio::select! {
        room = args.enter(true) => room?,
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
    let mut watch = Watch {
        room,
        peer,
        gone: None,
        closed: false,
        silent: false,
    };
    let mut flow = Flow::new(channel);
    while !flow.is_done() {
        tokio::select! {
            biased;
            message = flow.channel.recv() => match message {
                Some(message) => flow.receive(message).await?,
                None => return flow.ended(&mut watch).await,
            },
            said = flow.inward.advance(), if flow.inward.is_pending() => flow.say(said?).await?,
            read = flow.outward.read(), if flow.outward.may_read() && !flow.deaf => {
                let message = flow.outward.message(read)?;
                flow.send(message).await?;
            }
            () = flow.progress.tick() => flow.show(),
            note = watch.notice() => if let Some(note) = note {
                flow.progress.line(note);
            },
        }
    }
    flow.close().await;
    Ok(())
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
                    let path = peer.stats().await.and_then(|stats| stats.path);
                    line(&meet::describe(path.as_ref(), peer.verified()));
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

/// What happens beside the pipe's channel.
struct Watch<'a> {
    room: &'a mut Room,
    peer: Peer,
    /// How the other side left, once it has.
    gone: Option<&'static str>,
    /// One's own room is closed.
    closed: bool,
    /// Said already that nothing is heard.
    silent: bool,
}

impl Watch<'_> {
    /// The next thing, and what a person should know of it. Cancel-safe.
    async fn notice(&mut self) -> Option<&'static str> {
        tokio::select! {
            event = self.room.next_event(), if !self.closed => match event {
                Some(RoomEvent::Signaling { online: false }) => {
                    return Some("the server is lost; the pipe goes on without it");
                }
                Some(RoomEvent::Signaling { online: true }) => return Some("the server is back"),
                Some(RoomEvent::PeerLeft(reason)) => self.gone = Some(farewell(reason)),
                Some(_) => {}
                None => self.closed = true,
            },
            event = self.peer.next_event(), if self.gone.is_none() => match event {
                Some(PeerEvent::Closed(reason)) => self.gone = Some(farewell(reason)),
                Some(PeerEvent::States(states)) => return meet::silence(states, &mut self.silent),
                Some(_) => {}
                None => self.gone = Some("the other side vanished"),
            },
            else => std::future::pending().await,
        }
        None
    }

    /// Why the channel ended: where the other side has left, its goodbye is on the way.
    async fn reason(&mut self) -> &'static str {
        let gone = async {
            loop {
                match self.gone {
                    Some(reason) => return reason,
                    None => drop(self.notice().await),
                }
            }
        };
        tokio::time::timeout(wire::REASON, gone)
            .await
            .unwrap_or("the other side closed the pipe, or runs none,")
    }
}

/// Both directions.
struct Flow {
    channel: Channel,
    outward: Outward<Stdin>,
    inward: Inward<Stdout>,
    /// The other side takes nothing any more, for the channel has ended. Its last words may still wait here.
    deaf: bool,
    progress: Progress,
}

impl Flow {
    fn new(channel: Channel) -> Self {
        Self {
            channel,
            outward: Outward::new(tokio::io::stdin()),
            inward: Inward::new(tokio::io::stdout()),
            deaf: false,
            progress: Progress::start(),
        }
    }

    /// Both streams are through, as far as anybody wants them.
    fn is_done(&self) -> bool {
        self.outward.is_done() && self.inward.is_done()
    }

    async fn receive(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Binary(bytes) => self.inward.take(bytes),
            Message::Text(text) => match Control::read(&text) {
                Some(Control::Read { total }) => self.outward.acknowledge(total),
                Some(Control::End { total }) => {
                    let said = self.inward.end(total)?;
                    self.say(said).await
                }
                Some(Control::Closed) => {
                    self.outward.refuse();
                    Ok(())
                }
                None => Err(anyhow!(
                    "the other side said something that is no part of a pipe"
                )),
            },
            _ => Ok(()),
        }
    }

    async fn say(&mut self, control: Option<Control>) -> Result<()> {
        match control {
            Some(control) => self.send(control.write().into()).await,
            None => Ok(()),
        }
    }

    /// A channel that has ended is no error yet: what the other side said before decides whether that is well.
    async fn send(&mut self, message: Message) -> Result<()> {
        match self.channel.send(message).await {
            Err(SendError::Closed) => self.deaf = true,
            sent => sent?,
        }
        Ok(())
    }

    fn show(&self) {
        self.progress
            .show(self.outward.sent(), self.inward.written());
    }

    fn finish(&self) {
        self.progress
            .end(self.outward.sent(), self.inward.written());
    }

    /// All is through; the other side has our last word when the channel has closed.
    async fn close(self) {
        self.finish();
        let _ = tokio::time::timeout(wire::CLOSING, self.channel.close()).await;
    }

    /// The channel ended. That is well if all was through; what has come is written out in any case.
    async fn ended(mut self, watch: &mut Watch<'_>) -> Result<()> {
        while self.inward.is_pending() {
            self.inward.advance().await?;
        }
        self.finish();
        if self.outward.is_done() && self.inward.is_through() {
            return Ok(());
        }
        let reason = watch.reason().await;
        Err(anyhow!("{reason} before everything was through"))
    }
}
