//! SCTP and data channels for WebRTC, sans-IO: no clock, no socket, no lock.
//!
//! [RFC 9260] over DTLS ([RFC 8261]), partial reliability ([RFC 3758]), stream reset ([RFC 6525]), interleaving ([RFC 8260]),
//! zero checksum ([RFC 9653]), data channels ([RFC 8831], [RFC 8832]), and a congestion control that fills paths with loss.
//!
//! [RFC 9260]: https://www.rfc-editor.org/rfc/rfc9260
//! [RFC 8261]: https://www.rfc-editor.org/rfc/rfc8261
//! [RFC 3758]: https://www.rfc-editor.org/rfc/rfc3758
//! [RFC 6525]: https://www.rfc-editor.org/rfc/rfc6525
//! [RFC 8260]: https://www.rfc-editor.org/rfc/rfc8260
//! [RFC 9653]: https://www.rfc-editor.org/rfc/rfc9653
//! [RFC 8831]: https://www.rfc-editor.org/rfc/rfc8831
//! [RFC 8832]: https://www.rfc-editor.org/rfc/rfc8832

mod association;
mod channel;
mod congestion;
mod packet;
mod path;
mod receive;
mod reset;
mod send;
mod transport;
mod tsn;

pub use association::{
    Association, CloseReason, Config, CongestionControl, Event, Input, Output, Role, Stats,
};
pub use channel::{
    ChannelId, ChannelOptions, ChannelState, Message, OpenError, Reliability, SendError,
};
