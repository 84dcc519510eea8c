//! For tests with browsers: a signaling server that lies, before a real one that serves the page.
//!
//!     cargo run -p crowfly-peer --example lying_server -- Both 127.0.0.1:8080
//!
//! It prints its address, lies until its stdin ends, and then prints as JSON what it has come to know.

use std::error::Error;
use std::io::{self, Write};

use tokio::io::{AsyncReadExt, stdin};

use liar::Lie;

#[path = "../tests/support/liar.rs"]
mod liar;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (name, page) = args
        .next()
        .zip(args.next())
        .ok_or("usage: lying_server LIE HOST:PORT")?;
    let mut lies = Lie::ALL.into_iter().chain([Lie::Relay]);
    let lie = lies
        .find(|lie| format!("{lie:?}") == name)
        .ok_or("no such lie")?;
    let (address, loot) = liar::start(lie, Some(page.parse()?)).await;
    writeln!(io::stdout(), "http://{address}/")?;
    stdin().read_to_end(&mut Vec::new()).await?;
    let loot = loot.lock().map_err(|_| "it panicked")?;
    writeln!(
        io::stdout(),
        "{}",
        serde_json::json!({"heard": loot.heard, "read": loot.read})
    )?;
    Ok(())
}
