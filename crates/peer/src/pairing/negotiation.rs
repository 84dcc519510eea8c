//! Descriptions and candidates: who offers, what is answered, what is held back, what is sent again.
//!
//! The first negotiation has PEER1 offer and PEER2 answer; later ones (ICE restart) may come from either side, by perfect negotiation
//! (W3C WebRTC §10.7): PEER2 is polite. Steps are recorded under the names that browsers' calls have, `docs/handshake.md`.

mod candidates;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{PROTOCOL, Pairing, Patience, PeerError};
use crate::description::{Description, Kind as Sort, Setup};
use crate::payload::{Candidate, Payload};
use crate::session::{DtlsRole, Remote};
use crate::states::{ChannelState, ConnectionState, SignalingState};
use crate::trace::{Detail, Kind, Role, Stage, detail};

pub(crate) use self::candidates::CandidateName;

/// What we take, and browsers do: bytes of a message.
const MAX_MESSAGE_SIZE: u64 = 256 * 1024;
/// With both descriptions in place, ICE gets this long to find a path; browsers take 5 to 30 s.
const PATH_PATIENCE: Duration = Duration::from_secs(25);
/// A description carried by hand takes its time.
const CARRIED: Duration = Duration::from_secs(3_600);
/// How often one description is sent again because the other side repeats itself: no flood is answered by a flood.
const MAX_REPEATS: u32 = 10;

/// How far descriptions and candidates are.
#[derive(Debug)]
pub(super) struct Negotiation {
    /// The description made here, as it was sent.
    draft: Option<(Sort, String)>,
    /// An offer or answer of ours that has not left.
    unsent: Option<Sort>,
    /// Times that the draft was sent again on the other side's account.
    repeats: u32,
    /// The last description received.
    received: Option<String>,
    remote_ufrag: String,
    /// Whether the offer we answer had an INIT chunk (SNAP).
    offered_init: bool,
    mid: String,
    /// The first offer and answer are in place.
    settled: bool,
    /// Of SDP's `o=` line.
    session_id: u64,
    version: u64,
    /// Received and not added, in the order they came.
    held: Vec<String>,
    /// Received since the last restart, those of descriptions included.
    known: HashSet<String>,
    names: usize,
    found: Vec<Candidate>,
    /// How many of those found have been sent, and whether their end has.
    sent: usize,
    sent_end: bool,
    gathered: bool,
    reachable: bool,
    restart_wanted: bool,
}

impl Negotiation {
    pub(super) fn new() -> Self {
        Self {
            draft: None,
            unsent: None,
            repeats: 0,
            received: None,
            remote_ufrag: String::new(),
            offered_init: false,
            mid: "0".to_owned(),
            settled: false,
            // 62 bits (RFC 9429 §5.2.1); no secret.
            session_id: fastrand::u64(..) >> 2,
            version: 0,
            held: Vec::new(),
            known: HashSet::new(),
            names: 0,
            found: Vec::new(),
            sent: 0,
            sent_end: false,
            gathered: false,
            reachable: false,
            restart_wanted: false,
        }
    }

    /// Whether a remote description has ever been in place.
    pub(super) fn is_described(&self) -> bool {
        self.received.is_some()
    }
}

impl Pairing {
    // Beginning

    /// What a browser does when it is asked to connect.
    pub(super) fn begin(&mut self, now: Instant) {
        let stage = self.own_stage();
        self.trace
            .call(now, stage, "RTCPeerConnection", Detail::new());
        if self.role == Role::Peer2 {
            self.update(now, |states| states.channel = ChannelState::Connecting);
            return;
        }
        let detail = detail! { "label" => self.label, "protocol" => PROTOCOL, "ordered" => true };
        self.trace.call(now, stage, "createDataChannel", detail);
        self.update(now, |states| states.channel = ChannelState::Connecting);
        self.trace.call(now, stage, "createOffer", Detail::new());
        self.offer(now, stage);
    }

    /// An own offer is in place; it leaves when it can.
    fn offer(&mut self, now: Instant, stage: Stage) {
        self.trace.call(
            now,
            stage,
            "setLocalDescription",
            detail! { "type" => "offer" },
        );
        self.update(now, |states| {
            states.signaling = SignalingState::HaveLocalOffer
        });
        self.negotiation.unsent = Some(Sort::Offer);
    }

    pub(super) fn set_reachable(&mut self, now: Instant, reachable: bool) {
        self.negotiation.reachable = reachable;
        self.advance(now);
    }

    /// Sends what can leave.
    fn advance(&mut self, now: Instant) {
        let negotiation = &self.negotiation;
        if self.ended.is_some() || !negotiation.reachable {
            return;
        }
        if let Some(sort) = negotiation.unsent {
            if !self.trickle && !negotiation.gathered {
                return;
            }
            self.send_description(now, sort);
        }
        let negotiation = &mut self.negotiation;
        let more = negotiation.sent < negotiation.found.len()
            || (negotiation.gathered && !negotiation.sent_end);
        if !more || !self.trickle || negotiation.draft.is_none() {
            return;
        }
        let candidates = negotiation.found[negotiation.sent..].to_vec();
        let complete = negotiation.gathered;
        negotiation.sent = negotiation.found.len();
        negotiation.sent_end = complete;
        self.send_candidates(now, candidates, complete);
    }

