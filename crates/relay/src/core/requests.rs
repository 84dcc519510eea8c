//! STUN requests: Binding, and TURN's Allocate, Refresh, CreatePermission and ChannelBind (RFC 8656 §7–§12).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::allocation::{Allocation, DEFAULT_LIFETIME, LONGEST_LIFETIME};
use super::auth::{Doubt, Proof};
use super::data::CHANNELS;
use super::message::{Class, Key, Message, Writer, attribute, method};
use super::outbox::Target;
use super::policy::Verdict;
use super::rate::Source;
use super::{AllocationId, Client, Now, Relay, RelayAddress, Socket};

/// RFC 8656 §18.7: the protocol number of UDP.
const UDP: u8 = 17;
const IPV4: u8 = 1;
const IPV6: u8 = 2;
/// Who has proved nothing is answered with at most five bytes for two of its own. A forged sender gains little; a real
/// client's first request, an Allocate of 28 bytes, is answered with 68.
const AMPLIFICATION: (usize, usize) = (5, 2);

/// A request that is refused, with the code of RFC 8489 §14.8 and RFC 8656 §19.
struct Refusal(u16);

impl Relay {
    pub(super) fn stun(&mut self, now: Now, client: Client, index: Option<usize>, datagram: &[u8]) {
        let Some(message) = Message::parse(datagram) else {
            self.stats.ignored += 1;
            return;
        };
        match (message.class, message.method) {
            (Class::Request, method::BINDING) => self.binding(now.instant, client, &message),
            (Class::Indication, method::SEND) if index.is_some() => {
                let index = index.unwrap_or_default();
                if self.allocations[index].is_open() {
                    self.send_indication(now.instant, index, &message);
                }
            }
            (
                Class::Request,
                method::ALLOCATE
                | method::REFRESH
                | method::CREATE_PERMISSION
                | method::CHANNEL_BIND,
            ) => self.turn(now, client, index, &message, datagram.len()),
            _ => self.stats.ignored += 1,
        }
    }

    /// A success response holding XOR-MAPPED-ADDRESS alone: no SOFTWARE, no FINGERPRINT, for an answer must not be worth reflecting.
    ///
    /// RFC 8489 §6.3.1 wants an error response to unknown comprehension-required attributes; it would be longer than the request that
    /// forged them, so such a request is answered as if they were not there: a Binding has nothing they could change.
    fn binding(&mut self, now: Instant, client: Client, request: &Message<'_>) {
        if !self.bindings.allow(now, client.from.ip()) {
            self.stats.ignored += 1;
            return;
        }
        self.stats.bindings += 1;
        self.answer(client, Class::Success, request, None, |answer| {
            answer.address(attribute::XOR_MAPPED_ADDRESS, client.reflexive());
        });
    }

