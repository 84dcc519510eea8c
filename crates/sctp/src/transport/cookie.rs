//! The state cookie (RFC 9260 §5.1.3): all that INIT and INIT ACK agreed on, signed, so that answering an INIT keeps no state.

use bytes::{Buf, BufMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::capabilities::Capabilities;
use crate::{packet::Init, tsn::Tsn};

/// A cookie is good for so long (RFC 9260 §16, Valid.Cookie.Life), in milliseconds.
const LIFE: u64 = 60_000;

const SIGNATURE: usize = 32;
const BODY: usize = 8 + 2 * 16 + 4 + 8;

/// What a cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    /// Milliseconds since the transport was made.
    pub(super) made: u64,
    pub(super) local: Init,
    pub(super) peer: Init,
    pub(super) capabilities: Capabilities,
    /// Both tags of the association that existed when the INIT came, zero if none (RFC 9260 §5.2.2).
    pub(super) local_tie: u32,
    pub(super) peer_tie: u32,
}

/// Why a cookie is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadCookie {
    /// Not ours.
    Forged,
    /// Ours, but so many milliseconds too old.
    Stale(u64),
}

impl Cookie {
    pub(super) fn seal(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY + SIGNATURE);
        bytes.put_u64(self.made);
        for init in [&self.local, &self.peer] {
            bytes.put_u32(init.tag);
            bytes.put_u32(init.window);
            bytes.put_u16(init.outbound_streams);
            bytes.put_u16(init.inbound_streams);
            bytes.put_u32(init.initial_tsn.0);
        }
        bytes.put_u32(self.capabilities.to_bits());
        bytes.put_u32(self.local_tie);
        bytes.put_u32(self.peer_tie);
        let signature = sign(key, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature);
        bytes
    }

    pub(super) fn open(bytes: &[u8], key: &[u8; 32], now: u64) -> Result<Self, BadCookie> {
        let (mut body, signature) = bytes.split_at_checked(BODY).ok_or(BadCookie::Forged)?;
        sign(key, body)
            .verify_slice(signature)
            .map_err(|_| BadCookie::Forged)?;
        let made = body.get_u64();
        let mut init = || Init {
            tag: body.get_u32(),
            window: body.get_u32(),
            outbound_streams: body.get_u16(),
            inbound_streams: body.get_u16(),
            initial_tsn: Tsn(body.get_u32()),
        };
        let (local, peer) = (init(), init());
        let cookie = Self {
            made,
            local,
            peer,
            capabilities: Capabilities::from_bits(body.get_u32()),
            local_tie: body.get_u32(),
            peer_tie: body.get_u32(),
        };
        match now.saturating_sub(made).checked_sub(LIFE) {
            Some(late) if late > 0 => Err(BadCookie::Stale(late)),
            _ => Ok(cookie),
        }
    }
}

fn sign(key: &[u8; 32], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> Cookie {
        let init = |tag| Init {
            tag,
            window: 1 << 20,
            outbound_streams: 9,
            inbound_streams: 7,
            initial_tsn: Tsn(u32::MAX),
        };
        Cookie {
            made: 5,
            local: init(1),
            peer: init(2),
            capabilities: Capabilities::from_bits(0b101),
            local_tie: 3,
            peer_tie: 4,
        }
    }

    #[test]
    fn opens_what_was_sealed_until_it_is_stale() {
        let sealed = cookie().seal(&[7; 32]);
        assert_eq!(Cookie::open(&sealed, &[7; 32], 5 + LIFE), Ok(cookie()));
        assert_eq!(
            Cookie::open(&sealed, &[7; 32], 6 + LIFE),
            Err(BadCookie::Stale(1))
        );
    }

    #[test]
    fn a_changed_bit_or_another_key_is_refused() {
        let sealed = cookie().seal(&[7; 32]);
        assert_eq!(Cookie::open(&sealed, &[8; 32], 5), Err(BadCookie::Forged));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(
                Cookie::open(&changed, &[7; 32], 5),
                Err(BadCookie::Forged),
                "byte {at}"
            );
            assert_eq!(
                Cookie::open(&sealed[..at], &[7; 32], 5),
                Err(BadCookie::Forged),
                "cut at {at}"
            );
        }
    }
}
