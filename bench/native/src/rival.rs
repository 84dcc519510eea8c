//! `rtc` 0.21.1, sans-IO, with the best loop we know: one thread, GSO and GRO, large socket buffers, whole bursts in and out,
//! blocking only when there is nothing to do.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::BytesMut;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rtc::data_channel::RTCDataChannelId;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::child::{BALL, MESSAGE, Measure, Role, Window, hear, hear_one, say};

/// As ours.
const SOCKET_BUFFER: usize = 4 << 20;
/// A GRO buffer.
const BUFFER: usize = 1 << 16;
/// Bytes of one GSO run.
const MOST_RUN: usize = 65_000;
/// Receives before what came of them is sent.
const BATCHES: usize = 4;
/// What waits with the stack at most; ours has as much.
const HIGH_WATER: usize = 1 << 20;

/// What can be set. The figures of `docs/performance.md` are of the best of what we tried.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Bytes of an SCTP packet.
    pub mtu: u32,
    /// Bytes of the receive window.
    pub window: u32,
    /// How long it looks for datagrams again and again before it sleeps, which costs processor time and saves being woken.
    pub spin: Duration,
}

pub fn run(role: Role, measure: Measure, length: Duration, tuning: Tuning) -> anyhow::Result<()> {
    if measure == Measure::Setup {
        while let Some(line) = hear()? {
            let (mut peer, took) = Peer::connect(role, Some(line), tuning)?;
            say("OPEN", &took.as_micros().to_string())?;
            hear_one()?;
            peer.connection.close()?;
            peer.flush()?;
            say("LEFT", "")?;
        }
        return Ok(());
    }
    let (mut peer, _) = Peer::connect(role, None, tuning)?;
    let channel = peer.open.context("it is open")?;
    let mut window = Window::new(length);
    let payload = vec![
        7;
        if measure == Measure::Bulk {
            MESSAGE
        } else {
            BALL
        }
    ];
    let throws = measure == Measure::PingPong && role == Role::Offer;
    if throws {
        peer.send(channel, &payload)?;
    }
    loop {
        if measure == Measure::Bulk && role == Role::Offer {
            let mut sent = 0;
            while peer.outstanding(channel) < HIGH_WATER {
                peer.send(channel, &payload)?;
                sent += payload.len() as u64;
            }
            window.add(Instant::now(), sent)?;
        }
        peer.turn()?;
        let (mut bytes, mut balls) = (0, Vec::new());
        while let Some(TaggedRTCMessage { message, .. }) = peer.connection.poll_read() {
            if let RTCMessage::DataChannelMessage(_, message) = message {
                bytes += message.data.len() as u64;
                if measure == Measure::PingPong {
                    balls.push(message.data);
                }
            }
        }
        if measure == Measure::Bulk && role == Role::Answer {
            window.add(Instant::now(), bytes)?;
        }
        let caught = balls.len() as u64;
        ensure!(caught <= 1, "one ball only");
        for ball in balls {
            peer.send(channel, &ball)?;
        }
        if caught > 0 {
            window.add(Instant::now(), caught)?;
        }
        // The generator ends this process.
    }
}

struct Peer {
    connection: RTCPeerConnection,
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    open: Option<RTCDataChannelId>,
    buffers: Vec<u8>,
    run: Vec<u8>,
    spin: Duration,
}

impl Peer {
    fn new(tuning: Tuning) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((address(), 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let raw = socket2::SockRef::from(&socket);
        raw.set_recv_buffer_size(SOCKET_BUFFER)?;
        raw.set_send_buffer_size(SOCKET_BUFFER)?;
        let local = socket.local_addr()?;
        let zero = Some(Duration::ZERO);
        let settings = SettingEngineBuilder::new()
            .with_sctp_mtu(tuning.mtu)
            .with_sctp_max_receive_buffer_size(tuning.window)
            .with_host_acceptance_min_wait(zero)
            .with_prflx_acceptance_min_wait(zero)
            .build();
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(settings)
            .build(Instant::now())?;
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: local.ip().to_string(),
                port: local.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        }
        .new_candidate_host()?;
        connection.add_local_candidate(RTCIceCandidate::from(&candidate).to_json()?)?;
        Ok(Self {
            connection,
            socket,
            state,
            local,
            open: None,
            buffers: vec![0; BATCH_SIZE * BUFFER],
            run: Vec::with_capacity(1 << 16),
            spin: tuning.spin,
        })
    }

