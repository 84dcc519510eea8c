//! What the driver keeps for the handles of one peer: queues out of them and into them.

use std::collections::HashMap;
use std::sync::Arc;

use crowfly_protocol::{PeerId, SessionId};
use crowfly_sctp as sctp;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

use crate::burst::{BurstSender, burst_queue};
use crate::channel::{Channel, ChannelOptions, OpenError};
use crate::inflow::{Held, Inflow};
use crate::message::Message;
use crate::pairing::{self, Pairing};
use crate::peer::{
    Command, OUTGOING, Outgoing, PathStats, Peer, PeerEvent, PeerSender, PeerStats, Shared, Target,
};
use crate::room_core::Departure;
use crate::trace::Role;

/// The driver's end of a [`Peer`].
pub(crate) struct LinkToPeer {
    events: BurstSender<(PeerEvent, Held)>,
    /// Taken from only while the pairing has room.
    pub(crate) outgoing: mpsc::Receiver<Outgoing>,
    pub(crate) control: mpsc::UnboundedReceiver<Command>,
    /// For the channels that the other side opens. They hold the queue open, so that its end is not the peer's.
    sender: PeerSender,
    shared: Arc<Shared>,
    channels: HashMap<sctp::ChannelId, BurstSender<(Message, Held)>>,
    pub(crate) inflow: Arc<Inflow>,
}

impl LinkToPeer {
    pub(crate) fn new(
        id: Option<PeerId>,
        session: SessionId,
        role: Role,
        sealed: bool,
    ) -> (Self, Peer) {
        let (events, taken) = burst_queue();
        let (outgoing_in, outgoing) = mpsc::channel(OUTGOING);
        let (control_in, control) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new());
        let sender = PeerSender {
            outgoing: outgoing_in,
            control: control_in,
            shared: Arc::clone(&shared),
        };
        let peer = Peer {
            id,
            session,
            role,
            sealed,
            events: taken,
            sender: sender.clone(),
        };
        let link = Self {
            events,
            outgoing,
            control,
            sender,
            shared,
            channels: HashMap::new(),
            inflow: Arc::new(Inflow::default()),
        };
        (link, peer)
    }

    /// Tells the handles what happened.
    pub(crate) fn tell(&mut self, pairing: Option<&mut Pairing>, event: pairing::Event) {
        match event {
            pairing::Event::States(states) => {
                let most = pairing.map_or(usize::MAX, |pairing| pairing.max_message_size());
                self.shared.set_states(states, most);
                self.emit(PeerEvent::States(states), 0);
            }
            pairing::Event::Open => self.emit(PeerEvent::Open, 0),
            pairing::Event::Message(message) => {
                let bytes = message.len();
                self.emit(PeerEvent::Message(message), bytes);
            }
            pairing::Event::ChannelOpened {
                channel,
                options,
                by_peer,
            } => {
                if by_peer {
                    // Which the other side chose, 64 KiB each at most.
                    let bytes = options.label.len() + options.protocol.len();
                    let channel = self.channel(channel, options.into());
                    self.emit(PeerEvent::Channel(channel), bytes);
                }
            }
            pairing::Event::ChannelMessage { channel, message } => {
                if let Some(messages) = self.channels.get_mut(&channel) {
                    let held = self.inflow.hold(message.len());
                    messages.put((message, held));
                }
            }
            pairing::Event::ChannelClosed { channel } => {
                self.channels.remove(&channel);
            }
            pairing::Event::Problem(error) => self.emit(PeerEvent::Problem(error), 0),
            // The room makes a departure of it.
            pairing::Event::Ended(_) => {}
        }
    }

    /// Wakes who waits for what was told since; whether there was anything.
    pub(crate) fn wake(&mut self) -> bool {
        let mut told = self.events.tell();
        for channel in self.channels.values_mut() {
            told |= channel.tell();
        }
        told
    }

    /// Its end; afterwards every handle says so.
    pub(crate) fn end(&mut self, departure: Departure) {
        let Departure {
            reason,
            states,
            trace,
        } = departure;
        if self.shared.end(states, trace) {
            self.emit(PeerEvent::States(states), 0);
        }
        self.emit(PeerEvent::Closed(reason), 0);
        self.channels.clear();
    }

    /// Something to send.
    pub(crate) fn send(&self, pairing: &mut Pairing, now: Instant, outgoing: Outgoing) {
        match outgoing.target {
            Target::Main => pairing.send(now, outgoing.message),
            Target::Channel(channel) => pairing.send_on(now, channel, outgoing.message),
            Target::CloseChannel(channel) => pairing.close_channel(now, channel),
        }
    }

    /// Something asked.
    pub(crate) fn answer(&mut self, pairing: &mut Pairing, now: Instant, command: Command) {
        match command {
            Command::OpenChannel(options, reply) => self.open(pairing, now, options, reply),
            Command::CloseChannel(channel) => {
                self.channels.remove(&channel);
                pairing.close_channel(now, channel);
            }
            // Who asked and went away needs no answer.
            Command::Stats(reply) => drop(reply.send(stats(pairing))),
            Command::Trace(reply) => drop(reply.send(pairing.trace().to_json_lines())),
        }
    }

    fn open(
        &mut self,
        pairing: &mut Pairing,
        now: Instant,
        options: ChannelOptions,
        reply: oneshot::Sender<Result<Channel, OpenError>>,
    ) {
        if options.protocol == pairing::PROTOCOL {
            let reason = format!(
                "open a channel: the protocol {} is the main channel's",
                pairing::PROTOCOL
            );
            drop(reply.send(Err(OpenError::Refused { reason })));
            return;
        }
        let opened = pairing.open_channel(now, options.clone().into());
        let answer = match opened {
            Ok(id) => Ok(self.channel(id, options)),
            Err(sctp::OpenError::Closed) => Err(OpenError::NotConnected),
            Err(error) => Err(OpenError::Refused {
                reason: error.to_string(),
            }),
        };
        drop(reply.send(answer));
    }

    fn channel(&mut self, id: sctp::ChannelId, options: ChannelOptions) -> Channel {
        let (messages, incoming) = burst_queue();
        self.channels.insert(id, messages);
        let PeerSender {
            outgoing,
            control,
            shared,
        } = self.sender.clone();
        Channel::new(id, options, incoming, outgoing, control, shared)
    }

    fn emit(&mut self, event: PeerEvent, bytes: usize) {
        let held = self.inflow.hold(bytes);
        self.events.put((event, held));
    }
}

fn stats(pairing: &mut Pairing) -> PeerStats {
    let sctp = pairing.association_stats();
    PeerStats {
        path: path(pairing),
        round_trip: pairing.round_trip(),
        ice_round_trip: pairing.ice_round_trip(),
        bytes_sent: sctp.bytes_sent,
        bytes_received: sctp.bytes_received,
        buffered_amount: pairing.buffered_amount(),
        chunks_retransmitted: sctp.chunks_retransmitted,
        congestion_window: sctp.congestion_window,
        agreed: pairing.agreed(),
    }
}

fn path(pairing: &Pairing) -> Option<PathStats> {
    let (path, local_type, remote_type) = pairing.path()?;
    Some(PathStats {
        local_type,
        local: path.local,
        remote_type,
        remote: path.remote,
    })
}
