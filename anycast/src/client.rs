//! Asks one of several replicas: resolves every target, tries the candidates in the chosen order, tallies the answers.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Event, Outcome};
use labkit::target::{self, Family, Target};
use labkit::{Exit, Failure, Session};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use crate::chooser::{Chooser, Pick};
use crate::greeting::Greeting;
use crate::tally::Tally;

/// How long a client waits for the replica's end of the stream once the greeting is whole.
const WAIT_FOR_CLOSE: Duration = Duration::from_millis(250);

/// What a client does.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom to ask: names or addresses.
    pub targets: Vec<Target>,
    /// The port of targets that name none.
    pub port: u16,
    /// Which addresses are wanted.
    pub family: Family,
    /// How one of the candidates is picked.
    pub pick: Pick,
    /// Where random choices come from.
    pub seed: u64,
    /// How many connections to make; `None`: until asked to finish.
    pub count: Option<u64>,
    /// How many at once.
    pub concurrency: usize,
    /// The time from the start of one connection to the start of the next.
    pub interval: Duration,
    /// How many candidates to try for one connection before giving up on it.
    pub tries: usize,
    /// How long one try may take, from connect to greeting.
    pub timeout: Duration,
    /// How long the whole run may take.
    pub deadline: Option<Duration>,
}

/// A target and what it stands for.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// As given.
    pub target: Target,
    /// Its addresses, or why there are none.
    pub answer: Result<Vec<SocketAddr>, Failure>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The targets and their addresses.
    pub resolved: Vec<Resolved>,
    /// Who answered.
    pub tally: Tally,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub ended: Ended,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every connection was made, answered or not.
    Done,
    /// The deadline came first.
    Deadline,
    /// Somebody stopped it.
    Interrupted,
}

impl Asked {
    /// The exit code this run deserves.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.ended, self.tally.answers(), self.tally.unanswered()) {
            (Ended::Interrupted, _, _) => Exit::Interrupted,
            (Ended::Deadline, _, _) => Exit::Deadline,
            (Ended::Done, 0, 1..) => Exit::NobodyAnswered,
            (Ended::Done, _, 1..) => Exit::Partial,
            (Ended::Done, _, 0) => Exit::Done,
        }
    }
}

/// Resolves, asks, tallies.
///
/// # Errors
/// When no target has an address.
pub async fn run(config: Config, session: &Session) -> Result<Asked, Failure> {
    session.tell_started(None, Some(config.seed));
    let started = session.clock.now();
    let resolved = resolve_all(&config, session).await?;
    let candidates: Vec<SocketAddr> =
        resolved.iter().filter_map(|one| one.answer.as_ref().ok()).flatten().copied().collect();
    tracing::info!("{} candidates, picked {}, seed {}", candidates.len(), shown(config.pick), config.seed);

    let chooser = Chooser::new(config.pick, candidates.len(), config.seed);
    let asking = Arc::new(Asking {
        candidates,
        tally: Mutex::default(),
        complained: Mutex::default(),
        config,
        session: session.clone(),
    });
    let ended = asking.clone().ask_all(chooser).await;
    let tally = lock(&asking.tally).clone();
    let asked = Asked { resolved, tally, elapsed: session.clock.now() - started, ended };
    session
        .recorder
        .tell(|| Event::Finished { outcome: outcome(&asked), reason: asked.tally.first_failure().map(str::to_owned) });
    Ok(asked)
}

fn outcome(asked: &Asked) -> Outcome {
    match (asked.ended, asked.tally.answers(), asked.tally.unanswered()) {
        (Ended::Interrupted, _, _) => Outcome::Interrupted,
        (_, 0, _) => Outcome::Failed,
        (Ended::Done, _, 0) => Outcome::Complete,
        _ => Outcome::Partial,
    }
}

fn shown(pick: Pick) -> &'static str {
    match pick {
        Pick::Random => "at random",
        Pick::RoundRobin => "in turn",
        Pick::First => "in the resolver's order",
    }
}

/// Looks every target up. One that has no address is told and passed over; all of them is a failure.
async fn resolve_all(config: &Config, session: &Session) -> Result<Vec<Resolved>, Failure> {
    let mut resolved: Vec<Resolved> = Vec::new();
    for target in &config.targets {
        let answer = target::resolve(target, config.port, config.family).await;
        match &answer {
            Ok(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                session.output.line(format!("{target} is {}", addresses.join(", ")));
                session.recorder.tell(|| Event::Resolved { target: target.to_string(), addresses });
            }
            Err(failure) => {
                tracing::warn!("{}", failure.message);
                session.recorder.tell(|| Event::Failed {
                    what: "resolve".to_owned(),
                    peer: Some(target.to_string()),
                    reason: failure.message.clone(),
                });
            }
        }
        resolved.push(Resolved { target: target.clone(), answer });
    }
    let first_failure = resolved.iter().find_map(|one| one.answer.as_ref().err());
    match (resolved.iter().any(|one| one.answer.is_ok()), first_failure) {
        (true, _) => Ok(resolved),
        (false, Some(failure)) => Err(failure.clone()),
        (false, None) => Err(Failure::usage("no target given")),
    }
}

