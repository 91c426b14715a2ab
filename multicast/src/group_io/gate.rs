//! A UDP socket, with the losses of `--impair` on its way out.

use std::io;
use std::net::SocketAddr;

use events::{Cause, Event, Time};
use labkit::{Recorder, Session};
use netsim::{Fate, Impairment, Link};
use tokio::net::UdpSocket;

use super::length;
use crate::call::wire;

/// The largest datagram, and one byte more, so that nothing is cut off unseen.
pub(crate) const BUFFER: usize = 65_536;

/// A socket behind which the network is as bad as asked for.
#[derive(Debug)]
pub(crate) struct Gate {
    socket: UdpSocket,
    link: Option<Link<(SocketAddr, Vec<u8>)>>,
    recorder: Recorder,
    /// Datagrams the system did not take; the first is told.
    refused: u64,
}

impl Gate {
    pub(crate) fn new(socket: UdpSocket, impairment: Option<(Impairment, u64)>, session: &Session) -> Self {
        let link = impairment.map(|(impairment, seed)| Link::new(impairment, seed));
        Gate { socket, link, recorder: session.recorder.clone(), refused: 0 }
    }

    /// The next datagram. Safe to cancel.
    pub(crate) async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(into).await
    }

    /// When something held back by `--impair` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.link.as_ref().and_then(Link::poll_timeout)
    }

    /// Hands one datagram to the network, by way of the impairment.
    pub(crate) async fn send(&mut self, now: Time, to: SocketAddr, bytes: Vec<u8>) {
        let Some(link) = &mut self.link else { return self.hand_over(to, &bytes).await };
        let (what, size) = (wire::what_of(&bytes), bytes.len());
        if let Fate::Lost(_) = link.handle(now, what, size, (to, bytes)) {
            self.recorder.tell(|| Event::Dropped {
                peer: to.to_string(),
                what: what.to_owned(),
                number: None,
                bytes: length(size),
                cause: Cause::Impaired,
            });
        }
        self.flush(now).await;
    }

    /// Sends what is due by now.
    pub(crate) async fn flush(&mut self, now: Time) {
        while let Some(arrival) = self.link.as_mut().and_then(|link| link.poll(now)) {
            let (to, mut bytes) = arrival.packet;
            if let Some(damage) = arrival.damage {
                damage.apply(&mut bytes);
            }
            self.hand_over(to, &bytes).await;
        }
    }

    /// A datagram the system refuses is a datagram lost: what matters is repeated.
    async fn hand_over(&mut self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.socket.send_to(bytes, to).await {
            self.refused += 1;
            if self.refused == 1 {
                tracing::warn!("cannot send to {to}: {error}; such datagrams count as lost, later ones are not told");
            }
        }
    }
}
