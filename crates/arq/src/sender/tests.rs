//! The sender alone, fed by hand: what it sends, and above all what it does not.

use std::time::Duration;

use super::*;
use crate::congestion::Choice;
use crate::{BlockRange, Layout, Policy, RangeSet};

const RECEIVER: Peer = Peer(1);
const NOTHING: [u64; 0] = [];

struct Bench {
    sender: Sender,
    now: Time,
    number: u64,
}

impl Bench {
    fn new(policy: Policy, blocks: u64) -> Self {
        let config = SenderConfig {
            peer: RECEIVER,
            policy,
            layout: Layout::new(blocks * 1_000, 1_000),
            congestion: Choice::Fixed { window: 1 << 20 },
            rate: None,
            ecn: true,
            seed: 1,
            listened_to: false,
        };
        Bench { sender: Sender::new(Time::ZERO, config), now: Time::ZERO, number: 0 }
    }

    /// Hands a report to the sender, and drains it.
    fn report(&mut self, here: &[(u64, u64)], newest: u64) -> Vec<u64> {
        self.say(report(here, newest))
    }

    fn say(&mut self, report: Report) -> Vec<u64> {
        self.number += 1;
        let packet = Packet::plain(PacketNumber(self.number), Body::Report(report));
        assert_eq!(self.sender.handle(self.now, RECEIVER, &packet), Verdict::Taken);
        self.drain()
    }

    fn drain(&mut self) -> Vec<u64> {
        let sent = std::iter::from_fn(|| self.sender.poll_transmit(self.now));
        sent.filter_map(|outgoing| outgoing.packet.body.ordinal()).collect()
    }

    /// Lets time pass until the sender sends something.
    fn wait(&mut self) -> (u64, Vec<u64>) {
        loop {
            self.now = self.sender.poll_timeout().expect("something is due");
            self.sender.handle_timeout(self.now);
            let sent = self.drain();
            if !sent.is_empty() || self.sender.outcome().is_some() {
                return (self.now.as_nanos() / 1_000_000, sent);
            }
        }
    }

    fn at(&mut self, millis: u64) {
        self.now = Time::from_nanos(millis * 1_000_000);
    }
}

fn report(here: &[(u64, u64)], newest: u64) -> Report {
    let mut held = RangeSet::new();
    for &(start, end) in here {
        held.insert_range(BlockRange::new(start, end)).unwrap();
    }
    Report::of(&held, PacketNumber(newest), Duration::ZERO, 100)
}

#[test]
fn nothing_leaves_before_the_receiver_has_asked() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 3);
    assert_eq!(bench.drain(), NOTHING);
    assert_eq!(bench.report(&[], 0), [0, 1, 2]);
}

#[test]
fn resume_is_a_first_report_that_is_not_empty() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10);
    assert_eq!(bench.report(&[(0, 3), (5, 7)], 0), [3, 4, 7, 8, 9]);
}

#[test]
fn a_first_report_with_more_holes_than_it_can_tell_is_not_outrun() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 400);
    let here = |from: u64| -> Vec<(u64, u64)> { (from..200).map(|i| (2 * i + 1, 2 * i + 2)).collect() };
    let holes: Vec<u64> = (0..64).map(|i| 2 * i).collect();
    assert_eq!(bench.report(&here(0), 0), holes, "what lies behind is not known yet");
    let mut later = here(10);
    later.insert(0, (0, 20));
    assert_eq!(bench.report(&later, 5), (64..74).map(|i| 2 * i).collect::<Vec<_>>());
}

