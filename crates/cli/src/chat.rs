//! `crowfly chat`: lines to somebody, and theirs.
//!
//! On a terminal with line editing; else plain lines, so that it can be part of a script: messages on stdout, everything else on stderr.

mod screen;

use std::io;

use anyhow::{Context, Result};
use crowfly_peer::{EndReason, Message, Peer, PeerEvent, Room, RoomEvent};
use tokio::sync::mpsc;

use self::screen::{Line, Screen};
use crate::meet::{self, closed, farewell};

pub(crate) fn run(args: meet::Args) -> Result<()> {
    meet::run(chat(args))
}

async fn chat(args: meet::Args) -> Result<()> {
    let interrupted = meet::interrupted();
    tokio::pin!(interrupted);
    let mut room = tokio::select! {
        room = args.enter() => room?,
        _ = &mut interrupted => return Ok(()),
    };
    let (screen, mut lines) = Screen::open()?;
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
    if talk.screen.is_terminal() {
        talk.screen.status("left");
    }
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
                        if shown.is_ok() && let Some(result) = self.room_event(event) {
                            return result;
                        }
                        shown
                    }
                    None => return Ok(()),
                },
                event = next(&mut self.peer) => self.peer_event(event).await,
                line = lines.recv(), if self.takes_lines() => match line {
                    Some(Line::Text(text)) => {
                        self.say(text).await;
                        Ok(())
                    }
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

    async fn say(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        let sent = match &self.peer {
            Some(peer) if self.open => peer.send(text).await.is_ok(),
            _ => false,
        };
        if !sent && !std::mem::replace(&mut self.alone, true) {
            self.screen.status("nobody is there to hear that");
        }
    }

    /// What ends the chat, if it does.
    fn room_event(&mut self, event: RoomEvent) -> Option<Result<()>> {
        if let RoomEvent::Signaling { online } = event {
            self.online = online;
        }
        match event {
            RoomEvent::Peer(peer) => {
                self.screen.status("somebody is there, connecting");
                self.peer = Some(peer);
            }
            RoomEvent::PeerLeft(reason) => return self.left(reason),
            RoomEvent::Signaling { online: false } if self.open => {
                self.screen
                    .status("the server is lost; the conversation goes on without it");
            }
            RoomEvent::Signaling { online: false } => {
                self.screen.status("the server is lost, trying again")
            }
            RoomEvent::Signaling { online: true } => self.screen.status("the server is back"),
            RoomEvent::Problem(error) => self.screen.status(&error.to_string()),
            RoomEvent::Closed(reason) => return Some(closed(&reason)),
            _ => {}
        }
        None
    }

    fn left(&mut self, reason: EndReason) -> Option<Result<()>> {
        self.screen.status(farewell(reason));
        let talked = std::mem::take(&mut self.open);
        self.peer = None;
        (self.alone, self.silent) = (false, false);
        // A script has nobody who could wait for the next one.
        if talked && !self.screen.is_terminal() {
            return Some(match reason {
                EndReason::Goodbye | EndReason::Leave => Ok(()),
                _ => Err(anyhow::anyhow!("the other side vanished")),
            });
        }
        if reason != EndReason::Leave || talked {
            self.screen.status(if self.online {
                "the room is still open"
            } else {
                "the room is open again when the server is back"
            });
        }
        None
    }

    /// An error says that what was received could not be shown.
    async fn peer_event(&mut self, event: Option<PeerEvent>) -> io::Result<()> {
        match event {
            Some(PeerEvent::Open) => {
                self.open = true;
                self.alone = false;
                if let Some(peer) = &self.peer {
                    let path = meet::describe(peer).await;
                    self.screen.status(&path);
                }
            }
            Some(PeerEvent::Message(Message::Text(text))) => {
                return self.screen.message(&text).await;
            }
            Some(PeerEvent::Message(Message::Blob { name, data, .. })) => {
                let name = name.unwrap_or_else(|| "a file without a name".to_owned());
                self.screen.status(&format!(
                    "{name} ({} bytes) was sent; chat takes text only",
                    data.len()
                ));
            }
            Some(PeerEvent::Message(message)) => {
                self.screen.status(&format!(
                    "{} bytes were sent; chat takes text only",
                    message.len()
                ));
            }
            Some(PeerEvent::Channel(channel)) => {
                // Dropped, and so closed: the other side learns that nobody takes it here.
                self.screen.status(&format!(
                    "a channel named {} was opened; chat takes text only",
                    channel.label()
                ));
            }
            Some(PeerEvent::Problem(error)) => self.screen.status(&error.to_string()),
            Some(PeerEvent::States(states)) => {
                if let Some(news) = meet::silence(states, &mut self.silent) {
                    self.screen.status(news);
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
