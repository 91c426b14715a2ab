//! One transfer of the classic protocol, server side: the file's bytes in datagrams, as fast as the socket takes them
//! or at a given rate, and nothing else: no numbers, no acknowledgements, no end mark.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use events::{Event, Outcome, Unit};
use labkit::units::show_duration;
use labkit::{Session, Udp, text};
use nix::errno::Errno;
use serde::{Serialize, Serializer};

use super::pace::Pacer;
use crate::FileName;
use crate::catalogue::{Catalogue, Source};

/// How much one read takes: some datagrams, but no more bytes (or one datagram) than are still in the processor's cache when
/// they are sent, which saves more than reading more often costs.
const DATAGRAMS_A_READ: usize = 16;
const READ_BYTES: usize = 128 << 10;

/// How long the socket may take nothing before a transfer is given up.
const STUCK: Duration = Duration::from_secs(30);

/// How long to wait when the system is out of buffers, and how often in a row.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(1);
const PAUSES_IN_A_ROW: u32 = 1_000;

/// A transfer to make.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    /// The server's one socket: the bytes come from the port that was asked.
    pub(crate) socket: Arc<Udp>,
    pub(crate) catalogue: Catalogue,
    pub(crate) name: FileName,
    pub(crate) to: SocketAddr,
    /// Which transfer of this server it is, counted from 1.
    pub(crate) number: u64,
    /// How many bytes a datagram carries.
    pub(crate) length: usize,
    /// Payload bits per second; `None`: as fast as the socket takes them.
    pub(crate) bitrate: Option<NonZeroU64>,
    pub(crate) session: Session,
}

/// What came of a transfer. That it was sent says nothing about what arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// Which transfer of this server it was, counted from 1.
    pub transfer: u64,
    /// To whom.
    #[serde(serialize_with = "as_text")]
    pub to: SocketAddr,
    /// The file.
    pub file: FileName,
    /// How many bytes the file had when it was opened.
    pub size: u64,
    /// How many bytes were handed to the network.
    pub bytes: u64,
    /// In how many datagrams.
    pub datagrams: u64,
    /// How long the server had been running when it was begun, in nanoseconds.
    pub begun_ns: u64,
    /// How long that took, in nanoseconds.
    pub elapsed_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where it did not end with the whole file sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn as_text<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What stopped a transfer before its end.
enum Stop {
    /// The server is to finish.
    Interrupted,
    /// Something went wrong.
    Failed(String),
}

impl Sending {
    /// Opens the file and sends it. Reads the disk between sends, so it wants a thread of its own.
    pub(crate) async fn run(self) -> Sent {
        let started = self.session.clock.elapsed();
        self.session
            .recorder
            .tell_in(self.number, || Event::Phase { name: format!("transfer of {} to {}", self.name, self.to) });
        let mut sent = Sent {
            transfer: self.number,
            to: self.to,
            file: self.name.clone(),
            size: 0,
            bytes: 0,
            datagrams: 0,
            begun_ns: nanos(started),
            elapsed_ns: 0,
            outcome: Outcome::Complete,
            reason: None,
        };
        let ended = match self.catalogue.open_file(&self.name) {
            Ok(source) => {
                sent.size = source.size;
                self.send(&source, &mut sent).await
            }
            Err(error) => Err(Stop::Failed(error.to_string())),
        };
        sent.elapsed_ns = nanos(self.session.clock.elapsed() - started);
        (sent.outcome, sent.reason) = match ended {
            Ok(()) => (Outcome::Complete, None),
            Err(Stop::Interrupted) => (Outcome::Interrupted, Some("the server was stopped".to_owned())),
            Err(Stop::Failed(reason)) if sent.bytes > 0 => (Outcome::Partial, Some(reason)),
            Err(Stop::Failed(reason)) => (Outcome::Failed, Some(reason)),
        };
        self.tell(&sent);
        sent
    }

