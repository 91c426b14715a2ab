//! Handing datagrams to a socket: when it is full, it is waited for, and a datagram it does not take counts as lost.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arq::wire::Datagram;
use nix::errno::Errno;
use tokio::net::UdpSocket;

/// How long a full socket is waited for. Longer, and one dead interface would hold up everybody.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait when the system is out of buffers.
const PAUSE: Duration = Duration::from_millis(1);

/// A server's way out: one buffer, reused for every datagram.
#[derive(Debug)]
pub(super) struct Outgoing {
    socket: Arc<UdpSocket>,
    datagram: Vec<u8>,
    sent: u64,
    untaken: u64,
}

impl Outgoing {
    pub(super) fn new(socket: Arc<UdpSocket>) -> Self {
        Outgoing { socket, datagram: Vec::with_capacity(usize::from(u16::MAX)), sent: 0, untaken: 0 }
    }

    /// How many datagrams the network took, and how many it did not.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.sent, self.untaken)
    }

    /// Sends one datagram.
    pub(super) async fn send(&mut self, to: SocketAddr, datagram: &Datagram<'_>) {
        self.send_built(to, |buffer| datagram.encode(buffer)).await;
    }

    /// Sends what `build` appends to the empty buffer.
    pub(super) async fn send_built(&mut self, to: SocketAddr, build: impl FnOnce(&mut Vec<u8>)) {
        self.datagram.clear();
        build(&mut self.datagram);
        match hand_over(&self.socket, &self.datagram, Some(to)).await {
            Ok(()) => self.sent += 1,
            Err(error) => {
                self.untaken += 1;
                if self.untaken.is_power_of_two() {
                    tracing::warn!("cannot send to {to}: {error}; {} datagrams so far", self.untaken);
                }
            }
        }
    }
}

/// Gives a datagram to the socket, which is connected if there is no `to`.
pub(super) async fn hand_over(socket: &UdpSocket, datagram: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
    loop {
        let taken = match to {
            Some(to) => socket.try_send_to(datagram, to),
            None => socket.try_send(datagram),
        };
        match taken {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::timeout(PATIENCE, socket.writable()).await??;
            }
            // The interface's queue is full (send(2)): pausing once slows us down; more would be a queue of our own.
            Err(error) if error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOBUFS) => {
                tokio::time::sleep(PAUSE).await;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
    }
}
