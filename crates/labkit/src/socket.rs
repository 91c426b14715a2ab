//! Sockets with errors that name the operation and the address, and buffers that say what was granted.

use std::net::{SocketAddr, UdpSocket as StdUdpSocket};

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::exit::Failure;

/// How many connections may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How many descriptors this process may have open, after asking for as many as it may ask for. (The usual limit of 1,024
/// is there for programs that use select(2); ours do not.) Without a limit it is `usize::MAX`.
#[must_use]
pub fn raise_descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    // Refused: then it stays as it was.
    let granted = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(granted).unwrap_or(usize::MAX)
}

/// A TCP listener on `address`. On `[::]` it takes IPv4 connections too (dual stack), whatever the system's default.
///
/// # Errors
/// When the port is taken, the address is not ours, or we may not.
pub fn listen_tcp(address: SocketAddr) -> Result<TcpListener, Failure> {
    let attempt = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    attempt().map_err(|error| Failure::io("listen on TCP", address, &error))
}

/// A UDP socket on `address`, not shared with anybody.
///
/// # Errors
/// When the port is taken, the address is not ours, or we may not.
pub fn bind_udp(address: SocketAddr) -> Result<UdpSocket, Failure> {
    let attempt = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&SockAddr::from(address))?;
        into_tokio(socket)
    };
    attempt().map_err(|error| Failure::io("bind UDP", address, &error))
}

/// Hands a bound UDP socket to tokio.
///
/// # Errors
/// When it cannot be made non-blocking or be registered.
pub fn into_tokio(socket: Socket) -> std::io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(StdUdpSocket::from(socket))
}

/// A socket buffer: what we asked the kernel for, and what it granted, in bytes of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// What was asked for.
    pub asked: usize,
    /// What there is now.
    pub granted: usize,
}

impl Buffer {
    /// Whether the kernel gave less than was asked for.
    #[must_use]
    pub fn is_short(self) -> bool {
        self.granted < self.asked
    }
}

/// Asks for a receive buffer of `bytes` and says what was granted.
///
/// The kernel doubles the figure for its own bookkeeping and caps it at `net.core.rmem_max` (socket(7), `SO_RCVBUF`);
/// what it reports is halved here, so that both figures mean the same.
///
/// # Errors
/// When the socket option cannot be set or read.
pub fn receive_buffer(socket: &UdpSocket, bytes: usize) -> std::io::Result<Buffer> {
    let socket = socket2::SockRef::from(socket);
    socket.set_recv_buffer_size(bytes)?;
    Ok(Buffer { asked: bytes, granted: socket.recv_buffer_size()? / 2 })
}

/// Asks for a send buffer of `bytes` and says what was granted; as [`receive_buffer`], capped at `net.core.wmem_max`.
///
/// # Errors
/// When the socket option cannot be set or read.
pub fn send_buffer(socket: &UdpSocket, bytes: usize) -> std::io::Result<Buffer> {
    let socket = socket2::SockRef::from(socket);
    socket.set_send_buffer_size(bytes)?;
    Ok(Buffer { asked: bytes, granted: socket.send_buffer_size()? / 2 })
}

/// Lets nothing this socket sends be cut into fragments: what the way does not carry whole is refused (`EMSGSIZE`) or lost
/// (ip(7), `IP_PMTUDISC_DO`). Then what arrives has proven that it fits.
///
/// # Errors
/// When the system cannot.
pub fn never_fragment(socket: &UdpSocket) -> std::io::Result<()> {
    sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?;
    if socket.local_addr()?.is_ipv6() {
        sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?;
    }
    Ok(())
}

/// How long packets to the one this socket is connected to may be, their headers included, as far as the kernel knows:
/// by its interface, and by what routers have said.
#[must_use]
pub fn path_mtu(socket: &impl std::os::fd::AsFd) -> Option<u32> {
    let is_v4 = socket2::SockRef::from(socket).peer_addr().ok()?.as_socket()?.ip().to_canonical().is_ipv4();
    if is_v4 { sockopt::ip_mtu(socket).ok() } else { sockopt::ipv6_mtu(socket).ok() }
}

/// The address a bound socket got, with its port where port 0 was asked for.
///
/// # Errors
/// When the kernel does not say, which no bound socket meets.
pub fn local(socket: &UdpSocket) -> Result<SocketAddr, Failure> {
    socket.local_addr().map_err(|error| Failure::io("read", "the socket's own address", &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let first = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = local(&first).unwrap();
        let failure = bind_udp(address).unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Setup, "PORT-IN-USE"));
        assert!(failure.message.contains(&address.to_string()), "{failure}");
    }

    #[tokio::test]
    async fn the_unspecified_ipv6_address_takes_ipv4_connections_too() {
        let listener = listen_tcp("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connected, accepted) =
            tokio::join!(tokio::net::TcpStream::connect(("127.0.0.1", port)), listener.accept());
        connected.unwrap();
        assert!(accepted.unwrap().1.ip().to_canonical().is_ipv4());
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        assert_eq!(bind_udp("192.0.2.1:0".parse().unwrap()).unwrap_err().code, "ADDRESS-NOT-HERE");
    }

    #[tokio::test]
    async fn a_buffer_says_what_was_granted() {
        let socket = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let small = receive_buffer(&socket, 65_536).unwrap();
        assert_eq!(small, Buffer { asked: 65_536, granted: 65_536 });
        assert!(receive_buffer(&socket, 1 << 30).unwrap().is_short());
    }

    #[tokio::test]
    async fn what_would_need_fragments_is_refused_and_the_kernel_says_how_long_packets_may_be() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let (socket, peer) =
                (bind_udp(loopback.parse().unwrap()).unwrap(), bind_udp(loopback.parse().unwrap()).unwrap());
            assert_eq!(path_mtu(&socket), None, "to nobody in particular");
            socket.connect(local(&peer).unwrap()).await.unwrap();
            let headers = if loopback.starts_with('[') { 48 } else { 28 };
            let longest = usize::try_from(path_mtu(&socket).unwrap()).unwrap().min(65_535) - headers;
            // Over IPv4, loopback carries whatever UDP can say; only over IPv6 is there a datagram that needs fragments.
            let needs_fragments = (headers == 48).then(|| vec![0; longest + 2]);
            if let Some(too_long) = &needs_fragments {
                assert!(socket.send(too_long).await.is_ok(), "in fragments");
            }
            never_fragment(&socket).unwrap();
            assert_eq!(socket.send(&vec![0; longest]).await.unwrap(), longest);
            if let Some(too_long) = &needs_fragments {
                assert!(socket.send(too_long).await.is_err(), "longer than {longest}");
            }
        }
    }
}
