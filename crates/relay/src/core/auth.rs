//! Who asks: the long-term credential mechanism (RFC 8489 §9.2) without a memory of those who have not proved anything.
//!
//! A nonce is four bytes of time and fourteen of HMAC-SHA256 over time and source, so that it is checked without being kept, is good for
//! one source only, and cannot be guessed. No nonce cookie and no PASSWORD-ALGORITHMS: what browsers speak is MD5 and SHA-1, and a
//! challenge must stay short, see [`challenge`](Challenger::challenge).

use std::net::SocketAddr;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;

use super::message::{Key, Message, Writer, attribute};
use crate::Secret;

/// Seconds a nonce is good for; then the client gets a new one with 438.
const NONCE_LIFETIME: u32 = 600;
/// In characters. With the realm `crowfly` a challenge has 68 bytes: 2.43 times the shortest Allocate.
const NONCE: usize = 24;
const NONCE_CODE: usize = 14;
/// Longer usernames are refused: they are kept with an allocation.
const LONGEST_USERNAME: usize = 128;

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It has no credential, or a wrong or expired one (401).
    Unauthenticated,
    /// Its credential is incomplete (400).
    Incomplete,
    /// Its nonce is not of this server and source, or too old (438).
    StaleNonce,
}

/// Who asked, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) username: Box<str>,
    pub(super) key: Key,
}

impl Proof {
    /// Whom quotas count and an allocation belongs to: the id, for a renewed credential differs in its expiry only.
    pub(super) fn user(&self) -> &str {
        user(&self.username)
    }
}

fn user(username: &str) -> &str {
    match username.split_once(':') {
        Some((_, id)) if !id.is_empty() => id,
        _ => username,
    }
}

/// Asks for credentials and checks them.
#[derive(Debug)]
pub(super) struct Challenger {
    realm: Box<str>,
    secret: Secret,
    nonce_key: [u8; 32],
}

impl Challenger {
    pub(super) fn new(realm: Box<str>, secret: Secret, nonce_key: [u8; 32]) -> Self {
        Self {
            realm,
            secret,
            nonce_key,
        }
    }

    /// `held` is what the allocation of this client was made with: it goes on being good after its expiry (a running session
    /// survives), for that allocation.
    pub(super) fn prove(
        &self,
        unix: u64,
        source: SocketAddr,
        request: &Message<'_>,
        held: Option<&Proof>,
    ) -> Result<Proof, Doubt> {
        if !request.has_integrity() {
            return Err(Doubt::Unauthenticated);
        }
        let text = |kind| Some(std::str::from_utf8(request.attribute(kind)?));
        let (Some(username), Some(_), Some(nonce)) = (
            text(attribute::USERNAME),
            text(attribute::REALM),
            request.attribute(attribute::NONCE),
        ) else {
            return Err(Doubt::Incomplete);
        };
        if !self.is_fresh(unix, source, nonce) {
            return Err(Doubt::StaleNonce);
        }
        let Ok(username) = username else {
            return Err(Doubt::Unauthenticated);
        };
        let proof = match held {
            Some(held) if *held.username == *username => held.clone(),
            _ => self
                .expected(unix, username)
                .ok_or(Doubt::Unauthenticated)?,
        };
        if request.is_signed_with(&proof.key) {
            Ok(proof)
        } else {
            Err(Doubt::Unauthenticated)
        }
    }

    /// The key that goes with a username, unless it has expired.
    fn expected(&self, unix: u64, username: &str) -> Option<Proof> {
        let (expiry, _) = username.split_once(':').unwrap_or((username, ""));
        if username.len() > LONGEST_USERNAME || expiry.parse::<u64>().ok()? <= unix {
            return None;
        }
        let password = self.secret.password(username);
        let key = Md5::digest(format!("{username}:{}:{password}", self.realm)).into();
        Some(Proof {
            username: username.into(),
            key,
        })
    }

    /// REALM and NONCE, for a 401 or 438.
    pub(super) fn challenge(&self, unix: u64, source: SocketAddr, answer: &mut Writer<'_>) {
        answer.attribute(attribute::REALM, self.realm.as_bytes());
        answer.attribute(attribute::NONCE, &self.nonce(unix as u32, source));
    }

    fn nonce(&self, time: u32, source: SocketAddr) -> [u8; NONCE] {
        let mut bytes = [0; 4 + NONCE_CODE];
        bytes[..4].copy_from_slice(&time.to_be_bytes());
        let code = self.nonce_hmac(time, source).finalize().into_bytes();
        bytes[4..].copy_from_slice(&code[..NONCE_CODE]);
        let mut nonce = [0; NONCE];
        BASE64URL_NOPAD.encode_mut(&bytes, &mut nonce);
        nonce
    }

    fn is_fresh(&self, unix: u64, source: SocketAddr, nonce: &[u8]) -> bool {
        let mut bytes = [0; 4 + NONCE_CODE];
        if nonce.len() != NONCE || BASE64URL_NOPAD.decode_mut(nonce, &mut bytes).is_err() {
            return false;
        }
        let time = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let genuine = self
            .nonce_hmac(time, source)
            .verify_truncated_left(&bytes[4..])
            .is_ok();
        genuine && (unix as u32).wrapping_sub(time) < NONCE_LIFETIME
    }

    fn nonce_hmac(&self, time: u32, source: SocketAddr) -> Hmac<Sha256> {
        let mut hmac =
            Hmac::<Sha256>::new_from_slice(&self.nonce_key).expect("HMAC takes keys of any length");
        hmac.update(&time.to_be_bytes());
        match source.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => hmac.update(&ip.octets()),
            std::net::IpAddr::V6(ip) => hmac.update(&ip.octets()),
        }
        hmac.update(&source.port().to_be_bytes());
        hmac
    }
}
