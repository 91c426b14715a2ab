//! The classic server: one socket, text commands, and each transfer on a thread of its own.
//!
//! What a stranger can cost is bounded: transfers at once, hosts remembered, entries looked at for a listing, answers
//! to nonsense. What cannot be bounded is where `TRANSFER` sends to, because the protocol asks nobody to prove their
//! address: therefore loopback, unless told otherwise.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use events::{Cause, Event, Outcome};
use labkit::units::{show_bytes, show_duration};
use labkit::{Failure, Session, Udp, socket, text};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use super::command::{self, Command, LARGEST_DATAGRAM};
use super::configurations::{Configuration, Configurations};
use super::pace::{Allowance, bytes_per_second};
use super::sending::{Sending, Sent};
use crate::FileName;
use crate::catalogue::{Catalogue, OpenError};

/// The port of the original.
pub const PORT: u16 = 6969;

/// How many answers to nonsense a second, to everybody together: two programs that answer each other's answers are
/// slowed down to nothing much.
const ANSWERS_TO_NONSENSE_A_SECOND: u32 = 10;

/// How many ended transfers the summary lists; all are counted.
const LISTED: usize = 1_000;

/// How often in a row receiving may fail before the server gives up, and how long it rests each time.
const FAILURES_IN_A_ROW: u32 = 100;
const REST: Duration = Duration::from_millis(10);

/// How much of a stranger's text a log line shows, in characters.
const SHOWN: usize = 80;

/// What a server does.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder whose files it serves.
    pub root: PathBuf,
    /// Where it listens; port 0 is any free one.
    pub bind: SocketAddr,
    /// Whether it may listen where others than this machine can ask. Anybody who can reach it can then have it send a
    /// whole file to an address of their choice.
    pub allow_reflection: bool,
    /// How many bytes a datagram of a transfer carries, from 1 to [`LARGEST_DATAGRAM`].
    pub length: usize,
    /// Payload bits per second of each transfer; `None`: as fast as the socket takes them, as in the original.
    pub bitrate: Option<NonZeroU64>,
    /// How many transfers at once.
    pub max_transfers: usize,
    /// How many hosts' configurations are remembered.
    pub max_hosts: usize,
}

impl Config {
    /// Serves `root` on 127.0.0.1:6969, as the original does: full datagrams, as fast as the socket takes them.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Config {
            root: root.into(),
            bind: (Ipv4Addr::LOCALHOST, PORT).into(),
            allow_reflection: false,
            length: LARGEST_DATAGRAM,
            bitrate: None,
            max_transfers: 64,
            max_hosts: 1024,
        }
    }
}

/// A server that is bound, and serves once it is run.
#[derive(Debug)]
pub struct Server {
    socket: Arc<Udp>,
    local: SocketAddr,
    catalogue: Catalogue,
    config: Config,
}

/// What a server did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Served {
    /// Commands understood, by kind.
    pub commands: u64,
    /// Transfers ended, in all.
    pub transfers: u64,
    /// Bytes handed to the network, in all.
    pub bytes: u64,
    /// Transfers not begun: too many at once, or nothing configured.
    pub refused: u64,
    /// Datagrams that were no command.
    pub nonsense: u64,
    /// The last transfers, in the order they ended.
    pub last: VecDeque<Sent>,
}

