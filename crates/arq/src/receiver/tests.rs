//! The receiver alone, fed by hand: what it stores, and when it speaks.

use std::time::Duration;

use super::*;
use crate::{BlockRange, Ecn, FileId, Layout, Policy};

const SENDER: Peer = Peer(1);
const NOTHING: [u64; 0] = [];

struct Bench {
    receiver: Receiver,
    now: Time,
    number: u64,
}

impl Bench {
    fn new(policy: Policy, blocks: u64, held: &[(u64, u64)]) -> Self {
        let mut set = RangeSet::new();
        for &(start, end) in held {
            set.insert_range(BlockRange::new(start, end)).unwrap();
        }
        let config = ReceiverConfig {
            peer: SENDER,
            policy,
            layout: Layout::new(blocks * 1_000, 1_000),
            file: FileId(1),
            hash: [0; 32],
            rate: 0,
            congestion: None,
            ecn: true,
            held: set,
            credit: 100,
            rtt: None,
            listened_to: false,
        };
        Bench { receiver: Receiver::new(Time::ZERO, config), now: Time::ZERO, number: 0 }
    }

    fn block(&mut self, block: u64) -> Verdict {
        self.number += 1;
        let packet = Packet::plain(PacketNumber(self.number), Body::Block(BlockNumber(block), 1_000));
        self.receiver.handle(self.now, SENDER, &packet)
    }

    /// A block comes and is stored at once; gives the floors of the reports that follow.
    fn store(&mut self, block: u64) -> Vec<u64> {
        if self.block(block) == Verdict::Store(BlockNumber(block)) {
            self.receiver.stored(self.now, BlockNumber(block));
        }
        self.drain().into_iter().map(|report| report.floor.0).collect()
    }

    fn drain(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(outgoing) = self.receiver.poll_transmit(self.now) {
            match outgoing.packet.body {
                Body::Report(report) | Body::Open(Open { report, .. }) => reports.push(report),
                Body::Block(..) | Body::Done { .. } | Body::Close(_) => {}
            }
        }
        reports
    }

    fn wait(&mut self) -> Option<u64> {
        self.now = self.receiver.poll_timeout()?;
        self.receiver.handle_timeout(self.now);
        Some(self.now.as_nanos() / 1_000_000)
    }
}

fn said_done(heard: bool) -> Body {
    Body::Done { again: 7, heard, ecn: Ecn::Capable }
}

#[test]
fn it_asks_with_what_it_holds_until_it_is_answered() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10, &[(0, 2), (5, 6)]);
    let first = bench.drain();
    assert_eq!((first[0].floor.0, first[0].seen.0), (2, 6));
    assert_eq!((bench.wait(), bench.drain()), (Some(1_000), first.clone()));
    assert_eq!((bench.wait(), bench.drain()), (Some(2_000), first));
    assert_eq!(bench.block(2), Verdict::Store(BlockNumber(2)));
    bench.receiver.stored(bench.now, BlockNumber(2));
    assert_eq!(bench.drain().len(), 1, "it fills part of a gap");
}

#[test]
fn in_order_every_second_block_is_reported_and_the_first_of_two_after_a_while() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 100, &[]);
    bench.drain();
    assert_eq!([bench.store(0), bench.store(1), bench.store(2)], [vec![], vec![2], vec![]]);
    assert_eq!((bench.wait(), bench.drain()[0].floor), (Some(25), BlockNumber(3)));
}

#[test]
fn a_gap_is_reported_at_once_and_so_is_its_end() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 100, &[]);
    bench.drain();
    bench.store(0);
    bench.store(1);
    assert_eq!(bench.store(3), [2], "a gap");
    assert_eq!(bench.store(4), [2], "still a gap");
    assert_eq!(bench.store(2), [5], "it is filled");
    assert_eq!(bench.store(5), NOTHING, "and all is quiet again");
    assert_eq!(bench.store(5), [6], "twice the same: our report may be lost");
}

#[test]
fn who_wants_fewer_reports_hears_only_of_gaps_that_come_and_go() {
    let report = Reporting::Delayed { every: 16, delay: Policy::REPORT_DELAY };
    let mut bench = Bench::new(Policy { report, ..Policy::SELECTIVE_REPEAT }, 100, &[]);
    bench.drain();
    assert_eq!([bench.store(0), bench.store(1)].concat(), NOTHING);
    assert_eq!([bench.store(4), bench.store(5), bench.store(6)], [vec![2], vec![], vec![]]);
    assert_eq!([bench.store(2), bench.store(3)], [vec![], vec![7]]);
}

