//! The chunks of a packet: RFC 9260 §3.3, RFC 3758 §3.2, RFC 4820 §3, RFC 6525 §3.1, RFC 8260 §2.

use super::{
    Causes, ParseError,
    parameter::Parameters,
    reconfig::ReConfigs,
    tlv::{HEADER, padded, u16_at, u32_at},
};
use crate::tsn::Tsn;

/// Chunk types.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const HEARTBEAT_ACK: u8 = 5;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const ERROR: u8 = 9;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
    pub(crate) const I_DATA: u8 = 64;
    pub(crate) const RE_CONFIG: u8 = 130;
    pub(crate) const PAD: u8 = 132;
    pub(crate) const FORWARD_TSN: u8 = 192;
    pub(crate) const I_FORWARD_TSN: u8 = 194;
}

/// Flags of DATA and I-DATA (RFC 9260 §3.3.1).
pub(super) mod flag {
    pub(crate) const ENDING: u8 = 1;
    pub(crate) const BEGINNING: u8 = 2;
    pub(crate) const UNORDERED: u8 = 4;
    pub(crate) const IMMEDIATE: u8 = 8;
}

/// The T bit of ABORT and SHUTDOWN COMPLETE: the verification tag is the receiver's own, reflected (RFC 9260 §8.5.1).
pub(super) const T_BIT: u8 = 1;

/// One chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk<'a> {
    /// DATA or I-DATA; [`Data::order`] tells which.
    Data(Data<'a>),
    Init(Init, Parameters<'a>),
    InitAck(Init, Parameters<'a>),
    Sack(Sack<'a>),
    /// With the value of the Heartbeat Info parameter, which the answer returns as it came.
    Heartbeat(&'a [u8]),
    HeartbeatAck(&'a [u8]),
    Abort(Abort<'a>),
    Shutdown {
        cumulative: Tsn,
    },
    ShutdownAck,
    Error(Causes<'a>),
    CookieEcho(&'a [u8]),
    CookieAck,
    ShutdownComplete {
        t_bit: bool,
    },
    ForwardTsn(ForwardTsn<'a>),
    IForwardTsn(IForwardTsn<'a>),
    ReConfig(ReConfigs<'a>),
    Pad,
    Unknown(Unknown<'a>),
}

/// A fragment of a message, or a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Data<'a> {
    pub(crate) tsn: Tsn,
    pub(crate) stream: u16,
    pub(crate) unordered: bool,
    pub(crate) beginning: bool,
    pub(crate) ending: bool,
    /// The sender asks for a SACK at once (RFC 9260 §3.3.1, the I bit).
    pub(crate) immediate: bool,
    pub(crate) order: Order,
    /// The payload protocol identifier; zero in an I-DATA chunk that does not begin a message, which has no room for it.
    pub(crate) ppid: u32,
    /// Empty is a violation that the receiver answers (RFC 9260 §6.2, "no user data").
    pub(crate) payload: &'a [u8],
}

impl Data<'_> {
    /// Bytes of a DATA chunk before the payload.
    pub(crate) const HEADER: usize = 16;
    /// Bytes of an I-DATA chunk before the payload.
    pub(crate) const INTERLEAVED_HEADER: usize = 20;
}

/// Where a fragment belongs in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// DATA: fragments of a message have consecutive TSNs. Meaningless if unordered.
    Sequence { ssn: u16 },
    /// I-DATA: messages may interleave (RFC 8260 §2.1). The fragment number is zero at the beginning.
    Interleaved { mid: u32, fsn: u32 },
}

/// The fixed part of INIT and INIT ACK (RFC 9260 §3.3.2, §3.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) tag: u32,
    pub(crate) window: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) initial_tsn: Tsn,
}

/// What the peer has (RFC 9260 §3.3.4). Its lists are as the peer wrote them: in no order one may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sack<'a> {
    pub(crate) cumulative: Tsn,
    pub(crate) window: u32,
    gaps: &'a [[u8; 4]],
    duplicates: &'a [[u8; 4]],
}

impl<'a> Sack<'a> {
    /// What SHUTDOWN says of the peer: everything up to here, and of what lies beyond nothing (RFC 9260 §9.2).
    pub(crate) const fn without_gaps(cumulative: Tsn, window: u32) -> Self {
        Self {
            cumulative,
            window,
            gaps: &[],
            duplicates: &[],
        }
    }

    /// Runs of TSNs that arrived, first and last, as offsets from the cumulative TSN.
    pub(crate) fn gaps(&self) -> impl ExactSizeIterator<Item = (u16, u16)> + use<'a> {
        self.gaps
            .iter()
            .map(|&[s0, s1, e0, e1]| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([e0, e1])))
    }

    /// TSNs that arrived once more.
    pub(crate) fn duplicates(&self) -> impl ExactSizeIterator<Item = Tsn> + use<'a> {
        let duplicates = self.duplicates.iter();
        duplicates.map(|&tsn| Tsn(u32::from_be_bytes(tsn)))
    }
}

/// The end of the association, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abort<'a> {
    pub(crate) t_bit: bool,
    pub(crate) causes: Causes<'a>,
}

/// What the peer gave up, so that nobody waits for it (RFC 3758 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForwardTsn<'a> {
    pub(crate) cumulative: Tsn,
    streams: &'a [[u8; 4]],
}

impl<'a> ForwardTsn<'a> {
    /// Ordered streams with the last sequence number given up.
    pub(crate) fn streams(&self) -> impl ExactSizeIterator<Item = (u16, u16)> + use<'a> {
        self.streams
            .iter()
            .map(|&[s0, s1, n0, n1]| (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([n0, n1])))
    }
}

