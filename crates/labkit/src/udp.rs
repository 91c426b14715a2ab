//! A UDP socket that wakes its program for what comes, and for room to send only while somebody waits for room.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UdpSocket;

/// A UDP socket for who sends much.
///
/// tokio's own is watched for both directions all the time. Each datagram that leaves makes room, which the kernel then
/// tells: the thread that waits for all sockets is woken for every datagram sent, to do nothing.
#[derive(Debug)]
pub struct Udp(AsyncFd<StdUdpSocket>);

impl Udp {
    /// Takes over a socket of tokio's. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When it cannot be registered.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        Ok(Udp(watch(socket.into_std()?, Interest::READABLE)?))
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    /// Waits until something may be there to receive.
    ///
    /// # Errors
    /// When the runtime is going away.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await?.retain_ready();
        Ok(())
    }

    /// Receives by `take`, which says `WouldBlock` when nothing is there; says so itself where that is known.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn try_take<T>(&self, take: impl FnOnce(&StdUdpSocket) -> io::Result<T>) -> io::Result<T> {
        self.0.try_io(Interest::READABLE, take)
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// What the system says.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            self.readable().await?;
            match self.try_take(|socket| socket.recv_from(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }

    /// The socket itself, to send by: it never blocks.
    #[must_use]
    pub fn sending(&self) -> &StdUdpSocket {
        self.0.get_ref()
    }

    /// Sends a datagram, and waits for room where there is none.
    ///
    /// # Errors
    /// What the system says.
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        loop {
            match self.sending().send_to(datagram, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                sent => return sent,
            }
        }
    }

    /// Waits until there may be room to send.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub async fn writable(&self) -> io::Result<()> {
        // A descriptor of its own: one cannot be watched twice.
        let watched = watch(self.0.get_ref().try_clone()?, Interest::WRITABLE)?;
        watched.writable().await?.retain_ready();
        Ok(())
    }
}

#[expect(
    deprecated,
    reason = "it trusts that a type gives its own descriptor, as std's socket does; what is to replace it is unsafe"
)]
fn watch(socket: StdUdpSocket, interest: Interest) -> io::Result<AsyncFd<StdUdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_is_waited_for_and_so_is_room() {
        let [a, b] = [(); 2].map(|()| crate::socket::bind_udp((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap());
        let (a, b) = (Udp::new(a).unwrap(), Udp::new(b).unwrap());
        let mut bytes = [0; 10];
        for word in [&b"one"[..], b"two"] {
            a.writable().await.unwrap();
            a.send_to(word, b.local_addr().unwrap()).await.unwrap();
            let (length, from) = b.recv_from(&mut bytes).await.unwrap();
            assert_eq!((&bytes[..length], from), (word, a.local_addr().unwrap()));
            let nothing = b.try_take(|socket| socket.recv_from(&mut bytes)).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
