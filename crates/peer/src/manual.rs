//! Without a server: the offer and the answer are two texts, carried by any other means, as copy-and-paste.
//!
//! Each text is an RTCSessionDescription (W3C WebRTC §4.7) as JSON, with all candidates in it: what a page gets from
//! `JSON.stringify(pc.localDescription)` once gathering is complete, and what its `setRemoteDescription(JSON.parse(text))` takes.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use crowfly_peer::manual;
//!
//! // Here, and somewhere else:
//! let (offer, offered) = manual::offer(manual::Options::default()).await?;
//! let (answer, mut there) = manual::answer(&offer, manual::Options::default()).await?;
//! // Here again:
//! let mut here = offered.answered(&answer)?;
//! here.peer.opened().await.map_err(|reason| reason.as_str())?;
//! here.peer.send("caw").await?;
//! # Ok(())
//! # }
//! ```

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::driver::{self, Carried};
use crate::peer::Peer;
use crate::room::RoomEvent;
use crate::room_core::{Intent, RoomError};
use crate::trace::Role;

/// How a connection without a server is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// STUN servers, `host` or `host:port`, to learn how own addresses look from outside. None: the two are in one network.
    pub stun_servers: Vec<String>,
    /// Label of the main data channel; of more than 65,535 bytes the beginning.
    pub label: String,
}

/// Why a text is not the description it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManualError {
    /// Not JSON with a `type` and an `sdp`.
    #[error("read a description: not a session description as JSON")]
    Malformed,
    /// An answer where an offer was wanted, or the other way round.
    #[error("read a description: {wanted} was wanted, this is the other one")]
    WrongKind {
        /// `offer` or `answer`.
        wanted: &'static str,
    },
    /// No description could be made of it; the SDP is not one of data channels, or there is no network.
    #[error("make a description: {reason}")]
    Failed {
        /// What speaks against it.
        reason: String,
    },
}

/// An offer that waits for its answer.
#[derive(Debug)]
pub struct Offered {
    connection: Connection,
    theirs: mpsc::UnboundedSender<String>,
}

/// A connection that no server knows of. Dropping it ends it.
#[derive(Debug)]
pub struct Connection {
    /// The other side; its [`opened`](Peer::opened) waits for the channel.
    pub peer: Peer,
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    #[serde(rename = "type")]
    kind: String,
    sdp: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stun_servers: Vec::new(),
            label: "crowfly".to_owned(),
        }
    }
}

/// Makes an offer: its text, and what takes the answer.
///
/// # Errors
///
/// [`ManualError::Failed`] without a network.
pub async fn offer(options: Options) -> Result<(String, Offered), ManualError> {
    let (mut ours, theirs, connection) = start(Role::Peer1, options, None).await?;
    let text = described(&mut ours).await?;
    Ok((text, Offered { connection, theirs }))
}

/// Answers an offer: the answer's text, and the connection that comes about once it has been carried back.
///
/// # Errors
///
/// [`ManualError`] when the text is no offer of data channels.
pub async fn answer(offer: &str, options: Options) -> Result<(String, Connection), ManualError> {
    let payload = payload(offer, "offer")?;
    let (mut ours, _, connection) = start(Role::Peer2, options, Some(payload)).await?;
    let text = described(&mut ours).await?;
    Ok((text, connection))
}

impl Offered {
    /// Takes the answer; the connection comes about by itself.
    ///
    /// # Errors
    ///
    /// [`ManualError`] when the text is no answer. An answer that cannot be used ends the peer.
    pub fn answered(self, answer: &str) -> Result<Connection, ManualError> {
        let payload = payload(answer, "answer")?;
        // The driver is gone where this fails, and the peer says why.
        let _ = self.theirs.send(payload);
        Ok(self.connection)
    }
}

impl Connection {
    /// Waits at most a second until the other side has all that was sent, says goodbye, and closes everything.
    pub async fn leave(mut self) {
        let _ = self.leave.take().map(|leave| leave.send(()));
        let _ = self.task.await;
    }
}

/// The driver, its descriptions out and in, and its peer.
async fn start(
    role: Role,
    options: Options,
    first: Option<String>,
) -> Result<
    (
        mpsc::UnboundedReceiver<String>,
        mpsc::UnboundedSender<String>,
        Connection,
    ),
    ManualError,
> {
    let failed = |error: &RoomError| ManualError::Failed {
        reason: error.to_string(),
    };
    let (ours_in, ours) = mpsc::unbounded_channel();
    let (theirs, theirs_out) = mpsc::unbounded_channel();
    if let Some(first) = first {
        let _ = theirs.send(first);
    }
    let carried = Carried {
        ours: ours_in,
        theirs: theirs_out,
    };
    let Options {
        stun_servers,
        label,
    } = options;
    let started = driver::start(
        Intent::Carried { role },
        label,
        Some(stun_servers),
        String::new(),
        Some(carried),
        None,
    );
    let mut started = started.map_err(|error| failed(&error))?;
    let Some((RoomEvent::Peer(peer), _)) = started.events.recv().await else {
        return Err(failed(&RoomError::Left));
    };
    let connection = Connection {
        peer,
        leave: Some(started.leave),
        task: started.task,
    };
    Ok((ours, theirs, connection))
}

/// Our description, as soon as it is made.
async fn described(ours: &mut mpsc::UnboundedReceiver<String>) -> Result<String, ManualError> {
    #[derive(Deserialize)]
    struct Payload {
        description: Description,
    }
    while let Some(text) = ours.recv().await {
        if let Ok(Payload { description }) = serde_json::from_str(&text) {
            return Ok(serde_json::to_string(&description).expect("two texts"));
        }
        // A refusal: the other side's description is none we can use.
        if text.contains("\"rejected-description\"") {
            break;
        }
    }
    Err(ManualError::Failed {
        reason: "the other side's description cannot be used".to_owned(),
    })
}

/// A description as the payload it would be on a server.
fn payload(text: &str, wanted: &'static str) -> Result<String, ManualError> {
    let description: Description =
        serde_json::from_str(text.trim()).map_err(|_| ManualError::Malformed)?;
    if description.kind != wanted {
        return Err(ManualError::WrongKind { wanted });
    }
    Ok(serde_json::json!({ "kind": "description", "description": description }).to_string())
}