    fn turn(
        &mut self,
        now: Now,
        client: Client,
        index: Option<usize>,
        request: &Message<'_>,
        length: usize,
    ) {
        let Some(challenger) = &self.challenger else {
            self.stats.ignored += 1;
            return;
        };
        let held = index.map(|index| &self.allocations[index].proof);
        let proof = match challenger.prove(now.unix, client.from, request, held) {
            Ok(proof) => proof,
            Err(doubt) => return self.doubt(now, client, request, length, doubt),
        };
        let key = proof.key;
        let unknown: Vec<u8> = request
            .not_understood()
            .flat_map(u16::to_be_bytes)
            .collect();
        if !unknown.is_empty() {
            return self.answer(client, Class::Error, request, Some(&key), |answer| {
                answer.error(420, reason(420));
                answer.attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown);
            });
        }
        let outcome = match (request.method, index) {
            (method::ALLOCATE, Some(index)) => self.allocate_again(index, request),
            (method::ALLOCATE, None) => self.allocate(now.instant, client, request, proof),
            (_, None) => Err(Refusal(437)),
            // RFC 8656 §5: who made an allocation, and nobody else, may use it.
            (_, Some(index)) if self.allocations[index].proof.user() != proof.user() => {
                Err(Refusal(441))
            }
            (_, Some(index)) if !self.allocations[index].is_open() => return,
            (method::REFRESH, Some(index)) => self.refresh(now.instant, index, request, &key),
            (method::CREATE_PERMISSION, Some(index)) => {
                self.create_permission(now.instant, index, request, &key)
            }
            (_, Some(index)) => self.channel_bind(now.instant, index, request, &key),
        };
        if let Err(Refusal(code)) = outcome {
            match code {
                403 => self.stats.denied += 1,
                486 | 508 => self.stats.over_limit += 1,
                _ => {}
            }
            self.answer(client, Class::Error, request, Some(&key), |answer| {
                answer.error(code, reason(code));
            });
        }
    }

    /// Answers who has not proved anything: seldom, briefly, and leaving nothing behind.
    fn doubt(
        &mut self,
        now: Now,
        client: Client,
        request: &Message<'_>,
        length: usize,
        doubt: Doubt,
    ) {
        self.stats.unauthenticated += 1;
        let Some(challenger) = &self.challenger else {
            return;
        };
        if !self.refusals.allow(now.instant, client.from.ip()) {
            self.stats.ignored += 1;
            return;
        }
        let (class, method, transaction) = (Class::Error, request.method, request.transaction);
        let written = self.outbox.push(Target::Client(client), |out| {
            let mut answer = Writer::start(out, class, method, transaction);
            match doubt {
                Doubt::Incomplete => answer.error(400, ""),
                Doubt::Unauthenticated => {
                    answer.error(401, "");
                    challenger.challenge(now.unix, client.from, &mut answer);
                }
                Doubt::StaleNonce => {
                    answer.error(438, "");
                    challenger.challenge(now.unix, client.from, &mut answer);
                }
            }
            answer.finish();
        });
        let (most, each) = AMPLIFICATION;
        if written * each > length * most {
            self.outbox.take_back(written);
            self.stats.ignored += 1;
        }
    }

    fn allocate(
        &mut self,
        now: Instant,
        client: Client,
        request: &Message<'_>,
        proof: Proof,
    ) -> Result<(), Refusal> {
        let wish = Wish::read(request)?;
        let address = self.relay_address(client, wish.ipv4).ok_or(Refusal(440))?;
        let source = Source::of(client.from.ip());
        let user: Box<str> = proof.user().into();
        if !self.users.has_room(&user) || !self.sources.has_room(&source) {
            return Err(Refusal(486));
        }
        if self.allocations.len() >= self.limits.allocations {
            return Err(Refusal(508));
        }
        // What the client reaches us by is an address of ours, known to the driver or not.
        self.policy.add_own(client.to);
        let rows = (self.users.hold(now, &user), self.sources.hold(now, &source));
        self.generation = self.generation.wrapping_add(1);
        let mut allocation = Allocation::new(
            now,
            self.generation,
            client,
            proof,
            request.transaction,
            address.public,
            wish.lifetime,
            rows,
        );
        allocation.wants_both = wish.both;
        let index = self.allocations.insert(allocation);
        self.by_client.insert(client, index);
        self.arm(index);
        let id = self.id(index);
        self.sockets
            .push_back(Socket::Open(id, address.bind, wish.even));
        Ok(())
    }

    /// Its socket is open, or there is none: the Allocate is answered.
    pub(super) fn opened(&mut self, id: AllocationId, port: Option<u16>) {
        let Some(index) = self.index(id) else {
            // It ended before its socket was there.
            if port.is_some() {
                self.sockets.push_back(Socket::Close(id));
            }
            return;
        };
        let allocation = &mut self.allocations[index];
        if let Some(port) = port {
            allocation.relayed.set_port(port);
            self.by_relayed.insert(allocation.relayed, index);
            self.stats.allocated += 1;
            self.allocated(index);
            return;
        }
        let (client, key, transaction) = (
            allocation.client,
            allocation.proof.key,
            allocation.transaction,
        );
        self.remove(index);
        self.stats.over_limit += 1;
        self.outbox.push(Target::Client(client), |out| {
            let mut answer = Writer::start(out, Class::Error, method::ALLOCATE, transaction);
            answer.error(508, reason(508));
            answer.finish_signed(&key);
        });
    }

    /// An Allocate where there is an allocation: the same request again gets the same answer, another is refused (RFC 8656 §7.2).
    fn allocate_again(&mut self, index: usize, request: &Message<'_>) -> Result<(), Refusal> {
        let allocation = &self.allocations[index];
        if allocation.transaction != request.transaction {
            return Err(Refusal(437));
        }
        if allocation.is_open() {
            self.allocated(index);
        }
        Ok(())
    }

    fn allocated(&mut self, index: usize) {
        let allocation = &self.allocations[index];
        self.outbox.push(Target::Client(allocation.client), |out| {
            let mut answer = Writer::start(
                out,
                Class::Success,
                method::ALLOCATE,
                allocation.transaction,
            );
            answer.address(attribute::XOR_RELAYED_ADDRESS, allocation.relayed);
            answer.address(attribute::XOR_MAPPED_ADDRESS, allocation.client.reflexive());
            answer.attribute(attribute::LIFETIME, &seconds(allocation.lifetime));
            if allocation.wants_both {
                // One address an allocation: who wants both families makes two (RFC 8656 §7.2, §18.12).
                answer.attribute(attribute::ADDRESS_ERROR_CODE, &[IPV6, 0, 4, 40]);
            }
            answer.finish_signed(&allocation.proof.key);
        });
    }

    /// Where an allocation of this family is made: as configured, else at the address the client reached.
    fn relay_address(&self, client: Client, ipv4: bool) -> Option<RelayAddress> {
        let configured = self
            .addresses
            .iter()
            .find(|address| address.public.is_ipv4() == ipv4);
        let used = client.to.to_canonical();
        let used = RelayAddress {
            bind: used,
            public: used,
        };
        let fits = used.public.is_ipv4() == ipv4 && !used.public.is_unspecified();
        configured.copied().or(fits.then_some(used))
    }

    fn refresh(
        &mut self,
        now: Instant,
        index: usize,
        request: &Message<'_>,
        key: &Key,
    ) -> Result<(), Refusal> {
        let allocation = &mut self.allocations[index];
        if let Some(family) = request.attribute(attribute::REQUESTED_ADDRESS_FAMILY)
            && is_ipv4(family)? != allocation.relayed.is_ipv4()
        {
            return Err(Refusal(443));
        }
        let client = allocation.client;
        let asked = asked_lifetime(request)?;
        let lifetime = match asked {
            Some(Duration::ZERO) => Duration::ZERO,
            asked => granted(asked),
        };
        if lifetime.is_zero() {
            self.remove(index);
        } else {
            allocation.lifetime = lifetime;
            allocation.expires = now + lifetime;
            // A timer that comes too early arms the next; so no row of Refreshes fills the heap.
            if allocation.expires < allocation.armed {
                self.arm(index);
            }
        }
        self.answer(client, Class::Success, request, Some(key), |answer| {
            answer.attribute(attribute::LIFETIME, &seconds(lifetime));
        });
        Ok(())
    }

    /// All of the addresses or none (RFC 8656 §10.2).
    fn create_permission(
        &mut self,
        now: Instant,
        index: usize,
        request: &Message<'_>,
        key: &Key,
    ) -> Result<(), Refusal> {
        let mut peers = Vec::new();
        for (kind, value) in request.attributes() {
            if kind == attribute::XOR_PEER_ADDRESS {
                let peer = request.address(value).ok_or(Refusal(400))?;
                peers.push((peer.ip(), self.admit(index, peer)?));
            }
        }
        if peers.is_empty() {
            return Err(Refusal(400));
        }
        let ips: Vec<IpAddr> = peers.iter().map(|(ip, _)| *ip).collect();
        let allocation = &mut self.allocations[index];
        if !allocation.has_room_for(now, &self.limits, &ips) {
            return Err(Refusal(508));
        }
        for (ip, verdict) in peers {
            allocation.permit(now, &self.limits, ip, verdict);
        }
        let client = allocation.client;
        self.answer(client, Class::Success, request, Some(key), |_| {});
        Ok(())
    }

    fn channel_bind(
        &mut self,
        now: Instant,
        index: usize,
        request: &Message<'_>,
        key: &Key,
    ) -> Result<(), Refusal> {
        let number = match request.attribute(attribute::CHANNEL_NUMBER) {
            Some([high, low, _, _]) => u16::from_be_bytes([*high, *low]),
            _ => return Err(Refusal(400)),
        };
        let peer = request
            .attribute(attribute::XOR_PEER_ADDRESS)
            .and_then(|value| request.address(value))
            .ok_or(Refusal(400))?;
        if !CHANNELS.contains(&number) {
            return Err(Refusal(400));
        }
        let verdict = self.admit(index, peer)?;
        let allocation = &mut self.allocations[index];
        if !allocation.has_room_for(now, &self.limits, &[peer.ip()]) {
            return Err(Refusal(508));
        }
        allocation
            .bind(now, &self.limits, number, peer)
            .map_err(Refusal)?;
        allocation.permit(now, &self.limits, peer.ip(), verdict);
        let client = allocation.client;
        self.answer(client, Class::Success, request, Some(key), |_| {});
        Ok(())
    }

    /// Whether a peer may be reached at all: 403 where not, 443 for the other family.
    fn admit(&self, index: usize, peer: SocketAddr) -> Result<Verdict, Refusal> {
        let verdict = self.policy.judge(peer.ip());
        let reached = match verdict {
            Verdict::Allowed => true,
            Verdict::Own => self.by_relayed.contains_key(&peer),
            Verdict::Denied => false,
        };
        if !reached {
            return Err(Refusal(403));
        }
        if peer.is_ipv4() == self.allocations[index].relayed.is_ipv4() {
            Ok(verdict)
        } else {
            Err(Refusal(443))
        }
    }

    /// Queues the answer to a request, signed if there is a key.
    fn answer(
        &mut self,
        client: Client,
        class: Class,
        request: &Message<'_>,
        key: Option<&Key>,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        self.outbox.push(Target::Client(client), |out| {
            let mut answer = Writer::start(out, class, request.method, request.transaction);
            write(&mut answer);
            match key {
                Some(key) => answer.finish_signed(key),
                None => answer.finish(),
            }
        });
    }
}

