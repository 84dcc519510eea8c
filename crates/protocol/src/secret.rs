//! The key of a room: stretched from the words of its code, or carried by its link.

use std::{fmt, num::NonZeroU32, str::FromStr};

use aws_lc_rs::pbkdf2;
use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use crate::{InvalidId, RoomName, id};

/// OWASP's figure for PBKDF2-HMAC-SHA256.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");

/// What the two peers of a sealed room share, 256 bits, and nobody else. `Debug` does not show it.
#[derive(Clone)]
pub struct RoomKey([u8; Self::BYTES]);

impl RoomKey {
    /// Its length in bytes.
    pub const BYTES: usize = 32;

    pub(crate) fn stretch(room: &RoomName, words: &str) -> Self {
        let salt = format!("crowfly.1 code {}", room.as_str());
        let mut key = [0; Self::BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ROUNDS,
            salt.as_bytes(),
            words.as_bytes(),
            &mut key,
        );
        Self(key)
    }

    /// A key that was drawn.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// As links carry it: 43 characters of base64url, a secret.
    pub fn reveal(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl FromStr for RoomKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        id::decode(text).map(Self)
    }
}

impl PartialEq for RoomKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for RoomKey {}

impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomKey(redacted)")
    }
}
