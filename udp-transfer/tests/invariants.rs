//! The named invariants, held by comparing whole runs.

use arq::congestion::Choice;
use arq::{BlockRange, Outcome, Policy, RangeSet};
use netsim::{Impairment, Random};
use udp_transfer::sim::Scenario;

const MODES: [Policy; 4] = [Policy::RAW, Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT];
const BAD: &str = "delay=10ms,jitter=5ms,loss=5%,corrupt=2%,duplicate=5%,reorder=20%,rate=2mbit";

/// Every mode over a bad link with some seeds.
fn scenarios() -> impl Iterator<Item = Scenario> {
    let link: Impairment = BAD.parse().expect("an impairment");
    MODES.into_iter().flat_map(move |policy| {
        let link = link.clone();
        (0..200).map(move |seed| Scenario { policy, seed, blocks: 60, ..Scenario::default() }.over(&link))
    })
}

#[test]
fn deaf_events_change_nothing() {
    for scenario in scenarios() {
        let deaf = scenario.run();
        let listening = Scenario { listen: true, ..scenario.clone() }.run();
        assert!(deaf.records.is_empty() && !listening.records.is_empty());
        assert_eq!(deaf.trace, listening.trace, "{} with seed {}", scenario.policy, scenario.seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_run_to_the_last_bit() {
    for scenario in scenarios() {
        assert_eq!(scenario.run().trace, scenario.run().trace, "{} with seed {}", scenario.policy, scenario.seed);
    }
}

#[test]
fn nothing_is_reported_before_it_is_stored_however_slow_the_disk() {
    for millis in [1, 20, 300] {
        for seed in 0..100 {
            let disk_takes = std::time::Duration::from_millis(millis);
            let run = Scenario { seed, disk_takes, credit: 40, ..Scenario::default() }.run();
            assert!(run.is_whole(), "{run:#?}");
            if millis < 300 {
                assert_eq!(run.sent_again, 0, "a slow disk is not a loss: {millis} ms, seed {seed}");
            }
        }
    }
}

#[test]
fn raw_mode_tells_exactly_what_the_network_took() {
    for seed in 0..200 {
        let link: Impairment = "delay=10ms,loss=10%".parse().unwrap();
        let scenario = Scenario { policy: Policy::RAW, seed, blocks: 100, forward: link, ..Scenario::default() };
        let run = scenario.run();
        let holes = run.blocks - run.held.len();
        let told = if holes == 0 { Outcome::Complete } else { Outcome::Holes(holes) };
        assert_eq!((run.receiver, run.sender), (Some(told), Some(told)), "seed {seed}: {run:#?}");
        assert!(run.broken.is_empty() && run.blocks_sent == 100);
    }
}

#[test]
fn whatever_the_receiver_holds_already_is_not_sent() {
    for policy in [Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT] {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut held = RangeSet::new();
            for _ in 0..random.below(200) {
                let start = random.below(995);
                held.insert_range(BlockRange::new(start, start + 1 + random.below(5))).unwrap();
            }
            let missing = 1_000 - held.len();
            let run = Scenario { policy, seed, blocks: 1_000, held, ..Scenario::default() }.run();
            assert!(run.is_whole() && run.blocks_sent == missing, "{policy}, seed {seed}: {run:#?}");
        }
    }
}

#[test]
fn a_file_of_no_blocks_and_a_file_of_one_arrive() {
    for policy in MODES {
        for blocks in [0, 1, 2] {
            let run = Scenario { policy, blocks, ..Scenario::default() }.run();
            assert!(run.is_whole() && run.blocks_sent == blocks, "{policy}, {blocks} blocks: {run:#?}");
        }
    }
}

#[test]
fn every_congestion_control_brings_the_file_over_a_bad_link() {
    let link: Impairment = BAD.parse().unwrap();
    for congestion in [Choice::NewReno, Choice::Cubic, Choice::Bbr, Choice::Fixed { window: 20_000 }] {
        for seed in 0..200 {
            let run = Scenario { congestion, seed, blocks: 300, ..Scenario::default() }.over(&link).run();
            assert!(run.is_whole(), "{congestion}, seed {seed}: {run:#?}");
        }
    }
}

#[test]
fn each_single_packet_may_be_lost_and_each_pair() {
    for policy in [Policy::STOP_AND_WAIT, Policy::go_back_n(4), Policy::SELECTIVE_REPEAT] {
        for kind in ["open", "block", "report", "done"] {
            for (first, second) in (0..20).flat_map(|first| (first..20).map(move |second| (first, second))) {
                let drops = format!("delay=10ms,drop={kind}:{first},drop={kind}:{second}");
                let link: Impairment = drops.parse().unwrap();
                let run = Scenario { policy, blocks: 12, ..Scenario::default() }.over(&link).run();
                assert!(run.is_whole() && run.sender == Some(Outcome::Complete), "{policy}, {drops}: {run:#?}");
                assert!(run.time.as_millis() < 4_000, "{policy}, {drops}: {:?}", run.time);
            }
        }
    }
}

/// A sender forgets what has arrived, in every mode: one that does not stops at what it may remember, or slows down for it.
#[test]
fn a_file_of_many_blocks_is_as_good_as_one_of_few() {
    for policy in [Policy::STOP_AND_WAIT, Policy::go_back_n(64), Policy::SELECTIVE_REPEAT] {
        let scenario: Scenario =
            format!("{policy} | 70000 blocks | there: delay=100us | back: delay=100us").parse().expect("a scenario");
        let run = scenario.run();
        assert!(run.is_whole() && run.sent_again == 0, "{policy}: {} of {} blocks", run.held.len(), run.blocks);
    }
}
