//! `castlab bench speed`: our transfers beside what people would use instead, on the same paths in the same run.

mod compare;
mod contender;
mod files;
#[cfg(test)]
mod fixture;
mod judge;
mod path;
mod place;
mod plan;
mod process;
mod progress;
mod relay;
mod report;
mod results;
mod stand;
mod tools;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use labkit::flags::switch;
use labkit::{Common, Exit, Failure, Session};

use self::files::Files;
use self::path::{Path, Route};
use self::plan::{Plan, Step, Target};
use self::progress::Progress;
use self::results::{Machine, Measured, Problem, Results, Row, Run, Skipped};
use self::stand::{Fault, Stand};
use self::tools::Tools;
use super::quiet::{self, DISTURBED, Patience};

/// Of a file that one client fetches.
const SIZE: u64 = 1 << 30;
const QUICK_SIZE: u64 = 256 << 20;
const ROUNDS: u16 = 5;
const QUICK_ROUNDS: u16 = 2;
/// How long all runs together wait for others to be quiet.
const PATIENCE: Duration = Duration::from_secs(60);
const QUICK_PATIENCE: Duration = Duration::from_secs(10);
/// How long after a failure we see whether it came from being told to end.
const MOMENT: Duration = Duration::from_millis(100);

/// What may be typed after `castlab bench speed`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(
    before_help = "Examples:
  castlab bench speed --quick                               everything, roughly, in three minutes
  castlab bench speed --path lo --only castlab,nginx        two families on loopback, without root
  sudo castlab bench speed --json > new.json                everything, in a quarter of an hour
  sudo castlab bench speed --compare old.json               and what changed since",
    after_help = "Paths other than lo are network namespaces of their own: they need root (or `unshare --user \
                  --map-root-user`), nothing leaves them, and they are gone when this ends. A path that cannot be set \
                  up, or a contender that is not installed, is skipped, and said. Whether figures are reached does \
                  not change the exit code; runs that fail do."
)]
pub struct Args {
    /// Runs of each contender [default: 5, with --quick 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), env = "CASTLAB_ROUNDS", hide_env_values = true)]
    pub rounds: Option<u16>,

    /// Only on these paths
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(Path::ALL.map(Path::name)),
        env = "CASTLAB_PATH",
        hide_env_values = true
    )]
    pub path: Vec<String>,

    /// Only these contenders: a family, such as castlab, or one of it, such as iperf3-bbr, or castlab-plain for itself
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', env = "CASTLAB_ONLY", hide_env_values = true)]
    pub only: Vec<String>,

    /// Of the file that one client fetches; several fetch a quarter of it each [default: 1GiB, with --quick 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = labkit::units::bytes, env = "CASTLAB_SIZE", hide_env_values = true)]
    pub size: Option<u64>,

    /// Small files and few rounds
    #[arg(value_parser = switch(), long, env = "CASTLAB_QUICK", hide_env_values = true)]
    pub quick: bool,

    /// How long to wait, over all runs, for others to leave the machine alone [default: 1m, with --quick 10s]
    #[arg(long, value_name = "TIME", value_parser = labkit::units::duration, env = "CASTLAB_PATIENCE", hide_env_values = true)]
    pub patience: Option<Duration>,

    /// Show what changed since this result, which --json printed
    #[arg(long, value_name = "FILE", env = "CASTLAB_COMPARE", hide_env_values = true)]
    pub compare: Option<PathBuf>,

    /// Where our own programs are [default: beside this one]
    #[arg(long, value_name = "DIR", env = "CASTLAB_BIN_DIR", hide_env_values = true)]
    pub bin_dir: Option<PathBuf>,
}

/// Measures, and prints what was found. Whatever happens to speed, it is [`Exit::Done`] unless a run failed.
///
/// # Errors
/// When nothing can be measured at all.
pub async fn run(args: &Args, common: &Common, session: &Session) -> Result<Exit, Failure> {
    session.tell_started(None, None);
    let old = args.compare.as_deref().map(compare::read).transpose()?;
    let mut bench = Bench::new(args, common, session)?;
    let measured = session.shutdown.or(bench.measure()).await;
    let interrupted = session.shutdown.is_requested();
    if let (Some(Err(failure)), false) = (measured, interrupted) {
        return Err(failure);
    }
    bench.progress.finish();
    let results = bench.finish(interrupted);
    nothing_measured(&results).map_or(Ok(()), Err)?;
    report::tell(&results, session);
    if let Some(old) = old {
        session.output.result(format!("\n{}", compare::table(&old.scenarios, &results.scenarios)));
    }
    Ok(match results.outcome.as_str() {
        "interrupted" => Exit::Interrupted,
        "failed" => Exit::CheckFailed,
        _ => Exit::Done,
    })
}

