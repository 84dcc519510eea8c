//! `crowfly chat`: lines to somebody, and theirs.
//!
//! On a terminal with line editing; else plain lines, so that it can be part of a script: messages on stdout, everything else on stderr.
//! With `--json` everything that happens is a JSON object a line on stdout, [`news`] has the list.

mod news;
mod screen;

use std::io;

use anyhow::{Context, Result};
use crowfly_peer::{EndReason, Message, Peer, PeerEvent, Room, RoomEvent};
use tokio::sync::mpsc;

use self::news::News;
use self::screen::{Line, Screen};
use crate::meet::{self, closed};

/// Whom to talk to, and how it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    meet: meet::Args,

    /// Say everything that happens as JSON on stdout, an object a line, for a program to read
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    meet::run(chat(args))
}

async fn chat(Args { meet, json }: Args) -> Result<()> {
    let interrupted = meet::interrupted();
    tokio::pin!(interrupted);
    let mut room = tokio::select! {
        room = meet.enter(!json) => room?,
        _ = &mut interrupted => return Ok(()),
    };
    let (mut screen, mut lines) = Screen::open(json)?;
    if json {
        let (code, link) = (room.code(), room.link());
        screen.tell(&News::Room { code, link }).await?;
    }
    let mut talk = Talk {
        screen,
        peer: None,
        open: false,
        alone: false,
        silent: false,
        online: true,
    };
    let result = tokio::select! {
        result = talk.run(&mut room, &mut lines) => result,
        _ = &mut interrupted => Ok(()),
    };
    room.leave().await;
    talk.screen.left();
    result
}

/// One conversation after the other.
struct Talk {
    screen: Screen,
    peer: Option<Peer>,
    open: bool,
    /// Said already that nobody hears.
    alone: bool,
    /// Said already that nothing is heard.
    silent: bool,
    /// Whether the server is there, without which nobody can come.
    online: bool,
}

impl Talk {
    /// Until something ends it. Where nobody reads what the other side says, that is an end like any other.
    async fn run(&mut self, room: &mut Room, lines: &mut mpsc::Receiver<Line>) -> Result<()> {
        loop {
            let shown = tokio::select! {
                event = room.next_event() => match event {
                    Some(event) => {
                        let shown = self.last_words(&event).await;
                        match (shown, event) {
                            (Ok(()), RoomEvent::Closed(reason)) => return closed(&reason),
                            (Ok(()), RoomEvent::PeerLeft(reason)) => match self.left(reason).await {
                                Ok(None) => Ok(()),
                                Ok(Some(result)) => return result,
                                Err(error) => Err(error),
                            },
                            (Ok(()), event) => self.room_event(event).await,
                            (shown, _) => shown,
                        }
                    }
                    None => return Ok(()),
                },
                event = next(&mut self.peer) => self.peer_event(event).await,
                line = lines.recv(), if self.takes_lines() => match line {
                    Some(Line::Text(text)) => self.say(text).await,
                    Some(Line::End) | None => return Ok(()),
                },
            };
            match shown {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                shown => shown.context("could not write to stdout")?,
            }
        }
    }

    /// The room may know that somebody has left before all that they said has been shown.
    async fn last_words(&mut self, event: &RoomEvent) -> io::Result<()> {
        if matches!(event, RoomEvent::PeerLeft(_) | RoomEvent::Closed(_))
            && let Some(mut peer) = self.peer.take()
        {
            while let Some(event) = peer.next_event().await {
                self.peer_event(Some(event)).await?;
            }
        }
        Ok(())
    }

    /// On a terminal always; of a script only once somebody hears.
    fn takes_lines(&self) -> bool {
        self.open || self.screen.is_terminal()
    }

    async fn say(&mut self, text: String) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let sent = match &self.peer {
            Some(peer) if self.open => peer.send(text).await.is_ok(),
            _ => false,
        };
        if !sent && !std::mem::replace(&mut self.alone, true) {
            self.screen.tell(&News::Alone).await?;
        }
        Ok(())
    }

    async fn room_event(&mut self, event: RoomEvent) -> io::Result<()> {
        match event {
            RoomEvent::Peer(peer) => {
                self.peer = Some(peer);
                self.screen.tell(&News::Somebody).await
            }
            RoomEvent::Signaling { online } => {
                self.online = online;
                let talking = self.open;
                self.screen.tell(&News::Server { online, talking }).await
            }
            RoomEvent::Problem(error) => {
                self.screen.tell(&News::problem(error.code(), &error)).await
            }
            _ => Ok(()),
        }
    }

    /// What ends the chat, if it does.
    async fn left(&mut self, reason: EndReason) -> io::Result<Option<Result<()>>> {
        let talked = std::mem::take(&mut self.open);
        self.peer = None;
        (self.alone, self.silent) = (false, false);
        self.screen.tell(&News::Left(reason)).await?;
        // A script has nobody who could wait for the next one.
        if talked && !self.screen.is_terminal() {
            return Ok(Some(match reason {
                EndReason::Goodbye | EndReason::Leave => Ok(()),
                _ => Err(anyhow::anyhow!("the other side vanished")),
            }));
        }
        if reason != EndReason::Leave || talked {
            let online = self.online;
            self.screen.tell(&News::Waiting { online }).await?;
        }
        Ok(None)
    }

    /// An error says that what was received could not be shown.
    async fn peer_event(&mut self, event: Option<PeerEvent>) -> io::Result<()> {
        match event {
            Some(PeerEvent::Open) => {
                self.open = true;
                self.alone = false;
                if let Some(peer) = &self.peer {
                    let path = peer.stats().await.and_then(|stats| stats.path);
                    let verified = peer.verified();
                    self.screen
                        .tell(&News::Connected { path, verified })
                        .await?;
                }
            }
            Some(PeerEvent::Message(Message::Text(text))) => {
                return self.screen.message(&text).await;
            }
            Some(PeerEvent::Message(message)) => {
                self.screen.tell(&News::NoText(message)).await?;
            }
            Some(PeerEvent::Channel(channel)) => {
                // Dropped, and so closed: the other side learns that nobody takes it here.
                let label = channel.label().to_owned();
                self.screen.tell(&News::Channel { label }).await?;
            }
            Some(PeerEvent::Problem(error)) => {
                self.screen
                    .tell(&News::problem(error.code(), &error))
                    .await?;
            }
            Some(PeerEvent::States(states)) => {
                if meet::silence(states, &mut self.silent).is_some() {
                    let silent = self.silent;
                    self.screen.tell(&News::Silence { silent }).await?;
                }
            }
            Some(_) => {}
            None => self.peer = None, // the room tells why
        }
        Ok(())
    }
}

/// The next event of the peer there is.
async fn next(peer: &mut Option<Peer>) -> Option<PeerEvent> {
    match peer {
        Some(peer) => peer.next_event().await,
        None => std::future::pending().await,
    }
}
