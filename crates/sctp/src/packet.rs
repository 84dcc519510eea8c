//! The wire: packets, chunks, parameters and error causes, parsed and written (RFC 9260 §3).
//!
//! Reading copies nothing and allocates nothing: a [`Packet`] and what hangs on it borrow the datagram. Chunks are parsed one
//! after the other as they are asked for; lists inside a chunk (gaps, streams, parameters) stay bytes until somebody walks
//! them. No bytes make it panic, and padding is never looked at (RFC 9260 §3.2).
//!
//! Writing goes through [`PacketWriter`] into the caller's buffer; a chunk that would pass the packet's limit is not written.
//!
//! The files: [`chunk`] what a packet is made of; [`tlv`] what all chunks, parameters and causes share; [`parameter`] what
//! INIT negotiates; [`reconfig`] stream reset; [`cause`] errors; [`writer`] the way out.

mod cause;
mod chunk;
mod parameter;
#[cfg(test)]
mod properties;
mod reconfig;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
mod tlv;
mod writer;

use thiserror::Error;

pub(crate) use self::{
    cause::{Cause, Causes},
    chunk::{Abort, Chunk, Chunks, Data, ForwardTsn, IForwardTsn, Init, Order, Sack, kind},
    parameter::{Parameter, Parameters, ZERO_CHECKSUM_OVER_DTLS},
    reconfig::{ReConfig, ResetResult, Streams},
    writer::{PacketWriter, write_init},
};

/// Length of the common header (RFC 9260 §3.1).
pub(crate) const COMMON_HEADER: usize = 12;

/// What a packet's checksum must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChecksumPolicy {
    /// The right CRC32c, as RFC 9260 §6.8 has it.
    Required,
    /// The right CRC32c, or zero: only when we announced that we accept it (RFC 9653 §5.3).
    ZeroAllowed,
}

/// Why bytes are no packet, or no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum ParseError {
    /// Not even a common header.
    #[error("a packet of {0} bytes is too short for a common header")]
    Packet(usize),
    /// The checksum is wrong, or zero where that was not agreed.
    #[error("the checksum does not fit the packet")]
    Checksum,
    /// A chunk's length is shorter than its header or longer than what is left.
    #[error("chunk {kind} claims {length} bytes")]
    ChunkLength {
        /// The chunk's type.
        kind: u8,
        /// The length it claims.
        length: u16,
    },
    /// A chunk lacks fields it must have.
    #[error("chunk {0} is malformed")]
    Chunk(u8),
    /// A parameter or an error cause lacks fields or runs over the end of its chunk.
    #[error("parameter or cause {0:#06x} is malformed")]
    Parameter(u16),
}

/// A packet whose header was read and whose checksum was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// The verification tag.
    pub(crate) tag: u32,
    chunks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the common header and verifies the checksum; chunks are read when they are asked for.
    pub(crate) fn parse(bytes: &'a [u8], policy: ChecksumPolicy) -> Result<Self, ParseError> {
        let Some((header, chunks)) = bytes.split_first_chunk::<COMMON_HEADER>() else {
            return Err(ParseError::Packet(bytes.len()));
        };
        let [s0, s1, d0, d1, t0, t1, t2, t3, sum @ ..] = *header;
        let zero_accepted = sum == [0; 4] && policy == ChecksumPolicy::ZeroAllowed;
        if !zero_accepted && sum != checksum(bytes) {
            return Err(ParseError::Checksum);
        }
        Ok(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
            chunks,
        })
    }

    /// The chunks, up to the end, the first one that is malformed, or an unknown one that says stop (RFC 9260 §3.2).
    pub(crate) fn chunks(&self) -> Chunks<'a> {
        Chunks::new(self.chunks)
    }
}

/// CRC32c over the packet with zeros in the checksum's place, as it goes onto the wire (RFC 9260 §6.8, appendix A).
fn checksum(packet: &[u8]) -> [u8; 4] {
    let (header, rest) = packet.split_at(8);
    let sum = crc32c::crc32c_append(crc32c::crc32c(header), &[0; 4]);
    crc32c::crc32c_append(sum, &rest[4..]).to_le_bytes()
}
