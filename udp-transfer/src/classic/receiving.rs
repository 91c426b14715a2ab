//! One sub-client of the classic protocol: asks for the transfer from a port of its own, writes down whatever comes
//! until nothing has come for a while, and counts.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::Time;
use labkit::{Clock, Shutdown};

use super::command::{Command, LARGEST_DATAGRAM};

/// Small datagrams are collected up to here before they are written: one system call for many. Large ones are written
/// at once, because the socket's buffer fills while we write.
const WRITE_AT: usize = 32 * 1024;

/// How often a datagram that does not come is looked up from, to notice silence and Ctrl-C.
const SHORTEST_TICK: Duration = Duration::from_millis(10);
const LONGEST_TICK: Duration = Duration::from_millis(100);

/// After how many datagrams Ctrl-C is looked for while they keep coming.
const LOOK_UP_EVERY: u64 = 64;

/// What a sub-client is to do.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// Bound, blocking, not connected: the original may answer from another port.
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
    /// How long nothing may come before the transfer counts as over.
    pub(crate) silence: Duration,
    /// How many bytes the file has, where somebody told: with the last of them there is nothing left to wait for.
    pub(crate) size: Option<u64>,
    /// Where the number of bytes received can be seen meanwhile.
    pub(crate) progress: Arc<AtomicU64>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
}

/// What a sub-client got.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: u64,
    pub(crate) datagrams: u64,
    /// Datagrams from somebody else, thrown away.
    pub(crate) foreign: u64,
    /// Where the bytes came from.
    pub(crate) from: Option<SocketAddr>,
    /// From the question to the last byte, without the silence after it.
    pub(crate) elapsed: Duration,
    pub(crate) ended: Ended,
}

impl Received {
    fn nothing() -> Self {
        Received { bytes: 0, datagrams: 0, foreign: 0, from: None, elapsed: Duration::ZERO, ended: Ended::Interrupted }
    }
}

/// Why a sub-client stopped.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Every byte there is has come.
    Whole,
    /// Nothing came for so long.
    Silence,
    /// Ctrl-C.
    Interrupted,
    /// The question could not be sent, or the socket failed.
    Unreachable(io::Error),
    /// What came could not be written.
    Unwritten(io::Error),
}

impl Receiving {
    /// Asks, and writes to `file` what comes. Blocks its thread.
    pub(crate) fn run(&self, file: &File) -> Received {
        let started = self.clock.now();
        let mut received = Received::nothing();
        received.ended = self.ask().map_or_else(Ended::Unreachable, |()| self.collect(started, file, &mut received));
        received
    }

    fn ask(&self) -> io::Result<()> {
        self.socket.set_read_timeout(Some((self.silence / 4).clamp(SHORTEST_TICK, LONGEST_TICK)))?;
        self.socket.send_to(Command::Transfer.to_text().as_bytes(), self.server)?;
        Ok(())
    }

    fn collect(&self, started: Time, sink: impl Write, received: &mut Received) -> Ended {
        let mut pile = Pile::new(sink);
        let ended = self.pile_up(started, &mut pile, received);
        match (pile.put_away(), ended) {
            (Err(error), Ended::Whole | Ended::Silence | Ended::Interrupted) => Ended::Unwritten(error),
            (_, ended) => ended,
        }
    }

    fn pile_up(&self, started: Time, pile: &mut Pile<impl Write>, received: &mut Received) -> Ended {
        let mut last = started;
        loop {
            if self.size == Some(received.bytes) {
                return Ended::Whole;
            }
            if received.datagrams.is_multiple_of(LOOK_UP_EVERY) && self.shutdown.is_requested() {
                return Ended::Interrupted;
            }
            let written = match self.socket.recv_from(pile.room()) {
                Ok((length, from)) if self.is_ours(from, received.from) => {
                    last = self.clock.now();
                    received.from = Some(from);
                    received.bytes += length as u64;
                    received.datagrams += 1;
                    received.elapsed = last.since(started);
                    self.progress.store(received.bytes, Ordering::Relaxed);
                    pile.add(length)
                }
                // Strangers' datagrams are no sign of life: they must not keep us waiting.
                Ok(_) => {
                    received.foreign += 1;
                    if let Some(ended) = self.look_up(last) {
                        return ended;
                    }
                    Ok(())
                }
                Err(error) if is_tick(&error) => {
                    if let Some(ended) = self.look_up(last) {
                        return ended;
                    }
                    pile.put_away()
                }
                Err(error) => return Ended::Unreachable(error),
            };
            if let Err(error) = written {
                return Ended::Unwritten(error);
            }
        }
    }

    /// Whether there is a reason to stop, when nothing of ours has come since `last`.
    fn look_up(&self, last: Time) -> Option<Ended> {
        if self.shutdown.is_requested() {
            return Some(Ended::Interrupted);
        }
        (self.clock.now().since(last) >= self.silence).then_some(Ended::Silence)
    }

