//! What congestion control makes of a bottleneck, in virtual time: how much of it is used, how long its queue is, who gets
//! what. `cargo test --test congestion -- --nocapture` prints the figures; each names its seed.

use std::time::Duration;

use arq::congestion::Choice;
use netsim::Impairment;
use udp_transfer::sim::{Flow, Shared, Usage};

const SEEDS: std::ops::Range<u64> = 1..4;

fn link(text: &str) -> Impairment {
    text.parse().expect("an impairment")
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn run(path: &str, seed: u64, time: Duration, flows: Vec<Flow>) -> Usage {
    Shared { seed, ..Shared::over(link(path), flows, time) }.run()
}

/// In thousandths of the path's rate.
fn used(path: &str, usage: &Usage, flow: usize, from: Duration, until: Duration) -> u64 {
    usage.rate(flow, from, until) * 1_000 / link(path).rate
}

/// In thousandths of what the path holds: the mean, and what one datagram in a hundred exceeds.
fn queue(path: &str, usage: &Usage, from: Duration, until: Duration) -> (u128, u128) {
    let (mean, most) = usage.waited(from, until, 1);
    let round_trip = 2 * link(path).delay.as_nanos();
    (mean.as_nanos() * 1_000 / round_trip, most.as_nanos() * 1_000 / round_trip)
}

/// Once startup is over, the line is used but for some percent, and what is lost on the way; the queue stays below half of
/// what the path holds.
#[test]
fn bbr_uses_the_line_with_hardly_a_queue_whatever_it_loses() {
    for (path, least, startup) in [
        ("rate=100mbit,delay=10ms,queue=250kB", 970, 850),
        ("rate=100mbit,delay=10ms,queue=250kB,loss=1%", 960, 850),
        ("rate=100mbit,delay=25ms,queue=625kB,loss=1%", 960, 700),
        ("rate=100mbit,delay=10ms,queue=250kB,loss=5%", 920, 800),
        ("rate=10mbit,delay=15ms,queue=37500B,loss=2%", 940, 800),
        ("rate=2mbit,delay=30ms,queue=15kB", 950, 700),
    ] {
        for seed in SEEDS {
            let usage = run(path, seed, secs(12), vec![Flow::of(Choice::Bbr)]);
            let (first, later) = (used(path, &usage, 0, secs(0), secs(1)), used(path, &usage, 0, secs(2), secs(12)));
            let (mean, most) = queue(path, &usage, secs(2), secs(12));
            println!(
                "{path}, seed {seed}: first second {first} ‰, then {later} ‰; queue {mean} ‰, 99 in 100 below {most} ‰"
            );
            assert!(later >= least && first >= startup, "{path}, seed {seed}: {first} and {later} ‰");
            // A line of 2 Mbit/s holds ten datagrams: a burst of as many is a whole queue there.
            let bound = if link(path).rate < 5_000_000 { 1_000 } else { 500 };
            assert!(mean <= bound / 2 && most <= bound, "{path}, seed {seed}: queue {mean}, {most} ‰");
        }
    }
}

/// A gigabit over 50 ms is used in the second second, and a first loss in the first round trips hardly costs anything.
#[test]
fn startup_doubles_each_round_trip_and_no_early_loss_ends_it() {
    let path = "rate=1gbit,delay=25ms,queue=6250kB";
    for (loss, least) in [("", 970), (",loss=1%", 950)] {
        let path = format!("{path}{loss}");
        let usage = run(&path, 1, secs(2), vec![Flow::of(Choice::Bbr)]);
        let second = used(&path, &usage, 0, secs(1), secs(2));
        println!("{path}: {} ‰ in the first second, {second} ‰ in the next", used(&path, &usage, 0, secs(0), secs(1)));
        assert!(second >= least, "{path}: {second} ‰");
    }
    // The first loss of all, in the first round trips: the transfer is hardly slower for it.
    for ordinal in [3, 20, 40, 60, 100] {
        let path = format!("rate=100mbit,delay=10ms,queue=250kB,drop=block:{ordinal}");
        let usage = run(&path, 1, secs(2), vec![Flow::of(Choice::Bbr)]);
        let first = used(&path, &usage, 0, secs(0), secs(1));
        println!("{path}: {first} ‰ in the first second");
        assert!(first >= 800, "{path}: {first} ‰");
    }
}

/// What the full queue drops is bounded too: nothing after startup on a queue as long as the path, and where the queue is
/// a tenth of that, no more than a hundredth.
#[test]
fn bbr_drops_little_where_the_queue_is_short() {
    for (queue, most) in [("250kB", 0), ("125kB", 0), ("25kB", 10)] {
        let path = format!("rate=100mbit,delay=10ms,queue={queue}");
        let usage = run(&path, 1, secs(12), vec![Flow::of(Choice::Bbr)]);
        let (dropped, used) =
            (usage.overflowed_in(secs(1), secs(12)) as u64, used(&path, &usage, 0, secs(6), secs(12)));
        println!("{path}: {dropped} of {} dropped, {used} ‰ used", usage.sent);
        assert!(dropped * 1_000 <= most * usage.sent && used >= 750, "{path}: {dropped} of {}", usage.sent);
    }
}

/// Beside a flow of CUBIC, each has between a quarter and three quarters, whoever came first and whenever the other came.
#[test]
fn bbr_and_cubic_share() {
    for path in [
        "rate=50mbit,delay=10ms,queue=125kB",
        "rate=100mbit,delay=25ms,queue=625kB",
        "rate=20mbit,delay=10ms,queue=100kB",
        "rate=100mbit,delay=10ms,queue=500kB",
        "rate=100mbit,delay=1ms,queue=128kB",
    ] {
        for (first, second) in [(Choice::Bbr, Choice::Cubic), (Choice::Cubic, Choice::Bbr)] {
            for seed in SEEDS {
                let later = secs(3) + Duration::from_millis(seed * 171);
                let usage = run(path, seed, secs(40), vec![Flow::of(first), Flow::of(second).from(later)]);
                let shares = [0, 1].map(|flow| used(path, &usage, flow, secs(10), secs(40)));
                println!("{path}, seed {seed}: {first} {} ‰, {second} {} ‰", shares[0], shares[1]);
                assert!(shares.iter().all(|share| (250..=750).contains(share)), "{path}, seed {seed}: {shares:?}");
                assert!(shares.iter().sum::<u64>() >= 950, "{path}, seed {seed}: {shares:?}");
            }
        }
    }
}

/// Flows of its own kind are fair, whenever they came: Jain's index over the last half, of the middle one of several starts
/// and of the worst. Who meets whom while probing is chance, and after half a minute it still shows.
#[test]
fn bbr_is_fair_to_itself() {
    let path = "rate=50mbit,delay=10ms,queue=125kB";
    for (count, middle, worst) in [(2_u64, 930, 880), (4, 900, 850)] {
        let mut indices: Vec<u64> = (0..7)
            .map(|start| {
                let begins = |flow| Duration::from_millis(flow * (700 + 67 * start));
                let flows = (0..count).map(|flow| Flow::of(Choice::Bbr).from(begins(flow))).collect();
                let usage = run(path, 1, secs(40), flows);
                let rates: Vec<u64> = (0..usize::try_from(count).unwrap())
                    .map(|flow| used(path, &usage, flow, secs(20), secs(40)))
                    .collect();
                let (sum, squares) = (rates.iter().sum::<u64>(), rates.iter().map(|rate| rate * rate).sum::<u64>());
                println!("{count} flows, start {start}: {rates:?} ‰, Jain {} ‰", sum * sum * 1_000 / (count * squares));
                assert!(sum >= 950, "{count} flows, start {start}: {rates:?}");
                sum * sum * 1_000 / (count * squares)
            })
            .collect();
        indices.sort_unstable();
        assert!(indices[0] >= worst && indices[3] >= middle, "{count} flows: {indices:?}");
    }
}

/// Startup overshoots, since it doubles until it sees that it did; but the queue that this makes is soon over: of four seconds,
/// fewer than 3 packets in a hundred find more than half of what the path holds before them.
#[test]
fn the_queue_of_startup_is_soon_over() {
    for path in [
        "rate=1gbit,delay=10ms,queue=2500kB,loss=1%",
        "rate=1gbit,delay=25ms,queue=6250kB",
        "rate=100mbit,delay=10ms,queue=500kB",
    ] {
        for seed in SEEDS {
            let usage = run(path, seed, secs(4), vec![Flow::of(Choice::Bbr)]);
            let (_, most) = usage.waited(secs(0), secs(4), 3);
            let round_trip = 2 * link(path).delay;
            println!("{path}, seed {seed}: 97 in 100 wait {} µs at most", most.as_micros());
            assert!(most < round_trip / 2, "{path}, seed {seed}: {most:?}");
        }
    }
}

/// A path that becomes ten times slower is not flooded for long, and one that becomes ten times faster is used soon.
#[test]
fn bbr_follows_a_path_that_changes() {
    let (fast, slow) = ("rate=100mbit,delay=10ms,queue=250kB", "rate=10mbit,delay=10ms,queue=250kB");
    for (before, after) in [(fast, slow), (slow, fast)] {
        let mut shared = Shared::over(link(before), vec![Flow::of(Choice::Bbr)], secs(20));
        shared.paths.push((secs(5), link(after)));
        let usage = shared.run();
        let used = used(after, &usage, 0, secs(10), secs(20));
        let (mean, most) = queue(after, &usage, secs(15), secs(20));
        let late = usage.overflowed_in(secs(12), secs(20));
        println!(
            "{before}, then {after}: {used} ‰ of it used, queue {mean} ‰ below {most} ‰, {late} dropped at the end"
        );
        assert!(used >= 900 && mean <= 500 && late == 0, "{used} ‰, queue {mean} ‰, {late} dropped");
    }
}

/// Who sends less than the path takes learns nothing of it: neither a rate nor a window that is not there.
#[test]
fn bbr_does_not_grow_on_what_it_does_not_use() {
    let path = "rate=100mbit,delay=10ms,queue=250kB";
    let slow = Flow { rate: Some(5_000_000), ..Flow::of(Choice::Bbr) };
    let usage = run(path, 1, secs(5), vec![slow]);
    let (rate, (mean, most)) = (usage.rate(0, secs(1), secs(5)), queue(path, &usage, secs(1), secs(5)));
    println!("5 Mbit/s of a hundred: {rate} bit/s, queue {mean} ‰, below {most} ‰");
    assert!((4_700_000..=5_100_000).contains(&rate) && most <= 60, "{rate} bit/s, queue {most} ‰");
}

/// Reordering, duplicates and jitter cost little.
#[test]
fn bbr_bears_a_path_that_reorders() {
    for path in [
        "rate=50mbit,delay=10ms,queue=125kB,reorder=1%",
        "rate=50mbit,delay=10ms,queue=125kB,jitter=5ms",
        "rate=50mbit,delay=10ms,queue=125kB,duplicate=2%,loss=1%",
    ] {
        let usage = run(path, 1, secs(8), vec![Flow::of(Choice::Bbr)]);
        let used = used(path, &usage, 0, secs(2), secs(8));
        println!("{path}: {used} ‰");
        assert!(used >= 900, "{path}: {used} ‰");
    }
}
