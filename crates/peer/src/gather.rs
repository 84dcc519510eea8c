//! Own addresses: those of the interfaces, and how a STUN server sees them from outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use stun_types::attribute::XorMappedAddress;
use stun_types::message::{BINDING, Message, MessageClass, MessageWriteVec, TransactionId};
use stun_types::prelude::*;

/// Host candidates at most, in all.
const MAX_HOSTS: usize = 16;
/// STUN servers asked at most, each from every address of its family.
pub(crate) const MAX_SERVERS: usize = 4;
/// First retransmission and how often (RFC 8489 §6.2.1 doubles from 500 ms, seven times; the path may be found without it long before).
const FIRST_RETRY: Duration = Duration::from_millis(250);
const TRIES: u32 = 4;

/// Interfaces that lead to nobody but this machine's own containers and virtual machines.
const INSIDE: [&str; 10] = [
    "docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "vmnet", "vboxnet", "lxc",
];

/// Addresses worth telling the other side, the best first. Loopback only where there is nothing else.
pub(crate) fn host_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let usable = |loopback: bool| -> Vec<IpAddr> {
        let matching = interfaces.iter().filter(|interface| {
            interface.is_loopback() == loopback
                && !INSIDE
                    .iter()
                    .any(|prefix| interface.name.starts_with(prefix))
                && is_sensible(interface.ip())
        });
        matching.map(if_addrs::Interface::ip).collect()
    };
    let mut addresses = usable(false);
    if addresses.is_empty() {
        addresses = usable(true);
    }
    addresses.dedup();
    addresses.truncate(MAX_HOSTS);
    addresses
}

/// Neither link-local, which needs a zone that a candidate cannot carry (RFC 8445 §5.1.1.1), nor one of the transition mechanisms.
fn is_sensible(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_unspecified(),
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            let link_local = first & 0xffc0 == 0xfe80;
            let site_local = first & 0xffc0 == 0xfec0;
            let teredo = (first, second) == (0x2001, 0);
            !link_local
                && !site_local
                && !teredo
                && address.to_ipv4_mapped().is_none()
                && !address.is_unspecified()
        }
    }
}

/// Asks STUN servers how own addresses look from outside. Sans-IO: datagrams in, datagrams out.
#[derive(Debug, Default)]
pub(crate) struct Reflexive {
    questions: Vec<Question>,
    found: Vec<(SocketAddr, SocketAddr)>,
}

#[derive(Debug)]
struct Question {
    base: SocketAddr,
    server: SocketAddr,
    id: TransactionId,
    due: Instant,
    tries: u32,
}

impl Reflexive {
    pub(crate) fn new(now: Instant, bases: &[SocketAddr], servers: &[SocketAddr]) -> Self {
        let mut questions = Vec::new();
        for server in servers.iter().take(MAX_SERVERS) {
            for base in bases
                .iter()
                .filter(|base| base.is_ipv4() == server.is_ipv4())
            {
                let id = TransactionId::generate();
                questions.push(Question {
                    base: *base,
                    server: *server,
                    id,
                    due: now,
                    tries: 0,
                });
            }
        }
        Self {
            questions,
            found: Vec::new(),
        }
    }

    /// Whether every question was answered or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.questions.is_empty()
    }

    /// Takes an answer; `false` for everything else.
    pub(crate) fn handle_datagram(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        let asked = |question: &Question| question.server == remote && question.base == local;
        // Cheap first: almost nothing that arrives is meant for here.
        if !self.questions.iter().any(asked) {
            return false;
        }
        let Ok(message) = Message::from_bytes(datagram) else {
            return false;
        };
        let id = message.transaction_id();
        let Some(at) = self
            .questions
            .iter()
            .position(|question| asked(question) && question.id == id)
        else {
            return false;
        };
        let question = self.questions.swap_remove(at);
        if let Ok(mapped) = message.attribute::<XorMappedAddress>() {
            let mapped = mapped.addr(id);
            // An address that is one's own already is nothing new.
            if message.has_class(MessageClass::Success) && mapped != question.base {
                self.found.push((question.base, mapped));
            }
        }
        true
    }

    /// A base and its address from outside.
    pub(crate) fn poll_found(&mut self) -> Option<(SocketAddr, SocketAddr)> {
        self.found.pop()
    }

    /// The next datagram to send: from, to, what.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
    ) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        self.questions
            .retain(|question| question.tries < TRIES || question.due > now);
        let question = self
            .questions
            .iter_mut()
            .find(|question| question.due <= now)?;
        question.due = now + FIRST_RETRY * 2_u32.pow(question.tries);
        question.tries += 1;
        let message = Message::builder(
            stun_types::message::MessageType::from_class_method(MessageClass::Request, BINDING),
            question.id,
            MessageWriteVec::new(),
        );
        Some((question.base, question.server, message.finish()))
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.questions.iter().map(|question| question.due).min()
    }
}