/// The same for interleaved messages (RFC 8260 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IForwardTsn<'a> {
    pub(crate) cumulative: Tsn,
    streams: &'a [[u8; 8]],
}

impl<'a> IForwardTsn<'a> {
    /// Streams, whether it is their unordered messages, and the last message identifier given up.
    pub(crate) fn streams(&self) -> impl ExactSizeIterator<Item = (u16, bool, u32)> + use<'a> {
        self.streams
            .iter()
            .map(|&[s0, s1, _, flags, m0, m1, m2, m3]| {
                let stream = u16::from_be_bytes([s0, s1]);
                (stream, flags & 1 != 0, u32::from_be_bytes([m0, m1, m2, m3]))
            })
    }
}

/// A chunk of a type we do not know. Its two highest bits say what to do with it (RFC 9260 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown<'a> {
    pub(crate) kind: u8,
    /// The whole of it as it came, without padding: what the report quotes.
    pub(crate) bytes: &'a [u8],
}

impl Unknown<'_> {
    /// The rest of the packet is not to be processed; [`Chunks`] sees to it.
    pub(crate) fn stops(&self) -> bool {
        self.kind & 0x80 == 0
    }

    /// It is to be reported in an ERROR chunk, as an unrecognized chunk type.
    pub(crate) fn is_reported(&self) -> bool {
        self.kind & 0x40 != 0
    }
}

/// Walks the chunks of a packet.
#[derive(Debug, Clone)]
pub(crate) struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let chunk = Chunk::parse_first(self.rest);
        self.rest = match chunk {
            Ok((Chunk::Unknown(unknown), _)) if unknown.stops() => &[],
            Ok((_, rest)) => rest,
            Err(_) => &[],
        };
        Some(chunk.map(|(chunk, _)| chunk))
    }
}

impl<'a> Chunk<'a> {
    /// Reads a chunk that stands alone, such as the INIT of SNAP's `a=sctp-init`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        match Self::parse_first(bytes)? {
            (chunk, []) => Ok(chunk),
            _ => Err(ParseError::Chunk(bytes[0])),
        }
    }

    /// The chunk at the front, and what follows it. The last chunk of a packet may lack its padding.
    fn parse_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let Some((&[kind, flags, l0, l1], _)) = bytes.split_first_chunk::<HEADER>() else {
            let kind = bytes.first().copied().unwrap_or_default();
            return Err(ParseError::Chunk(kind));
        };
        let length = u16::from_be_bytes([l0, l1]);
        let Some(value) = bytes.get(HEADER..usize::from(length)) else {
            return Err(ParseError::ChunkLength { kind, length });
        };
        let end = usize::from(length);
        let rest = bytes.get(padded(end)..).unwrap_or_default();
        let chunk = Self::read(kind, flags, value, &bytes[..end]);
        Ok((chunk.ok_or(ParseError::Chunk(kind))?, rest))
    }

    fn read(kind: u8, flags: u8, value: &'a [u8], bytes: &'a [u8]) -> Option<Self> {
        Some(match kind {
            kind::DATA => Self::Data(data(flags, value)?),
            kind::I_DATA => Self::Data(interleaved_data(flags, value)?),
            kind::SACK => Self::Sack(sack(value)?),
            kind::INIT => {
                let (init, parameters) = init(value)?;
                Self::Init(init, parameters)
            }
            kind::INIT_ACK => {
                let (init, parameters) = init(value)?;
                Self::InitAck(init, parameters)
            }
            kind::HEARTBEAT => Self::Heartbeat(heartbeat_info(value)?),
            kind::HEARTBEAT_ACK => Self::HeartbeatAck(heartbeat_info(value)?),
            kind::ABORT => Self::Abort(Abort {
                t_bit: flags & T_BIT != 0,
                causes: Causes(value),
            }),
            kind::SHUTDOWN => Self::Shutdown {
                cumulative: Tsn(u32_at(value, 0)?),
            },
            kind::SHUTDOWN_ACK => Self::ShutdownAck,
            kind::ERROR => Self::Error(Causes(value)),
            kind::COOKIE_ECHO => Self::CookieEcho(value),
            kind::COOKIE_ACK => Self::CookieAck,
            kind::SHUTDOWN_COMPLETE => Self::ShutdownComplete {
                t_bit: flags & T_BIT != 0,
            },
            kind::FORWARD_TSN => Self::ForwardTsn(ForwardTsn {
                cumulative: Tsn(u32_at(value, 0)?),
                streams: whole(&value[4..])?,
            }),
            kind::I_FORWARD_TSN => Self::IForwardTsn(IForwardTsn {
                cumulative: Tsn(u32_at(value, 0)?),
                streams: whole(&value[4..])?,
            }),
            kind::RE_CONFIG => Self::ReConfig(ReConfigs(value)),
            kind::PAD => Self::Pad,
            _ => Self::Unknown(Unknown { kind, bytes }),
        })
    }
}

