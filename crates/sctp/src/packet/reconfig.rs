//! What RE-CONFIG carries: requests to reset or add streams, and answers (RFC 6525 §4).

use super::{
    ParseError,
    chunk::whole,
    tlv::{Tlv, Tlvs, u16_at, u32_at, write},
};
use crate::tsn::Tsn;

/// Parameter types (RFC 6525 §4).
mod kind {
    pub(super) const OUTGOING_RESET: u16 = 13;
    pub(super) const INCOMING_RESET: u16 = 14;
    pub(super) const TSN_RESET: u16 = 15;
    pub(super) const RESPONSE: u16 = 16;
    pub(super) const ADD_OUTGOING: u16 = 17;
    pub(super) const ADD_INCOMING: u16 = 18;
}

/// One parameter of RE-CONFIG. Requests are numbered; a response names the request it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReConfig<'a> {
    /// The sender resets its own streams, all of them if none is named (RFC 6525 §4.1).
    OutgoingReset {
        request: u32,
        /// The request number of the incoming reset that asked for it, else the next expected one, less one.
        response: u32,
        /// The last TSN sent on the old sequence.
        last_tsn: Tsn,
        streams: Streams<'a>,
    },
    /// The sender asks the peer to reset its outgoing streams (RFC 6525 §4.2).
    IncomingReset { request: u32, streams: Streams<'a> },
    /// Everything anew, TSNs too (RFC 6525 §4.3).
    TsnReset { request: u32 },
    /// (RFC 6525 §4.4)
    Response {
        response: u32,
        result: ResetResult,
        /// Next TSN of sender and receiver, in the answer to a TSN reset only.
        next_tsns: Option<(Tsn, Tsn)>,
    },
    /// (RFC 6525 §4.5)
    AddOutgoing { request: u32, streams: u16 },
    /// (RFC 6525 §4.6)
    AddIncoming { request: u32, streams: u16 },
    /// Not of RFC 6525; skipped or reported as its highest bits say (RFC 9260 §3.2.1).
    Unknown(Tlv<'a>),
}

/// Stream ids, in network order as they lie on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Streams<'a>(pub(crate) &'a [[u8; 2]]);

impl<'a> Streams<'a> {
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = u16> + use<'a> {
        self.0.iter().map(|&id| u16::from_be_bytes(id))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// How a request fared (RFC 6525 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetResult {
    NothingToDo,
    Performed,
    Denied,
    WrongSsn,
    InProgressAlready,
    BadSequenceNumber,
    InProgress,
    Unknown(u32),
}

impl From<u32> for ResetResult {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::NothingToDo,
            1 => Self::Performed,
            2 => Self::Denied,
            3 => Self::WrongSsn,
            4 => Self::InProgressAlready,
            5 => Self::BadSequenceNumber,
            6 => Self::InProgress,
            other => Self::Unknown(other),
        }
    }
}

impl From<ResetResult> for u32 {
    fn from(result: ResetResult) -> Self {
        match result {
            ResetResult::NothingToDo => 0,
            ResetResult::Performed => 1,
            ResetResult::Denied => 2,
            ResetResult::WrongSsn => 3,
            ResetResult::InProgressAlready => 4,
            ResetResult::BadSequenceNumber => 5,
            ResetResult::InProgress => 6,
            ResetResult::Unknown(other) => other,
        }
    }
}

/// Walks the parameters of a RE-CONFIG chunk; ends after the first error, or after an unknown one that says stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReConfigs<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for ReConfigs<'a> {
    type Item = Result<ReConfig<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut list = Tlvs(self.0);
        let parameter = list
            .next()?
            .and_then(|tlv| ReConfig::read(tlv).ok_or(ParseError::Parameter(tlv.kind)));
        self.0 = match parameter {
            Ok(ReConfig::Unknown(tlv)) if tlv.stops() => &[],
            Ok(_) => list.0,
            Err(_) => &[],
        };
        Some(parameter)
    }
}

impl<'a> ReConfig<'a> {
    fn read(tlv: Tlv<'a>) -> Option<Self> {
        let value = tlv.value;
        let number = |at| u32_at(value, at);
        Some(match tlv.kind {
            kind::OUTGOING_RESET => Self::OutgoingReset {
                request: number(0)?,
                response: number(4)?,
                last_tsn: Tsn(number(8)?),
                streams: Streams(whole(&value[12..])?),
            },
            kind::INCOMING_RESET => Self::IncomingReset {
                request: number(0)?,
                streams: Streams(whole(&value[4..])?),
            },
            kind::TSN_RESET => Self::TsnReset {
                request: number(0)?,
            },
            kind::RESPONSE => Self::Response {
                response: number(0)?,
                result: number(4)?.into(),
                next_tsns: number(8).map(Tsn).zip(number(12).map(Tsn)),
            },
            kind::ADD_OUTGOING => Self::AddOutgoing {
                request: number(0)?,
                streams: u16_at(value, 4)?,
            },
            kind::ADD_INCOMING => Self::AddIncoming {
                request: number(0)?,
                streams: u16_at(value, 4)?,
            },
            _ => Self::Unknown(tlv),
        })
    }

    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let number = |number: u32| number.to_be_bytes();
        match *self {
            Self::OutgoingReset {
                request,
                response,
                last_tsn,
                streams,
            } => write(buffer, kind::OUTGOING_RESET, |buffer| {
                buffer.extend([request, response, last_tsn.0].map(number).as_flattened());
                buffer.extend_from_slice(streams.0.as_flattened());
            }),
            Self::IncomingReset { request, streams } => {
                write(buffer, kind::INCOMING_RESET, |buffer| {
                    buffer.extend(number(request));
                    buffer.extend_from_slice(streams.0.as_flattened());
                });
            }
            Self::TsnReset { request } => write(buffer, kind::TSN_RESET, |buffer| {
                buffer.extend(number(request));
            }),
            Self::Response {
                response,
                result,
                next_tsns,
            } => write(buffer, kind::RESPONSE, |buffer| {
                buffer.extend([response, result.into()].map(number).as_flattened());
                if let Some((sender, receiver)) = next_tsns {
                    buffer.extend([sender.0, receiver.0].map(number).as_flattened());
                }
            }),
            Self::AddOutgoing { request, streams } => {
                write_add(buffer, kind::ADD_OUTGOING, request, streams);
            }
            Self::AddIncoming { request, streams } => {
                write_add(buffer, kind::ADD_INCOMING, request, streams);
            }
            Self::Unknown(tlv) => write(buffer, tlv.kind, |buffer| {
                buffer.extend_from_slice(tlv.value);
            }),
        }
    }
}

fn write_add(buffer: &mut Vec<u8>, kind: u16, request: u32, streams: u16) {
    write(buffer, kind, |buffer| {
        buffer.extend(request.to_be_bytes());
        buffer.extend(u32::from(streams).rotate_left(16).to_be_bytes());
    });
}
