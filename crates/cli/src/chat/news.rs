//! What happens in a chat besides what is said, in words for people and as JSON for programs.
//!
//! Every object has a `type`; more of them, and more in them, may come.

use std::fmt;

use crowfly_peer::{EndReason, Message, PathStats, Verified};
use serde_json::{Value, json};

use crate::meet::{self, farewell};

/// See the module.
#[derive(Debug)]
pub(super) enum News {
    Room {
        /// None where the room was entered by a link.
        code: Option<String>,
        link: String,
    },
    Somebody,
    Connected {
        path: Option<PathStats>,
        verified: Option<Verified>,
    },
    Silence {
        silent: bool,
    },
    Server {
        online: bool,
        talking: bool,
    },
    Left(EndReason),
    /// For the next one.
    Waiting {
        online: bool,
    },
    Problem {
        code: String,
        text: String,
    },
    /// What a terminal cannot show.
    NoText(Message),
    Channel {
        label: String,
    },
    /// A line was typed that nobody heard.
    Alone,
}

impl News {
    pub(super) fn problem(code: &str, error: &dyn fmt::Display) -> Self {
        Self::Problem {
            code: code.to_owned(),
            text: error.to_string(),
        }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let words = match self {
            Self::Room { code, link } => {
                let code = code.as_deref().unwrap_or_default();
                return format!("code  {code}\nlink  {link}");
            }
            Self::Somebody => "somebody is there, connecting",
            Self::Connected { path, verified } => {
                return meet::describe(path.as_ref(), *verified);
            }
            Self::Silence { silent } => meet::silence_words(*silent),
            Self::Server { online: true, .. } => "the server is back",
            Self::Server { talking: true, .. } => {
                "the server is lost; the conversation goes on without it"
            }
            Self::Server { .. } => "the server is lost, trying again",
            Self::Left(reason) => farewell(*reason),
            Self::Waiting { online: true } => "the room is still open",
            Self::Waiting { .. } => "the room is open again when the server is back",
            Self::Problem { text, .. } => text,
            Self::NoText(Message::Blob { name, data, .. }) => {
                let name = name.as_deref().unwrap_or("a file without a name");
                return format!(
                    "{name} ({} bytes) was sent; chat takes text only",
                    data.len()
                );
            }
            Self::NoText(message) => {
                return format!("{} bytes were sent; chat takes text only", message.len());
            }
            Self::Channel { label } => {
                return format!("a channel named {label} was opened; chat takes text only");
            }
            Self::Alone => "nobody is there to hear that",
        };
        words.to_owned()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Room { code, link } => json!({ "type": "room", "code": code, "link": link }),
            Self::Somebody => json!({ "type": "peer" }),
            Self::Connected { path, verified } => {
                let mut object = json!({ "type": "connected", "verified": verified.map(by) });
                if let Some(path) = path {
                    object["local"] = json!(path.local);
                    object["localType"] = json!(path.local_type);
                    object["remote"] = json!(path.remote);
                    object["remoteType"] = json!(path.remote_type);
                }
                object
            }
            Self::Silence { silent } => json!({ "type": "silence", "silent": silent }),
            Self::Server { online, .. } => json!({ "type": "server", "online": online }),
            Self::Left(reason) => json!({ "type": "left", "reason": reason.as_str() }),
            Self::Waiting { .. } => json!({ "type": "waiting" }),
            Self::Problem { code, text } => {
                json!({ "type": "problem", "code": code, "text": text })
            }
            Self::NoText(message) => json!({ "type": "refused", "bytes": message.len() }),
            Self::Channel { label } => json!({ "type": "refused", "channel": label }),
            Self::Alone => json!({ "type": "unheard" }),
        }
    }
}

/// By what a peer is verified, in a word.
fn by(verified: Verified) -> &'static str {
    match verified {
        Verified::Code => "code",
        _ => "other",
    }
}

/// What the other side said, for programs.
pub(super) fn message(text: &str) -> Value {
    json!({ "type": "message", "text": text })
}
