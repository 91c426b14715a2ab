//! Whether marks can be trusted on this path, and how many are new: RFC 9000 section 13.4 and appendix A.4.

use events::{Time, Unit};

use super::Sender;
use crate::congestion::Marked;
use crate::flight::Settled;
use crate::{Codepoint, Ecn, Marks, PacketNumber, Report, Told};

/// What a sender says of its blocks, and what it makes of what comes back.
///
/// The first ten blocks say that they may be marked. Then none does until a report shows that this came through: where
/// something drops such datagrams, it is ten that are lost and not all. From then on each block says so, and each report
/// must fit: a path may change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marking {
    state: Ecn,
    /// How many blocks were sent so, and the packet of the last.
    sent: u64,
    last: PacketNumber,
    /// How many of them have arrived.
    arrived: u64,
    /// What the latest report counted.
    told: Marks,
    /// A round trip ends with a report on this packet; what had been counted when it began.
    round_ends: PacketNumber,
    round_began: Marks,
    /// In how many round trips in a row everything came marked.
    all_marked: u32,
}

impl Marking {
    /// The testing period, in packets (RFC 9000 section 13.4.2).
    const TESTING: u64 = 10;
    /// So much later a packet must have arrived for the ones before it to be lost and not late.
    const PATIENCE: u64 = 20;
    /// A queue that marks is shorter after so many round trips in which its marks were heeded: each takes a part of the
    /// window (CUBIC keeps a sixth after this many). A path that marks everything even then is taken for broken.
    const ALL_MARKED: u32 = 10;

    pub(super) fn new(is_used: bool) -> Self {
        Marking {
            state: if is_used { Ecn::Testing } else { Ecn::Unused },
            sent: 0,
            last: PacketNumber::NONE,
            arrived: 0,
            told: Marks::default(),
            round_ends: PacketNumber::NONE,
            round_began: Marks::default(),
            all_marked: 0,
        }
    }

    pub(super) fn state(&self) -> Ecn {
        self.state
    }

    /// How many blocks were reported as marked.
    pub(super) fn marked(&self) -> u64 {
        self.told.ce
    }

    /// What the block in packet `number`, which is sent now, says.
    pub(super) fn send(&mut self, number: PacketNumber) -> Codepoint {
        let says_so = match self.state {
            Ecn::Capable => true,
            Ecn::Testing => self.sent < Self::TESTING,
            Ecn::Unused | Ecn::Cleared | Ecn::Miscounted | Ecn::AllMarked | Ecn::Dropped => false,
        };
        if !says_so {
            return Codepoint::NotEct;
        }
        (self.sent, self.last) = (self.sent + 1, number);
        Codepoint::Ect0
    }

    /// A report settled something. `marks` is what it counts, unless a later report has come before it: counts only grow.
    /// `newest` is the newest packet known to have arrived, `next` the one to be sent next. Gives how many blocks are
    /// newly known to have been marked.
    pub(super) fn on_report(
        &mut self,
        settled: &Settled,
        marks: Option<Marks>,
        newest: PacketNumber,
        next: PacketNumber,
    ) -> u64 {
        self.arrived += settled.markable;
        let (Some(marks), Ecn::Testing | Ecn::Capable) = (marks, self.state) else { return 0 };
        let before = std::mem::replace(&mut self.told, marks);
        if marks.ect0 < before.ect0 || marks.ce < before.ce || marks.all() > self.sent {
            self.give_up(Ecn::Miscounted, before);
        } else if marks.all() < self.arrived {
            self.give_up(Ecn::Cleared, before);
        } else if self.arrived == 0 {
            let is_over = self.sent >= Self::TESTING && newest.0 > self.last.0 + Self::PATIENCE;
            if is_over && marks.all() == 0 {
                self.give_up(Ecn::Dropped, before);
            }
        } else {
            self.state = Ecn::Capable;
            self.look_at_round(newest, next);
        }
        self.told.ce - before.ce
    }

    /// What is counted by a path that cannot be believed is not counted.
    fn give_up(&mut self, why: Ecn, believed: Marks) {
        (self.state, self.told) = (why, believed);
    }

    fn look_at_round(&mut self, newest: PacketNumber, next: PacketNumber) {
        if newest < self.round_ends {
            return;
        }
        let (began, now) = (self.round_began, self.told);
        if now.ect0 > began.ect0 {
            self.all_marked = 0;
        } else if now.ce > began.ce {
            self.all_marked += 1;
        }
        (self.round_ends, self.round_began) = (next, now);
        if self.all_marked >= Self::ALL_MARKED {
            self.give_up(Ecn::AllMarked, now);
        }
    }
}

