//! The handshake (RFC 9260 §5): INIT, INIT ACK, COOKIE ECHO, COOKIE ACK; both at once; a peer that began anew; and SNAP, which needs
//! none of it on the wire.

use std::time::Instant;

use chacha20::rand_core::Rng;

use super::{
    Control, State, Transport, TransportEvent,
    capabilities::{Capabilities, Offered},
    cookie::{BadCookie, Cookie},
    link::Link,
};
use crate::{
    association::CloseReason,
    packet::{Chunk, Init, Parameters},
    tsn::Tsn,
};

impl Transport {
    pub(super) fn connect(&mut self, now: Instant) {
        if self.state != State::Closed {
            return;
        }
        self.state = State::CookieWait;
        self.control.push_back(Control::Init);
        self.start_handshake_timer(now);
    }

    /// SNAP: the peer's INIT came with its session description, as ours went with ours.
    pub(super) fn remote_init(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(Chunk::Init(init, parameters)) = Chunk::parse(bytes) else {
            return;
        };
        let Ok(offered) = Capabilities::read(parameters) else {
            return;
        };
        if !is_sound(&init) || !matches!(self.state, State::Closed | State::CookieWait) {
            return;
        }
        self.control.clear();
        self.adopt(now, init, offered.capabilities);
        self.establish();
    }

    /// An INIT is answered with all that was agreed on in a cookie, and changes nothing here (RFC 9260 §5.1, §5.2.1, §5.2.2).
    pub(super) fn handle_init(&mut self, now: Instant, init: Init, parameters: Parameters<'_>) {
        let Ok(offered) = Capabilities::read(parameters) else {
            return;
        };
        if !is_sound(&init) || offered.host_name.is_some() {
            self.counts.packets_dropped += 1;
            return;
        }
        if self.state == State::ShutdownAckSent {
            self.control.push_back(Control::ShutdownAck);
            return;
        }
        let fresh = matches!(
            self.state,
            State::Closed | State::CookieWait | State::CookieEchoed
        );
        let (local, local_tie, peer_tie) = if fresh {
            (self.local, 0, 0)
        } else {
            let peer = self.link.as_ref().map_or(0, |link| link.peer.tag);
            (self.draw_init(), self.local.tag, peer)
        };
        let capabilities = self.own_capabilities().shared(offered.capabilities);
        let cookie = Cookie {
            made: self.elapsed(now),
            local,
            peer: init,
            capabilities,
            local_tie,
            peer_tie,
        };
        let cookie = cookie.seal(&self.cookie_key);
        let unrecognized = offered
            .unrecognized
            .iter()
            .map(|bytes| bytes.to_vec())
            .collect();
        // One answer waits at most: a flood of INITs costs no memory.
        self.control
            .retain(|control| !matches!(control, Control::InitAck { .. }));
        self.control.push_back(Control::InitAck {
            to: init.tag,
            init: local,
            cookie,
            unrecognized,
        });
    }

    pub(super) fn handle_init_ack(&mut self, now: Instant, init: Init, parameters: Parameters<'_>) {
        if self.state != State::CookieWait {
            return; // (RFC 9260 §5.2.3)
        }
        let Ok(Offered {
            capabilities,
            cookie,
            host_name,
            ..
        }) = Capabilities::read(parameters)
        else {
            return;
        };
        let Some(cookie) = cookie.filter(|_| is_sound(&init) && host_name.is_none()) else {
            self.violation("INIT ACK without a cookie, a tag or streams");
            return;
        };
        let cookie = cookie.to_vec();
        self.adopt(now, init, capabilities);
        self.state = State::CookieEchoed;
        self.cookie = cookie;
        self.control.push_front(Control::CookieEcho);
        self.start_handshake_timer(now);
        // Messages may be queued from now on: the first travel with the cookie (RFC 9260 §5.1, D).
        self.announce();
    }

