//! A data channel of every kind to any WebRTC program that sends back what it hears: a check of whoever is on the other side.
//!
//! `cargo run -p crowfly-peer --example every_channel -- offer` (or `answer`)
//!
//! Each side's description is a line, ours on stdout, theirs on stdin, as JSON. Theirs answers the main channel's pings
//! (`docs/protocol.md`), sends back every other message on the channel it came on, opens channels whose labels are those of [`kinds`] with
//! `theirs: ` before them, and has opened one with the id 100, labeled `agreed`, that both agree on. The last line of stdout says what
//! was found to work; the exit code is 0 when that is everything.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use crowfly_peer::{
    Agreed, Channel, ChannelOptions, Message, Peer, PeerEvent, PeerStats, SendError, manual,
};

use tokio::time::timeout;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long one channel may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest message that a browser takes.
const LARGE: usize = 256 * 1024;

#[tokio::main]
async fn main() -> Outcome<()> {
    let offers = match env::args().nth(1).as_deref() {
        Some("offer") => true,
        Some("answer") => false,
        _ => return Err("usage: every_channel offer|answer".into()),
    };
    let mut connection = connect(offers).await?;
    let checked = check(&mut connection.peer).await;
    if checked.is_err() {
        // What happened, for whoever has to find out.
        let stats = connection.peer.stats().await;
        let trace = connection.peer.trace().await;
        writeln!(io::stderr(), "{trace}{stats:?}")?;
    }
    let checked = checked?;
    connection.leave().await;
    writeln!(io::stdout(), "{checked}")?;
    Ok(())
}

async fn connect(offers: bool) -> Outcome<manual::Connection> {
    let options = manual::Options::default();
    if offers {
        let (offer, offered) = manual::offer(options).await?;
        writeln!(io::stdout(), "{offer}")?;
        return Ok(offered.answered(&line()?)?);
    }
    let (answer, connection) = manual::answer(&line()?, options).await?;
    writeln!(io::stdout(), "{answer}")?;
    Ok(connection)
}

fn line() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_line(&mut text)?;
    Ok(text)
}

/// Every combination of order and reliability, and a protocol.
fn kinds() -> Vec<ChannelOptions> {
    let (often, long) = (5, Duration::from_secs(5));
    vec![
        ChannelOptions::new("ordered"),
        ChannelOptions::new("unordered").unordered(),
        ChannelOptions::new("ordered, 5 retransmits").max_retransmits(often),
        ChannelOptions::new("unordered, 5 retransmits")
            .unordered()
            .max_retransmits(often),
        ChannelOptions::new("ordered, 5 s").max_lifetime(long),
        ChannelOptions::new("unordered, 5 s")
            .unordered()
            .max_lifetime(long),
        ChannelOptions::new("protocol").protocol("echo.1"),
    ]
}

/// Everything; what was agreed upon, in words.
async fn check(peer: &mut Peer) -> Outcome<String> {
    let mut theirs = Vec::new();
    timeout(PATIENCE, opened(peer, &mut theirs)).await??;
    timeout(PATIENCE, main_channel(peer, &mut theirs)).await??;
    let mut count = 0;
    for options in kinds() {
        let mut channel = peer.open_channel(options).await?;
        timeout(PATIENCE, echoes(&mut channel)).await??;
        channel.close().await;
        count += 1;
    }
    // Lengths are bytes on the wire, and some count characters.
    for options in [
        ChannelOptions::new("Krähe \u{1f426}"),
        ChannelOptions::new("agreed").negotiated(100),
    ] {
        let mut channel = peer.open_channel(options).await?;
        timeout(PATIENCE, echoes(&mut channel)).await??;
        count += 1;
    }
    for mut wanted in kinds() {
        wanted.label.insert_str(0, "theirs: ");
        let channel = awaited(peer, &mut theirs, &wanted.label);
        let mut channel = timeout(PATIENCE, channel).await??;
        if *channel.options() != wanted {
            return Err(format!("{:?} instead of {wanted:?}", channel.options()).into());
        }
        timeout(PATIENCE, echoes(&mut channel)).await??;
        count += 1;
    }
    let stats = peer.stats().await.ok_or("the other side left")?;
    describe(&stats, count)
}

fn describe(stats: &PeerStats, channels: usize) -> Outcome<String> {
    let Some(Agreed {
        dtls,
        snap,
        interleaving,
        zero_checksum,
        ..
    }) = stats.agreed
    else {
        return Err("nothing was agreed upon".into());
    };
    Ok(format!(
        "{channels} channels, DTLS {dtls}, SNAP {snap}, I-DATA {interleaving}, zero checksum {zero_checksum}"
    ))
}

