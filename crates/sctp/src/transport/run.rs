//! What leaves: runs of packets of one size, written straight into the caller's buffer.
//!
//! Control chunks go first and once; an acknowledgement travels with whatever leaves anyway; DATA fills what room there is. As long
//! as packets come out at the size of the first they follow one another in the buffer, up to what congestion control allows at once.

use std::time::Instant;

use super::{AbortCause, Control, Transport};
use crate::{
    packet::{COMMON_HEADER, Cause, PacketWriter, Parameter},
    reset,
};

/// No run is longer: 64 segments and 65,535 bytes are what UDP GSO takes.
const MOST_PACKETS: usize = 64;
const MOST_BYTES: usize = 64_000;

impl Transport {
    /// Writes one run into the empty buffer. Returns the size of its packets, or nothing if nothing is to be sent.
    pub(super) fn write_run(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let segment = match self.control.front() {
            Some(
                Control::Init
                | Control::InitAck { .. }
                | Control::Abort { .. }
                | Control::ShutdownComplete { .. },
            ) => self.write_alone(buf),
            _ => self
                .write_packets(now, buf)
                .or_else(|| self.write_probe(now, buf)),
        }?;
        self.counts.packets_sent += buf.len().div_ceil(segment) as u64;
        self.counts.bytes_sent += buf.len() as u64;
        Some(segment)
    }

    /// Chunks that share a packet with nothing.
    fn write_alone(&mut self, buf: &mut Vec<u8>) -> Option<usize> {
        let control = self.control.pop_front()?;
        let limit = self.liveness.packet_size();
        let packet = |buf, tag| {
            PacketWriter::start(
                buf,
                self.config.local_port,
                self.config.remote_port,
                tag,
                limit,
            )
        };
        let checksum = self.with_checksum();
        Some(match control {
            Control::Init => {
                let mut packet = packet(buf, 0);
                self.own_capabilities()
                    .with_parameters(|parameters| packet.init(&self.local, parameters));
                packet.finish(true)
            }
            Control::InitAck {
                to,
                init,
                cookie,
                unrecognized,
            } => {
                let mut packet = packet(buf, to);
                self.own_capabilities().with_parameters(|parameters| {
                    let mut all = vec![Parameter::StateCookie(&cookie)];
                    all.extend_from_slice(parameters);
                    let known = all.len();
                    all.extend(
                        unrecognized
                            .iter()
                            .map(|bytes| Parameter::Unrecognized(bytes)),
                    );
                    // Reports are left out if they do not fit.
                    packet.init_ack(&init, &all) || packet.init_ack(&init, &all[..known])
                });
                packet.finish(true)
            }
            Control::Abort { tag, cause } => {
                let mut packet = packet(buf, tag);
                match &cause {
                    AbortCause::User(reason) => {
                        packet.abort(false, &[Cause::UserAbort(text(reason))])
                    }
                    AbortCause::Violation(what) => {
                        packet.abort(false, &[Cause::ProtocolViolation(text(what))])
                    }
                    AbortCause::OutOfTheBlue => packet.abort(true, &[]),
                };
                packet.finish(checksum)
            }
            Control::ShutdownComplete { tag, reflected } => {
                let mut packet = packet(buf, tag);
                packet.shutdown_complete(reflected);
                packet.finish(checksum)
            }
            _ => unreachable!("the caller looked"),
        })
    }

