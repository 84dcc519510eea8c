//! A browser talks to a Rust program: open the link that this prints. It counts the page's clicks on "send", and tells the time on a
//! channel of its own, where late is useless: unordered, nothing sent twice.
//!
//! `cargo run -p crowfly-peer --example browser -- http://127.0.0.1:8080`

use std::env;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crowfly_peer::{ChannelOptions, Message, PeerEvent, RoomOptions, create_room};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut room = create_room(RoomOptions::new(server.parse()?)).await?;
    writeln!(io::stdout(), "{}", room.link())?;
    let mut peer = room.next_peer().await.map_err(|_| "the room was closed")?;
    peer.opened().await.map_err(|reason| reason.as_str())?;
    let ticks = peer
        .open_channel(ChannelOptions::new("ticks").unordered().max_retransmits(0))
        .await?;
    let (began, mut messages) = (Instant::now(), 0_u32);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => {
                if ticks.send(began.elapsed().as_secs().to_string()).await.is_err() {
                    break;
                }
            }
            event = peer.next_event() => match event {
                Some(PeerEvent::Message(Message::Text(text))) => {
                    messages += 1;
                    peer.send(format!("{messages}: {} characters", text.chars().count())).await?;
                }
                Some(_) => {}
                None => break,
            },
        }
    }
    room.leave().await;
    Ok(())
}