#[test]
fn stop_and_wait_sends_one_and_doubles_its_patience() {
    let mut bench = Bench::new(Policy::STOP_AND_WAIT, 3);
    assert_eq!(bench.report(&[], 0), [0]);
    bench.at(100);
    assert_eq!(bench.report(&[(0, 1)], 1), [1]);
    // The first sample is 100 ms, so the time-out is 300 ms; doubled, and then no more than a second.
    assert_eq!(bench.wait(), (400, vec![1]));
    assert_eq!(bench.wait(), (1_000, vec![1]));
    assert_eq!(bench.wait(), (2_000, vec![1]));
    // Any sign of life: the time-out is the plain one again, counted from the last sending.
    bench.at(2_100);
    assert_eq!(bench.report(&[(0, 1)], 1), NOTHING);
    assert_eq!(bench.wait(), (2_300, vec![1]));
}

#[test]
fn go_back_n_goes_back_once_for_one_loss() {
    let mut bench = Bench::new(Policy::go_back_n(5), 20);
    assert_eq!(bench.report(&[], 0), [0, 1, 2, 3, 4]);
    bench.at(10);
    assert_eq!(bench.report(&[(0, 1)], 1), [5]);
    // Block 1 is lost; the receiver throws away 2, 3 and 4, and says each time that it waits for 1.
    assert_eq!(bench.report(&[(0, 1)], 3), NOTHING);
    assert_eq!(bench.report(&[(0, 1)], 4), NOTHING);
    assert_eq!(bench.report(&[(0, 1)], 5), [1, 2, 3, 4, 5]);
    assert_eq!(bench.report(&[(0, 1)], 6), NOTHING, "an old answer never sends anything (RFC 1123 section 4.2.3.1)");
}

#[test]
fn selective_repeat_sends_again_only_what_is_missing() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10);
    assert_eq!(bench.report(&[], 0).len(), 10);
    bench.at(10);
    assert_eq!(bench.report(&[(0, 2), (3, 5), (6, 10)], 10), [2, 5]);
    assert_eq!(bench.report(&[(0, 2), (3, 5), (6, 10)], 10), NOTHING);
}

#[test]
fn the_last_block_is_asked_after_when_nobody_speaks_of_it() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 3);
    bench.report(&[], 0);
    bench.at(20);
    assert_eq!(bench.report(&[(0, 2)], 2), NOTHING);
    // 20 ms round trip: 20 + 4 * 10 + 25 ms after the last sending at 0 ms.
    assert_eq!(bench.wait(), (85, vec![2]));
}

#[test]
fn credit_is_a_limit_and_zero_is_a_pause() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10);
    assert_eq!(bench.say(Report { credit: 2, ..report(&[], 0) }), [0, 1]);
    assert_eq!(bench.say(Report { credit: 0, ..report(&[(0, 2)], 2) }), NOTHING);
    assert_eq!(bench.say(Report { credit: 3, ..report(&[(0, 2)], 2) }), [2, 3, 4]);
}

#[test]
fn who_reports_what_was_never_sent_is_shown_the_door() {
    let violations = [
        (report(&[(0, 1)], 11), Violation::UnsentPacket(PacketNumber(11))),
        (report(&[(0, 1)], u64::MAX), Violation::UnsentPacket(PacketNumber(u64::MAX))),
        (report(&[(0, 11)], 1), Violation::NoSuchBlock(BlockNumber(11))),
        (Report { floor: BlockNumber(5), ..Report::default() }, Violation::Inconsistent),
    ];
    for (lie, violation) in violations {
        let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10);
        bench.report(&[], 0);
        bench.say(lie);
        assert_eq!(bench.sender.outcome(), Some(Outcome::Failed(Failure::Violation(violation))));
        bench.at(10_000);
        bench.sender.handle_timeout(bench.now);
        assert_eq!((bench.drain(), bench.sender.poll_timeout()), (vec![], None));
    }
}

#[test]
fn a_left_out_packet_number_gives_an_optimist_away() {
    // Blind guessing of what has arrived meets a number nobody ever sent, sooner or later.
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10_000);
    bench.say(Report { credit: 10_000, ..report(&[], 0) });
    let mut guess = 0;
    while bench.sender.outcome().is_none() {
        guess += 1;
        bench.say(Report { credit: 10_000, ..report(&[], guess) });
    }
    let caught =
        matches!(bench.sender.outcome(), Some(Outcome::Failed(Failure::Violation(Violation::UnsentPacket(_)))));
    assert!(caught && guess < 1_100, "{guess}");
}

