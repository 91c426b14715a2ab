//! Connection after connection: never more at once than allowed, each through the candidates until one answers.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Event, Time};
use labkit::units::show_duration;
use labkit::{Failure, Session, Shutdown};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::patience::Patience;
use super::talking::Said;
use super::{Config, Ended, Protocol, connecting, resolving, talking};
use crate::chooser::{Chooser, Pick};
use crate::stream::Stream;
use crate::tally::Tally;
use crate::watch::{Change, News, Watcher};

/// How often a watcher looks the names up again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// A bound on threads, each of which has a runtime of its own.
const MOST_LANES: u64 = 8;

/// What every connection of a run shares.
pub(super) struct Asking {
    chooser: Mutex<Chooser>,
    /// When the next connection may begin, where that is not at once.
    ticks: Option<tokio::sync::Mutex<Interval>>,
    tally: Mutex<Tally>,
    watcher: Mutex<Watcher>,
    complained: Mutex<HashSet<SocketAddr>>,
    config: Config,
    session: Session,
    started: Time,
}

/// A poisoned lock means a task panicked while counting; the counts are still counts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asking {
    pub(super) fn new(config: Config, candidates: &[SocketAddr], session: Session, started: Time) -> Arc<Self> {
        Arc::new(Asking {
            ticks: ticks(config.interval).map(tokio::sync::Mutex::new),
            chooser: Mutex::new(Chooser::new(config.pick, candidates, config.seed, &config.key)),
            tally: Mutex::default(),
            watcher: Mutex::new(if config.source_port.is_some() { Watcher::of_one_flow() } else { Watcher::default() }),
            complained: Mutex::default(),
            config,
            session,
            started,
        })
    }

    /// What was counted.
    pub(super) fn counted(&self) -> (Tally, Watcher) {
        (lock(&self.tally).clone(), lock(&self.watcher).clone())
    }

    /// Makes every connection: starts them at the interval, never more at once than allowed.
    pub(super) async fn ask_all(self: Arc<Self>) -> Result<Ended, Failure> {
        // Told here alone: lanes that ended by themselves would look as if all connections were made.
        let stop = Shutdown::manual();
        let mut lanes = self.open_lanes(&stop);
        let work = async {
            while let Some(ended) = lanes.join_next().await {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
            }
            Ok(())
        };
        let ended = tokio::select! {
            done = work => done.map(|()| Ended::Done),
            // Without a count to reach, being stopped is how it ends.
            () = self.session.shutdown.requested() => Ok(if self.config.count.is_none() { Ended::Done } else { Ended::Interrupted }),
            () = sleep_or_never(self.config.deadline) => Ok(if self.config.watch { Ended::Done } else { Ended::Deadline }),
            () = self.look_up_again() => Ok(Ended::Done),
        };
        stop.request();
        while lanes.join_next().await.is_some() {}
        ended
    }

    /// The slots, in lanes. Where connections follow each other at once, a lane is a thread with a runtime of its own for
    /// each processor: then what a connection wakes is never on another thread, and on a busy machine both get their turn.
    fn open_lanes(self: &Arc<Self>, stop: &Shutdown) -> JoinSet<Result<(), Failure>> {
        let slots = self.config.count.unwrap_or(u64::MAX).min(self.config.concurrency as u64);
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let lanes = if self.ticks.is_some() { 1 } else { processors.min(slots).min(MOST_LANES) };
        let mut open = JoinSet::new();
        for lane in 0..lanes {
            let share = slots / lanes + u64::from(lane < slots % lanes);
            let run = self.clone().run_lane(share, stop.clone());
            if lanes == 1 {
                open.spawn(async move {
                    run.await;
                    Ok(())
                });
            } else {
                open.spawn_blocking(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    let runtime = runtime.map_err(|error| Failure::io("start", "a runtime for connections", &error))?;
                    runtime.block_on(run);
                    Ok(())
                });
            }
        }
        open
    }

    /// So many slots, until all connections are made or it is told to stop.
    async fn run_lane(self: Arc<Self>, slots: u64, stop: Shutdown) {
        let mut asking: JoinSet<()> = (0..slots).map(|_| self.clone().keep_asking()).collect();
        let work = async {
            while let Some(ended) = asking.join_next().await {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            }
        };
        // One that is cut short is neither answered nor failed: it was not allowed to end.
        let _ = stop.or(work).await;
        asking.shutdown().await;
    }

    /// One slot: connection after connection, until all are begun.
    async fn keep_asking(self: Arc<Self>) {
        let mut patience = Patience::new();
        while let Some((flow, order)) = self.next().await {
            self.ask_one(flow, order, &mut patience).await;
            // A try that fails at once waits for nothing: whoever wants us to stop must have a turn.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Whose turn it is: the number of the next connection, and the order for it; `None` when all are begun.
    async fn next(&self) -> Option<(u64, Vec<SocketAddr>)> {
        let all_are_begun = |begun: u64| self.config.count.is_some_and(|count| begun >= count);
        // Held until the connection has its number: who comes next must not wait for a start that is not there any more.
        let _turn = match &self.ticks {
            None => None,
            Some(ticks) => {
                let mut ticks = ticks.lock().await;
                if all_are_begun(lock(&self.chooser).asked()) {
                    return None;
                }
                ticks.tick().await;
                Some(ticks)
            }
        };
        let mut chooser = lock(&self.chooser);
        let flow = chooser.asked();
        (!all_are_begun(flow)).then(|| (flow, chooser.addresses()))
    }

    /// While watching, follows what the names stand for; never ends.
    async fn look_up_again(&self) {
        let has_names = self.config.targets.iter().any(|target| target.host.parse::<std::net::IpAddr>().is_err());
        if !(self.config.watch && has_names) {
            return std::future::pending().await;
        }
        let mut before: Vec<SocketAddr> = lock(&self.chooser).candidates().to_vec();
        before.sort_unstable();
        loop {
            tokio::time::sleep(LOOK_UP_EVERY).await;
            let Some(now) = resolving::again(&self.config).await.filter(|now| *now != before) else { continue };
            lock(&self.chooser).replace(&now);
            let addresses: Vec<String> = now.iter().map(ToString::to_string).collect();
            let target = self.config.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            self.session.output.line(format!("{} {target} is now {}", self.stamp(), addresses.join(", ")));
            self.session.recorder.tell(|| Event::Resolved { target, addresses });
            before = now;
        }
    }

    /// One connection: tries the candidates in this order until one answers.
    async fn ask_one(&self, flow: u64, mut order: Vec<SocketAddr>, patience: &mut Patience) {
        order.truncate(self.config.tries);
        if self.config.pick == Pick::Race {
            while !order.is_empty() {
                let Some(loser) = self.race_one(flow, &order, patience).await else { return };
                order.retain(|candidate| loser.is_some_and(|loser| *candidate != loser));
            }
        } else {
            for address in order {
                let Err(problem) = self.try_one(flow, address, patience).await else { return };
                self.complain(flow, address, &problem);
            }
        }
        lock(&self.tally).gave_up();
    }

    /// One race: `None` when it gave an answer, else who won it and did not answer, if anybody won.
    async fn race_one(&self, flow: u64, order: &[SocketAddr], patience: &mut Patience) -> Option<Option<SocketAddr>> {
        let started = self.session.clock.now();
        let mut failed = Vec::new();
        let race = connecting::race(order, self.session.clock, |address, problem| {
            failed.push(address);
            self.complain(flow, address, problem);
        });
        let ended = patience.within(self.config.timeout, race).await;
        let Some(Some((winner, mut stream))) = ended else {
            let silent = order.iter().filter(|address| !failed.contains(address));
            silent.for_each(|address| self.complain(flow, *address, &self.too_late()));
            return Some(None);
        };
        self.tell_connected(flow, winner, started);
        match patience.within(self.config.timeout, talking::ask(&mut stream, winner, &self.config)).await {
            Some(Ok(said)) => {
                self.tell_answer(flow, winner, &said, self.session.clock.now() - started);
                talking::close(&mut stream, self.config.protocol, patience).await;
                return None;
            }
            Some(Err(problem)) => self.complain(flow, winner, &problem),
            None => self.complain(flow, winner, &self.too_late()),
        }
        Some(Some(winner))
    }

    /// One try with one candidate, from connect to greeting.
    async fn try_one(&self, flow: u64, address: SocketAddr, patience: &mut Patience) -> Result<(), String> {
        let started = self.session.clock.now();
        let attempt = patience.within(self.config.timeout, self.connect_and_ask(flow, address)).await;
        let (mut stream, said) = attempt.unwrap_or_else(|| Err(self.too_late()))?;
        self.tell_answer(flow, address, &said, self.session.clock.now() - started);
        talking::close(&mut stream, self.config.protocol, patience).await;
        Ok(())
    }

    fn too_late(&self) -> String {
        format!("no greeting within {}", show_duration(self.config.timeout))
    }

    async fn connect_and_ask(&self, flow: u64, address: SocketAddr) -> Result<(Stream, Said), String> {
        let started = self.session.clock.now();
        let mut stream = connecting::connect(address, self.config.source_port).await?;
        self.tell_connected(flow, address, started);
        if self.config.protocol == Protocol::Hello {
            self.session.output.line(format!("Sending \"{}\"", crate::hello::hello(&self.config.language)));
        }
        let said = talking::ask(&mut stream, address, &self.config).await?;
        Ok((stream, said))
    }

    fn tell_connected(&self, flow: u64, address: SocketAddr, started: Time) {
        let elapsed = self.session.clock.now() - started;
        if self.config.pick == Pick::Nearest {
            lock(&self.chooser).measured(address, elapsed);
        }
        self.session
            .recorder
            .tell_in(flow, || Event::Connected { peer: address.to_string(), elapsed_ns: Some(nanos(elapsed)) });
    }

    fn tell_answer(&self, flow: u64, address: SocketAddr, said: &Said, latency: Duration) {
        lock(&self.tally).answered(said.name.as_deref(), address, latency);
        let output = &self.session.output;
        if self.config.watch {
            let replica = said.name.clone().unwrap_or_else(|| address.to_string());
            let now = self.session.clock.now();
            let (is_first, news) = {
                let mut watcher = lock(&self.watcher);
                (watcher.last().is_none(), watcher.answered(&replica, now))
            };
            if is_first {
                output.line(format!("{} {} answers", self.stamp(), labkit::text::show(replica.as_bytes(), 40)));
            }
            news.iter().for_each(|one| self.tell_news(one));
        } else if output.tells_lines() {
            output.line(format!("Received: {}   ({address}, {})", said.shown, show_duration(latency)));
        }
        self.session.recorder.tell_in(flow, || Event::Received {
            peer: address.to_string(),
            what: "greeting".to_owned(),
            number: None,
            bytes: said.bytes,
            name: said.name.clone(),
            elapsed_ns: Some(nanos(latency)),
        });
    }

    fn tell_news(&self, news: &News) {
        let change = match news {
            News::Changed(change) => change,
            News::Silent(seen) => {
                let silent = self.session.clock.now() - seen.at;
                let name = labkit::text::show(seen.replica.as_bytes(), 40);
                self.session.output.line(format!(
                    "{} {name} answers no more, for {}",
                    self.stamp(),
                    show_duration(silent)
                ));
                self.session.recorder.tell(|| Event::Expired {
                    what: "silence".to_owned(),
                    peer: Some(seen.replica.clone()),
                    after_ns: nanos(silent),
                });
                return;
            }
        };
        self.session.output.line(format!("{} {}", self.stamp(), shown(change, self.started)));
        self.session.recorder.tell(|| Event::Changed {
            what: "replica".to_owned(),
            from: change.last.replica.clone(),
            to: change.first.replica.clone(),
            failed: change.failed,
            gap_ns: nanos(change.gap()),
        });
    }

    /// How long we have been watching, for the beginning of a line.
    fn stamp(&self) -> String {
        format!("[{:.3} s]", (self.session.clock.now() - self.started).as_secs_f64())
    }

    /// Counts a failed try, and tells the first one of each candidate.
    fn complain(&self, flow: u64, address: SocketAddr, problem: &str) {
        lock(&self.tally).try_failed(address, problem);
        lock(&self.watcher).failed();
        lock(&self.chooser).failed(address);
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

/// A change in words; times count from `started`.
pub(crate) fn shown(change: &Change, started: Time) -> String {
    let name = |seen: &crate::watch::Seen| labkit::text::show(seen.replica.as_bytes(), 40);
    let at = |time: Time| format!("{:.3} s", (time - started).as_secs_f64());
    let (old, new) = (name(&change.last), name(&change.first));
    let what = if change.has_moved() { format!("{old} -> {new}") } else { format!("{new} again") };
    let failed = match change.failed {
        0 => "none failed".to_owned(),
        1 => "1 attempt failed".to_owned(),
        n => format!("{n} attempts failed"),
    };
    format!(
        "{what}: last of {old} at {}, first of {new} at {}, {failed}, gap {}",
        at(change.last.at),
        at(change.first.at),
        show_duration(change.gap())
    )
}

fn ticks(interval: Duration) -> Option<Interval> {
    let mut ticks = (interval > Duration::ZERO).then(|| tokio::time::interval(interval))?;
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(ticks)
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
