//! One pairing after the other: its beginning, its addresses, its end, and what the server is told of that.

use std::time::Instant;

use crowfly_protocol::{ClientMessage, PeerId, RejectReason, SessionId};
use is::Candidate;

use super::{CloseReason, Departure, Event, Phase, Queued, RoomCore, RoomError};
use crate::gather::Reflexive;
use crate::pairing::{self, EndReason, Pairing, Presence};
use crate::trace::{Detail, Kind, Role};

/// Sessions remembered after their end, so that a late message or a late return is recognised.
const REMEMBERED: usize = 32;

impl RoomCore {
    pub(super) fn begin(
        &mut self,
        now: Instant,
        role: Role,
        session: Option<SessionId>,
        peer: Option<PeerId>,
    ) {
        // The driver makes them in every turn they are missing, and one turn begins one pairing; unless the system has no random
        // numbers to give.
        let Some(secrets) = self.ready.take() else {
            if let Some(session) = session {
                self.reject(session, RejectReason::Other);
            }
            return;
        };
        let session = session.unwrap_or(secrets.session);
        self.begin_sealing(role, session, secrets.nonce);
        let mut pairing = Pairing::new(
            now,
            pairing::Config {
                role,
                session,
                label: self.config.label.clone(),
                certificate: secrets.certificate,
                seed: secrets.seed,
                began: secrets.began,
                trickle: !self.is_carried(),
            },
        );
        for host in &self.config.hosts {
            if let Ok(candidate) = Candidate::host(*host, "udp") {
                pairing.add_local_candidate(now, candidate);
            }
        }
        self.pairing = Some(pairing);
        self.session = Some(session);
        if role == Role::Peer2 {
            self.emit(Event::Peer {
                id: peer,
                session,
                role,
            });
            if !self.is_carried() {
                self.gather(now);
            }
        }
    }

    /// Asks the STUN servers, for the pairing there is.
    pub(super) fn gather(&mut self, now: Instant) {
        self.reflexive = Reflexive::new(now, &self.config.hosts, &self.stun);
        self.gathered(now);
    }

    pub(super) fn gathered(&mut self, now: Instant) {
        while let Some((base, mapped)) = self.reflexive.poll_found() {
            if let (Some(pairing), Ok(candidate)) = (
                &mut self.pairing,
                Candidate::server_reflexive(mapped, base, "udp"),
            ) {
                pairing.add_local_candidate(now, candidate);
            }
        }
        let welcomed = !matches!(self.phase, Phase::Connecting);
        if welcomed
            && self.reflexive.is_done()
            && !self.looking_up
            && let Some(pairing) = &mut self.pairing
        {
            pairing.gathering_complete(now);
        }
    }

    pub(super) fn look_up(&mut self, servers: Vec<String>) {
        self.looking_up = true;
        self.outputs.push_back(Queued::LookUp(servers));
    }

    pub(super) fn pairing_ended(&mut self, now: Instant, reason: EndReason) {
        let Some((role, presence)) = self
            .pairing
            .as_ref()
            .map(|pairing| (pairing.role(), pairing.presence()))
        else {
            return;
        };
        if let Some(session) = self.session.take() {
            self.past.push_back(session);
            if self.past.len() > REMEMBERED {
                self.past.pop_front();
            }
            if self.phase == Phase::Closed {
                return;
            }
            if self.is_carried() {
                self.tell_departure(reason);
                return self.close(now, CloseReason::Ended(reason));
            }
            if self.token.is_none() {
                return self.refused(now, RoomError::Left); // not even seated
            }
            self.tell_departure(reason);
            // Who says goodbye leaves the server as well, unless it cannot reach it.
            let stuck = reason == EndReason::Goodbye && presence == Presence::Offline;
            if stuck
                || matches!(
                    reason,
                    EndReason::Vanished
                        | EndReason::Failed
                        | EndReason::NoOffer
                        | EndReason::NotVerified
                )
            {
                self.free(now, session, role, presence, reason);
            }
            if reason == EndReason::NotVerified {
                self.strike(now);
            }
        }
    }

    pub(super) fn tell_departure(&mut self, reason: EndReason) {
        if let Some(pairing) = &self.pairing {
            let (states, trace) = (pairing.states(), pairing.trace().to_json_lines());
            self.emit(Event::PeerLeft(Departure {
                reason,
                states,
                trace,
            }));
        }
    }

    /// The server believes in a pairing that is over. Who joined goes, if the other still waits there; else the other's seat is freed.
    fn free(
        &mut self,
        now: Instant,
        session: SessionId,
        role: Role,
        presence: Presence,
        reason: EndReason,
    ) {
        if !self.online || presence == Presence::Lost {
            return;
        }
        if role == Role::Peer1 && presence == Presence::Online {
            self.say(&ClientMessage::Leave, None);
            return self.close(now, CloseReason::Ended(reason));
        }
        let reason = match reason {
            EndReason::NoOffer => RejectReason::NoOffer,
            EndReason::NotVerified => RejectReason::NotVerified,
            _ => RejectReason::Other,
        };
        self.reject(session, reason);
    }

    fn reject(&mut self, session: SessionId, reason: RejectReason) {
        // The answer says nothing new, and a refusal means that the other has gone already.
        let request = self.request();
        self.say(&ClientMessage::Reject { session, reason }, Some(request));
    }

    /// The connection of who sits opposite is lost.
    pub(super) fn peer_offline(&mut self, now: Instant) {
        if self.session.is_some() {
            return self.set_presence(now, Presence::Offline);
        }
        // Its goodbye was heard, and its word to the server was lost with its connection: its seat need not be kept.
        if let Some(last) = self.past.back().copied() {
            self.reject(last, RejectReason::Other);
        }
    }

    /// Somebody sits down opposite.
    pub(super) fn joined(&mut self, now: Instant, peer: PeerId, session: SessionId) {
        if self.session == Some(session) {
            // Back on a new connection; the pairing is as it was.
            return self.set_presence(now, Presence::Online);
        }
        // Nor can anybody come who was given the secret before there is one.
        if self.past.contains(&session) || self.needs_key() {
            return self.reject(session, RejectReason::Other);
        }
        if let Some(current) = self.pairing() {
            // The next one, or the same one started anew, does not wait for the goodbye of the one before.
            if let Some(reason) = current.departing() {
                current.end(now, reason);
            } else if current.opened() {
                return self.reject(session, RejectReason::Busy);
            } else {
                current.end(now, EndReason::Lost);
            }
            self.drain_ended(now);
        }
        self.begin(now, Role::Peer2, Some(session), Some(peer));
        if let Some(pairing) = self.pairing() {
            pairing.note(now, Some(2), Kind::Receive, "peer-joined", Detail::new());
            pairing.set_online(now, true);
        }
    }

    /// Tells of the end of a pairing that makes room for the next.
    fn drain_ended(&mut self, now: Instant) {
        while let Some(pairing) = &mut self.pairing {
            match pairing.poll_output(now) {
                pairing::Output::Timeout(_) => break,
                pairing::Output::Event(pairing::Event::Ended(reason)) => {
                    self.pairing_ended(now, reason)
                }
                pairing::Output::Event(event) => self.emit(Event::Pairing(event)),
                _ => {}
            }
        }
        self.pairing = None;
    }
}