#[test]
fn who_speaks_of_blocks_and_never_of_packets_is_not_sent_the_whole_file() {
    // No left-out number can give it away, since it names none; and what it cost us would grow with the file.
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10_000_000);
    let (mut handed_out, mut floor) = (0, 0);
    for _ in 0..1_000_000 {
        let sent = bench.say(Report { credit: 1_000, ..report(&[(0, floor)], 0) });
        let Some(last) = sent.last() else { break };
        handed_out += sent.len() as u64;
        floor = last + 1;
    }
    assert!(handed_out <= 2 * limits::REACH, "{handed_out} blocks");
    assert!(bench.sender.flight.remembered() <= 2 * limits::REACH);
}

#[test]
fn who_settles_nothing_and_asks_again_and_again_is_given_up() {
    // Honest about packets. Of the blocks it says, in reports that are cut, that every other one of the lowest is missing.
    let holes: Vec<(u64, u64)> = (0..64).map(|hole| (2 * hole + 1, 2 * hole + 2)).collect();
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 1_000_000);
    bench.say(Report { credit: 1_000, ..report(&[], 0) });
    let mut reports = 0_u64;
    while bench.sender.outcome().is_none() && reports < 10_000 {
        reports += 1;
        bench.at(reports * 10);
        let newest = bench.sender.flight.next_number().0 - 1;
        let newest = if bench.sender.flight.is_unsent(PacketNumber(newest)) { newest - 1 } else { newest };
        let cut = report(&[&holes[..], &[(128, 130)]].concat(), newest);
        bench.say(Report { credit: 1_000, ..cut });
        assert!(bench.sender.flight.remembered() <= limits::MOST_REMEMBERED + 1_000);
    }
    let Some(Outcome::Failed(Failure::Violation(Violation::NothingSettled(remembered)))) = bench.sender.outcome()
    else {
        panic!("{:?}, {} remembered", bench.sender.outcome(), bench.sender.flight.remembered())
    };
    println!("given up after {reports} reports, {remembered} remembered");
}

#[test]
fn who_speaks_of_packets_and_never_of_blocks_leaves_no_marks() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 1_000);
    bench.say(Report { credit: 100, ..report(&[], 0) });
    for turn in 1..5_000 {
        bench.at(turn * 10);
        let newest = bench.sender.flight.next_number().0 - 1;
        let newest = if bench.sender.flight.is_unsent(PacketNumber(newest)) { newest - 1 } else { newest };
        bench.say(Report { credit: 100, ..report(&[], newest) });
        assert!(bench.sender.delivery.marks() <= 200, "{}", bench.sender.delivery.marks());
    }
}

#[test]
fn who_takes_back_what_was_reported_gets_it_within_the_window_or_not_at_all() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 100_000);
    bench.say(Report { credit: 4, ..report(&[(0, 90_000)], 0) });
    assert_eq!(bench.say(Report { credit: 4, ..report(&[], 0) }), NOTHING, "four are on the way");
    bench.at(10);
    let sent = bench.say(Report { credit: 4, ..report(&[(90_000, 90_004)], 4) });
    assert_eq!(sent, [90_004, 90_005, 90_006, 90_007], "what is below the floor stays there");
}

#[test]
fn a_stranger_changes_nothing() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10);
    let packet = Packet::plain(PacketNumber(1), Body::Close(CloseReason::Stopped));
    assert_eq!(bench.sender.handle(bench.now, Peer(9), &packet), Verdict::Ignored(Why::Foreign));
    assert_eq!(bench.sender.outcome(), None);
}

