//! The way out: chunks written into the caller's buffer, one packet after the other.

use super::{
    COMMON_HEADER, Cause, Data, Init, Order, Parameter, ReConfig, checksum,
    chunk::{T_BIT, flag, kind},
    tlv::{HEADER, finish, padded},
};
use crate::tsn::Tsn;

/// Appends one packet to a buffer that may hold others. Every method that writes a chunk says whether it fitted; what does
/// not fit leaves no trace.
#[derive(Debug)]
pub(crate) struct PacketWriter<'b> {
    buffer: &'b mut Vec<u8>,
    /// Where the packet begins in the buffer, and where it must end.
    start: usize,
    end: usize,
    /// INIT and COOKIE ECHO never travel without a checksum (RFC 9653 §5.2).
    needs_checksum: bool,
}

impl<'b> PacketWriter<'b> {
    /// Begins a packet of at most `limit` bytes.
    pub(crate) fn start(
        buffer: &'b mut Vec<u8>,
        source_port: u16,
        destination_port: u16,
        tag: u32,
        limit: usize,
    ) -> Self {
        let start = buffer.len();
        buffer.extend(source_port.to_be_bytes());
        buffer.extend(destination_port.to_be_bytes());
        buffer.extend(tag.to_be_bytes());
        buffer.extend([0; 4]);
        // Packets are multiples of four bytes, so a limit that is none is one to three bytes lower.
        let end = start + (limit & !3).max(COMMON_HEADER);
        Self {
            buffer,
            start,
            end,
            needs_checksum: false,
        }
    }

    /// Bytes left for chunks, their headers and padding included; a multiple of four.
    pub(crate) fn room(&self) -> usize {
        self.end - self.buffer.len()
    }