    /// Host candidates are known by now, and travel in the description: messages saved.
    fn send_description(&mut self, now: Instant, sort: Sort) {
        let (ufrag, pwd) = self.session.credentials();
        let setup = match (sort, self.session.role()) {
            (Sort::Offer, _) => Setup::ActPass,
            (Sort::Answer, Some(DtlsRole::Server)) => Setup::Passive,
            (Sort::Answer, _) => Setup::Active,
        };
        let negotiation = &mut self.negotiation;
        let description = Description {
            ice_ufrag: ufrag.to_owned(),
            ice_pwd: pwd.to_owned(),
            fingerprints: vec![self.session.fingerprint()],
            setup,
            sctp_port: 5000,
            max_message_size: MAX_MESSAGE_SIZE,
            mid: negotiation.mid.clone(),
            // SNAP: offered always, answered where it was offered.
            sctp_init: (sort == Sort::Offer || negotiation.offered_init)
                .then(|| self.session.sctp_init()),
            candidates: negotiation
                .found
                .iter()
                .map(|candidate| candidate.candidate.clone())
                .collect(),
            complete: !self.trickle,
        };
        negotiation.version += 1;
        let sdp = description.write(negotiation.session_id, negotiation.version);
        negotiation.sent = negotiation.found.len();
        negotiation.sent_end = false;
        negotiation.unsent = None;
        negotiation.draft = Some((sort, sdp.clone()));
        negotiation.repeats = 0;
        let stage = if negotiation.settled && negotiation.version > 1 {
            None
        } else {
            self.own_stage()
        };
        self.signal(now, stage, Payload::Description { kind: sort, sdp });
    }

    /// Sends again what the other side may have missed; it refuses what it has, which does no harm.
    pub(super) fn resend(&mut self, now: Instant) {
        let Some((sort, sdp)) = self.negotiation.draft.clone() else {
            return;
        };
        self.trace
            .note(now, None, Kind::Note, "resent", Detail::new());
        let stage = if self.negotiation.version > 1 {
            None
        } else {
            self.own_stage()
        };
        self.signal(now, stage, Payload::Description { kind: sort, sdp });
        if self.negotiation.sent == 0 && !self.negotiation.sent_end {
            return;
        }
        let candidates = self.negotiation.found[..self.negotiation.sent].to_vec();
        let complete = self.negotiation.sent_end;
        self.send_candidates(now, candidates, complete);
    }

    /// Finds a new path (ICE restart); the other side hears of it through the server.
    pub(super) fn seek_path(&mut self, now: Instant) {
        if !self.negotiation.settled {
            self.negotiation.restart_wanted = true;
            return;
        }
        if !self.negotiation.reachable {
            return;
        }
        match self.states.signaling {
            SignalingState::HaveLocalOffer => self.resend(now),
            SignalingState::Stable => {
                self.trace.conclude();
                self.trace.call(now, None, "restartIce", Detail::new());
                self.restart_ice(now);
                self.offer(now, None);
                self.advance(now);
            }
            _ => {}
        }
    }

    /// New credentials; candidates are another list, and the sockets are the same.
    fn restart_ice(&mut self, now: Instant) {
        let candidates = self.session.restart_ice(now);
        let negotiation = &mut self.negotiation;
        negotiation.known.clear();
        negotiation.held.clear();
        negotiation.found.clear();
        negotiation.names = 0;
        for text in candidates {
            self.found_candidate(now, text);
        }
    }

    // Receiving

    pub(super) fn receive_description(&mut self, now: Instant, sort: Sort, sdp: &str) {
        if self.is_answered(sort, sdp) {
            return self.repeat(now); // the answer was lost
        }
        if let Some(code) = self.unfit(sort, sdp) {
            self.refuse(now, code, sort.as_str());
            if code == "crossing-offer" && self.negotiation.unsent.is_none() {
                self.repeat(now); // ours may not have arrived
            }
            return;
        }
        let first = !self.negotiation.settled;
        let description = match Description::parse(sdp, sort) {
            Ok(description) if self.session.knows(&description.fingerprints) => description,
            Ok(_) => return self.refuse(now, "rejected-description", sort.as_str()),
            Err(error) => {
                self.refuse(now, "rejected-description", sort.as_str());
                if first {
                    self.fail(now, PeerError::Description(error));
                }
                return;
            }
        };
        self.negotiation.received = Some(sdp.to_owned());
        let stage = match (first, sort) {
            (false, _) => None,
            (true, Sort::Offer) => Some(3),
            (true, Sort::Answer) => Some(5),
        };
        self.trace.call(
            now,
            stage,
            "setRemoteDescription",
            detail! { "type" => sort.as_str() },
        );
        match sort {
            Sort::Offer => self.take_offer(now, stage, description),
            Sort::Answer => self.take_answer(now, description),
        }
        if first {
            // Without a server a person carries the answer.
            let patience = if self.trickle || sort == Sort::Answer {
                PATH_PATIENCE
            } else {
                CARRIED
            };
            self.patience = Some((now + patience, Patience::Path));
        }
    }

