//! What is measured, and which figures are to be reached: the scenarios and targets, as data, and the order of the runs.

use std::collections::BTreeSet;

use super::contender::{Contender, Ours};
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

const PLAIN: Contender = Contender::Castlab(Ours::Plain);
const UNVERIFIED: Contender = Contender::Castlab(Ours::Unverified);
const CUBIC: Contender = Contender::Castlab(Ours::Cubic);
const CLASSIC: Contender = Contender::Castlab(Ours::Classic);
const SINGLE: Contender = Contender::Castlab(Ours::Single);
const GO_BACK_N: Contender = Contender::Castlab(Ours::GoBackN);
const STOP_AND_WAIT: Contender = Contender::Castlab(Ours::StopAndWait);
const QUIC: Contender = Contender::Quic("cubic");
const IPERF_CUBIC: Contender = Contender::Iperf("cubic");
const IPERF_BBR: Contender = Contender::Iperf("bbr");

/// What is on the way in a second of a gigabit.
const GIGABIT: u64 = 125_000_000;

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
    /// Everything there is, with files of `size` for one client and a quarter of it for several. `quick` leaves out what
    /// takes long and says little.
    pub(super) fn scenarios(size: u64, rounds: usize, quick: bool) -> Vec<Scenario> {
        let part = (size / 4).max(1);
        let seconds = if quick { 1 } else { 2 };
        let base = Scenario {
            name: "",
            path: Path::Lo,
            clients: 1,
            bytes: size,
            seconds,
            rounds,
            beside_tcp: false,
            contenders: Vec::new(),
            peer: Some(Contender::Nginx),
        };
        let one = [PLAIN, UNVERIFIED, Contender::Nginx, Contender::NginxHashed, QUIC, IPERF_CUBIC, IPERF_BBR];
        let several = [PLAIN, UNVERIFIED, Contender::Nginx];
        let on = |name, path, clients, contenders: &[Contender]| Scenario {
            name,
            path,
            clients,
            bytes: if clients > 1 { part } else { size },
            contenders: contenders.to_vec(),
            ..base.clone()
        };
        let mut all = vec![
            on("lo", Path::Lo, 1, &one),
            on("lo-5", Path::Lo, 5, &several),
            on("lo-10", Path::Lo, 10, &several),
            Scenario {
                bytes: part,
                peer: Some(Contender::IperfUdp),
                ..on("lo-no-offload", Path::Lo, 1, &[SINGLE, Contender::IperfUdp])
            },
            Scenario {
                bytes: part,
                peer: Some(Contender::Python),
                ..on("lo-classic", Path::Lo, 1, &[CLASSIC, Contender::Python, PLAIN, GO_BACK_N, STOP_AND_WAIT])
            },
            Scenario {
                bytes: part.min(1 << 20),
                peer: None,
                rounds: rounds.min(2),
                ..on("lo-1000", Path::Lo, 1000, &[PLAIN])
            },
            on("veth", Path::Veth, 1, &one),
            on("veth-5", Path::Veth, 5, &several),
            on("veth-10", Path::Veth, 10, &several),
            Scenario { bytes: part, ..on("veth-uftp", Path::Veth, 1, &[PLAIN, Contender::Uftp, Contender::Nginx]) },
            on("veth-mtu", Path::VethMtu, 1, &[PLAIN, UNVERIFIED, Contender::Nginx, QUIC, IPERF_CUBIC, IPERF_BBR]),
            Scenario {
                bytes: part,
                peer: Some(IPERF_BBR),
                ..on("veth-loss", Path::VethLoss, 1, &[PLAIN, CUBIC, IPERF_BBR, IPERF_CUBIC, Contender::Quic("bbr")])
            },
            Scenario {
                bytes: GIGABIT.min(part) * seconds,
                peer: None,
                rounds: rounds.min(3),
                ..on("veth-rate", Path::VethRate, 1, &[PLAIN, Contender::Nginx])
            },
        ];
        all.extend(Self::far(&base, rounds, quick));
        all
    }

    /// Long and lossy paths: they take as long as they take, whatever the machine.
    fn far(base: &Scenario, rounds: usize, quick: bool) -> Vec<Scenario> {
        let seconds = if quick { 2 } else { 4 };
        let long = Scenario {
            bytes: GIGABIT * seconds,
            seconds,
            peer: None,
            rounds: rounds.min(if quick { 1 } else { 3 }),
            ..base.clone()
        };
        vec![
            Scenario {
                name: "relay-loss",
                path: Path::RelayLoss,
                contenders: vec![PLAIN, CUBIC, IPERF_CUBIC, IPERF_BBR, Contender::Quic("bbr")],
                ..long.clone()
            },
            Scenario {
                name: "relay-long",
                path: Path::RelayLong,
                contenders: vec![PLAIN, CUBIC, IPERF_CUBIC, IPERF_BBR, QUIC],
                ..long.clone()
            },
            Scenario {
                name: "relay-shared",
                path: Path::RelayShared,
                // More than fits through in that time, so that it goes on as long as the flow beside it.
                bytes: GIGABIT / 10 * 15,
                seconds: if quick { 5 } else { 10 },
                beside_tcp: true,
                contenders: vec![PLAIN, CUBIC],
                ..long
            },
        ]
    }

    /// Those of `scenarios` on the paths wanted, with the contenders wanted; all where none are named.
    pub(super) fn new(mut scenarios: Vec<Scenario>, paths: &[Path], only: &[String]) -> Self {
        let is_wanted = |contender: &Contender| {
            let key = contender.key();
            let family = key.split('-').next().unwrap_or_default();
            only.is_empty() || only.iter().any(|wanted| *wanted == key || wanted == family)
        };
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

    /// How much room the largest of them needs for its files, with all that is served: one file of each size.
    pub(super) fn room(&self) -> u64 {
        let landing = |one: &Scenario| one.bytes.saturating_mul(u64::from(one.clients));
        let sizes: BTreeSet<u64> = self.scenarios.iter().map(|one| one.bytes).collect();
        let served = sizes.into_iter().fold(0, u64::saturating_add);
        self.scenarios.iter().map(landing).max().unwrap_or(0).saturating_add(served)
    }
}

