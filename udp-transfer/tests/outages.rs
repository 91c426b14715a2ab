//! A dead link: a short outage heals by itself, a long one ends with its reason, and what was there is not sent again.

use std::time::Duration;

use arq::{Failure, Outcome, Policy};
use netsim::{Impairment, Random};
use udp_transfer::sim::{Run, Scenario};

const SECOND: Duration = Duration::from_secs(1);

/// A transfer that takes some seconds, and an outage in it.
fn run(policy: Policy, seed: u64, start: Duration, length: Duration) -> Run {
    let rate = if policy == Policy::STOP_AND_WAIT { "" } else { "rate=1mbit,queue=8kB," };
    let link: Impairment =
        format!("{rate}delay=10ms,loss=1%,blackout={}ms@{}ms", length.as_millis(), start.as_millis())
            .parse()
            .expect("an impairment");
    let blocks = if policy == Policy::STOP_AND_WAIT { 200 } else { 2_500 };
    Scenario { policy, seed, blocks, ..Scenario::default() }.over(&link).run()
}

#[test]
fn an_outage_of_up_to_25_seconds_heals_in_less_than_two() {
    let mut slowest = Duration::ZERO;
    for policy in [Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::go_back_n(64), Policy::SELECTIVE_REPEAT] {
        for seed in 0..40 {
            for length in [3 * SECOND, 8 * SECOND, 25 * SECOND] {
                let start = Duration::from_millis(1_000 + Random::new(seed).below(1_000));
                let run = run(policy, seed, start, length);
                assert!(run.is_whole(), "{policy}, seed {seed}, {length:?} at {start:?}: {run:#?}");
                let (from, until) = run.longest_pause;
                assert!(from <= start + SECOND / 2 && until >= start + length, "{policy}: {from:?} to {until:?}");
                slowest = slowest.max(until.saturating_sub(start + length));
            }
        }
    }
    println!("at most {slowest:?} from the end of an outage to the next block");
    assert!(slowest < 2 * SECOND, "{slowest:?}");
}

#[test]
fn a_longer_one_ends_both_sides_with_the_reason_and_resume_sends_only_the_rest() {
    for policy in [Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT] {
        for seed in 0..30 {
            let start = SECOND + SECOND / 2;
            let first = run(policy, seed, start, 35 * SECOND);
            let silence = Some(Outcome::Failed(Failure::Silence(30 * SECOND)));
            assert_eq!((first.receiver, first.sender), (silence, silence), "{policy}, seed {seed}");
            assert!(first.time <= start + 31 * SECOND, "{policy}, seed {seed}: {:?}", first.time);
            assert!(!first.held.is_empty());

            let link: Impairment = "delay=10ms".parse().unwrap();
            let (held, rest) = (first.held.clone(), first.blocks - first.held.len());
            let scenario = Scenario { policy, seed, blocks: first.blocks, held, ..Scenario::default() };
            let second = scenario.over(&link).run();
            assert!(second.is_whole(), "{policy}, seed {seed}: {second:#?}");
            assert_eq!(second.blocks_sent, rest, "{policy}, seed {seed}: only what was missing");
        }
    }
}