/// What an Allocate asks for.
struct Wish {
    ipv4: bool,
    both: bool,
    even: bool,
    lifetime: Duration,
}

impl Wish {
    fn read(request: &Message<'_>) -> Result<Self, Refusal> {
        match request.attribute(attribute::REQUESTED_TRANSPORT) {
            Some([UDP, ..]) => {}
            Some([_, ..]) => return Err(Refusal(442)),
            _ => return Err(Refusal(400)),
        }
        let family = request.attribute(attribute::REQUESTED_ADDRESS_FAMILY);
        let both = request.attribute(attribute::ADDITIONAL_ADDRESS_FAMILY);
        let even = request.attribute(attribute::EVEN_PORT);
        let reserved = request.attribute(attribute::RESERVATION_TOKEN).is_some();
        if reserved && (even.is_some() || family.is_some())
            || both.is_some_and(|both| both.first() != Some(&IPV6) || family.is_some())
        {
            return Err(Refusal(400));
        }
        // Ports are not reserved in pairs: nothing here is kept for somebody who may not come (RFC 8656 §7.2).
        if reserved || even.is_some_and(|even| even.first().is_some_and(|flags| flags >> 7 == 1)) {
            return Err(Refusal(508));
        }
        Ok(Self {
            ipv4: family.map_or(Ok(true), is_ipv4)?,
            both: both.is_some(),
            even: even.is_some(),
            lifetime: granted(asked_lifetime(request)?),
        })
    }
}

