//! One connection below the data channels: ICE finds a path, DTLS guards it, SCTP runs over it. Sans-IO, in the shape of every state
//! machine of this house.
//!
//! `is` is the ICE agent, `dimpl` speaks DTLS 1.2 and 1.3, `crowfly-sctp` the rest. What this file adds is what lies between them:
//!
//! - Datagrams are told apart by their first byte (RFC 7983).
//! - Nothing from an address that ICE has not validated reaches DTLS (RFC 8827 §6.5 would not save us from a stranger's ClientHello).
//!   What comes a moment too early, from a peer whose check succeeded before ours, is held back, a few datagrams of it.
//! - The peer's certificate has the fingerprint of its description, in both DTLS roles, or nothing it says counts (RFC 8122 §6.2).
//! - DTLS starts on the first path that works, without waiting for its nomination (RFC 8445 §12.1.1 allows it): a trip saved.

mod dtls;
mod ice;
mod secured;
#[cfg(test)]
mod tests;

/// What the fuzzer plays, in a size that fits every test run.
#[cfg(test)]
#[path = "../../../fuzz/harness/session.rs"]
mod play;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crowfly_sctp::{self as sctp, Association};
use is::{Candidate, CandidateKind, IceAgent, IceCreds};

pub use self::dtls::HandshakeError;
pub(crate) use self::dtls::{Certificate, DtlsRole};
use self::dtls::{Secured, Tunnel};
use crate::description::Fingerprint;

/// The pace of connectivity checks. RFC 8445 §14.2 wants 50 ms where paths are unknown and allows down to 5 ms; what we send is
/// small, few and stops with the first answers.
const CHECK_PACE: Duration = Duration::from_millis(5);
/// Remote candidates times local ones; RFC 8445 §6.1.2.5 has 100.
const MAX_PAIRS: usize = 100;

/// How a session is set up.
pub(crate) struct Config {
    pub(crate) certificate: Certificate,
    /// Whether this side offered first: it decides about paths (RFC 8445 §6.1.1).
    pub(crate) controlling: bool,
    /// Unguessable, used once: SCTP's secrets come of it.
    pub(crate) seed: [u8; 32],
}

/// What a description says that the session needs.
pub(crate) struct Remote {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// Our own role.
    pub(crate) role: DtlsRole,
    pub(crate) sctp_port: u16,
    pub(crate) max_message_size: usize,
    /// The peer's INIT chunk (SNAP), where both descriptions have one.
    pub(crate) sctp_init: Option<Bytes>,
}

/// What both sides can, and so use: native peers all of it, a browser what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// `1.3` (RFC 9147) or `1.2` (RFC 6347).
    pub dtls: &'static str,
    /// SCTP's handshake was in the descriptions (SNAP, draft-hancke-tsvwg-snap): two trips saved.
    pub snap: bool,
    /// I-DATA (RFC 8260): a large message does not hold up a small one of another channel.
    pub interleaving: bool,
    /// SCTP packets without a checksum, for DTLS has its own (RFC 9653).
    pub zero_checksum: bool,
}

/// A datagram, or a run of them, to send.
#[derive(Debug)]
pub(crate) struct Transmit<'a> {
    /// The local address to send from.
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Bytes of each datagram but the last; `None` when there is one.
    pub(crate) segment_size: Option<usize>,
    pub(crate) contents: &'a [u8],
}

/// What the owner has to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// [`Session::transmit`] has it.
    Transmit,
    Event(Event),
    /// Nothing more now.
    Timeout(Option<Instant>),
}

/// What the owner wants to know.
#[derive(Debug)]
pub(crate) enum Event {
    Ice(IceState),
    /// DTLS is up and the peer is who the description says.
    Secured,
    Sctp(sctp::Event),
    /// It cannot go on.
    Failed(HandshakeError),
    /// The peer ended DTLS.
    ClosedByPeer,
}

/// As W3C WebRTC's RTCIceConnectionState, without those that the owner decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IceState {
    Checking,
    Connected,
    Completed,
    /// No pair works (any more).
    Exhausted,
}

