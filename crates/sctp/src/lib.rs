//! SCTP and data channels for WebRTC, sans-IO: no clock, no socket, no lock.
//!
//! [RFC 9260] over DTLS ([RFC 8261]), partial reliability ([RFC 3758]), stream reset ([RFC 6525]), interleaving ([RFC 8260]),
//! zero checksum ([RFC 9653]), data channels ([RFC 8831], [RFC 8832]), and a congestion control that fills paths with loss.
//!
//! Give an [`Association`] an [`Input`] and the time, then take every [`Output`] until it yields the next timeout. A driver puts DTLS
//! and a socket where this example puts the other side:
//!
//! ```
//! use crowfly_sctp::{Association, ChannelOptions, Config, Event, Input, Message, Output, Role};
//!
//! let now = std::time::Instant::now();
//! let mut sides = [(Role::Client, [1; 32]), (Role::Server, [2; 32])]
//!     .map(|(role, seed)| Association::new(Config { role, ..Config::default() }, seed));
//! let chat = sides[0].open(ChannelOptions::labeled("chat"))?;
//! sides[0].send(now, chat, Message::Text("hello".into()))?;
//! for side in &mut sides {
//!     side.handle_input(now, Input::Connect);
//! }
//!
//! let (mut packets, mut heard) = (Vec::new(), None);
//! for side in [0, 1].into_iter().cycle().take(20) {
//!     loop {
//!         match sides[side].poll_output(now, &mut packets) {
//!             Output::Transmit { segment_size } => {
//!                 for packet in packets.chunks(segment_size) {
//!                     sides[1 - side].handle_input(now, Input::Datagram(packet));
//!                 }
//!             }
//!             Output::Event(Event::Message { message, .. }) => heard = Some(message),
//!             Output::Timeout(_) => break,
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(heard, Some(Message::Text("hello".into())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