async fn opened(peer: &mut Peer, theirs: &mut Vec<Channel>) -> Outcome<()> {
    loop {
        match peer.next_event().await {
            Some(PeerEvent::Open) => return Ok(()),
            Some(PeerEvent::Channel(channel)) => theirs.push(channel),
            Some(PeerEvent::Problem(error)) => writeln!(io::stderr(), "{error}")?,
            Some(PeerEvent::Closed(reason)) => return Err(reason.as_str().into()),
            Some(_) => {}
            None => return Err("it ended before it began".into()),
        }
    }
}

/// Messages of the main channel may have any size.
async fn main_channel(peer: &mut Peer, theirs: &mut Vec<Channel>) -> Outcome<()> {
    let messages = messages(usize::MAX);
    for message in &messages {
        peer.send(message.clone()).await?;
    }
    let mut messages = messages.into_iter();
    let mut next = messages.next();
    while let Some(wanted) = &next {
        match peer.next_event().await {
            Some(PeerEvent::Message(message)) => {
                same(&message, wanted)?;
                next = messages.next();
            }
            Some(PeerEvent::Channel(channel)) => theirs.push(channel),
            Some(PeerEvent::Problem(error)) => return Err(error.into()),
            Some(PeerEvent::Closed(reason)) => return Err(reason.as_str().into()),
            Some(_) => {}
            None => return Err("it ended".into()),
        }
    }
    Ok(())
}

/// The other side's channel of that label.
async fn awaited(peer: &mut Peer, theirs: &mut Vec<Channel>, label: &str) -> Outcome<Channel> {
    loop {
        if let Some(at) = theirs.iter().position(|channel| channel.label() == label) {
            return Ok(theirs.swap_remove(at));
        }
        match peer.next_event().await {
            Some(PeerEvent::Channel(channel)) => theirs.push(channel),
            Some(PeerEvent::Closed(reason)) => return Err(reason.as_str().into()),
            Some(_) => {}
            None => return Err(format!("no channel {label} was opened").into()),
        }
    }
}

/// Text and bytes of all sizes, up to what the other side takes; none is like another.
fn messages(most: usize) -> Vec<Message> {
    let bytes = |size: usize| -> Vec<u8> { (0..size).map(|at| (at / 7 + size) as u8).collect() };
    let mut messages = vec![
        Message::from("caw"),
        Message::from(""),
        Message::from("Krähe \u{1f426}\0\n"),
        Message::from(bytes(0)),
    ];
    for size in [1, 1_000, 16 * 1024, LARGE - 1, LARGE] {
        let size = size.min(most);
        messages.push(Message::from(bytes(size)));
        messages.push(Message::from("k".repeat(size)));
    }
    messages
}

/// Everything comes back: where order is promised in that order, else in any.
async fn echoes(channel: &mut Channel) -> Outcome<()> {
    let label = channel.label().to_owned();
    // Where it hangs, if it does.
    writeln!(io::stderr(), "channel {label}")?;
    let wrong = |error: &dyn std::fmt::Display| format!("channel {label}: {error}");
    let most = match channel.send(vec![0; LARGE]).await {
        Ok(()) => {
            let back = channel.recv().await.ok_or("the channel ended")?;
            same(&back, &Message::from(vec![0; LARGE])).map_err(|error| wrong(&error))?;
            LARGE
        }
        // Said by its description.
        Err(SendError::TooLarge { limit, .. }) => limit,
        Err(error) => return Err(wrong(&error).into()),
    };
    let mut sent = messages(most);
    for message in &sent {
        channel.send(message.clone()).await?;
    }
    while !sent.is_empty() {
        let back = channel.recv().await.ok_or("the channel ended")?;
        if channel.options().ordered {
            same(&back, &sent.remove(0)).map_err(|error| wrong(&error))?;
            continue;
        }
        let Some(at) = sent.iter().position(|message| *message == back) else {
            return Err(wrong(&format!("{} was never sent", short(&back))).into());
        };
        sent.swap_remove(at);
    }
    Ok(())
}

fn same(heard: &Message, sent: &Message) -> Outcome<()> {
    if heard == sent {
        return Ok(());
    }
    Err(format!("{} came back as {}", short(sent), short(heard)).into())
}

fn short(message: &Message) -> String {
    match message {
        Message::Text(text) => format!("text of {} bytes", text.len()),
        message => format!("{} bytes", message.len()),
    }
}
