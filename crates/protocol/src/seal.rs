//! Sealed payloads: what two peers say to each other through a server that may neither read nor change it.
//!
//! `docs/protocol.md`, "Sealing", is normative. Each pairing has keys of its own, one a direction, and counts what it seals: a nonce is
//! never used twice with one key, because a key belongs to one [`Seal`] and the count of that only goes up. What was lost is sealed
//! anew when it is said again.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, value::RawValue};

use crate::{RoomName, SessionId, secret::RoomKey};

/// Payloads sealed or opened in one pairing. Far below where AES-GCM with one key weakens, far above what a pairing says.
const LAST: u64 = (1 << 32) - 1;

/// Drawn by who waited, PEER2: makes the keys of a pairing its own, whatever session id the server told it.
pub type SealNonce = [u8; 16];

/// Who of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Offerer,
    Answerer,
}

/// Why a payload was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was sealed for this pairing, but is not newer than one opened before. Nothing is wrong with the other side; drop it.
    #[error("a payload came again")]
    Repeated,
    /// It is not sealed, or not by who knows the room's secret, or not for this pairing, direction and place.
    #[error("a payload was not sealed by who shares the secret of the room")]
    NotVerified,
}

/// Both directions of one pairing, at one of its ends.
pub struct Seal {
    key: RoomKey,
    room: RoomName,
    session: SessionId,
    side: Side,
    nonce: Option<SealNonce>,
    /// PEER1's before it knows the nonce.
    first: LessSafeKey,
    /// Ours and theirs, once the nonce is known.
    keys: Option<(LessSafeKey, LessSafeKey)>,
    sealed: u64,
    opened: Option<u64>,
    /// Whether something was opened that only an end of this very pairing can have sealed.
    met: bool,
}

impl Seal {
    /// PEER1's end, which draws the session id and offers.
    pub fn offerer(key: RoomKey, room: RoomName, session: SessionId) -> Self {
        Self::new(key, room, session, Side::Offerer)
    }

    /// PEER2's end; `nonce` is fresh randomness, for this pairing only.
    pub fn answerer(key: RoomKey, room: RoomName, session: SessionId, nonce: SealNonce) -> Self {
        let mut seal = Self::new(key, room, session, Side::Answerer);
        seal.learn(nonce);
        seal
    }

    fn new(key: RoomKey, room: RoomName, session: SessionId, side: Side) -> Self {
        let first = derive(&key, session, None, Side::Offerer);
        Self {
            key,
            room,
            session,
            side,
            nonce: None,
            first,
            keys: None,
            sealed: 0,
            opened: None,
            met: false,
        }
    }

    /// Whether the other end has shown that it knows the secret, in this pairing and not in one before.
    pub fn is_met(&self) -> bool {
        self.met
    }

