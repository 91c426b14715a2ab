//! The one feedback packet: what is here, what is missing, and how much more may come.

use std::time::Duration;

use crate::{BlockNumber, BlockRange, Marks, PacketNumber, RangeSet};

/// What a receiver says, whatever the mode: ACK, SACK and NAK are this one honest sentence, spoken at different moments.
///
/// - Every block below `floor` is here.
/// - Of the blocks from `floor` up to `seen`, the ones in `missing` are not here and all others are.
/// - No block at or above `seen` is here, **unless** the report is [cut](Report::is_cut): with the most ranges it may
///   hold, it is silent about what lies there.
///
/// Each report says everything anew, so a lost one costs nothing: the next one is cumulative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The lowest block that is not here.
    pub floor: BlockNumber,
    /// One after the highest block that is here, or where the report was cut.
    pub seen: BlockNumber,
    /// The holes in between, lowest first; the first begins at `floor`.
    pub missing: Vec<BlockRange>,
    /// The highest packet number whose packet has been dealt with: its block is stored, or was not wanted.
    pub newest: PacketNumber,
    /// How long ago that packet came, in whole microseconds.
    pub delay: Duration,
    /// How many blocks may be on the way at once.
    pub credit: u32,
    /// What became of the marks: how many blocks came with which codepoint.
    pub marks: Marks,
}

impl Report {
    /// The most holes one report tells: with 16 bytes each, they fit the smallest datagram we use (1 200 bytes).
    pub const MOST_RANGES: usize = 64;

    /// The report that describes `held`, and nothing of marks. The lowest holes are told first.
    #[must_use]
    pub fn of(held: &RangeSet, newest: PacketNumber, delay: Duration, credit: u32) -> Self {
        let floor = held.first_gap(BlockNumber(0));
        let mut seen = held.end().max(floor);
        let mut gaps = held.gaps(seen);
        let missing: Vec<BlockRange> = gaps.by_ref().take(Self::MOST_RANGES).collect();
        if let Some(cut) = gaps.next() {
            seen = cut.start;
        }
        let delay = Duration::from_micros(u64::from(u32::try_from(delay.as_micros()).unwrap_or(u32::MAX)));
        Report { floor, seen, missing, newest, delay, credit, marks: Marks::default() }
    }

    /// Whether the parts agree with one another, as every report made by [`Report::of`] does.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let mut end_of_last = None;
        let in_order = self.missing.iter().all(|gap| {
            let apart = end_of_last.is_none_or(|end| end < gap.start);
            end_of_last = Some(gap.end);
            apart && !gap.is_empty()
        });
        let first = self.missing.first().map_or(self.seen, |gap| gap.start);
        let last_is_inside = end_of_last.is_none_or(|end| end < self.seen);
        self.missing.len() <= Self::MOST_RANGES && in_order && first == self.floor && last_is_inside
    }

    /// Whether there may be more holes than the report had room for.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.missing.len() >= Self::MOST_RANGES
    }

    /// Whether the report says that `block` is here.
    #[must_use]
    pub fn has(&self, block: BlockNumber) -> bool {
        block < self.floor
            || (block < self.seen && self.hole_at_or_after(block).is_none_or(|hole| !hole.contains(block)))
    }

    /// The lowest block, from `from` on, that is not said to be here.
    #[must_use]
    pub fn first_missing(&self, from: BlockNumber) -> BlockNumber {
        if from >= self.seen {
            return from;
        }
        self.hole_at_or_after(from).map_or(self.seen, |hole| hole.start.max(from))
    }

    /// How many holes' blocks there are in a file of `blocks` blocks, by what the report says.
    #[must_use]
    pub fn count_missing(&self, blocks: u64) -> u64 {
        self.missing.iter().map(|gap| gap.len()).sum::<u64>() + blocks.saturating_sub(self.seen.0)
    }

    /// Becomes the same as `other`, in the memory it has already.
    pub(crate) fn copy_from(&mut self, other: &Report) {
        let mut missing = std::mem::take(&mut self.missing);
        missing.clone_from(&other.missing);
        *self = Report { missing, ..*other };
    }

    /// The first hole that ends after `block`.
    fn hole_at_or_after(&self, block: BlockNumber) -> Option<BlockRange> {
        let index = self.missing.partition_point(|hole| hole.end <= block);
        self.missing.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(ranges: &[(u64, u64)]) -> RangeSet {
        let mut held = RangeSet::new();
        for &(start, end) in ranges {
            held.insert_range(BlockRange::new(start, end)).unwrap();
        }
        held
    }

    fn report(ranges: &[(u64, u64)]) -> Report {
        Report::of(&held(ranges), PacketNumber::NONE, Duration::ZERO, 0)
    }

    #[test]
    fn nothing_here_is_a_report_too() {
        assert_eq!(report(&[]), Report::default());
        assert!(Report::default().is_consistent());
    }

    #[test]
    fn holes_are_told_and_the_rest_is_here() {
        let report = report(&[(0, 3), (5, 6), (9, 10)]);
        assert_eq!((report.floor.0, report.seen.0), (3, 10));
        assert_eq!(report.missing, [BlockRange::new(3, 5), BlockRange::new(6, 9)]);
        let here: Vec<u64> = (0..12).filter(|&block| report.has(BlockNumber(block))).collect();
        assert_eq!(here, [0, 1, 2, 5, 9]);
        assert_eq!(report.count_missing(12), 7);
    }

    #[test]
    fn with_too_many_holes_the_report_is_cut_and_stays_true() {
        let every_other: Vec<(u64, u64)> = (0..200).map(|i| (2 * i + 1, 2 * i + 2)).collect();
        let report = report(&every_other);
        assert!(report.is_cut() && report.is_consistent());
        assert_eq!(report.seen, BlockNumber(128), "one after the block behind the last hole told");
        assert!((0..128).all(|block| report.has(BlockNumber(block)) == (block % 2 == 1)));
    }

    proptest! {
        #[test]
        fn a_report_says_what_is_held(ranges in prop::collection::vec((0_u64..400, 1_u64..5), 0..120)) {
            let ranges: Vec<(u64, u64)> = ranges.into_iter().map(|(start, length)| (start, start + length)).collect();
            let (held, report) = (held(&ranges), report(&ranges));
            prop_assert!(report.is_consistent());
            for block in (0..report.seen.0).map(BlockNumber) {
                prop_assert_eq!(report.has(block), held.contains(block));
                let first = (block.0..).map(BlockNumber).find(|&at| at >= report.seen || !held.contains(at)).unwrap();
                prop_assert_eq!(report.first_missing(block), first);
            }
            if !report.is_cut() {
                prop_assert_eq!(report.seen, held.end());
                prop_assert_eq!(report.count_missing(500), 500 - held.len());
            }
        }
    }
}
