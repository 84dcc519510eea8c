//! What arrives: packets taken apart, each chunk given to whom it concerns (RFC 9260 §8.5 for tags, §6.10 for bundles).

use std::time::Instant;

use super::{Control, State, Transport, TransportEvent};
use crate::{
    association::CloseReason,
    packet::{Abort, Cause, ChecksumPolicy, Chunk, Packet, Sack},
    receive::Arrival,
    reset::Reset,
    tsn::Tsn,
};

impl Transport {
    pub(super) fn handle_packet(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes, self.checksum_policy()) else {
            self.counts.packets_dropped += 1;
            return;
        };
        if packet.destination_port != self.config.local_port
            || packet.source_port != self.config.remote_port
        {
            self.counts.packets_dropped += 1;
            return;
        }
        self.counts.packets_received += 1;
        self.counts.bytes_received += bytes.len() as u64;
        let mut data = false;
        for (position, chunk) in packet.chunks().enumerate() {
            let Ok(chunk) = chunk else { break };
            if !self.tag_fits(packet.tag, position, &chunk) {
                self.counts.packets_dropped += 1;
                break;
            }
            data |= matches!(
                chunk,
                Chunk::Data(_) | Chunk::ForwardTsn(_) | Chunk::IForwardTsn(_)
            );
            if !self.handle_chunk(now, &chunk, packet.tag) || self.state == State::Ended {
                break;
            }
        }
        if let Some(link) = self.link.as_mut().filter(|_| data) {
            link.receiver.packet_done(now);
        }
    }

    /// Zero for a checksum is taken if we said so (RFC 9653 §5.3).
    pub(super) const fn checksum_policy(&self) -> ChecksumPolicy {
        if self.config.zero_checksum {
            ChecksumPolicy::ZeroAllowed
        } else {
            ChecksumPolicy::Required
        }
    }

    /// The rules of the verification tag (RFC 9260 §8.5).
    fn tag_fits(&self, tag: u32, position: usize, chunk: &Chunk<'_>) -> bool {
        let peer = self.link.as_ref().map(|link| link.peer.tag);
        match chunk {
            Chunk::Init(..) => tag == 0 && position == 0,
            Chunk::Abort(Abort { t_bit: true, .. }) | Chunk::ShutdownComplete { t_bit: true } => {
                peer == Some(tag)
            }
            // Its cookie says which tag is right: a peer that began anew got another one from us.
            Chunk::CookieEcho(_) => position == 0,
            _ => tag == self.local.tag,
        }
    }

    /// False ends the packet.
    fn handle_chunk(&mut self, now: Instant, chunk: &Chunk<'_>, tag: u32) -> bool {
        match *chunk {
            Chunk::Init(init, parameters) => {
                self.handle_init(now, init, parameters);
                return false;
            }
            Chunk::InitAck(init, parameters) => {
                self.handle_init_ack(now, init, parameters);
                return false;
            }
            Chunk::CookieEcho(cookie) => return self.handle_cookie_echo(now, cookie, tag),
            Chunk::CookieAck => self.handle_cookie_ack(),
            Chunk::Abort(abort) => self.handle_abort(&abort),
            Chunk::Error(mut causes) => {
                // A cookie that went stale on the way: from the beginning (RFC 9260 §5.2.6).
                if self.state == State::CookieEchoed
                    && causes.any(|cause| matches!(cause, Ok(Cause::StaleCookie(_))))
                {
                    self.violation("the peer took too long to answer: its cookie went stale");
                }
            }
            Chunk::Heartbeat(info) => self.answer(Control::HeartbeatAck(info.to_vec())),
            Chunk::HeartbeatAck(info) => self.handle_heartbeat_ack(now, info),
            Chunk::Shutdown { cumulative } => self.handle_shutdown(now, cumulative),
            Chunk::ShutdownAck => self.handle_shutdown_ack(),
            Chunk::ShutdownComplete { .. } => self.handle_shutdown_complete(),
            Chunk::Unknown(unknown) if unknown.is_reported() => {
                self.answer(Control::Unrecognized(unknown.bytes.to_vec()))
            }
            Chunk::Unknown(_) | Chunk::Pad => {}
            _ => self.handle_link_chunk(now, chunk),
        }
        true
    }

    /// Chunks of an association that is up.
    fn handle_link_chunk(&mut self, now: Instant, chunk: &Chunk<'_>) {
        if !self.state.is_up() {
            return;
        }
        let Some(link) = &mut self.link else { return };
        let result = match chunk {
            Chunk::Data(data) => link.receiver.handle_data(data).map(|arrival| {
                if arrival == Arrival::InvalidStream {
                    self.answer(Control::InvalidStream(data.stream));
                }
            }),
            Chunk::Sack(sack) => return self.handle_sack(now, sack),
            Chunk::ForwardTsn(forward) => link.receiver.handle_forward_tsn(forward),
            Chunk::IForwardTsn(forward) => link.receiver.handle_i_forward_tsn(forward),
            Chunk::ReConfig(parameters) => {
                let (cumulative, rto) = (
                    link.receiver.cumulative(),
                    link.sender.round_trip().timeout(0),
                );
                for parameter in parameters.map_while(Result::ok) {
                    link.resets.handle(now, rto, &parameter, cumulative);
                }
                self.collect_resets();
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(violation) = result {
            self.violation(&violation.to_string());
        }
    }

    /// Carries out what the peers agreed on.
    pub(super) fn collect_resets(&mut self) {
        while let Some(reset) = self.link.as_mut().and_then(|link| link.resets.poll_event()) {
            let Some(link) = &mut self.link else { return };
            let incoming = match reset {
                Reset::Outgoing { stream } => {
                    link.sender.restart_stream(stream);
                    self.events
                        .push_back(TransportEvent::OutgoingReset { stream });
                    continue;
                }
                Reset::Refused { stream } => {
                    self.events
                        .push_back(TransportEvent::OutgoingResetRefused { stream });
                    continue;
                }
                Reset::Incoming { stream } => {
                    link.receiver.reset_stream(stream);
                    Some(stream)
                }
                Reset::AllIncoming => {
                    link.receiver.reset_all_streams();
                    None
                }
            };
            let before = self.counts.messages_received + link.receiver.ready() as u64;
            let event = TransportEvent::IncomingReset { stream: incoming };
            self.after_messages.push_back((before, event));
        }
    }

    /// Moves what has arrived in full among the events, so that the end comes after it.
    pub(super) fn collect_messages(&mut self) {
        while let Some(message) = self
            .link
            .as_mut()
            .and_then(|link| link.receiver.poll_message())
        {
            self.counts.messages_received += 1;
            let (stream, ppid, payload) = (message.stream, message.ppid, message.payload);
            self.events.push_back(TransportEvent::Message {
                stream,
                ppid,
                payload,
            });
        }
        let resets = self.after_messages.drain(..).map(|(_, event)| event);
        self.events.extend(resets);
    }

    pub(super) fn handle_sack(&mut self, now: Instant, sack: &Sack<'_>) {
        let Some(link) = &mut self.link else { return };
        if link.sender.handle_sack(now, sack).is_err() {
            self.violation("a SACK for TSNs that were never sent");
        }
        self.liveness.heard(now);
        self.check_sizes(now);
        self.shut_down_when_drained(now);
    }

    fn handle_abort(&mut self, abort: &Abort<'_>) {
        let first = { abort.causes }.next().and_then(Result::ok);
        let cause = first.map(|cause| cause.code());
        let reason = match first {
            Some(Cause::UserAbort(text) | Cause::ProtocolViolation(text)) => {
                String::from_utf8_lossy(text).into_owned()
            }
            _ => String::new(),
        };
        self.close(CloseReason::AbortedByPeer { cause, reason });
    }

    /// The cumulative point of SHUTDOWN acknowledges as a SACK without gaps does (RFC 9260 §9.2).
    pub(super) fn acknowledged(&mut self, now: Instant, cumulative: Tsn) {
        let window = self
            .link
            .as_ref()
            .map_or(0, |link| link.sender.peer_window());
        self.handle_sack(now, &Sack::without_gaps(cumulative, window));
    }
}
