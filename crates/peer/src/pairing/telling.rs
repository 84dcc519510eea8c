//! What a pairing tells: events to its owner, payloads to the other side, records to the trace.

use std::time::Instant;

use super::{Event, Pairing, Queued};
use crate::payload::Payload;
use crate::states::{ConnectionState, PeerStates};
use crate::trace::{Detail, Kind, Role, Stage, detail};

/// Messages a second that the trace keeps; a flood is counted.
const TRACED_MESSAGES: u32 = 100;
/// Refusals that are answered in one pairing. Every bad candidate of a batch is one, and the server counts what we say.
const MAX_REFUSALS: u32 = 100;

impl Pairing {
    pub(super) fn emit(&mut self, event: Event) {
        self.outputs.push_back(Queued::Event(event));
    }

    pub(super) fn signal(&mut self, now: Instant, stage: Stage, payload: Payload) {
        let detail = match &payload {
            Payload::Description { sdp, .. } => detail! { "bytes" => sdp.len() },
            Payload::Candidates {
                candidates,
                complete,
            } => detail! { "count" => candidates.len(), "complete" => complete },
            Payload::Problem { code, about } => detail! { "code" => code, "about" => about },
            _ => Detail::new(),
        };
        self.trace
            .note(now, stage, Kind::Send, payload.name(), detail);
        self.outputs.push_back(Queued::Signal(payload));
    }

    pub(super) fn refuse(&mut self, now: Instant, code: &str, about: &str) {
        self.trace.note(
            now,
            None,
            Kind::Note,
            "refused",
            detail! { "code" => code, "about" => about },
        );
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals > MAX_REFUSALS {
            return;
        }
        self.signal(
            now,
            None,
            Payload::Problem {
                code: code.to_owned(),
                about: about.to_owned(),
            },
        );
    }

    /// Whoever learns of a change of state tells it here, and here only it is recorded.
    pub(super) fn update(&mut self, now: Instant, change: impl FnOnce(&mut PeerStates)) {
        let before = self.states;
        change(&mut self.states);
        if self.states == before {
            return;
        }
        for (name, from, to, stage) in self.states.changes(&before, self.role) {
            self.trace.note(
                now,
                stage,
                Kind::State,
                name,
                detail! { "from" => from, "to" => to },
            );
        }
        let connected = |states: &PeerStates| states.connection == ConnectionState::Connected;
        if connected(&before) && !connected(&self.states) {
            self.trace.conclude();
        }
        self.emit(Event::States(self.states));
    }

    pub(super) fn trace_message(
        &mut self,
        now: Instant,
        name: &'static str,
        kind: &'static str,
        bytes: usize,
    ) {
        let second = now.duration_since(self.origin).as_secs();
        if self.traced.0 != second {
            self.traced = (second, 0);
        }
        self.traced.1 += 1;
        if self.traced.1 <= TRACED_MESSAGES {
            self.trace.note(
                now,
                None,
                Kind::Message,
                name,
                detail! { "kind" => kind, "bytes" => bytes },
            );
        }
    }

    /// What arrives through the server shows the stage the server did: 2 for the offer, 4 for the rest.
    pub(super) fn stage_of_received(&self, payload: &Payload) -> Stage {
        use crate::description::Kind::{Answer, Offer};
        match payload {
            Payload::Description { kind: Offer, .. } => (self.role == Role::Peer2).then_some(2),
            Payload::Description { kind: Answer, .. } | Payload::Candidates { .. } => Some(4),
            _ => None,
        }
    }
}