    /// Whether it is the offer that we answered last, while nothing else has begun.
    fn is_answered(&self, sort: Sort, sdp: &str) -> bool {
        let negotiation = &self.negotiation;
        let answer = matches!(negotiation.draft, Some((Sort::Answer, _)));
        sort == Sort::Offer
            && negotiation.received.as_deref() == Some(sdp)
            && (answer && negotiation.unsent.is_none())
    }

    /// The other side repeats itself, so it may have missed what we sent.
    fn repeat(&mut self, now: Instant) {
        if self.negotiation.repeats < MAX_REPEATS {
            self.negotiation.repeats += 1;
            self.resend(now);
        }
    }

    /// Why a description is not one to take now.
    fn unfit(&self, sort: Sort, sdp: &str) -> Option<&'static str> {
        let negotiation = &self.negotiation;
        let repeated = negotiation.received.as_deref() == Some(sdp);
        let awaiting = self.states.signaling == SignalingState::HaveLocalOffer;
        match (sort, negotiation.settled) {
            // While an offer of PEER2's own is out, that one gives way, as to any other.
            (Sort::Offer, _) if repeated && !awaiting => Some("repeated-offer"),
            (Sort::Answer, _) if repeated => Some("repeated-answer"),
            (Sort::Offer, false) => (self.role == Role::Peer1).then_some("unexpected-offer"),
            (Sort::Offer, true) => {
                (awaiting && self.role == Role::Peer1).then_some("crossing-offer")
            }
            (Sort::Answer, _) => {
                let asked = awaiting && negotiation.unsent.is_none() && negotiation.draft.is_some();
                (!asked).then_some("unexpected-answer")
            }
        }
    }

    fn take_offer(&mut self, now: Instant, stage: Stage, offer: Description) {
        self.update(now, |states| {
            states.signaling = SignalingState::HaveRemoteOffer
        });
        // An offer with other credentials restarts ICE, and the answer must have new ones, too (RFC 8839 §4.4.1.1.1). Where our own
        // offer crossed this one and we are polite, ours are new already.
        let restarted =
            self.negotiation.settled && offer.ice_ufrag != self.negotiation.remote_ufrag;
        if restarted && self.negotiation.unsent != Some(Sort::Offer) {
            self.restart_ice(now);
        }
        let role = match offer.setup {
            Setup::ActPass | Setup::Passive => DtlsRole::Client,
            Setup::Active => DtlsRole::Server,
        };
        self.negotiation.mid.clone_from(&offer.mid);
        self.negotiation.offered_init = offer.sctp_init.is_some();
        self.describe(now, offer, role);
        self.trace.call(now, stage, "createAnswer", Detail::new());
        self.trace.call(
            now,
            stage,
            "setLocalDescription",
            detail! { "type" => "answer" },
        );
        self.update(now, |states| states.signaling = SignalingState::Stable);
        self.negotiation.unsent = Some(Sort::Answer);
        self.advance(now);
        self.settle(now);
    }

    fn take_answer(&mut self, now: Instant, answer: Description) {
        self.update(now, |states| states.signaling = SignalingState::Stable);
        let role = match answer.setup {
            Setup::Passive => DtlsRole::Client,
            Setup::Active | Setup::ActPass => DtlsRole::Server,
        };
        self.describe(now, answer, role);
        self.settle(now);
    }

    /// The first negotiation is over; later ones may come from either side.
    fn settle(&mut self, now: Instant) {
        self.negotiation.settled = true;
        if std::mem::take(&mut self.negotiation.restart_wanted) {
            self.seek_path(now);
        }
    }

    /// A remote description is in place: what was held back is added.
    fn describe(&mut self, now: Instant, description: Description, role: DtlsRole) {
        self.negotiation
            .remote_ufrag
            .clone_from(&description.ice_ufrag);
        let remote = Remote {
            ufrag: description.ice_ufrag,
            pwd: description.ice_pwd,
            fingerprints: description.fingerprints,
            role: self.session.role().unwrap_or(role),
            sctp_port: description.sctp_port,
            max_message_size: usize::try_from(description.max_message_size).unwrap_or(0),
            sctp_init: description.sctp_init,
        };
        self.session.set_remote(now, remote);
        self.update(now, |states| {
            if states.connection == ConnectionState::New {
                states.connection = ConnectionState::Connecting;
                states.ice = crate::states::IceState::Checking;
            }
        });
        for text in description.candidates {
            if self.is_new(now, &text) {
                self.add_remote(now, &text);
            }
        }
        let held = std::mem::take(&mut self.negotiation.held);
        if !held.is_empty() {
            let detail = detail! { "count" => held.len() };
            self.trace
                .note(now, Some(5), Kind::Note, "candidates-flushed", detail);
        }
        for candidate in held {
            self.add_remote(now, &candidate);
        }
    }

    fn own_stage(&self) -> Stage {
        Some(if self.role == Role::Peer1 { 1 } else { 3 })
    }
}
