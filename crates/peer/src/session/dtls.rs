//! DTLS around `dimpl`: the certificate, whose it must be, records in and out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Dtls, DtlsCertificate, Output, ProtocolVersion};
use sha2::{Digest, Sha256};

use crate::description::Fingerprint;

/// A handshake datagram fits the smallest IPv6 path (RFC 8200 §5) with room for UDP and IP.
const HANDSHAKE_MTU: usize = 1_200;
/// First retransmission of a flight; RFC 9147 §5.8.2 recommends 1 s for unknown paths, ICE has measured this one by now.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(250);
/// What a record adds at most: DTLS 1.2 has 13 + 8 + 16, DTLS 1.3 less.
const RECORD_OVERHEAD: usize = 64;
/// Records that wait to leave: a few flights.
const MAX_RECORDS: usize = 64;

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    Client,
    Server,
}

/// Why a secure connection did not come about, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Somebody else answered: the certificate is not that of the session description.
    #[error("the peer's certificate does not have the fingerprint of its session description")]
    WrongFingerprint,
    /// DTLS failed.
    #[error("the DTLS handshake failed: {0}")]
    Dtls(String),
}

/// An own certificate and its key, for one connection.
#[derive(Clone)]
pub(crate) struct Certificate {
    inner: DtlsCertificate,
}

/// What the tunnel has to tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Secured {
    Connected,
    Failed(HandshakeError),
    Closed,
}

/// What came of sealing.
pub(super) struct Sealed {
    /// Bytes of plaintext used up.
    pub(super) taken: usize,
    /// Bytes written.
    pub(super) length: usize,
    /// Bytes of each datagram but the last.
    pub(super) segment: usize,
}

/// One DTLS connection.
pub(super) struct Tunnel {
    dtls: Dtls,
    fingerprints: Vec<Fingerprint>,
    /// What `dimpl` was last told; it wants to know before each packet.
    clock: Instant,
    verified: bool,
    timeout: Option<Instant>,
    records: VecDeque<Vec<u8>>,
    told: VecDeque<Secured>,
    scratch: Vec<u8>,
    connected: bool,
    over: bool,
}

impl Certificate {
    /// A new one: ECDSA P-256, self-signed (RFC 8827 §6.5).
    pub(crate) fn generate() -> Self {
        // It fails only where the system has no random numbers left to give, and then nothing else works either.
        let inner = dimpl::certificate::generate_self_signed_certificate()
            .expect("a P-256 key and a certificate of fixed fields can be made");
        Self { inner }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.inner.certificate)
    }
}

impl Tunnel {
    pub(super) fn new(
        certificate: &Certificate,
        role: DtlsRole,
        fingerprints: Vec<Fingerprint>,
        now: Instant,
    ) -> Self {
        let config = dimpl::Config::builder()
            .mtu(HANDSHAKE_MTU)
            .flight_start_rto(FIRST_RETRANSMISSION)
            // ICE has shown that the peer receives at its address; a cookie would cost a trip to show it again.
            .use_server_cookie(false)
            .build()
            .expect("constants that dimpl accepts");
        let mut dtls = Dtls::new_auto(Arc::new(config), certificate.inner.clone(), now);
        dtls.set_active(role == DtlsRole::Client);
        let mut tunnel = Self {
            dtls,
            fingerprints,
            clock: now,
            verified: false,
            timeout: None,
            records: VecDeque::new(),
            told: VecDeque::new(),
            scratch: vec![0; 1 << 16],
            connected: false,
            over: false,
        };
        // dimpl 0.9 panics if a datagram comes before the first of these.
        tunnel.handle_timeout(now);
        tunnel
    }

    #[cfg(test)]
    pub(super) fn fingerprints_for_test(&mut self, fingerprints: Vec<Fingerprint>) {
        self.fingerprints = fingerprints;
    }

