//! What goes over the path: DTLS, and SCTP within it.

use std::time::Instant;

use crowfly_sctp::{self as sctp, Association};

use super::{DtlsRole, Event, Path, Run, Secured, Session, Tunnel};

/// Early datagrams held back: a ClientHello with post-quantum shares has two or three.
const MAX_EARLY: usize = 8;
/// Bytes of one run of packets handed to the kernel at once: one UDP datagram's limit, less its headers.
const MAX_RUN: usize = 65_000;

impl Session {
    pub(super) fn handle_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if self.tunnel.is_some() && self.is_validated(path.remote) {
            return self.open(now, datagram);
        }
        let secured = self.association.is_some();
        if !secured && self.early.len() < MAX_EARLY {
            self.early.push_back((path, datagram.to_vec()));
        }
    }

    pub(super) fn release_early(&mut self, now: Instant) {
        if self.early.is_empty() || self.tunnel.is_none() {
            return;
        }
        for (path, datagram) in std::mem::take(&mut self.early) {
            if self.is_validated(path.remote) {
                self.open(now, &datagram);
            } else {
                self.early.push_back((path, datagram));
            }
        }
    }

    /// Decrypts a datagram; what is inside goes to SCTP.
    pub(super) fn open(&mut self, now: Instant, datagram: &[u8]) {
        let Some(tunnel) = &mut self.tunnel else {
            return;
        };
        let association = &mut self.association;
        tunnel.open(now, datagram, |plain| {
            if let Some(association) = association {
                association.handle_input(now, sctp::Input::Datagram(plain));
            }
        });
        self.take_secured(now);
    }

    /// What the tunnel has to tell.
    pub(super) fn take_secured(&mut self, now: Instant) {
        while let Some(secured) = self.tunnel.as_mut().and_then(Tunnel::poll) {
            match secured {
                Secured::Connected => self.associate(now),
                Secured::Failed(error) => {
                    self.ended = true;
                    self.events.push_back(Event::Failed(error));
                }
                Secured::Closed => self.events.push_back(Event::ClosedByPeer),
            }
        }
    }

    /// DTLS is up: SCTP begins, on both sides at once (RFC 8841 §9.3).
    fn associate(&mut self, now: Instant) {
        let remote = self
            .remote
            .as_ref()
            .expect("there is no tunnel before a remote description");
        let config = sctp::Config {
            role: match remote.role {
                DtlsRole::Client => sctp::Role::Client,
                DtlsRole::Server => sctp::Role::Server,
            },
            remote_port: remote.sctp_port,
            peer_max_message_size: remote.max_message_size,
            ..sctp::Config::default()
        };
        let mut association = Association::new(config, self.seed);
        if let Some(init) = &remote.sctp_init {
            association.handle_input(now, sctp::Input::RemoteInit(init));
        }
        // What RemoteInit has established already stays so.
        association.handle_input(now, sctp::Input::Connect);
        self.association = Some(association);
        self.events.push_back(Event::Secured);
        self.early.clear();
    }

    /// Fills the run with what is next for the path.
    pub(super) fn next_run(&mut self, now: Instant) -> Option<Run> {
        let path = self.path?;
        let tunnel = self.tunnel.as_mut()?;
        if let Some(length) = tunnel.poll_record(&mut self.run) {
            return Some(Run {
                path,
                length,
                segment: length,
            });
        }
        loop {
            if self.plain_at < self.plain.len() {
                let rest = &self.plain[self.plain_at..];
                let sealed = tunnel.seal_run(rest, self.plain_segment, &mut self.run, MAX_RUN);
                self.plain_at += sealed.taken;
                if sealed.length > 0 {
                    return Some(Run {
                        path,
                        length: sealed.length,
                        segment: sealed.segment,
                    });
                }
                self.take_secured(now);
                return None;
            }
            let association = self.association.as_mut()?;
            match association.poll_output(now, &mut self.plain) {
                sctp::Output::Transmit { segment_size } => {
                    self.plain_segment = segment_size;
                    self.plain_at = 0;
                }
                sctp::Output::Event(event) => {
                    self.plain.clear();
                    self.plain_at = 0;
                    self.events.push_back(Event::Sctp(event));
                    return None;
                }
                sctp::Output::Timeout(at) => {
                    self.plain.clear();
                    self.plain_at = 0;
                    self.sctp_timeout = at;
                    return None;
                }
                _ => return None,
            }
        }
    }
}
