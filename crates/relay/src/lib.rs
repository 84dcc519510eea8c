//! STUN and TURN for Crowfly: tells a peer the address its packets come from (RFC 8489 §12), and relays for those who have no direct path
//! (RFC 8656), over UDP, TCP and TLS, IPv4 and IPv6. `docs/relay.md` says what is open and why.
//!
//! [`core`] is a state machine without socket or clock; [`Server`] drives it. Credentials are time-limited, see [`Secret`]: the relay
//! needs no list of users and the signaling server, or any other application, issues them by itself.

pub mod core;

mod credentials;
mod driver;

pub use credentials::Secret;
pub use driver::{BindError, Listen, Server, TlsFiles};
