//! Direct connections to browsers and to other programs: rooms, peers, data channels.
#![allow(dead_code, unused_imports)]
mod description;
mod frames;
mod inbox;
mod liveness;
mod message;
mod outbox;
mod payload;
mod session;
mod trace;

pub use description::DescriptionError;
pub use message::Message;
pub use session::HandshakeError;
pub use trace::Role;
