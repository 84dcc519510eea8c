//! Direct connections to browsers and to other programs: rooms, peers, data channels.
#![allow(dead_code, unused_imports)]
mod backoff;
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
mod message;
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
pub use crowfly_protocol::{PeerId, RoomName, SessionId, Token};
pub use description::DescriptionError;
pub use link::{LinkError, ServerUrl, parse_room};
pub use message::Message;
pub use pairing::{EndReason, PeerError};
pub use peer::{PathStats, Peer, PeerEvent, PeerSender, PeerStats, SendError};
pub use room::{JoinError, Room, RoomEvent, RoomOptions, create_room, join_room};
pub use room_core::{CloseReason, RoomError};
pub use session::HandshakeError;
pub use states::{
    ChannelState, ConnectionState, GatheringState, IceState, Liveness, PeerStates, SignalingState,
};
pub use trace::Role;
