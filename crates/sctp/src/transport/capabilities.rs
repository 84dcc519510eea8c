//! What one side can beyond RFC 9260, as its INIT or INIT ACK says, and what both can.

use crate::packet::{Parameter, Parameters, ParseError, ZERO_CHECKSUM_OVER_DTLS, kind};

/// Extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Capabilities {
    /// Partial reliability (RFC 3758).
    pub(super) forward_tsn: bool,
    /// Stream reset (RFC 6525).
    pub(super) reconfiguration: bool,
    /// I-DATA (RFC 8260).
    pub(super) interleaving: bool,
    /// Accepts zero for a checksum, over DTLS (RFC 9653). Not negotiated: each side says it for itself.
    pub(super) zero_checksum: bool,
}

/// What an INIT or INIT ACK says besides its fixed part.
#[derive(Debug, Default)]
pub(super) struct Offered<'a> {
    pub(super) capabilities: Capabilities,
    pub(super) cookie: Option<&'a [u8]>,
    /// Parameters to be returned as unrecognized (RFC 9260 §3.2.1).
    pub(super) unrecognized: Vec<&'a [u8]>,
    /// It names a host, which no one may any more (RFC 9260 §5.1.2).
    pub(super) host_name: Option<&'a [u8]>,
}

/// No more parameters than this are returned as unrecognized.
const MOST_UNRECOGNIZED: usize = 8;

impl Capabilities {
    pub(super) fn read(parameters: Parameters<'_>) -> Result<Offered<'_>, ParseError> {
        let mut offered = Offered::default();
        let all = &mut offered.capabilities;
        for parameter in parameters {
            match parameter? {
                Parameter::ForwardTsnSupported => all.forward_tsn = true,
                Parameter::SupportedExtensions(kinds) => {
                    all.reconfiguration |= kinds.contains(&kind::RE_CONFIG);
                    all.forward_tsn |= kinds.contains(&kind::FORWARD_TSN);
                    all.interleaving |= kinds.contains(&kind::I_DATA);
                }
                Parameter::ZeroChecksumAcceptable(method) => {
                    all.zero_checksum |= method == ZERO_CHECKSUM_OVER_DTLS
                }
                Parameter::StateCookie(cookie) => offered.cookie = Some(cookie),
                Parameter::HostName(name) => offered.host_name = Some(name),
                Parameter::Unknown(tlv)
                    if tlv.is_reported() && offered.unrecognized.len() < MOST_UNRECOGNIZED =>
                {
                    offered.unrecognized.push(tlv.bytes);
                }
                Parameter::Unrecognized(_) | Parameter::Ignored | Parameter::Unknown(_) => {}
            }
        }
        Ok(offered)
    }

    /// Calls `write` with the parameters that say so.
    pub(super) fn with_parameters<T>(self, write: impl FnOnce(&[Parameter<'_>]) -> T) -> T {
        let mut kinds = vec![kind::RE_CONFIG, kind::FORWARD_TSN];
        if self.interleaving {
            kinds.extend([kind::I_DATA, kind::I_FORWARD_TSN]);
        }
        let mut parameters = vec![
            Parameter::ForwardTsnSupported,
            Parameter::SupportedExtensions(&kinds),
        ];
        if self.zero_checksum {
            parameters.push(Parameter::ZeroChecksumAcceptable(ZERO_CHECKSUM_OVER_DTLS));
        }
        write(&parameters)
    }

    /// What may be used with a peer that can `theirs`. Its word on checksums is about what it accepts, so ours does not matter here.
    pub(super) const fn shared(self, theirs: Self) -> Self {
        Self {
            forward_tsn: self.forward_tsn && theirs.forward_tsn,
            reconfiguration: self.reconfiguration && theirs.reconfiguration,
            interleaving: self.interleaving && theirs.interleaving,
            zero_checksum: self.zero_checksum && theirs.zero_checksum,
        }
    }

    pub(super) fn to_bits(self) -> u32 {
        let flags = [
            self.forward_tsn,
            self.reconfiguration,
            self.interleaving,
            self.zero_checksum,
        ];
        flags
            .iter()
            .rev()
            .fold(0, |bits, &flag| bits << 1 | u32::from(flag))
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self {
            forward_tsn: bits & 1 != 0,
            reconfiguration: bits & 2 != 0,
            interleaving: bits & 4 != 0,
            zero_checksum: bits & 8 != 0,
        }
    }
}
