//! How far a benchmark is, on stderr: a bar on a terminal, elsewhere a line every few seconds.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use labkit::Common;

use super::plan::{Plan, Step};

/// Between lines.
const INTERVAL: Duration = Duration::from_secs(3);
/// What a run takes besides moving bytes: waiting for quiet, comparing, cleaning up.
const AROUND: f64 = 1.0;
/// What an unknown contender is taken to reach, in bytes a second.
const GUESS: f64 = 1e9;

/// Tells what is under way.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    told: Option<Duration>,
    /// How long runs took, in seconds, by scenario and contender.
    took: BTreeMap<(usize, usize), f64>,
}

impl Progress {
    pub(super) fn new(common: &Common, plan: &Plan) -> Self {
        let wanted = !common.quiet && !common.no_progress;
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("a template without faults");
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (wanted && is_terminal).then(|| ProgressBar::new(plan.steps.len() as u64).with_style(style));
        Progress { bar, lines: wanted && !is_terminal, told: None, took: BTreeMap::new() }
    }

    /// A run begins, `number` of the plan's.
    pub(super) fn begin(&mut self, plan: &Plan, number: usize, now: Duration) {
        let step = plan.steps[number];
        let scenario = &plan.scenarios[step.scenario];
        let left = minutes(self.left(plan, &plan.steps[number..]));
        let who = scenario.contenders[step.contender].title();
        let text = format!("{}: {who}, round {}; {left}", scenario.name, step.round + 1);
        if let Some(bar) = &self.bar {
            bar.set_position(number as u64);
            bar.set_message(text.clone());
        }
        if self.lines && self.told.is_none_or(|told| now - told >= INTERVAL) {
            self.told = Some(now);
            say(&format!("{}/{} {text}", number + 1, plan.steps.len()));
        }
    }

    /// A run took that long, all in all.
    pub(super) fn end(&mut self, step: Step, took: Duration) {
        self.took.insert((step.scenario, step.contender), took.as_secs_f64());
    }

    /// Something that people want to know at once.
    pub(super) fn warn(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.lines => say(text),
            None => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Seconds that these steps will take: as long as the same took before.
    fn left(&self, plan: &Plan, steps: &[Step]) -> f64 {
        let one = |step: &Step| {
            self.took.get(&(step.scenario, step.contender)).copied().unwrap_or_else(|| guess(plan, *step))
        };
        steps.iter().map(one).sum()
    }
}

fn guess(plan: &Plan, step: Step) -> f64 {
    let scenario = &plan.scenarios[step.scenario];
    #[expect(clippy::cast_precision_loss, reason = "a guess")]
    let (bytes, own) = (scenario.bytes.saturating_mul(scenario.clients.into()) as f64, scenario.seconds as f64);
    let rate = scenario.path.bottleneck().map_or(GUESS, |(rate, _)| rate / 8.0);
    let sends_files = scenario.contenders[step.contender].writes_files() && !scenario.beside_tcp;
    AROUND + if sends_files { bytes / rate } else { own }
}

fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("about {seconds:.0} s left") } else { format!("about {:.0} min left", seconds / 60.0) }
}

fn say(text: &str) {
    // A stderr that is gone is nobody's loss.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::path::Path;

    #[test]
    fn what_is_left_goes_by_what_was_measured_once_there_is_something() {
        let plan = Plan::new(Plan::scenarios(1_000_000_000, 2, false), &[Path::Lo], &["nginx".to_owned()]);
        let mut progress = Progress::new(&Common { quiet: true, ..Common::default() }, &plan);
        let of_first: Vec<Step> = plan.steps.iter().copied().filter(|step| step.scenario == 0).collect();
        // nginx and nginx with b3sum, two rounds each; a gigabyte is guessed to take a second, and another around it.
        assert_eq!(progress.left(&plan, &of_first), 8.0);
        progress.end(of_first[0], Duration::from_secs(10));
        assert_eq!(progress.left(&plan, &of_first[1..]), 10.0 + 2.0 * 2.0);
    }

    #[test]
    fn the_time_left_is_said_roughly() {
        assert_eq!(minutes(42.3), "about 42 s left");
        assert_eq!(minutes(600.0), "about 10 min left");
    }
}
