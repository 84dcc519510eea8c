//! Candidates: own ones as they are found and sent, the other side's as they come, are held back, and are added once.

use std::net::IpAddr;
use std::time::Instant;

use is::Candidate as IceCandidate;

use crate::pairing::{Pairing, Queued};
use crate::payload::{Candidate, Payload};
use crate::states::{GatheringState, SignalingState};
use crate::trace::{Kind, Role, detail};

/// More than any honest peer gathers between two negotiations.
const MAX_KNOWN: usize = 256;
/// `.local` names that are looked up in one pairing; an honest peer has one or two.
const MAX_NAMES: usize = 8;

/// A remote candidate whose address is a `.local` name (RFC 8828 §5.2 mode with mDNS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CandidateName {
    pub(crate) name: String,
    candidate: String,
}

impl Pairing {
    /// A local candidate was found.
    pub(crate) fn add_local_candidate(&mut self, now: Instant, candidate: IceCandidate) {
        if self.ended.is_some() {
            return;
        }
        let Some(text) = self.session.add_local_candidate(now, candidate) else {
            return;
        };
        self.update(now, |states| {
            if states.gathering == GatheringState::New {
                states.gathering = GatheringState::Gathering;
            }
        });
        self.found_candidate(now, text);
        self.advance(now);
    }

    /// There are no more local candidates.
    pub(crate) fn gathering_complete(&mut self, now: Instant) {
        if self.ended.is_some() || self.negotiation.gathered {
            return;
        }
        self.negotiation.gathered = true;
        let stage = self.own_stage();
        self.trace.note(
            now,
            stage,
            Kind::Event,
            "icecandidate",
            detail! { "complete" => true },
        );
        self.update(now, |states| states.gathering = GatheringState::Complete);
        self.advance(now);
    }

    /// The address behind a name was found.
    pub(crate) fn resolved(&mut self, now: Instant, name: &CandidateName, address: IpAddr) {
        if self.ended.is_some() {
            return;
        }
        let text = name.candidate.replacen(&name.name, &address.to_string(), 1);
        if let Ok(candidate) = IceCandidate::from_sdp_string(&text) {
            self.session.add_remote_candidate(now, candidate);
        }
    }

    pub(super) fn send_candidates(
        &mut self,
        now: Instant,
        candidates: Vec<Candidate>,
        complete: bool,
    ) {
        let stage = Some(if self.role == Role::Peer1 { 5 } else { 3 });
        self.signal(
            now,
            stage,
            Payload::Candidates {
                candidates,
                complete,
            },
        );
    }

    pub(in crate::pairing) fn receive_candidates(
        &mut self,
        now: Instant,
        candidates: Vec<Candidate>,
        complete: bool,
    ) {
        if self.role == Role::Peer2 && !self.negotiation.is_described() {
            return self.refuse(now, "candidate-before-offer", "candidates");
        }
        // Those behind a later description wait until it is in place.
        let ready =
            self.negotiation.is_described() && self.states.signaling == SignalingState::Stable;
        for Candidate {
            candidate: text, ..
        } in candidates
        {
            if !self.is_new(now, &text) {
                continue;
            }
            if ready {
                self.add_remote(now, &text);
                continue;
            }
            let detail = detail! { "candidate" => text };
            self.trace
                .note(now, Some(5), Kind::Note, "candidate-buffered", detail);
            self.negotiation.held.push(text);
        }
        if complete && ready {
            self.trace.call(
                now,
                Some(5),
                "addIceCandidate",
                detail! { "candidate" => "" },
            );
        }
    }

    /// Whether a candidate is to be added: each is once, and there is an end to how many.
    pub(super) fn is_new(&mut self, now: Instant, text: &str) -> bool {
        let known = &mut self.negotiation.known;
        let verdict = if known.contains(text) {
            "candidate-duplicate"
        } else if known.len() >= MAX_KNOWN {
            "candidate-too-many"
        } else {
            return known.insert(text.to_owned());
        };
        let detail = detail! { "candidate" => text };
        self.trace.note(now, Some(5), Kind::Note, verdict, detail);
        false
    }

    /// A candidate that cannot be used is not the end: others may do.
    pub(super) fn add_remote(&mut self, now: Instant, text: &str) {
        self.trace.call(
            now,
            Some(5),
            "addIceCandidate",
            detail! { "candidate" => text },
        );
        if text.is_empty() {
            return; // the end of candidates, as browsers write it
        }
        let mut fields = text.split_ascii_whitespace();
        let (protocol, address) = (
            fields.nth(2).unwrap_or_default(),
            fields.nth(1).unwrap_or_default(),
        );
        if protocol.eq_ignore_ascii_case("tcp") {
            return; // ICE over TCP (RFC 6544) is not spoken here
        }
        if is_local_name(address) {
            if self.negotiation.names < MAX_NAMES {
                self.negotiation.names += 1;
                let name = CandidateName {
                    name: address.to_owned(),
                    candidate: text.to_owned(),
                };
                self.outputs.push_back(Queued::Resolve(name));
            }
            return;
        }
        match IceCandidate::from_sdp_string(text) {
            Ok(candidate) => self.session.add_remote_candidate(now, candidate),
            Err(_) => {
                let about: String = text.chars().take(64).collect();
                self.refuse(now, "rejected-candidate", &about);
            }
        }
    }

    pub(super) fn found_candidate(&mut self, now: Instant, text: String) {
        let stage = self.own_stage();
        self.trace.note(
            now,
            stage,
            Kind::Event,
            "icecandidate",
            detail! { "candidate" => text },
        );
        let (ufrag, _) = self.session.credentials();
        let candidate = Candidate {
            candidate: text,
            sdp_mid: Some(self.negotiation.mid.clone()),
            sdp_m_line_index: Some(0),
            username_fragment: Some(ufrag.to_owned()),
        };
        self.negotiation.found.push(candidate);
    }
}

/// A name that browsers put in place of an address: a UUID and `.local` (draft-ietf-mmusic-mdns-ice-candidates §3.1.1).
fn is_local_name(address: &str) -> bool {
    address.len() <= 64
        && address.strip_suffix(".local").is_some_and(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}