fn data(flags: u8, value: &[u8]) -> Option<Data<'_>> {
    let (&[t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3], payload) =
        value.split_first_chunk::<{ Data::HEADER - HEADER }>()?;
    Some(Data {
        tsn: Tsn(u32::from_be_bytes([t0, t1, t2, t3])),
        stream: u16::from_be_bytes([s0, s1]),
        order: Order::Sequence {
            ssn: u16::from_be_bytes([n0, n1]),
        },
        ppid: u32::from_be_bytes([p0, p1, p2, p3]),
        ..flagged(flags, payload)
    })
}

fn interleaved_data(flags: u8, value: &[u8]) -> Option<Data<'_>> {
    let (header, payload) = value.split_first_chunk::<{ Data::INTERLEAVED_HEADER - HEADER }>()?;
    let &[t0, t1, t2, t3, s0, s1, _, _, m0, m1, m2, m3, last @ ..] = header;
    let fragment = flagged(flags, payload);
    // One field, two meanings (RFC 8260 §2.1): the protocol where a message begins, the fragment's number elsewhere.
    let last = u32::from_be_bytes(last);
    let (ppid, fsn) = if fragment.beginning {
        (last, 0)
    } else {
        (0, last)
    };
    Some(Data {
        tsn: Tsn(u32::from_be_bytes([t0, t1, t2, t3])),
        stream: u16::from_be_bytes([s0, s1]),
        order: Order::Interleaved {
            mid: u32::from_be_bytes([m0, m1, m2, m3]),
            fsn,
        },
        ppid,
        ..fragment
    })
}

/// The flags and the payload; the rest is to be filled in.
fn flagged(flags: u8, payload: &[u8]) -> Data<'_> {
    Data {
        tsn: Tsn(0),
        stream: 0,
        unordered: flags & flag::UNORDERED != 0,
        beginning: flags & flag::BEGINNING != 0,
        ending: flags & flag::ENDING != 0,
        immediate: flags & flag::IMMEDIATE != 0,
        order: Order::Sequence { ssn: 0 },
        ppid: 0,
        payload,
    }
}

fn init(value: &[u8]) -> Option<(Init, Parameters<'_>)> {
    let (&[t0, t1, t2, t3, w0, w1, w2, w3, o0, o1, i0, i1, tsn @ ..], parameters) =
        value.split_first_chunk::<16>()?;
    let init = Init {
        tag: u32::from_be_bytes([t0, t1, t2, t3]),
        window: u32::from_be_bytes([w0, w1, w2, w3]),
        outbound_streams: u16::from_be_bytes([o0, o1]),
        inbound_streams: u16::from_be_bytes([i0, i1]),
        initial_tsn: Tsn(u32::from_be_bytes(tsn)),
    };
    Some((init, Parameters::new(parameters)))
}

fn sack(value: &[u8]) -> Option<Sack<'_>> {
    let (&[t0, t1, t2, t3, w0, w1, w2, w3, ..], _) = value.split_first_chunk::<12>()?;
    let gaps = usize::from(u16_at(value, 8)?);
    let duplicates = usize::from(u16_at(value, 10)?);
    let lists: &[[u8; 4]] = whole(&value[12..])?;
    let (gaps, duplicates) = (lists.get(..gaps)?, lists.get(gaps..)?.get(..duplicates)?);
    Some(Sack {
        cumulative: Tsn(u32::from_be_bytes([t0, t1, t2, t3])),
        window: u32::from_be_bytes([w0, w1, w2, w3]),
        gaps,
        duplicates,
    })
}

/// The value of the one parameter that HEARTBEAT and its answer carry, type 1 (RFC 9260 §3.3.5).
fn heartbeat_info(value: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16_at(value, 2)?);
    if u16_at(value, 0)? != 1 {
        return None;
    }
    value.get(HEADER..length)
}

/// A list whose entries all have `N` bytes; nothing may be left over.
pub(super) fn whole<const N: usize>(list: &[u8]) -> Option<&[[u8; N]]> {
    let (entries, []) = list.as_chunks() else {
        return None;
    };
    Some(entries)
}