    /// Whether a datagram from `from` belongs to this transfer: from the server's host, and, once something came, from
    /// that very port.
    fn is_ours(&self, from: SocketAddr, first: Option<SocketAddr>) -> bool {
        first.map_or(from.ip() == self.server.ip(), |first| from == first)
    }
}

/// No datagram within the socket's time-out, or a signal came between.
fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Datagrams received into one buffer, side by side, written together: one allocation for all of them, and no copy.
struct Pile<W: Write> {
    buffer: Vec<u8>,
    filled: usize,
    sink: W,
}

impl<W: Write> Pile<W> {
    fn new(sink: W) -> Self {
        Pile { buffer: vec![0; WRITE_AT + LARGEST_DATAGRAM + 1], filled: 0, sink }
    }

    /// Room for the largest datagram there is.
    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes the `length` bytes just received into the room.
    fn add(&mut self, length: usize) -> io::Result<()> {
        self.filled += length;
        if self.filled >= WRITE_AT { self.put_away() } else { Ok(()) }
    }

    fn put_away(&mut self) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        self.sink.write_all(&self.buffer[..filled])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Small {
        room: usize,
        written: Vec<u8>,
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= bytes.len();
            self.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").unwrap()
    }

    /// A sub-client and the server it will ask.
    fn pair(size: Option<u64>) -> (Receiving, UdpSocket) {
        let server = socket();
        let receiving = Receiving {
            socket: socket(),
            server: server.local_addr().unwrap(),
            silence: Duration::from_millis(50),
            size,
            progress: Arc::default(),
            clock: Clock::start(),
            shutdown: Shutdown::manual(),
        };
        receiving.ask().unwrap();
        (receiving, server)
    }

    fn collect(receiving: &Receiving, sink: impl Write) -> Received {
        let mut received = Received::nothing();
        received.ended = receiving.collect(receiving.clock.now(), sink, &mut received);
        received
    }

    fn roomy() -> Small {
        Small { room: usize::MAX, written: Vec::new() }
    }

    #[test]
    fn what_comes_is_written_in_order_and_counted() {
        let (receiving, server) = pair(None);
        let to = receiving.socket.local_addr().unwrap();
        let parts = [vec![1; 1], vec![2; 60_000], vec![], vec![3; 7], vec![4; 30_000]];
        for part in &parts {
            server.send_to(part, to).unwrap();
        }
        let mut disk = roomy();
        let received = collect(&receiving, &mut disk);
        assert!(matches!(received.ended, Ended::Silence), "{received:?}");
        assert_eq!((received.bytes, received.datagrams, received.foreign), (90_008, 5, 0));
        assert_eq!(received.from, server.local_addr().ok());
        assert_eq!(disk.written, parts.concat());
        assert_eq!(receiving.progress.load(Ordering::Relaxed), 90_008);
    }

    #[test]
    fn when_the_size_is_known_nobody_waits_for_silence() {
        let (receiving, server) = pair(Some(3));
        let receiving = Receiving { silence: Duration::from_secs(3600), ..receiving };
        server.send_to(b"abc", receiving.socket.local_addr().unwrap()).unwrap();
        assert!(matches!(collect(&receiving, &mut roomy()).ended, Ended::Whole));
        let (nothing_to_wait_for, _server) = pair(Some(0));
        assert!(matches!(collect(&nothing_to_wait_for, &mut roomy()).ended, Ended::Whole));
    }

    #[test]
    fn a_transfer_has_one_source() {
        let (receiving, server) = pair(None);
        let to = receiving.socket.local_addr().unwrap();
        let other_port = socket();
        other_port.send_to(b"first", to).unwrap();
        server.send_to(b"from the port asked, too late", to).unwrap();
        let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
        stranger.send_to(b"from another host", to).unwrap();
        other_port.send_to(b" second", to).unwrap();
        let mut disk = roomy();
        let received = collect(&receiving, &mut disk);
        assert_eq!((disk.written.as_slice(), received.foreign), (&b"first second"[..], 2));
        assert_eq!(received.from, other_port.local_addr().ok());
    }

    #[test]
    fn a_full_disk_ends_it_with_that_reason() {
        let (receiving, server) = pair(None);
        server.send_to(&[7; 40_000], receiving.socket.local_addr().unwrap()).unwrap();
        let received = collect(&receiving, Small { room: 10, written: Vec::new() });
        assert!(
            matches!(&received.ended, Ended::Unwritten(error) if error.kind() == io::ErrorKind::StorageFull),
            "{received:?}"
        );
        let (receiving, server) = pair(None);
        server.send_to(&[7; 40], receiving.socket.local_addr().unwrap()).unwrap();
        let small = collect(&receiving, Small { room: 10, written: Vec::new() });
        assert!(matches!(small.ended, Ended::Unwritten(_)), "also when it is noticed at the end: {small:?}");
    }

    #[test]
    fn a_request_to_finish_is_noticed() {
        let (receiving, _server) = pair(None);
        let receiving = Receiving { silence: Duration::from_secs(3600), ..receiving };
        receiving.shutdown.request();
        assert!(matches!(collect(&receiving, &mut roomy()).ended, Ended::Interrupted));
    }
}
