//! Direct connections to browsers and to other programs: rooms, peers, data channels.
//!
//! A native program is a peer like a page: it meets others in the rooms of a Crowfly server, by the same links, and speaks to them over
//! WebRTC data channels, without the server once connected. The last to arrive offers.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use crowfly_peer::{PeerEvent, RoomOptions, create_room};
//!
//! let mut room = create_room(RoomOptions::new("https://crows.example".parse()?)).await?;
//! println!("open {}", room.link());
//! let mut peer = room.next_peer().await.map_err(|_| "the room was closed")?;
//! while let Some(event) = peer.next_event().await {
//!     match event {
//!         PeerEvent::Open => peer.send("caw").await?,
//!         PeerEvent::Message(message) => println!("{message:?}"),
//!         _ => {}
//!     }
//! }
//! room.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! Joining is [`join_room`] with a link; [`Peer::open_channel`] opens further channels with any options; [`manual`] does without a server
//! at all. Inside: `is` finds the path (ICE), `dimpl` secures it (DTLS 1.3 and 1.2), `crowfly-sctp` carries the channels, each a state
//! machine without clock or socket, driven by one tokio task a room.
//!
//! A room without a chosen name is sealed: its link and its code hold a secret, without which a server in the middle can neither read nor
//! change what the two say before they are connected. [`RoomOptions::open`] decides otherwise.
//!
//! Not there yet: relays (TURN), files.

mod backoff;
mod burst;
mod channel;
mod description;
mod driver;
mod frames;
mod gather;
mod inbox;
mod inflow;
mod link;
mod link_to_peer;
mod liveness;
pub mod manual;
mod message;
#[cfg(test)]
mod mutate;
mod names;
mod outbox;
mod pairing;
mod payload;
mod peer;
mod room;
mod room_core;
mod session;
mod signaling;
mod sockets;
mod states;
mod trace;

pub use channel::{Channel, ChannelOptions, OpenError, Reliability};
pub use crowfly_protocol::{InvalidCode, PeerId, RoomCode, RoomKey, RoomName, SessionId, Token};
pub use description::DescriptionError;
pub use link::{LinkError, Place, Secret, ServerUrl, parse_room};
pub use message::Message;
pub use pairing::{EndReason, PeerError};
pub use peer::{PathStats, Peer, PeerEvent, PeerSender, PeerStats, SendError, Verified};
pub use room::{JoinError, Room, RoomEvent, RoomOptions, create_room, join_room};
pub use room_core::{CloseReason, RoomError};
pub use session::{Agreed, HandshakeError};
pub use states::{
    ChannelState, ConnectionState, GatheringState, IceState, Liveness, PeerStates, SignalingState,
};
pub use trace::Role;
