//! What is said to which server: Crowfly's protocol (docs/protocol.md) and that of PeerJS, and how two clients find each other in each.

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::net::{Key, Net};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Crowfly,
    PeerJs,
}

/// What a relayed message is; the payloads are the same for both servers, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Offer,
    Answer,
    Candidate,
}

/// Who of a pair: the one who waits (PEER2), or the joiner, who offers (PEER1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Waiting,
    Joining,
}

/// What a text meant for a pair.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A step on the way; nothing to do.
    Step,
    /// The joiner may send its offer now.
    MayOffer,
    /// Both know of each other.
    Joined,
    /// Both know, and the joiner may offer, at the same moment.
    JoinedMayOffer,
    /// A message from the other one.
    Relayed,
    /// The other one has left, in so many words.
    PeerLeft,
    /// The server has confirmed a leave.
    Left,
}

/// Two clients and what they know.
pub struct Pair {
    dialect: Dialect,
    keys: [Key; 2],
    ids: [String; 2],
    /// Who has been greeted; who has been told that both are there.
    greeted: [bool; 2],
    told: [bool; 2],
    room: Option<String>,
    session: String,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Waiting => Self::Joining,
            Self::Joining => Self::Waiting,
        }
    }
}

impl Pair {
    /// Connects two clients. `number` must be another one for each pair of a server's life.
    pub fn connect(dialect: Dialect, net: &mut Net, number: u64) -> anyhow::Result<Self> {
        // Ids as a client of either would draw them: 128 bits, here counted.
        let ids =
            [Side::Waiting, Side::Joining].map(|side| format!("{:018x}-{number:016x}", side as u8));
        let mut keys = [0; 2];
        for (key, id) in keys.iter_mut().zip(&ids) {
            *key = match dialect {
                Dialect::Crowfly => net.connect("/ws")?,
                Dialect::PeerJs => net.connect(&format!(
                    "/peerjs?key=peerjs&id={id}&token=t{number}&version=1.5.5"
                ))?,
            };
        }
        // 22 characters of base64url; the last one carries two bits only.
        let session = format!("{number:021}A");
        Ok(Self {
            dialect,
            keys,
            ids,
            greeted: [false; 2],
            told: [false; 2],
            room: None,
            session,
        })
    }

    pub fn key(&self, side: Side) -> Key {
        self.keys[side as usize]
    }