impl Server {
    /// Opens the folder and binds the socket. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is not loopback and reflection is not allowed, the folder cannot be read, or the port is taken.
    pub fn bind(config: Config) -> Result<Self, Failure> {
        check(&config)?;
        let catalogue = Catalogue::open(&config.root)?;
        let socket = socket::bind_udp(config.bind)?;
        let local = socket::local(&socket)?;
        let socket = Udp::new(socket).map_err(|error| Failure::io("prepare the socket on", local, &error))?;
        Ok(Server { socket: Arc::new(socket), local, catalogue, config })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until the session is asked to finish; transfers under way are broken off then.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn run(self, session: &Session) -> Result<Served, Failure> {
        session.tell_started(Some(self.local.to_string()), None);
        session.output.line(format!(
            "[server] listening on {}, serving {} (classic protocol)",
            self.local,
            self.catalogue.path().display()
        ));
        let mut serving = Serving::new(self, session.clone());
        let ended = serving.receive().await;
        while serving.end_one().await {}
        session.recorder.tell(|| Event::Finished { outcome: Outcome::Complete, reason: None });
        ended.map(|()| serving.served)
    }
}

/// The classic protocol on a socket that somebody else reads: whatever is none of theirs is handed over.
#[derive(Debug)]
pub(crate) struct Speaker(Server);

/// A [`Speaker`] at work.
pub(crate) struct Speaking(Serving);

impl Speaker {
    /// Opens the folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn new(config: Config, socket: Arc<Udp>, local: SocketAddr) -> Result<Self, Failure> {
        check_length(&config)?;
        let catalogue = Catalogue::open(&config.root)?;
        Ok(Speaker(Server { socket, local, catalogue, config }))
    }

    pub(crate) fn speak(self, session: Session) -> Speaking {
        Speaking(Serving::new(self.0, session))
    }
}

impl Speaking {
    /// Obeys a command. On a socket that others can reach as well, only loopback is obeyed, unless reflection is
    /// allowed: the kernel lets no datagram in from outside that says it comes from there.
    pub(crate) async fn handle(&mut self, datagram: &[u8], from: SocketAddr) {
        if from.ip().to_canonical().is_loopback() || self.0.server.config.allow_reflection {
            self.0.handle(datagram, from).await;
        } else {
            self.0.pass_over(datagram, from, "the classic protocol is for loopback; see --allow-reflection");
        }
    }

    /// Waits until a transfer ends; for ever when there is none.
    pub(crate) async fn ended(&mut self) {
        if !self.0.end_one().await {
            std::future::pending().await
        }
    }

    /// Waits for the transfers to end, which they do when the session is asked to.
    pub(crate) async fn finish(mut self) -> Served {
        while self.0.end_one().await {}
        self.0.served
    }
}

fn check(config: &Config) -> Result<(), Failure> {
    if !config.bind.ip().to_canonical().is_loopback() && !config.allow_reflection {
        return Err(Failure::usage(format!(
            "the classic protocol is not served on {}: whoever reaches it can have whole files sent to a forged address",
            config.bind
        ))
        .hint("--bind 127.0.0.1:6969, or --allow-reflection in a network where you trust everybody"));
    }
    check_length(config)
}

fn check_length(config: &Config) -> Result<(), Failure> {
    if !(1..=LARGEST_DATAGRAM).contains(&config.length) {
        return Err(Failure::usage(format!("a datagram carries from 1 to {LARGEST_DATAGRAM} bytes")));
    }
    Ok(())
}

/// A server at work.
struct Serving {
    server: Server,
    session: Session,
    configurations: Configurations,
    nonsense: Allowance,
    transfers: JoinSet<Sent>,
    begun: u64,
    served: Served,
}