    fn connect(
        role: Role,
        first: Option<String>,
        tuning: Tuning,
    ) -> anyhow::Result<(Self, Duration)> {
        let (mut peer, heard) = match role {
            Role::Offer => {
                let mut peer = Self::new(tuning)?;
                peer.connection.create_data_channel("bench", None)?;
                let offer = peer.connection.create_offer(None)?;
                peer.connection
                    .set_local_description(Instant::now(), offer.clone())?;
                say("OFFER", &serde_json::to_string(&offer)?)?;
                let answer = hear_one()?;
                let heard = Instant::now();
                peer.connection
                    .set_remote_description(heard, serde_json::from_str(&answer)?)?;
                (peer, heard)
            }
            Role::Answer => {
                let offer = match first {
                    Some(offer) => offer,
                    None => hear_one()?,
                };
                let heard = Instant::now();
                let mut peer = Self::new(tuning)?;
                peer.connection
                    .set_remote_description(heard, serde_json::from_str(&offer)?)?;
                let answer = peer.connection.create_answer(None)?;
                peer.connection
                    .set_local_description(Instant::now(), answer.clone())?;
                say("ANSWER", &serde_json::to_string(&answer)?)?;
                (peer, heard)
            }
        };
        while peer.open.is_none() {
            peer.turn()?;
        }
        Ok((peer, heard.elapsed()))
    }

    fn send(&mut self, channel: RTCDataChannelId, payload: &[u8]) -> anyhow::Result<()> {
        let mut channel = self.connection.data_channel(channel).context("a channel")?;
        channel.send(Instant::now(), BytesMut::from(payload))?;
        Ok(())
    }

    fn outstanding(&mut self, channel: RTCDataChannelId) -> usize {
        self.connection
            .data_channel(channel)
            .map_or(usize::MAX, |channel| channel.outstanding_bytes())
    }

    /// Sends everything, hears of everything, and waits for something to happen if there is nothing to do.
    fn turn(&mut self) -> anyhow::Result<()> {
        self.flush()?;
        while let Some(event) = self.connection.poll_event() {
            if let RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) = event {
                self.open = Some(id);
            }
        }
        let now = Instant::now();
        let due = self.connection.poll_timeout();
        if due.is_some_and(|due| due <= now) {
            self.connection.handle_timeout(now)?;
            return self.flush();
        }
        let spin_until = now + self.spin;
        loop {
            if self.receive()? {
                return Ok(());
            }
            let now = Instant::now();
            if now >= spin_until || due.is_some_and(|due| due <= now) {
                break;
            }
        }
        let now = Instant::now();
        if due.is_none_or(|due| due > now) {
            let wait = due.map_or(Duration::from_millis(100), |due| due - now);
            let wait = Timespec::try_from(wait)?;
            let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
            poll(&mut ready, Some(&wait))?;
            self.receive()?;
        }
        Ok(())
    }

    /// A burst of what has arrived; whether there was any.
    fn receive(&mut self) -> anyhow::Result<bool> {
        let mut any = false;
        for _ in 0..BATCHES {
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let mut slices: Vec<IoSliceMut<'_>> = self
                .buffers
                .chunks_mut(BUFFER)
                .map(IoSliceMut::new)
                .collect();
            let received = self
                .state
                .recv(UdpSockRef::from(&self.socket), &mut slices, &mut meta);
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            any = true;
            let now = Instant::now();
            for (index, meta) in meta.iter().take(count).enumerate() {
                let data = &self.buffers[index * BUFFER..][..meta.len];
                for datagram in data.chunks(meta.stride.max(1)) {
                    self.connection.handle_read(TaggedBytesMut {
                        now,
                        transport: TransportContext {
                            local_addr: self.local,
                            peer_addr: meta.addr,
                            ecn: None,
                            transport_protocol: TransportProtocol::UDP,
                        },
                        message: BytesMut::from(datagram),
                    })?;
                }
            }
            if count < BATCH_SIZE {
                break;
            }
        }
        Ok(any)
    }

    /// Sends all there is, neighbours of one size as one run.
    fn flush(&mut self) -> anyhow::Result<()> {
        let most = self.state.max_gso_segments().max(1);
        let (mut to, mut segment) = (None, 0);
        while let Some(datagram) = self.connection.poll_write() {
            let (peer, data) = (datagram.transport.peer_addr, datagram.message);
            let joins = to == Some(peer)
                && data.len() <= segment
                && self.run.len().is_multiple_of(segment.max(1))
                && self.run.len() / segment.max(1) < most
                && self.run.len() + data.len() <= MOST_RUN;
            if !joins {
                self.send_run(to, segment)?;
                (to, segment) = (Some(peer), data.len());
            }
            self.run.extend_from_slice(&data);
        }
        self.send_run(to, segment)
    }

    fn send_run(&mut self, to: Option<SocketAddr>, segment: usize) -> anyhow::Result<()> {
        let Some(destination) = to.filter(|_| !self.run.is_empty()) else {
            return Ok(());
        };
        let transmit = Transmit {
            destination,
            ecn: None,
            contents: &self.run,
            segment_size: (segment < self.run.len()).then_some(segment),
            src_ip: None,
        };
        loop {
            match self
                .state
                .try_send(UdpSockRef::from(&self.socket), &transmit)
            {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut ready = [PollFd::new(&self.socket, PollFlags::OUT)];
                    poll(&mut ready, None)?;
                }
                Ok(()) | Err(_) => break,
            }
        }
        self.run.clear();
        Ok(())
    }
}

/// The address whose route leads outside, as ours tells it; loopback where there is none.
pub fn address() -> IpAddr {
    let probe = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    probe().unwrap_or(Ipv4Addr::LOCALHOST.into())
}