fn is_ipv4(family: &[u8]) -> Result<bool, Refusal> {
    match family {
        [IPV4, ..] => Ok(true),
        [IPV6, ..] => Ok(false),
        _ => Err(Refusal(440)),
    }
}

fn asked_lifetime(request: &Message<'_>) -> Result<Option<Duration>, Refusal> {
    let Some(value) = request.attribute(attribute::LIFETIME) else {
        return Ok(None);
    };
    let seconds = value.try_into().map_err(|_| Refusal(400))?;
    Ok(Some(Duration::from_secs(
        u32::from_be_bytes(seconds).into(),
    )))
}

fn granted(asked: Option<Duration>) -> Duration {
    asked.map_or(DEFAULT_LIFETIME, |asked| {
        asked.clamp(DEFAULT_LIFETIME, LONGEST_LIFETIME)
    })
}

fn seconds(lifetime: Duration) -> [u8; 4] {
    (lifetime.as_secs() as u32).to_be_bytes()
}

/// For who reads a browser's `icecandidateerror`; sent to those only who have proved who they are.
fn reason(code: u16) -> &'static str {
    match code {
        400 => "Bad Request",
        403 => "Forbidden",
        420 => "Unknown Attribute",
        437 => "Allocation Mismatch",
        440 => "Address Family not Supported",
        441 => "Wrong Credentials",
        442 => "Unsupported Transport Protocol",
        443 => "Peer Address Family Mismatch",
        486 => "Allocation Quota Reached",
        508 => "Insufficient Capacity",
        _ => "",
    }
}