    /// (RFC 9260 §5.1.5 and the table of §5.2.4)
    pub(super) fn handle_cookie_echo(&mut self, now: Instant, bytes: &[u8], tag: u32) -> bool {
        let cookie = match Cookie::open(bytes, &self.cookie_key, self.elapsed(now)) {
            Ok(cookie) if cookie.local.tag == tag => cookie,
            Err(BadCookie::Stale(late)) => {
                let microseconds = u32::try_from(late.saturating_mul(1000)).unwrap_or(u32::MAX);
                self.control.push_back(Control::StaleCookie(microseconds));
                return false;
            }
            _ => {
                self.counts.packets_dropped += 1;
                return false;
            }
        };
        let known = self.link.as_ref().map(|link| link.peer.tag);
        let (ours, theirs) = (
            cookie.local.tag == self.local.tag,
            known == Some(cookie.peer.tag),
        );
        match (ours, theirs) {
            // D: the cookie of this very association, perhaps once more.
            (true, true) => {}
            // B: the first we learn of the peer's tag, or both began at once and the peer's INIT ACK is still on its way.
            (true, false) if !self.state.is_up() => {
                if self.link.is_some() {
                    self.cookie = Vec::new();
                    self.events.push_back(TransportEvent::Restarted);
                }
                self.adopt_cookie(now, &cookie);
            }
            // A: the peer began anew; it knows nothing of what was before.
            (false, false)
                if cookie.local_tie == self.local.tag && known == Some(cookie.peer_tie) =>
            {
                if self.state == State::ShutdownAckSent {
                    self.control.push_back(Control::ShutdownAck);
                    return false;
                }
                self.local = cookie.local;
                self.adopt_cookie(now, &cookie);
                self.control.clear();
                self.state = State::CookieEchoed;
                self.events.push_back(TransportEvent::Restarted);
            }
            // C, and what fits no row: an old cookie.
            _ => return false,
        }
        if !self.state.is_up() {
            self.establish();
        }
        self.control.push_front(Control::CookieAck);
        true
    }

    pub(super) fn handle_cookie_ack(&mut self) {
        if self.state == State::CookieEchoed {
            self.establish();
        }
    }

    /// The handshake's timer fired: once more, or never again (RFC 9260 §4, T1).
    pub(super) fn handshake_timeout(&mut self, now: Instant) {
        if self.attempts >= self.config.max_init_retransmissions {
            self.close(CloseReason::ConnectTimeout);
            return;
        }
        self.attempts += 1;
        let again = if self.state == State::CookieWait {
            Control::Init
        } else {
            Control::CookieEcho
        };
        self.control.push_front(again);
        self.arm_handshake_timer(now);
    }

    /// Our INIT chunk, for SNAP.
    pub(super) fn own_capabilities(&self) -> Capabilities {
        Capabilities {
            forward_tsn: true,
            reconfiguration: true,
            interleaving: self.config.interleaving,
            zero_checksum: self.config.zero_checksum,
        }
    }

    /// A tag and a TSN that nobody can guess.
    pub(super) fn draw_init(&mut self) -> Init {
        Init {
            tag: self.random.next_u32().max(1),
            window: self.config.receive_window,
            outbound_streams: self.config.streams,
            inbound_streams: self.config.streams,
            initial_tsn: Tsn(self.random.next_u32()),
        }
    }

    fn adopt_cookie(&mut self, now: Instant, cookie: &Cookie) {
        self.link = Some(Link::new(
            now,
            &self.config,
            &self.local,
            cookie.peer,
            cookie.capabilities,
        ));
    }

    fn adopt(&mut self, now: Instant, peer: Init, theirs: Capabilities) {
        let shared = self.own_capabilities().shared(theirs);
        self.link = Some(Link::new(now, &self.config, &self.local, peer, shared));
    }

    fn establish(&mut self) {
        let announced = self.state == State::CookieEchoed && !self.cookie.is_empty();
        self.state = State::Established;
        self.cookie = Vec::new();
        self.handshake_due = None;
        self.control
            .retain(|control| !matches!(control, Control::Init | Control::CookieEcho));
        if !announced {
            self.announce();
        }
    }

    fn announce(&mut self) {
        if let Some(link) = &self.link {
            self.events.push_back(TransportEvent::Established {
                streams: link.streams(&self.local),
            });
        }
    }

    fn start_handshake_timer(&mut self, now: Instant) {
        self.attempts = 0;
        self.arm_handshake_timer(now);
    }

    fn arm_handshake_timer(&mut self, now: Instant) {
        self.handshake_due =
            Some(now + crate::send::rtt::RoundTrip::default().timeout(self.attempts));
    }
}

fn is_sound(init: &Init) -> bool {
    init.tag != 0 && init.outbound_streams != 0 && init.inbound_streams != 0
}
