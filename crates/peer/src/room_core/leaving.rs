//! Going out: however it comes about, it ends in [`RoomCore::close`].

use std::time::{Duration, Instant};

use crowfly_protocol::ClientMessage;

use super::{CloseReason, Event, Phase, Queued, RoomCore, RoomError};
use crate::gather::Reflexive;
use crate::pairing::{EndReason, Pairing};

/// On leaving, what is still being sent gets this long.
const DRAIN: Duration = Duration::from_secs(1);

impl RoomCore {
    /// Says goodbye in the channel, leaves the room, closes everything; at once, unless something is still being sent.
    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leaving.is_some() || self.phase == Phase::Closed {
            return;
        }
        if let Some(pairing) = self.pairing() {
            pairing.goodbye(now);
        }
        self.leaving = Some(now + DRAIN);
    }

    pub(super) fn leave_when_drained(&mut self, now: Instant) {
        let Some(until) = self.leaving else {
            return;
        };
        let drained = self.pairing().is_none_or(Pairing::is_drained);
        if !drained && now < until {
            return;
        }
        self.leaving = None;
        if self.online {
            self.say(&ClientMessage::Leave, None);
        }
        if self.token.is_none() && !self.is_carried() {
            return self.refused(now, RoomError::Left);
        }
        self.close(now, CloseReason::Left);
    }

    /// The one way out.
    pub(super) fn close(&mut self, now: Instant, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        let ending = match reason {
            CloseReason::Ended(reason) => reason,
            CloseReason::Left => EndReason::Leave,
            CloseReason::Rejected(_) => EndReason::Rejected,
            CloseReason::Replaced => EndReason::Replaced,
            CloseReason::Burned => EndReason::NotVerified,
            CloseReason::Refused(_) => EndReason::Lost,
        };
        self.end_pairing(now, ending);
        self.emit(Event::Closed(reason));
        self.shut(now, ending);
    }

    pub(super) fn shut(&mut self, now: Instant, ending: EndReason) {
        self.phase = Phase::Closed;
        self.deadline = None;
        self.leaving = None;
        self.reflexive = Reflexive::default();
        if let Some(pairing) = &mut self.pairing {
            pairing.end(now, ending);
        }
        self.outputs.push_back(Queued::Disconnect);
    }

    /// Its end is told before that of the room.
    fn end_pairing(&mut self, now: Instant, reason: EndReason) {
        let Some(pairing) = self.pairing() else {
            return;
        };
        pairing.end(now, reason);
        self.session = None;
        self.tell_departure(reason);
    }
}
