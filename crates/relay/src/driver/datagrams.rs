//! UDP sockets that take and give whole bursts (`quinn-udp`: GSO, GRO, recvmmsg) and know the address each datagram came to.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What the kernel may hold for us each way. The system may allow less.
const SOCKET_BUFFER: usize = 4 << 20;
/// As much as one receive can hand over.
const BUFFER: usize = 1 << 16;
/// Batches taken before others have their turn.
const BATCHES: usize = 2;
/// Ports tried for an allocation before there is none.
const TRIES: u32 = 64;

/// Room for one batch, shared by all sockets.
#[derive(Debug)]
pub(super) struct Buffers(Vec<u8>);

impl Default for Buffers {
    fn default() -> Self {
        Self(vec![0; BATCH_SIZE * BUFFER])
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        socket.set_nonblocking(true)?;
        // As much as the system allows: less costs speed, not correctness.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&address.into())?;
        let io = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        let address = io.local_addr()?;
        Ok(Self { io, state, address })
    }

    /// At a port of the range that is free, beginning where nobody can guess.
    pub(super) fn bind_within(
        ip: IpAddr,
        ports: &RangeInclusive<u16>,
        even: bool,
    ) -> io::Result<Self> {
        let (first, step) = match even {
            true => (u32::from(*ports.start()).next_multiple_of(2), 2),
            false => (u32::from(*ports.start()), 1),
        };
        let count = (u32::from(*ports.end()) + step).saturating_sub(first) / step;
        let start = getrandom::u32().map_err(io::Error::other)?;
        let mut failure = io::ErrorKind::AddrInUse.into();
        for attempt in 0..count.min(TRIES) {
            let port = first + start.wrapping_add(attempt) % count * step;
            match Self::bind(SocketAddr::new(ip, port as u16)) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Until something has arrived.
    pub(super) async fn readable(&self) {
        if self.io.readable().await.is_err() {
            // The runtime is shutting down.
            std::future::pending().await
        }
    }

    /// Takes what has arrived, a burst of it.
    pub(super) fn receive(
        &self,
        Buffers(buffers): &mut Buffers,
        mut take: impl FnMut(&RecvMeta, &[u8]),
    ) {
        for _ in 0..BATCHES {
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let mut slices: Vec<IoSliceMut<'_>> =
                buffers.chunks_mut(BUFFER).map(IoSliceMut::new).collect();
            let received = self.io.try_io(Interest::READABLE, || {
                self.state
                    .recv(UdpSockRef::from(&self.io), &mut slices, &mut meta)
            });
            // Nothing there, or an error that an ICMP message left behind, which says nothing about this socket.
            let Ok(count) = received else {
                return;
            };
            for (index, meta) in meta.iter().take(count).enumerate() {
                take(meta, &buffers[index * BUFFER..][..meta.len]);
            }
            if count < BATCH_SIZE {
                return;
            }
        }
    }

    /// Sends datagrams of `segment` bytes each. Where the kernel has no room they are lost, as datagrams are.
    pub(super) fn send(&self, to: SocketAddr, from: Option<IpAddr>, bytes: &[u8], segment: usize) {
        let most = self.state.max_gso_segments().max(1) * segment.max(1);
        for contents in bytes.chunks(most) {
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents,
                segment_size: (segment < contents.len()).then_some(segment),
                src_ip: from,
            };
            // Not through the runtime: it would hold back what it does not yet know to be writable, and nothing here waits.
            let _ = self.state.try_send(UdpSockRef::from(&self.io), &transmit);
        }
    }
}
