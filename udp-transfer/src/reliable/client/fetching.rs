//! One file: asked for by its name, fetched into its part, gone on with after whatever broke off, verified, kept.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arq::catalogue::{Entry, FileName};
use arq::policy::Window;
use arq::wire::{BLOCK_OVERHEAD, Reply, Request};
use arq::{
    BlockNumber, CloseReason, Ecn, Failure as Broken, FileId, Layout, Marks, Outcome, RangeSet, Receiver,
    ReceiverConfig,
};
use events::Time;
use labkit::{Exit, Failure, Session, text};

use super::connection::{BUSY_AGAIN, BUSY_TIMES, Connection};
use super::driving::{Driving, Ended, PEER, SILENCE};
use super::report::{Hole, Result as Row};
use super::resting::{self, Resting};
use super::{Config, Verify, interrupted, late};
use crate::disk::part::{Folder, Part, whole_blocks};
use crate::reliable::gauge;

/// How often wrong chunks are fetched again before the file is given up. Each datagram has a checksum, so once is rare.
const REPAIRS: u32 = 3;
/// From this size on, a file's chunks are hashed by a thread of its own.
const WORTH_A_THREAD: u64 = 8 << 20;
/// The most holes told of one file.
const MOST_HOLES: usize = 1_000;

/// A file to fetch.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its number, and the number of its row.
    pub(super) number: u64,
    /// What the server calls it.
    pub(super) name: FileName,
    /// What it is called here.
    pub(super) target: FileName,
    /// How many bytes are here, for who shows it.
    pub(super) progress: Arc<AtomicU64>,
    /// How many there will be.
    pub(super) size: Arc<AtomicU64>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) result: Row,
    pub(super) entry: Option<Entry>,
    /// Bytes that came over the network as blocks that were wanted.
    pub(super) fetched: u64,
    /// Bytes that were here from an earlier run.
    pub(super) resumed: u64,
    /// How many blocks the server sent more than once; none where a transfer ended before it could say.
    pub(super) sent_again: Option<u64>,
    /// What the server found out about marks, where it could say; and how many blocks came with which.
    pub(super) ecn: Option<Ecn>,
    pub(super) marks: Marks,
    pub(super) path: String,
}

/// What stays the same for all files of a run.
pub(super) struct Fetching<'a> {
    pub(super) config: &'a Config,
    pub(super) folder: &'a Folder,
    pub(super) session: &'a Session,
    pub(super) until: Option<Time>,
}

