//! Handing datagrams to a socket: when it is full, it is waited for, and a datagram it does not take counts as lost.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arq::Codepoint;
use arq::wire::Datagram;
use labkit::{Udp, batch};
use nix::errno::Errno;

/// How long a full socket is waited for. Longer, and one dead interface would hold up everybody.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait when the system is out of buffers.
const PAUSE: Duration = Duration::from_millis(1);

/// A server's way out: one buffer, reused for every datagram.
#[derive(Debug)]
pub(super) struct Outgoing {
    socket: Arc<Udp>,
    datagram: Vec<u8>,
    sent: u64,
    untaken: u64,
}

impl Outgoing {
    pub(super) fn new(socket: Arc<Udp>) -> Self {
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
            Err(error) => self.note_untaken(to, &error),
        }
    }

    /// Sends datagrams of `size` bytes each, which stand one behind the other (the last may be shorter), with as few
    /// calls as the kernel allows, and `ecn` in their headers; `can_cut` remembers that this path takes only one at a time.
    pub(super) async fn send_batch(
        &mut self,
        to: SocketAddr,
        datagrams: &[u8],
        size: usize,
        ecn: Codepoint,
        can_cut: &mut bool,
    ) {
        let mut rest = datagrams;
        while !rest.is_empty() {
            let taken = hand_over_batch(&self.socket, rest, to, size, ecn, can_cut).await;
            let bytes = match &taken {
                Ok(bytes) => *bytes,
                Err(_) => size, // The first of them is lost; the others have their own luck.
            };
            match taken {
                Ok(bytes) => self.sent += bytes.div_ceil(size) as u64,
                Err(error) => self.note_untaken(to, &error),
            }
            rest = rest.get(bytes..).unwrap_or_default();
        }
    }

    fn note_untaken(&mut self, to: SocketAddr, error: &io::Error) {
        self.untaken += 1;
        if self.untaken.is_power_of_two() {
            tracing::warn!("cannot send to {to}: {error}; {} datagrams so far", self.untaken);
        }
    }
}

/// Gives a batch to the socket. Gives how many bytes of it were taken.
async fn hand_over_batch(
    socket: &Udp,
    datagrams: &[u8],
    to: SocketAddr,
    size: usize,
    ecn: Codepoint,
    can_cut: &mut bool,
) -> io::Result<usize> {
    let mut send = || batch::send_with(socket, to, datagrams, size, ecn.bits(), can_cut);
    loop {
        match send() {
            Err(error) => recover(socket, error).await?,
            taken => return taken,
        }
    }
}

/// Gives a datagram to the socket, which is connected if there is no `to`.
pub(super) async fn hand_over(socket: &Udp, datagram: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
    loop {
        let taken = match to {
            Some(to) => socket.sending().send_to(datagram, to),
            None => socket.sending().send(datagram),
        };
        match taken {
            Ok(_) => return Ok(()),
            Err(error) => recover(socket, error).await?,
        }
    }
}

/// After this, it may be tried again; what cannot be tried again is given back.
async fn recover(socket: &Udp, error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => tokio::time::timeout(PATIENCE, socket.writable()).await?,
        // The interface's queue is full (send(2)): pausing once slows us down; more would be a queue of our own.
        _ if error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOBUFS) => {
            tokio::time::sleep(PAUSE).await;
            Err(error)
        }
        _ => Err(error),
    }
}
