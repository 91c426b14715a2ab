//! Whether the figures to reach were reached.

use super::contender::Contender;
use super::plan::{Target, Wants};
use super::results::{Measured, Row, Run, Verdict};
use crate::bench::stats::Spread;

/// Holds each target against what was measured; what was not planned is left out.
pub(super) fn judge(targets: &[Target], scenarios: &[Measured]) -> Vec<Verdict> {
    let planned = |target: &&Target| {
        let scenario = scenarios.iter().find(|one| one.name == target.scenario);
        scenario
            .is_some_and(|scenario| scenario.row(&target.who.key()).is_some() && is_comparable(scenario, target.wants))
    };
    targets.iter().filter(planned).map(|target| verdict(target, scenarios)).collect()
}

/// Without the other there is nothing to reach.
fn is_comparable(scenario: &Measured, wants: Wants) -> bool {
    match wants {
        Wants::Rate { of, .. } | Wants::Cpu { of, .. } => scenario.row(&of.key()).is_some(),
        _ => true,
    }
}

fn verdict(target: &Target, scenarios: &[Measured]) -> Verdict {
    let scenario = scenarios.iter().find(|one| one.name == target.scenario);
    let row = scenario.and_then(|scenario| scenario.row(&target.who.key()));
    let found = scenario.zip(row).and_then(|(scenario, row)| hold(target, scenario, row));
    let (found, reached) = match (found, row.and_then(|row| row.gave_up.clone())) {
        (Some((found, reached)), None) => (found, Some(reached)),
        (_, Some(why)) => (why, Some(false)),
        (None, None) => ("not measured".to_owned(), None),
    };
    Verdict {
        scenario: target.scenario.to_owned(),
        contender: target.who.key(),
        wanted: wanted(target.wants),
        found,
        reached,
    }
}

fn wanted(wants: Wants) -> String {
    let title = |of: Contender| of.title();
    match wants {
        Wants::Rate { of, least } => format!("at least {least:.2} × {}", title(of)),
        Wants::Cpu { of, most } => format!("at most {most:.2} × the CPU a byte of {}", title(of)),
        Wants::Line { least } => format!("at least {least:.2} of the line in every run"),
        Wants::Queue { most } => format!("at most {most:.2} of a bandwidth-delay product before 95 % of packets"),
        Wants::Fairness { least } => format!("Jain's fairness at least {least:.2}"),
        Wants::Share { least, most } => {
            format!("{:.0} to {:.0} % beside a TCP cubic flow", least * 100.0, most * 100.0)
        }
        Wants::Slowest { most } => format!("the slowest client within {most:.0} × the median one"),
        Wants::ServerMemory { most } => format!("server at most {most:.0} MiB"),
        Wants::ClientMemory { most } => format!("client at most {most:.0} MiB"),
    }
}

/// What was found, in words, and whether that is enough.
fn hold(target: &Target, scenario: &Measured, row: &Row) -> Option<(String, bool)> {
    let who = target.who.key();
    Some(match target.wants {
        Wants::Rate { of, least } => {
            let ratio = scenario.ratio(&who, &of.key(), |run| run.bits_per_second)?;
            (times(ratio), ratio.median >= least)
        }
        Wants::Cpu { of, most } => {
            let ratio = scenario.ratio(&who, &of.key(), Run::cpu_in_all)?;
            (times(ratio), ratio.median <= most)
        }
        Wants::Line { least } => {
            let line = scenario.line_bits_per_second?;
            let reached = row.spread(|run| run.bits_per_second / line)?;
            (range(reached), reached.min >= least)
        }
        Wants::Queue { most } => {
            #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
            let queue = |run: &Run| Some(run.queue_bytes? as f64 / scenario.line_bytes? as f64);
            let queue = row.spread_of(queue)?;
            (range(queue), queue.max <= most)
        }
        Wants::Fairness { least } => {
            let fairness = row.spread_of(|run| run.fairness)?;
            (range(fairness), fairness.median >= least)
        }
        Wants::Share { least, most } => {
            let share = row.spread_of(|run| run.share)?;
            let text = format!("{:.0} % ({:.0}–{:.0})", share.median * 100.0, share.min * 100.0, share.max * 100.0);
            (text, share.min >= least && share.max <= most)
        }
        Wants::Slowest { most } => {
            let slowest = row.spread_of(|run| run.slowest)?;
            (times(slowest), slowest.median <= most)
        }
        Wants::ServerMemory { most } => {
            let most_at_once = row.spread(|run| mebibytes(run.sender_memory_bytes))?.max;
            (format!("{most_at_once:.0} MiB"), most_at_once <= most)
        }
        Wants::ClientMemory { most } => {
            let most_at_once = row.spread(|run| mebibytes(run.largest_receiver_bytes))?.max;
            (format!("{most_at_once:.0} MiB"), most_at_once <= most)
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "whole MiB are shown")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn times(ratio: Spread) -> String {
    format!("{:.2} × ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max)
}

fn range(spread: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::fixture;

    fn verdicts(scenarios: &[Measured]) -> Vec<(String, Option<bool>)> {
        let verdicts = judge(&Target::all(), scenarios);
        verdicts.into_iter().map(|one| (format!("{} {}", one.contender, one.wanted), one.reached)).collect()
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The machine was half as fast in the second round, for both.
        let lo = fixture::measured("lo", &[("castlab", &[9e9, 4.5e9]), ("nginx", &[10e9, 5e9])]);
        let verdicts = judge(&Target::all(), &[lo]);
        assert_eq!(verdicts.len(), 2, "only what was planned: {verdicts:?}");
        assert_eq!((verdicts[1].found.as_str(), verdicts[1].reached), ("20 MiB", Some(true)));
        assert_eq!(verdicts[0].found, "0.90 × (0.90–0.90)");
        assert_eq!(verdicts[0].reached, Some(true), "0.85 is wanted");
    }

    #[test]
    fn a_missed_figure_is_missed_and_an_unmeasured_one_is_neither() {
        let missed = fixture::measured("lo", &[("castlab", &[8e9]), ("nginx", &[10e9])]);
        assert_eq!(verdicts(&[missed])[0].1, Some(false));
        let unmeasured = fixture::measured("lo", &[("castlab", &[]), ("nginx", &[10e9])]);
        assert_eq!(verdicts(&[unmeasured])[0].1, None);
    }

    #[test]
    fn every_run_counts_where_every_run_is_wanted() {
        let mut far = fixture::measured("relay-loss", &[("castlab", &[0.95e9, 0.95e9, 0.89e9])]);
        far.line_bits_per_second = Some(1e9);
        far.line_bytes = Some(2_500_000);
        far.rows[0].runs.iter_mut().for_each(|run| run.queue_bytes = Some(1_000_000));
        let verdicts = judge(&Target::all(), &[far]);
        assert_eq!(verdicts[0].found, "0.95 (0.89–0.95)");
        assert_eq!(verdicts[0].reached, Some(false));
        assert_eq!((verdicts[1].found.as_str(), verdicts[1].reached), ("0.40 (0.40–0.40)", Some(true)));
    }

    #[test]
    fn who_was_given_up_reached_nothing() {
        let mut far = fixture::measured("relay-long", &[("castlab", &[])]);
        far.rows[0].gave_up = Some("not done in 20 s".to_owned());
        let verdicts = judge(&Target::all(), &[far]);
        assert_eq!((verdicts[0].found.as_str(), verdicts[0].reached), ("not done in 20 s", Some(false)));
    }
}