/// The wildcard address of a family.
pub(crate) const fn any(ipv4: bool) -> IpAddr {
    if ipv4 {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A server that says what it is told to.
    fn answer(request: &[u8], mapped: SocketAddr) -> Vec<u8> {
        let request = Message::from_bytes(request).expect("a request");
        let mut answer = Message::builder_success(&request, MessageWriteVec::new());
        answer
            .add_attribute(&XorMappedAddress::new(mapped, request.transaction_id()))
            .expect("room for one attribute");
        answer.finish()
    }

    #[test]
    fn learns_how_it_looks_from_outside() {
        let now = Instant::now();
        let (base, server) = (address("192.0.2.1:1000"), address("198.51.100.1:3478"));
        let mut reflexive = Reflexive::new(now, &[base, address("[2001:db8::1]:1000")], &[server]);
        let (from, to, request) = reflexive.poll_transmit(now).expect("a question");
        assert_eq!((from, to), (base, server));
        assert!(reflexive.poll_transmit(now).is_none());
        let answer = answer(&request, address("203.0.113.9:4321"));
        assert!(
            !reflexive.handle_datagram(base, address("198.51.100.2:3478"), &answer),
            "not from a stranger"
        );
        assert!(reflexive.handle_datagram(base, server, &answer));
        assert_eq!(
            reflexive.poll_found(),
            Some((base, address("203.0.113.9:4321")))
        );
        assert!(reflexive.is_done());
    }

    #[test]
    fn gives_up_within_four_seconds() {
        let start = Instant::now();
        let mut reflexive = Reflexive::new(
            start,
            &[address("192.0.2.1:1")],
            &[address("198.51.100.1:3478")],
        );
        let (mut now, mut sent) = (start, 0);
        while !reflexive.is_done() {
            while reflexive.poll_transmit(now).is_some() {
                sent += 1;
            }
            now = reflexive.timeout().unwrap_or(now);
        }
        assert_eq!(sent, TRIES);
        assert!(now - start < Duration::from_secs(4));
    }

    #[test]
    fn link_local_and_transition_addresses_stay_out() {
        let sensible = |text: &str| is_sensible(text.parse().expect("an address"));
        assert!(
            sensible("192.0.2.1")
                && sensible("10.0.0.1")
                && sensible("fd00::1")
                && sensible("2001:db8::1")
        );
        assert!(
            !sensible("169.254.1.1")
                && !sensible("fe80::1")
                && !sensible("fec0::1")
                && !sensible("2001::1")
        );
        assert!(!sensible("::ffff:192.0.2.1"));
    }

    #[test]
    fn an_answer_that_is_none_is_passed_over() {
        let now = Instant::now();
        let (base, server) = (address("192.0.2.1:1000"), address("198.51.100.1:3478"));
        let mut reflexive = Reflexive::new(now, &[base], &[server]);
        let (.., request) = reflexive.poll_transmit(now).expect("a question");
        let honest = answer(&request, address("203.0.113.9:4321"));
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut bytes = crate::mutate::bytes(&mut random, &honest);
            // Of another transaction.
            if let Some(byte) = bytes.get_mut(19) {
                *byte = !honest[19];
            }
            reflexive.handle_datagram(base, server, &bytes);
        }
        assert!(reflexive.poll_found().is_none());
        // Of this one, but its address is gone: asked no more, and nothing found.
        assert!(reflexive.handle_datagram(base, server, &answer(&request, base)));
        assert!(reflexive.is_done() && reflexive.poll_found().is_none());
    }

    #[test]
    fn no_more_servers_are_asked_than_makes_sense() {
        let now = Instant::now();
        let servers: Vec<SocketAddr> = (1..=200)
            .map(|last| SocketAddr::from(([198, 51, 100, last], 3478)))
            .collect();
        let mut reflexive = Reflexive::new(now, &[address("192.0.2.1:1000")], &servers);
        let asked = std::iter::from_fn(|| reflexive.poll_transmit(now)).count();
        assert_eq!(asked, MAX_SERVERS);
    }
}