    /// Seals one payload, a JSON text; `None` once a pairing has said all it may.
    pub fn seal(&mut self, payload: &str) -> Option<Box<RawValue>> {
        let counter = self.sealed;
        if counter > LAST {
            return None;
        }
        self.sealed += 1;
        let key = self.keys.as_ref().map_or(&self.first, |(ours, _)| ours);
        let mut data = payload.as_bytes().to_vec();
        let aad = Aad::from(self.context(self.side, self.nonce.as_ref(), counter));
        key.seal_in_place_append_tag(nonce_of(counter), aad, &mut data)
            .expect("a payload is shorter than AES-GCM can seal");
        let nonce = self
            .nonce
            .map(|nonce| format!(r#""nonce":"{}","#, BASE64URL_NOPAD.encode(&nonce)))
            .unwrap_or_default();
        let data = BASE64URL_NOPAD.encode(&data);
        let text = format!(r#"{{"kind":"sealed",{nonce}"counter":{counter},"data":"{data}"}}"#);
        Some(RawValue::from_string(text).expect("it is JSON"))
    }

    /// Opens one payload of the other end.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing of such a payload may be acted on.
    pub fn open(&mut self, payload: &str) -> Result<String, OpenError> {
        let sealed = Sealed::read(payload).ok_or(OpenError::NotVerified)?;
        if self.opened.is_some_and(|opened| sealed.counter <= opened) {
            return Err(OpenError::Repeated);
        }
        let text = match (self.side, sealed.nonce) {
            (Side::Answerer, None) if !self.met => self.try_open(&self.first, &sealed)?,
            (Side::Answerer, Some(_)) if sealed.nonce == self.nonce => self.open_met(&sealed)?,
            (Side::Offerer, Some(_)) if sealed.nonce == self.nonce => self.open_met(&sealed)?,
            (Side::Offerer, Some(nonce)) if self.nonce.is_none() => {
                let theirs = derive(&self.key, self.session, Some(&nonce), Side::Answerer);
                let text = self.try_open(&theirs, &sealed)?;
                self.learn(nonce);
                self.met = true;
                text
            }
            _ => return Err(OpenError::NotVerified),
        };
        self.opened = Some(sealed.counter);
        Ok(text)
    }

    fn open_met(&mut self, sealed: &Sealed) -> Result<String, OpenError> {
        let (_, theirs) = self.keys.as_ref().ok_or(OpenError::NotVerified)?;
        let text = self.try_open(theirs, sealed)?;
        self.met = true;
        Ok(text)
    }

    fn try_open(&self, key: &LessSafeKey, sealed: &Sealed) -> Result<String, OpenError> {
        let from = match self.side {
            Side::Offerer => Side::Answerer,
            Side::Answerer => Side::Offerer,
        };
        let aad = Aad::from(self.context(from, sealed.nonce.as_ref(), sealed.counter));
        let mut data = sealed.data.clone();
        let length = key
            .open_in_place(nonce_of(sealed.counter), aad, &mut data)
            .map_err(|_| OpenError::NotVerified)?
            .len();
        data.truncate(length);
        // Who knows the secret seals texts.
        String::from_utf8(data).map_err(|_| OpenError::NotVerified)
    }

    fn learn(&mut self, nonce: SealNonce) {
        let key = |side| derive(&self.key, self.session, Some(&nonce), side);
        self.keys = Some(match self.side {
            Side::Offerer => (key(Side::Offerer), key(Side::Answerer)),
            Side::Answerer => (key(Side::Answerer), key(Side::Offerer)),
        });
        self.nonce = Some(nonce);
    }

    /// What a sealed payload is bound to.
    fn context(&self, from: Side, nonce: Option<&SealNonce>, counter: u64) -> String {
        let nonce = nonce.map_or(String::new(), |nonce| BASE64URL_NOPAD.encode(nonce));
        let (room, from) = (self.room.as_str(), from.as_str());
        format!(
            "crowfly.1 sealed\n{room}\n{}\n{nonce}\n{from}\n{counter}",
            self.session
        )
    }
}

impl Side {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Offerer => "PEER1",
            Self::Answerer => "PEER2",
        }
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.side.as_str())
    }
}

/// A sealed payload as it travels.
struct Sealed {
    nonce: Option<SealNonce>,
    counter: u64,
    data: Vec<u8>,
}

impl Sealed {
    fn read(text: &str) -> Option<Self> {
        let payload: Value = serde_json::from_str(text).ok()?;
        if payload.get("kind")? != "sealed" {
            return None;
        }
        let bytes = |value: &Value| BASE64URL_NOPAD.decode(value.as_str()?.as_bytes()).ok();
        let nonce = match payload.get("nonce") {
            None | Some(Value::Null) => None,
            Some(nonce) => Some(bytes(nonce)?.try_into().ok()?),
        };
        let counter = payload.get("counter")?.as_u64();
        Some(Self {
            nonce,
            counter: counter.filter(|&counter| counter <= LAST)?,
            data: bytes(payload.get("data")?)?,
        })
    }
}

/// Of one direction: of PEER1 before it knows the nonce, and of each of the two after.
fn derive(key: &RoomKey, session: SessionId, nonce: Option<&SealNonce>, from: Side) -> LessSafeKey {
    let (mut salt, mut info) = (session.as_bytes().to_vec(), b"crowfly.1 sealed ".to_vec());
    info.extend(from.as_str().as_bytes());
    match nonce {
        Some(nonce) => salt.extend(nonce),
        None => info.extend(b" first"),
    }
    let mut bytes = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &salt)
        .extract(key.as_bytes())
        .expand(&[info.as_slice()], hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(&mut bytes))
        .expect("HKDF gives 32 bytes");
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).expect("the key is 32 bytes long"))
}

/// 96 bits that no other payload under the same key has.
fn nonce_of(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