/// What every connection of a run shares.
struct Asking {
    candidates: Vec<SocketAddr>,
    tally: Mutex<Tally>,
    complained: Mutex<HashSet<SocketAddr>>,
    config: Config,
    session: Session,
}

/// A poisoned lock means a task panicked while counting; the counts are still counts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asking {
    /// Makes every connection: starts them at the interval, never more at once than allowed.
    async fn ask_all(self: Arc<Self>, mut chooser: Chooser) -> Ended {
        let tasks = TaskTracker::new();
        let stop = self.session.shutdown.child();
        let work = async {
            let slots = Arc::new(Semaphore::new(self.config.concurrency));
            let mut ticks =
                (self.config.interval > Duration::ZERO).then(|| tokio::time::interval(self.config.interval));
            if let Some(ticks) = &mut ticks {
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            }
            for flow in 0..self.config.count.unwrap_or(u64::MAX) {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
                let (asking, stop, order) = (self.clone(), stop.clone(), chooser.order());
                tasks.spawn(async move {
                    // One that is cut short is neither answered nor failed: it was not allowed to end.
                    let _ = stop.or(asking.ask_one(flow, order)).await;
                    drop(slot);
                });
            }
            tasks.close();
            tasks.wait().await;
        };
        let ended = tokio::select! {
            () = work => Ended::Done,
            // Without a count to reach, being stopped is how it ends.
            () = self.session.shutdown.requested() => if self.config.count.is_none() { Ended::Done } else { Ended::Interrupted },
            () = sleep_or_never(self.config.deadline) => Ended::Deadline,
        };
        stop.request();
        tasks.close();
        tasks.wait().await;
        ended
    }

    /// One connection: tries the candidates in this order until one answers.
    async fn ask_one(&self, flow: u64, order: Vec<usize>) {
        let candidates = order.into_iter().take(self.config.tries).filter_map(|index| self.candidates.get(index));
        for &address in candidates {
            let Err(problem) = self.try_one(flow, address).await else { return };
            self.complain(flow, address, &problem);
        }
        lock(&self.tally).gave_up();
    }

    /// One try with one candidate, from connect to greeting.
    async fn try_one(&self, flow: u64, address: SocketAddr) -> Result<(), String> {
        let started = self.session.clock.now();
        let attempt = tokio::time::timeout(self.config.timeout, self.fetch_greeting(flow, address)).await;
        let limit = labkit::units::show_duration(self.config.timeout);
        let (mut stream, greeting) = attempt.map_err(|_| format!("no greeting within {limit}"))??;
        let latency = self.session.clock.now() - started;
        self.tell_answer(flow, address, &greeting, latency);
        close(&mut stream).await;
        Ok(())
    }

    async fn fetch_greeting(&self, flow: u64, address: SocketAddr) -> Result<(TcpStream, Greeting), String> {
        let started = self.session.clock.now();
        let mut stream = TcpStream::connect(address).await.map_err(|error| format!("cannot connect: {error}"))?;
        self.session.recorder.tell_in(flow, || Event::Connected {
            peer: address.to_string(),
            elapsed_ns: Some(nanos(self.session.clock.now() - started)),
        });
        let greeting = Greeting::read(&mut stream).await.map_err(|error| format!("no greeting: {error}"))?;
        Ok((stream, greeting))
    }

    fn tell_answer(&self, flow: u64, address: SocketAddr, greeting: &Greeting, latency: Duration) {
        lock(&self.tally).answered(greeting.name(), address, latency);
        let (shown, took) = (greeting.shown(), labkit::units::show_duration(latency));
        self.session.output.line(format!("Received: {shown}   ({address}, {took})"));
        self.session.recorder.tell_in(flow, || Event::Received {
            peer: address.to_string(),
            what: "greeting".to_owned(),
            number: None,
            bytes: greeting.line.len() as u64,
            name: greeting.name().map(str::to_owned),
            elapsed_ns: Some(nanos(latency)),
        });
    }

    /// Counts a failed try, and tells the first one of each candidate.
    fn complain(&self, flow: u64, address: SocketAddr, problem: &str) {
        lock(&self.tally).try_failed(address, problem);
        self.session.recorder.tell_in(flow, || Event::Failed {
            what: "ask".to_owned(),
            peer: Some(address.to_string()),
            reason: problem.to_owned(),
        });
        let first = {
            let mut complained = lock(&self.complained);
            complained.insert(address)
        };
        if first {
            tracing::warn!("{address} {problem}; going on to the next candidate (further failures there are counted)");
        }
    }
}

/// Closes as a textbook would: waits for the replica's FIN, acknowledges it at once, then sends ours. Without the quick
/// acknowledgement Linux lets it ride on our own FIN, and a capture shows eight segments instead of nine.
async fn close(stream: &mut TcpStream) {
    let mut byte = [0];
    if let Ok(Ok(0)) = tokio::time::timeout(WAIT_FOR_CLOSE, stream.read(&mut byte)).await {
        // Where the option does not exist, the close is one segment shorter and as good.
        let _ = SockRef::from(&*stream).set_tcp_quickack(true);
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