    /// `1.3` or `1.2`, once agreed upon.
    pub(super) fn version(&self) -> &'static str {
        match self.dtls.protocol_version() {
            Some(ProtocolVersion::DTLS1_3) => "1.3",
            _ => "1.2",
        }
    }

    pub(super) fn timeout(&self) -> Option<Instant> {
        self.timeout.filter(|_| !self.over)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.over {
            return;
        }
        self.clock = now;
        let result = self.dtls.handle_timeout(now);
        self.settle(result, |_| {});
    }

    /// Takes a datagram; `deliver` gets what was inside, once the peer is who it should be.
    pub(super) fn open(&mut self, now: Instant, datagram: &[u8], deliver: impl FnMut(&[u8])) {
        if self.over || self.is_noise(datagram) {
            return;
        }
        let told = if self.clock == now {
            Ok(())
        } else {
            self.dtls.handle_timeout(now)
        };
        self.clock = now;
        let result = told.and_then(|()| self.dtls.handle_packet(datagram));
        self.settle(result, deliver);
    }

    pub(super) fn poll(&mut self) -> Option<Secured> {
        self.told.pop_front()
    }

    /// A record of the handshake that is to leave as a datagram of its own.
    pub(super) fn poll_record(&mut self, out: &mut [u8]) -> Option<usize> {
        let record = self.records.pop_front()?;
        out[..record.len()].copy_from_slice(&record);
        Some(record.len())
    }

    /// Seals packets of one size, the last may be shorter, into datagrams of one size, the last may be shorter.
    pub(super) fn seal_run(
        &mut self,
        plain: &[u8],
        segment: usize,
        out: &mut [u8],
        most: usize,
    ) -> Sealed {
        let mut sealed = Sealed {
            taken: 0,
            length: 0,
            segment: 0,
        };
        for packet in plain.chunks(segment.max(1)) {
            if sealed.length > 0 && sealed.length + packet.len() + RECORD_OVERHEAD > most {
                break;
            }
            let Some(written) = self.seal(packet, &mut out[sealed.length..]) else {
                sealed.taken = plain.len(); // over: nothing more will leave
                break;
            };
            sealed.taken += packet.len();
            sealed.length += written;
            if sealed.segment == 0 {
                sealed.segment = written;
            }
            if written != sealed.segment {
                break; // the shorter one ends a run
            }
        }
        self.settle(Ok(()), |_| {});
        sealed
    }

    /// One record; `None` if there is no sending any more.
    fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.over || !self.connected {
            return None;
        }
        if let Err(error) = self.dtls.send_application_data(packet) {
            self.fail(HandshakeError::Dtls(error.to_string()));
            return None;
        }
        loop {
            match self.dtls.poll_output(out) {
                Output::Packet(record) => return Some(record.len()),
                Output::CloseNotify => self.told.push_back(Secured::Closed),
                Output::Timeout(_) | Output::BufferTooSmall { .. } => return None,
                _ => {}
            }
        }
    }

    /// Takes everything out of `dimpl`, as it wants after every call.
    fn settle(&mut self, result: Result<(), dimpl::Error>, mut deliver: impl FnMut(&[u8])) {
        if let Err(error) = result {
            return self.fail(HandshakeError::Dtls(error.to_string()));
        }
        let mut wrong = false;
        loop {
            match self.dtls.poll_output(&mut self.scratch) {
                Output::Packet(record) if self.records.len() < MAX_RECORDS => {
                    self.records.push_back(record.to_vec());
                }
                Output::PeerCert(certificate) => {
                    self.verified = self.fingerprints.contains(&fingerprint(certificate));
                    wrong |= !self.verified;
                }
                Output::Connected if self.verified => {
                    self.connected = true;
                    self.told.push_back(Secured::Connected);
                }
                Output::Connected => wrong = true,
                Output::ApplicationData(plain) if self.connected => deliver(plain),
                Output::CloseNotify => self.told.push_back(Secured::Closed),
                Output::BufferTooSmall { needed } => self.scratch.resize(needed, 0),
                Output::Timeout(at) => {
                    self.timeout = Some(at);
                    break;
                }
                _ => {}
            }
        }
        if wrong {
            self.fail(HandshakeError::WrongFingerprint);
        }
    }

    fn fail(&mut self, error: HandshakeError) {
        self.over = true;
        self.records.clear();
        self.told.push_back(Secured::Failed(error));
    }

    /// A client that awaits the server's first flight takes anything but a ServerHello or HelloVerifyRequest for the end (dimpl 0.9);
    /// the address is the peer's, but UDP lets others write it on their envelopes.
    fn is_noise(&self, datagram: &[u8]) -> bool {
        const HANDSHAKE: u8 = 22;
        const SERVER_HELLO: u8 = 2;
        const HELLO_VERIFY_REQUEST: u8 = 3;
        let awaiting = self.dtls.is_active() && self.dtls.protocol_version().is_none();
        let expected = datagram.first() == Some(&HANDSHAKE)
            && matches!(
                datagram.get(13),
                Some(&(SERVER_HELLO | HELLO_VERIFY_REQUEST))
            );
        awaiting && !expected
    }
}

fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}