/// Where packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// See the module.
pub(crate) struct Session {
    ice: IceAgent,
    path: Option<Path>,
    certificate: Certificate,
    remote: Option<Remote>,
    tunnel: Option<Tunnel>,
    association: Option<Association>,
    seed: [u8; 32],
    /// From an address not validated yet.
    early: VecDeque<(Path, Vec<u8>)>,
    events: VecDeque<Event>,
    /// SCTP packets of one run, and how far it has been sealed.
    plain: Vec<u8>,
    plain_segment: usize,
    plain_at: usize,
    /// What is handed out with [`Output::Transmit`].
    run: Vec<u8>,
    sctp_timeout: Option<Instant>,
    /// What the run holds.
    last: Option<Run>,
    /// Nothing leaves meanwhile.
    held: bool,
    ended: bool,
}

/// Datagrams in the run.
#[derive(Debug, Clone, Copy)]
struct Run {
    path: Path,
    length: usize,
    /// Bytes of each datagram but the last.
    segment: usize,
}

impl Session {
    pub(crate) fn new(config: Config) -> Self {
        let mut ice = IceAgent::new(IceCreds::new());
        ice.set_controlling(config.controlling);
        ice.set_timing_advance(CHECK_PACE);
        ice.set_max_candidate_pairs(MAX_PAIRS);
        Self {
            ice,
            path: None,
            certificate: config.certificate,
            remote: None,
            tunnel: None,
            association: None,
            seed: config.seed,
            early: VecDeque::new(),
            events: VecDeque::new(),
            plain: Vec::new(),
            plain_segment: 0,
            plain_at: 0,
            run: vec![0; 1 << 16],
            sctp_timeout: None,
            last: None,
            held: false,
            ended: false,
        }
    }

    // Negotiation

    /// The own `ice-ufrag` and `ice-pwd`.
    pub(crate) fn credentials(&self) -> (&str, &str) {
        let credentials = self.ice.local_credentials();
        (&credentials.ufrag, &credentials.pass)
    }

    /// Our INIT chunk for the description (SNAP): SCTP then needs no handshake on the wire, two trips less.
    pub(crate) fn sctp_init(&self) -> Bytes {
        // The association that comes of the same seed will be this one; only its role is not known yet, which INIT does not tell.
        Association::new(sctp::Config::default(), self.seed).local_init()
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }

    /// Takes what the peer's description says. A later one may change the ICE credentials (ICE restart) and nothing else.
    pub(crate) fn set_remote(&mut self, now: Instant, remote: Remote) {
        self.ice.set_remote_credentials(IceCreds {
            ufrag: remote.ufrag.clone(),
            pass: remote.pwd.clone(),
        });
        if self.remote.is_none() {
            if remote.role == DtlsRole::Server {
                let fingerprints = remote.fingerprints.clone();
                self.tunnel = Some(Tunnel::new(
                    &self.certificate,
                    DtlsRole::Server,
                    fingerprints,
                    now,
                ));
            }
            self.remote = Some(remote);
        }
        self.advance_ice(now);
    }

    /// The DTLS role agreed upon, once it is.
    pub(crate) fn role(&self) -> Option<DtlsRole> {
        self.remote.as_ref().map(|remote| remote.role)
    }

    /// Whether a later description comes from the same certificate (RFC 8842 §5.5: a new one would be a new connection).
    pub(crate) fn knows(&self, fingerprints: &[Fingerprint]) -> bool {
        self.remote
            .as_ref()
            .is_none_or(|remote| remote.fingerprints == fingerprints)
    }

    /// A local candidate; the text of it to tell the peer, or `None` if it is redundant.
    pub(crate) fn add_local_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Option<String> {
        let text = self.ice.add_local_candidate(candidate)?.to_sdp_string();
        self.advance_ice(now);
        Some(text)
    }

    /// A remote candidate, once there is a remote description.
    pub(crate) fn add_remote_candidate(&mut self, now: Instant, candidate: Candidate) {
        self.ice.add_remote_candidate(candidate);
        self.advance_ice(now);
    }

    /// Begins an ICE restart: new credentials, the same sockets; what is found already is to be told again.
    pub(crate) fn restart_ice(&mut self, now: Instant) -> Vec<String> {
        self.ice.ice_restart(IceCreds::new(), true);
        let candidates = self
            .ice
            .local_candidates()
            .map(|candidate| candidate.to_sdp_string());
        let candidates = candidates.collect();
        self.advance_ice(now);
        candidates
    }

