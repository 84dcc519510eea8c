//! A chat in thirty lines: makes a room, or joins the one of the link given.
//!
//! `cargo run -p crowfly-peer --example chat -- [LINK]`

use std::env;
use std::io::{self, Write};

use crowfly_peer::{Message, PeerEvent, RoomOptions, create_room, join_room};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = RoomOptions::new("http://127.0.0.1:8080".parse()?);
    let mut room = match env::args().nth(1) {
        Some(link) => join_room(&link, options).await?,
        None => create_room(options).await?,
    };
    writeln!(io::stdout(), "{}", room.link())?;
    let mut peer = room.next_peer().await.map_err(|_| "the room was closed")?;
    peer.opened().await.map_err(|reason| reason.as_str())?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => peer.send(line).await?,
                None => break,
            },
            event = peer.next_event() => match event {
                Some(PeerEvent::Message(Message::Text(text))) => writeln!(io::stdout(), "> {text}")?,
                Some(_) => {}
                None => break,
            },
        }
    }
    room.leave().await;
    Ok(())
}
