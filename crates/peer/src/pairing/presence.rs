//! Is the other side still there? By the server's word for its seat, and by what is heard on the main channel.

use std::time::{Duration, Instant};

use super::{EndReason, Pairing, Patience, Presence};
use crate::liveness::Verdict;
use crate::payload::Payload;
use crate::states::{self, ChannelState};
use crate::trace::{Detail, Kind, Role, detail};

/// PEER2 waits this long for an offer, PEER1 for an answer.
const DESCRIPTION_PATIENCE: Duration = Duration::from_secs(15);
/// The server said that the other side left; its goodbye in the channel gets this long.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);
/// A restarted server is back before the other side is; that gets so long to come back, too, while the two are not connected.
const RETURN_PATIENCE: Duration = Duration::from_secs(20);

impl Pairing {
    /// Our own connection to the server.
    pub(crate) fn set_online(&mut self, now: Instant, online: bool) {
        let returned = online && !self.online && self.met;
        self.online = online;
        if online && !self.met {
            self.met = true;
            // From here on the other side can hear us, and should be heard soon.
            if self.trickle {
                self.patience = Some((now + DESCRIPTION_PATIENCE, Patience::Description));
            }
        }
        self.reachable(now, returned);
    }

    /// The other side's connection to the server.
    pub(crate) fn set_presence(&mut self, now: Instant, presence: Presence) {
        if self.ended.is_some() {
            return;
        }
        // Also when nothing was known of its loss: what was sent meanwhile may have gone to a dead connection (docs/protocol.md).
        let returned = presence == Presence::Online;
        self.presence = presence;
        self.missing = None;
        let name = match presence {
            Presence::Online => "peer-online",
            Presence::Offline => "peer-offline",
            Presence::Lost => "peer-left",
        };
        self.trace
            .note(now, None, Kind::Receive, name, Detail::new());
        if presence == Presence::Lost && !self.opened {
            return self.end(now, EndReason::Lost);
        }
        let unheard = self.states.liveness == states::Liveness::Silent
            || self.states.channel == ChannelState::Closed;
        if presence != Presence::Online && unheard {
            return self.end(now, EndReason::Vanished);
        }
        self.reachable(now, returned);
    }

    /// The server has forgotten the two of us, and we are back first.
    pub(crate) fn missed(&mut self, now: Instant) {
        if self.opened {
            return self.departed(now, EndReason::Lost);
        }
        self.set_presence(now, Presence::Offline);
        self.missing = Some(now + RETURN_PATIENCE);
    }

    /// The server says that the other side's seat is free.
    pub(crate) fn departed(&mut self, now: Instant, reason: EndReason) {
        // Its connection to the server is not its connection to us.
        if reason == EndReason::Lost {
            return self.set_presence(now, Presence::Lost);
        }
        if self.ended.is_some() {
            return;
        }
        self.trace.note(
            now,
            None,
            Kind::Receive,
            "peer-left",
            detail! { "reason" => reason.as_str() },
        );
        if !self.is_live() || self.states.channel != ChannelState::Open {
            return self.end(now, reason);
        }
        // The goodbye in the channel comes behind the last messages; let it.
        self.departing = Some(reason);
        self.patience = Some((now + GOODBYE_PATIENCE, Patience::End(reason)));
    }

    fn reachable(&mut self, now: Instant, returned: bool) {
        if self.ended.is_some() {
            return;
        }
        let reachable = self.online && self.presence == Presence::Online;
        self.set_reachable(now, reachable);
        if !reachable || !returned {
            return;
        }
        if !self.opened {
            self.resend(now);
        } else if self.states.liveness == states::Liveness::Silent {
            self.seek_path(now);
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        if let Some(liveness) = &mut self.liveness {
            liveness.heard();
        }
        if self.states.liveness == states::Liveness::Silent {
            self.update(now, |states| states.liveness = states::Liveness::Alive);
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        let Some(liveness) = &mut self.liveness else {
            return;
        };
        if !self.reading {
            liveness.heard(); // what the other side says waits here
        }
        let (ping, verdict) = (liveness.tick(now), liveness.verdict());
        let cry = self.role == Role::Peer2 && liveness.cry();
        if let Some(id) = ping {
            self.send_ping(now, id);
        }
        match verdict {
            Verdict::Gone => self.end(now, EndReason::Vanished),
            Verdict::Silent if self.states.liveness != states::Liveness::Silent => {
                self.fell_silent(now)
            }
            _ if cry => self.signal(now, None, Payload::Silent),
            _ => {}
        }
    }

    /// Not the moment for another path: if the network is only away for a while, ICE finds back to this one by itself. Another is
    /// sought when the server is reached again, when the other side says by way of the server that it hears nothing either, or when
    /// ICE has given up.
    fn fell_silent(&mut self, now: Instant) {
        self.update(now, |states| states.liveness = states::Liveness::Silent);
        if self.presence != Presence::Online {
            self.end(now, EndReason::Vanished);
        }
    }
}