    // What goes through

    /// SCTP, once DTLS is up.
    pub(crate) fn association(&mut self) -> Option<&mut Association> {
        self.association.as_mut()
    }

    /// The largest message the peer takes, bytes.
    pub(crate) fn max_message_size(&self) -> usize {
        match self.remote.as_ref().map(|remote| remote.max_message_size) {
            Some(0) | None => usize::MAX,
            Some(size) => size,
        }
    }

    pub(crate) fn path(&self) -> Option<Path> {
        self.path
    }

    /// The last round trip of a connectivity check on the path.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.ice.nominated_pair_rtt()
    }

    /// What the two agreed upon; `None` before the connection is secure.
    pub(crate) fn agreed(&mut self) -> Option<Agreed> {
        let stats = self.association.as_ref()?.stats();
        Some(Agreed {
            dtls: self.tunnel.as_ref()?.version(),
            snap: self.remote.as_ref()?.sctp_init.is_some(),
            interleaving: stats.interleaving,
            zero_checksum: stats.zero_checksum,
        })
    }

    /// What kinds of candidates the path's ends are.
    pub(crate) fn kinds(&self) -> (&'static str, &'static str) {
        let kind = |candidate: Option<Candidate>| match candidate.map(|candidate| candidate.kind())
        {
            Some(CandidateKind::Host) => "host",
            Some(CandidateKind::ServerReflexive) => "srflx",
            Some(CandidateKind::Relayed) => "relay",
            Some(CandidateKind::PeerReflexive) | None => "prflx",
        };
        let path = self.path;
        let local = self
            .ice
            .local_candidates()
            .find(|candidate| path.is_some_and(|path| candidate.addr() == path.local));
        let remote = self
            .ice
            .remote_candidates()
            .find(|candidate| path.is_some_and(|path| candidate.addr() == path.remote));
        (kind(local), kind(remote))
    }

    /// A datagram that arrived at one of our addresses.
    pub(crate) fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if self.ended {
            return;
        }
        match datagram.first() {
            Some(0..=3) => self.handle_stun(now, path, datagram),
            Some(20..=63) => self.handle_dtls(now, path, datagram),
            _ => {}
        }
    }

    /// The instant of [`Output::Timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        if self.ice.poll_timeout().is_some_and(|at| at <= now) {
            self.advance_ice(now);
        }
        if let Some(tunnel) = &mut self.tunnel
            && tunnel.timeout().is_some_and(|at| at <= now)
        {
            tunnel.handle_timeout(now);
            self.take_secured(now);
        }
        if let Some(association) = &mut self.association
            && self.sctp_timeout.is_some_and(|at| at <= now)
        {
            association.handle_input(now, sctp::Input::Timeout);
        }
    }

    /// From here on it says and hears nothing.
    pub(crate) fn close(&mut self) {
        self.ended = true;
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// While held it tells what happened and sends nothing.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// The next output; until [`Output::Timeout`] there are more.
    pub(crate) fn poll_output(&mut self, now: Instant) -> Output {
        if self.ended {
            return self
                .events
                .pop_front()
                .map_or(Output::Timeout(None), Output::Event);
        }
        self.poll_ice(now);
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if self.held {
            let association = self.association.as_mut();
            let event = association.and_then(|association| association.poll_event(now));
            return event.map_or(Output::Timeout(None), |event| {
                Output::Event(Event::Sctp(event))
            });
        }
        self.last = self.next_check().or_else(|| self.next_run(now));
        if self.last.is_some() {
            return Output::Transmit;
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Timeout(self.timeout()),
        }
    }

    /// What is to be sent, behind [`Output::Transmit`] and until the next output.
    pub(crate) fn transmit(&self) -> Transmit<'_> {
        let run = self.last.expect("asked only behind a transmit");
        Transmit {
            source: run.path.local,
            destination: run.path.remote,
            segment_size: (run.segment < run.length).then_some(run.segment),
            contents: &self.run[..run.length],
        }
    }

    // ICE

    // DTLS

    fn timeout(&mut self) -> Option<Instant> {
        let dtls = self.tunnel.as_ref().and_then(Tunnel::timeout);
        let times = [self.ice.poll_timeout(), dtls, self.sctp_timeout];
        times.into_iter().flatten().min()
    }
}