impl Sender {
    /// Tells congestion control of new marks, before it hears of what arrived, as RFC 9002 appendix A.7 does.
    pub(super) fn heed_marks(&mut self, now: Time, report: &Report, is_latest: bool, settled: &Settled) {
        let before = self.marking.state();
        let marks = is_latest.then_some(report.marks);
        let marked = self.marking.on_report(settled, marks, self.newest, self.flight.next_number());
        if marked > 0 {
            let bytes = marked.saturating_mul(self.config.datagram());
            self.delivery.on_marked(bytes);
            self.congestion.on_marked(&Marked { now, bytes, sent: self.arrived_sent, rtt: self.rtt });
            self.teller.tell(Told::Measured("marked", marked, Unit::Count));
        }
        if self.marking.state() != before {
            self.teller.tell(Told::Ecn(self.marking.state()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path, by what it makes of blocks that may be marked.
    struct Path {
        marking: Marking,
        next: u64,
        marks: Marks,
    }

    impl Path {
        fn new() -> Self {
            Path { marking: Marking::new(true), next: 1, marks: Marks::default() }
        }

        /// Sends so many blocks and reports on all of them, each as `change` leaves it; none where it does not come.
        fn round(&mut self, blocks: u64, change: impl Fn(Codepoint) -> Option<Codepoint>) -> u64 {
            let mut settled = Settled::default();
            for _ in 0..blocks {
                let sent = self.marking.send(PacketNumber(self.next));
                self.next += 1;
                if let Some(came) = change(sent) {
                    self.marks.count(came);
                    settled.markable += u64::from(sent.may_be_marked());
                }
            }
            let (newest, next) = (PacketNumber(self.next - 1), PacketNumber(self.next));
            self.marking.on_report(&settled, Some(self.marks), newest, next)
        }

        fn is_sent(&mut self) -> Codepoint {
            self.marking.send(PacketNumber(self.next))
        }
    }

    #[test]
    fn ten_blocks_try_it_and_when_they_came_through_all_do() {
        let mut path = Path::new();
        let sent: Vec<Codepoint> = (1..=12).map(|number| path.marking.send(PacketNumber(number))).collect();
        assert_eq!(sent, [vec![Codepoint::Ect0; 10], vec![Codepoint::NotEct; 2]].concat());
        let settled = Settled { markable: 2, ..Settled::default() };
        let (newest, next, marks) = (PacketNumber(2), PacketNumber(13), Marks { ect0: 1, ce: 1 });
        assert_eq!(path.marking.on_report(&settled, Some(marks), newest, next), 1);
        assert_eq!((path.marking.state(), path.is_sent()), (Ecn::Capable, Codepoint::Ect0));
        assert_eq!(path.marking.on_report(&Settled::default(), None, newest, next), 0, "an older report says nothing");
        assert_eq!(
            path.marking.on_report(&Settled::default(), Some(marks), newest, next),
            0,
            "nor does the same again"
        );
    }

    #[test]
    fn a_path_that_clears_the_bits_is_noticed_at_once_and_later_too() {
        for clean_rounds in [0, 3] {
            let mut path = Path::new();
            for _ in 0..clean_rounds {
                path.round(20, Some);
            }
            path.round(20, |_| Some(Codepoint::NotEct));
            assert_eq!((path.marking.state(), path.is_sent()), (Ecn::Cleared, Codepoint::NotEct));
        }
        let mut path = Path::new();
        path.round(20, |sent| Some(if sent == Codepoint::Ect0 { Codepoint::Ect1 } else { sent }));
        assert_eq!(path.marking.state(), Ecn::Cleared, "another bit than was sent");
    }

    #[test]
    fn counts_that_cannot_be_are_not_believed() {
        for marks in [Marks { ect0: 21, ce: 0 }, Marks { ect0: u64::MAX, ce: u64::MAX }, Marks { ect0: 9, ce: 3 }] {
            let mut path = Path::new();
            path.round(10, Some);
            path.round(10, Some);
            assert_eq!(path.marking.on_report(&Settled::default(), Some(marks), PacketNumber(20), PacketNumber(21)), 0);
            assert_eq!((path.marking.state(), path.marking.marked()), (Ecn::Miscounted, 0), "{marks:?}");
        }
    }

    #[test]
    fn marks_that_never_end_are_no_queue() {
        let mark = |sent: Codepoint| Some(if sent.may_be_marked() { Codepoint::Ce } else { sent });
        let mut path = Path::new();
        for round in 0..9 {
            assert_eq!((path.round(10, mark), path.marking.state()), (10, Ecn::Capable), "round trip {round}");
        }
        path.round(10, mark);
        assert_eq!((path.marking.state(), path.is_sent()), (Ecn::AllMarked, Codepoint::NotEct));
        // A single one that came as it was sent says that marks mean something.
        let mut path = Path::new();
        for round in 0..100 {
            if round % 9 == 8 {
                path.round(1, Some)
            } else {
                path.round(10, mark)
            };
        }
        assert_eq!(path.marking.state(), Ecn::Capable);
    }

    #[test]
    fn where_only_what_may_be_marked_is_dropped_it_is_no_more_sent() {
        let drop = |sent: Codepoint| (!sent.may_be_marked()).then_some(sent);
        let mut path = Path::new();
        path.round(25, drop);
        assert_eq!(path.marking.state(), Ecn::Testing, "they may be late");
        path.round(10, drop);
        assert_eq!(path.marking.state(), Ecn::Dropped);
    }

    #[test]
    fn switched_off_it_says_nothing_and_hears_nothing() {
        let mut path = Path { marking: Marking::new(false), ..Path::new() };
        assert_eq!(path.round(10, |_| Some(Codepoint::Ce)), 0);
        assert_eq!((path.marking.state(), path.is_sent()), (Ecn::Unused, Codepoint::NotEct));
    }
}
