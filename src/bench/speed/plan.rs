//! What is measured, and which figures are to be reached; and the order of the runs.

mod scenarios;
mod targets;

use std::collections::BTreeSet;

use super::contender::Contender;
use super::files::SMALL;
use super::path::Path;

/// Some contenders that do the same on the same path.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// A stable name.
    pub(super) name: &'static str,
    pub(super) path: Path,
    pub(super) clients: u16,
    /// Of the file that each client fetches.
    pub(super) bytes: u64,
    /// How long those go on that send no file.
    pub(super) seconds: u64,
    pub(super) rounds: usize,
    /// A TCP flow (iperf3, cubic) goes beside each of them all the time, and the two are weighed.
    pub(super) beside_tcp: bool,
    pub(super) contenders: Vec<Contender>,
    /// Whom the others are compared with; without one, the line.
    pub(super) peer: Option<Contender>,
}

/// A figure to reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) scenario: &'static str,
    pub(super) who: Contender,
    pub(super) wants: Wants,
}

/// What is wanted of somebody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wants {
    /// At least this much of another's rate, in the median of the rounds.
    Rate { of: Contender, least: f64 },
    /// At most this much of another's processor time a byte, both sides together.
    Cpu { of: Contender, most: f64 },
    /// At least this much of the line, in every run.
    Line { least: f64 },
    /// At most this much of a bandwidth-delay product waiting before 95 of 100 packets, in every run.
    Queue { most: f64 },
    /// Jain's index over the clients of a run.
    Fairness { least: f64 },
    /// Its share of the link beside a TCP flow, in every run.
    Share { least: f64, most: f64 },
    /// The slowest client's time over the median client's.
    Slowest { most: f64 },
    /// MiB of the process that serves.
    ServerMemory { most: f64 },
    /// MiB of the largest process that fetches.
    ClientMemory { most: f64 },
}

/// The scenarios and the steps of a whole run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) scenarios: Vec<Scenario>,
    /// Scenario, contender and round of each run, in order.
    pub(super) steps: Vec<Step>,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) scenario: usize,
    pub(super) contender: usize,
    pub(super) round: usize,
}

impl Plan {
    /// Those of `scenarios` on the paths wanted, with the contenders wanted; all where none are named.
    pub(super) fn new(mut scenarios: Vec<Scenario>, paths: &[Path], only: &[String]) -> Self {
        let is_wanted =
            |contender: &Contender| only.is_empty() || only.iter().any(|wanted| contender.is_wanted(wanted));
        scenarios.retain(|scenario| paths.is_empty() || paths.contains(&scenario.path));
        for scenario in &mut scenarios {
            scenario.contenders.retain(is_wanted);
        }
        scenarios.retain(|scenario| !scenario.contenders.is_empty());
        let steps = Self::interleave(&scenarios);
        Plan { scenarios, steps }
    }

    /// Contenders take turns, so that what changes on the machine changes for all of them; and each round another begins,
    /// so that none always follows the same one.
    fn interleave(scenarios: &[Scenario]) -> Vec<Step> {
        let mut steps = Vec::new();
        for (number, scenario) in scenarios.iter().enumerate() {
            for round in 0..scenario.rounds {
                let all = scenario.contenders.len();
                let turn = (0..all).map(|place| (place + round) % all);
                steps.extend(turn.map(|contender| Step { scenario: number, contender, round }));
            }
        }
        steps
    }

    /// The sizes of the files that are served; a small one makes servers ready.
    pub(super) fn sizes(&self) -> BTreeSet<u64> {
        self.scenarios.iter().map(|one| one.bytes).chain([SMALL]).collect()
    }

    /// How much room the largest of them needs for its files, with all that is served: one file of each size.
    pub(super) fn room(&self) -> u64 {
        let landing = |one: &Scenario| one.bytes.saturating_mul(u64::from(one.clients));
        let served = self.sizes().into_iter().fold(0, u64::saturating_add);
        self.scenarios.iter().map(landing).max().unwrap_or(0).saturating_add(served)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(paths: &[Path], only: &[&str]) -> Plan {
        let only: Vec<String> = only.iter().map(|&one| one.to_owned()).collect();
        Plan::new(Plan::scenarios(1 << 30, 3, false), paths, &only)
    }

    #[test]
    fn contenders_take_turns_and_each_round_another_begins() {
        let plan = plan(&[Path::Lo], &["castlab", "nginx"]);
        let firsts: Vec<usize> = (0..3).map(|round| first_of(&plan, round)).collect();
        assert_eq!(firsts, [0, 1, 2]);
        let distinct: BTreeSet<_> = plan.steps.iter().map(|step| (step.scenario, step.contender, step.round)).collect();
        assert_eq!(distinct.len(), plan.steps.len());
        let expected: usize = plan.scenarios.iter().map(|one| one.rounds * one.contenders.len()).sum();
        assert_eq!(plan.steps.len(), expected);
    }

    fn first_of(plan: &Plan, round: usize) -> usize {
        plan.steps.iter().find(|step| step.scenario == 0 && step.round == round).unwrap().contender
    }

    #[test]
    fn a_family_or_one_of_it_can_be_wanted() {
        let keys = |plan: &Plan| -> BTreeSet<String> {
            plan.scenarios.iter().flat_map(|one| one.contenders.iter().map(|contender| contender.key())).collect()
        };
        let family = keys(&plan(&[], &["castlab"]));
        assert!(family.len() > 3 && family.iter().all(|key| key.starts_with("castlab")), "{family:?}");
        assert_eq!(keys(&plan(&[], &["iperf3-bbr"])), BTreeSet::from(["iperf3-bbr".to_owned()]));
        let alone = keys(&plan(&[], &["castlab-plain", "nginx-plain"]));
        assert_eq!(alone, BTreeSet::from(["castlab".to_owned(), "nginx".to_owned()]), "without their families");
        assert!(plan(&[], &["nobody"]).steps.is_empty());
    }

    #[test]
    fn every_target_speaks_of_somebody_who_is_measured_there() {
        let scenarios = Plan::scenarios(1 << 30, 3, false);
        let names: BTreeSet<&str> = scenarios.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), scenarios.len(), "a scenario's name is its own");
        for target in Target::all() {
            let scenario = scenarios.iter().find(|one| one.name == target.scenario).expect(target.scenario);
            assert!(scenario.contenders.contains(&target.who), "{target:?}");
            if let Wants::Rate { of, .. } | Wants::Cpu { of, .. } = target.wants {
                assert!(scenario.contenders.contains(&of), "{target:?}");
            }
            if let Wants::Line { .. } | Wants::Queue { .. } = target.wants {
                assert!(scenario.path.bottleneck().is_some(), "{target:?}");
            }
        }
        let paths: Vec<Path> = scenarios.iter().map(|one| one.path).collect();
        assert!(paths.is_sorted_by_key(|path| Path::ALL.iter().position(|one| one == path)), "each is set up once");
        for scenario in &scenarios {
            let peer = scenario.peer.iter().all(|peer| scenario.contenders.contains(peer));
            assert!(peer && scenario.rounds > 0 && scenario.bytes > 0, "{scenario:?}");
        }
    }
}
