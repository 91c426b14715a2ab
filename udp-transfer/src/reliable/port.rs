//! A client's socket, with an impaired network in between where one was asked for.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use arq::{Codepoint, wire};
use events::Time;
use labkit::socket::{self, Buffer};
use labkit::{Clock, Failure, Udp, batch};
use netsim::{Impairment, Link, Random, Tally};
use nix::errno::Errno;

use super::client::Asking;
use super::outgoing::hand_over;
use crate::marks::{hand_in, rewritten};

/// What is done to a client's datagrams on purpose, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impaired {
    /// What each direction does.
    pub impairment: Impairment,
    /// Where all its choices come from.
    pub seed: u64,
}

/// What the impairment did, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tallies {
    /// To the server.
    pub there: Tally,
    /// From the server.
    pub back: Tally,
}

/// A socket connected to one server: the kernel lets in nothing from anybody else.
#[derive(Debug)]
pub(super) struct Port {
    socket: Udp,
    pub(super) server: SocketAddr,
    pub(super) receive_buffer: Buffer,
    clock: Clock,
    /// Room for what has come, while any of it is here.
    incoming: Option<batch::Incoming>,
    /// How many datagrams the last call brought, and how many of them have been taken.
    here: usize,
    taken: usize,
    /// A datagram that comes out of the impaired network.
    delayed: Vec<u8>,
    links: Option<Box<Links>>,
    refused: u64,
    /// A datagram was refused because the way does not carry it whole.
    was_too_long: bool,
    /// The kernel tells how routers marked what comes (ECN).
    pub(super) hears_marks: bool,
}

/// Both directions of the impaired network, in real time. It holds what is on its way, at most its delay times the rate
/// of what passes.
#[derive(Debug)]
struct Links {
    there: Link<Vec<u8>>,
    back: Link<(Vec<u8>, Codepoint)>,
}