impl Fetching<'_> {
    /// Fetches one file.
    pub(super) async fn fetch(&self, connection: &mut Connection, job: &Job) -> Fetched {
        let mut fetched = Fetched {
            result: Row::Failed(interrupted()),
            entry: None,
            fetched: 0,
            resumed: 0,
            sent_again: Some(0),
            ecn: None,
            marks: Marks::default(),
            path: text::show(self.folder.path_of(&job.target).display().to_string().as_bytes(), 4_096),
        };
        fetched.result = match self.try_fetch(connection, job, &mut fetched).await {
            Ok(result) => result,
            Err(failure) => Row::Failed(failure),
        };
        fetched
    }

    async fn try_fetch(&self, connection: &mut Connection, job: &Job, fetched: &mut Fetched) -> Result<Row, Failure> {
        let mut entry = self.within(find(connection, &job.name)).await??;
        job.size.store(entry.size, Ordering::Relaxed);
        fetched.entry = Some(entry.clone());
        if self.is_here_already(job, &entry).await? {
            job.progress.store(entry.size, Ordering::Relaxed);
            return Ok(Row::Already);
        }
        let mut part = self.folder.begin(&job.target, entry.size, entry.hash, self.config.existing)?;
        if self.config.verify == Verify::Nothing {
            part = part.unverified();
        } else if entry.size >= WORTH_A_THREAD && self.has_a_processor_to_spare() {
            part.hash_beside();
        }
        let mut right: Vec<Range<u64>> = Vec::new();
        if part.left_behind() > 0 {
            (part, right) = self.recheck(connection, entry.file, part).await?;
            fetched.resumed = length(&right);
            job.progress.store(fetched.resumed, Ordering::Relaxed);
        }
        let (mut repairs, mut refusals) = (0, 0);
        loop {
            let (ended, here) = self.drive(connection, job, &entry, &mut part, &right, fetched).await;
            match ended {
                Ended::Outcome(Outcome::Complete) => {
                    match self.finish(connection, entry.file, part, &mut repairs).await? {
                        None if self.config.verify == Verify::Nothing => return Ok(Row::Unverified),
                        None => return Ok(Row::Whole),
                        Some((again, still_right)) => (part, right) = (again, still_right),
                    }
                }
                Ended::Outcome(Outcome::Holes(_)) => return Ok(Row::Holes(here.holes())),
                // It has too many of ours just now; another moment it may not.
                Ended::Outcome(Outcome::Failed(Broken::ClosedByPeer(CloseReason::Busy))) if refusals < BUSY_TIMES => {
                    refusals += 1;
                    right = here.ranges();
                    self.within(tokio::time::sleep(BUSY_AGAIN)).await?;
                }
                Ended::Outcome(Outcome::Failed(broken)) => return Err(explain(broken, connection, &part)),
                Ended::Interrupted => return Err(kept(interrupted(), &part)),
                Ended::Late => return Err(kept(late(), &part)),
                Ended::Failed(failure) => return Err(failure),
                Ended::Renewed => {
                    tracing::info!("{}: the server knows us again; going on", connection.server());
                    right = here.ranges();
                    let found = self.within(find(connection, &job.name)).await??;
                    if found.hash != entry.hash {
                        return Err(changed(connection, &job.name));
                    }
                    entry = found;
                }
            }
        }
    }

    /// Whether a thread that hashes would not take its processor from another client.
    fn has_a_processor_to_spare(&self) -> bool {
        std::thread::available_parallelism().is_ok_and(|processors| processors.get() > self.config.clients.into())
    }

    /// Whether the file lies there under its final name, with these very bytes.
    async fn is_here_already(&self, job: &Job, entry: &Entry) -> Result<bool, Failure> {
        let (folder, target, size, hash) = (self.folder.clone(), job.target.clone(), entry.size, entry.hash);
        let watch = self.session.shutdown.clone();
        off_the_loop(move || folder.holds(&target, size, hash, &mut |_| flow_of(&watch))).await
    }

    /// Which bytes an earlier run left are right, by the values of the chunks.
    async fn recheck(
        &self,
        connection: &mut Connection,
        file: FileId,
        mut part: Part,
    ) -> Result<(Part, Vec<Range<u64>>), Failure> {
        let values = self.within(chunk_values(connection, file, part.chunking().count())).await??;
        let watch = self.session.shutdown.clone();
        off_the_loop(move || {
            let right = part.recheck(&values, &mut |_| flow_of(&watch))?;
            Ok((part, right))
        })
        .await
    }

    /// One transfer, from its opening to however it ends; and the blocks that are here then.
    async fn drive(
        &self,
        connection: &mut Connection,
        job: &Job,
        entry: &Entry,
        part: &mut Part,
        right: &[Range<u64>],
        fetched: &mut Fetched,
    ) -> (Ended, Here) {
        let layout = layout(connection, entry);
        let held = whole_blocks(right, layout);
        let before = held.len();
        let config = ReceiverConfig {
            peer: PEER,
            policy: self.config.reports.applied_to(self.config.policy),
            layout,
            file: entry.file,
            hash: entry.hash,
            rate: self.config.bitrate.unwrap_or(0),
            congestion: self.config.congestion,
            ecn: connection.port.hears_marks,
            held,
            credit: gauge::credit(
                connection.receive_buffer().granted,
                connection.agreed.datagram,
                connection.agreed.rtt,
            ),
            rtt: connection.agreed.rtt,
            listened_to: self.config.packets,
        };
        let flow = connection.new_flow();
        // A window that nobody widens would be used up meanwhile, and so would a small buffer.
        let may_rest = self.config.clients == 1
            && config.policy.window == Window::Congestion
            && config.credit >= resting::LEAST_CREDIT;
        let receiver = Receiver::new(connection.clock.now(), config);
        let mut driving = Driving {
            connection,
            receiver,
            part,
            layout,
            flow,
            session: self.session,
            number: job.number,
            until: self.until,
            progress: &job.progress,
            at_once: self.config.reports.at_once(),
            held_before: before,
            is_forgotten: false,
            resting: may_rest.then(|| Resting::new(self.session.clock.now())),
        };
        let ended = driving.run().await;
        if matches!(ended, Ended::Outcome(Outcome::Complete | Outcome::Holes(_))) {
            driving.say_goodbye().await;
        }
        let held = driving.receiver.held().clone();
        let new = held.len().saturating_sub(before);
        fetched.fetched += new.saturating_mul(u64::from(layout.block())).min(layout.size());
        let nothing_came = (new == 0).then_some(0);
        let again = driving.receiver.sent_again().or(nothing_came);
        fetched.sent_again = fetched.sent_again.zip(again).map(|(before, again)| before.saturating_add(again));
        fetched.ecn = driving.receiver.ecn().or(fetched.ecn);
        fetched.marks = fetched.marks.and(driving.receiver.marks());
        (ended, Here { held, layout })
    }

    /// Verifies and keeps the file; or tells which of its bytes are right, where some are not.
    async fn finish(
        &self,
        connection: &mut Connection,
        file: FileId,
        mut part: Part,
        repairs: &mut u32,
    ) -> Result<Finish, Failure> {
        let watch = self.session.shutdown.clone();
        let (part, verified) = off_the_loop(move || {
            let verified = part.verify(&mut |_| flow_of(&watch));
            (part, verified)
        })
        .await;
        match verified {
            Ok(()) => {
                // Not to be stopped any more: what is verified is kept.
                let _finished = off_the_loop(move || part.finish(&mut crate::disk::unwatched)).await?;
                Ok(None)
            }
            Err(failure) if failure.exit == Exit::Integrity && *repairs < REPAIRS => {
                *repairs += 1;
                tracing::warn!("{failure}; fetching what is wrong again");
                let (part, right) = self.recheck(connection, file, part).await?;
                Ok(Some((part, right)))
            }
            Err(failure) => Err(failure),
        }
    }

    /// What `work` gives, unless the deadline passes or somebody interrupts it first.
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        super::within(self.until, self.session, async { Ok(work.await) }).await
    }
}