impl Serving {
    fn new(server: Server, session: Session) -> Self {
        Serving {
            configurations: Configurations::new(server.config.max_hosts),
            nonsense: Allowance::new(ANSWERS_TO_NONSENSE_A_SECOND),
            transfers: JoinSet::new(),
            begun: 0,
            served: Served::default(),
            session,
            server,
        }
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        // One byte more than the longest command tells a command from the beginning of something longer.
        let mut buffer = [0; command::LONGEST_COMMAND + 1];
        let (socket, shutdown) = (self.server.socket.clone(), self.session.shutdown.clone());
        let mut failures = 0;
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                ended = self.transfers.join_next(), if !self.transfers.is_empty() => self.note_end(ended),
                received = socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => {
                        failures = 0;
                        self.handle(&buffer[..length], from).await;
                    }
                    Err(error) => {
                        failures += 1;
                        self.rest(error, failures).await?;
                    }
                },
            }
        }
    }

    async fn rest(&self, error: io::Error, failures: u32) -> Result<(), Failure> {
        if failures >= FAILURES_IN_A_ROW {
            return Err(Failure::io("receive on UDP", self.server.local, &error));
        }
        tracing::debug!("receiving failed: {error}");
        tokio::time::sleep(REST).await;
        Ok(())
    }

    async fn handle(&mut self, datagram: &[u8], from: SocketAddr) {
        if !command::may_be_answered(from, self.server.local.port()) || command::is_answer(datagram) {
            return self.pass_over(datagram, from, "it comes from a service, or is an answer");
        }
        match Command::parse(datagram) {
            Ok(command) => {
                self.served.commands += 1;
                tracing::info!("{from}: {}", text::show(command.to_text().as_bytes(), SHOWN));
                self.session.recorder.tell(|| Event::Received {
                    peer: from.to_string(),
                    what: command.kind().to_owned(),
                    number: None,
                    bytes: datagram.len() as u64,
                    name: None,
                    elapsed_ns: None,
                });
                self.obey(command, from).await;
            }
            Err(misfit) => {
                self.pass_over(datagram, from, &misfit.to_string());
                if self.nonsense.take(self.session.clock.now()) {
                    self.answer(from, &misfit.to_string()).await;
                }
            }
        }
    }

    /// Counts a datagram that is no command: the first is told, then every doubling, never each.
    fn pass_over(&mut self, datagram: &[u8], from: SocketAddr, why: &str) {
        self.served.nonsense += 1;
        if self.served.nonsense.is_power_of_two() {
            let (shown, count) = (text::show(datagram, SHOWN), self.served.nonsense);
            tracing::warn!("{from}: no command ({why}): {shown:?}; {count} such so far");
            self.session.recorder.tell(|| Event::Dropped {
                peer: from.to_string(),
                what: "nonsense".to_owned(),
                number: Some(count),
                bytes: datagram.len() as u64,
                cause: Cause::Foreign,
            });
        }
    }

    async fn obey(&mut self, command: Command, from: SocketAddr) {
        match command {
            Command::List => {
                let text = self.list().await;
                self.answer(from, &text).await;
            }
            Command::Size { name } => {
                let text = match self.size(&name).await {
                    Ok(size) => command::size_answer(size),
                    Err(reason) => command::error_answer(&reason),
                };
                self.answer(from, &text).await;
            }
            Command::Config { name, clients } => {
                let text = self.configure(name, clients, from).await;
                self.answer(from, &text).await;
            }
            // To the letter: whatever arrives on that socket is the file, so a refusal is told here and not there.
            Command::Transfer => {
                if let Err(reason) = self.begin(from) {
                    self.served.refused += 1;
                    if self.served.refused.is_power_of_two() {
                        tracing::warn!("{from}: no transfer: {reason}; {} such so far", self.served.refused);
                    }
                    self.session.recorder.tell(|| Event::Failed {
                        what: "transfer".to_owned(),
                        peer: Some(from.to_string()),
                        reason: reason.to_owned(),
                    });
                }
            }
        }
    }

    async fn list(&self) -> String {
        let catalogue = self.server.catalogue.clone();
        match off_the_loop(move || catalogue.list()).await {
            Ok(listing) => {
                if listing.passed_over > 0 || listing.is_cut {
                    tracing::debug!("{} entries are not offered; cut: {}", listing.passed_over, listing.is_cut);
                }
                command::list_answer(&listing)
            }
            Err(error) => {
                tracing::error!("cannot list {}: {error}", self.server.catalogue.path().display());
                command::error_answer("the folder cannot be read")
            }
        }
    }

    /// The size of a file that could be served now, in bytes; else a short reason.
    async fn size(&self, name: &FileName) -> Result<u64, String> {
        let (catalogue, wanted) = (self.server.catalogue.clone(), name.clone());
        match off_the_loop(move || catalogue.open_file(&wanted)).await {
            Ok(source) => Ok(source.size),
            Err(OpenError::Refused(error)) => {
                tracing::warn!("cannot open {name}: {error}");
                Err("the file cannot be opened".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn configure(&mut self, name: FileName, clients: u16, from: SocketAddr) -> String {
        if usize::from(clients) > self.server.config.max_transfers {
            return command::error_answer(&format!("at most {} clients at once", self.server.config.max_transfers));
        }
        match self.size(&name).await {
            Ok(size) => {
                tracing::info!("{from}: configured {name} ({}), clients: {clients}", show_bytes(size));
                self.configurations.set(from.ip(), Configuration { name, clients });
                command::CONFIG_SET.to_owned()
            }
            Err(reason) => command::error_answer(&reason),
        }
    }

    /// Begins a transfer to `to` of what its host has configured.
    fn begin(&mut self, to: SocketAddr) -> Result<(), &'static str> {
        let name = self.configurations.of(to.ip()).map(|configuration| configuration.name.clone());
        let name = name.ok_or("its host has configured nothing")?;
        // One that has just ended must not stand in the way of the next.
        while let Some(ended) = self.transfers.try_join_next() {
            self.note_end(Some(ended));
        }
        if self.transfers.len() >= self.server.config.max_transfers {
            return Err("too many at once (--max-transfers)");
        }
        self.begun += 1;
        let sending = Sending {
            socket: self.server.socket.clone(),
            catalogue: self.server.catalogue.clone(),
            name,
            to,
            number: self.begun,
            length: self.server.config.length,
            bitrate: self.server.config.bitrate,
            session: self.session.clone(),
        };
        // A thread each, as there: between two sends it waits for the disk.
        let runtime = Handle::current();
        self.transfers.spawn_blocking(move || runtime.block_on(sending.run()));
        Ok(())
    }

    /// Waits for one transfer to end; false when there is none.
    async fn end_one(&mut self) -> bool {
        let ended = self.transfers.join_next().await;
        let some = ended.is_some();
        self.note_end(ended);
        some
    }

    fn note_end(&mut self, ended: Option<Result<Sent, JoinError>>) {
        let sent = match ended {
            None => return,
            Some(Err(error)) => {
                tracing::error!("a transfer ended by a fault of ours: {error}");
                return;
            }
            Some(Ok(sent)) => sent,
        };
        let elapsed = Duration::from_nanos(sent.elapsed_ns);
        tracing::info!(
            "{}: sent {} of {} bytes of {} in {} datagrams and {} ({}/s){}",
            sent.to,
            sent.bytes,
            sent.size,
            sent.file,
            sent.datagrams,
            show_duration(elapsed),
            show_bytes(bytes_per_second(sent.bytes, elapsed)),
            sent.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
        );
        self.served.transfers += 1;
        self.served.bytes = self.served.bytes.saturating_add(sent.bytes);
        if self.served.last.len() == LISTED {
            self.served.last.pop_front();
        }
        self.served.last.push_back(sent);
    }

    async fn answer(&self, to: SocketAddr, text: &str) {
        match self.server.socket.send_to(text.as_bytes(), to).await {
            Ok(_) => self.session.recorder.tell(|| Event::Sent {
                peer: to.to_string(),
                what: "answer".to_owned(),
                number: None,
                bytes: text.len() as u64,
            }),
            Err(error) => tracing::debug!("{to}: cannot answer: {error}"),
        }
    }
}

/// Work that may wait for the disk, away from the receive loop's thread.
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use labkit::Exit;

    use super::*;

    #[tokio::test]
    async fn only_loopback_unless_told_otherwise() {
        for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let config = Config { bind: bind.parse().unwrap(), ..Config::new("/nonexistent") };
            let failure = Server::bind(config).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "USAGE"), "{bind}");
            assert!(failure.hint.unwrap().contains("--allow-reflection"));
        }
        let root = tempfile::tempdir().unwrap();
        for bind in ["127.0.0.1:0", "127.3.2.1:0"] {
            Server::bind(Config { bind: bind.parse().unwrap(), ..Config::new(root.path()) }).unwrap();
        }
    }
}
