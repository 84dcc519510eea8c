//! Answers everybody who opens the link with what they said.
//!
//! `cargo run -p crowfly-peer --example echo_peer -- http://127.0.0.1:8080`

use std::env;
use std::io::{self, Write};

use crowfly_peer::{PeerEvent, RoomOptions, create_room};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut room = create_room(RoomOptions::new(server.parse()?)).await?;
    writeln!(io::stdout(), "{}", room.link())?;
    while let Ok(mut peer) = room.next_peer().await {
        while let Some(event) = peer.next_event().await {
            if let PeerEvent::Message(message) = event {
                peer.send(message).await?;
            }
        }
    }
    Ok(())
}