impl Target {
    /// The figures to reach.
    pub(super) fn all() -> Vec<Target> {
        let mut all = Vec::new();
        let mut want = |scenario, who, wants| all.push(Target { scenario, who, wants });
        for path in ["lo", "veth"] {
            want(path, UNVERIFIED, Wants::Rate { of: Contender::Nginx, least: 1.0 });
            want(path, PLAIN, Wants::Rate { of: Contender::Nginx, least: 0.85 });
            want(path, PLAIN, Wants::Rate { of: Contender::NginxHashed, least: 1.3 });
            want(path, PLAIN, Wants::Rate { of: QUIC, least: 2.0 });
            want(path, PLAIN, Wants::Cpu { of: QUIC, most: 0.5 });
            want(path, PLAIN, Wants::ClientMemory { most: 32.0 });
        }
        for several in ["lo-5", "lo-10", "veth-5", "veth-10"] {
            want(several, UNVERIFIED, Wants::Rate { of: Contender::Nginx, least: 0.9 });
            want(several, PLAIN, Wants::Rate { of: Contender::Nginx, least: 0.7 });
            want(several, PLAIN, Wants::Fairness { least: 0.95 });
        }
        want("lo-no-offload", SINGLE, Wants::Rate { of: Contender::IperfUdp, least: 0.85 });
        for who in [CLASSIC, PLAIN, GO_BACK_N, STOP_AND_WAIT] {
            want("lo-classic", who, Wants::Rate { of: Contender::Python, least: 1.0 });
        }
        want("lo-1000", PLAIN, Wants::Slowest { most: 3.0 });
        want("lo-1000", PLAIN, Wants::ServerMemory { most: 256.0 });
        want("veth-mtu", PLAIN, Wants::Rate { of: Contender::Nginx, least: 0.95 });
        want("veth-mtu", PLAIN, Wants::Rate { of: QUIC, least: 2.0 });
        want("veth-mtu", PLAIN, Wants::Cpu { of: QUIC, most: 0.5 });
        want("veth-loss", PLAIN, Wants::Rate { of: IPERF_BBR, least: 0.9 });
        want("relay-loss", PLAIN, Wants::Line { least: 0.90 });
        want("relay-loss", PLAIN, Wants::Queue { most: 0.5 });
        want("relay-long", PLAIN, Wants::Line { least: 0.85 });
        for who in [PLAIN, CUBIC] {
            want("relay-shared", who, Wants::Share { least: 0.25, most: 0.75 });
        }
        all
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
        for scenario in &scenarios {
            let peer = scenario.peer.iter().all(|peer| scenario.contenders.contains(peer));
            assert!(peer && scenario.rounds > 0 && scenario.bytes > 0, "{scenario:?}");
        }
    }
}