#[test]
fn each_block_is_counted_once_by_how_it_came_and_a_mark_is_told_at_once() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 100, &[]);
    bench.drain();
    let mut come = |block: u64, ecn| {
        bench.number += 1;
        let body = Body::Block(BlockNumber(block), 1_000);
        let packet = Packet { ecn, ..Packet::plain(PacketNumber(bench.number), body) };
        if let Verdict::Store(block) = bench.receiver.handle(bench.now, SENDER, &packet) {
            bench.receiver.stored(bench.now, block);
        }
        let marks = bench.drain().pop().map(|report| (report.marks.ect0, report.marks.ce));
        (marks, bench.receiver.marks().all())
    };
    assert_eq!(come(0, Codepoint::Ect0), (None, 1));
    assert_eq!(come(1, Codepoint::NotEct), (Some((1, 0)), 1));
    assert_eq!(come(2, Codepoint::Ce), (Some((1, 1)), 2), "the first of two");
    assert_eq!(come(2, Codepoint::Ce), (Some((1, 1)), 2), "twice the same");
    assert_eq!(come(3, Codepoint::Ect1), (None, 2), "what nobody sent");
}

#[test]
fn no_report_claims_a_block_that_the_disk_has_not_taken() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 100, &[]);
    bench.drain();
    for block in 0..4 {
        assert_eq!(bench.block(block), Verdict::Store(BlockNumber(block)));
    }
    assert_eq!(bench.block(3), Verdict::Ignored(Why::Duplicate), "it is expected");
    let report = bench.drain().pop().expect("a duplicate is answered");
    assert_eq!((report.floor.0, report.newest), (0, PacketNumber::NONE));
    bench.receiver.stored(bench.now, BlockNumber(0));
    bench.receiver.stored(bench.now, BlockNumber(99));
    bench.receiver.stored(bench.now, BlockNumber(1));
    let report = bench.drain().pop().expect("two blocks are stored");
    assert_eq!((report.floor.0, report.seen.0, report.newest), (2, 2, PacketNumber(2)));
}

#[test]
fn the_textbook_receiver_keeps_only_what_is_in_order() {
    let mut bench = Bench::new(Policy::go_back_n(8), 10, &[]);
    bench.drain();
    assert_eq!(bench.store(0), [1]);
    assert_eq!(bench.block(2), Verdict::Ignored(Why::OutOfOrder));
    assert_eq!(bench.drain()[0].floor, BlockNumber(1), "and says so at once");
    assert_eq!(bench.receiver.counts(), (0, 1));
}

#[test]
fn what_does_not_fit_the_file_is_not_stored() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 10, &[]);
    let mut handle =
        |number, body| bench.receiver.handle(Time::ZERO, SENDER, &Packet::plain(PacketNumber(number), body));
    for (number, body) in [
        (1, Body::Block(BlockNumber(10), 1_000)),
        (2, Body::Block(BlockNumber(u64::MAX), 1_000)),
        (3, Body::Block(BlockNumber(0), 999)),
        (4, Body::Report(Report::default())),
        (5, said_done(false)),
    ] {
        assert_eq!(handle(number, body), Verdict::Ignored(Why::Misplaced));
    }
}

#[test]
fn the_last_word_is_repeated_until_it_is_heard_but_not_for_ever() {
    for heard in [true, false] {
        let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 1, &[]);
        bench.drain();
        assert_eq!(bench.store(0), [1]);
        assert_eq!(bench.receiver.outcome(), Some(Outcome::Complete));
        if heard {
            let done = Packet::plain(PacketNumber(9), said_done(true));
            assert_eq!(bench.receiver.handle(bench.now, SENDER, &done), Verdict::Taken);
            assert_eq!(bench.receiver.poll_timeout(), None);
        } else {
            let mut words = 0;
            while bench.wait().is_some() {
                words += bench.drain().len();
            }
            assert_eq!((words, bench.now), (4, Time::ZERO + Duration::from_millis(2_500)));
        }
    }
}

