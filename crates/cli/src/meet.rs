//! What `chat` and `pipe` begin with: make a room or join one, say where it is, wait for somebody.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::str::FromStr;

use anyhow::{Context, Result};
use crowfly_peer::{
    CloseReason, EndReason, InvalidCode, JoinError, LinkError, Liveness, PathStats, PeerStates,
    Room, RoomError, RoomOptions, Secret, ServerUrl, Verified, create_room, join_room, parse_room,
};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{hint, line};

/// Where to meet.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The room to join, as its link or its code, or `-` to be asked for it; without it a room is made, and its link and code are shown
    #[arg(value_name = "CODE|LINK", env = "CROWFLY_CODE", hide_env_values = true)]
    room: Option<Wanted>,

    /// The server to meet at; a link names its own
    #[arg(
        long,
        env = "CROWFLY_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        hide_env_values = true
    )]
    server: ServerUrl,
}

impl Args {
    /// Makes or joins the room; says for people where it is, if it was made.
    pub(crate) async fn enter(self, say: bool) -> Result<Room> {
        let options = RoomOptions::new(self.server.clone());
        let Some(room) = self.room else {
            let room = create_room(options)
                .await
                .map_err(|error| explain(error, &self.server))?;
            if say {
                show(&room);
            }
            return Ok(room);
        };
        let text = match room {
            Wanted::Asked => ask()?,
            Wanted::Given(text) => text,
        };
        let place = parse_room(&text).map_err(misread)?;
        if matches!(place.secret, Some(Secret::Code(_))) {
            line("making the key out of the words");
        }
        let server = place.server.unwrap_or(self.server);
        join_room(&text, options)
            .await
            .map_err(|error| match error {
                JoinError::Room(error) => explain(error, &server),
                JoinError::Link(error) => misread(error),
                error => error.into(),
            })
    }
}

/// The room to join, looked at before anything is opened. `Debug` does not show it: it may be a secret.
#[derive(Clone)]
enum Wanted {
    /// A link, a code or a name.
    Given(String),
    /// Told on the terminal, where no list of processes and no history of commands keeps it.
    Asked,
}

