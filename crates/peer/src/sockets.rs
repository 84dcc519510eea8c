//! UDP: one socket a family, whole bursts in and out (`quinn-udp`: GSO, GRO, recvmmsg), the address of each datagram's arrival known.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::gather;
use crate::session::Transmit;

/// What the kernel may hold for us each way: a burst of a fast path. The system may allow less.
const SOCKET_BUFFER: usize = 4 << 20;
/// A GRO buffer: as much as one receive can hand over.
const BUFFER: usize = 1 << 16;
/// Batches taken before what came of them is sent.
const BATCHES: usize = 4;

/// Both families' sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    buffers: Vec<u8>,
}

#[derive(Debug)]
struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    port: u16,
    ipv4: bool,
}

impl Sockets {
    /// One socket for each family there is an address of, and the addresses as candidates have them.
    pub(crate) fn bind(addresses: &[IpAddr]) -> io::Result<(Self, Vec<SocketAddr>)> {
        let mut sockets = Vec::new();
        let mut failure = None;
        for ipv4 in [true, false] {
            if !addresses.iter().any(|address| address.is_ipv4() == ipv4) {
                continue;
            }
            match Socket::bind(ipv4) {
                Ok(socket) => sockets.push(socket),
                Err(error) => failure = Some(error),
            }
        }
        if sockets.is_empty() {
            return Err(failure.unwrap_or_else(|| io::Error::other("this machine has no address")));
        }
        let hosts = addresses.iter().filter_map(|address| {
            let socket = sockets
                .iter()
                .find(|socket| socket.ipv4 == address.is_ipv4())?;
            Some(SocketAddr::new(*address, socket.port))
        });
        let hosts = hosts.collect();
        Ok((
            Self {
                sockets,
                buffers: vec![0; BATCH_SIZE * BUFFER],
            },
            hosts,
        ))
    }

    /// Until something has arrived; cancel-safe.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self.sockets.as_slice() {
            [one] => one.io.readable().await,
            [one, other, ..] => tokio::select! {
                ready = one.io.readable() => ready,
                ready = other.io.readable() => ready,
            },
            [] => std::future::pending().await,
        }
    }

    /// Takes what has arrived, a burst of it: where, from where, what. How many datagrams it was.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(SocketAddr, SocketAddr, &[u8])) -> usize {
        let mut datagrams = 0;
        for socket in &self.sockets {
            for _ in 0..BATCHES {
                let mut meta = [RecvMeta::default(); BATCH_SIZE];
                let mut slices: Vec<IoSliceMut<'_>> = self
                    .buffers
                    .chunks_mut(BUFFER)
                    .map(IoSliceMut::new)
                    .collect();
                let received = socket.io.try_io(Interest::READABLE, || {
                    socket
                        .state
                        .recv(UdpSockRef::from(&socket.io), &mut slices, &mut meta)
                });
                // Nothing there, or an error that an ICMP message left behind: ICE notices paths that are none.
                let Ok(count) = received else {
                    break;
                };
                for (index, meta) in meta.iter().take(count).enumerate() {
                    let Some(ip) = meta.dst_ip else { continue };
                    let local = SocketAddr::new(ip.to_canonical(), socket.port);
                    let data = &self.buffers[index * BUFFER..][..meta.len];
                    for datagram in data.chunks(meta.stride.max(1)) {
                        take(local, meta.addr, datagram);
                        datagrams += 1;
                    }
                }
            }
        }
        datagrams
    }

    /// Sends a datagram or a run of them, waiting while the kernel has no room.
    pub(crate) async fn send(&self, transmit: &Transmit<'_>) {
        let ipv4 = transmit.destination.is_ipv4();
        let Some(socket) = self.sockets.iter().find(|socket| socket.ipv4 == ipv4) else {
            return;
        };
        let segment = transmit
            .segment_size
            .unwrap_or(transmit.contents.len())
            .max(1);
        let most = socket.state.max_gso_segments().max(1) * segment;
        for contents in transmit.contents.chunks(most) {
            let run = quinn_udp::Transmit {
                destination: transmit.destination,
                ecn: None,
                contents,
                segment_size: (segment < contents.len()).then_some(segment),
                src_ip: Some(transmit.source.ip()),
            };
            loop {
                let sent = socket.io.try_io(Interest::WRITABLE, || {
                    socket.state.try_send(UdpSockRef::from(&socket.io), &run)
                });
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if socket.io.writable().await.is_err() {
                            return;
                        }
                    }
                    // An unreachable network, a datagram too large: lost, as datagrams are.
                    Ok(()) | Err(_) => break,
                }
            }
        }
    }
}

impl Socket {
    fn bind(ipv4: bool) -> io::Result<Self> {
        let domain = if ipv4 { Domain::IPV4 } else { Domain::IPV6 };
        let socket = RawSocket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if !ipv4 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // As much as the system allows: less costs speed, not correctness.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&SocketAddr::new(gather::any(ipv4), 0).into())?;
        let io = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        let port = io.local_addr()?.port();
        Ok(Self {
            io,
            state,
            port,
            ipv4,
        })
    }
}
