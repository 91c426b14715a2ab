//! Explicit congestion notification in virtual time: marks are heeded and cost nothing twice, and a path that tells lies
//! about them is not believed. `cargo test --test marks -- --nocapture` prints the figures.

use std::time::Duration;

use arq::congestion::Choice;
use arq::{Ecn, Policy};
use netsim::Impairment;
use udp_transfer::sim::{Flow, Scenario, Shared, Usage};

const PATH: &str = "rate=100mbit,delay=10ms,queue=250kB";
const CONTROLS: [Choice; 3] = [Choice::NewReno, Choice::Cubic, Choice::Bbr];

fn link(text: &str) -> Impairment {
    text.parse().expect("an impairment")
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn over(path: &str, time: u64, flows: Vec<Flow>) -> Usage {
    Shared::over(link(path), flows, secs(time)).run()
}

/// How much of the path is used once startup is over, in thousandths.
fn used(path: &str, usage: &Usage, flow: usize, time: u64) -> u64 {
    usage.rate(flow, secs(2), secs(time)) * 1_000 / link(path).rate
}

/// A queue that marks from 30 kB on, which is 2.4 ms: who fills queues until they overflow fills it no longer, nothing is
/// dropped, nothing is sent twice, and the line is used. Halving leaves a part of it empty, where the queue is shorter than what
/// the path holds.
#[test]
fn marks_keep_the_queue_short_and_nothing_is_sent_again() {
    for (control, least) in [(Choice::NewReno, 780), (Choice::Cubic, 950), (Choice::Bbr, 950)] {
        let plain = over(PATH, 10, vec![Flow::of(control)]);
        let path = format!("{PATH},ecn=30kB");
        let usage = over(&path, 10, vec![Flow::of(control)]);
        let (ecn, marked) = usage.marks[0];
        let (mean, without) = (usage.waited(secs(1), secs(10), 1).0, plain.waited(secs(1), secs(10), 1).0);
        let used = used(&path, &usage, 0, 10);
        println!("{control}: {marked} marked, {used} ‰ used, queue {mean:?}, without marks {without:?}");
        assert_eq!((ecn, usage.overflowed_in(secs(0), secs(10)), usage.sent_per_block(0)), (Ecn::Capable, 0, 1.0));
        assert!(marked > 0 && used >= least, "{control}: {marked} marked, {used} ‰");
        let most = if control == Choice::Bbr { without } else { without / 8 };
        assert!(mean <= most, "{control}: {mean:?}, without marks {without:?}");
    }
}

/// `bbr` keeps hardly a queue anyway. Where a datagram takes long, and a queue shows itself late, marks make it shorter.
#[test]
fn marks_show_bbr_a_queue_it_would_see_late() {
    let path = "rate=10mbit,delay=20ms,queue=50kB";
    let plain = over(path, 10, vec![Flow::of(Choice::Bbr)]);
    let path = format!("{path},ecn=8kB");
    let usage = over(&path, 10, vec![Flow::of(Choice::Bbr)]);
    let ((mean, most), (mean_without, most_without)) =
        (usage.waited(secs(1), secs(10), 1), plain.waited(secs(1), secs(10), 1));
    let used = used(&path, &usage, 0, 10);
    println!("{used} ‰ used, queue {mean:?}, {most:?}; without marks {mean_without:?}, {most_without:?}");
    assert!(mean * 4 <= mean_without * 3 && most < most_without && used >= 950, "{mean:?}, {most:?}, {used} ‰");
}

/// Who may not be marked is not marked, and fills the queue as ever.
#[test]
fn switched_off_nothing_is_marked() {
    let path = format!("{PATH},ecn=30kB");
    let usage = over(&path, 5, vec![Flow { ecn: false, ..Flow::of(Choice::Cubic) }]);
    assert_eq!(usage.marks[0], (Ecn::Unused, 0));
    assert!(usage.waited(secs(1), secs(5), 0).1 > Duration::from_millis(10));
    let usage = over(&path, 1, vec![Flow::of(Choice::Fixed { window: 300_000 })]);
    assert_eq!(usage.marks[0], (Ecn::Unused, 0), "who never slows down asks for no marks");
}

/// A path that clears the bits, or marks everything, is found out; and then it is used as if there were no marks.
#[test]
fn a_path_that_lies_about_marks_is_not_believed() {
    for control in CONTROLS {
        let plain = over(PATH, 10, vec![Flow { ecn: false, ..Flow::of(control) }]);
        for (how, state) in [("clear", Ecn::Cleared), ("all", Ecn::AllMarked)] {
            let path = format!("{PATH},ecn={how}");
            let usage = over(&path, 10, vec![Flow::of(control)]);
            let (used, could) = (used(&path, &usage, 0, 10), used(PATH, &plain, 0, 10));
            println!("{control}, {how}: {:?}, {used} ‰ of {could} ‰", usage.marks[0]);
            assert_eq!(usage.marks[0].0, state, "{control}");
            assert!(used * 10 >= could * 9, "{control}, {how}: {used} ‰ where {could} ‰ were used");
        }
    }
}

/// A path that stops to let marks through is found out as well.
#[test]
fn a_path_that_changes_is_found_out() {
    let mut shared = Shared::over(link(PATH), vec![Flow::of(Choice::Bbr)], secs(4));
    shared.paths.push((secs(2), link(&format!("{PATH},ecn=clear"))));
    assert_eq!(shared.run().marks[0].0, Ecn::Cleared);
}

/// Losses, duplicates, reordering and damage are no reason to distrust marks: nor is a report that comes late.
#[test]
fn a_bad_path_is_not_a_lying_one() {
    let bad = link("delay=10ms,jitter=5ms,loss=5%,corrupt=2%,duplicate=5%,reorder=20%,rate=2mbit,ecn=4kB");
    for policy in [Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT] {
        for congestion in CONTROLS {
            for seed in 0..40 {
                let run = Scenario { policy, congestion, seed, blocks: 200, ..Scenario::default() }.over(&bad).run();
                assert!(run.is_whole(), "{policy}, {congestion}, seed {seed}: {run:#?}");
                assert_eq!(run.ecn, Ecn::Capable, "{policy}, {congestion}, seed {seed}");
            }
        }
    }
}

/// Beside a flow of CUBIC at a queue that marks, each has its part; whoever came first.
#[test]
fn flows_share_a_queue_that_marks() {
    let path = "rate=50mbit,delay=10ms,queue=125kB,ecn=40kB";
    for (first, second) in [(Choice::Bbr, Choice::Cubic), (Choice::Cubic, Choice::Bbr), (Choice::Cubic, Choice::Cubic)]
    {
        let usage = over(path, 40, vec![Flow::of(first), Flow::of(second).from(secs(3))]);
        let shares = [0, 1].map(|flow| usage.rate(flow, secs(10), secs(40)) * 1_000 / link(path).rate);
        println!("{first} {} ‰, {second} {} ‰, {:?}", shares[0], shares[1], usage.waited(secs(10), secs(40), 1));
        assert!(shares.iter().all(|share| (200..=800).contains(share)), "{first}, {second}: {shares:?}");
        assert!(shares.iter().sum::<u64>() >= 900, "{first}, {second}: {shares:?}");
    }
}
