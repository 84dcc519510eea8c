//! Finding the path: STUN in and out of the agent, and what it decides.

use std::net::SocketAddr;
use std::time::Instant;

use is::stun::{StunMessage, StunPacket};
use is::{IceAgentEvent, IceConnectionState, Protocol};

use super::{Event, IceState, Path, Run, Session, Tunnel};

impl Session {
    pub(super) fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let Ok(message) = StunMessage::parse(datagram) else {
            return;
        };
        let packet = StunPacket {
            proto: Protocol::Udp,
            source: path.remote,
            destination: path.local,
            message,
        };
        if !self.ice.handle_packet(now, packet) {
            return;
        }
        self.advance_ice(now);
        if self.path.is_none() && self.ice.has_viable_remote_candidate(path.remote) {
            self.take_path(now, path);
        }
        self.release_early(now);
    }

    pub(super) fn next_check(&mut self) -> Option<Run> {
        let transmit = self.ice.poll_transmit()?;
        let length = transmit.contents.len();
        self.run[..length].copy_from_slice(&transmit.contents);
        let path = Path {
            local: transmit.source,
            remote: transmit.destination,
        };
        Some(Run {
            path,
            length,
            segment: length,
        })
    }

    /// Lets the agent send what is due.
    pub(super) fn advance_ice(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        self.poll_ice(now);
    }

    pub(super) fn poll_ice(&mut self, now: Instant) {
        while let Some(event) = self.ice.poll_event() {
            match event {
                IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } => {
                    self.take_path(
                        now,
                        Path {
                            local: source,
                            remote: destination,
                        },
                    );
                }
                IceAgentEvent::IceConnectionStateChange(state) => {
                    self.events.push_back(Event::Ice(match state {
                        IceConnectionState::New | IceConnectionState::Checking => {
                            IceState::Checking
                        }
                        IceConnectionState::Connected => IceState::Connected,
                        IceConnectionState::Completed => IceState::Completed,
                        IceConnectionState::Disconnected => IceState::Exhausted,
                    }));
                }
                IceAgentEvent::IceRestart(_) | IceAgentEvent::DiscoveredRecv { .. } => {}
            }
        }
    }

    fn take_path(&mut self, now: Instant, path: Path) {
        self.path = Some(path);
        let Some(remote) = &self.remote else {
            return;
        };
        if self.tunnel.is_none() {
            let fingerprints = remote.fingerprints.clone();
            self.tunnel = Some(Tunnel::new(
                &self.certificate,
                remote.role,
                fingerprints,
                now,
            ));
            self.take_secured(now);
        }
    }

    /// Whether ICE has heard an authenticated answer from there.
    pub(super) fn is_validated(&self, remote: SocketAddr) -> bool {
        self.path.is_some_and(|path| path.remote == remote)
            || self.ice.has_viable_remote_candidate(remote)
    }
}