#[test]
fn silence_ends_it_and_raw_mode_ends_sooner() {
    for (policy, seconds) in [(Policy::SELECTIVE_REPEAT, 30), (Policy::RAW, 10)] {
        let mut bench = Bench::new(policy, 1_000_000);
        bench.report(&[], 0);
        while bench.sender.outcome().is_none() {
            bench.wait();
        }
        let limit = Duration::from_secs(seconds);
        assert_eq!(bench.sender.outcome(), Some(Outcome::Failed(Failure::Silence(limit))));
        assert_eq!(bench.now, Time::ZERO + limit);
    }
}

#[test]
fn raw_mode_sends_each_block_once_at_its_rate_and_asks_for_the_account() {
    let mut bench = Bench::new(Policy::RAW, 30);
    let mut sent = bench.report(&[], 0);
    assert_eq!(sent.len(), 10, "a first burst");
    while sent.len() < 30 {
        sent.extend(bench.wait().1);
    }
    assert_eq!(sent, (0..30).collect::<Vec<_>>());
    // 10 Mbit/s is 0.826 ms for each datagram of 1033 bytes.
    assert_eq!(bench.now.as_nanos() / 1_000_000, 16);
    let account = report(&[(0, 3), (4, 30)], 31);
    bench.say(account);
    assert_eq!(bench.sender.outcome(), Some(Outcome::Holes(1)));
}

/// A report nobody honest would send, or one somebody would: consistent in itself, and about anything.
fn any_report() -> impl proptest::strategy::Strategy<Value = Report> {
    use proptest::prelude::*;
    let newest = prop_oneof![8 => 0_u64..80, 1 => any::<u64>()];
    let count = || prop_oneof![8 => 0_u64..40, 1 => any::<u64>()];
    let marks = (count(), count()).prop_map(|(ect0, ce)| crate::Marks { ect0, ce });
    (prop::collection::vec((0_u64..70, 1_u64..9), 0..9), newest, any::<u32>(), 0_u32..40, marks).prop_map(
        |(here, newest, delay, credit, marks)| {
            let here: Vec<(u64, u64)> = here.into_iter().map(|(start, length)| (start, start + length)).collect();
            Report { delay: Duration::from_micros(delay.into()), credit, marks, ..report(&here, newest) }
        },
    )
}

proptest::proptest! {
    /// Whatever a receiver says, in whatever order: the sender neither panics, nor sends what the window forbids, nor
    /// uses a packet number twice, nor asks to be woken at a moment it has been woken at.
    #[test]
    fn no_receiver_can_upset_a_sender(
        mode in 0..4_usize,
        steps in proptest::collection::vec((any_report(), 0_u64..2_000, proptest::bool::ANY), 1..60),
    ) {
        let policy = [Policy::RAW, Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT][mode];
        let mut bench = Bench::new(policy, 64);
        bench.sender.congestion = Choice::Cubic.build(1_033);
        bench.sender.marking = Marking::new(policy.is_reliable());
        let (mut credit, mut last) = (0, PacketNumber::NONE);
        for (at, (report, millis, forward)) in steps.into_iter().enumerate() {
            bench.now += Duration::from_millis(millis);
            credit = credit.max(report.credit);
            // Half of the reports come out of order.
            let number = PacketNumber(if forward { 1_000 + at as u64 } else { at as u64 + 1 });
            let _ = bench.sender.handle(bench.now, RECEIVER, &Packet::plain(number, Body::Report(report)));
            if bench.sender.poll_timeout().is_some_and(|due| due <= bench.now) {
                bench.sender.handle_timeout(bench.now);
            }
            while let Some(outgoing) = bench.sender.poll_transmit(bench.now) {
                proptest::prop_assert!(outgoing.packet.number > last);
                last = outgoing.packet.number;
            }
            proptest::prop_assert!(bench.sender.poll_timeout().is_none_or(|due| due > bench.now));
            // One probe at a time may go beyond the credit; a block that waits for the disk is never sent twice.
            proptest::prop_assert!(bench.sender.flight.len() <= u64::from(credit) + 64);
        }
    }
}
