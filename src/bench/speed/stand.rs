//! Where runs happen: a path that is set up, the processes that wait on it, and one run after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use labkit::{Clock, Exit, Failure};
use nix::sys::signal::Signal;

use super::super::quiet::{self, Usage};
use super::super::stats::{Spread, jain};
use super::contender::{Contender, Job, Told};
use super::files::{Files, SMALL};
use super::path::Route;
use super::place::Place;
use super::plan::Scenario;
use super::process::{self, Cost, Daemon, Ended, Launch};
use super::relay::Passed;
use super::results::Run;
use super::tools::Tools;

/// Where servers listen in networks of their own.
const FIRST_PORT: u16 = 7100;
/// How long a run may take, but for those that a line makes slow.
const LONGEST: Duration = Duration::from_secs(30);
/// What the slowest of them does at least where no line sets the pace, in bit/s.
const SLOWEST: f64 = 500e6;
/// How many times as long as its line needs.
const SLACK: f64 = 5.0;

/// A path with servers on it.
pub(super) struct Stand<'a> {
    route: Route,
    daemons: BTreeMap<String, (Daemon, u16)>,
    files: &'a Files,
    tools: &'a Tools,
    clock: Clock,
    runs: u64,
}

/// How a run ended that gave no figure.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was not over in time: the path is too much for it, and nobody is to blame.
    Unfinished(Duration),
    /// It failed, and why.
    Failed(String),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Fault::Failed(failure.message)
    }
}

/// The processes of a run, from its first start to its last exit.
struct Ran {
    ended: Vec<Vec<Ended>>,
    elapsed: Duration,
    daemon: Cost,
    commands: Cost,
    others: f64,
}

impl<'a> Stand<'a> {
    pub(super) fn new(route: Route, files: &'a Files, tools: &'a Tools, clock: Clock) -> Self {
        Stand { route, daemons: BTreeMap::new(), files, tools, clock, runs: 0 }
    }

    /// One run of one contender.
    pub(super) async fn run(&mut self, scenario: &Scenario, who: Contender, round: usize) -> Result<Run, Fault> {
        self.runs += 1;
        self.files.clear()?;
        self.route.work(self.runs)?;
        let run = self.run_on(scenario, who, round).await;
        let rested = self.route.rest();
        if run.is_err() {
            // Whatever it still does must not disturb the next.
            self.stop(&who.daemon_name(), Signal::SIGKILL).await;
        }
        let cleared = self.files.clear();
        let (run, passed) = (run?, rested?);
        cleared?;
        // Where two shared the path it has been told already.
        Ok(match passed {
            Some(passed) => with_queue(run, passed),
            None => run,
        })
    }

    /// Ends the processes that wait.
    pub(super) async fn close(mut self) {
        while let Some((_, (daemon, _))) = self.daemons.pop_first() {
            daemon.stop(Signal::SIGTERM).await;
        }
    }

    async fn run_on(&mut self, scenario: &Scenario, who: Contender, round: usize) -> Result<Run, Fault> {
        if scenario.beside_tcp {
            return self.beside_tcp(scenario, who, round).await;
        }
        self.make_ready(scenario, who).await?;
        let deadline = deadline(scenario);
        let ran = tokio::time::timeout(deadline, self.fetch(scenario, who));
        let ran = ran.await.map_err(|_| Fault::Unfinished(deadline))??;
        let said = if who.serves_once() { self.stop(&who.daemon_name(), Signal::SIGINT).await } else { String::new() };
        for ended in ran.ended.iter().flatten() {
            check_exit(who, ended)?;
        }
        let firsts: Vec<Ended> = ran.ended.into_iter().flatten().collect();
        let told = who.read(&firsts, &said, scenario.clients).map_err(Fault::Failed)?;
        let bytes = self.arrived(scenario, who, &told)?;
        let (sender, receiver) =
            if who.daemon_sends() { (ran.daemon, ran.commands) } else { (ran.commands, ran.daemon) };
        let each = if told.each.is_empty() { seconds_of(&firsts) } else { told.each.clone() };
        Ok(Run {
            round,
            elapsed_ns: nanos(ran.elapsed.as_secs_f64()),
            bytes,
            bits_per_second: told.rate.unwrap_or_else(|| rate(bytes, ran.elapsed)),
            sender_cpu_ns: nanos(sender.cpu),
            receiver_cpu_ns: nanos(receiver.cpu),
            sender_memory_bytes: sender.memory,
            receiver_memory_bytes: receiver.memory,
            largest_receiver_bytes: firsts.iter().map(|one| one.memory).max().unwrap_or(0),
            others: ran.others,
            arrived: (!who.is_reliable() && who.writes_files()).then(|| share(bytes, all_bytes(scenario))),
            fairness: (each.len() > 1).then(|| fairness(&each)).flatten(),
            slowest: (each.len() > 1).then(|| slowest(&each)).flatten(),
            ..Run::default()
        })
    }

