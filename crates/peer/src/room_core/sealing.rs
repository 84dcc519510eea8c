//! Sealed rooms: what the two say to each other passes the server sealed, and nothing else is taken. `docs/protocol.md`, "Sealing".

use std::time::Instant;

use crowfly_protocol::{ClientMessage, OpenError, RoomKey, Seal, SealNonce, SessionId};
use serde_json::value::RawValue;

use super::{CloseReason, Intent, Queued, RoomCore};
use crate::trace::{Detail, Kind, Role};

/// Who waits for somebody who knows the secret waits no longer after so many who did not.
const STRIKES: u32 = 3;

/// Whether payloads travel sealed: what was given to enter decides, and nobody else.
#[derive(Debug)]
pub(super) enum Secrecy {
    Open,
    Sealed {
        /// Of a room just made it is not known at once.
        key: Option<RoomKey>,
        /// Of the pairing there is.
        current: Option<Box<Seal>>,
        strikes: u32,
    },
}

impl Secrecy {
    pub(super) fn of(intent: &Intent) -> Self {
        let sealed = |key| Self::Sealed {
            key,
            current: None,
            strikes: 0,
        };
        match intent {
            Intent::Create { sealed: true, .. } => sealed(None),
            Intent::Join { key: Some(key), .. } => sealed(Some(key.clone())),
            _ => Self::Open,
        }
    }
}

impl RoomCore {
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.secrecy, Secrecy::Sealed { .. })
    }

    pub(crate) fn key(&self) -> Option<&RoomKey> {
        match &self.secrecy {
            Secrecy::Sealed { key, .. } => key.as_ref(),
            Secrecy::Open => None,
        }
    }

    /// Whether somebody who knows the secret could not be told from others yet.
    pub(crate) fn needs_key(&self) -> bool {
        self.is_sealed() && self.key().is_none()
    }

    /// The key of the room that was made here.
    pub(crate) fn set_key(&mut self, made: RoomKey) {
        if let Secrecy::Sealed { key, .. } = &mut self.secrecy {
            *key = Some(made);
        }
    }

    /// Keys for a pairing that begins.
    pub(super) fn begin_sealing(&mut self, role: Role, session: SessionId, nonce: SealNonce) {
        let name = match &self.config.intent {
            Intent::Join { name, .. } => Some(name.clone()),
            _ => self.name.clone(),
        };
        if let (Secrecy::Sealed { key, current, .. }, Some(name)) = (&mut self.secrecy, name) {
            let seal = |key: &RoomKey| match role {
                Role::Peer1 => Seal::offerer(key.clone(), name, session),
                Role::Peer2 => Seal::answerer(key.clone(), name, session, nonce),
            };
            *current = key.as_ref().map(|key| Box::new(seal(key)));
        }
    }

    /// A payload of ours, on its way.
    pub(super) fn signal(&mut self, payload: &RawValue) {
        if self.is_carried() {
            let text = payload.get().to_owned();
            return self.outputs.push_back(Queued::Text(text));
        }
        let Some(session) = self.session else { return };
        match &mut self.secrecy {
            Secrecy::Open => self.say(&ClientMessage::Signal { session, payload }, None),
            Secrecy::Sealed { current, .. } => {
                let sealed = current.as_mut().and_then(|seal| seal.seal(payload.get()));
                if let Some(payload) = &sealed {
                    self.say(&ClientMessage::Signal { session, payload }, None);
                }
            }
        }
    }

    /// A payload of the other side, in the current pairing.
    pub(super) fn hear(&mut self, now: Instant, payload: &RawValue) {
        let opened = match &mut self.secrecy {
            Secrecy::Open => Ok(None),
            Secrecy::Sealed { current, .. } => match current {
                Some(seal) => seal.open(payload.get()).map(Some),
                None => Err(OpenError::NotVerified),
            },
        };
        let Some(pairing) = &mut self.pairing else {
            return;
        };
        match opened {
            Ok(None) => pairing.receive(now, payload.get()),
            Ok(Some(text)) => pairing.receive(now, &text),
            Err(OpenError::Repeated) => {
                pairing.note(now, None, Kind::Note, "repeated", Detail::new());
            }
            Err(_) => pairing.not_verified(now),
        }
    }

    /// Somebody came who does not know the secret. One who could try for ever would find it.
    pub(super) fn strike(&mut self, now: Instant) {
        if let Secrecy::Sealed { strikes, .. } = &mut self.secrecy {
            *strikes += 1;
            if *strikes >= STRIKES && !self.is_closed() {
                self.say(&ClientMessage::Leave, None);
                self.close(now, CloseReason::Burned);
            }
        }
    }
}