/// Nothing is left to do; or the part, and which of its bytes are right.
type Finish = Option<(Part, Vec<Range<u64>>)>;

async fn find(connection: &mut Connection, name: &FileName) -> Result<Entry, Failure> {
    match connection.ask(Request::Find(name.clone())).await {
        Ok(Reply::Found(entry)) if entry.name == *name => Ok(entry),
        Ok(_) => Err(connection.nonsense("another answer than was asked for")),
        Err(error) => Err(connection.unanswered(&text::show(name.as_str().as_bytes(), 200), error)),
    }
}

/// The values of all chunks of a file; the disk sees whether they make its hash.
async fn chunk_values(connection: &mut Connection, file: FileId, count: u32) -> Result<Vec<[u8; 32]>, Failure> {
    let mut all: Vec<[u8; 32]> = Vec::new();
    while all.len() < count as usize {
        let from = u32::try_from(all.len()).unwrap_or(u32::MAX);
        match connection.ask(Request::Chunks { file, from }).await {
            Ok(Reply::Chunks { file: of, total, from: first, values })
                if of == file && total == count && first == from && !values.is_empty() =>
            {
                all.extend(values);
            }
            Ok(_) => return Err(connection.nonsense("another answer than was asked for")),
            Err(error) => return Err(connection.unanswered("the hashes of chunks", error)),
        }
    }
    all.truncate(count as usize);
    Ok(all)
}

fn layout(connection: &Connection, entry: &Entry) -> Layout {
    let overhead = u16::try_from(BLOCK_OVERHEAD).unwrap_or(u16::MAX);
    Layout::new(entry.size, connection.agreed.datagram.saturating_sub(overhead))
}

/// The blocks that are here, in the layout they came in: the next session may have another.
struct Here {
    held: RangeSet,
    layout: Layout,
}

impl Here {
    /// The bytes of these blocks.
    fn ranges(&self) -> Vec<Range<u64>> {
        let Here { held, layout } = self;
        held.iter().map(|range| layout.offset(range.start)..layout.offset(range.end)).collect()
    }

    /// What lies between and behind them.
    fn holes(&self) -> Vec<Hole> {
        let Here { held, layout } = self;
        held.gaps(BlockNumber(layout.blocks()))
            .take(MOST_HOLES)
            .map(|gap| Hole { from: layout.offset(gap.start), to: layout.offset(gap.end), blocks: gap.len() })
            .collect()
    }
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

fn changed(connection: &Connection, name: &FileName) -> Failure {
    let name = text::show(name.as_str().as_bytes(), 200);
    Failure::new(
        Exit::Partial,
        "CHANGED",
        format!("{name} was changed on {} while it was fetched", connection.server()),
    )
    .hint("run it again: what is the same in the new version is kept")
}

fn explain(broken: Broken, connection: &Connection, part: &Part) -> Failure {
    let server = connection.server();
    let partial = |code, message: String| Failure::new(Exit::Partial, code, message);
    let failure = match broken {
        Broken::Silence(_) => Failure::new(
            Exit::NobodyAnswered,
            "PEER-SILENT",
            format!("nothing was heard from {server} for {} s", SILENCE.as_secs()),
        ),
        Broken::ClosedByPeer(reason) => match reason {
            CloseReason::ShuttingDown => partial("SERVER-STOPPED", format!("{server} was stopped")),
            CloseReason::Changed => {
                partial("CHANGED", format!("the file was changed on {server} while it was fetched"))
            }
            CloseReason::NotFound => partial("NOT-FOUND", format!("the file was removed from {server}")),
            CloseReason::Storage => partial("SERVER-STORAGE", format!("{server} cannot read the file")),
            CloseReason::Busy => partial("SERVER-BUSY", format!("{server} has too many transfers of ours")),
            CloseReason::Stopped | CloseReason::Protocol | CloseReason::Silence => {
                partial("CLOSED", format!("{server} broke off: {reason}"))
            }
        },
        Broken::Closed(reason) => partial("CLOSED", reason.to_string()),
        Broken::Violation(violation) => partial("PROTOCOL", format!("{server} broke the rules: {violation}")),
    };
    kept(failure, part)
}

/// The same failure, with where what has come lies.
fn kept(failure: Failure, part: &Part) -> Failure {
    let path = part.part_path().display().to_string();
    failure.hint(format!("run it again: it goes on from {}", text::show(path.as_bytes(), 4_096)))
}

fn flow_of(shutdown: &labkit::Shutdown) -> std::ops::ControlFlow<()> {
    if shutdown.is_requested() { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
}

/// Work that may wait for the disk, away from the loop's thread.
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
