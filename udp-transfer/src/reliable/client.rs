//! The client of the reliable modes: lists what a server has, and fetches files whole or not at all.

mod connection;
mod driving;
mod fetching;
mod handshaking;
mod report;
mod resting;
mod working;
mod writing;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use arq::catalogue::{Entry, FileName};
use arq::congestion::Choice;
use arq::policy::{Policy, Reporting};
use arq::wire::{Reply, Request};
use arq::{CloseReason, NoReply};
use events::{Event, Time};
use labkit::target::{self, Family, Target};
use labkit::{Exit, Failure, Session};

use super::port::Impaired;
use crate::classic::server::PORT;
use crate::disk::part::Existing;
use crate::progress::Show;
use connection::Connection;

pub use report::{Hole, Report, Result, Row, Verdict};

/// Whom to ask, and over what network.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The server: a name or an address; port 6969 where none is given.
    pub server: Target,
    /// Which of its addresses are wanted.
    pub family: Family,
    /// When all of it must be done.
    pub deadline: Option<Duration>,
    /// The one datagram length to use; none to find out what the path carries.
    pub length: Option<u16>,
    /// What is done to datagrams on purpose.
    pub impaired: Option<Impaired>,
    /// The receive buffer to ask for, in bytes.
    pub receive_buffer: usize,
    /// Whether the kernel may hand over many datagrams as one.
    pub offload: bool,
    /// Whether the kernel is asked how routers marked what comes (ECN).
    pub ecn: bool,
}

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom to ask.
    pub asking: Asking,
    /// Which files.
    pub wanted: Wanted,
    /// How many clients at once, each with its own session and port.
    pub clients: u16,
    /// The mode.
    pub policy: Policy,
    /// The rate to ask for, in bits per second; none leaves it to the server.
    pub bitrate: Option<u64>,
    /// The congestion control to ask for; none leaves it to the server, as a window that never changes does.
    pub congestion: Option<Choice>,
    /// The folder files land in.
    pub output: PathBuf,
    /// What to do about files that are there already.
    pub existing: Existing,
    /// How often is reported what has come, where the mode leaves that open.
    pub reports: Reports,
    /// What is compared before a file is kept.
    pub verify: Verify,
    /// How progress is shown.
    pub show: Show,
    /// Whether each packet is an event.
    pub packets: bool,
}

/// How often is reported what has come, in selective repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reports {
    /// Once for all that was taken from the socket at once: one datagram on a slow path, up to 512 KiB of them on a fast one, where a
    /// report costs as much as some 30 KB of data.
    #[default]
    Batch,
    /// By the textbook's rule: each second datagram, or the first after 40 ms (RFC 1122 section 4.2.3.2).
    Tcp,
}

/// What is compared before a file is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// The whole file's hash, with the one it has at the server.
    #[default]
    Whole,
    /// Nothing: each datagram has its own checksum, and who wants to know how much the hash costs leaves it out.
    Nothing,
}

/// Which files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These. A single one by several clients is fetched by each of them, as `Cliente<i>-Prueba<N>.<ext>`.
    Named(Vec<FileName>),
    /// All there are.
    All,
}

impl Reports {
    /// TCP's, in Linux: the delayed acknowledgement's `TCP_DELACK_MIN`.
    const TCP_DELAY: Duration = Duration::from_millis(40);
    const TCP_EVERY: u32 = 2;

    /// The mode with these reports, where it leaves that open.
    fn applied_to(self, policy: Policy) -> Policy {
        match (self, policy.report) {
            (Reports::Tcp, Reporting::Delayed { .. }) => {
                Policy { report: Reporting::Delayed { every: Self::TCP_EVERY, delay: Self::TCP_DELAY }, ..policy }
            }
            _ => policy,
        }
    }

    /// How many blocks are stored before it is reported: no report claims what is not.
    fn at_once(self) -> u64 {
        match self {
            Reports::Batch => u64::MAX,
            Reports::Tcp => Self::TCP_EVERY.into(),
        }
    }
}

impl Asking {
    /// Asks `server` over the network as it is.
    #[must_use]
    pub fn new(server: Target) -> Self {
        let (family, receive_buffer) = (Family::Any, 8 << 20);
        Asking {
            server,
            family,
            deadline: None,
            length: None,
            impaired: None,
            receive_buffer,
            offload: true,
            ecn: true,
        }
    }
}

