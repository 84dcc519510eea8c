//! From the first check to the secure connection and to its end: what the session says, and what is not waited for any longer.

use std::time::Instant;

use super::{EndReason, Event, Pairing, Patience, PeerError, Presence};
use crate::session;
use crate::states::{self, ChannelState, ConnectionState, IceState, SignalingState};
use crate::trace::{Detail, Kind, Role, detail};

impl Pairing {
    pub(super) fn handle_session(&mut self, now: Instant, event: session::Event) {
        match event {
            session::Event::Ice(state) => self.ice_changed(now, state),
            session::Event::Secured => self.secured(now),
            session::Event::Sctp(event) => self.handle_sctp(now, event),
            session::Event::Failed(error) => self.fail(now, PeerError::Handshake(error)),
            session::Event::ClosedByPeer => self.channel_lost(now),
        }
    }

    fn ice_changed(&mut self, now: Instant, state: session::IceState) {
        if !self.negotiation.is_described() {
            return; // the agent checks before it has anybody to check with
        }
        let found = matches!(self.states.ice, IceState::Connected | IceState::Completed);
        let ice = match state {
            session::IceState::Checking if found => return,
            session::IceState::Checking => IceState::Checking,
            session::IceState::Connected => IceState::Connected,
            session::IceState::Completed => IceState::Completed,
            // More candidates may come until it has taken too long; only a path that was there can fail at once.
            session::IceState::Exhausted if !self.opened => return,
            session::IceState::Exhausted => IceState::Failed,
        };
        self.update(now, |states| {
            states.ice = ice;
            states.connection = match (ice, states.connection) {
                (IceState::Failed, _) => ConnectionState::Failed,
                (IceState::Checking, ConnectionState::New) => ConnectionState::Connecting,
                (_, ConnectionState::Failed) => ConnectionState::Connected,
                (_, connection) => connection,
            };
        });
        if ice == IceState::Failed {
            self.trace.conclude();
            if self.online && self.presence == Presence::Online {
                self.seek_path(now);
            } else {
                self.end(now, EndReason::Vanished);
            }
        }
    }

    fn secured(&mut self, now: Instant) {
        if self
            .patience
            .is_some_and(|(_, patience)| patience == Patience::Path)
        {
            self.patience = None;
        }
        self.update(now, |states| {
            if states.ice == IceState::Checking || states.ice == IceState::New {
                states.ice = IceState::Connected;
            }
            states.connection = ConnectionState::Connected;
        });
        if self.role == Role::Peer1 {
            self.open_main();
        }
    }

    pub(super) fn out_of_patience(&mut self, now: Instant, patience: Patience) {
        match patience {
            Patience::End(reason) => self.end(now, reason),
            Patience::Description if self.role == Role::Peer2 => self.end(now, EndReason::NoOffer),
            Patience::Description => self.emit(Event::Problem(PeerError::NoAnswer)),
            Patience::Path => {
                self.update(now, |states| {
                    states.ice = IceState::Failed;
                    states.connection = ConnectionState::Failed;
                });
                self.fail(now, PeerError::NoPath);
            }
        }
    }

    /// The handshake, or a later one, cannot go on.
    pub(super) fn fail(&mut self, now: Instant, error: PeerError) {
        if self.ended.is_some() {
            return;
        }
        self.emit(Event::Problem(error));
        let reason = if self.opened {
            EndReason::Vanished
        } else {
            EndReason::Failed
        };
        self.end(now, reason);
    }

    /// A payload that did not open. Once the channel was open it ends nothing: the server may go on like this, the two do not need it.
    pub(crate) fn not_verified(&mut self, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        self.trace
            .note(now, None, Kind::Note, "not-verified", Detail::new());
        // Told once: a server may go on like this for as long as it likes.
        if !std::mem::replace(&mut self.lied, true) {
            self.emit(Event::Problem(PeerError::NotVerified));
        }
        if !self.opened {
            self.end(now, EndReason::NotVerified);
        }
    }

    /// The one way out: everything is closed and let go of, and said once.
    pub(crate) fn end(&mut self, now: Instant, reason: EndReason) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(reason);
        self.trace.conclude();
        self.patience = None;
        self.next_tick = None;
        self.close_channels();
        if let Some(association) = self.session.association() {
            association.abort(reason.as_str());
        }
        self.trace.call(now, None, "close", Detail::new());
        self.update(now, |states| {
            states.signaling = SignalingState::Closed;
            states.ice = IceState::Closed;
            states.connection = ConnectionState::Closed;
            states.liveness = states::Liveness::Unknown;
            if states.channel != ChannelState::None {
                states.channel = ChannelState::Closed;
            }
        });
        self.trace.note(
            now,
            None,
            Kind::Note,
            "ended",
            detail! { "reason" => reason.as_str() },
        );
        self.emit(Event::Ended(reason));
    }
}