/// When every path was skipped there is no result, only a reason.
fn nothing_measured(results: &Results) -> Option<Failure> {
    let rows = || results.scenarios.iter().flat_map(|one| &one.rows);
    let is_empty = rows().all(|row| row.runs.is_empty() && row.gave_up.is_none()) && results.failures.is_empty();
    let first = results.skipped.iter().find(|one| one.what.starts_with("path "))?;
    let failure = Failure::new(Exit::Setup, "NO-PATH", format!("{}: {}", first.what, first.why));
    (is_empty && results.outcome == "complete").then(|| match &first.hint {
        Some(hint) => failure.hint(hint.clone()),
        None => failure,
    })
}

/// A benchmark under way.
struct Bench {
    session: Session,
    began: Duration,
    plan: Plan,
    tools: Tools,
    files: Files,
    patience: Patience,
    progress: Progress,
    results: Results,
    /// Runs that may still be made again because somebody disturbed them.
    again: usize,
}

impl Bench {
    fn new(args: &Args, common: &Common, session: &Session) -> Result<Self, Failure> {
        let (size, rounds, patience) =
            if args.quick { (QUICK_SIZE, QUICK_ROUNDS, QUICK_PATIENCE) } else { (SIZE, ROUNDS, PATIENCE) };
        let (size, rounds) = (args.size.unwrap_or(size), args.rounds.unwrap_or(rounds));
        if size == 0 {
            return Err(Failure::usage("--size 0: an empty file has no speed"));
        }
        let tools = Tools::find(args.bin_dir.as_deref())?;
        let paths: Vec<Path> =
            Path::ALL.into_iter().filter(|path| args.path.iter().any(|name| name == path.name())).collect();
        let mut results = Results {
            role: session.role.to_owned(),
            version: labkit::program::VERSION.to_owned(),
            command: std::env::args().skip(1).fold("castlab".to_owned(), |all, one| format!("{all} {one}")),
            machine: machine(),
            ..Results::default()
        };
        let mut scenarios = Plan::scenarios(size, rounds.into(), args.quick);
        let all = Plan::new(scenarios.clone(), &paths, &args.only);
        if all.steps.is_empty() {
            return Err(
                Failure::usage("nobody of that name is measured there").hint(format!("--only takes {}", names()))
            );
        }
        for (name, how) in missing(&all, &tools) {
            let what = format!("contenders with {name}");
            results.skipped.push(Skipped { what, why: format!("{name} is not here"), hint: Some(how.to_owned()) });
        }
        for scenario in &mut scenarios {
            scenario.contenders.retain(|contender| tools.missing(contender.needs()).is_none());
        }
        let plan = Plan::new(scenarios, &paths, &args.only);
        if plan.steps.is_empty() {
            let why: Vec<String> = results.skipped.iter().map(|one| one.why.clone()).collect();
            let hint = results.skipped.iter().find_map(|one| one.hint.clone()).unwrap_or_default();
            return Err(Failure::new(Exit::Setup, "NO-CONTENDER", why.join("; ")).hint(hint));
        }
        results.scenarios = plan.scenarios.iter().map(measured).collect();
        let files = Files::make(plan.room())?;
        // All of them before anybody serves: a server that hashes what is new would do it while it is measured.
        plan.sizes().into_iter().try_for_each(|size| files.write(size))?;
        let progress = Progress::new(common, &plan);
        results.skipped.iter().for_each(|one| progress.warn(&format!("SKIPPED {}: {}", one.what, one.why)));
        files.note.iter().for_each(|note| progress.warn(note));
        Ok(Bench {
            session: session.clone(),
            began: session.clock.elapsed(),
            again: plan.steps.len().div_ceil(4),
            plan,
            tools,
            files,
            patience: Patience::new(args.patience.unwrap_or(patience)),
            progress,
            results,
        })
    }

    /// Every path, one after the other.
    async fn measure(&mut self) -> Result<(), Failure> {
        let mut number = 0;
        while let Some(step) = self.plan.steps.get(number) {
            let path = self.plan.scenarios[step.scenario].path;
            let is_here = |step: &&Step| self.plan.scenarios[step.scenario].path == path;
            let steps = self.plan.steps[number..].iter().take_while(is_here).count();
            match self.set_up(path) {
                Ok(route) => self.measure_on(route, number..number + steps).await?,
                Err(failure) => self.skip(path, &failure),
            }
            number += steps;
        }
        Ok(())
    }