impl Config {
    /// Fetches `wanted` once into `output`, by selective repeat.
    #[must_use]
    pub fn new(asking: Asking, wanted: Wanted, output: impl Into<PathBuf>) -> Self {
        Config {
            asking,
            wanted,
            clients: 1,
            policy: Policy::SELECTIVE_REPEAT,
            bitrate: None,
            congestion: None,
            output: output.into(),
            existing: Existing::Keep,
            reports: Reports::default(),
            verify: Verify::default(),
            show: Show::Nothing,
            packets: false,
        }
    }
}

/// The files a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who answered.
    pub server: SocketAddr,
    /// The files, by name.
    pub entries: Vec<Entry>,
}

/// How many entries a client takes: a bound on its memory, whatever a server says.
const MOST_ENTRIES: u64 = 100_000;

/// Asks which files there are.
///
/// # Errors
/// When the name does not resolve, nobody answers, or the server refuses.
pub async fn list(asking: &Asking, session: &Session) -> std::result::Result<Listed, Failure> {
    let until = asking.deadline.map(|deadline| session.clock.now() + deadline);
    within(until, session, async {
        let mut connection = first_connection(asking, ALL, session).await?;
        let entries = all_entries(&mut connection).await;
        connection.leave().await;
        Ok(Listed { server: connection.server(), entries: entries? })
    })
    .await
}

/// Fetches files. What goes wrong with one of them is told in the report.
///
/// # Errors
/// When the output folder cannot be opened, the name does not resolve, nobody answers, or the server refuses.
pub async fn get(config: &Config, session: &Session) -> std::result::Result<Report, Failure> {
    working::run(config, session).await
}

/// The first question of who wants to know all there is.
const ALL: Request = Request::List { generation: 0, from: 0 };

/// Resolves the server's name and opens a session with the first of its addresses that answers; what will be
/// asked `first` is asked with the handshake.
async fn first_connection(
    asking: &Asking,
    first: Request,
    session: &Session,
) -> std::result::Result<Connection, Failure> {
    let addresses = target::resolve(&asking.server, PORT, asking.family).await?;
    session.recorder.tell(|| Event::Resolved {
        target: asking.server.to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    });
    let mut last = None;
    for &address in &addresses {
        match Connection::open(address, asking, 0, Some(first.clone()), session).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::usage("the server has no address")))
}

/// Every page of the catalogue; from the start again when it changes meanwhile.
async fn all_entries(connection: &mut Connection) -> std::result::Result<Vec<Entry>, Failure> {
    const TRIES: u32 = 10;
    let changed = || {
        Failure::new(Exit::Partial, "CATALOGUE-CHANGES", "the server's catalogue changes faster than it can be read")
            .hint("try again, or ask for one file by its name")
    };
    for _ in 0..TRIES {
        if let Some(entries) = pages(connection).await? {
            return Ok(entries);
        }
    }
    Err(changed())
}

/// Every page of one catalogue; none when it changed meanwhile.
async fn pages(connection: &mut Connection) -> std::result::Result<Option<Vec<Entry>>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut known = 0;
    loop {
        let from = entries.len() as u64;
        match connection.ask(Request::List { generation: known, from }).await {
            Ok(Reply::Page { generation, total, from: first, entries: page }) if first == from => {
                let is_first = from == 0;
                if (!is_first && generation != known) || total > MOST_ENTRIES {
                    return if total > MOST_ENTRIES { Err(connection.nonsense("too many files")) } else { Ok(None) };
                }
                known = generation;
                let nothing_new = page.is_empty();
                entries.extend(page);
                if entries.len() as u64 >= total || nothing_new {
                    entries.truncate(usize::try_from(total).unwrap_or(usize::MAX));
                    return Ok(Some(entries));
                }
            }
            Ok(_) => return Err(connection.nonsense("another answer than was asked for")),
            Err(NoReply::Denied(CloseReason::Changed)) => return Ok(None),
            Err(error) => return Err(connection.unanswered("list", error)),
        }
    }
}

/// What `work` gives, unless the deadline passes or somebody interrupts it first.
async fn within<T>(
    until: Option<Time>,
    session: &Session,
    work: impl Future<Output = std::result::Result<T, Failure>>,
) -> std::result::Result<T, Failure> {
    let left = until.map_or(Duration::from_secs(365 * 24 * 3_600), |until| until - session.clock.now());
    match session.shutdown.or(tokio::time::timeout(left, work)).await {
        None => Err(interrupted()),
        Some(Err(_)) => Err(late()),
        Some(Ok(done)) => done,
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "INTERRUPTED", "stopped before the end")
}

fn late() -> Failure {
    Failure::new(Exit::Deadline, "DEADLINE", "not done in time").hint("a longer --deadline; what has come is kept")
}
