//! The STUN Binding server (RFC 8489 §12): a datagram in, at most one out.

use std::net::SocketAddr;
use std::time::Instant;

use stun_types::attribute::XorMappedAddress;
use stun_types::message::{BINDING, Message, MessageClass, MessageWriteVec};
use stun_types::prelude::*;

use crate::rate::Rate;

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came from `from`.
    Datagram {
        /// Its sender, as the socket says.
        from: SocketAddr,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send `bytes` to `to`.
    Transmit {
        /// The receiver.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Something to count.
    Event(Event),
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was a Binding request and is answered.
    Answered,
    /// It was left unanswered: not a Binding request, or its source asks too often.
    Ignored,
}

/// Answers Binding requests. Needs no timeout: nothing is remembered beyond a count.
#[derive(Debug)]
pub struct StunServer {
    rate: Rate,
    answer: Option<(SocketAddr, Vec<u8>)>,
    event: Option<Event>,
}

impl StunServer {
    /// `answers_a_second` is for each source: an IPv4 address or an IPv6 /64.
    pub fn new(answers_a_second: u16) -> Self {
        Self {
            rate: Rate::new(answers_a_second),
            answer: None,
            event: None,
        }
    }

    /// Takes one datagram. Drain [`poll_output`](Self::poll_output) before the next.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagram { from, bytes } = input;
        self.answer = None;
        if self.rate.allow(now, from.ip()) {
            self.answer = answer(from, bytes).map(|bytes| (from, bytes));
        }
        self.event = Some(if self.answer.is_some() {
            Event::Answered
        } else {
            Event::Ignored
        });
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        let transmit = self
            .answer
            .take()
            .map(|(to, bytes)| Output::Transmit { to, bytes });
        transmit.or_else(|| self.event.take().map(Output::Event))
    }
}

/// A success response holding XOR-MAPPED-ADDRESS alone: no SOFTWARE, no FINGERPRINT, for an answer must not be worth reflecting.
///
/// RFC 8489 §6.3.1 wants an error response to unknown comprehension-required attributes; it would be longer than the request that
/// forged them, so such a request is answered as if they were not there: a Binding has nothing they could change.
fn answer(from: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let request = Message::from_bytes(bytes).ok()?;
    if request.class() != MessageClass::Request || request.method() != BINDING {
        return None;
    }
    let canonical = SocketAddr::new(from.ip().to_canonical(), from.port());
    let address = XorMappedAddress::new(canonical, request.transaction_id());
    let mut response = Message::builder_success(&request, MessageWriteVec::with_capacity(44));
    response.add_attribute(&address).ok()?;
    Some(response.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 20] = [
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];

    fn outputs(server: &mut StunServer, from: &str, bytes: &[u8]) -> Vec<Output> {
        let from = from.parse().unwrap();
        server.handle_input(Instant::now(), Input::Datagram { from, bytes });
        std::iter::from_fn(|| server.poll_output()).collect()
    }

    fn mapped(bytes: &[u8]) -> SocketAddr {
        let message = Message::from_bytes(bytes).unwrap();
        let address = message.attribute::<XorMappedAddress>().unwrap();
        address.addr(message.transaction_id())
    }

    #[test]
    fn a_binding_request_learns_its_address_and_nothing_else() {
        for (from, seen, length) in [
            ("192.0.2.7:4000", "192.0.2.7:4000", 32),
            ("[2001:db8::7]:4000", "[2001:db8::7]:4000", 44),
            ("[::ffff:192.0.2.7]:4000", "192.0.2.7:4000", 32),
        ] {
            let outputs = outputs(&mut StunServer::new(10), from, &REQUEST);
            let [
                Output::Transmit { to, bytes },
                Output::Event(Event::Answered),
            ] = &outputs[..]
            else {
                panic!("{outputs:?}")
            };
            assert_eq!(*to, from.parse().unwrap());
            assert_eq!(mapped(bytes), seen.parse().unwrap());
            assert_eq!(bytes.len(), length, "the shortest answer there is");
            assert_eq!(
                bytes[8..20],
                REQUEST[8..20],
                "the transaction id comes back"
            );
        }
    }

    #[test]
    fn everything_else_meets_silence() {
        let mut indication = REQUEST;
        indication[1] = 0x11;
        let mut allocate = REQUEST;
        allocate[1] = 3;
        let mut response = REQUEST;
        response[0] = 1;
        let mut no_cookie = REQUEST;
        no_cookie[4] = 0;
        for bytes in [
            &indication[..],
            &allocate,
            &response,
            &no_cookie,
            &REQUEST[..19],
            b"",
            b"hello",
            &[0xff; 1500],
        ] {
            let outputs = outputs(&mut StunServer::new(10), "192.0.2.7:4000", bytes);
            assert_eq!(outputs, [Output::Event(Event::Ignored)], "{bytes:?}");
        }
    }

    #[test]
    fn a_source_that_asks_too_often_meets_silence() {
        let mut server = StunServer::new(3);
        let answered = (0..10)
            .filter(|_| outputs(&mut server, "192.0.2.7:4000", &REQUEST).len() == 2)
            .count();
        assert_eq!(answered, 3);
    }
}
