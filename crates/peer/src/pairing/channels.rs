//! Further channels: any options, raw messages, no framing.

use std::collections::VecDeque;
use std::time::Instant;

use crowfly_sctp::{self as sctp, ChannelId, ChannelOptions, OpenError};

use super::{Event, PROTOCOL, Pairing};
use crate::message::Message;
use crate::trace::{Kind, detail};

/// Further channels open at once; a stranger may open as many as SCTP has ids.
const MAX_CHANNELS: usize = 64;
/// Bytes left with the association at most.
const HIGH_WATER: usize = 1024 * 1024;
const LOW_WATER: usize = 256 * 1024;

/// A channel beside the main one.
#[derive(Debug)]
pub(super) struct Extra {
    label: String,
    /// Not yet with the association.
    pending: VecDeque<sctp::Message>,
    /// Closed here once nothing is pending.
    closing: bool,
}

impl Pairing {
    /// Opens a further channel.
    pub(crate) fn open_channel(
        &mut self,
        now: Instant,
        options: ChannelOptions,
    ) -> Result<ChannelId, OpenError> {
        let label = shorten(&options.label);
        let association = self.session.association().ok_or(OpenError::Closed)?;
        let id = association.open(options)?;
        association.set_buffered_amount_low_threshold(id, LOW_WATER);
        self.trace
            .call(now, None, "createDataChannel", detail! { "label" => label });
        self.channels.insert(
            id,
            Extra {
                label,
                pending: VecDeque::new(),
                closing: false,
            },
        );
        Ok(id)
    }

    /// Queues a message on a further channel.
    pub(crate) fn send_on(&mut self, now: Instant, id: ChannelId, message: Message) {
        let Some(extra) = self.channels.get_mut(&id).filter(|extra| !extra.closing) else {
            return;
        };
        extra.pending.push_back(match message {
            Message::Text(text) => sctp::Message::Text(text.into()),
            Message::Binary(data) | Message::Blob { data, .. } => sctp::Message::Binary(data),
        });
        self.fill_channels(now);
    }

    /// Closes a further channel behind what was sent on it.
    pub(crate) fn close_channel(&mut self, now: Instant, id: ChannelId) {
        if let Some(extra) = self.channels.get_mut(&id) {
            extra.closing = true;
            self.fill_channels(now);
        }
    }

    /// Whether more may be queued for sending: nothing waits here, and little with the association.
    pub(crate) fn has_room(&mut self) -> bool {
        let main = self.main.as_ref().map_or(0, super::MainChannel::bytes);
        let pending = self.has_pending();
        let ids: Vec<ChannelId> = self.channels.keys().copied().collect();
        let Some(association) = self.session.association() else {
            return false;
        };
        let buffered: usize = ids
            .into_iter()
            .map(|id| association.buffered_amount(id))
            .sum();
        !pending && main + buffered < HIGH_WATER
    }

    /// Whether messages of further channels wait here.
    pub(super) fn has_pending(&self) -> bool {
        let mut channels = self.channels.values();
        channels.any(|extra| !extra.pending.is_empty())
    }

    /// Bytes queued and not sent, over all channels.
    pub(crate) fn buffered_amount(&mut self) -> usize {
        let main = self.main.as_ref().map_or(0, super::MainChannel::bytes);
        main + self
            .session
            .association()
            .map_or(0, |association| association.stats().buffered)
    }

    /// Hands on what waits; whether anything was.
    pub(super) fn fill(&mut self, now: Instant) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let main = self.fill_main(now);
        let further = self.fill_channels(now);
        self.part(now) || further || main
    }

    fn fill_channels(&mut self, now: Instant) -> bool {
        let Some(association) = self.session.association() else {
            return false;
        };
        let mut any = false;
        for (id, extra) in &mut self.channels {
            while association.buffered_amount(*id) < HIGH_WATER {
                let Some(message) = extra.pending.pop_front() else {
                    break;
                };
                match association.send(now, *id, message.clone()) {
                    Err(sctp::SendError::BufferFull { .. }) => {
                        extra.pending.push_front(message);
                        break;
                    }
                    Ok(()) | Err(_) => any = true,
                }
            }
            if extra.closing && extra.pending.is_empty() {
                association.close(*id);
            }
        }
        any
    }

    pub(super) fn close_channels(&mut self) {
        let closed: Vec<ChannelId> = self.channels.drain().map(|(id, _)| id).collect();
        for channel in closed {
            if let Some(association) = self.session.association() {
                association.close(channel);
            }
            self.emit(Event::ChannelClosed { channel });
        }
    }

    pub(super) fn handle_sctp(&mut self, now: Instant, event: sctp::Event) {
        if self.ended.is_some() {
            return;
        }
        match event {
            sctp::Event::ChannelOpened {
                channel,
                options,
                by_peer,
            } => self.channel_opened(now, channel, options, by_peer),
            sctp::Event::Message { channel, message } => {
                if self.main.as_ref().is_some_and(|main| main.id() == channel) {
                    self.main_message(now, message);
                } else if self.channels.contains_key(&channel) {
                    self.heard(now);
                    self.emit(Event::ChannelMessage {
                        channel,
                        message: read(message),
                    });
                }
            }
            sctp::Event::ChannelClosed { channel } => {
                if self.main.as_ref().is_some_and(|main| main.id() == channel) {
                    self.channel_lost(now);
                } else if let Some(extra) = self.channels.remove(&channel) {
                    self.trace.note(
                        now,
                        None,
                        Kind::Event,
                        "channel-closed",
                        detail! { "label" => extra.label },
                    );
                    self.emit(Event::ChannelClosed { channel });
                }
            }
            sctp::Event::Closed { .. } => self.channel_lost(now),
            _ => {}
        }
    }

    fn channel_opened(
        &mut self,
        now: Instant,
        channel: ChannelId,
        options: ChannelOptions,
        by_peer: bool,
    ) {
        let main = self.main.as_ref().map(super::MainChannel::id);
        if main == Some(channel) || (main.is_none() && by_peer && options.protocol == PROTOCOL) {
            return self.main_opened(now, channel, by_peer);
        }
        let label = shorten(&options.label);
        if by_peer && (options.protocol == PROTOCOL || self.channels.len() >= MAX_CHANNELS) {
            if let Some(association) = self.session.association() {
                association.close(channel);
            }
            return self.trace.note(
                now,
                None,
                Kind::Note,
                "channel-refused",
                detail! { "label" => label },
            );
        }
        if by_peer {
            if let Some(association) = self.session.association() {
                association.set_buffered_amount_low_threshold(channel, LOW_WATER);
            }
            let extra = Extra {
                label: label.clone(),
                pending: VecDeque::new(),
                closing: false,
            };
            self.channels.insert(channel, extra);
        }
        self.trace.note(
            now,
            None,
            Kind::Event,
            "channel-open",
            detail! { "label" => label },
        );
        self.emit(Event::ChannelOpened {
            channel,
            options,
            by_peer,
        });
    }
}

fn read(message: sctp::Message) -> Message {
    match message {
        // Checked by SCTP's receiver? A peer may send anything: what is no text arrives as bytes.
        sctp::Message::Text(text) => match String::from_utf8(text.into()) {
            Ok(text) => Message::Text(text),
            Err(error) => Message::Binary(error.into_bytes().into()),
        },
        sctp::Message::Binary(data) => Message::Binary(data),
    }
}

fn shorten(label: &str) -> String {
    label.chars().take(64).collect()
}
