//! Whatever the network does, the file arrives whole: every reliable mode, over every kind of bad link, for any seed.
//!
//! `CASTLAB_SEEDS=10000` runs more seeds than the ordinary 1,000; `CASTLAB_SEED=17` runs that one alone.

use std::time::Duration;

use arq::{Failure, Outcome, Policy};
use netsim::{Impairment, Random};
use udp_transfer::sim::{Run, Scenario};

/// In virtual time. What takes longest is stop-and-wait over 30 % loss: some 60 ms a block, and seldom a run of time-outs.
const BOUND: Duration = Duration::from_secs(60);

const MODES: [Policy; 4] =
    [Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::go_back_n(64), Policy::SELECTIVE_REPEAT];

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a seed is a number"));
    match number("CASTLAB_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CASTLAB_SEEDS").unwrap_or(1_000),
    }
}

/// Runs all modes and seeds over one link. `{phase}` in its description is a time that differs from seed to seed.
fn every_seed_arrives_whole(profile: &str, link: &str) {
    let mut unsure = 0;
    for policy in MODES {
        for seed in seeds() {
            let phase = format!("{}ms", Random::stream(seed, 9).below(7_000));
            let link: Impairment = link.replace("{phase}", &phase).parse().expect("the profile is an impairment");
            let disk_takes = Duration::from_micros(if seed % 3 == 0 { 300 } else { 0 });
            let scenario = Scenario { policy, seed, disk_takes, blocks: 24 + seed % 17, ..Scenario::default() };
            let run = scenario.over(&link).run();
            let replay = format!("CASTLAB_SEED={seed} cargo test -p udp-transfer --test any_seed {profile}");
            assert!(run.is_whole(), "{policy} over {link}: {run:#?}\nto see it again: {replay}");
            assert!(run.time <= BOUND, "{policy} over {link} took {:?}\nto see it again: {replay}", run.time);
            unsure += u64::from(!sender_is_sure(&run));
        }
    }
    let runs = MODES.len() as u64 * seeds().count() as u64;
    assert!(unsure * 200 <= runs, "{unsure} of {runs} senders never heard that their receiver had it all");
}

/// All last words may be lost: then the sender gives up listening, and nothing worse.
fn sender_is_sure(run: &Run) -> bool {
    match run.sender {
        Some(Outcome::Complete) => true,
        Some(Outcome::Failed(Failure::Silence(_))) => false,
        Some(Outcome::Holes(_) | Outcome::Failed(_)) | None => panic!("the sender ended otherwise: {run:#?}"),
    }
}

macro_rules! profiles {
    ($($name:ident: $link:expr;)*) => {
        $(#[test]
        fn $name() {
            every_seed_arrives_whole(stringify!($name), $link);
        })*
    };
}

// A burst is so many packets long, not so much time: with a mean of eight, one in sixty takes more than thirty packets in a
// row, and while a sender probes once a second that is no burst but an outage beyond the idle limit (see outages.rs).
profiles! {
    clean: "delay=10ms";
    loss_1_percent: "delay=10ms,loss=1%";
    loss_5_percent: "delay=10ms,loss=5%";
    loss_20_percent: "delay=10ms,loss=20%";
    loss_30_percent: "delay=10ms,loss=30%";
    losses_in_bursts: "delay=10ms,burst=3%:3";
    reordering: "delay=10ms,reorder=10%";
    duplication: "delay=10ms,duplicate=10%";
    corruption: "delay=10ms,corrupt=2%";
    slow_with_a_small_queue: "delay=10ms,rate=500kbit,queue=2kB";
    dark_two_seconds_in_seven: "delay=10ms,rate=30kbit,queue=2kB,blackout=2s@{phase}/7s";
    long_round_trip: "delay=100ms,loss=1%";
    everything_at_once: "delay=10ms,jitter=5ms,loss=5%,corrupt=2%,duplicate=5%,reorder=20%,rate=2mbit";
}