    /// Follows one text that `side` has received.
    pub fn hear(&mut self, net: &mut Net, side: Side, text: &[u8]) -> anyhow::Result<Heard> {
        if is_relayed(self.dialect, text) {
            return Ok(Heard::Relayed);
        }
        let message: Value = serde_json::from_slice(text).context("the server sent no JSON")?;
        match (self.dialect, message["type"].as_str().unwrap_or_default()) {
            (Dialect::PeerJs, "OPEN") => {
                self.greeted[side as usize] = true;
                Ok(if self.greeted == [true; 2] {
                    Heard::JoinedMayOffer
                } else {
                    Heard::Step
                })
            }
            (Dialect::Crowfly, "welcome") => {
                self.greeted[side as usize] = true;
                if side == Side::Waiting {
                    net.send(self.key(side), br#"{"type":"create","id":1}"#)?;
                }
                self.join_if_possible(net)
            }
            (Dialect::Crowfly, "created") => {
                self.room = Some(
                    message["room"]
                        .as_str()
                        .context("created without a room")?
                        .to_owned(),
                );
                self.join_if_possible(net)
            }
            (Dialect::Crowfly, "joined" | "peer-joined") => {
                self.told[side as usize] = true;
                Ok(if self.told == [true; 2] {
                    Heard::Joined
                } else {
                    Heard::Step
                })
            }
            (Dialect::Crowfly, "peer-left") => Ok(Heard::PeerLeft),
            (Dialect::Crowfly, "left") => Ok(Heard::Left),
            (Dialect::Crowfly, "peer-offline") => Ok(Heard::Step),
            _ => bail!("unexpected: {message}"),
        }
    }

    /// The message with which `from` sends `payload` to the other one.
    pub fn signal(&self, from: Side, kind: Kind, payload: &str) -> Vec<u8> {
        match self.dialect {
            Dialect::Crowfly => format!(
                r#"{{"type":"signal","session":"{}","payload":{payload}}}"#,
                self.session
            ),
            Dialect::PeerJs => {
                let (verb, other) = (verb(kind), &self.ids[from.other() as usize]);
                format!(r#"{{"type":"{verb}","payload":{payload},"dst":"{other}"}}"#)
            }
        }
        .into_bytes()
    }

    /// How `side` takes its leave, if this protocol has a message for it besides closing.
    pub fn leave(&self, net: &mut Net, side: Side) -> anyhow::Result<bool> {
        if self.dialect == Dialect::Crowfly {
            net.send(self.key(side), br#"{"type":"leave","id":2}"#)?;
        }
        Ok(self.dialect == Dialect::Crowfly)
    }

    fn join_if_possible(&self, net: &mut Net) -> anyhow::Result<Heard> {
        let (true, Some(room)) = (self.greeted[Side::Joining as usize], &self.room) else {
            return Ok(Heard::Step);
        };
        let join = format!(
            r#"{{"type":"join","id":1,"room":"{room}","session":"{}"}}"#,
            self.session
        );
        net.send(self.key(Side::Joining), join.as_bytes())?;
        Ok(Heard::MayOffer)
    }
}

/// Fails unless `text` carries `payload` to its last byte: both servers put it last.
pub fn check_payload(text: &[u8], payload: &str) -> anyhow::Result<()> {
    let intact = text
        .strip_suffix(b"}")
        .is_some_and(|text| text.ends_with(payload.as_bytes()));
    ensure!(
        intact,
        "a payload was changed on its way: {}",
        String::from_utf8_lossy(text)
    );
    Ok(())
}

/// A description as a signal's payload, of so many bytes.
pub fn description(kind: Kind, bytes: usize) -> String {
    let kind = if kind == Kind::Offer {
        "offer"
    } else {
        "answer"
    };
    let (head, tail) = (
        format!(r#"{{"kind":"description","description":{{"type":"{kind}","sdp":""#),
        r#""}}"#,
    );
    let line = r"a=candidate:842163049 1 udp 1677729535 192.0.2.17 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0\r\n";
    let lines = r"v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned()
        + &line.repeat(bytes / line.len() + 1);
    let room = bytes - head.len() - tail.len();
    // Not in the middle of an escape.
    let room_kept = lines[..room].trim_end_matches('\\').len();
    head + &lines[..room_kept] + &"x".repeat(room - room_kept) + tail
}

/// A candidate as a signal's payload.
pub fn candidate() -> String {
    r#"{"kind":"candidate","candidate":{"candidate":"candidate:842163049 1 udp 1677729535 192.0.2.17 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag Yd2w network-cost 999","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"Yd2w"}}"#.into()
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Offer => "OFFER",
        Kind::Answer => "ANSWER",
        Kind::Candidate => "CANDIDATE",
    }
}

/// Told from the first bytes: this is asked for every relayed message.
fn is_relayed(dialect: Dialect, text: &[u8]) -> bool {
    match dialect {
        Dialect::Crowfly => text.starts_with(br#"{"type":"signal","#),
        Dialect::PeerJs => [Kind::Offer, Kind::Answer, Kind::Candidate]
            .iter()
            .any(|kind| {
                let rest = text.strip_prefix(br#"{"type":""#).unwrap_or_default();
                rest.starts_with(verb(*kind).as_bytes())
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_of_the_length_asked_for() {
        for bytes in 1400..1700 {
            let payload = description(Kind::Offer, bytes);
            assert_eq!(payload.len(), bytes);
            serde_json::from_str::<Value>(&payload).unwrap();
        }
        serde_json::from_str::<Value>(&candidate()).unwrap();
    }
}
