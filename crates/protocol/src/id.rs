//! Ids and tokens: random bits, written as base64url without padding (RFC 4648 §5).
//!
//! Only the canonical spelling is read: spare bits of the last symbol must be zero, so that no id has two names.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

/// A text that is not an id of the kind wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {bits} bits of base64url without padding")]
pub struct InvalidId {
    bits: usize,
}

/// A peer, issued by the server: 64 random bits, 11 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 8]);

/// One pairing of two peers, drawn by the joiner: 128 random bits, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

/// Proves a returning peer: 128 random bits, 22 characters, known to its peer and the server only.
///
/// Compared in constant time, and never shown by `Debug`.
#[derive(Clone, Copy)]
pub struct Token([u8; 16]);

/// Ties an answer to its request: an integer from 0 to 2^53−1, drawn by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

macro_rules! random_bits {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// The id made of these random bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bits themselves.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            pub(crate) fn append_to(&self, text: &mut String) {
                BASE64URL_NOPAD.encode_append(&self.0, text);
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode(text).map(Self)
            }
        }
    };
}

random_bits!(PeerId, 8);
random_bits!(SessionId, 16);
random_bits!(Token, 16);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

impl RequestId {
    /// The largest id, 2^53−1: what every JSON implementation holds exactly (RFC 8259 §6).
    pub const MAX: Self = Self((1 << 53) - 1);

    /// `None` above [`RequestId::MAX`].
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 {
            Some(Self(number))
        } else {
            None
        }
    }
}

impl From<RequestId> for u64 {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

pub(crate) fn decode<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], InvalidId> {
    let invalid = InvalidId { bits: BYTES * 8 };
    // `decode_mut` panics on another length, and checks alphabet and spare bits.
    if BASE64URL_NOPAD.decode_len(text.len()) != Ok(BYTES) {
        return Err(invalid);
    }
    let mut bytes = [0; BYTES];
    BASE64URL_NOPAD
        .decode_mut(text.as_bytes(), &mut bytes)
        .map_err(|_| invalid)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let peer: PeerId = "p5Wm0sTzQ2k".parse().unwrap();
        assert_eq!(peer.to_string(), "p5Wm0sTzQ2k");
        assert_eq!(format!("{peer:?}"), "PeerId(p5Wm0sTzQ2k)");
        let session: SessionId = "AAECAwQFBgcICQoLDA0ODw".parse().unwrap();
        assert_eq!(
            session.as_bytes(),
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        );
        assert_eq!(session.to_string(), "AAECAwQFBgcICQoLDA0ODw");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "AAECAwQFBgcICQoLDA0OD",    // a symbol short
            "AAECAwQFBgcICQoLDA0ODwA",  // a symbol long
            "AAECAwQFBgcICQoLDA0ODw==", // padded
            "AAECAwQFBgcICQoLDA0ODx",   // spare bits set: a second name for the same bits
            "AAECAwQFBgcICQoLDA0O+/",   // the other alphabet
            "AAECAwQFBgcICQoLDA0O w",
            "ÄÄÄÄÄÄÄÄÄÄÄ", // 22 bytes, none of them in the alphabet
        ] {
            assert!(text.parse::<SessionId>().is_err(), "{text:?}");
        }
        assert!("p5Wm0sTzQ2l".parse::<PeerId>().is_err(), "spare bits set");
    }

    #[test]
    fn a_token_is_compared_and_never_shown() {
        let token: Token = "Q29uc2VydmVkVG9rZW4xMg".parse().unwrap();
        assert_eq!(token, Token::from_bytes(*b"ConservedToken12"));
        assert_ne!(token, Token::from_bytes(*b"ConservedToken13"));
        assert_eq!(format!("{token:?}"), "Token(redacted)");
    }

    #[test]
    fn request_ids_end_where_doubles_stop_being_exact() {
        assert_eq!(RequestId::new(9_007_199_254_740_991), Some(RequestId::MAX));
        assert_eq!(RequestId::new(9_007_199_254_740_992), None);
    }
}
