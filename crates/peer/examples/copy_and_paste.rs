//! No server at all: two texts are carried by hand. Run it with `offer` on one side, with `answer` on the other.
//!
//! `cargo run -p crowfly-peer --example copy_and_paste -- offer`

use std::env;
use std::io::{self, Write};

use crowfly_peer::{Message, PeerEvent, manual};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = if env::args().nth(1).as_deref() == Some("answer") {
        let offer = ask("paste the offer")?;
        let (answer, connection) = manual::answer(&offer, manual::Options::default()).await?;
        writeln!(io::stdout(), "carry this back:\n{answer}")?;
        connection
    } else {
        let (offer, offered) = manual::offer(manual::Options::default()).await?;
        writeln!(io::stdout(), "carry this over:\n{offer}")?;
        offered.answered(&ask("paste the answer")?)?
    };
    let peer = &mut connection.peer;
    peer.opened().await.map_err(|reason| reason.as_str())?;
    peer.send("caw").await?;
    while let Some(event) = peer.next_event().await {
        if let PeerEvent::Message(Message::Text(text)) = event {
            writeln!(io::stdout(), "they said: {text}")?;
            break;
        }
    }
    connection.leave().await;
    Ok(())
}

fn ask(what: &str) -> io::Result<String> {
    writeln!(io::stdout(), "{what}:")?;
    let mut text = String::new();
    io::stdin().read_line(&mut text)?;
    Ok(text)
}