    /// The fetching itself, and what it cost.
    async fn fetch(&mut self, scenario: &Scenario, who: Contender) -> Result<Ran, Fault> {
        let name = Files::name(scenario.bytes);
        let commands = self.commands(scenario, who, &name);
        let daemon = self.daemons.get_mut(&who.daemon_name());
        let (daemon, _) = daemon.ok_or_else(|| Fault::Failed("nobody serves".to_owned()))?;
        daemon.forget();
        let place = if who.daemon_sends() { &self.route.client } else { &self.route.server };
        let before = (Usage::now(&self.clock)?, daemon.cost(), quiet::of_children(), self.clock.elapsed());
        let all = commands.iter().map(|commands| one_by_one(commands, place, &self.clock));
        let ended: Result<Vec<Vec<Ended>>, Failure> = join_all(all).await.into_iter().collect();
        let ended = ended?;
        let elapsed = self.clock.elapsed() - before.3;
        let cost = daemon.cost();
        let daemon = Cost { cpu: cost.cpu - before.1.cpu, memory: cost.memory };
        let memory = ended.iter().map(|commands| commands.iter().map(|one| one.memory).max().unwrap_or(0)).sum();
        let commands = Cost { cpu: quiet::of_children() - before.2, memory };
        let running = Duration::try_from_secs_f64(daemon.cpu).unwrap_or_default();
        let others = Usage::now(&self.clock)?.others_since(&before.0, running);
        Ok(Ran { ended, elapsed, daemon, commands, others })
    }

    /// A transfer and a TCP flow over the same bottleneck, at the same time: who gets how much of it.
    async fn beside_tcp(&mut self, scenario: &Scenario, who: Contender, round: usize) -> Result<Run, Fault> {
        let tcp = Contender::Iperf("cubic");
        self.make_ready(scenario, who).await?;
        self.make_ready(scenario, tcp).await?;
        let name = Files::name(scenario.bytes);
        let (ours, theirs) = (self.commands(scenario, who, &name), self.commands(scenario, tcp, &name));
        let (ours, theirs) = (only(&ours)?, only(&theirs)?);
        let before = Usage::now(&self.clock)?;
        let first = {
            let place = &self.route.client;
            let transfer = std::pin::pin!(process::run(ours, place, &self.clock));
            let flow = std::pin::pin!(process::run(theirs, place, &self.clock));
            match tokio::time::timeout(deadline(scenario), select(flow, transfer)).await {
                Ok(Either::Left((flow, _))) => Ok(flow?),
                Ok(Either::Right((transfer, _))) => Err(Fault::Failed(too_early(&transfer?))),
                Err(_) => Err(Fault::Unfinished(deadline(scenario))),
            }
        };
        let flow = first?;
        check_exit(tcp, &flow)?;
        let (passed, elapsed) = (self.route.rest()?.unwrap_or_default(), flow.elapsed);
        let others = Usage::now(&self.clock)?.others_since(&before, Duration::ZERO);
        // It was cut off in the middle, and its server does not know yet.
        self.stop(&who.daemon_name(), Signal::SIGKILL).await;
        self.stop(&tcp.daemon_name(), Signal::SIGKILL).await;
        let run = Run {
            round,
            elapsed_ns: nanos(elapsed.as_secs_f64()),
            bytes: passed.udp,
            bits_per_second: rate(passed.udp, elapsed),
            others,
            share: Some(share(passed.udp, passed.udp + passed.tcp)),
            ..Run::default()
        };
        Ok(with_queue(run, passed))
    }

