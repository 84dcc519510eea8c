//! The native peer as a program uses it: without a server, on a runtime of tokio's with its defaults.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use tokio::task::block_in_place;

use crowfly_peer::{Channel, ChannelOptions, Message, Peer, PeerEvent, manual};

use crate::child::{BALL, MESSAGE, Measure, Role, Window, hear, hear_one, say};

/// Which of the two ways to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A channel of one's own: messages as they are.
    Channel,
    /// `Peer::send`, as chat and pipe use it: framed, any size.
    Main,
}

pub fn run(role: Role, measure: Measure, length: Duration, lane: Lane) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    // A task, as in a server: `block_on` has a thread of its own, and each message would pass from thread to thread.
    runtime.block_on(runtime.spawn(async move {
        match measure {
            Measure::Setup => setup(role).await,
            Measure::Bulk | Measure::PingPong => {
                let (mut connection, _) = connect(role, None).await?;
                match lane {
                    Lane::Channel => on_channel(role, measure, length, &mut connection.peer).await,
                    Lane::Main => on_main(role, measure, length, &mut connection.peer).await,
                }
            }
        }
    }))?
}

/// An open connection, and what it took from the other side's description on.
async fn connect(
    role: Role,
    first: Option<String>,
) -> anyhow::Result<(manual::Connection, Duration)> {
    let options = manual::Options::default();
    let (mut connection, heard) = match role {
        Role::Offer => {
            let (offer, offered) = manual::offer(options).await?;
            say("OFFER", &offer)?;
            let answer = block_in_place(hear_one)?;
            (offered.answered(&answer)?, Instant::now())
        }
        Role::Answer => {
            let offer = match first {
                Some(offer) => offer,
                None => block_in_place(hear_one)?,
            };
            let heard = Instant::now();
            let (answer, connection) = manual::answer(&offer, options).await?;
            say("ANSWER", &answer)?;
            (connection, heard)
        }
    };
    let opened = connection.peer.opened().await;
    opened.map_err(|reason| anyhow!("ended: {}", reason.as_str()))?;
    Ok((connection, heard.elapsed()))
}

/// Connection after connection, one for each line.
async fn setup(role: Role) -> anyhow::Result<()> {
    while let Some(line) = block_in_place(hear)? {
        let (connection, took) = connect(role, Some(line)).await?;
        say("OPEN", &took.as_micros().to_string())?;
        block_in_place(hear_one)?; // both are open: one end's goodbye is not the other's failure
        connection.leave().await;
        say("LEFT", "")?;
    }
    Ok(())
}

/// Without end: the generator ends this process when both have measured.
async fn on_channel(
    role: Role,
    measure: Measure,
    length: Duration,
    peer: &mut Peer,
) -> anyhow::Result<()> {
    let mut channel = match role {
        Role::Offer => peer.open_channel(ChannelOptions::new("bench")).await?,
        Role::Answer => opened(peer).await?,
    };
    let mut window = Window::new(length);
    match (measure, role) {
        (Measure::Bulk, Role::Offer) => {
            let message = Bytes::from(vec![7; MESSAGE]);
            loop {
                channel.send(message.clone()).await?;
                window.add(Instant::now(), MESSAGE as u64)?;
            }
        }
        (Measure::Bulk, Role::Answer) => loop {
            let message = channel.recv().await.context("the channel ended")?;
            window.add(Instant::now(), message.len() as u64)?;
        },
        (_, Role::Offer) => {
            let ball = Bytes::from(vec![7; BALL]);
            loop {
                channel.send(ball.clone()).await?;
                channel.recv().await.context("the channel ended")?;
                window.add(Instant::now(), 1)?;
            }
        }
        (_, Role::Answer) => loop {
            let ball = channel.recv().await.context("the channel ended")?;
            channel.send(ball).await?;
            window.add(Instant::now(), 1)?;
        },
    }
}

async fn on_main(
    role: Role,
    measure: Measure,
    length: Duration,
    peer: &mut Peer,
) -> anyhow::Result<()> {
    let mut window = Window::new(length);
    match (measure, role) {
        (Measure::Bulk, Role::Offer) => {
            let message = Bytes::from(vec![7; MESSAGE]);
            loop {
                peer.send(message.clone()).await?;
                window.add(Instant::now(), MESSAGE as u64)?;
            }
        }
        (Measure::Bulk, Role::Answer) => loop {
            let size = message(peer).await?.len() as u64;
            window.add(Instant::now(), size)?;
        },
        (_, Role::Offer) => {
            let ball = Bytes::from(vec![7; BALL]);
            loop {
                peer.send(ball.clone()).await?;
                message(peer).await?;
                window.add(Instant::now(), 1)?;
            }
        }
        (_, Role::Answer) => loop {
            let ball = message(peer).await?;
            peer.send(ball).await?;
            window.add(Instant::now(), 1)?;
        },
    }
}

async fn opened(peer: &mut Peer) -> anyhow::Result<Channel> {
    loop {
        if let PeerEvent::Channel(channel) = peer.next_event().await.context("the peer left")? {
            return Ok(channel);
        }
    }
}

async fn message(peer: &mut Peer) -> anyhow::Result<Message> {
    loop {
        if let PeerEvent::Message(message) = peer.next_event().await.context("the peer left")? {
            return Ok(message);
        }
    }
}