#[test]
fn raw_mode_tells_its_holes_at_the_end_and_gives_signs_of_life_before() {
    let mut bench = Bench::new(Policy::RAW, 10, &[]);
    bench.drain();
    for block in [0, 1, 4, 5, 6, 7, 9] {
        assert_eq!(bench.store(block), NOTHING);
    }
    assert_eq!((bench.wait(), bench.drain().len()), (Some(1_000), 1));
    let done = Packet::plain(PacketNumber(11), said_done(false));
    assert_eq!(bench.receiver.handle(bench.now, SENDER, &done), Verdict::Taken);
    assert_eq!(bench.wait(), Some(1_200), "stragglers are waited for");
    let account = bench.drain().pop().expect("an account");
    assert_eq!((account.missing.len(), account.newest), (2, PacketNumber(11)));
    assert_eq!(bench.receiver.outcome(), Some(Outcome::Holes(3)));
    // Asked again, it says it again; once it is heard, nothing more.
    let mut hear = |number, heard| {
        let done = Packet::plain(PacketNumber(number), said_done(heard));
        assert_eq!(bench.receiver.handle(bench.now, SENDER, &done), Verdict::Taken);
        (bench.drain().len(), bench.receiver.poll_timeout().is_some())
    };
    assert_eq!((hear(12, false), hear(13, true)), ((1, true), (0, false)));
    assert_eq!(bench.receiver.sent_again(), Some(7));
}

#[test]
fn a_file_that_is_here_already_asks_nobody() {
    for (blocks, held) in [(0, &[][..]), (3, &[(0, 3)][..])] {
        let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, blocks, held);
        assert_eq!(bench.receiver.outcome(), Some(Outcome::Complete));
        assert_eq!((bench.drain(), bench.receiver.poll_timeout()), (vec![], None));
    }
}

#[test]
fn closing_tells_the_sender_why() {
    let mut bench = Bench::new(Policy::SELECTIVE_REPEAT, 3, &[]);
    bench.receiver.close(bench.now, CloseReason::Storage);
    let said = bench.receiver.poll_transmit(bench.now).map(|outgoing| outgoing.packet.body);
    assert_eq!(said, Some(Body::Close(CloseReason::Storage)));
    assert_eq!(bench.receiver.outcome(), Some(Outcome::Failed(Failure::Closed(CloseReason::Storage))));
    // Should that be lost: said again, ever less often, while blocks come all the same.
    let again = (0..100).filter(|_| {
        assert_eq!(bench.block(1), Verdict::Ignored(Why::Ended));
        bench.receiver.poll_transmit(bench.now).is_some()
    });
    assert_eq!(again.count(), 7);
}

proptest::proptest! {
    /// Whatever a sender sends: the receiver neither panics, nor asks for a block twice, nor claims one that is not
    /// stored, nor contradicts itself.
    #[test]
    fn no_sender_can_upset_a_receiver(
        mode in 0..4_usize,
        steps in proptest::collection::vec((0_u8..12, 0_u64..70, 0_u64..90, 0_u64..1_500), 1..80),
    ) {
        let policy = [Policy::RAW, Policy::STOP_AND_WAIT, Policy::go_back_n(8), Policy::SELECTIVE_REPEAT][mode];
        let mut bench = Bench::new(policy, 64, &[(3, 5)]);
        let (mut waiting, mut asked) = (Vec::new(), std::collections::BTreeSet::new());
        for (kind, block, number, millis) in steps {
            bench.now += Duration::from_millis(millis / 10);
            let body = match kind {
                0 => said_done(number % 2 == 0),
                1 => Body::Report(Report::default()),
                2 => Body::Block(BlockNumber(block), 7),
                _ => Body::Block(BlockNumber(block), 1_000),
            };
            let packet = Packet::plain(PacketNumber(number), body);
            if let Verdict::Store(block) = bench.receiver.handle(bench.now, SENDER, &packet) {
                proptest::prop_assert!(asked.insert(block), "asked twice for {}", block);
                waiting.push(block);
            }
            if kind > 5 && !waiting.is_empty() {
                let block = waiting.swap_remove(usize::try_from(number).unwrap() % waiting.len());
                bench.receiver.stored(bench.now, block);
            }
            if bench.receiver.poll_timeout().is_some_and(|due| due <= bench.now) {
                bench.receiver.handle_timeout(bench.now);
            }
            for report in bench.drain() {
                proptest::prop_assert!(report.is_consistent());
                proptest::prop_assert!(waiting.iter().all(|&block| !report.has(block)));
            }
        }
    }
}