    fn commands(&self, scenario: &Scenario, who: Contender, name: &str) -> Vec<Vec<Launch>> {
        let port = self.daemons.get(&who.daemon_name()).map_or(0, |(_, port)| *port);
        self.with_job(scenario, name, port, |job| who.commands(job))
    }

    fn with_job<T>(&self, scenario: &Scenario, name: &str, port: u16, work: impl FnOnce(&Job<'_>) -> T) -> T {
        work(&Job {
            tools: self.tools,
            route: &self.route,
            port,
            desk: &self.files.desk(),
            root: &self.files.root(),
            out: &self.files.out(),
            name,
            clients: scenario.clients,
            seconds: scenario.seconds,
        })
    }

    /// Starts the process that waits, where it does not yet, and lets it serve a small file.
    async fn make_ready(&mut self, scenario: &Scenario, who: Contender) -> Result<(), Fault> {
        let name = who.daemon_name();
        if self.daemons.contains_key(&name) {
            return Ok(());
        }
        let port = who.port(self.free_port()?);
        let launch = self.with_job(scenario, "", port, |job| who.daemon(job))?;
        let place = if who.daemon_sends() { &self.route.server } else { &self.route.client };
        let mut daemon = Daemon::start(&launch, place, self.files.desk().join(format!("{name}.log")))?;
        daemon.listens(port).await?;
        self.daemons.insert(name, (daemon, port));
        if let Some(first) = who.warmed_up_by() {
            let one = Scenario { clients: 1, ..scenario.clone() };
            let commands = self.with_job(&one, &Files::name(SMALL), port, |job| first.commands(job));
            let warm = tokio::time::timeout(LONGEST, process::run(&commands[0][0], &self.route.client, &self.clock));
            let ended = warm.await.map_err(|_| Fault::Failed("it was not ready in time".to_owned()))??;
            check_exit(first, &ended)?;
            self.files.clear()?;
        }
        Ok(())
    }

    /// Takes a process that waits away; gives what it said.
    async fn stop(&mut self, name: &str, signal: Signal) -> String {
        match self.daemons.remove(name) {
            Some((daemon, _)) => daemon.stop(signal).await,
            None => String::new(),
        }
    }

    /// What arrived, in bytes, once it is certain that it is what was sent.
    fn arrived(&self, scenario: &Scenario, who: Contender, told: &Told) -> Result<u64, Fault> {
        if !who.writes_files() {
            return told.bytes.ok_or_else(|| Fault::Failed("it does not say what arrived".to_owned()));
        }
        let (bytes, whole) = tokio::task::block_in_place(|| self.files.check(scenario.bytes, scenario.clients))?;
        if who.is_reliable() && !whole {
            let message = format!("{bytes} bytes arrived that are not {} copies of the source", scenario.clients);
            return Err(Fault::Failed(message));
        }
        Ok(bytes)
    }

    /// In a network of its own every port is free; here one that was, a moment ago.
    fn free_port(&self) -> Result<u16, Failure> {
        if self.route.address.is_loopback() {
            let failed = |error: std::io::Error| Failure::io("find a free port on", self.route.address, &error);
            let socket = std::net::TcpListener::bind((self.route.address, 0)).map_err(failed)?;
            return Ok(socket.local_addr().map_err(failed)?.port());
        }
        let used = u16::try_from(self.daemons.len()).unwrap_or(u16::MAX);
        Ok(FIRST_PORT.saturating_add(used).saturating_add(u16::try_from(self.runs % 1000).unwrap_or(0) * 20))
    }
}

fn with_queue(run: Run, passed: Passed) -> Run {
    Run { queue_bytes: Some(passed.queue), longest_queue_bytes: Some(passed.longest_queue), ..run }
}

/// Runs commands one after the other.
async fn one_by_one(commands: &[Launch], place: &Place, clock: &Clock) -> Result<Vec<Ended>, Failure> {
    let mut ended = Vec::new();
    for command in commands {
        ended.push(process::run(command, place, clock).await?);
    }
    Ok(ended)
}

/// The one command of a contender that is one process.
fn only(commands: &[Vec<Launch>]) -> Result<&Launch, Fault> {
    commands.first().and_then(|commands| commands.first()).ok_or_else(|| Fault::Failed("nothing to run".to_owned()))
}

/// What does not deliver everything says so with an exit code of its own, and that is no failure here.
fn check_exit(who: Contender, ended: &Ended) -> Result<(), Fault> {
    let partial = i32::from(Exit::Partial.code());
    if ended.code == Some(0) || (!who.is_reliable() && ended.code == Some(partial)) {
        return Ok(());
    }
    let said = if ended.stderr.trim().is_empty() { &ended.stdout } else { &ended.stderr };
    let said = labkit::text::show(said.trim().as_bytes(), 300);
    let code = ended.code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
    Err(Fault::Failed(format!("{} ended with {code}: {said}", who.title())))
}

fn too_early(transfer: &Ended) -> String {
    let said = labkit::text::show(transfer.stderr.trim().as_bytes(), 300);
    format!("the transfer was over before the flow beside it: {said}")
}

fn deadline(scenario: &Scenario) -> Duration {
    let own = Duration::from_secs(scenario.seconds * 5);
    let at = |rate| Duration::try_from_secs_f64(to_float(all_bytes(scenario)) * 8.0 / rate).unwrap_or(Duration::MAX);
    match scenario.path.bottleneck() {
        Some((rate, _)) => at(rate / SLACK).max(own),
        None => at(SLOWEST).max(LONGEST).max(own),
    }
}

fn all_bytes(scenario: &Scenario) -> u64 {
    scenario.bytes.saturating_mul(u64::from(scenario.clients))
}

fn seconds_of(ended: &[Ended]) -> Vec<f64> {
    ended.iter().map(|one| one.elapsed.as_secs_f64()).collect()
}

/// All fetched the same, so that what each got a second goes by how long it took.
fn fairness(each: &[f64]) -> Option<f64> {
    jain(&each.iter().map(|seconds| 1.0 / seconds).collect::<Vec<_>>())
}

fn slowest(each: &[f64]) -> Option<f64> {
    let all = Spread::of(each.iter().copied())?;
    Some(all.max / all.median).filter(|ratio| ratio.is_finite())
}

fn rate(bytes: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { to_float(bytes) * 8.0 / seconds } else { 0.0 }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { to_float(part) / to_float(all) }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
fn to_float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "centuries of nanoseconds fit")]
fn nanos(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::plan::Plan;

    #[test]
    fn a_line_gives_five_times_as_long_as_it_needs_and_everybody_else_half_a_minute_or_more() {
        let seconds = |size, name: &str| {
            let all = Plan::scenarios(size, 1, false);
            deadline(all.iter().find(|one| one.name == name).unwrap()).as_secs_f64()
        };
        let of_line = [("relay-loss", 20.0), ("relay-long", 20.0), ("relay-shared", 75.0), ("veth-rate", 10.0)];
        for (name, expected) in of_line.into_iter().chain([("lo", 30.0), ("lo-1000", 30.0), ("veth-loss", 30.0)]) {
            assert!((seconds(1 << 30, name) - expected).abs() < 0.01, "{name}: {}", seconds(1 << 30, name));
        }
        assert!(seconds(1 << 40, "lo") > 10_000.0, "a terabyte takes hours");
        assert!(seconds(u64::MAX, "lo-10") > 0.0);
    }

    #[test]
    fn the_slowest_is_weighed_against_the_median_and_shares_against_the_time() {
        assert_eq!(slowest(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(slowest(&[]), None);
        assert_eq!(fairness(&[2.0, 2.0]), Some(1.0));
        assert!(fairness(&[1.0, 9.0]).unwrap() < 0.7);
        assert_eq!(share(1, 4), 0.25);
        assert_eq!(share(0, 0), 0.0);
    }
}