    /// The packet's length so far.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// No chunk was written yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == COMMON_HEADER
    }

    /// Ends the packet; its length. Without `with_checksum` the field stays zero where RFC 9653 §5.2 allows it.
    pub(crate) fn finish(self, with_checksum: bool) -> usize {
        let packet = &mut self.buffer[self.start..];
        if with_checksum || self.needs_checksum {
            let sum = checksum(packet);
            packet[8..COMMON_HEADER].copy_from_slice(&sum);
        }
        packet.len()
    }

    /// Takes the packet back, as if it had never been begun.
    pub(crate) fn discard(self) {
        self.buffer.truncate(self.start);
    }

    /// DATA or I-DATA.
    pub(crate) fn data(&mut self, data: &Data<'_>) -> bool {
        let flags = (u8::from(data.ending) * flag::ENDING)
            | (u8::from(data.beginning) * flag::BEGINNING)
            | (u8::from(data.unordered) * flag::UNORDERED)
            | (u8::from(data.immediate) * flag::IMMEDIATE);
        let [t0, t1, t2, t3] = data.tsn.0.to_be_bytes();
        let [s0, s1] = data.stream.to_be_bytes();
        match data.order {
            Order::Sequence { ssn } => {
                let [n0, n1] = ssn.to_be_bytes();
                let [p0, p1, p2, p3] = data.ppid.to_be_bytes();
                let fields = [t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3];
                self.simple(kind::DATA, flags, &fields, data.payload)
            }
            Order::Interleaved { mid, fsn } => {
                let [m0, m1, m2, m3] = mid.to_be_bytes();
                let last = if data.beginning { data.ppid } else { fsn };
                let [l0, l1, l2, l3] = last.to_be_bytes();
                let fields = [t0, t1, t2, t3, s0, s1, 0, 0, m0, m1, m2, m3, l0, l1, l2, l3];
                self.simple(kind::I_DATA, flags, &fields, data.payload)
            }
        }
    }

    pub(crate) fn init(&mut self, init: &Init, parameters: &[Parameter<'_>]) -> bool {
        self.needs_checksum = true;
        self.chunk(|buffer| write_init(buffer, init, parameters))
    }

    pub(crate) fn init_ack(&mut self, init: &Init, parameters: &[Parameter<'_>]) -> bool {
        self.chunk(|buffer| write_init_like(buffer, kind::INIT_ACK, init, parameters))
    }

    /// As many gaps as there is room for, then as many duplicates: a receiver that cannot tell all tells the lowest.
    pub(crate) fn sack(
        &mut self,
        cumulative: Tsn,
        window: u32,
        gaps: impl Iterator<Item = (u16, u16)>,
        duplicates: impl Iterator<Item = Tsn>,
    ) -> bool {
        let Some(room) = self.room().checked_sub(HEADER + 12) else {
            return false;
        };
        let room = room.min(usize::from(u16::MAX) - HEADER - 12) / 4;
        let start = self.buffer.len();
        self.buffer.extend([kind::SACK, 0, 0, 0]);
        self.buffer.extend(cumulative.0.to_be_bytes());
        self.buffer.extend(window.to_be_bytes());
        self.buffer.extend([0; 4]);
        let mut told = [0_u16; 2];
        for (first, last) in gaps.take(room) {
            self.buffer.extend(first.to_be_bytes());
            self.buffer.extend(last.to_be_bytes());
            told[0] += 1;
        }
        for tsn in duplicates.take(room - usize::from(told[0])) {
            self.buffer.extend(tsn.0.to_be_bytes());
            told[1] += 1;
        }
        let counts = told.map(u16::to_be_bytes);
        self.buffer[start + 12..start + 16].copy_from_slice(counts.as_flattened());
        finish(self.buffer, start);
        true
    }

    /// `info` is the value of the Heartbeat Info parameter.
    pub(crate) fn heartbeat(&mut self, info: &[u8]) -> bool {
        self.heartbeat_like(kind::HEARTBEAT, info)
    }

    pub(crate) fn heartbeat_ack(&mut self, info: &[u8]) -> bool {
        self.heartbeat_like(kind::HEARTBEAT_ACK, info)
    }

    pub(crate) fn abort(&mut self, t_bit: bool, causes: &[Cause<'_>]) -> bool {
        self.causes(kind::ABORT, u8::from(t_bit) * T_BIT, causes)
    }

    pub(crate) fn error(&mut self, causes: &[Cause<'_>]) -> bool {
        self.causes(kind::ERROR, 0, causes)
    }

    pub(crate) fn shutdown(&mut self, cumulative: Tsn) -> bool {
        self.simple(kind::SHUTDOWN, 0, &cumulative.0.to_be_bytes(), &[])
    }

    pub(crate) fn shutdown_ack(&mut self) -> bool {
        self.simple(kind::SHUTDOWN_ACK, 0, &[], &[])
    }

    pub(crate) fn shutdown_complete(&mut self, t_bit: bool) -> bool {
        self.simple(kind::SHUTDOWN_COMPLETE, u8::from(t_bit) * T_BIT, &[], &[])
    }

    pub(crate) fn cookie_echo(&mut self, cookie: &[u8]) -> bool {
        self.needs_checksum = true;
        self.simple(kind::COOKIE_ECHO, 0, cookie, &[])
    }

    pub(crate) fn cookie_ack(&mut self) -> bool {
        self.simple(kind::COOKIE_ACK, 0, &[], &[])
    }

    /// Streams with the last sequence number given up.
    pub(crate) fn forward_tsn(
        &mut self,
        cumulative: Tsn,
        streams: impl Iterator<Item = (u16, u16)>,
    ) -> bool {
        self.chunk(|buffer| {
            chunk(buffer, kind::FORWARD_TSN, 0, |buffer| {
                buffer.extend(cumulative.0.to_be_bytes());
                for (stream, ssn) in streams {
                    buffer.extend([stream, ssn].map(u16::to_be_bytes).as_flattened());
                }
            });
        })
    }

    /// Streams, whether their unordered messages, and the last message identifier given up.
    pub(crate) fn i_forward_tsn(
        &mut self,
        cumulative: Tsn,
        streams: impl Iterator<Item = (u16, bool, u32)>,
    ) -> bool {
        self.chunk(|buffer| {
            chunk(buffer, kind::I_FORWARD_TSN, 0, |buffer| {
                buffer.extend(cumulative.0.to_be_bytes());
                for (stream, unordered, mid) in streams {
                    buffer.extend(stream.to_be_bytes());
                    buffer.extend([0, u8::from(unordered)]);
                    buffer.extend(mid.to_be_bytes());
                }
            });
        })
    }

    pub(crate) fn re_config(&mut self, parameters: &[ReConfig<'_>]) -> bool {
        self.chunk(|buffer| {
            chunk(buffer, kind::RE_CONFIG, 0, |buffer| {
                parameters
                    .iter()
                    .for_each(|parameter| parameter.write(buffer));
            });
        })
    }

    /// A PAD chunk of `length` bytes in all, at least four, rounded up to four: fills a probe (RFC 4820 §3).
    pub(crate) fn pad(&mut self, length: usize) -> bool {
        if padded(length) > self.room() {
            return false;
        }
        self.chunk(|buffer| {
            chunk(buffer, kind::PAD, 0, |buffer| {
                buffer.resize(buffer.len() + padded(length).saturating_sub(HEADER), 0);
            });
        })
    }

    /// A chunk with a body that is known beforehand: nothing is written unless it fits.
    fn simple(&mut self, kind: u8, flags: u8, fields: &[u8], payload: &[u8]) -> bool {
        let length = HEADER + fields.len() + payload.len();
        let Ok(field) = u16::try_from(length) else {
            return false;
        };
        if padded(length) > self.room() {
            return false;
        }
        let [l0, l1] = field.to_be_bytes();
        self.buffer.extend_from_slice(&[kind, flags, l0, l1]);
        self.buffer.extend_from_slice(fields);
        self.buffer.extend_from_slice(payload);
        let padding = padded(length) - length;
        self.buffer.extend_from_slice(&[0; 3][..padding]);
        true
    }

    /// A chunk whose length is known once it is written; it is taken back if it does not fit.
    fn chunk(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.buffer.len();
        write(self.buffer);
        let fits =
            self.buffer.len() <= self.end && self.buffer.len() - start <= usize::from(u16::MAX);
        if !fits {
            self.buffer.truncate(start);
        }
        fits
    }

    fn heartbeat_like(&mut self, kind: u8, info: &[u8]) -> bool {
        let Ok(length) = u16::try_from(HEADER + info.len()) else {
            return false;
        };
        let [l0, l1] = length.to_be_bytes();
        self.simple(kind, 0, &[0, 1, l0, l1], info)
    }

    fn causes(&mut self, kind: u8, flags: u8, causes: &[Cause<'_>]) -> bool {
        self.chunk(|buffer| {
            chunk(buffer, kind, flags, |buffer| {
                causes.iter().for_each(|cause| cause.write(buffer));
            });
        })
    }
}

/// Appends an INIT chunk alone, as SNAP's `a=sctp-init` carries it.
pub(crate) fn write_init(buffer: &mut Vec<u8>, init: &Init, parameters: &[Parameter<'_>]) {
    write_init_like(buffer, kind::INIT, init, parameters);
}

fn write_init_like(buffer: &mut Vec<u8>, kind: u8, init: &Init, parameters: &[Parameter<'_>]) {
    chunk(buffer, kind, 0, |buffer| {
        buffer.extend([init.tag, init.window].map(u32::to_be_bytes).as_flattened());
        let streams = [init.outbound_streams, init.inbound_streams];
        buffer.extend(streams.map(u16::to_be_bytes).as_flattened());
        buffer.extend(init.initial_tsn.0.to_be_bytes());
        parameters
            .iter()
            .for_each(|parameter| parameter.write(buffer));
    });
}

fn chunk(buffer: &mut Vec<u8>, kind: u8, flags: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[kind, flags, 0, 0]);
    write(buffer);
    finish(buffer, start);
}
