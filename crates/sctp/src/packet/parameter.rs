//! What INIT and INIT ACK negotiate: RFC 9260 §3.3.2.1 and §3.3.3.1, RFC 3758 §3.1, RFC 5061 §4.2.7, RFC 9653 §4.

use super::{
    ParseError,
    tlv::{Tlv, Tlvs, u32_at, write},
};

/// The alternate error detection method "SCTP over DTLS" (RFC 9653 §6).
pub(crate) const ZERO_CHECKSUM_OVER_DTLS: u32 = 1;

/// Parameter types.
mod kind {
    pub(super) const IPV4_ADDRESS: u16 = 5;
    pub(super) const IPV6_ADDRESS: u16 = 6;
    pub(super) const STATE_COOKIE: u16 = 7;
    pub(super) const UNRECOGNIZED: u16 = 8;
    pub(super) const COOKIE_PRESERVATIVE: u16 = 9;
    pub(super) const HOST_NAME: u16 = 11;
    pub(super) const SUPPORTED_ADDRESS_TYPES: u16 = 12;
    pub(super) const ZERO_CHECKSUM_ACCEPTABLE: u16 = 0x8001;
    pub(super) const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub(super) const FORWARD_TSN_SUPPORTED: u16 = 0xC000;
}

/// One parameter of INIT or INIT ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter<'a> {
    StateCookie(&'a [u8]),
    /// A parameter of our INIT that the peer did not know: the whole of it.
    Unrecognized(&'a [u8]),
    /// Chunk types of extensions (RFC 5061 §4.2.7).
    SupportedExtensions(&'a [u8]),
    ForwardTsnSupported,
    /// The alternate error detection method under which the sender accepts zero for a checksum (RFC 9653 §4).
    ZeroChecksumAcceptable(u32),
    /// Abort with "unresolvable address": nobody may send it any more (RFC 9260 §5.1.2).
    HostName(&'a [u8]),
    /// Known, and of no use over DTLS, which has no addresses (RFC 8261 §5): addresses, their types, the cookie's life.
    Ignored,
    /// Not known to us; see [`Tlv::stops`] and [`Tlv::is_reported`].
    Unknown(Tlv<'a>),
}

impl Tlv<'_> {
    /// The rest of the chunk's parameters are not to be processed (RFC 9260 §3.2.1); [`Parameters`] sees to it.
    pub(crate) fn stops(&self) -> bool {
        self.kind & 0x8000 == 0
    }

    /// It is to be returned in the INIT ACK, or reported in an ERROR chunk.
    pub(crate) fn is_reported(&self) -> bool {
        self.kind & 0x4000 != 0
    }
}

/// Walks the parameters; ends after an error, or after an unknown one that says stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parameters<'a>(Tlvs<'a>);

impl<'a> Parameters<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Tlvs(bytes))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let parameter = self.0.next()?.and_then(Parameter::read);
        let stop = match parameter {
            Ok(Parameter::Unknown(tlv)) => tlv.stops(),
            Ok(_) => false,
            Err(_) => true,
        };
        if stop {
            self.0 = Tlvs(&[]);
        }
        Some(parameter)
    }
}

impl<'a> Parameter<'a> {
    fn read(tlv: Tlv<'a>) -> Result<Self, ParseError> {
        Ok(match tlv.kind {
            kind::STATE_COOKIE => Self::StateCookie(tlv.value),
            kind::UNRECOGNIZED => Self::Unrecognized(tlv.value),
            kind::SUPPORTED_EXTENSIONS => Self::SupportedExtensions(tlv.value),
            kind::FORWARD_TSN_SUPPORTED => Self::ForwardTsnSupported,
            kind::ZERO_CHECKSUM_ACCEPTABLE => {
                let method = u32_at(tlv.value, 0).ok_or(ParseError::Parameter(tlv.kind))?;
                Self::ZeroChecksumAcceptable(method)
            }
            kind::HOST_NAME => Self::HostName(tlv.value),
            kind::IPV4_ADDRESS
            | kind::IPV6_ADDRESS
            | kind::COOKIE_PRESERVATIVE
            | kind::SUPPORTED_ADDRESS_TYPES => Self::Ignored,
            _ => Self::Unknown(tlv),
        })
    }

    /// Appends it. What is ignored has nothing to write; what is unknown is written as it came.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let (kind, value): (u16, &[u8]) = match *self {
            Self::StateCookie(cookie) => (kind::STATE_COOKIE, cookie),
            Self::Unrecognized(parameter) => (kind::UNRECOGNIZED, parameter),
            Self::SupportedExtensions(kinds) => (kind::SUPPORTED_EXTENSIONS, kinds),
            Self::ForwardTsnSupported => (kind::FORWARD_TSN_SUPPORTED, &[]),
            Self::ZeroChecksumAcceptable(method) => {
                (kind::ZERO_CHECKSUM_ACCEPTABLE, &method.to_be_bytes())
            }
            Self::HostName(name) => (kind::HOST_NAME, name),
            Self::Ignored => return,
            Self::Unknown(tlv) => (tlv.kind, tlv.value),
        };
        write(buffer, kind, |buffer| buffer.extend_from_slice(value));
    }
}
