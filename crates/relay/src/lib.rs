//! STUN for Crowfly: tells a peer the address its packets come from (RFC 8489 §12). TURN has its place here later.
//!
//! [`StunServer`] is a state machine without socket or clock, in the shape of all of Crowfly's: feed it with
//! [`handle_input`](StunServer::handle_input), then drain it with [`poll_output`](StunServer::poll_output). [`serve`] drives it over
//! a UDP socket.
//!
//! A public STUN server can be made to answer a forged sender. So an answer is as short as RFC 8489 allows (32 bytes to a request
//! of 20 for IPv4, 44 for IPv6), nothing but a Binding request is ever answered, and nobody is answered more than a number of times a second.

mod binding;
mod driver;
mod rate;

pub use binding::{Event, Input, Output, StunServer};
pub use driver::serve;