impl FromStr for Wanted {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        if text == "-" {
            return Ok(Self::Asked);
        }
        match parse_room(text) {
            // Told later: what is told here repeats what was given, and that is most of a secret.
            Ok(_) | Err(LinkError::Code(_) | LinkError::Damaged) => {
                Ok(Self::Given(text.to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wanted")
    }
}

/// By the terminal itself: stdin may be data.
fn ask() -> Result<String> {
    let attempt = "could not ask for a code: there is no terminal";
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let mut terminal = terminal.context(attempt)?;
    write!(terminal, "code or link: ").context(attempt)?;
    let mut text = String::new();
    BufReader::new(terminal)
        .read_line(&mut text)
        .context(attempt)?;
    Ok(text)
}

/// What is wrong with a link or a code, and what is meant, probably.
fn misread(error: LinkError) -> anyhow::Error {
    let advice = match &error {
        LinkError::Code(InvalidCode::UnknownWord {
            suggestion: Some(word),
            ..
        }) => format!("Did you mean `{word}`?"),
        LinkError::Code(_) => "Compare it with the code you were given.".to_owned(),
        LinkError::Damaged => "Copy the whole link.".to_owned(),
        _ => return error.into(),
    };
    hint(error, advice)
}

/// Where the room is, on stderr; as a picture too where that is a terminal.
fn show(room: &Room) {
    let code = room.code().unwrap_or_default();
    line(&format!("code  {code}\nlink  {}", room.link()));
    if io::stderr().is_terminal()
        && let Ok(code) = QrCode::new(room.link())
    {
        // Light on dark, as terminals mostly are; readers take either, with the quiet zone around.
        let picture = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        line(&picture);
    }
    line("waiting for somebody to join");
}

/// What a person can try.
fn explain(error: RoomError, server: &ServerUrl) -> anyhow::Error {
    let advice = match error.code() {
        "server-unreachable" => format!(
            "Is a Crowfly server running at {server}? `crowfly serve` starts one; --server names another."
        ),
        "server-silent" => format!(
            "Something listens at {server} but does not speak this protocol, or a proxy holds WebSockets back."
        ),
        "unsupported-protocol" => {
            "This program and the server are of different versions.".to_owned()
        }
        "room-full" => "Two are in this room already. Ask for a new link.".to_owned(),
        "room-not-found" => {
            "The room is gone or the code is incomplete. Ask for a new link.".to_owned()
        }
        "room-unavailable" => {
            "No such room is open, or two are in it already. Check the name.".to_owned()
        }
        "busy" => "The one there is still talking to somebody else. Try again later.".to_owned(),
        "rate-limited" => "Wait a minute, then try again.".to_owned(),
        _ => return error.into(),
    };
    hint(error, advice)
}

/// Why a room closed, as an error where it is one.
pub(crate) fn closed(reason: &CloseReason) -> Result<()> {
    match reason {
        CloseReason::Left => Ok(()),
        CloseReason::Rejected(detail) if detail == "busy" => Err(hint(
            anyhow::anyhow!("the other side is talking to somebody else"),
            "Try again later.",
        )),
        CloseReason::Rejected(detail) if detail == "not-verified" => Err(unverified()),
        CloseReason::Ended(EndReason::NotVerified) => Err(unverified()),
        CloseReason::Burned => Err(hint(
            anyhow::anyhow!("three came who did not know the code, and so the room was closed"),
            "Somebody may have guessed, or sits in between. Make a new room.",
        )),
        CloseReason::Rejected(detail) => Err(anyhow::anyhow!(
            "the other side rejected this one: {detail}"
        )),
        CloseReason::Replaced => Err(anyhow::anyhow!("this seat was taken from elsewhere")),
        CloseReason::Ended(EndReason::Failed) => Err(hint(
            anyhow::anyhow!("no way was found to the other side"),
            "A firewall or NAT keeps the two apart. Try another network on one side.",
        )),
        CloseReason::Ended(_) => Err(anyhow::anyhow!("the other side vanished")),
        CloseReason::Refused(code) => Err(anyhow::anyhow!(
            "the server refused the return to the room: {code}"
        )),
        _ => Err(anyhow::anyhow!("the room was closed")),
    }
}

fn unverified() -> anyhow::Error {
    hint(
        anyhow::anyhow!("the other side does not share this secret"),
        "The code or link is not that of the room, or somebody sits in between. Ask for a new one.",
    )
}

/// How it ended with a peer, for people.
pub(crate) fn farewell(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Goodbye | EndReason::Leave => "the other side left",
        EndReason::Failed => "no way was found to the other side",
        EndReason::NoOffer => "somebody joined and then said nothing",
        EndReason::Replaced => "the other side came anew",
        EndReason::NotVerified => "somebody came who did not know the code",
        _ => "the other side vanished",
    }
}

/// What people should know of the other side's silence, when it begins and ends; `silent` is what they know.
pub(crate) fn silence(states: PeerStates, silent: &mut bool) -> Option<&'static str> {
    let now = match states.liveness {
        Liveness::Silent => true,
        Liveness::Alive => false,
        _ => return None,
    };
    (std::mem::replace(silent, now) != now).then_some(silence_words(now))
}

pub(crate) fn silence_words(silent: bool) -> &'static str {
    if silent {
        "nothing is heard from the other side"
    } else {
        "the other side is heard again"
    }
}

/// The path to a peer, and whether it can be anybody else, for people.
pub(crate) fn describe(path: Option<&PathStats>, verified: Option<Verified>) -> String {
    let verified = match verified {
        Some(Verified::Code) => "verified by code",
        _ => "not verified",
    };
    let Some(path) = path else {
        return format!("connected, {verified}");
    };
    let way = if path.local_type == "relay" || path.remote_type == "relay" {
        "by a relay"
    } else {
        "directly"
    };
    format!(
        "connected {way}, {} to {}, {verified}",
        path.local, path.remote
    )
}

/// Until somebody wants this process to end: Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = terminate.recv() => Ok(()),
    }
}

/// Runs until done, without waiting for a thread that reads stdin.
pub(crate) fn run(verb: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(verb);
    runtime.shutdown_background();
    result
}