    fn write_packets(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let tag = self.link.as_ref()?.peer.tag;
        self.link.as_mut()?.request_resets();
        let (checksum, size) = (self.with_checksum(), self.liveness.packet_size());
        let (local, remote) = (self.config.local_port, self.config.remote_port);
        let link = self.link.as_mut()?;
        let echoes = matches!(self.control.front(), Some(Control::CookieEcho));
        let mut allowance = if self.state.sends_data() || echoes {
            link.sender.allowance(now)
        } else {
            0
        };
        // A chunk that was cut for a larger path goes in a packet of its own size.
        let limit = if allowance > 0 {
            size.max(link.sender.needs(now) + COMMON_HEADER)
        } else {
            size
        };

        let mut packet = PacketWriter::start(buf, local, remote, tag, limit);
        write_controls(
            &mut self.control,
            &self.cookie,
            &mut packet,
            link.receiver.cumulative(),
        );
        if link.receiver.sack_now(now) || (allowance > 0 && link.receiver.sack_deadline().is_some())
        {
            link.receiver.write_sack(&mut packet);
        }
        write_resets(now, link, &mut packet);
        if link.sender.forward_due() {
            link.sender.write_forward_tsn(&mut packet);
        }
        let mut written = 0;
        if allowance > 0 {
            written = link.sender.fill(now, &mut packet, size);
        }
        if packet.is_empty() {
            packet.discard();
            return None;
        }
        let segment = packet.finish(checksum);
        allowance = allowance.saturating_sub(written);
        let mut last = segment;
        let mut packets = 1;
        while allowance > 0
            && written > 0
            && last == segment
            && packets < MOST_PACKETS
            && buf.len() + segment <= MOST_BYTES
        {
            let mut packet = PacketWriter::start(buf, local, remote, tag, segment);
            written = if echoes {
                0
            } else {
                link.sender.fill(now, &mut packet, segment)
            };
            if packet.is_empty() {
                packet.discard();
                break;
            }
            last = packet.finish(checksum);
            allowance = allowance.saturating_sub(written);
            packets += 1;
        }
        Some(segment)
    }

    /// Whether packets carry a checksum: not if the peer said it takes zero (RFC 9653 §5.2).
    pub(super) fn with_checksum(&self) -> bool {
        !(self.state.is_up()
            && self
                .link
                .as_ref()
                .is_some_and(|link| link.capabilities.zero_checksum))
    }
}

/// As much of a reason as may be given.
fn text(reason: &str) -> &[u8] {
    &reason.as_bytes()[..reason.floor_char_boundary(512)]
}

/// As many of the waiting chunks as fit.
fn write_controls(
    controls: &mut std::collections::VecDeque<Control>,
    cookie: &[u8],
    packet: &mut PacketWriter<'_>,
    cumulative: crate::tsn::Tsn,
) {
    while let Some(control) = controls.front() {
        let fitted = match control {
            Control::CookieEcho => packet.cookie_echo(cookie),
            Control::CookieAck => packet.cookie_ack(),
            Control::Heartbeat(nonce) => packet.heartbeat(nonce),
            Control::HeartbeatAck(info) => packet.heartbeat_ack(info),
            Control::Unrecognized(chunk) => packet.error(&[Cause::UnrecognizedChunk(chunk)]),
            Control::InvalidStream(stream) => packet.error(&[Cause::InvalidStream(*stream)]),
            Control::StaleCookie(late) => packet.error(&[Cause::StaleCookie(*late)]),
            Control::Shutdown => packet.shutdown(cumulative),
            Control::ShutdownAck => packet.shutdown_ack(),
            Control::Init
            | Control::InitAck { .. }
            | Control::Abort { .. }
            | Control::ShutdownComplete { .. } => return,
        };
        if !fitted && !packet.is_empty() {
            return; // in the next packet
        }
        // What does not fit an empty packet never will: an answer to something larger than we may send.
        controls.pop_front();
    }
}

fn write_resets(now: Instant, link: &mut super::link::Link, packet: &mut PacketWriter<'_>) {
    if !link.resets.has_output() {
        return;
    }
    let (rto, last_tsn) = (link.sender.round_trip().timeout(0), link.sender.last_tsn());
    if packet.room() >= reset::MAX_CHUNK
        && let Some(request) = link.resets.poll_request(now, rto, last_tsn)
    {
        packet.re_config(&[request]);
    }
    while packet.room() >= reset::MAX_CHUNK
        && let Some(response) = link.resets.poll_response()
    {
        packet.re_config(&[response]);
    }
}