impl Port {
    /// A new socket, connected to `server`. `which` tells the ports of one run apart, so that each has its own losses.
    pub(super) fn open(server: SocketAddr, asking: &Asking, which: u64, clock: Clock) -> Result<Self, Failure> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = socket::bind_udp(any)?;
        let failed = |error: io::Error| Failure::io("reach", server, &error);
        socket2::SockRef::from(&socket).connect(&server.into()).map_err(failed)?;
        let receive_buffer = socket::receive_buffer(&socket, asking.receive_buffer).map_err(failed)?;
        let links = asking.impaired.as_ref().map(|impaired| {
            let seed = |way| Random::stream(impaired.seed, 2 * which + way).number();
            let impairment = || impaired.impairment.clone();
            Box::new(Links { there: Link::new(impairment(), seed(0)), back: Link::new(impairment(), seed(1)) })
        });
        // Who names a length gets it, in fragments if need be; else none is agreed on that the path does not carry whole.
        if asking.length.is_none()
            && let Err(error) = socket::never_fragment(&socket)
        {
            tracing::debug!("datagrams may travel in fragments: {error}");
        }
        let hears_marks = asking.ecn && batch::tell_tos(&socket, server.is_ipv4()).is_ok();
        if !hears_marks {
            tracing::debug!("nobody tells of marks");
        }
        let gathers = asking.offload && batch::gather(&socket).is_ok();
        if !gathers {
            tracing::debug!("datagrams come one by one");
        }
        Ok(Port {
            socket: Udp::new(socket).map_err(failed)?,
            server,
            receive_buffer,
            clock,
            incoming: None,
            here: 0,
            taken: 0,
            delayed: Vec::new(),
            links,
            refused: 0,
            was_too_long: false,
            hears_marks,
        })
    }

    /// Our own address.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// How long packets to the server may be, as far as the kernel knows.
    pub(super) fn mtu(&self) -> Option<u32> {
        socket::path_mtu(&self.socket)
    }

    /// Whether, since this was asked last, a datagram was too long to be sent whole.
    pub(super) fn was_too_long(&mut self) -> bool {
        std::mem::take(&mut self.was_too_long)
    }

    /// What the impairment did so far.
    pub(super) fn tallies(&self) -> Tallies {
        self.links
            .as_ref()
            .map_or_else(Tallies::default, |links| Tallies { there: links.there.tally(), back: links.back.tally() })
    }

    /// How often the other host said that nobody listens there. A forger can say so too, so once is not enough to give up.
    pub(super) fn refusals(&self) -> u64 {
        self.refused
    }

    /// Sends a datagram, or hands it to the impaired network. One that cannot be sent is a lost one, which is nothing new.
    pub(super) async fn send(&mut self, datagram: &[u8]) {
        match &mut self.links {
            None => {
                let sent = hand_over(&self.socket, datagram, None).await;
                self.note(sent);
            }
            Some(links) => {
                // What becomes of it is counted by the link.
                let _ = links.there.handle(self.clock.now(), kind(datagram), datagram.len(), datagram.to_vec());
                self.send_what_is_due().await;
            }
        }
    }

    /// Waits until a datagram may have come, but not beyond `until`.
    ///
    /// # Errors
    /// When the socket is of no use any more.
    pub(super) async fn wait(&mut self, until: Option<Time>) -> io::Result<()> {
        loop {
            self.send_what_is_due().await;
            let now = self.clock.now();
            let back = self.links.as_ref().and_then(|links| links.back.poll_timeout());
            let there = self.links.as_ref().and_then(|links| links.there.poll_timeout());
            let is_here = self.taken < self.here || back.is_some_and(|due| due <= now);
            if is_here || until.is_some_and(|until| until <= now) {
                return Ok(());
            }
            let due = [until, back, there].into_iter().flatten().min();
            let due = due.map_or(Duration::from_secs(3_600), |due| due - now);
            tokio::select! {
                readable = self.socket.readable() => return readable,
                () = tokio::time::sleep(due) => {}
            }
        }
    }

    /// The next datagram that is here, and how it came; none when there is none.
    pub(super) fn poll(&mut self) -> Option<(&mut [u8], Codepoint)> {
        if self.links.is_none() {
            let which = self.next_received()?;
            let incoming = self.incoming.as_mut()?;
            let ecn = Codepoint::of(incoming.tos(which));
            return incoming.datagram(which).map(|(bytes, _)| (bytes, ecn));
        }
        loop {
            let now = self.clock.now();
            if let Some(arrival) = self.links.as_mut()?.back.poll(now) {
                let (bytes, ecn) = arrival.packet;
                self.delayed = bytes;
                if let Some(damage) = arrival.damage {
                    damage.apply(&mut self.delayed);
                }
                return Some((&mut self.delayed, rewritten(ecn, arrival.ecn)));
            }
            let which = self.next_received()?;
            let incoming = self.incoming.as_mut()?;
            let ecn = Codepoint::of(incoming.tos(which));
            let (datagram, _) = incoming.datagram(which)?;
            let (kind, length, packet) = (kind(datagram), datagram.len(), (datagram.to_vec(), ecn));
            let _ = hand_in(&mut self.links.as_mut()?.back, now, kind, length, packet, ecn);
        }
    }

    /// Which of the received datagrams is next; more are received when none is left.
    fn next_received(&mut self) -> Option<usize> {
        while self.taken >= self.here {
            let (socket, incoming) = (&self.socket, self.incoming.get_or_insert_with(take_room));
            match socket.try_take(|socket| incoming.receive(socket)) {
                Ok(count) => (self.here, self.taken) = (count, 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.give_room_back();
                    return None;
                }
                // The kernel tells here what became of something that was sent: each is told once.
                Err(error) => self.note(Err(error)),
            }
        }
        self.taken += 1;
        Some(self.taken - 1)
    }

    /// Whether a datagram is here that need not be received any more.
    pub(super) fn has_received(&self) -> bool {
        self.taken < self.here
    }

    /// Where nothing is left in it, the room is for whoever receives next.
    pub(super) fn give_room_back(&mut self) {
        if !self.has_received()
            && let Some(room) = self.incoming.take()
        {
            (self.here, self.taken) = (0, 0);
            // One a thread is enough: while one port waits for the network, another may have made a second.
            ROOM.set(Some(room));
        }
    }

    async fn send_what_is_due(&mut self) {
        while let Some(mut arrival) = self.links.as_mut().and_then(|links| links.there.poll(self.clock.now())) {
            if let Some(damage) = arrival.damage {
                damage.apply(&mut arrival.packet);
            }
            let sent = hand_over(&self.socket, &arrival.packet, None).await;
            self.note(sent);
        }
    }

    fn note(&mut self, sent: io::Result<()>) {
        if let Err(error) = sent {
            self.refused += u64::from(error.kind() == io::ErrorKind::ConnectionRefused);
            self.was_too_long |= error.raw_os_error().map(Errno::from_raw) == Some(Errno::EMSGSIZE);
            tracing::trace!("{}: {error}", self.server);
        }
    }
}

thread_local! {
    /// Room nobody needs at the moment: what many ports of a process use in turn stays in the processor's cache, and a
    /// thousand of them need no more than one.
    static ROOM: Cell<Option<batch::Incoming>> = const { Cell::new(None) };
}

fn take_room() -> batch::Incoming {
    ROOM.take().unwrap_or_else(batch::Incoming::gathered)
}

/// What `drop=` goes by.
fn kind(datagram: &[u8]) -> &'static str {
    wire::decode(datagram).map_or("other", |datagram| datagram.kind())
}