    async fn send(&self, source: &Source, sent: &mut Sent) -> Result<(), Stop> {
        let mut pacer = self.bitrate.map(|bitrate| Pacer::new(bitrate, self.session.clock.now()));
        let mut buffer = vec![0; self.length * (READ_BYTES / self.length).clamp(1, DATAGRAMS_A_READ)];
        while sent.bytes < source.size {
            let wanted = usize::try_from(source.size - sent.bytes).unwrap_or(usize::MAX).min(buffer.len());
            let read = read_at(&source.file, &mut buffer[..wanted], sent.bytes)
                .map_err(|error| Stop::Failed(format!("cannot read it: {error}")))?;
            if read == 0 {
                return Err(Stop::Failed(format!("it shrank to {} bytes while being sent", sent.bytes)));
            }
            for datagram in buffer[..read].chunks(self.length) {
                if self.session.shutdown.is_requested() {
                    return Err(Stop::Interrupted);
                }
                if let Some(pacer) = &mut pacer {
                    self.wait_for(pacer, datagram.len()).await?;
                }
                self.send_one(datagram).await?;
                sent.bytes += datagram.len() as u64;
                sent.datagrams += 1;
            }
        }
        Ok(())
    }

    async fn wait_for(&self, pacer: &mut Pacer, bytes: usize) -> Result<(), Stop> {
        let wait = pacer.wait(self.session.clock.now());
        if !wait.is_zero() {
            self.session.shutdown.or(tokio::time::sleep(wait)).await.ok_or(Stop::Interrupted)?;
        }
        pacer.sent(bytes, self.session.clock.now());
        Ok(())
    }

    async fn send_one(&self, datagram: &[u8]) -> Result<(), Stop> {
        // Nearly always there is room: then no timer is set and nothing is waited for.
        if self.socket.sending().send_to(datagram, self.to).is_ok() {
            return Ok(());
        }
        for _ in 0..PAUSES_IN_A_ROW {
            let sending = tokio::time::timeout(STUCK, self.socket.send_to(datagram, self.to));
            match self.session.shutdown.or(sending).await {
                None => return Err(Stop::Interrupted),
                Some(Ok(Ok(_))) => return Ok(()),
                Some(Ok(Err(error))) if is_out_of_buffers(&error) => tokio::time::sleep(PAUSE_WHEN_FULL).await,
                Some(Ok(Err(error))) => return Err(Stop::Failed(explain(&error, datagram.len()))),
                Some(Err(_)) => break,
            }
        }
        Err(Stop::Failed(format!("the socket took nothing for {}", show_duration(STUCK))))
    }

    fn tell(&self, sent: &Sent) {
        let recorder = &self.session.recorder;
        let peer = self.to.to_string();
        recorder.tell_in(self.number, || Event::Sent {
            peer: peer.clone(),
            what: "file".to_owned(),
            number: None,
            bytes: sent.bytes,
        });
        for (name, value, unit) in [
            ("file_size", sent.size, Unit::Bytes),
            ("datagrams_sent", sent.datagrams, Unit::Count),
            ("transfer_time", sent.elapsed_ns, Unit::Nanoseconds),
        ] {
            recorder.tell_in(self.number, || Event::Measured {
                name: name.to_owned(),
                value,
                unit,
                peer: Some(peer.clone()),
            });
        }
        recorder.tell_in(self.number, || Event::Finished { outcome: sent.outcome, reason: sent.reason.clone() });
    }
}

/// As many bytes from `offset` on as there are, up to the buffer's length.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// ENOBUFS: the interface's queue is full (send(2)). A moment later it is not.
fn is_out_of_buffers(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOBUFS)
}

fn explain(error: &io::Error, length: usize) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMSGSIZE) => {
            format!("datagrams of {length} bytes do not fit the way there: a smaller --length may")
        }
        _ => format!("cannot send: {}", text::show(error.to_string().as_bytes(), 200)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_gives_all_there_is_at_that_place() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 5 << 30).unwrap();
        let mut buffer = [0; 6];
        assert_eq!(read_at(&file, &mut buffer, (5 << 30) + 2).unwrap(), 6);
        assert_eq!(&buffer, b"234567");
        assert_eq!(read_at(&file, &mut buffer, (5 << 30) + 8).unwrap(), 2);
        assert_eq!(read_at(&file, &mut buffer, (5 << 30) + 10).unwrap(), 0);
    }
}