    fn set_up(&self, path: Path) -> Result<Route, Failure> {
        let names: Vec<&'static str> = path.tools().iter().map(|(name, _)| *name).collect();
        match self.tools.missing(&names) {
            Some((name, how)) => Err(Failure::new(Exit::Setup, "NO-TOOL", format!("{name} is not here")).hint(how)),
            None => Route::set_up(path, self.files.keeper()),
        }
    }

    fn skip(&mut self, path: Path, failure: &Failure) {
        let what = format!("path {} ({})", path.name(), path.title());
        self.progress.warn(&format!("SKIPPED {what}: {}", failure.message));
        self.results.skipped.push(Skipped { what, why: failure.message.clone(), hint: failure.hint.clone() });
    }

    async fn measure_on(&mut self, route: Route, steps: std::ops::Range<usize>) -> Result<(), Failure> {
        let mut stand = Stand::new(route, &self.files, &self.tools, self.session.clock);
        for number in steps {
            let step = self.plan.steps[number];
            let row = &mut self.results.scenarios[step.scenario].rows[step.contender];
            if row.gave_up.is_some() {
                continue;
            }
            let began = self.session.clock.elapsed();
            self.progress.begin(&self.plan, number, began);
            self.patience.wait(&self.session.clock).await?;
            let scenario = &self.plan.scenarios[step.scenario];
            let who = scenario.contenders[step.contender];
            let mut run = stand.run(scenario, who, step.round).await;
            if run.as_ref().is_ok_and(|run| run.others > DISTURBED) && self.again > 0 {
                self.again -= 1;
                self.patience.wait(&self.session.clock).await?;
                run = quieter(run, stand.run(scenario, who, step.round).await);
            }
            match run {
                Ok(run) => row.runs.push(run),
                Err(Fault::Unfinished(limit)) => row.gave_up = Some(format!("not done in {} s", limit.as_secs())),
                Err(Fault::Failed(message)) => {
                    // A signal for all of us reaches whoever runs before it reaches us.
                    tokio::time::sleep(MOMENT).await;
                    let (scenario, contender) = (scenario.name.to_owned(), who.key());
                    self.progress.warn(&format!("FAILED {scenario}, {contender}: {message}"));
                    self.results.failures.push(Problem { scenario, contender, round: step.round, message });
                }
            }
            self.progress.end(step, self.session.clock.elapsed() - began);
        }
        stand.close().await;
        Ok(())
    }

    fn finish(mut self, interrupted: bool) -> Results {
        let results = &mut self.results;
        let elapsed = self.session.clock.elapsed() - self.began;
        results.elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        results.targets = judge::judge(&Target::all(), &results.scenarios);
        results.outcome = match (interrupted, results.failures.is_empty()) {
            (true, _) => "interrupted",
            (false, true) => "complete",
            (false, false) => "failed",
        }
        .to_owned();
        self.results
    }
}

/// Of a disturbed run and the one made instead of it. What failed the second time failed.
fn quieter(first: Result<Run, Fault>, second: Result<Run, Fault>) -> Result<Run, Fault> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok(if second.others < first.others { second } else { first }),
        (_, second) => second,
    }
}

fn measured(scenario: &plan::Scenario) -> Measured {
    let row = |contender: &contender::Contender| Row {
        contender: contender.key(),
        title: contender.title(),
        runs: Vec::new(),
        gave_up: None,
    };
    let bottleneck = scenario.path.bottleneck();
    Measured {
        name: scenario.name.to_owned(),
        path: scenario.path.name().to_owned(),
        about: scenario.path.title().to_owned(),
        clients: scenario.clients,
        bytes: scenario.bytes,
        peer: scenario.peer.filter(|peer| scenario.contenders.contains(peer)).map(contender::Contender::key),
        line_bits_per_second: bottleneck.map(|(rate, _)| rate),
        line_bytes: bottleneck.map(|(_, bytes)| bytes).filter(|bytes| *bytes > 0),
        rows: scenario.contenders.iter().map(row).collect(),
    }
}

/// Each program that is wanted and not here, once.
fn missing(plan: &Plan, tools: &Tools) -> Vec<(&'static str, &'static str)> {
    let all = plan.scenarios.iter().flat_map(|scenario| &scenario.contenders);
    let mut missing: Vec<_> = all.filter_map(|contender| tools.missing(contender.needs())).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn names() -> String {
    let all = Plan::scenarios(SIZE, 1, false).into_iter().flat_map(|scenario| scenario.contenders);
    let mut names: Vec<String> = all.map(contender::Contender::key).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn machine() -> Machine {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of processors")]
    let processors = quiet::processors() as u32;
    Machine { processors, kernel }
}
