//! Why something was refused: the causes in ERROR and ABORT (RFC 9260 §3.3.10).

use super::{
    ParseError,
    tlv::{Tlv, Tlvs, u16_at, u32_at, write},
};
use crate::tsn::Tsn;

/// Cause codes (RFC 9260 §3.3.10).
mod kind {
    pub(super) const INVALID_STREAM: u16 = 1;
    pub(super) const MISSING_PARAMETER: u16 = 2;
    pub(super) const STALE_COOKIE: u16 = 3;
    pub(super) const OUT_OF_RESOURCE: u16 = 4;
    pub(super) const UNRESOLVABLE_ADDRESS: u16 = 5;
    pub(super) const UNRECOGNIZED_CHUNK: u16 = 6;
    pub(super) const INVALID_PARAMETER: u16 = 7;
    pub(super) const UNRECOGNIZED_PARAMETERS: u16 = 8;
    pub(super) const NO_USER_DATA: u16 = 9;
    pub(super) const COOKIE_WHILE_SHUTTING_DOWN: u16 = 10;
    pub(super) const RESTART_WITH_NEW_ADDRESSES: u16 = 11;
    pub(super) const USER_ABORT: u16 = 12;
    pub(super) const PROTOCOL_VIOLATION: u16 = 13;
}

/// One cause. Slices are what the sender added: the offending bytes, or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause<'a> {
    InvalidStream(u16),
    /// The types that were missing, two bytes each.
    MissingParameters(&'a [[u8; 2]]),
    /// How long ago the cookie lost its worth, in microseconds.
    StaleCookie(u32),
    OutOfResource,
    UnresolvableAddress(&'a [u8]),
    UnrecognizedChunk(&'a [u8]),
    InvalidParameter,
    UnrecognizedParameters(&'a [u8]),
    NoUserData(Tsn),
    CookieWhileShuttingDown,
    RestartWithNewAddresses(&'a [u8]),
    UserAbort(&'a [u8]),
    ProtocolViolation(&'a [u8]),
    Unknown(Tlv<'a>),
}

/// Walks the causes; ends after the first error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Causes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Causes<'a> {
    type Item = Result<Cause<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut list = Tlvs(self.0);
        let cause = list
            .next()?
            .and_then(|tlv| Cause::read(tlv).ok_or(ParseError::Parameter(tlv.kind)));
        self.0 = if cause.is_ok() { list.0 } else { &[] };
        Some(cause)
    }
}

impl<'a> Cause<'a> {
    /// Its number.
    pub(crate) const fn code(&self) -> u16 {
        match self {
            Self::InvalidStream(_) => kind::INVALID_STREAM,
            Self::MissingParameters(_) => kind::MISSING_PARAMETER,
            Self::StaleCookie(_) => kind::STALE_COOKIE,
            Self::OutOfResource => kind::OUT_OF_RESOURCE,
            Self::UnresolvableAddress(_) => kind::UNRESOLVABLE_ADDRESS,
            Self::UnrecognizedChunk(_) => kind::UNRECOGNIZED_CHUNK,
            Self::InvalidParameter => kind::INVALID_PARAMETER,
            Self::UnrecognizedParameters(_) => kind::UNRECOGNIZED_PARAMETERS,
            Self::NoUserData(_) => kind::NO_USER_DATA,
            Self::CookieWhileShuttingDown => kind::COOKIE_WHILE_SHUTTING_DOWN,
            Self::RestartWithNewAddresses(_) => kind::RESTART_WITH_NEW_ADDRESSES,
            Self::UserAbort(_) => kind::USER_ABORT,
            Self::ProtocolViolation(_) => kind::PROTOCOL_VIOLATION,
            Self::Unknown(tlv) => tlv.kind,
        }
    }

    fn read(tlv: Tlv<'a>) -> Option<Self> {
        let value = tlv.value;
        Some(match tlv.kind {
            kind::INVALID_STREAM => Self::InvalidStream(u16_at(value, 0)?),
            kind::MISSING_PARAMETER => {
                let count = usize::try_from(u32_at(value, 0)?).ok()?;
                Self::MissingParameters(value[4..].as_chunks().0.get(..count)?)
            }
            kind::STALE_COOKIE => Self::StaleCookie(u32_at(value, 0)?),
            kind::OUT_OF_RESOURCE => Self::OutOfResource,
            kind::UNRESOLVABLE_ADDRESS => Self::UnresolvableAddress(value),
            kind::UNRECOGNIZED_CHUNK => Self::UnrecognizedChunk(value),
            kind::INVALID_PARAMETER => Self::InvalidParameter,
            kind::UNRECOGNIZED_PARAMETERS => Self::UnrecognizedParameters(value),
            kind::NO_USER_DATA => Self::NoUserData(Tsn(u32_at(value, 0)?)),
            kind::COOKIE_WHILE_SHUTTING_DOWN => Self::CookieWhileShuttingDown,
            kind::RESTART_WITH_NEW_ADDRESSES => Self::RestartWithNewAddresses(value),
            kind::USER_ABORT => Self::UserAbort(value),
            kind::PROTOCOL_VIOLATION => Self::ProtocolViolation(value),
            _ => Self::Unknown(tlv),
        })
    }

    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let (kind, value): (u16, &[u8]) = match *self {
            Self::InvalidStream(stream) => {
                let [high, low] = stream.to_be_bytes();
                (kind::INVALID_STREAM, &[high, low, 0, 0])
            }
            Self::MissingParameters(kinds) => {
                return write(buffer, kind::MISSING_PARAMETER, |buffer| {
                    let count = u32::try_from(kinds.len()).unwrap_or(u32::MAX);
                    buffer.extend(count.to_be_bytes());
                    buffer.extend_from_slice(kinds.as_flattened());
                });
            }
            Self::StaleCookie(microseconds) => (kind::STALE_COOKIE, &microseconds.to_be_bytes()),
            Self::OutOfResource => (kind::OUT_OF_RESOURCE, &[]),
            Self::UnresolvableAddress(address) => (kind::UNRESOLVABLE_ADDRESS, address),
            Self::UnrecognizedChunk(chunk) => (kind::UNRECOGNIZED_CHUNK, chunk),
            Self::InvalidParameter => (kind::INVALID_PARAMETER, &[]),
            Self::UnrecognizedParameters(list) => (kind::UNRECOGNIZED_PARAMETERS, list),
            Self::NoUserData(tsn) => (kind::NO_USER_DATA, &tsn.0.to_be_bytes()),
            Self::CookieWhileShuttingDown => (kind::COOKIE_WHILE_SHUTTING_DOWN, &[]),
            Self::RestartWithNewAddresses(list) => (kind::RESTART_WITH_NEW_ADDRESSES, list),
            Self::UserAbort(reason) => (kind::USER_ABORT, reason),
            Self::ProtocolViolation(text) => (kind::PROTOCOL_VIOLATION, text),
            Self::Unknown(tlv) => (tlv.kind, tlv.value),
        };
        write(buffer, kind, |buffer| buffer.extend_from_slice(value));
    }
}
