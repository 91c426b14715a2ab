//! A sub-client and its file: a socket, what comes to it, what that is worth, and whether it is kept.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use events::Event;
use labkit::socket::{self, Buffer};
use labkit::{Exit, Failure, Session};
use tokio::net::UdpSocket;

use super::client::{Options, Size};
use super::command::Command;
use super::receiving::{Ended, Received, Receiving};
use crate::drops;
use crate::landing::Landing;
use crate::report::{Client, Got, ReceiveBuffer};

/// How many bytes are compared at once.
const COMPARED_AT_ONCE: usize = 64 * 1024;

/// One sub-client, ready to run.
pub(super) struct SubClient {
    number: u16,
    receiving: Receiving,
    local: SocketAddr,
    buffer: Buffer,
    landing: Landing,
    reference: Option<PathBuf>,
    session: Session,
}

impl SubClient {
    /// Binds its socket, with the receive buffer asked for.
    ///
    /// # Errors
    /// When the system refuses a socket.
    pub(super) fn prepare(
        number: u16,
        options: &Options,
        server: SocketAddr,
        size: Option<u64>,
        landing: Landing,
        session: &Session,
    ) -> Result<Self, Failure> {
        let any = match server.ip() {
            IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = socket::bind_udp(any)?;
        let failed = |error: io::Error| Failure::io("prepare a socket for", server, &error);
        let buffer = socket::receive_buffer(&socket, options.receive_buffer).map_err(failed)?;
        let local = socket::local(&socket)?;
        let receiving = Receiving {
            socket: blocking(socket).map_err(failed)?,
            server,
            silence: options.silence,
            size,
            progress: Arc::new(AtomicU64::new(0)),
            clock: session.clock,
            shutdown: session.shutdown.clone(),
        };
        let reference = match &options.size {
            Size::Reference(path) => Some(path.clone()),
            _ => None,
        };
        Ok(SubClient { number, receiving, local, buffer, landing, reference, session: session.clone() })
    }

    /// Where its bytes are counted meanwhile.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        self.receiving.progress.clone()
    }

    /// Asks, receives, and says what came of it. Blocks its thread.
    pub(super) fn run(self) -> Client {
        let (size, server, silence) = (self.receiving.size, self.receiving.server, self.receiving.silence);
        self.session.recorder.tell_in(self.number.into(), || Event::Sent {
            peer: server.to_string(),
            what: Command::Transfer.kind().to_owned(),
            number: None,
            bytes: Command::Transfer.to_text().len() as u64,
        });
        let received = self.receiving.run(self.landing.file());
        let kernel_drops = drops::of_socket(self.local); // While the socket is still open.
        if matches!(received.ended, Ended::Silence) {
            self.session.recorder.tell_in(self.number.into(), || Event::Expired {
                what: "silence".to_owned(),
                peer: Some(server.to_string()),
                after_ns: nanos(silence),
            });
        }
        let mut client = Client {
            client: self.number,
            path: None,
            result: judge(&received, size),
            bytes: received.bytes,
            datagrams: received.datagrams,
            elapsed_ns: nanos(received.elapsed),
            client_port: self.local.port(),
            server_port: received.from.map(|from| from.port()),
            receive_buffer: ReceiveBuffer { asked: self.buffer.asked, granted: self.buffer.granted },
            kernel_drops,
            foreign: received.foreign,
            problem: problem(&received.ended, server, &self.landing),
        };
        if let (Got::Whole, Some(reference)) = (client.result, &self.reference) {
            match is_same(self.landing.file(), reference) {
                Ok(true) => {}
                Ok(false) => client.result = Got::Wrong,
                Err(error) => client.problem = Some(Failure::io("compare with", reference.display(), &error)),
            }
        }
        self.keep(&mut client, size == Some(0));
        client
    }

    /// Keeps what came, if anything did; what broke off takes the place of nothing, `--force` or not.
    fn keep(self, client: &mut Client, is_empty_file: bool) {
        let nothing_came = client.bytes == 0 && !(is_empty_file && client.result == Got::Whole);
        if nothing_came || (client.result == Got::Broken && self.landing.replaces()) {
            return;
        }
        let path = self.landing.path().display().to_string();
        match self.landing.keep() {
            Ok(()) => client.path = Some(path),
            Err(failure) => {
                client.result = Got::Broken;
                client.problem = Some(failure);
            }
        }
    }
}

fn judge(received: &Received, size: Option<u64>) -> Got {
    match (&received.ended, size) {
        (Ended::Interrupted | Ended::Unreachable(_) | Ended::Unwritten(_), _) => Got::Broken,
        (Ended::Whole, _) => Got::Whole,
        (Ended::Silence, Some(size)) if received.bytes > size => Got::Wrong,
        (Ended::Silence, _) if received.bytes == 0 => Got::Nothing,
        (Ended::Silence, Some(_)) => Got::Part,
        (Ended::Silence, None) => Got::Unknown,
    }
}

fn problem(ended: &Ended, server: SocketAddr, landing: &Landing) -> Option<Failure> {
    match ended {
        Ended::Whole | Ended::Silence | Ended::Interrupted => None,
        Ended::Unreachable(error) => Some(Failure::io("exchange datagrams with", server, error)),
        Ended::Unwritten(error) => Some(Failure::io("write", landing.path().display(), error).exit(Exit::Partial)),
    }
}

/// Whether a file that was written has the bytes of the one at `reference`. Both are read from their beginning.
fn is_same(written: &File, reference: &Path) -> io::Result<bool> {
    let (mut ours, mut theirs) = (vec![0; COMPARED_AT_ONCE], vec![0; COMPARED_AT_ONCE]);
    let mut reference = File::open(reference)?;
    let mut offset = 0;
    loop {
        let read = reference.read(&mut theirs)?;
        if read == 0 {
            return Ok(written.read_at(&mut ours, offset)? == 0);
        }
        match written.read_exact_at(&mut ours[..read], offset) {
            Ok(()) if ours[..read] == theirs[..read] => offset += read as u64,
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

fn blocking(socket: UdpSocket) -> io::Result<std::net::UdpSocket> {
    let socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    Ok(socket)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_ending_is_judged_by_what_is_known_of_the_size() {
        let received =
            |bytes, ended| Received { bytes, datagrams: 1, foreign: 0, from: None, elapsed: Duration::ZERO, ended };
        for (bytes, size, got) in [
            (0, None, Got::Nothing),
            (0, Some(9), Got::Nothing),
            (5, None, Got::Unknown),
            (5, Some(9), Got::Part),
            (10, Some(9), Got::Wrong),
        ] {
            assert_eq!(judge(&received(bytes, Ended::Silence), size), got, "{bytes} of {size:?}");
        }
        assert_eq!(judge(&received(9, Ended::Whole), Some(9)), Got::Whole);
        assert_eq!(judge(&received(9, Ended::Interrupted), Some(9)), Got::Broken);
    }

    #[test]
    fn the_same_bytes_are_the_same_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let reference = folder.path().join("reference");
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        std::fs::write(&reference, &bytes).unwrap();
        let mut changed = bytes.clone();
        changed[150_000] ^= 1;
        for (written, same) in
            [(&bytes[..], true), (&bytes[1..], false), (&changed[..], false), (&[&bytes[..], b"x"].concat(), false)]
        {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(written).unwrap();
            assert_eq!(is_same(&file, &reference).unwrap(), same, "{} bytes", written.len());
        }
    }
}
